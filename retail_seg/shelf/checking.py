"""Photos of a fixture held against a plan: the call that scripts, the command line and the app share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from catalogue.plan_records import Plan
from retail_seg.errors import PhotoError, PlanError
from retail_seg.people.roles import require
from retail_seg.photos.load import PhotoSource
from retail_seg.shelf.causes import ProductStock, explained
from retail_seg.shelf.deciding import decide
from retail_seg.shelf.labelled import with_labels
from retail_seg.shelf.overlaps import Overlap, overlaps_of, same_facings
from retail_seg.shelf.results import CheckedPhoto, CheckResult
from retail_seg.shelf.second_look import looked_again
from retail_seg.shelf.seeing import sights_of
from retail_seg.shelf.straightening import FixtureCorners, laid_back, straightened
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
    plan: Plan | None,
    *,
    labels: bool = False,
    stock: Mapping[str, ProductStock] | None = None,
    side: int | None = None,
    workers: int | None = None,
    among: Among | None = None,
    corners: Mapping[str, FixtureCorners] | None = None,
    on_photo: Callable[[], None] = lambda: None,
) -> CheckOutcome:
    """Scan photos of one fixture and hold them against a plan; a photo that cannot be read fails alone.

    `labels`: price labels are found and read, too; then a plan may be left out. `stock` tells why something may be
    missing, and what it costs; `side`, `workers` and `among` are as in `Matcher.scan_each`; `corners` are those of the
    fixture in photos taken from the side, by the photo's name in its report; `on_photo` hears of each photo when it is
    scanned. Raises the photo's own PhotoError where none is left. Only staff may.
    """
    require("staff")
    done: list[Scanned] = []
    failed: list[PhotoError] = []
    for found in matcher.scan_each(photos, workers=workers, top=CANDIDATES, side=side, among=among):
        (failed if isinstance(found, PhotoError) else done).append(found)  # type: ignore[arg-type]
        on_photo()
    if not done:
        raise failed[0] if failed else PhotoError("no photo is given; name at least one of the fixture")
    return CheckOutcome(
        check_scanned(matcher, done, plan, stock, labels=labels, corners=corners), tuple(done), tuple(failed)
    )


def check_scanned(
    matcher: Matcher,
    scanned: Sequence[Scanned],
    plan: Plan | None,
    stock: Mapping[str, ProductStock] | None = None,
    *,
    labels: bool = False,
    corners: Mapping[str, FixtureCorners] | None = None,
) -> CheckResult:
    """Hold photos of one fixture that were scanned (with CANDIDATES candidates) against a plan; the rest as in `check`.

    Places that seem to lack facings are looked at again; where boxes were given, who gave them has seen all there is.
    Raises PlanError where there is neither a plan nor a look at labels.
    """
    if plan is None and not labels:
        raise PlanError("a check needs a plan; name one, or look at price labels alone")
    result = _unplanned(matcher, scanned) if plan is None else _against(matcher, scanned, plan, stock, corners)
    return with_labels(matcher, scanned, result, stock) if labels else result


def _unplanned(matcher: Matcher, scanned: Sequence[Scanned]) -> CheckResult:
    """A check of nothing yet, whose photos are these."""
    photos = tuple(CheckedPhoto(one.report.image, one.report.width, one.report.height) for one in scanned)
    return CheckResult("", 0, (), photos, (), (), versions=dict(scanned[0].report.versions))


def _against(
    matcher: Matcher,
    scanned: Sequence[Scanned],
    plan: Plan,
    stock: Mapping[str, ProductStock] | None,
    corners: Mapping[str, FixtureCorners] | None,
) -> CheckResult:
    reports = [one.report for one in scanned]
    overlaps = overlaps_of(scanned, sights_of(reports))
    result = check_reports(matcher, reports, plan, stock, overlaps, corners)
    if plan.kind == "list" or isinstance(matcher.segmenter, GivenBoxes):
        return result
    again = looked_again(matcher, scanned, result, CANDIDATES)
    return result if again is None else check_reports(matcher, again, plan, stock, overlaps, corners)


def check_reports(
    matcher: Matcher,
    reports: Sequence[Report],
    plan: Plan,
    stock: Mapping[str, ProductStock] | None = None,
    overlaps: Sequence[Overlap] = (),
    corners: Mapping[str, FixtureCorners] | None = None,
) -> CheckResult:
    """Hold what photos of one fixture were found to show against a plan; `stock` as in `check`.

    `overlaps` say which photos lie on each other: what two of them show counts once, whatever it is taken for.
    `corners` are as in `check`.
    """
    catalogue = matcher.catalogue
    with_references = catalogue.reference_counts(plan.skus)
    names = catalogue.names_of(
        {*plan.skus, *(match.sku for one in reports for line in one.instances for match in line.matches)}
    )
    known = corners or {}
    straight = sights_of([straightened(one, known.get(one.image)) for one in reports])
    strangers = sorted(set(plan.skus) - set(with_references))
    found = decide(straight, plan, strangers, names, same_facings(sights_of(reports), overlaps))
    result = laid_back(found, reports, known)
    return replace(explained(result, stock), versions=dict(reports[0].versions))
