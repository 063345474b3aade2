"""Edits of one photo's instance ids: strokes, polygons, and proposals for a box or a few clicks.

Pure functions of arrays. Coordinates are continuous pixels of the upright photo, x to the right, y down; `labels` is
(H, W) int32 with 0 = background. A `Region` is what an edit is about, a `Patch` what it changes, so that it can be
taken back. GrabCut: Rother, Kolmogorov, Blake, "GrabCut: interactive foreground extraction using iterated graph cuts",
SIGGRAPH 2004, as OpenCV has it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import cv2
import numpy as np

from retail_seg.errors import AnnotationError
from retail_seg.segmentation.boxes import IGNORE, Box
from retail_seg.segmentation.formats.base import Region, crop_region, fill_rings
from retail_seg.segmentation.formats.instance_png import MAX_ID, UNKNOWN

#: GrabCut works on a window of at most so many pixels on the longer side: a tenth of a second, and as exact.
WORKING_SIDE = 320
#: Share of a box's longer side that GrabCut sees around it.
SURROUNDINGS = 0.2
#: Share of the photo's longer side that clicks without a box are taken to be about.
CLICK_WINDOW = 0.3
#: A part of a proposal smaller than this share of its largest part is a speck.
SPECK = 0.1
#: The model's outline is taken for a box where they overlap this much (intersection over union of the boxes).
SAME_BOX = 0.5
#: Rounds of GrabCut.
ROUNDS = 4


@dataclass(frozen=True, eq=False)
class Patch:
    """A rectangle of ids before and after an edit, both (h, w) uint16, and its first row and column.

    What is to be ignored is 65535 there, as in a file. `boxes_before` and `boxes_after` are the instances of the whole
    photo that are boxes.
    """

    top: int
    left: int
    before: np.ndarray
    after: np.ndarray
    boxes_before: Mapping[int, Box] = field(default_factory=dict)
    boxes_after: Mapping[int, Box] = field(default_factory=dict)

    def apply(self, labels: np.ndarray) -> None:
        """Do the edit, in place."""
        self._put(labels, self.after)

    def revert(self, labels: np.ndarray) -> None:
        """Take the edit back, in place."""
        self._put(labels, self.before)

    def _put(self, labels: np.ndarray, ids: np.ndarray) -> None:
        h, w = ids.shape
        window = labels[self.top : self.top + h, self.left : self.left + w]
        window[:] = ids
        window[ids == UNKNOWN] = IGNORE


@dataclass(frozen=True)
class Click:
    """A click at (x, y): on the thing (`on`), or beside it, on what does not belong to it."""

    x: float
    y: float
    on: bool = True


def patch_of(
    labels: np.ndarray,
    after: np.ndarray,
    boxes_before: Mapping[int, Box] | None = None,
    boxes_after: Mapping[int, Box] | None = None,
) -> Patch | None:
    """What changes from `labels` to `after`, both (H, W), and of the boxes; None where nothing does."""
    boxes = (dict(boxes_before or {}), dict(boxes_after or {}))
    region = crop_region(labels != after)
    h, w = region.mask.shape
    if not h and boxes[0] == boxes[1]:
        return None
    place = (slice(region.top, region.top + h), slice(region.left, region.left + w))
    return Patch(region.top, region.left, labels[place].astype(np.uint16), after[place].astype(np.uint16), *boxes)


def added(labels: np.ndarray, region: Region, number: int, *, over: bool) -> np.ndarray:
    """The ids with `region` given to instance `number`; with `over` it takes pixels from other instances, too."""
    after = labels.copy()
    window = _window(after, region)
    window[region.mask if over else region.mask & ((window <= 0) | (window == number))] = number
    return after


def erased(labels: np.ndarray, region: Region, number: int | None) -> np.ndarray:
    """The ids without `region`: taken from instance `number`, or from every instance where it is None."""
    after = labels.copy()
    window = _window(after, region)
    window[region.mask & ((window == number) if number is not None else True)] = 0
    return after


def replaced(labels: np.ndarray, region: Region, number: int) -> np.ndarray:
    """The ids with instance `number` being `region` and nothing else; other instances keep their pixels."""
    return added(np.where(labels == number, 0, labels), region, number, over=False)


def without(labels: np.ndarray, number: int) -> np.ndarray:
    """The ids without instance `number`."""
    return np.where(labels == number, 0, labels)


def next_number(labels: np.ndarray) -> int:
    """An id that no instance has; AnnotationError where 16 bits hold no more."""
    number = int(labels.max(initial=0)) + 1
    if number > MAX_ID:
        raise AnnotationError("The photo has as many instances as its file can hold; delete one first")
    return number


def taken_over(labels: np.ndarray, found: np.ndarray) -> np.ndarray:
    """The ids with every instance of `found` (H, W) added where nothing is drawn, with new ids.

    An instance of `found` of which more than half is drawn already is left out.
    """
    after = labels.copy()
    number = next_number(labels)
    for value in np.unique(found[found > 0]):
        mask = found == value
        if (labels[mask] > 0).mean() > 0.5:
            continue
        after[mask & (labels <= 0)] = number
        number += 1
    next_number(after)
    return after


def stroke_region(points: np.ndarray, width: float, shape: tuple[int, int]) -> Region:
    """Pixels under a round brush `width` pixels wide that follows `points` (k, 2); one point is a dab."""
    points = np.asarray(points, np.float64).reshape(-1, 2)
    reach = width / 2 + 2
    left, top = np.floor(np.clip(points.min(0) - reach, 0, None)).astype(int)
    right, bottom = np.ceil(np.minimum(points.max(0) + reach, shape[::-1])).astype(int)
    if right <= left or bottom <= top:
        return Region(0, 0, np.zeros((0, 0), bool))
    canvas = np.zeros((bottom - top, right - left), np.uint8)
    fine = np.round((points - (left, top) - 0.5) * 16).astype(np.int32)  # OpenCV's fixed point: 4 bits of a pixel
    for start, end in pairwise(fine):
        cv2.line(canvas, tuple(map(int, start)), tuple(map(int, end)), 1, max(round(width), 1), cv2.LINE_8, 4)
    for point in fine:  # round joints and ends
        cv2.circle(canvas, tuple(map(int, point)), max(round(width * 8), 8), 1, -1, cv2.LINE_8, 4)
    return Region(int(top), int(left), canvas > 0)


def polygon_region(points: Sequence[tuple[float, float]], shape: tuple[int, int]) -> Region:
    """Pixels inside a polygon; AnnotationError where it has fewer than three points or covers nothing."""
    if len(points) < 3:
        raise AnnotationError("An outline needs at least three points; set them around the thing")
    region = fill_rings([np.asarray(points, np.float64)], *shape)
    if not region.mask.any():
        raise AnnotationError("The points lie in one line and enclose nothing; set them around the thing")
    return region


def outline_points(labels: np.ndarray, number: int, most: int = 60) -> list[tuple[float, float]]:
    """The outline of the largest part of an instance as at most `most` points, to be changed one by one."""
    mask = np.ascontiguousarray(labels == number, np.uint8)
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if not contours:
        raise AnnotationError("The instance has no pixels yet; draw it first")
    outline = max(contours, key=cv2.contourArea)
    tolerance = 0.004 * cv2.arcLength(outline, True)
    points = cv2.approxPolyDP(outline, tolerance, True)
    while len(points) > most:
        tolerance *= 1.3
        points = cv2.approxPolyDP(outline, tolerance, True)
    return [(float(x) + 0.5, float(y) + 0.5) for x, y in points.reshape(-1, 2)]


def touched(points: Sequence[tuple[float, float]], at: tuple[float, float], near: float) -> list[tuple[float, float]]:
    """A polygon after a touch at `at`: a point within `near` pixels goes, else one comes into the nearest side."""
    done = list(points)
    if done:
        gaps = np.linalg.norm(np.asarray(done) - at, axis=1)
        if gaps.min() <= near:
            del done[int(gaps.argmin())]
            return done
    done.insert(_side(done, at), (float(at[0]), float(at[1])))
    return done


def _side(points: Sequence[tuple[float, float]], at: tuple[float, float]) -> int:
    """Where in the polygon a new point belongs: into the side whose detour over it is the shortest."""
    if len(points) < 3:
        return len(points)
    ring = np.asarray(points)
    ahead = np.roll(ring, -1, axis=0)
    detour = (
        np.linalg.norm(ring - at, axis=1) + np.linalg.norm(ahead - at, axis=1) - np.linalg.norm(ring - ahead, axis=1)
    )
    return int(detour.argmin()) + 1


def box_proposal(photo: np.ndarray, others: np.ndarray, box: tuple[float, float, float, float]) -> Region:
    """What GrabCut takes for the thing in a box (x0, y0, x1, y1) of a photo (H, W, 3); never a pixel of `others`.

    `others` (H, W) bool marks what belongs to other instances. Where the colours tell nothing apart, the whole box.
    """
    x0, y0, x1, y1 = checked_box(box, others.shape)
    around = round(SURROUNDINGS * max(x1 - x0, y1 - y0)) + 2
    window = (max(x0 - around, 0), max(y0 - around, 0), x1 + around, y1 + around)
    trust = np.full(others.shape, cv2.GC_BGD, np.uint8)
    trust[y0:y1, x0:x1] = cv2.GC_PR_FGD
    found = _grabcut(photo, np.where(others, np.uint8(cv2.GC_BGD), trust), window)
    if found.area < 0.05 * (x1 - x0) * (y1 - y0):
        return Region(y0, x0, ~others[y0:y1, x0:x1])
    return found


def click_proposal(photo: np.ndarray, others: np.ndarray, clicks: Sequence[Click]) -> Region:
    """What GrabCut takes for the thing under the clicks, less what lies under the clicks beside it; may be empty."""
    on = np.array([(c.x, c.y) for c in clicks if c.on])
    if not len(on):
        return Region(0, 0, np.zeros((0, 0), bool))
    height, width = others.shape
    reach = CLICK_WINDOW * max(height, width) / 2
    x0, y0 = np.floor(np.clip(on.min(0) - reach, 0, None)).astype(int)
    x1, y1 = np.ceil(np.minimum(on.max(0) + reach, (width, height))).astype(int)
    trust = np.full(others.shape, cv2.GC_BGD, np.uint8)
    trust[y0:y1, x0:x1] = cv2.GC_PR_BGD
    for x, y in on:
        cv2.circle(trust, (int(x), int(y)), round(reach * 0.45), cv2.GC_PR_FGD, -1)
    for c in clicks:
        cv2.circle(trust, (int(c.x), int(c.y)), max(round(reach * 0.05), 2), cv2.GC_FGD if c.on else cv2.GC_BGD, -1)
    trust[others] = cv2.GC_BGD
    window = (int(x0) - 2, int(y0) - 2, int(x1) + 2, int(y1) + 2)
    return _grabcut(photo, trust, (max(window[0], 0), max(window[1], 0), *window[2:]))


def model_in_box(found: np.ndarray, others: np.ndarray, box: tuple[float, float, float, float]) -> Region | None:
    """The model's instance (`found` (H, W) ids) that fits a box, less `others`; None where none does."""
    from scipy.ndimage import find_objects

    x0, y0, x1, y1 = checked_box(box, others.shape)
    best, number = SAME_BOX, 0
    for value, place in enumerate(find_objects(found), 1):
        if place is None:
            continue
        rows, columns = place
        wide = min(columns.stop, x1) - max(columns.start, x0)
        high = min(rows.stop, y1) - max(rows.start, y0)
        shared = max(wide, 0) * max(high, 0)
        both = (columns.stop - columns.start) * (rows.stop - rows.start) + (x1 - x0) * (y1 - y0) - shared
        if shared / both > best:
            best, number = shared / both, value
    return crop_region((found == number) & ~others) if number else None


