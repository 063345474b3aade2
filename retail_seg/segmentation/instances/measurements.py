"""Sizes of instances in pixels and millimetres, and the size distribution over a photo.

Millimetres hold in the plane of the scale: where the camera looks straight down and the products are flat.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from retail_seg.segmentation.instances.instances import Instances

#: The percentiles of a size distribution.
PERCENTILES = {"d10": 10.0, "d50": 50.0, "d90": 90.0}
#: Outlines are simplified by this many pixels before they are measured.
STAIRS = 0.75


@dataclass(frozen=True)
class Measurements:
    """Measurements of the instances of one photo as parallel arrays, in pixels and degrees.

    boxes        (n, 4) int32: x, y, width, height
    areas        (n,) float64
    rotated      (n, 5) float64: the smallest rotated box: centre x, y, length, width (length >= width), angle
    ellipses     (n, 5) float64: the ellipse with the same second moments: centre x, y, major, minor axis, angle
    diameters    (n,) float64: of the circle with the same area
    perimeters   (n,) float64: holes counted
    circularity  (n,) float64: 4 pi area / perimeter², 1 for a disc, at most 1
    cut          (n,) bool: the instance reaches the photo's edge, so the rest of it may be outside

    Angles are those of the longer axis against the x axis, clockwise as seen in the photo, 0 to 180.
    """

    boxes: np.ndarray
    areas: np.ndarray
    rotated: np.ndarray
    ellipses: np.ndarray
    diameters: np.ndarray
    perimeters: np.ndarray
    circularity: np.ndarray
    cut: np.ndarray

    def __post_init__(self) -> None:
        n = len(self.boxes)
        assert self.boxes.shape == (n, 4) and self.rotated.shape == (n, 5) and self.ellipses.shape == (n, 5)
        columns = (self.areas, self.diameters, self.perimeters, self.circularity, self.cut)
        assert all(column.shape == (n,) for column in columns)

    def __len__(self) -> int:
        return len(self.boxes)

    def rows(self, mm_per_px: float | None = None) -> list[dict[str, Any]]:
        """One flat dict an instance, ids from 1; every length and area also in mm where the scale is given.

        x, y, w, h are the upright box; length, width, box_x, box_y (centre) and box_angle the rotated one.
        """
        return [self._row(i, mm_per_px) for i in range(len(self))]

    def _row(self, i: int, mm_per_px: float | None) -> dict[str, Any]:
        x, y, w, h = (int(v) for v in self.boxes[i])
        lengths = {
            "diameter": self.diameters[i],
            "perimeter": self.perimeters[i],
            "length": self.rotated[i, 2],
            "width": self.rotated[i, 3],
            "ellipse_major": self.ellipses[i, 2],
            "ellipse_minor": self.ellipses[i, 3],
        }
        row: dict[str, Any] = {"id": i + 1, "x": x, "y": y, "w": w, "h": h, "area_px": int(self.areas[i])}
        row |= {f"{name}_px": round(float(v), 2) for name, v in lengths.items()}
        for name, shapes in (("box", self.rotated), ("ellipse", self.ellipses)):
            row |= {f"{name}_x": round(float(shapes[i, 0]), 2), f"{name}_y": round(float(shapes[i, 1]), 2)}
        row |= {"box_angle": round(float(self.rotated[i, 4]), 1), "ellipse_angle": round(float(self.ellipses[i, 4]), 1)}
        row |= {"circularity": round(float(self.circularity[i]), 4), "cut": bool(self.cut[i])}
        if mm_per_px is not None:
            row["area_mm2"] = round(float(self.areas[i]) * mm_per_px**2, 3)
            row |= {f"{name}_mm": round(float(v) * mm_per_px, 3) for name, v in lengths.items()}
        return row

    def distribution(self, mm_per_px: float | None = None) -> dict[str, Any]:
        """d10, d50 and d90 of the diameter and of the ellipse's minor axis (which is what a sieve stops), by count
        and by area; in mm where the scale is given, else in pixels. Instances that the photo's edge cuts are in it.
        """
        unit, scale = ("px", 1.0) if mm_per_px is None else ("mm", mm_per_px)
        sizes = {"diameter": self.diameters * scale, "minor_axis": self.ellipses[:, 3] * scale}
        found: dict[str, Any] = {"count": len(self), "cut": int(self.cut.sum()), "unit": unit}
        for name, values in sizes.items():
            by_count = size_percentiles(values)
            found[name] = {"by_count": by_count, "by_area": size_percentiles(values, self.areas)}
        return found


def measure(instances: Instances) -> Measurements:
    """Measure every instance of a photo."""
    n = len(instances)
    height, width = instances.shape
    rotated, ellipses, perimeters = np.zeros((n, 5)), np.zeros((n, 5)), np.zeros(n)
    for i in range(n):
        mask = instances.mask(i)
        x, y = (float(v) for v in instances.boxes[i, :2])
        rotated[i] = _rotated_box(mask)
        ellipses[i] = _ellipse(mask)
        perimeters[i] = _perimeter(mask)
        rotated[i, :2] += x, y
        ellipses[i, :2] += x, y
    areas = instances.areas.astype(np.float64)
    x0, y0, w, h = instances.boxes.T
    return Measurements(
        boxes=instances.boxes,
        areas=areas,
        rotated=rotated,
        ellipses=ellipses,
        diameters=2 * np.sqrt(areas / np.pi),
        perimeters=perimeters,
        circularity=np.minimum(4 * np.pi * areas / np.maximum(perimeters, 1e-9) ** 2, 1.0),
        cut=(x0 == 0) | (y0 == 0) | (x0 + w == width) | (y0 + h == height),
    )


def size_percentiles(sizes: np.ndarray, weights: np.ndarray | None = None) -> Mapping[str, float | None]:
    """d10, d50 and d90 of sizes (n,): the size below which that part of the weight lies; None where n is 0.

    Without weights each counts once. With areas as weights it is the distribution that grid sampling gives, which
    stands for sieving by mass (Kellerhals and Bray, Sampling procedures for coarse fluvial sediments, 1971). Between
    the middles of the steps of the cumulative curve it is linear (Hazen's rule).
    """
    if not len(sizes):
        return dict.fromkeys(PERCENTILES)
    order = np.argsort(sizes, kind="stable")
    share = np.ones(len(sizes)) if weights is None else np.asarray(weights, np.float64)[order]
    middles = (np.cumsum(share) - share / 2) / share.sum() * 100
    return {name: round(float(np.interp(p, middles, sizes[order])), 3) for name, p in PERCENTILES.items()}


def without(instances: Instances, drop: np.ndarray) -> Instances:
    """The instances for which `drop` (n,) bool is false, renumbered."""
    keep = np.concatenate([[False], ~drop])
    return Instances.from_labels(np.where(keep[instances.labels], instances.labels, 0), instances.confidence[~drop])


def _rotated_box(mask: np.ndarray) -> tuple[float, float, float, float, float]:
    """Smallest rotated box around the pixels (their corners, not their centres) of a mask (h, w) bool."""
    rows, columns = np.nonzero(mask)
    corners = np.concatenate([np.stack([columns + dx, rows + dy], 1) for dx in (0, 1) for dy in (0, 1)])
    (x, y), (w, h), angle = cv2.minAreaRect(cv2.convexHull(corners.astype(np.float32)))
    length, width, turn = (w, h, angle) if w >= h else (h, w, angle + 90)
    return x, y, length, width, turn % 180


def _ellipse(mask: np.ndarray) -> tuple[float, float, float, float, float]:
    """Ellipse with the second moments of the pixels of a mask; a pixel is a unit square, hence the twelfth."""
    rows, columns = np.nonzero(mask)
    x, y = columns.mean(), rows.mean()
    spread = np.cov(np.stack([columns, rows]), bias=True) + np.eye(2) / 12
    values, vectors = np.linalg.eigh(spread)
    angle = np.degrees(np.arctan2(vectors[1, 1], vectors[0, 1])) % 180
    return x + 0.5, y + 0.5, 4 * np.sqrt(values[1]), 4 * np.sqrt(values[0]), angle


def _perimeter(mask: np.ndarray) -> float:
    """Length of the outlines and holes of a mask (h, w) bool.

    Marching squares, simplified by less than a pixel to take the pixels' stairs away: within some 1 % of the true
    length for discs from 5 pixels radius and for rectangles at any angle, where Crofton's formula loses 6 % of an
    upright box.
    """
    from skimage.measure import approximate_polygon, find_contours

    contours = find_contours(np.pad(mask.astype(np.float64), 1), 0.5)
    lines = [approximate_polygon(contour, STAIRS) for contour in contours]
    return float(sum(np.hypot(*np.diff(line, axis=0).T).sum() for line in lines))
