"""Photos that overlap: facings tied by local features, row by row, each counted once."""

from __future__ import annotations

from itertools import permutations
from typing import cast

import cv2
import numpy as np

from catalogue.plan_records import Plan, Position
from retail_seg.report import Identification, Match, Report, ReportLine
from retail_seg.segmentation.instances.instances import Instances
from retail_seg.shelf.deciding import decide
from retail_seg.shelf.overlaps import overlaps_of, same_facings
from retail_seg.shelf.seeing import sights_of
from retail_seg.store.scanning import Scanned, Seen, placed

FACING, SHELVES, WIDE = (100, 150), 3, 1800
NUMBER = WIDE // FACING[0]


def pack(seed: int) -> np.ndarray:
    """A pack's front with a pattern of its own."""
    rng = np.random.default_rng(seed)
    picture = np.full((FACING[1], FACING[0], 3), rng.integers(60, 220, 3), np.uint8)
    for _ in range(14):
        at = tuple(int(v) for v in rng.integers(8, 92, 2))
        cv2.circle(
            picture, at, int(rng.integers(4, 16)), tuple(int(v) for v in rng.integers(0, 255, 3)), -1, cv2.LINE_AA
        )
    cv2.rectangle(picture, (0, 0), (FACING[0] - 1, FACING[1] - 1), (20, 20, 20), 3)
    return picture


def bay(own: bool) -> np.ndarray:
    """Three shelves of one product each, facing by facing; `own`: each facing and its rail have marks of their own."""
    picture = np.full((SHELVES * 200, WIDE, 3), 90, np.uint8)
    rng = np.random.default_rng(5)
    for shelf in range(SHELVES):
        for n in range(NUMBER):
            y, x = shelf * 200 + 20, n * FACING[0]
            picture[y : y + FACING[1], x : x + FACING[0]] = pack(shelf)
            if own:
                for _ in range(4):
                    at = (x + int(rng.integers(10, 90)), y + int(rng.integers(10, 165)))
                    cv2.circle(picture, at, int(rng.integers(3, 8)), tuple(int(v) for v in rng.integers(0, 255, 3)), -1)
    return picture


def photo(whole: np.ndarray, start: int, end: int, name: str, known: bool = True) -> Scanned:
    """A window of the bay, with its facings in it; those that it cuts are left out."""
    lines = []
    for shelf in range(SHELVES):
        for n in range(NUMBER):
            left = n * FACING[0]
            if left < start or left + FACING[0] > end:
                continue
            sku = f"P{shelf}"
            told = Identification("known", sku, sku, 0.97, 0.5, (Match(sku, sku, 0.9, 0, 0.97),))
            unknown = Identification("unknown", None, "", 0.0, 0.0, ())
            box = left - start, shelf * 200 + 20, *FACING
            lines.append(ReportLine(len(lines) + 1, box, 1, (), 1.0, False, told if known else unknown))
    picture = np.ascontiguousarray(whole[:, start:end])
    size = end - start, whole.shape[0]
    seen = Seen(name, size, picture, cast(Instances, None), (), (), np.zeros(0, bool))
    return Scanned(seen, np.zeros((0, 1), np.float32), Report(name, *size, placed(lines)))


def places(scanned: list[Scanned], starts: list[int]) -> dict[int, tuple[int, int]]:
    """Where each instance stands in the bay, by number through all photos: its left edge and its top."""
    boxes = [(start, line.box) for one, start in zip(scanned, starts, strict=True) for line in one.report.instances]
    return {n: (start + box[0], box[1]) for n, (start, box) in enumerate(boxes, 1)}


