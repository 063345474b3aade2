"""Checks of a made fixture, written by hand: what alerts, figures and pages are about."""

from __future__ import annotations

from pathlib import Path

from crash_workers import FINGERPRINTS, Patches

from catalogue import Catalogue, Product
from catalogue.checks import SavedCheck
from catalogue.plan_records import Plan, Position
from retail_seg.matcher import Matcher
from retail_seg.shelf import keeping, planning
from retail_seg.shelf.results import (
    FAULTS,
    CheckedInstance,
    CheckedPhoto,
    CheckResult,
    Finding,
    PhotoArea,
    PositionStatus,
)
from retail_seg.store.opening import CATALOGUE

#: SKU ► name, brand, category, and the width of a facing in mm.
SHOP = {
    "A": ("Almond milk", "Alp", "Drinks", 80), "B": ("Beans", "Field", "Tins", 75),
    "C": ("Cocoa", "Alp", "Drinks", 100), "D": ("Dates", "Field", "Dry", 90),
}  # fmt: skip


def new_store(folder: Path) -> Matcher:
    """A store with SHOP in it, whose embedder takes no time."""
    embedder = Patches(FINGERPRINTS[0])
    catalogue = Catalogue.create(folder / CATALOGUE, embedder=embedder.fingerprint, dim=embedder.dim)
    matcher = Matcher(folder, catalogue, embedder)
    stock(matcher)
    return matcher


def stock(matcher: Matcher) -> None:
    """Put SHOP into a store."""
    for sku, (name, brand, category, _) in SHOP.items():
        matcher.catalogue.put_product(Product(sku, name, brand, category))


def plan_of(fixture: str = "bay", facings: int = 2) -> Plan:
    """One shelf with all of SHOP, two facings of each."""
    places = [
        Position(fixture, 1, n, sku, facings, 1, width=facings * float(SHOP[sku][3])) for n, sku in enumerate(SHOP, 1)
    ]
    return Plan(f"plan of {fixture}", tuple(places))


def kept_plan(matcher: Matcher, fixture: str = "bay") -> int:
    """The plan kept; returns its version."""
    return planning.keep_plan(matcher, plan_of(fixture))


def result_of(statuses: str, fixture: str = "bay", version: int = 0) -> CheckResult:
    """A check whose places have these statuses, by first letter: "o", "l", "e", "m", "w", "u" (unknown), "-" (unseen).

    Of a place that is ok two facings stand there, of one that is low one.
    """
    words = {"o": "ok", "l": "low", "e": "empty", "m": "misplaced", "w": "wrong", "u": "unknown", "-": "unseen"}
    positions, findings, instances = [], [], []
    for n, (letter, (sku, (name, *_))) in enumerate(zip(statuses, SHOP.items(), strict=True), 1):
        status, area = words[letter], PhotoArea(0, (100 * n, 50, 90, 200))
        found = {"ok": 2, "low": 1}.get(status, 0)
        ids = tuple(range(len(instances) + 1, len(instances) + 1 + found))
        instances += [CheckedInstance(i, area, sku, 0.97, 1, n) for i in ids]
        positions.append(
            PositionStatus(fixture, 1, n, sku, status, 0.9, found, ids, 2, 1, areas=(area,), name=name)  # type: ignore[arg-type]
        )
        if status in FAULTS:
            findings.append(
                Finding(status, fixture, 1, n, sku, 0.9, name, **_told(found, area, n))  # type: ignore[arg-type]
            )  # fmt: skip
    return CheckResult(
        f"plan of {fixture}", version, (fixture,), (CheckedPhoto("a.jpg", 600, 300),), tuple(positions),
        tuple(findings), tuple(instances),
    )  # fmt: skip


def _told(found: int, area: PhotoArea, n: int) -> dict[str, object]:
    return {"missing": 2 - found, "found": found, "areas": (area,), "action": "refill", "cost": 3.0 * n}


def kept(
    matcher: Matcher, statuses: str, fixture: str = "bay", *, version: int = 0, taken: str = "", shop: str = ""
) -> SavedCheck:
    """Such a check, kept."""
    return keeping.keep_check(matcher, result_of(statuses, fixture, version), taken=taken, shop=shop)
