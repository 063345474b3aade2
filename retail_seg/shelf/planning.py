"""Plans kept in a store: imported, made of a confirmed scan, listed, exported, taken out, changes taken back."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from catalogue import plans, shelf_history
from catalogue.errors import UnknownPlan
from catalogue.plan_records import Plan, Position
from catalogue.plans import Fixture, KeptPlan
from catalogue.shelf_history import ShelfChange
from retail_seg.errors import PlanError
from retail_seg.people.roles import sign
from retail_seg.report import Report
from retail_seg.scans.review import open_review
from retail_seg.segmentation.instances.rows import shelf_places
from retail_seg.shelf import azure
from retail_seg.shelf.plan_files import PlanFile, read_plan, write_csv

if TYPE_CHECKING:
    import numpy as np

    from catalogue import Catalogue
    from retail_seg.matcher import Matcher

#: Of a scanned shelf so many of a product's facings are enough: a facing that is sold leaves the next one behind it.
ENOUGH = 0.5
FORMS = ("csv", "azure")


def find_plan(matcher: Matcher, text: str) -> PlanFile:
    """The plan that a person means: a kept one by its name, else a file. Raises UnknownPlan and PlanError."""
    path, catalogue = Path(text), matcher.catalogue
    if path.suffix.lower() in (".csv", ".json", ".tsv", ".txt") and path.exists():
        return read_plan(path, known=known_skus(catalogue))
    try:
        return PlanFile(plans.load(catalogue, text))
    except UnknownPlan:
        if path.is_file():
            return read_plan(path, known=known_skus(catalogue))
        raise


def known_skus(catalogue: Catalogue) -> set[str]:
    """SKUs of all products that are not removed."""
    number, found = catalogue.count_products(), set()
    for offset in range(0, number, 1000):
        found |= {product.sku for product in catalogue.products(offset, 1000)}
    return found


def import_plan(
    matcher: Matcher, path: Path, name: str = "", *, starts: str = "", ends: str = "", by: str = ""
) -> tuple[PlanFile, int]:
    """Keep a plan of a file as the next version under its name; returns what was read, and the version.

    `starts` and `ends` are days (YYYY-MM-DD), empty for always. Raises PlanError, and PlanConflict where a fixture has
    another plan at that time. Only a manager may.
    """
    by = sign("manager", by)
    found = read_plan(path, name, known_skus(matcher.catalogue))
    return found, keep_plan(matcher, found.plan, source=path.name, starts=starts, ends=ends, by=by)


def keep_plan(matcher: Matcher, plan: Plan, *, source: str = "", starts: str = "", ends: str = "", by: str = "") -> int:
    """Keep a plan as the next version under its name; returns the version. Raises as `import_plan`."""
    by = sign("manager", by)
    for day in (starts, ends):
        _check_day(day)
    if starts and ends and ends < starts:
        raise PlanError(f"the plan would end on {ends}, before it starts on {starts}; exchange the days")
    return plans.save(matcher.catalogue, plan, source=source, starts=starts, ends=ends, by=by)


def _check_day(day: str) -> None:
    try:
        if day:
            date.fromisoformat(day)
    except ValueError:
        raise PlanError(f"{day!r} is no day; write it as 2026-03-31") from None


def plan_from_scan(
    matcher: Matcher, scan: int, name: str, fixture: str = "", *, by: str = ""
) -> tuple[Plan, int, tuple[str, ...]]:
    """The shelf as it was: a kept scan of the full shelf, with what people corrected, becomes a plan.

    Returns the plan, its version, and notes on what is not part of it. Raises UnknownScan, PlanError where nothing was
    recognised, and as `keep_plan`. Only a manager may.
    """
    by = sign("manager", by)
    plan, notes = plan_of_report(open_review(matcher, scan).report, name, fixture or name)
    return plan, keep_plan(matcher, plan, source=f"scan {scan}", by=by), notes


def plan_of_report(report: Report, name: str, fixture: str) -> tuple[Plan, tuple[str, ...]]:
    """A report's rows and runs as a plan, lengths in the photo's pixels; PlanError where nothing was recognised."""
    import numpy as np

    lines = report.instances
    boxes = np.array([line.box for line in lines]).reshape(-1, 4)
    skus = [line.best_sku for line in lines]
    places = shelf_places(boxes, skus)
    runs: dict[tuple[int, int], list[int]] = {}
    for i, sku in enumerate(skus):
        if sku is not None:
            runs.setdefault((int(places.row[i]), int(places.run[i])), []).append(i)
    if not runs:
        raise PlanError(f"{report.image}: nothing on it is recognised; correct the scan first")
    shelves = {row: n for n, row in enumerate(sorted({row for row, _ in runs}), 1)}
    numbers: dict[int, int] = {}
    positions = []
    for row, run in sorted(runs):
        numbers[row] = numbers.get(row, 0) + 1
        members = runs[row, run]
        facings = len({int(places.position[i]) for i in members})
        spot = fixture, shelves[row], numbers[row], skus[members[0]] or ""
        positions.append(Position(*spot, facings, max(round(ENOUGH * facings), 1), *_extent(boxes[members])))
    unknown, likely = skus.count(None), sum(line.proposed is not None for line in lines)
    notes = (
        [f"{unknown} things that nobody has named are not part of the plan; name them in the scan"] if unknown else []
    )
    notes += [f"{likely} are only likely what the plan says; confirm them in the scan"] if likely else []
    return Plan(name, tuple(positions), "scan"), tuple(notes)


def _extent(boxes: np.ndarray) -> tuple[float, float, float]:
    """x, y and width of a run."""
    left, top, right = boxes[:, 0].min(), boxes[:, 1].min(), (boxes[:, 0] + boxes[:, 2]).max()
    return float(left), float(top), float(right - left)


def list_plans(matcher: Matcher) -> list[KeptPlan]:
    """The newest version of each plan, by name."""
    return plans.latest(matcher.catalogue)


def load_plan(matcher: Matcher, name: str, version: int | None = None) -> tuple[KeptPlan, Plan]:
    """A kept plan's row and its positions; raises UnknownPlan."""
    return plans.kept(matcher.catalogue, name, version), plans.load(matcher.catalogue, name, version)


