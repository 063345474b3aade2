"""Corners of a fixture straighten a photo taken from the side; places come back into the photo's own pixels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from retail_seg.bench.shelf_check.photographed import Shot, report_of
from retail_seg.bench.shelf_check.stocked import Stocked, made_fixture, made_shop
from retail_seg.errors import PlanError
from retail_seg.report import Report
from retail_seg.shelf.deciding import decide
from retail_seg.shelf.results import CheckResult
from retail_seg.shelf.seeing import sights_of
from retail_seg.shelf.straightening import NO_ROW, FixtureCorners, laid_back, straightened


def side_view(stocked: Stocked) -> Shot:
    """A photo of a fixture from far to the left: what is on the right is half as tall."""
    wide, tall = stocked.size
    lens = np.array([[1.0, 0.0, 60.0], [0.12, 1.0, 40.0], [0.8 / wide, 0.0, 1.0]])
    corner = lens @ np.array([wide, tall, 1.0])
    return Shot(lens, round(corner[0] / corner[2]) + 200, round(tall) + 200)


def made(seed: int) -> tuple[Stocked, Report, FixtureCorners]:
    rng = np.random.default_rng(seed)
    shop = made_shop(rng)
    stocked = made_fixture(shop, "none", rng, lengths=False)
    shot = side_view(stocked)
    wide, tall = stocked.size
    at = shot.at(np.array([(0, 0), (wide, 0), (wide, tall), (0, tall)], float))
    report = report_of(stocked, shot, "side.jpg", shop, rng, noise=0.3)
    return stocked, report, FixtureCorners(tuple((float(x), float(y)) for x, y in at))


def checked(stocked: Stocked, report: Report, corners: FixtureCorners) -> CheckResult:
    found = decide(sights_of([straightened(report, corners)]), stocked.plan)
    return laid_back(found, [report], {report.image: corners})


@pytest.mark.parametrize("seed", range(6))
def test_a_photo_from_the_side_is_read_straight_and_its_places_lie_in_it(seed: int) -> None:
    stocked, report, corners = made(seed)
    found = checked(stocked, report, corners)
    assert {one.status for one in found.positions} == {"ok"}
    assert [(one.width, one.height) for one in found.photos] == [(report.width, report.height)]
    boxes = {n: line.box for n, line in enumerate(report.instances, 1)}
    for one in found.instances:
        (x, y, w, h), (x2, y2, w2, h2) = one.area.box, boxes[one.id]
        assert abs(x + w / 2 - x2 - w2 / 2) <= 0.15 * w2 + 3 and abs(y + h / 2 - y2 - h2 / 2) <= 0.15 * h2 + 3


def test_what_stands_beside_the_fixture_is_none_of_it() -> None:
    stocked, report, corners = made(1)
    stranger = replace(report.instances[0], id=900, box=(report.width - 60, 20, 40, 80))
    crowded = replace(report, instances=(*report.instances, stranger))
    flat = straightened(crowded, corners)
    assert [line.id for line in flat.instances if line.row == NO_ROW] == [900]
    found = checked(stocked, crowded, corners)
    assert {one.status for one in found.positions} == {"ok"}
    assert len(crowded.instances) not in {one.id for one in found.instances}
    assert straightened(report, None) is report


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("1,2,3", "are no corners"), ("a,b,c,d,e,f,g,h", "are no corners"), ("0,0,nan,0,9,9,0,9", "are no corners"),
        ("0,0,0,900,900,900,900,0", "no upright fixture"), ("0,0,900,0,0,900,900,900", "no upright fixture"),
        ("0,0,4,0,4,4,0,4", "no upright fixture"), ("900,900,0,900,0,0,900,0", "no upright fixture"),
    ],
)  # fmt: skip
def test_corners_that_are_none_are_a_sentence(text: str, sentence: str) -> None:
    with pytest.raises(PlanError, match=sentence):
        FixtureCorners.read(text)
    assert FixtureCorners.read("0, 0, 900,0, 900,600, 0,600").size == (900, 600)
