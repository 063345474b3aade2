"""Photos of a fixture held against a plan: the call that scripts, the command line and the app share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from catalogue.plan_records import Plan
from retail_seg.errors import PhotoError
from retail_seg.people.roles import require
from retail_seg.photos.load import PhotoSource
from retail_seg.shelf.causes import ProductStock, explained
from retail_seg.shelf.deciding import decide
from retail_seg.shelf.results import CheckResult
from retail_seg.shelf.second_look import looked_again
from retail_seg.shelf.seeing import sights_of
from retail_seg.store.given_boxes import GivenBoxes

if TYPE_CHECKING:
    from retail_seg.matcher import Matcher
    from retail_seg.report import Report
    from retail_seg.store.among import Among
    from retail_seg.store.scanning import Scanned

#: Candidates of a facing that are looked at: a planned product may be far down among its look-alikes.
CANDIDATES = 20


@dataclass(frozen=True, eq=False)
class CheckOutcome:
    """A check with the photos as they were scanned, in their order, and what is to be said of those that failed."""

    result: CheckResult
    scanned: tuple[Scanned, ...]
    failed: tuple[PhotoError, ...] = ()


def check(
    matcher: Matcher,
    photos: Iterable[PhotoSource],
    plan: Plan,
    *,
    stock: Mapping[str, ProductStock] | None = None,
    side: int | None = None,
    workers: int | None = None,
    among: Among | None = None,
    on_photo: Callable[[], None] = lambda: None,
) -> CheckOutcome:
    """Scan photos of one fixture and hold them against a plan; a photo that cannot be read fails alone.

    `stock` tells why something may be missing; `side`, `workers` and `among` are as in
    `Matcher.scan_each`; `on_photo` hears of each photo when it is scanned. Raises the photo's own PhotoError where
    none is left. Only staff may.
    """
    require("staff")
    done: list[Scanned] = []
    failed: list[PhotoError] = []
    for found in matcher.scan_each(photos, workers=workers, top=CANDIDATES, side=side, among=among):
        (failed if isinstance(found, PhotoError) else done).append(found)  # type: ignore[arg-type]
        on_photo()
    if not done:
        raise failed[0] if failed else PhotoError("no photo is given; name at least one of the fixture")
    return CheckOutcome(check_scanned(matcher, done, plan, stock), tuple(done), tuple(failed))


def check_scanned(
    matcher: Matcher, scanned: Sequence[Scanned], plan: Plan, stock: Mapping[str, ProductStock] | None = None
) -> CheckResult:
    """Hold photos of one fixture that were scanned (with CANDIDATES candidates) against a plan; `stock` as in `check`.

    Places that seem to lack facings are looked at again; where boxes were given, who gave them has seen all there is.
    """
    result = check_reports(matcher, [one.report for one in scanned], plan, stock)
    if plan.kind == "list" or isinstance(matcher.segmenter, GivenBoxes):
        return result
    again = looked_again(matcher, scanned, result, CANDIDATES)
    return result if again is None else check_reports(matcher, again, plan, stock)


def check_reports(
    matcher: Matcher, reports: Sequence[Report], plan: Plan, stock: Mapping[str, ProductStock] | None = None
) -> CheckResult:
    """Hold what photos of one fixture were found to show against a plan; `stock` as in `check`."""
    catalogue = matcher.catalogue
    with_references = catalogue.reference_counts(plan.skus)
    names = catalogue.names_of(
        {*plan.skus, *(match.sku for one in reports for line in one.instances for match in line.matches)}
    )
    result = decide(sights_of(reports), plan, sorted(set(plan.skus) - set(with_references)), names)
    return replace(explained(result, stock), versions=dict(reports[0].versions))
