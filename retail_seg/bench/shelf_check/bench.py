"""The measurement of the shelf check: each status, false alarms and time, on true instances and on drawn shelves."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from retail_seg.bench.benchmark.measure import Reading, Section, milliseconds
from retail_seg.bench.shelf_check.aligned import checked, made_checks, told
from retail_seg.bench.shelf_check.scoring import CheckScore, PlaceKey, score

#: What is aimed at: F1 by status, false alarms by place, seconds for so many positions beside the scan.
GOALS = {"empty": 0.95, "misplaced": 0.9, "wrong": 0.9}
ALARMS, PLACES, SECONDS = 1 / 200, 150, 0.1
#: Time is taken of fixtures with so many positions, each in one photo: for few, what is done once is most of it.
LARGE = 30


def benchmark_aligned(number: int = 240, seed: int = 0, noise: float = 1.0) -> Section:
    """Alignment alone: checks of made fixtures whose instances are true, named by a fair embedder."""
    pairs: list[tuple[Mapping[PlaceKey, str], Mapping[PlaceKey, str]]] = []
    seconds, places = 0.0, 0
    for made in made_checks(number, seed, noise):
        result, taken = checked(made)
        pairs.append((made.truth, told(result)))
        if len(result.positions) >= LARGE and len(made.sights) == 1:
            seconds += taken
            places += len(result.positions)
    found, each = score(pairs), PLACES * seconds / max(places, 1)
    reading = Reading(f"{PLACES} positions, processor time", milliseconds(each), goal=f"<= {1000 * SECONDS:.0f} ms",
                      reached=each <= SECONDS)  # fmt: skip
    rows = [*_rows(found), reading]
    return Section(f"{number} checks on true instances", rows, _notes(found), {**_data(found), "seconds": each})


def benchmark_drawn(work: Path, number: int = 48, seed: int = 0) -> Section:
    """Checks of drawn shelves with true boxes, named by the embedder: made once in `work`, photos and store."""
    from retail_seg.bench.shelf_check.rendered import drawn_checks, made_assortment, make_store
    from retail_seg.matcher import Matcher
    from retail_seg.shelf.checking import check
    from retail_seg.store.given_boxes import GivenBoxes

    assortment = made_assortment(seed)
    if not (work / "store").exists():
        make_store(work / "store", assortment)
    (work / "photos").mkdir(parents=True, exist_ok=True)
    checks = drawn_checks(work / "photos", assortment, number, seed)
    boxes = GivenBoxes.read(work / "photos" / "boxes.csv")
    with Matcher.open(work / "store", segmenter=boxes.as_segmenter()) as matcher:
        pairs = [(one.truth, told(check(matcher, one.photos, one.stocked.plan).result)) for one in checks]
    found = score(pairs)
    products = f"{len(assortment.sold)} products"
    return Section(
        f"{number} checks of drawn shelves, true boxes, {products}", _rows(found), _notes(found), _data(found)
    )


def _rows(found: CheckScore) -> list[Reading]:
    rows = []
    for status, one in found.statuses.items():
        goal = GOALS.get(status)
        said = "" if goal is None else f"F1 >= {goal:.2f}"
        reached = None if goal is None else one.f1 >= goal
        name = f"{status}: precision {one.precision:.3f}, recall {one.recall:.3f}"
        rows.append(Reading(name, f"F1 {one.f1:.3f}", peer=f"of {one.number}", goal=said, reached=reached))
    alarms = Reading("false alarms by place that is well", f"{found.false_alarms:.4f}", goal=f"<= {ALARMS:.4f}",
                     reached=found.false_alarms <= ALARMS)  # fmt: skip
    return [*rows, alarms, Reading("checks without any false alarm", f"{found.clean:.3f}")]


def _notes(found: CheckScore) -> list[str]:
    worst = sorted(((n, pair) for pair, n in found.confused.items() if pair[0] != pair[1]), reverse=True)[:6]
    mixed = ", ".join(f"{was} taken for {said} ({n})" for n, (was, said) in worst)
    return [f"{found.places} places in {found.checks} checks; mixed up: {mixed or 'nothing'}."]


def _data(found: CheckScore) -> dict[str, object]:
    statuses = {
        status: {"precision": one.precision, "recall": one.recall, "f1": one.f1, "number": one.number}
        for status, one in found.statuses.items()
    }
    whole = {"false_alarms": found.false_alarms, "clean": found.clean, "places": found.places, "checks": found.checks}
    return {"statuses": statuses, **whole}
