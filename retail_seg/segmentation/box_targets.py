"""What training may believe of a box: its middle is the product, its corners may be the shelf behind it."""

from __future__ import annotations

import os
from collections.abc import Mapping

import numpy as np
from scipy.ndimage import find_objects

from retail_seg.segmentation.box_masks import without_surroundings
from retail_seg.segmentation.boxes import CORNER, IGNORE, Box
from retail_seg.segmentation.training.targets import BOUNDARY_RADIUS, boundary_mask


def softened(labels: np.ndarray, boxes: Mapping[int, Box], scale: float = 1.0) -> np.ndarray:
    """Ids (h, w) int32 in which the corners of those instances that are boxes are boxes.IGNORE.

    `scale` takes the boxes to the labels' size. A corner that touches another instance stays: where two boxes meet
    there is a boundary, whatever their corners hold. The sides stay, too, so what is learned reaches all four of them.
    """
    if not boxes:
        return labels
    soft = labels.copy()
    meets = boundary_mask(labels, 2 * BOUNDARY_RADIUS)
    for number, place in enumerate(find_objects(labels), 1):
        if place is not None and number in boxes:
            window = soft[place]
            box = np.array(boxes[number], np.float64) * scale
            corner = outside_rounded(box, place) & (window == number) & ~meets[place]
            window[corner] = IGNORE
    return soft


def taught(photo: np.ndarray, labels: np.ndarray, boxes: Mapping[int, Box], width: int) -> np.ndarray:
    """Ids (h, w) int32 as a training may believe them of a photo RGB (h, w, 3) with boxes; these are of `width` pixels.

    The corners of boxes are boxes.IGNORE (`softened`), and so is what GrabCut finds not to be the thing in its box
    (`box_masks`), but for pixels close to another instance: the boundary between the two is learned.
    """
    if not boxes:
        return labels
    meets = boundary_mask(labels, 2 * BOUNDARY_RADIUS)
    known = np.where(meets, labels, without_surroundings(photo, labels, boxes, os.cpu_count() or 1))
    return np.where(softened(labels, boxes, labels.shape[1] / width) == IGNORE, IGNORE, known).astype(np.int32)


def outside_rounded(box: np.ndarray, place: tuple[slice, slice], corner: float = CORNER) -> np.ndarray:
    """Pixels (h, w) bool of a window outside a box with round corners, of radius `corner` × its shorter side."""
    x, y, w, h = box
    radius = corner * min(w, h)
    columns = np.arange(place[1].start, place[1].stop) + 0.5
    rows = np.arange(place[0].start, place[0].stop) + 0.5
    across = np.clip(np.abs(columns - x - w / 2) - (w / 2 - radius), 0, None)
    down = np.clip(np.abs(rows - y - h / 2) - (h / 2 - radius), 0, None)
    return np.asarray(across[None] ** 2 + down[:, None] ** 2 > radius**2)
