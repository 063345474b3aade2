"""What a shelf check found, as frozen values ► one JSON line, rows of a CSV."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal, TextIO

from retail_seg.report import safe_cell

Status = Literal["ok", "low", "empty", "misplaced", "wrong", "unknown", "unseen"]
#: All that can be said of a place:
#: its product stands there in enough facings · in too few · nothing stands there · its product stands elsewhere ·
#: another product stands there · something stands there that cannot be told · no photo shows it.
STATUSES: tuple[Status, ...] = ("ok", "low", "empty", "misplaced", "wrong", "unknown", "unseen")
#: What calls for somebody.
FAULTS: tuple[Status, ...] = ("low", "empty", "misplaced", "wrong", "unknown")
#: What else calls for somebody, where price labels are read: a label above which nothing stands · a product without
#: one, on a shelf of which nearly all others have one · a label whose price is not the list's.
LabelFault = Literal["no product", "no label", "price differs"]
LABEL_FAULTS: tuple[LabelFault, ...] = ("no product", "no label", "price differs")
#: What can be said of a label: as it should be · the first and the last of LABEL_FAULTS · nothing of it could be read.
LabelStatus = Literal["ok", "no product", "price differs", "unread"]
CSV_COLUMNS = ("fixture", "shelf", "position", "sku", "status", "probability", "found", "facings", "min_facings",
               "product", "stands_at", "cause", "action")  # fmt: skip

PixelBox = tuple[int, int, int, int]


@dataclass(frozen=True)
class Spot:
    """A place on a shelf of a fixture: shelf 1 is the topmost, position 1 the left."""

    shelf: int
    position: int

    def to_dict(self) -> dict[str, int]:
        return {"shelf": self.shelf, "position": self.position}

    def __str__(self) -> str:
        return f"shelf {self.shelf}, position {self.position}"


@dataclass(frozen=True)
class PhotoArea:
    """A part of a photo: its number in `CheckResult.photos`, and x, y, width, height in the photo's own pixels."""

    photo: int
    box: PixelBox

    def to_dict(self) -> dict[str, Any]:
        return {"photo": self.photo, "box": list(self.box)}


@dataclass(frozen=True)
class CheckedPhoto:
    """A photo of a check: its name, and its own width and height in pixels."""

    image: str
    width: int
    height: int

    def to_dict(self) -> dict[str, Any]:
        return {"image": self.image, "width": self.width, "height": self.height}


@dataclass(frozen=True)
class CheckedInstance:
    """Something that a photo shows: numbered from 1 through all photos of the check, in their order.

    sku          what it was taken for, with the place's plan in mind; empty for what is unknown
    probability  of that
    shelf        of the plan that its row was taken for, 0 for none
    position     that it counts for, 0 for none
    same_as      the instance of an earlier photo that shows the same facing, 0 for none
    """

    id: int
    area: PhotoArea
    sku: str
    probability: float
    shelf: int = 0
    position: int = 0
    same_as: int = 0

    def to_dict(self) -> dict[str, Any]:
        return {
            "id": self.id,
            **self.area.to_dict(),
            "sku": self.sku or None,
            "probability": round(self.probability, 4),
            "shelf": self.shelf,
            "position": self.position,
            **({"same_as": self.same_as} if self.same_as else {}),
        }


@dataclass(frozen=True)
class PositionStatus:
    """What is with one place of the plan.

    probability  of the status
    found        facings of its own product at its place
    instances    ids of what stands at its place; of `misplaced`, ids of its product where that stands
    facings      as the plan has them, with the least number that is enough
    product      of `wrong` and `misplaced`: SKU of what stands at its place, empty for nothing or who knows what
    stands_at    of `misplaced`: where its own product stands
    areas        where the place is in the photos that show it
    name         of its product, and of what stands there
    """

    fixture: str
    shelf: int
    position: int
    sku: str
    status: Status
    probability: float
    found: int
    instances: tuple[int, ...] = ()
    facings: int = 1
    min_facings: int = 1
    product: str = ""
    stands_at: Spot | None = None
    areas: tuple[PhotoArea, ...] = ()
    name: str = ""
    product_name: str = ""

    @property
    def spot(self) -> Spot:
        return Spot(self.shelf, self.position)

    def to_dict(self) -> dict[str, Any]:
        return {
            "fixture": self.fixture,
            "shelf": self.shelf,
            "position": self.position,
            "sku": self.sku,
            "status": self.status,
            "probability": round(self.probability, 4),
            "found": self.found,
            "instances": list(self.instances),
            "facings": self.facings,
            "min_facings": self.min_facings,
            "name": self.name,
            **({"product": self.product, "product_name": self.product_name} if self.product else {}),
            **({"stands_at": self.stands_at.to_dict()} if self.stands_at else {}),
            "areas": [area.to_dict() for area in self.areas],
        }


