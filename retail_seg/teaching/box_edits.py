"""Boxes among the ids of one photo: painted so that they share what they share, kept while nothing else was drawn.

Pure functions of arrays. `boxes` is instance id ► box (x, y, width, height) in pixels of the photo, as in
`segmentation.boxes`; `labels` (H, W) int32. A pixel belongs to a box when its centre does.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import cv2
import numpy as np

from retail_seg.errors import AnnotationError
from retail_seg.segmentation.boxes import IGNORE, IN_FRONT, Box, keeps
from retail_seg.segmentation.formats.base import Region, box_region, crop_region

#: Fewest pixels of a box's side: less is a slip of the hand.
LEAST = 3

Boxes = Mapping[int, Box]


def drawn_box(corners: tuple[float, float, float, float], shape: tuple[int, ...]) -> Region:
    """The box between two corners (x0, y0, x1, y1), in whatever order; AnnotationError where it is too small."""
    (x0, x1), (y0, y1) = sorted(corners[::2]), sorted(corners[1::2])
    small = "The box is too small; draw it from one corner of the thing to the opposite one"
    if x1 - x0 < LEAST or y1 - y0 < LEAST:
        raise AnnotationError(small)
    region = box_region((x0, y0, x1 - x0, y1 - y0), shape[0], shape[1], "The box", [])
    if min(region.mask.shape) < LEAST:
        raise AnnotationError(small)
    return region


def with_boxes(labels: np.ndarray, boxes: Boxes, fresh: Collection[int]) -> np.ndarray:
    """The ids with the boxes `fresh` of `boxes`, which have no pixels yet.

    Two boxes share their overlap (`boxes.keeps`). A mask keeps what it has, unless a fresh box lies on it with
    IN_FRONT of itself or more. What is to be ignored lies below all.
    """
    after = labels.copy()
    for number in sorted(fresh, key=lambda n: -_area(boxes[n])):
        _repaint(after, boxes, _place(boxes[number], labels.shape), fresh)
    return after


def without_instance(labels: np.ndarray, boxes: Boxes, number: int) -> np.ndarray:
    """The ids without instance `number`; what boxes shared with it is theirs again."""
    region = crop_region(labels == number)
    h, w = region.mask.shape
    place = (slice(region.top, region.top + h), slice(region.left, region.left + w))
    after = labels.copy()
    after[place][region.mask] = 0
    _repaint(after, {n: box for n, box in boxes.items() if n != number}, place, ())
    return after


def moved_box(labels: np.ndarray, boxes: Boxes, number: int, box: Box) -> np.ndarray:
    """The ids with the box `number` of `boxes` being `box` instead."""
    return with_boxes(without_instance(labels, boxes, number), {**boxes, number: box}, (number,))


def ignoring(labels: np.ndarray, region: Region) -> np.ndarray:
    """The ids with the background of `region` to be ignored; instances in it stay."""
    after = labels.copy()
    h, w = region.mask.shape
    window = after[region.top : region.top + h, region.left : region.left + w]
    window[region.mask & (window == 0)] = IGNORE
    return after


def heeding(labels: np.ndarray, at: tuple[float, float]) -> np.ndarray:
    """The ids without the region to be ignored that lies at a point; the same ids where none does."""
    _, parts = cv2.connectedComponents((labels == IGNORE).astype(np.uint8))
    part = parts[min(int(at[1]), labels.shape[0] - 1), min(int(at[0]), labels.shape[1] - 1)]
    return np.where(parts == part, 0, labels) if part else labels


def still_boxes(boxes: Boxes, before: np.ndarray, after: np.ndarray) -> dict[int, Box]:
    """The boxes that are boxes after another edit, which turned ids `before` into `after` (both of any one shape).

    One that was painted on or erased from is a mask from then on; one that another instance took pixels from is not.
    """
    won = np.unique(after[before != after])
    lost = np.unique(before[(before != after) & (after <= 0)])
    gone = {int(n) for n in (*won, *lost)}
    return {number: box for number, box in boxes.items() if number not in gone}


def _repaint(labels: np.ndarray, boxes: Boxes, place: tuple[slice, slice], fresh: Collection[int]) -> None:
    """Paint all boxes anew within `place` of the ids, in place; the larger first, as `formats.base.paint` does."""
    window = labels[place]
    known = [n for n in boxes if _meet(_place(boxes[n], labels.shape), place)]
    window[np.isin(window, known)] = 0
    for number in sorted(known, key=lambda n: (-_area(boxes[n]), n in fresh)):
        _paint(labels, boxes, number, place, number in fresh)


def _paint(labels: np.ndarray, boxes: Boxes, number: int, within: tuple[slice, slice], fresh: bool) -> None:
    mine = _place(boxes[number], labels.shape)
    rows = slice(max(mine[0].start, within[0].start), min(mine[0].stop, within[0].stop))
    columns = slice(max(mine[1].start, within[1].start), min(mine[1].stop, within[1].stop))
    under = labels[rows, columns]
    takes = np.ones(under.shape, bool)
    for other in (int(n) for n in np.unique(under) if n > 0):
        ys, xs = np.nonzero(under == other)
        if other in boxes:
            takes[ys, xs] = ~keeps(boxes[other], boxes[number], ys + rows.start, xs + columns.start)
        elif not fresh or len(ys) < IN_FRONT * _area(boxes[number]):
            takes[ys, xs] = False
    under[takes] = number


def _place(box: Box, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """Rows and columns of the pixels of a box, see `box_region`."""
    x, y, w, h = box
    first, last = (int(np.clip(np.ceil(v - 0.5), 0, shape[1])) for v in (x, x + w))
    top, bottom = (int(np.clip(np.ceil(v - 0.5), 0, shape[0])) for v in (y, y + h))
    return slice(top, bottom), slice(first, last)


def _meet(a: tuple[slice, slice], b: tuple[slice, slice]) -> bool:
    return all(one.start < two.stop and two.start < one.stop for one, two in zip(a, b, strict=True))


def _area(box: Box) -> float:
    return box[2] * box[3]
