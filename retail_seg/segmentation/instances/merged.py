"""Instances that may be several products in one, told from their outline and their area.

Two products that touch leave two notches that face each other: a neck. Both sides of it are large and its width is
small against them. Where the neck is not so clear, an instance that is also larger than the photo's others and has a
deep notch is suspected. The limits were chosen on annotated instances of groceries against pairs of neighbours
fused into one; bottles with handles, trigger sprayers and long vegetables are among the first kind.

Measured on 42 photos of groceries apart and 40 scenes of touching ones: of 108 single ones apart none is flagged, of
274 touching or partly hidden ones 8, of 256 fused pairs 227 (recall .89, precision .97); of 926 outlined packs 8. On
touching cell nuclei and on pebbles, for which it was not made, it finds half of the fused pairs and flags 1 to 2 % of
the single ones. These pairs are fused along the true outlines, and all this is without MIN_RELATIVE, which came later.

What a segmenter really merges is harder: of 10 merges among 506 instances of composed scenes 6 are flagged, and 17
others (25 without MIN_RELATIVE, which was chosen there); of 16 merges among 254 instances of the touching scenes 5, and
4 others (9 without). The flag is a hint where to look, not a count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from retail_seg.segmentation.instances.instances import Instances, largest, outlines_of

#: Outlines smaller than this equivalent diameter, in pixels, are too coarse to judge.
MIN_DIAMETER = 12.0
#: Notches shallower than this part of the equivalent diameter are roughness of the mask.
MIN_NOTCH = 0.03
#: A neck's notches are deeper than this part of the equivalent diameter.
NECK_DEPTH = 0.07
#: Only so many of the deepest notches are paired.
MAX_NOTCHES = 10
#: What is smaller than this part of the photo's median area is sooner a piece of one thing than several.
MIN_RELATIVE = 0.75
#: From this number of instances on, a photo's median area says something.
MIN_INSTANCES = 3


@dataclass(frozen=True)
class Outline:
    """What an outline says of a merge; lengths as parts of the equivalent diameter.

    solidity   area over the area of the convex hull
    notches    depths of the deepest and the second notch
    neck       width of the narrowest neck over the equivalent diameter of its smaller side; infinite without one
    side       that side's part of the area, 0 to 0.5
    neck_depth depth of the shallower of the neck's two notches
    """

    solidity: float
    notches: tuple[float, float]
    neck: float
    side: float
    neck_depth: float


def merged_flags(instances: Instances, outlines: Sequence[Sequence[np.ndarray]] | None = None) -> np.ndarray:
    """Whether each instance may be several products, (n,) bool; `outlines` are theirs (see `outlines_of`), where known.

    What is too small beside the others is not looked at: its outline says nothing.
    """
    typical = float(np.median(instances.areas)) if len(instances) >= MIN_INSTANCES else float("inf")
    flags = np.zeros(len(instances), bool)
    for i, area in enumerate(instances.areas):
        relative = float(area) / typical
        if _too_small(relative):
            continue
        found = outlines_of(instances.mask(i)) if outlines is None else outlines[i]
        if not found or not _may_have_neck(largest(found)):
            continue
        outline = describe_outline(instances.mask(i))
        flags[i] = outline is not None and looks_merged(outline, relative)
    return flags


def _too_small(relative_area: float) -> bool:
    return 0 < relative_area < MIN_RELATIVE


def looks_merged(outline: Outline, relative_area: float) -> bool:
    """The rule itself; `relative_area` is the instance's area over the photo's median, 0 where that says nothing."""
    if _too_small(relative_area):
        return False
    if outline.neck < 1.0 and outline.side > 0.2 and outline.neck_depth > NECK_DEPTH:
        return True
    deepest, second = outline.notches
    return relative_area > 1.3 and outline.solidity < 0.94 and deepest > 0.25 and second > 0.05


def describe_outline(mask: np.ndarray) -> Outline | None:
    """The outline of the largest part of a mask (h, w) bool; None where it is too small to judge."""
    contours, _ = cv2.findContours(np.ascontiguousarray(mask, np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if not contours:
        return None
    contour = max(contours, key=cv2.contourArea)
    area = cv2.contourArea(contour)
    diameter = 2 * np.sqrt(area / np.pi)
    if diameter < MIN_DIAMETER:
        return None
    points = contour.reshape(-1, 2)
    at, depth = _notches(contour, MIN_NOTCH * diameter)
    depth = depth / diameter
    order = np.argsort(-depth)[:MAX_NOTCHES]
    deepest = (*depth[order[:2]].tolist(), 0.0, 0.0)
    neck, side, neck_depth = _narrowest_neck(points, at[order], depth[order])
    solidity = area / max(cv2.contourArea(cv2.convexHull(contour)), 1.0)
    return Outline(solidity, (deepest[0], deepest[1]), neck, side, neck_depth)


def _may_have_neck(outline: np.ndarray) -> bool:
    """Whether an outline (k, 1, 2) is anywhere as far from its hull as `looks_merged` asks at least.

    The corners of an outline are enough: between them the distance from an edge of the hull is never greater.
    """
    diameter = 2 * np.sqrt(cv2.contourArea(outline) / np.pi)
    return diameter >= MIN_DIAMETER and bool(_from_hull(outline)[0].max() > 0.999 * NECK_DEPTH * diameter)


def _from_hull(contour: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distances (k,) of the points of a contour (k, 1, 2) from their edges of its hull, beginning with the hull's first
    corner; and the indices (m,) at which the edges begin, and end."""
    points = contour.reshape(-1, 2).astype(np.float64)
    hull = np.sort(cv2.convexHull(contour, returnPoints=False).ravel())
    ends = np.append(hull[1:], hull[0] + len(points))
    order = np.arange(hull[0], hull[0] + len(points))
    edge = np.repeat(np.arange(len(hull)), (ends - hull).astype(np.int64))
    start = points[hull[edge]]
    along, away = points[ends[edge] % len(points)] - start, points[order % len(points)] - start
    cross = np.abs(along[:, 0] * away[:, 1] - along[:, 1] * away[:, 0])
    return cross / np.maximum(np.hypot(along[:, 0], along[:, 1]), 1e-9), hull, ends


