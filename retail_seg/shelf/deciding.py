"""What photos show, held against a plan ► the check's result. No store, no pictures: it runs on boxes and chances."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np

from catalogue.plan_records import Plan, Position
from retail_seg.shelf.judging import Judged, counts_of, instances_of, judge
from retail_seg.shelf.reading import SightRead, read_sight, widths_of
from retail_seg.shelf.results import (
    FAULTS,
    CheckedInstance,
    CheckedPhoto,
    CheckResult,
    Finding,
    Gap,
    PhotoArea,
    PositionStatus,
    Spot,
)
from retail_seg.shelf.seeing import Shown, Sight, shown_together
from retail_seg.shelf.views import Loose, joined, views_of

#: Empty space from so many facings on is a gap.
GAP = 0.6
#: A facing is a listed product from this chance on.
LISTED = 0.5


def decide(
    sights: Sequence[Sight],
    plan: Plan,
    strangers: Collection[str] = (),
    names: Mapping[str, str] | None = None,
    tied: Collection[frozenset[int]] = (),
) -> CheckResult:
    """Hold photos of one fixture against a plan.

    Of a plan of several fixtures it is the one that the photos fit best. `strangers` are SKUs that the catalogue has
    no references of; `names` are of products by SKU; `tied` are pairs of ids that show one facing in two photos, see
    `overlaps.same_facings`. The order of the photos changes no status.
    """
    names = names or {}
    if plan.kind == "list":
        return _decide_list(sights, plan, strangers, names, tied)
    fixture, reads = _fixture(sights, plan, strangers)
    positions = plan.of(fixture)
    judged, loose = _judged(reads, positions, sorted(set(strangers) & {one.sku for one in positions}), tied)
    statuses = tuple(_named(one.status, names) for one in judged)
    gaps = tuple(gap for n, read in enumerate(reads) for gap in _gaps(read, n))
    found = [
        finding_of(status, one, positions)
        for status, one in zip(statuses, judged, strict=True)
        if status.status in FAULTS
    ]
    return CheckResult(
        plan.name, plan.version, (fixture,), _photos(sights), statuses, ranked(found), instances_of(judged, loose),
        gaps, _notes(reads, strangers),
    )  # fmt: skip


def ranked(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Findings with the dearest first, then the surest, then in reading order."""
    return tuple(
        sorted(findings, key=lambda one: (-one.cost, -round(one.probability, 2), one.fixture, one.shelf, one.position))
    )


def _fixture(sights: Sequence[Sight], plan: Plan, strangers: Collection[str]) -> tuple[str, list[SightRead]]:
    """The fixture of the plan that the photos fit best, with the photos read against it."""
    best: tuple[float, str, list[SightRead]] | None = None
    widths = _shared_widths(sights)
    for fixture in plan.fixtures:
        positions = plan.of(fixture)
        skus = sorted({one.sku for one in positions})
        unknown = sorted(set(strangers) & set(skus))
        reads = [read_sight(sight, positions, skus, unknown, wide) for sight, wide in zip(sights, widths, strict=True)]
        cost = sum(sorted(read.cost for read in reads))
        if best is None or cost < best[0] - 1e-9:
            best = cost, fixture, reads
    assert best is not None, "a plan has a fixture"
    return best[1], best[2]


def _shared_widths(sights: Sequence[Sight]) -> list[dict[str, float]]:
    """For each photo the widths, in its pixels, of products that others show, by those that both show."""
    own = [widths_of(sight)[0] for sight in sights]
    found: list[dict[str, float]] = []
    for mine in own:
        told: dict[str, list[float]] = {}
        for its in own:
            both = sorted(set(mine) & set(its))
            if its is mine or not both:
                continue
            scale = float(np.median([mine[sku] / its[sku] for sku in both]))
            for sku, width in its.items():
                told.setdefault(sku, []).append(width * scale)
        found.append({sku: float(np.median(some)) for sku, some in told.items()})
    return found


def _judged(
    reads: Sequence[SightRead],
    positions: Sequence[Position],
    strangers: Sequence[str],
    tied: Collection[frozenset[int]] = (),
) -> tuple[list[Judged], list[Loose]]:
    views = defaultdict(list)
    loose: list[Loose] = []
    for n, read in enumerate(reads):
        seen, extras = views_of(read, n)
        loose += extras
        for key, view in seen.items():
            views[key].append(view)
    places = [joined(views[one.shelf, one.position], tied) for one in positions]
    counted = {id_ for place in places for id_ in place.same}
    own = {id_ for place in places for view in place.views for stand in view.own for id_ in stand.ids}
    astray = [one for one in loose if not own & set(one.stand.ids) and not counted & set(one.stand.ids)]
    planned = sorted({one.sku for one in positions})
    return judge(places, _in_order(astray), planned, strangers), loose


def _in_order(loose: Sequence[Loose]) -> list[Loose]:
    """Astray facings in an order that does not hang on that of the photos."""
    return sorted(
        loose, key=lambda one: (one.shelf, one.position, one.stand.area.box, sorted(one.stand.chances.items()))
    )


def _named(status: PositionStatus, names: Mapping[str, str]) -> PositionStatus:
    return replace(status, name=names.get(status.sku, ""), product_name=names.get(status.product, ""))


