"""One instance that is several products ► its parts: where a person marks them, or where maps or outline say so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np

from retail_seg.segmentation.instances.grouping import Maps, Thresholds, select, split

#: A part smaller than this share of the instance is none.
MIN_PART = 0.08
#: Longer side, in pixels, at which ways from marked points are measured.
PATH_SIDE = 200
#: What is left of the threshold that merges neighbours, step by step, until an instance falls apart.
SHARES = (0.75, 0.5, 0.3, 0.15, 0.05)
#: Heights of the distance to the edge, as shares of its greatest, at which an outline may fall apart at a neck.
HEIGHTS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8)


def split_at(mask: np.ndarray, points: Sequence[tuple[float, float]]) -> np.ndarray:
    """Parts (h, w) int32, 1..n, of a mask (h, w) bool, one for each marked point (x, y in pixels).

    Each pixel goes to the mark from which it is reached soonest inside the mask, where going is slow near the edge: in
    a neck between two marks it is slow all over, so that the border comes to lie there. A mark beside the mask counts
    for its nearest pixel; marks on one and the same pixel are one part.
    """
    from skimage.graph import MCP_Geometric

    scale = min(1.0, PATH_SIDE / max(mask.shape))
    small = cv2.resize(mask.astype(np.uint8), None, fx=scale, fy=scale, interpolation=cv2.INTER_NEAREST) > 0
    inside = np.argwhere(small) if small.any() else np.zeros((1, 2), int)
    hits = (inside[np.hypot(*(inside - (y * scale, x * scale)).T).argmin()] for x, y in points)
    starts = dict.fromkeys((int(row), int(column)) for row, column in hits)
    away = cv2.distanceTransform(small.astype(np.uint8), cv2.DIST_L2, 5)
    slow = np.where(small, 1 / (away / max(float(away.max()), 1.0) + 0.05) ** 2, np.inf)
    reached = np.stack([MCP_Geometric(slow).find_costs([start])[0] for start in starts])
    nearest = np.where(np.isfinite(reached.min(axis=0)), reached.argmin(axis=0) + 1, 0)
    large = cv2.resize(nearest.astype(np.float32), mask.shape[::-1], interpolation=cv2.INTER_NEAREST).astype(np.int32)
    return _filled(mask, np.where(mask, large, 0))


def parts_by_maps(mask: np.ndarray, maps: Maps, thresholds: Thresholds) -> np.ndarray | None:
    """Parts (h, w) int32, 1..n, of a mask (h, w) bool where the network's maps show a border in it; None without one.

    `maps` are of the mask's box, at working size. The segmenter takes neighbours for one thing below a threshold of
    evidence; here that threshold falls until the instance comes apart.
    """
    height, width = maps.foreground.shape
    small = cv2.resize(mask.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST) > 0
    inner = replace(maps, foreground=np.where(small, np.maximum(maps.foreground, 0.999), 0).astype(np.float32))
    regions = split(inner, 0.5)
    least = MIN_PART * float(small.mean())
    for share in SHARES:
        rule = replace(thresholds, merge=share * thresholds.merge, join=0.0, min_area=least, min_confidence=0.0)
        labels, _ = select(regions, inner, rule)
        if labels.max() >= 2:
            return _grown(mask, labels)
    return None


def parts_by_outline(mask: np.ndarray) -> np.ndarray | None:
    """Parts (h, w) int32, 1..n, of a mask (h, w) bool whose outline has a neck; None for one that has none."""
    distance = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5)
    for height in HEIGHTS:
        core = (distance > height * distance.max()).astype(np.uint8)
        count, markers, stats, _ = cv2.connectedComponentsWithStats(core, ltype=cv2.CV_32S)
        if count > 2 and np.sort(stats[1:, cv2.CC_STAT_AREA])[-2] > 0.2 * MIN_PART * mask.sum():
            parts = _large(_flood(mask, markers), mask)
            if parts.max() >= 2:
                return parts
    return None


def _flood(mask: np.ndarray, markers: np.ndarray) -> np.ndarray:
    """The mask's pixels shared out among markers (h, w) int32; what none of them reaches goes to the nearest."""
    from skimage.segmentation import watershed

    distance = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5)
    return _filled(mask, watershed(-distance, markers, mask=mask).astype(np.int32))


def _grown(mask: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Labels at working size brought to the mask's size and filled up to its edge."""
    large = cv2.resize(labels.astype(np.float32), mask.shape[::-1], interpolation=cv2.INTER_NEAREST).astype(np.int32)
    return _large(_filled(mask, np.where(mask, large, 0)), mask)


def _large(parts: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The parts that are large enough, renumbered; the others go to their nearest neighbour."""
    areas = np.bincount(parts.ravel())
    keep = areas >= MIN_PART * mask.sum()
    keep[0] = False
    return _filled(mask, np.where(keep, np.cumsum(keep), 0).astype(np.int32)[parts])


def _filled(mask: np.ndarray, parts: np.ndarray) -> np.ndarray:
    """Parts with every pixel of the mask that has none given to the nearest one."""
    from scipy.ndimage import distance_transform_edt

    if not parts.any():
        return mask.astype(np.int32)
    nearest = distance_transform_edt(parts == 0, return_distances=False, return_indices=True)
    return np.where(mask, parts[tuple(nearest)], 0).astype(np.int32)
