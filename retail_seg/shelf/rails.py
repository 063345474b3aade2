"""Where price labels hang in a photo: below the places of a plan's shelves, or below rows of facings without a plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from retail_seg.photos.price_labels import Strip
from retail_seg.shelf.fitting import line_of
from retail_seg.shelf.results import CheckResult, PhotoArea, PixelBox, PositionStatus
from retail_seg.shelf.seeing import FacingRow, Sight

#: Of a photo's longer side: how far a strip reaches above its shelf's line, and below it at least and at most.
ABOVE, LEAST, MOST = 0.03, 0.08, 0.2
#: and of the distance to the next line.
OF_PITCH = 0.55
#: A rail leans at most so much: what seems to lean more is no row.
LEAN = 0.2


@dataclass(frozen=True, eq=False)
class Rail:
    """The rail below a shelf of the plan, or below a row of the photo; all in the photo's own pixels.

    shelf   its number, or that of the row; `base` is the y of what stands on it at x = 0
    strip   where its labels may hang; `tall` is the height of what stands above
    places  those above it with their parts of the photo; without a plan the `row`
    """

    shelf: int
    base: float
    strip: Strip
    tall: float
    places: tuple[tuple[PositionStatus, PixelBox], ...] = ()
    row: FacingRow | None = None

    def line(self, x: float) -> float:
        """y of what things stand on, at an x."""
        return self.base + self.strip.slope * x

    def place_at(self, x: float, play: float) -> PositionStatus | None:
        """The place above an x, or the nearest one that is no further than `play` pixels to the side."""
        beside = [(max(box[0] - x, x - box[0] - box[2], 0.0), one) for one, box in self.places]
        best = min(beside, key=lambda pair: (pair[0], pair[1].position), default=None)
        return best[1] if best is not None and best[0] <= play else None


def rails_of_plan(result: CheckResult, photo: int) -> list[Rail]:
    """The rails that a photo of a check shows, by where the places of its plan are in it, from the top."""
    size = result.photos[photo]
    side = max(size.width, size.height)
    shelves: dict[int, list[tuple[PositionStatus, PhotoArea]]] = {}
    for one in result.positions:
        for area in one.areas:
            if area.photo == photo and one.shelf:
                shelves.setdefault(one.shelf, []).append((one, area))
    found = []
    for shelf, places in shelves.items():
        boxes = np.array([area.box for _, area in places], float)
        slope, base = _line(boxes[:, 0] + boxes[:, 2] / 2, boxes[:, 1] + boxes[:, 3])
        shown = tuple((one, area.box) for one, area in places)
        found.append((base, slope, float(np.median(boxes[:, 3])), shelf, shown))
    lines = [(base, slope, tall) for base, slope, tall, *_ in found]
    strips = _strips(lines, size.width, side)
    rails = [
        Rail(shelf, base, strip, tall, shown)
        for (base, _, tall, shelf, shown), strip in zip(found, strips, strict=True)
    ]
    return sorted(rails, key=lambda rail: rail.shelf)


def rails_of_rows(sight: Sight) -> list[Rail]:
    """The rails that a photo shows, by its rows of facings, from the top; those of rows that lean are left out."""
    side = max(sight.width, sight.height)
    lines = [line_of(row) for row in sight.rows]
    level = [n for n, (_, _, slope) in enumerate(lines) if abs(slope) <= LEAN]
    kept = [(lines[n][1], lines[n][2], lines[n][1] - lines[n][0]) for n in level]
    strips = _strips(kept, sight.width, side)
    return [
        Rail(n + 1, base, strip, tall, row=sight.rows[n])
        for n, (base, _, tall), strip in zip(level, kept, strips, strict=True)
    ]


def _line(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Slope of a line through points, and its y at x = 0."""
    if len(x) < 2 or np.ptp(x) < 1:
        return 0.0, float(np.median(y))
    slope = float(np.polyfit(x, y, 1)[0])
    return slope, float(np.median(y - slope * x))


def _strips(lines: Sequence[tuple[float, float, float]], width: int, side: int) -> list[Strip]:
    """The strip below each line (y at x = 0, slope, height of what stands on it), as far as the next one allows."""
    middle = [base + slope * width / 2 for base, slope, _ in lines]
    found = []
    for at, (base, slope, tall) in zip(middle, lines, strict=True):
        below = [other - at for other in middle if other - at > 0.25 * tall]
        reach = float(np.clip(OF_PITCH * min(below, default=1.6 * tall), LEAST * side, MOST * side))
        found.append(Strip(base - ABOVE * side, slope, ABOVE * side + reach))
    return found