def _photos(sights: Sequence[Sight]) -> tuple[CheckedPhoto, ...]:
    return tuple(CheckedPhoto(one.image, one.width, one.height) for one in sights)


def finding_of(status: PositionStatus, one: Judged | None, positions: Sequence[Position]) -> Finding:
    """The finding that a faulty status is."""
    home = [place for place in positions if place.sku == status.product and place.shelf]
    missing = max(status.facings - status.found, 0)
    gap = 0.0
    if one is not None and status.status in ("empty", "low", "misplaced"):
        gap = one.joined.view.free * status.facings
    return Finding(
        status.status, status.fixture, status.shelf, status.position, status.sku, status.probability, status.name,
        status.product, status.product_name, status.stands_at,
        Spot(home[0].shelf, home[0].position) if len(home) == 1 else None, missing, status.found, gap, status.areas,
    )  # fmt: skip


def _gaps(read: SightRead, photo: int) -> list[Gap]:
    """Empty space of a photo's rows, from the top."""
    boards = {one.row: read.boards[b] for b, one in read.rows.items()}
    found = []
    for r, row in enumerate(read.sight.rows):
        board = boards.get(r)
        usual = float(np.median(row.widths))
        starts, ends = [*row.boxes[:, 2]], [*row.boxes[1:, 0]]
        if board is not None:
            left, right = np.clip(read.fit(board.shelf, board.edges[[0, -1], [0, 1]]), 0, read.sight.width)
            starts, ends = [left, *starts], [row.boxes[0, 0], *ends, right]
        for x0, x1 in zip(starts, ends, strict=False):
            if x1 - x0 < GAP * usual:
                continue
            top, bottom = float(row.boxes[:, 1].min()), float(row.boxes[:, 3].max())
            if board is not None:
                top, bottom = read.bands.at(board.shelf, (x0 + x1) / 2)
            box = round(float(x0)), round(max(top, 0)), round(float(x1 - x0)), round(bottom - max(top, 0))
            found.append(Gap(PhotoArea(photo, box), r + 1, board.shelf if board else 0, float(x1 - x0) / usual))
    return found


def _notes(reads: Sequence[SightRead], strangers: Collection[str]) -> tuple[str, ...]:
    notes = [
        f"{one.sight.image}: nothing of the plan was recognised in it; give a photo of this fixture"
        for one in reads
        if not one.rows
    ]
    notes += [
        f"SKU {sku} has no references, so what stands at its places cannot be told; add some"
        for sku in sorted(strangers)
    ]
    return tuple(notes)


def _decide_list(
    sights: Sequence[Sight],
    plan: Plan,
    strangers: Collection[str],
    names: Mapping[str, str],
    tied: Collection[frozenset[int]],
) -> CheckResult:
    """Presence alone: of each listed product how many facings the photo that shows most of them has, or photos that
    are laid on each other together.
    """
    parts = shown_together(sights, tied)
    statuses = tuple(_named(_presence(parts, one, strangers), names) for one in plan.positions)
    findings = [finding_of(status, None, plan.positions) for status in statuses if status.status in FAULTS]
    instances = []
    for n, sight in enumerate(sights):
        for row in sight.rows:
            for ids, chances, box in zip(row.ids, row.chances, row.boxes.tolist(), strict=True):
                best = max(sorted(chances), key=lambda sku: chances[sku], default="")
                sku = best if best and chances[best] >= LISTED else ""
                area = PhotoArea(n, (round(box[0]), round(box[1]), round(box[2] - box[0]), round(box[3] - box[1])))
                instances += [CheckedInstance(id_, area, sku, chances.get(sku, 0.0)) for id_ in ids]
    ordered = tuple(sorted(instances, key=lambda one: one.id))
    fixtures = plan.fixtures
    return CheckResult(plan.name, plan.version, fixtures, _photos(sights), statuses, ranked(findings), ordered, (),
                       _notes([], strangers))  # fmt: skip


def _presence(parts: Sequence[Sequence[Shown]], one: Position, strangers: Collection[str]) -> PositionStatus:
    best: tuple[list[float], tuple[int, ...]] = ([], ())
    for part in parts:
        sure = [(chance, ids) for ids, chances in part if (chance := chances.get(one.sku, 0.0)) >= LISTED]
        if len(sure) > len(best[0]):
            best = [chance for chance, _ in sure], tuple(id_ for _, ids in sure for id_ in ids)
    spread, found = counts_of(best[0]), len(best[0])
    base = PositionStatus(
        one.fixture, one.shelf, one.position, one.sku, "ok", 1.0, found, best[1], one.facings, one.min_facings
    )
    if one.sku in strangers:
        return replace(base, status="unknown", probability=1.0)
    if found >= one.min_facings:
        return replace(base, probability=sum(spread[one.min_facings :]))
    if found:
        return replace(base, status="low", probability=sum(spread[: one.min_facings]))
    none = 1.0
    for _, chances in (shown for part in parts for shown in part):
        none *= 1 - chances.get(one.sku, 0.0)
    return replace(base, status="empty", probability=max(none, 0.5))
