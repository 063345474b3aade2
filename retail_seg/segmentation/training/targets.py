"""Instance labels ► the maps that the network learns, and labels at a smaller size."""

from __future__ import annotations

import cv2
import numpy as np
from scipy.ndimage import find_objects

#: Pixels of an instance that lie this close to another instance are its boundary (working pixels).
BOUNDARY_RADIUS = 3


def target_maps(labels: np.ndarray) -> np.ndarray:
    """Maps (5, h, w) float32 of an instance label image (h, w) int32, 0 = background.

    foreground 0/1; distance to the own edge divided by the instance's largest one, 0..1; boundary 0/1: pixels close
    to another instance; offset to the own centre of gravity, x and y, in pixels.
    """
    maps = np.zeros((5, *labels.shape), np.float32)
    maps[0] = labels > 0
    maps[2] = boundary_mask(labels)
    for value, place in enumerate(find_objects(labels), 1):
        if place is not None:
            _fill_instance(maps, labels, value, place)
    return maps


def _fill_instance(maps: np.ndarray, labels: np.ndarray, value: int, place: tuple[slice, slice]) -> None:
    """Distance and offsets of one instance; the picture's border is no edge of it."""
    top, left = max(place[0].start - 1, 0), max(place[1].start - 1, 0)
    window = (slice(top, place[0].stop + 1), slice(left, place[1].stop + 1))
    mask = labels[window] == value
    own = cv2.distanceTransform(mask.view(np.uint8), cv2.DIST_L2, 3)
    rows, columns = np.nonzero(mask)
    maps[1][window][mask] = (own / max(float(own.max()), 1.0))[mask]
    maps[3][window][mask] = columns.mean() - columns
    maps[4][window][mask] = rows.mean() - rows


def boundary_mask(labels: np.ndarray, radius: int = BOUNDARY_RADIUS) -> np.ndarray:
    """Pixels (h, w) bool of an instance that have a pixel of another instance within `radius`."""
    dense = np.maximum(labels, 0).astype(np.uint16)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    highest = cv2.dilate(dense, kernel)
    lowest = cv2.erode(np.where(dense == 0, np.uint16(65535), dense), kernel)
    return (dense > 0) & ((highest != dense) | (lowest != dense))


def shrink_labels(labels: np.ndarray, width: int, height: int) -> np.ndarray:
    """Labels (H, W) ► (height, width) int32: each pixel goes to what covers most of it, so edges stay in place.

    Enlarged labels (small photos) get smooth edges.
    """
    how = cv2.INTER_AREA if width < labels.shape[1] else cv2.INTER_LINEAR
    best = np.full((height, width), 0.5, np.float32)
    small = np.zeros((height, width), np.int32)
    for value in np.unique(labels):
        if value == 0:
            continue
        share = cv2.resize((labels == value).astype(np.float32), (width, height), interpolation=how)
        taken = (share > 0) & (share >= best)
        small[taken], best[taken] = value, share[taken]
    return small