def test_facings_that_repeat_are_tied_to_themselves_whatever_they_are_taken_for() -> None:
    whole, starts = bay(own=True), [0, 610]
    for known in (True, False):
        scanned = [photo(whole, 0, 1190, "l.jpg", known), photo(whole, 610, 1800, "r.jpg", known)]
        sights = sights_of([one.report for one in scanned])
        tied = same_facings(sights, overlaps_of(scanned, sights))
        at = places(scanned, starts)
        assert all(len({at[one] for one in pair}) == 1 for pair in tied)
        shared = sum(x >= 610 and x + FACING[0] <= 1190 for x, _ in at.values()) // 2
        assert len(tied) >= 0.9 * shared


def test_the_order_of_photos_ties_the_same_facings() -> None:
    whole = bay(own=True)
    one, other = photo(whole, 0, 1190, "l.jpg"), photo(whole, 610, 1800, "r.jpg")
    found = []
    for scanned, starts in (([one, other], [0, 610]), ([other, one], [610, 0])):
        sights = sights_of([part.report for part in scanned])
        at = places(scanned, starts)
        found.append({at[min(pair)] for pair in same_facings(sights, overlaps_of(scanned, sights))})
    assert found[0] and found[0] == found[1]


def test_where_all_repeats_nothing_is_tied() -> None:
    whole = bay(own=False)
    scanned = [photo(whole, 0, 1190, "l.jpg"), photo(whole, 610, 1800, "r.jpg")]
    assert overlaps_of(scanned, sights_of([one.report for one in scanned])) == ()
    assert overlaps_of(scanned[:1], sights_of([scanned[0].report])) == ()
    other = [photo(bay(own=True), 0, 900, "l.jpg"), photo(whole[:, ::-1], 900, 1800, "r.jpg")]
    assert overlaps_of(other, sights_of([one.report for one in other])) == ()


def test_a_list_counts_what_two_photos_show_once() -> None:
    whole = bay(own=True)
    scanned = [photo(whole, 0, 1190, "l.jpg"), photo(whole, 610, 1800, "r.jpg")]
    sights = sights_of([one.report for one in scanned])
    plan = Plan("list", (Position("list", 0, 1, "P0", NUMBER, NUMBER),), "list")
    tied = same_facings(sights, overlaps_of(scanned, sights))
    for pairs, photos in ((tied, sights), (frozenset(), sights)):
        (found,) = decide(photos, plan, tied=pairs).positions
        assert found.status == ("ok" if pairs else "low")
        assert abs(found.found - (NUMBER if pairs else 11)) <= 1


def test_a_place_counts_tied_facings_once_where_their_places_do_not_tell() -> None:
    whole = bay(own=True)
    scanned = [photo(whole, 0, 1190, "l.jpg"), photo(whole, 610, 1800, "r.jpg")]
    sights = sights_of([one.report for one in scanned])
    plan = Plan("plan", tuple(Position("bay", n + 1, 1, f"P{n}", NUMBER, NUMBER - 1) for n in range(SHELVES)))
    tied = same_facings(sights, overlaps_of(scanned, sights))
    found = decide(sights, plan, tied=tied)
    assert {one.status for one in found.positions} == {"ok"}
    assert all(one.found == NUMBER for one in found.positions)


def test_the_order_of_photos_changes_no_status_of_tied_facings() -> None:
    whole = bay(own=True)
    parts = [photo(whole, 0, 1190, "l.jpg"), photo(whole, 610, 1800, "r.jpg"), photo(whole, 300, 1400, "m.jpg")]
    plans = (
        Plan("plan", tuple(Position("bay", n + 1, 1, f"P{n}", NUMBER, NUMBER) for n in range(SHELVES))),
        Plan("list", tuple(Position("list", 0, n + 1, f"P{n}", NUMBER, NUMBER) for n in range(SHELVES)), "list"),
    )
    for plan in plans:
        told = []
        for order in permutations(parts):
            sights = sights_of([one.report for one in order])
            found = decide(sights, plan, tied=same_facings(sights, overlaps_of(order, sights)))
            told.append([(one.status, one.found) for one in found.positions])
        assert all(one == told[0] for one in told), told