def model_at(found: np.ndarray, others: np.ndarray, x: float, y: float) -> Region | None:
    """The model's instance under a click, less `others`; None where the model sees nothing there."""
    row, column = min(int(y), found.shape[0] - 1), min(int(x), found.shape[1] - 1)
    number = int(found[row, column])
    return crop_region((found == number) & ~others) if number else None


def checked_box(box: tuple[float, float, float, float], shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """A box as whole pixels within a photo of `shape`, corners in order; AnnotationError where it is too small."""
    xs, ys = sorted((box[0], box[2])), sorted((box[1], box[3]))
    x0, x1 = (int(np.clip(round(x), 0, shape[1])) for x in xs)
    y0, y1 = (int(np.clip(round(y), 0, shape[0])) for y in ys)
    if x1 - x0 < 4 or y1 - y0 < 4:
        raise AnnotationError("The box is too small; draw it from one corner of the thing to the opposite one")
    return x0, y0, x1, y1


def _grabcut(photo: np.ndarray, trust: np.ndarray, window: tuple[int, int, int, int]) -> Region:
    """GrabCut of a window (x0, y0, x1, y1) by `trust` (H, W), OpenCV's four values; specks and holes are mended."""
    x0, y0, x1, y1 = window
    picture, mask = photo[y0:y1, x0:x1], trust[y0:y1, x0:x1]
    k = min(1.0, WORKING_SIDE / max(mask.shape))
    size = (max(round(mask.shape[1] * k), 8), max(round(mask.shape[0] * k), 8))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    seeds = np.ascontiguousarray(cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST))
    thing = np.isin(seeds, (cv2.GC_FGD, cv2.GC_PR_FGD))
    if thing.any() and not thing.all():
        cv2.setRNGSeed(0)  # its colour clusters are drawn at random: the same box gives the same proposal
        cv2.grabCut(small, seeds, (0, 0, 1, 1), np.zeros((1, 65)), np.zeros((1, 65)), ROUNDS, cv2.GC_INIT_WITH_MASK)
        thing = np.isin(seeds, (cv2.GC_FGD, cv2.GC_PR_FGD))
    soft = cv2.resize(_mended(thing).astype(np.float32), mask.shape[::-1], interpolation=cv2.INTER_LINEAR)
    found = crop_region((soft > 0.5) & (mask != cv2.GC_BGD))
    return Region(found.top + y0, found.left + x0, found.mask)


def _mended(mask: np.ndarray) -> np.ndarray:
    """A mask without specks and holes."""
    from scipy.ndimage import binary_fill_holes

    count, parts, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    if count < 2:
        return mask
    areas = stats[:, cv2.CC_STAT_AREA].copy()
    areas[0] = 0
    return np.asarray(binary_fill_holes((areas >= SPECK * areas.max())[parts]))


def _window(labels: np.ndarray, region: Region) -> np.ndarray:
    h, w = region.mask.shape
    return labels[region.top : region.top + h, region.left : region.left + w]
