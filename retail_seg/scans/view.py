"""What a person sees of a scan's photo: a window into it, drawn with outlines, and which instance a click means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from retail_seg.photos import draw
from retail_seg.report import Report, ReportLine

#: Longer side, in pixels, of the picture that the browser gets.
VIEW_SIDE = 1280
ZOOMS = (1, 2, 4, 8)
#: A click so far beside an instance still means it, as a share of the view's longer side: a thumb is not a needle.
NEAR = 0.02


@dataclass(frozen=True)
class Window:
    """A window into a photo, in shares of its width and height: left, top and size, 0 to 1."""

    left: float = 0.0
    top: float = 0.0
    size: float = 1.0

    @classmethod
    def at(cls, zoom: float, x: float = 0.5, y: float = 0.5) -> Window:
        """The window of 1/zoom around a point (shares of width and height) that stays inside the photo."""
        size = 1 / max(float(zoom), 1.0)
        return cls(min(max(x - size / 2, 0.0), 1 - size), min(max(y - size / 2, 0.0), 1 - size), size)

    def to_photo(self, x: float, y: float) -> tuple[float, float]:
        """A point of the view (shares of its sides) in shares of the photo's."""
        return self.left + x * self.size, self.top + y * self.size


def draw_view(
    photo: np.ndarray,
    report: Report,
    certainty: Mapping[int, str],
    view: Window | None = None,
    *,
    picked: int | None = None,
    names: bool = True,
) -> np.ndarray:
    """The window of a photo (H, W, 3) uint8 with its instances drawn, its longer side VIEW_SIDE pixels at most.

    The photo may be smaller than `report.width` × `report.height`: outlines are brought to its size.
    """
    view = view or Window()
    height, width = photo.shape[:2]
    left, top = round(view.left * width), round(view.top * height)
    part = photo[top : top + max(round(view.size * height), 1), left : left + max(round(view.size * width), 1)]
    scale = VIEW_SIDE / max(part.shape[:2])
    if scale < 1 or view.size < 1:
        way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        part = cv2.resize(part, None, fx=scale, fy=scale, interpolation=way)
    else:
        scale = 1.0
    moved = _moved(report, width * scale / report.width, left * scale, top * scale, part.shape[1], part.shape[0])
    doubtful = {number for number, kind in certainty.items() if kind == "likely"}
    colours = draw.colours_of(report)
    return draw.draw(part, moved, doubtful=doubtful, picked=picked, names=names, text_size=22, colours=colours)


def _moved(report: Report, scale: float, dx: float, dy: float, width: int, height: int) -> Report:
    """The report's instances that reach into a window, in its pixels."""
    lines = (_moved_line(line, scale, dx, dy) for line in report.instances)
    return replace(report, width=width, height=height, instances=tuple(x for x in lines if _reaches(x, width, height)))


def _reaches(line: ReportLine, width: int, height: int) -> bool:
    x, y, w, h = line.box
    return x < width and y < height and x + w > 0 and y + h > 0


def _moved_line(line: ReportLine, scale: float, dx: float, dy: float) -> ReportLine:
    x, y, w, h = line.box
    box = round(x * scale - dx), round(y * scale - dy), round(w * scale), round(h * scale)
    polygon = tuple((round(x * scale - dx), round(y * scale - dy)) for x, y in line.polygon)
    return replace(line, box=box, polygon=polygon)


def pick(report: Report, x: float, y: float, near: float = NEAR) -> int | None:
    """The instance that a point (shares of the photo's sides) means: the smallest around it, else one close by."""
    at_x, at_y = x * report.width, y * report.height
    reach = near * max(report.width, report.height)
    inside: list[tuple[float, int]] = []
    beside: list[tuple[float, int]] = []
    for line in report.instances:
        outline = np.asarray(line.polygon, np.float32).reshape(-1, 1, 2)
        if not len(outline):
            continue
        distance = cv2.pointPolygonTest(outline, (at_x, at_y), True)
        if distance >= 0:
            inside.append((float(line.area), line.id))
        elif -distance <= reach:
            beside.append((-distance, line.id))
    return min(inside or beside, default=(0.0, None))[1]


def squared(picture: np.ndarray, side: int = 184) -> np.ndarray:
    """A picture (h, w, 3) uint8 in the middle of a square of `side` pixels, its ground grey: cards of one size."""
    scale = side / max(picture.shape[:2])
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    height, width = (min(max(round(length * scale), 1), side) for length in picture.shape[:2])
    canvas = np.full((side, side, 3), 128, np.uint8)
    top, left = (side - height) // 2, (side - width) // 2
    canvas[top : top + height, left : left + width] = cv2.resize(picture, (width, height), interpolation=way)
    return canvas


def draw_parts(
    crop: np.ndarray,
    mask: np.ndarray,
    parts: np.ndarray | None = None,
    points: Sequence[tuple[float, float]] = (),
    side: int = 480,
) -> np.ndarray:
    """A crop (h, w, 3) uint8 with what is not its mask dimmed, its parts outlined and numbered, or its marked points.

    `points` are shares of the crop's sides; the longer side of the result has `side` pixels.
    """
    scale = side / max(crop.shape[:2])
    canvas = np.where(mask[:, :, None], crop, crop // 3)
    canvas = np.asarray(cv2.resize(canvas, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR))
    numbers = range(1, 0 if parts is None else int(parts.max()) + 1)
    for number in numbers:
        part = cv2.resize(np.asarray(parts == number, np.uint8), canvas.shape[1::-1], interpolation=cv2.INTER_NEAREST)
        outlines, _ = cv2.findContours(part, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        cv2.drawContours(canvas, outlines, -1, (255, 255, 255), 5, cv2.LINE_AA)
        cv2.drawContours(canvas, outlines, -1, draw.PALETTE[number % len(draw.PALETTE)], 3, cv2.LINE_AA)
        rows, columns = np.nonzero(part)
        _number(canvas, number, float(columns.mean()), float(rows.mean()))
    for number, (x, y) in enumerate(points if parts is None else (), 1):
        _number(canvas, number, x * canvas.shape[1], y * canvas.shape[0])
    return canvas


def _number(canvas: np.ndarray, number: int, x: float, y: float) -> None:
    """A numbered disc, white on black, at a point."""
    at = round(x), round(y)
    cv2.circle(canvas, at, 15, (255, 255, 255), -1, cv2.LINE_AA)
    cv2.circle(canvas, at, 13, (0, 0, 0), -1, cv2.LINE_AA)
    place = at[0] - 6 * len(str(number)), at[1] + 6
    cv2.putText(canvas, str(number), place, cv2.FONT_HERSHEY_SIMPLEX, 0.6, (255, 255, 255), 2, cv2.LINE_AA)
