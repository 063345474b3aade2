"""A plan held against what stands on its shelves: made of boxes and chances, no picture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalogue.plan_records import Plan, Position
from retail_seg.shelf.deciding import decide
from retail_seg.shelf.results import CheckResult
from retail_seg.shelf.seeing import FacingRow, Sight

WIDTHS = {"A": 60, "B": 75, "C": 90, "D": 55, "E": 110, "F": 80, "G": 70, "H": 65}
PITCH = 220
Shelves = list[list[tuple[str, int]]]
SLOW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def plan_of(shelves: Shelves, least: int | None = None, lengths: bool = False) -> Plan:
    found = []
    for shelf, row in enumerate(shelves, 1):
        x = 0.0
        for number, (sku, facings) in enumerate(row, 1):
            wide = float(WIDTHS[sku] * facings)
            place = (x, PITCH * shelf - 100.0, wide) if lengths else (None, None, None)
            found.append(Position("bay", shelf, number, sku, facings, facings if least is None else least, *place))
            x += wide
    return Plan("plan", tuple(found))


def photo(
    shelves: list[list[str | None]],
    window: tuple[float, float] = (0.0, 2000.0),
    tilt: float = 0.0,
    name: str = "a.jpg",
    chance: float = 0.9,
) -> Sight:
    """What stands there from left to right, None for the space of a facing, `?` for what nobody knows."""
    rows, number = [], 0
    for shelf, row in enumerate(shelves, 1):
        boxes, ids, chances, x = [], [], [], 0.0
        for one in row:
            wide = WIDTHS.get(one or "", 75)
            left, right = x - window[0], x + wide - window[0]
            x += wide
            if one is None or left < -0.5 * wide or right > window[1] - window[0] + 0.5 * wide:
                continue
            number += 1
            base = PITCH * shelf + tilt * (left + right) / 2
            boxes.append((max(left, 0) + 1, base - 150, min(right, window[1] - window[0]) - 1, base))
            ids.append((number,))
            chances.append({} if one == "?" else {one: chance})
        if boxes:
            rows.append(FacingRow(np.array(boxes), tuple(ids), tuple(chances)))
    return Sight(name, round(window[1] - window[0]), PITCH * len(shelves) + 100, tuple(rows))


def standing(shelves: Shelves) -> list[list[str | None]]:
    return [[sku for sku, facings in row for _ in range(facings)] for row in shelves]


def statuses(result: CheckResult) -> dict[tuple[int, int], str]:
    return {(one.shelf, one.position): one.status for one in result.positions}


def wide_as(shelves: Shelves) -> float:
    return float(max(sum(WIDTHS[sku] * n for sku, n in row) for row in shelves))


runs = st.tuples(st.sampled_from(sorted(WIDTHS)), st.integers(1, 4))
fixtures = st.lists(st.lists(runs, min_size=1, max_size=6), min_size=1, max_size=5)


@SLOW
@given(fixtures, st.floats(-0.12, 0.12), st.booleans())
def test_any_plan_against_itself_is_ok_everywhere(shelves: Shelves, tilt: float, lengths: bool) -> None:
    sight = photo(standing(shelves), (0.0, wide_as(shelves)), tilt)
    found = decide([sight], plan_of(shelves, lengths=lengths))
    assert set(statuses(found).values()) == {"ok"}
    assert not found.findings
    counted = [id_ for one in found.positions for id_ in one.instances]
    assert sorted(counted) == list(range(1, sight.facings + 1))


@SLOW
@given(fixtures, st.data())
def test_the_order_of_photos_does_not_matter(shelves: Shelves, data: st.DataObject) -> None:
    stands = standing(shelves)
    for row in stands:
        for at in range(len(row)):
            if data.draw(st.integers(0, 6)) == 0:
                row[at] = data.draw(st.sampled_from([None, "?", *sorted(WIDTHS)]))
    wide = wide_as(shelves)
    parts = [photo(stands, (0.0, 0.6 * wide), name="l.jpg"), photo(stands, (0.4 * wide, wide), name="r.jpg"),
             photo(stands, (0.2 * wide, 0.9 * wide), name="m.jpg")]  # fmt: skip
    plan = plan_of(shelves, least=1)
    one, other = decide(parts, plan), decide(parts[::-1], plan)
    assert [(p.status, p.found, round(p.probability, 6), p.product, p.stands_at) for p in one.positions] == [
        (p.status, p.found, round(p.probability, 6), p.product, p.stands_at) for p in other.positions
    ]


BAY: Shelves = [[("A", 2), ("B", 3), ("C", 2), ("D", 2)], [("E", 2), ("F", 1), ("G", 3), ("H", 2)],
                [("B", 2), ("H", 2), ("A", 4)]]  # fmt: skip


def changed(**places: list[str | None]) -> list[list[str | None]]:
    """What stands in the bay; s1p2=[…] says what stands in the second place of the first shelf."""
    rows: list[list[str | None]] = []
    for shelf, row in enumerate(BAY, 1):
        rows.append([])
        for position, (sku, facings) in enumerate(row, 1):
            rows[-1] += places.get(f"s{shelf}p{position}", [sku] * facings)
    return rows


def faults(result: CheckResult) -> dict[tuple[int, int], str]:
    return {key: status for key, status in statuses(result).items() if status != "ok"}


@pytest.mark.parametrize("lengths", [False, True])
@pytest.mark.parametrize("tilt", [0.0, 0.1])
@pytest.mark.parametrize(
    ("places", "expected"),
    [
        ({"s1p2": [None] * 3}, {(1, 2): "empty"}),
        ({"s1p1": [None] * 2}, {(1, 1): "empty"}),
        ({"s2p4": [None] * 2}, {(2, 4): "empty"}),
        ({"s2p3": ["G", None, None]}, {(2, 3): "low"}),
        ({"s1p3": ["F", "F"]}, {(1, 3): "wrong"}),
        ({"s1p3": ["?", "?"]}, {(1, 3): "unknown"}),
        ({"s1p3": ["D", "D"], "s1p4": ["C", "C"]}, {(1, 3): "misplaced", (1, 4): "misplaced"}),
        ({"s1p4": ["G", "G"], "s2p3": ["D", "D", "D"]}, {(1, 4): "misplaced", (2, 3): "misplaced"}),
        ({"s1p2": [None] * 3, "s2p1": [None] * 2}, {(1, 2): "empty", (2, 1): "empty"}),
    ],
)
def test_each_fault_is_found_in_its_place(
    places: dict[str, list[str | None]], expected: dict[tuple[int, int], str], tilt: float, lengths: bool
) -> None:
    sight = photo(changed(**places), (0.0, wide_as(BAY)), tilt)
    least = 2
    found = decide([sight], replace_least(plan_of(BAY, lengths=lengths), least))
    assert faults(found) == expected
    assert {(one.shelf, one.position): one.kind for one in found.findings} == expected


def replace_least(plan: Plan, least: int) -> Plan:
    return replace(plan, positions=tuple(replace(p, min_facings=min(least, p.facings)) for p in plan.positions))


def test_wrong_says_what_stands_there_and_misplaced_from_where() -> None:
    wrong = decide([photo(changed(s1p3=["F", "F"]), (0.0, wide_as(BAY)))], plan_of(BAY, least=1), names={"F": "Figs"})
    finding = wrong.findings[0]
    assert (finding.product, finding.product_name) == ("F", "Figs")
    assert finding.comes_from is not None and (finding.comes_from.shelf, finding.comes_from.position) == (2, 2)
    moved = changed(s1p4=["G", "G"], s2p3=["D", "D", "D"])
    spots = {
        one.sku: one.stands_at for one in decide([photo(moved, (0.0, wide_as(BAY)))], plan_of(BAY, least=1)).findings
    }
    assert {sku: (spot.shelf, spot.position) for sku, spot in spots.items() if spot} == {"D": (2, 3), "G": (1, 4)}


def test_a_row_that_is_missing_in_the_midst_is_empty_and_one_beyond_the_photo_unseen() -> None:
    stands = changed()
    stands[1] = []
    found = statuses(decide([photo(stands, (0.0, wide_as(BAY)))], plan_of(BAY, least=1)))
    assert [found[2, position] for position in (1, 2, 3, 4)] == ["empty"] * 4
    short = photo(changed()[:2], (0.0, wide_as(BAY)))
    found = statuses(decide([replace(short, height=2 * PITCH + 20)], plan_of(BAY, least=1)))
    assert [found[3, position] for position in (1, 2, 3)] == ["unseen"] * 3


def test_a_row_of_other_things_is_nobodys_shelf() -> None:
    strange: list[str | None] = ["?"] * 7
    found = decide([photo([strange, *changed()], (0.0, wide_as(BAY)))], plan_of(BAY, least=1))
    assert set(statuses(found).values()) == {"ok"}


def test_what_the_photo_cuts_off_is_unseen() -> None:
    found = statuses(decide([photo(changed(), (0.0, 360.0))], plan_of(BAY, least=1)))
    assert found[1, 4] == found[2, 4] == "unseen" and found[1, 1] == found[1, 2] == "ok"


#: Two sections beside each other that hold the same.
TWICE: Shelves = [[("A", 2), ("B", 3), ("C", 2), ("D", 2)] * 2, [("E", 2), ("H", 2), ("F", 4), ("G", 2), ("E", 2),
                  ("H", 2), ("F", 2), ("G", 2)]]  # fmt: skip


@pytest.mark.parametrize("lengths", [False, True])
@pytest.mark.parametrize("gone", [(1, 6), (2, 7), (0, 0)])
def test_a_second_section_that_repeats_the_first_is_read_as_itself(gone: tuple[int, int], lengths: bool) -> None:
    stands = [
        [
            None if (shelf, number) == gone else sku
            for number, (sku, facings) in enumerate(row, 1)
            for _ in range(facings)
        ]
        for shelf, row in enumerate(TWICE, 1)
    ]
    for start in (810.0, 635.0):
        sight = photo(stands, (start, wide_as(TWICE)))
        found = statuses(decide([sight], plan_of(TWICE, least=1, lengths=lengths)))
        assert {key: status for key, status in found.items() if status not in ("ok", "unseen")} == (
            {gone: "empty"} if gone[0] else {}
        )


def test_two_photos_count_each_facing_once() -> None:
    shelves: Shelves = [[("A", 14), ("B", 2)], [("C", 3), ("D", 8), ("E", 2)]]
    wide = wide_as(shelves)
    parts = [photo(standing(shelves), (0.0, 0.65 * wide), name="l.jpg"), photo(standing(shelves), (0.35 * wide, wide))]
    found = decide(parts, plan_of(shelves))
    assert set(statuses(found).values()) == {"ok"}
    assert {one.sku: one.found for one in found.positions} == {"A": 14, "B": 2, "C": 3, "D": 8, "E": 2}


def test_a_list_asks_for_presence_alone() -> None:
    plan = Plan(
        "list",
        (Position("list", 0, 1, "A", 6, 6), Position("list", 0, 2, "F", 2, 2), Position("list", 0, 3, "X")),
        "list",
    )
    found = decide([photo(changed())], plan)
    assert [(one.sku, one.status, one.found) for one in found.positions] == [
        ("A", "ok", 6),
        ("F", "low", 1),
        ("X", "empty", 0),
    ]


def test_products_without_references_are_never_guessed() -> None:
    stands = changed(s1p2=["?"] * 3)
    found = decide([photo(stands, (0.0, wide_as(BAY)))], plan_of(BAY, least=1), strangers=["B"])
    assert faults(found) == {(1, 2): "unknown", (3, 1): "unknown"}
    assert any("B has no references" in note for note in found.notes)


def test_gaps_are_measured_in_facings() -> None:
    found = decide([photo(changed(s2p3=["G", None, None]), (0.0, wide_as(BAY)))], plan_of(BAY))
    (gap,) = [one for one in found.gaps if one.shelf == 2 and one.facings > 1.5]
    assert 1.5 <= gap.facings <= 2.5


def test_a_photo_of_nothing_says_so() -> None:
    found = decide([Sight("white.jpg", 800, 600, ())], plan_of(BAY))
    assert "white.jpg" in found.notes[0]
    assert not {"ok", "low", "wrong", "misplaced"} & set(statuses(found).values())