@dataclass(frozen=True)
class RailLabel:
    """A price label that a photo shows, numbered from 1 through all photos.

    shelf     of the plan, or without one the row of the photo, from the top; `position` that it hangs at, 0 for none
    sku       of the product that it is of: by its code or its words, else what its place is for; empty for none
    codes     texts of its codes, `words` what is printed on it, `price`: each only as far as it could be read
    listed    the price by the list, None where there is none
    """

    id: int
    area: PhotoArea
    shelf: int
    position: int
    status: LabelStatus
    sku: str = ""
    name: str = ""
    codes: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    price: float | None = None
    listed: float | None = None

    def to_dict(self) -> dict[str, Any]:
        return {
            "id": self.id,
            **self.area.to_dict(),
            "shelf": self.shelf,
            "position": self.position,
            "status": self.status,
            "sku": self.sku or None,
            "name": self.name,
            "codes": list(self.codes),
            "words": list(self.words),
            "price": self.price,
            "listed": self.listed,
        }


@dataclass(frozen=True)
class Finding:
    """Something at a place that calls for somebody, with its likely cause and what to do about it.

    kind         one of FAULTS, or where price labels are read of LABEL_FAULTS
    sku, name    of the product that should stand there
    product      of `wrong` and `misplaced`: what stands there, with its name, and `comes_from`: its place in the plan
    stands_at    of `misplaced`: where the place's own product stands
    missing      facings that are missing to the plan's, beside those that were `found`; `gap` are seen as empty space
    cause        one of `causes.CAUSES`, empty where nothing is known of stock and delivery; `action` one of
                 `causes.ACTIONS`; `why` says the rule in words
    cost         price × rate of sale × hours, in the currency of the stock file; 0 where nobody knows
    price        of `price differs`: what the label says, and what is `listed`
    """

    kind: Status | LabelFault
    fixture: str
    shelf: int
    position: int
    sku: str
    probability: float
    name: str = ""
    product: str = ""
    product_name: str = ""
    stands_at: Spot | None = None
    comes_from: Spot | None = None
    missing: int = 0
    found: int = 0
    gap: float = 0.0
    areas: tuple[PhotoArea, ...] = ()
    cause: str = ""
    action: str = ""
    why: str = ""
    cost: float = 0.0
    price: float | None = None
    listed: float | None = None

    @property
    def key(self) -> str:
        """The same in every check that finds the same fault: what is told once, and mended once."""
        return f"{self.fixture}/{self.shelf}/{self.position}/{self.sku}/{self.kind}"

    @property
    def text(self) -> str:
        """The finding as one sentence."""
        what = self.name or self.sku or "a product"
        place = f"shelf {self.shelf}" + (f", position {self.position}" if self.position else "")
        place = place if self.shelf else "in the photos"
        other = self.product_name or self.product
        told = {
            "low": f"{what} is low at {place}: {self.missing} facings are missing",
            "empty": f"{what} is missing at {place}",
            "misplaced": f"{what} of {place} stands at {self.stands_at}",
            "wrong": f"{other} stands in the place of {what} at {place}",
            "unknown": f"what stands in the place of {what} at {place} is not known",
            "no product": f"nothing stands above the label of {what} at {place}",
            "no label": f"{what} at {place} has no price label",
            "price differs": f"the label of {what} at {place} says {_said(self.price)}, the list {_said(self.listed)}",
        }
        return told.get(self.kind, f"{what}: {self.kind} at {place}")

    def to_dict(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "fixture": self.fixture,
            "shelf": self.shelf,
            "position": self.position,
            "sku": self.sku,
            "name": self.name,
            "probability": round(self.probability, 4),
            "text": self.text,
            **({"product": self.product, "product_name": self.product_name} if self.product else {}),
            **({"stands_at": self.stands_at.to_dict()} if self.stands_at else {}),
            **({"comes_from": self.comes_from.to_dict()} if self.comes_from else {}),
            "missing": self.missing,
            "found": self.found,
            "gap": round(self.gap, 2),
            "areas": [area.to_dict() for area in self.areas],
            "cause": self.cause,
            "action": self.action,
            "why": self.why,
            "cost": round(self.cost, 2),
            **({"price": self.price, "listed": self.listed} if self.price is not None else {}),
            "key": self.key,
        }