def export_plan(matcher: Matcher, name: str, form: str = "csv", version: int | None = None) -> str:
    """The text of a file that imports again, one of FORMS; raises UnknownPlan, PlanError."""
    plan = plans.load(matcher.catalogue, name, version)
    if form == "azure":
        return azure.write(plan, matcher.catalogue.names_of(plan.skus))
    return write_csv(plan)


def remove_plan(matcher: Matcher, name: str, *, by: str = "") -> int:
    """Take a plan out; returns the change's number, which brings it back. Only a manager may."""
    return plans.remove(matcher.catalogue, name, by=sign("manager", by))


def place_fixture(matcher: Matcher, fixture: str, shop: str = "", area: str = "") -> None:
    """Say in which shop and area a fixture stands. Only a manager may."""
    sign("manager", "")
    plans.place_fixture(matcher.catalogue, Fixture(fixture, shop, area))


def list_fixtures(matcher: Matcher) -> list[Fixture]:
    """All fixtures that any plan is or was of, by name."""
    return plans.fixtures(matcher.catalogue)


def changes(matcher: Matcher, subject: str = "", limit: int = 50) -> Iterable[ShelfChange]:
    """What was changed in plans, checks and tasks, newest first; of one of them with `subject` ("plan NAME")."""
    return shelf_history.changes(matcher.catalogue, subject, limit=limit)


def undo(matcher: Matcher, number: int, *, by: str = "") -> ShelfChange:
    """Take a change of plans, checks or tasks back; raises UndoError, PlanConflict. Only a manager may."""
    return shelf_history.undo(matcher.catalogue, number, by=sign("manager", by))
