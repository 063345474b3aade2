"""Instance labels ► the maps that the network learns, and labels from one resolution to another."""

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


def enlarge_labels(labels: np.ndarray, foreground: np.ndarray) -> np.ndarray:
    """Working labels (h, w) int32 ► (H, W) int32 inside the mask `foreground` (H, W) bool, with smooth inner borders.

    Each instance is enlarged linearly within its own box and a pixel goes to the strongest; pixels of the mask that
    lie outside every instance stay background.
    """
    return enlarge_in_windows(labels, foreground)[0]


def enlarge_in_windows(
    labels: np.ndarray, foreground: np.ndarray
) -> tuple[np.ndarray, list[tuple[slice, slice] | None]]:
    """What `enlarge_labels` gives, and rows and columns beyond which each id 1..n has no pixel (None: it has none)."""
    height, width = foreground.shape
    best = np.zeros((height, width), np.uint8)
    large = np.zeros((height, width), np.int32)
    windows: list[tuple[slice, slice] | None] = []
    for value, place in enumerate(find_objects(labels), 1):
        if place is None:
            windows.append(None)
            continue
        share, window = _share(labels, value, place, width, height)
        strongest = best[window]
        taken = share > strongest
        np.maximum(strongest, share, out=strongest)
        np.copyto(large[window], value, where=taken & foreground[window])
        windows.append(window)
    return large, windows


def _share(
    labels: np.ndarray, value: int, place: tuple[slice, slice], width: int, height: int
) -> tuple[np.ndarray, tuple[slice, slice]]:
    """How much of each pixel of a window of the large picture one instance covers, 0 to 255, and that window."""
    kx, ky = labels.shape[1] / width, labels.shape[0] / height
    (y, h), (x, w) = ((p.start, p.stop - p.start) for p in place)
    left, top = int(max((x - 1) / kx, 0)), int(max((y - 1) / ky, 0))
    right, bottom = int(min((x + w + 1) / kx + 1, width)), int(min((y + h + 1) / ky + 1, height))
    # Pixel centres: source = (target + 0.5) * k - 0.5, counted from the corner of the instance's box.
    matrix = np.array([[kx, 0, (left + 0.5) * kx - 0.5 - x], [0, ky, (top + 0.5) * ky - 0.5 - y]], np.float32)
    share = cv2.warpAffine(
        np.where(labels[place] == value, np.uint8(255), np.uint8(0)), matrix, (right - left, bottom - top),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_CONSTANT, borderValue=0,
    )  # fmt: skip
    return share, (slice(top, bottom), slice(left, right))
