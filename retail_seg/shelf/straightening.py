"""Photos taken from the side, straightened by the corners of the fixture: boxes are moved there and back, no pixels."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from retail_seg.errors import PlanError
from retail_seg.report import Report, ReportLine
from retail_seg.shelf.results import CheckedPhoto, CheckResult, PhotoArea, PixelBox
from retail_seg.store.scanning import placed

#: What stands outside of the corners by more than this share of the fixture is none of it.
BEYOND = 0.04
#: The row of what is none of the fixture.
NO_ROW = -1
_HOW = "give x,y of four corners in pixels: upper left, upper right, lower right, lower left"


@dataclass(frozen=True)
class FixtureCorners:
    """The corners of a fixture in a photo's own pixels: x, y of the upper left one, then clockwise.

    Raises PlanError for four points that are no such corners.
    """

    points: tuple[tuple[float, float], ...]

    def __post_init__(self) -> None:
        table = np.array(self.points, float)
        if table.shape != (4, 2) or not np.isfinite(table).all():
            raise PlanError(f"these are no four corners; {_HOW}")
        edges = np.roll(table, -1, axis=0) - table
        turns = edges[:, 0] * np.roll(edges, -1, axis=0)[:, 1] - edges[:, 1] * np.roll(edges, -1, axis=0)[:, 0]
        right, down = table[1] + table[2] - table[0] - table[3], table[2] + table[3] - table[0] - table[1]
        if (turns <= 0).any() or min(np.linalg.norm(edges, axis=1)) < 16 or right[0] <= 0 or down[1] <= 0:
            raise PlanError(f"the corners {_text(self.points)} span no upright fixture; {_HOW}")

    @classmethod
    def read(cls, text: str) -> FixtureCorners:
        """Eight numbers with commas between them; raises PlanError for others."""
        try:
            values = [float(part) for part in text.split(",")]
        except ValueError:
            values = []
        if len(values) != 8 or not all(map(math.isfinite, values)):
            raise PlanError(f"{text!r}: are no corners; {_HOW}")
        return cls(tuple(zip(values[::2], values[1::2], strict=True)))

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, in pixels, of the fixture seen straight."""
        a, b, c, d = np.array(self.points, float)
        wide, tall = np.linalg.norm(b - a) + np.linalg.norm(c - d), np.linalg.norm(d - a) + np.linalg.norm(c - b)
        return max(round(float(wide) / 2), 1), max(round(float(tall) / 2), 1)

    @property
    def matrix(self) -> np.ndarray:
        """The homography (3, 3) from the photo to the fixture seen straight."""
        width, height = self.size
        straight = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float32)
        return np.asarray(cv2.getPerspectiveTransform(np.array(self.points, np.float32), straight), float)


def _text(points: Sequence[tuple[float, float]]) -> str:
    return ",".join(f"{value:g}" for point in points for value in point)


def straightened(report: Report, corners: FixtureCorners | None) -> Report:
    """The report as if its photo showed the fixture straight; what stands beside that has NO_ROW."""
    if corners is None:
        return report
    width, height = corners.size
    inside: list[ReportLine] = []
    outside: set[int] = set()
    for line in report.instances:
        box = _moved(corners.matrix, line.box)
        x, y = box[0] + box[2] / 2, box[1] + box[3] / 2
        within = -BEYOND * width <= x <= (1 + BEYOND) * width and -BEYOND * height <= y <= (1 + BEYOND) * height
        if within and _before_camera(corners.matrix, line.box):
            inside.append(replace(line, box=box))
        else:
            outside.add(line.id)
    rows = {line.id: line for line in placed(inside)} if inside else {}
    lines = tuple(replace(line, row=NO_ROW) if line.id in outside else rows[line.id] for line in report.instances)
    return replace(report, width=width, height=height, instances=lines)


def _before_camera(matrix: np.ndarray, box: PixelBox) -> bool:
    """Whether all of a box lies on the side of the horizon that the fixture lies on."""
    return bool((_corners_of(box) @ matrix[2, :2] + matrix[2, 2] > 1e-6).all())


def _corners_of(box: PixelBox) -> np.ndarray:
    x, y, w, h = box
    return np.array([(x, y), (x + w, y), (x + w, y + h), (x, y + h)], float)


def _moved(matrix: np.ndarray, box: PixelBox) -> PixelBox:
    """A box moved by a homography: its sides go where their middles go, and it takes no more room."""
    x, y, w, h = box
    middles = np.array([(x, y + h / 2), (x + w, y + h / 2), (x + w / 2, y), (x + w / 2, y + h)], float)
    left, right, top, low = cv2.perspectiveTransform(middles[None], matrix)[0]
    x0, x1, y0, y1 = (round(float(value)) for value in (left[0], right[0], top[1], low[1]))
    return x0, y0, max(x1 - x0, 1), max(y1 - y0, 1)


def laid_back(result: CheckResult, reports: Sequence[Report], corners: Mapping[str, FixtureCorners]) -> CheckResult:
    """A check of straightened reports with its places in the photos' own pixels."""
    back = {n: np.linalg.inv(corners[one.image].matrix) for n, one in enumerate(reports) if one.image in corners}
    if not back:
        return result

    def area(one: PhotoArea) -> PhotoArea:
        return replace(one, box=_moved(back[one.photo], one.box)) if one.photo in back else one

    def areas(some: tuple[PhotoArea, ...]) -> tuple[PhotoArea, ...]:
        return tuple(map(area, some))

    return replace(
        result,
        photos=tuple(CheckedPhoto(one.image, one.width, one.height) for one in reports),
        positions=tuple(replace(one, areas=areas(one.areas)) for one in result.positions),
        findings=tuple(replace(one, areas=areas(one.areas)) for one in result.findings),
        instances=tuple(replace(one, area=area(one.area)) for one in result.instances),
        gaps=tuple(replace(one, area=area(one.area)) for one in result.gaps),
    )
