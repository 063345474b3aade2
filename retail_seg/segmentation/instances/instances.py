"""Mask ► instances, boxes, outlines and crops, all in the photo's own pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np


@dataclass(frozen=True, eq=False)
class Instances:
    """The instances of one photo as parallel arrays.

    shape       height and width of the photo in pixels
    boxes       (n, 4) int32: x, y, width, height in pixels
    areas       (n,) int64 in pixels
    confidence  (n,) float32 in [0, 1]: how sure the segmenter is of each instance
    masks       n arrays (h, w) bool, each the size of its box; no pixel of the photo is in two of them
    """

    shape: tuple[int, int]
    boxes: np.ndarray
    areas: np.ndarray
    confidence: np.ndarray
    masks: Sequence[np.ndarray]

    def __post_init__(self) -> None:
        n = len(self.boxes)
        assert self.boxes.shape == (n, 4) and self.areas.shape == (n,) and self.confidence.shape == (n,)
        assert len(self.masks) == n

    def __len__(self) -> int:
        return len(self.boxes)

    @classmethod
    def from_labels(cls, labels: np.ndarray, confidence: np.ndarray | None = None) -> Instances:
        """Instances of an integer label image (H, W); ids are renumbered 1..n in the order of their values.

        `confidence` (n,) follows the same order; 1 where it is not given.
        """
        values, dense = dense_labels(labels)
        n = int((values != 0).sum())
        boxes, areas = _boxes_and_areas(dense, n)
        sure = np.ones(n, np.float32) if confidence is None else np.asarray(confidence, np.float32)
        height, width = dense.shape
        return cls((height, width), boxes, areas, sure, masks_within(dense, boxes))

    @cached_property
    def labels(self) -> np.ndarray:
        """All masks in one picture (H, W) int32, 0 = background, instance number i has the id i + 1.

        Painted when it is first asked for: a scan has no use for it, and it takes four bytes of every pixel.
        """
        painted = np.zeros(self.shape, np.int32)
        for number, ((x, y, w, h), mask) in enumerate(zip(self.boxes.tolist(), self.masks, strict=True), 1):
            np.copyto(painted[y : y + h, x : x + w], number, where=mask)
        return painted

    def mask(self, i: int) -> np.ndarray:
        """Mask of instance number `i` inside its box, (h, w) bool."""
        return self.masks[i]

    def crop(self, photo: np.ndarray, i: int) -> tuple[np.ndarray, np.ndarray]:
        """Crop (h, w, 3) uint8 of instance number `i` and its mask (h, w) bool."""
        x, y, w, h = (int(v) for v in self.boxes[i])
        return photo[y : y + h, x : x + w], self.masks[i]

    def polygon(self, i: int, tolerance: float = 1.0) -> np.ndarray:
        """Outer outline of the largest part of instance number `i`, (k, 2) int32 x, y; simplified by `tolerance` px."""
        return simplified(largest(outlines_of(self.mask(i))), tolerance) + self.boxes[i, :2].astype(np.int32)


def outlines_of(mask: np.ndarray) -> Sequence[np.ndarray]:
    """The outer outlines of all parts of a mask (h, w) bool, each (k, 1, 2) int32 x, y: the ends of its straight runs.

    As OpenCV gives them.
    """
    outlines, _ = cv2.findContours(
        np.ascontiguousarray(mask).view(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE
    )
    return outlines


def largest(outlines: Sequence[np.ndarray]) -> np.ndarray:
    """The outline that holds the most."""
    return max(outlines, key=cv2.contourArea)


def simplified(outline: np.ndarray, tolerance: float = 1.0) -> np.ndarray:
    """An outline (k, 1, 2) with fewer points, none of it more than `tolerance` pixels off, (m, 2) int32 x, y."""
    if tolerance > 0:
        outline = cv2.approxPolyDP(outline, tolerance, True)
    return outline.reshape(-1, 2).astype(np.int32)


def dense_labels(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The values of a label image, ascending, and the image (H, W) int32 with those other than 0 numbered 1..n.

    Pixels to be ignored (boxes.IGNORE, below 0) count as background.
    """
    if labels.size and int(labels.min()) < 0:
        labels = np.maximum(labels, 0)
    if labels.size and int(labels.max()) < 2**16:  # counting is faster than sorting
        values = np.flatnonzero(np.bincount(labels.ravel()))
        table = np.zeros(int(labels.max()) + 1, np.int32)
        table[values[values > 0]] = np.arange(1, int((values > 0).sum()) + 1)
        return values, table[labels]
    values, flat = np.unique(labels, return_inverse=True)
    numbers = np.zeros(len(values), np.int32)
    numbers[values != 0] = np.arange(1, int((values != 0).sum()) + 1)
    return values, numbers[flat.reshape(labels.shape)]


def masks_within(labels: np.ndarray, boxes: np.ndarray) -> list[np.ndarray]:
    """The masks (h, w) bool of the ids 1..n of a label image (H, W), each in its box of `boxes` (n, 4)."""
    return [labels[y : y + h, x : x + w] == i for i, (x, y, w, h) in enumerate(boxes.tolist(), 1)]


def _boxes_and_areas(labels: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Boxes (n, 4) int32 and areas (n,) int64 of the dense ids 1..n."""
    from scipy.ndimage import find_objects

    areas = np.bincount(labels.ravel(), minlength=n + 1)[1:].astype(np.int64)
    boxes = np.zeros((n, 4), np.int32)
    for i, found in enumerate(find_objects(labels, max_label=n)):
        rows, cols = found
        boxes[i] = cols.start, rows.start, cols.stop - cols.start, rows.stop - rows.start
    return boxes, areas