def _said(value: float | None) -> str:
    return "nothing" if value is None else f"{value:.2f}"


@dataclass(frozen=True)
class Gap:
    """Empty space on a shelf between facings, or between a facing and the end of the shelf, measured in `facings`.

    `shelf` of the plan, 0 where its row belongs to none; `row` in the photo, from 1 at the top.
    """

    area: PhotoArea
    row: int
    shelf: int
    facings: float

    def to_dict(self) -> dict[str, Any]:
        return {**self.area.to_dict(), "row": self.row, "shelf": self.shelf, "facings": round(self.facings, 2)}


@dataclass(frozen=True)
class CheckResult:
    """One check: photos of one fixture held against a plan. All tuples stand in reading order.

    findings  the dearest first, then the surest
    notes     sentences on what could not be told, and why
    labels    price labels, None where they were not looked for
    versions  what made the check, as in a scan's report
    """

    plan: str
    version: int
    fixtures: tuple[str, ...]
    photos: tuple[CheckedPhoto, ...]
    positions: tuple[PositionStatus, ...]
    findings: tuple[Finding, ...]
    instances: tuple[CheckedInstance, ...] = ()
    gaps: tuple[Gap, ...] = ()
    notes: tuple[str, ...] = ()
    versions: dict[str, str | int] = field(default_factory=dict)
    labels: tuple[RailLabel, ...] | None = None

    @property
    def statuses(self) -> dict[str, int]:
        """Number of places of each status, all of STATUSES."""
        found = Counter(position.status for position in self.positions)
        return {status: found[status] for status in STATUSES}

    @property
    def summary(self) -> dict[str, Any]:
        """Figures of the check, see `summed`; where labels were looked for, how many there are and of each fault."""
        if self.labels is None:
            return summed(self.positions)
        kinds = Counter(finding.kind for finding in self.findings)
        faults: dict[str, int] = {kind: kinds[kind] for kind in LABEL_FAULTS}
        return {**summed(self.positions), "labels": len(self.labels), **faults}

    def to_dict(self) -> dict[str, Any]:
        """The check as the JSON object that `retail-seg check` writes."""
        return {
            "plan": self.plan,
            "plan_version": self.version,
            "fixtures": list(self.fixtures),
            "photos": [photo.to_dict() for photo in self.photos],
            "positions": [position.to_dict() for position in self.positions],
            "findings": [finding.to_dict() for finding in self.findings],
            "summary": self.summary,
            "gaps": [gap.to_dict() for gap in self.gaps],
            "instances": [one.to_dict() for one in self.instances],
            **({} if self.labels is None else {"labels": [one.to_dict() for one in self.labels]}),
            "notes": list(self.notes),
            **self.versions,
        }


def summed(positions: Iterable[PositionStatus]) -> dict[str, Any]:
    """Figures of places: number of each status, and shares of those that were seen, None where none was.

    available   places at which their product stands, in enough facings or not: on-shelf availability
    compliance  places that are as planned
    seen        share of all places that a photo shows
    """
    found = Counter(position.status for position in positions)
    number = sum(found.values())
    seen = number - found["unseen"]
    return {
        "positions": number,
        **{status: found[status] for status in STATUSES},
        "available": round((found["ok"] + found["low"]) / seen, 4) if seen else None,
        "compliance": round(found["ok"] / seen, 4) if seen else None,
        "seen": round(seen / number, 4) if number else None,
    }


def write_checks_csv(results: Iterable[CheckResult], file: TextIO) -> None:
    """Write one row per place, with a header; no cell can start a formula in a spreadsheet."""
    writer = csv.writer(file)
    writer.writerow(CSV_COLUMNS)
    for result in results:
        told = {(one.fixture, one.shelf, one.position): one for one in result.findings if one.kind in FAULTS}
        for one in result.positions:
            finding = told.get((one.fixture, one.shelf, one.position))
            writer.writerow((
                safe_cell(one.fixture), one.shelf, one.position, safe_cell(one.sku), one.status,
                f"{one.probability:.4f}", one.found, one.facings, one.min_facings, safe_cell(one.product),
                f"{one.stands_at.shelf}/{one.stands_at.position}" if one.stands_at else "",
                finding.cause if finding else "", finding.action if finding else "",
            ))  # fmt: skip