def _notches(contour: np.ndarray, least: float) -> tuple[np.ndarray, np.ndarray]:
    """Index on the contour (k, 1, 2) and depth of every notch at least `least` pixels deep.

    One edge of the convex hull can bridge several notches (a row of cans): each rise of the distance from that edge
    by `least` counts.
    """
    distance, hull, ends = _from_hull(contour)
    deepest = np.maximum.reduceat(distance, hull - hull[0])
    at: list[int] = []
    depths: list[float] = []
    for number in np.flatnonzero(deepest >= least):
        part = np.append(distance[hull[number] - hull[0] : ends[number] - hull[0]], 0.0)
        peaks = prominent_peaks(part, least)
        at += ((hull[number] + peaks) % len(contour)).tolist()
        depths += part[peaks].tolist()
    return np.array(at, int), np.array(depths)


def prominent_peaks(values: np.ndarray, least: float) -> np.ndarray:
    """Indices (k,) of the peaks of values (n,), none below 0, that stand out by `least` or more: the middle of each.

    A peak stands out by its height above the higher of the two lowest values between it and what is higher on either
    side. These are those of scipy.signal.find_peaks, whose import takes longer than all the rest of a scan's.
    """
    begins = np.append(0, np.flatnonzero(values[1:] != values[:-1]) + 1)  # of runs of equal values
    heights = values[begins]
    inner = np.arange(1, len(begins) - 1)
    tops = inner[(heights[inner] > heights[inner - 1]) & (heights[inner] > heights[inner + 1])]
    found = []
    for at in tops[heights[tops] >= least].tolist():
        higher = np.flatnonzero(heights > heights[at])
        after = int(np.searchsorted(higher, at))
        first = higher[after - 1] + 1 if after else 0
        last = higher[after] if after < len(higher) else len(heights)
        if heights[at] - max(heights[first:at].min(), heights[at + 1 : last].min()) >= least:
            found.append((begins[at] + begins[at + 1] - 1) // 2)
    return np.array(found, np.int64)


def _narrowest_neck(points: np.ndarray, at: np.ndarray, depth: np.ndarray) -> tuple[float, float, float]:
    """Neck, side and neck_depth (see Outline) of the best pair of notches at the indices `at`."""
    best = (float("inf"), 0.0, 0.0)
    for i in range(len(at)):
        for j in range(i):
            first, last = sorted((int(at[i]), int(at[j])))
            one = cv2.contourArea(points[first : last + 1].astype(np.float32))
            other = cv2.contourArea(np.concatenate([points[last:], points[: first + 1]]).astype(np.float32))
            small = min(one, other)
            if small <= 0:
                continue
            width = float(np.hypot(*(points[first] - points[last]).astype(float)))
            ratio = width / (2 * np.sqrt(small / np.pi))
            if ratio < best[0]:
                best = (ratio, small / (one + other), float(min(depth[i], depth[j])))
    return best
