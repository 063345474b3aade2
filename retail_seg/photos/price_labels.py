"""Price labels on a shelf's rail, found by shape: upright rectangles with print on an even ground.

Each side of a label is one straight edge at which the picture gets lighter, or darker, all along; text, packs and fruit
have few of that length. So columns that are such an edge for a whole height are paired, those pairs are kept whose top
and bottom are edges too, and of those the ones that look printed. Labels of a rail have one size and hang in one line.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

#: Longer side, in pixels, at which labels are looked for.
WORKING = 1600
#: Heights of labels, and the most of their width, as shares of that side; widths by height.
LOWEST, HIGHEST, WIDEST = 0.013, 0.075, 0.17
NARROW, WIDE = 1.15, 3.6
#: Steps of height that are tried; grey levels by pixel from which on it is an edge; the share of a side that is one.
STEP, EDGE, WHOLE = 1.08, 7.0, 0.7
#: Of a label, the share of its ground's colour at least, of its print from and to, and of what is lighter at most.
GROUND, PRINT, LIGHTER = 0.5, (0.03, 0.42), 0.25
#: Edges of letters that a line of print has at least, left and right ones.
STROKES = 6
#: Of a label the share that what stands below may cover; where others of its size hang in one line with it.
COVERED, IN_LINE = 0.3, 0.7
#: Scores of those that are labels by themselves, and of those beside such a one.
ALONE, BESIDE = 1.1, 1.0
#: Rectangles of a strip that are looked at closely.
MOST = 400


@dataclass(frozen=True)
class Strip:
    """Where labels may hang: from `top` to `top` + `height` at x = 0, leaning by `slope` (down to the right)."""

    top: float
    slope: float
    height: float


@dataclass(frozen=True, eq=False)
class PriceLabel:
    """A label: the number of its strip, its corners (4, 2) float32 in the picture's pixels from the upper left one on,
    clockwise, and how much it looks like one (about 1 to 1.4).
    """

    strip: int
    corners: np.ndarray
    score: float

    @property
    def box(self) -> tuple[int, int, int, int]:
        """x, y, w, h around it, in pixels."""
        x, y, w, h = cv2.boundingRect(np.round(self.corners).astype(np.int32))
        return x, y, w, h


@dataclass(frozen=True)
class _Rectangle:
    """A rectangle of a strip laid level, in pixels, and its score."""

    score: float
    x: int
    y: int
    w: int
    h: int


def labels_in(picture: np.ndarray, strips: Sequence[Strip], boxes: np.ndarray) -> list[PriceLabel]:
    """The labels in strips of an RGB uint8 picture (h, w, 3), by strip and from the left.

    `boxes` (n, 4) are left, top, right, bottom of the products that were found, which hide what is behind them. About
    half a second of one core for a photo of five shelves.
    """
    scale = min(WORKING / max(picture.shape[:2]), 1.0)
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    if scale < 1:
        grey = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    goods = _goods(grey.shape, np.asarray(boxes, float).reshape(-1, 4) * scale)
    found: list[PriceLabel] = []
    for number, strip in enumerate(strips):
        level = Strip(strip.top * scale, strip.slope, strip.height * scale)
        found += [PriceLabel(number, _corners(one, level) / scale, one.score) for one in _of_strip(grey, goods, level)]
    return sorted(_apart(found), key=lambda one: (one.strip, one.box[0]))


def _goods(shape: tuple[int, ...], boxes: np.ndarray) -> np.ndarray:
    """Which pixels show products, uint8 (h, w): not the uppermost ones of each, before which a label may hang."""
    mask = np.zeros(shape[:2], np.uint8)
    over = 0.02 * max(shape)
    for left, top, right, bottom in boxes:
        upper = top + max(0.12 * (bottom - top), over)
        mask[max(round(upper), 0) : max(round(bottom), 0), max(round(left), 0) : max(round(right), 0)] = 1
    return mask


def _of_strip(grey: np.ndarray, goods: np.ndarray, strip: Strip) -> list[_Rectangle]:
    side = max(grey.shape)
    size = grey.shape[1], max(round(strip.height), 1)
    laid = np.array([[1, 0, 0], [-strip.slope, 1, -strip.top]], np.float32)
    level = cv2.warpAffine(grey, laid, size)
    hidden = cv2.warpAffine(goods, laid, size, flags=cv2.INTER_NEAREST, borderValue=1)
    covered = cv2.integral(hidden)
    likely = []
    for one in _framed(level, hidden, side):
        ground = _printed(level, one)
        if ground and _share(covered, one) <= IN_LINE:
            likely.append(_Rectangle(one.score + 0.4 * min(ground, 0.8), one.x, one.y, one.w, one.h))
    likely = _best(likely)
    sure = [one for one in likely if one.score >= ALONE and _share(covered, one) <= COVERED]
    return [one for one in likely if one in sure or (one.score >= BESIDE and any(_in_line(one, two) for two in sure))]


def _in_line(one: _Rectangle, two: _Rectangle) -> bool:
    """Whether two rectangles of a strip have about one height and hang in one line."""
    return abs(one.h - two.h) <= 0.3 * two.h and abs(one.y + one.h / 2 - two.y - two.h / 2) <= 0.5 * two.h


def _framed(level: np.ndarray, hidden: np.ndarray, side: int) -> list[_Rectangle]:
    """Rectangles whose sides are edges, the best of each place and size."""
    across, down = _edges(level, hidden)
    upright = [_sums(one.T).T for one in across]
    lying = [_sums(one) for one in down]
    best: dict[tuple[int, int, int, int], _Rectangle] = {}
    height = max(LOWEST * side, 10.0)
    while height < min(HIGHEST * side, len(level) - 3):
        for one in _of_height(upright, lying, round(height), WIDEST * side):
            key = one.x // 8, one.y // 6, (one.x + one.w) // 8, (one.y + one.h) // 6
            if key not in best or best[key].score < one.score:
                best[key] = one
        height *= STEP
    return sorted(best.values(), key=lambda one: -one.score)[:MOST]


def _edges(level: np.ndarray, hidden: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Where the picture gets lighter, and darker, to the right; and downwards; each bool as uint8."""
    right, down = (cv2.Sobel(level, cv2.CV_32F, dx, 1 - dx, ksize=3) / 4 for dx in (1, 0))
    right[hidden > 0] = down[hidden > 0] = 0

    def grown(of: np.ndarray, other: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
        return cv2.dilate(((of > EDGE) & (of > np.abs(other))).astype(np.uint8), np.ones(shape, np.uint8))

    return [grown(s * right, down, (1, 3)) for s in (1, -1)], [grown(s * down, right, (3, 1)) for s in (1, -1)]


def _sums(values: np.ndarray) -> np.ndarray:
    """Sums of each row's first 0, 1, … values, int32 (h, w + 1)."""
    found = np.zeros((values.shape[0], values.shape[1] + 1), np.int32)
    np.cumsum(values, axis=1, out=found[:, 1:], dtype=np.int32)
    return found


def _of_height(
    upright: Sequence[np.ndarray], lying: Sequence[np.ndarray], height: int, widest: float
) -> Iterator[_Rectangle]:
    """Rectangles of one height: columns that are edges all along, in pairs whose top and bottom are edges."""
    rows = len(lying[0]) - height
    whole = np.max([(sums[height:] - sums[:-height])[:rows] for sums in upright], axis=0).astype(np.float32) / height
    peaks = (whole >= WHOLE) & (whole >= cv2.dilate(whole, np.ones((1, 5), np.uint8)))
    ys, xs = np.nonzero(peaks)
    starts = np.searchsorted(ys, np.arange(rows + 1))
    for y in np.flatnonzero(np.diff(starts) > 1).tolist():
        at = xs[starts[y] : starts[y + 1]]
        i, j = np.triu_indices(len(at), 1)
        wide = at[j] - at[i]
        fits = (wide >= NARROW * height) & (wide <= min(WIDE * height, widest))
        left, right, wide = at[i[fits]], at[j[fits]], wide[fits]
        top, low = (np.max([one[r, right] - one[r, left] for one in lying], axis=0) / wide for r in (y, y + height))
        score = (top + low + whole[y, left] + whole[y, right]) / 4
        for n in np.flatnonzero(np.minimum(top, low) >= WHOLE).tolist():
            yield _Rectangle(float(score[n]), int(left[n]), y, int(wide[n]), height)


def _printed(level: np.ndarray, one: _Rectangle) -> float:
    """The share of a rectangle's inside that is its ground's colour, 0 where it does not look printed."""
    dx, dy = max(one.w // 16, 2), max(one.h // 10, 2)
    inside = level[one.y + dy : one.y + one.h - dy, one.x + dx : one.x + one.w - dx]
    if inside.size < 60:
        return 0.0
    near = np.convolve(np.bincount(inside.ravel(), minlength=256), np.ones(31), "same")
    colour = int(near.argmax())
    print_, lighter = inside < 0.82 * colour - 8, inside > 1.25 * colour + 15
    strokes = np.percentile(np.abs(np.diff(print_.astype(np.int8), axis=1)).sum(1), 80)
    looks = PRINT[0] <= print_.mean() <= PRINT[1] and lighter.mean() <= LIGHTER and strokes >= STROKES
    ground = float(near[colour] / inside.size)
    return ground if looks and colour >= 40 and ground >= GROUND else 0.0


def _share(covered: np.ndarray, one: _Rectangle) -> float:
    """The share of a rectangle before which products stand; `covered` is the integral of the mask."""
    x0, y0, x1, y1 = one.x, one.y, one.x + one.w, one.y + one.h
    return float(covered[y1, x1] - covered[y0, x1] - covered[y1, x0] + covered[y0, x0]) / (one.w * one.h)


def _best(found: Sequence[_Rectangle]) -> list[_Rectangle]:
    """The best of those that lie on each other."""
    kept: list[_Rectangle] = []
    for one in sorted(found, key=lambda one: -one.score):
        if not any(_overlap((one.x, one.y, one.w, one.h), (two.x, two.y, two.w, two.h)) for two in kept):
            kept.append(one)
    return kept


def _apart(found: Sequence[PriceLabel]) -> list[PriceLabel]:
    """Of labels that lie on each other, in strips that do, the best."""
    kept: list[PriceLabel] = []
    for one in sorted(found, key=lambda one: -one.score):
        if not any(_overlap(one.box, two.box) for two in kept):
            kept.append(one)
    return kept


def _overlap(one: tuple[int, int, int, int], two: tuple[int, int, int, int]) -> bool:
    wide = min(one[0] + one[2], two[0] + two[2]) - max(one[0], two[0])
    tall = min(one[1] + one[3], two[1] + two[3]) - max(one[1], two[1])
    return wide > 0 and tall > 0 and wide * tall > 0.3 * min(one[2] * one[3], two[2] * two[3])


def _corners(one: _Rectangle, strip: Strip) -> np.ndarray:
    """The corners of a level strip's rectangle in the picture, (4, 2) float32."""
    x = np.array([one.x, one.x + one.w, one.x + one.w, one.x], np.float32)
    y = np.array([one.y, one.y, one.y + one.h, one.y + one.h], np.float32)
    return np.stack([x, y + np.float32(strip.top) + np.float32(strip.slope) * x], 1).astype(np.float32)
