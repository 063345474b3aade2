"""Where the places of a plan are in a photo: fitted to what was aligned, straight or tilted, near or far.

Along a shelf, x in the photo is a polynomial of x in the plan whose numbers change evenly from shelf to shelf, with a
small deviation of each row; after that each row is bent to meet what was found in it. Shelves lie at even distances.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from catalogue.plan_records import Position
from retail_seg.shelf.seeing import FacingRow, Sight

#: How much stronger the plan's order holds than a row's own deviation: weights of ridges.
SHARED, BENT, SHIFT, SCALE = 0.5, 0.3, 0.15, 0.3
#: Terms that all shelves share, before those of each.
TERMS = 5
#: An anchor of at least this weight is an edge, not a middle.
EDGE = 0.4


@dataclass(frozen=True, eq=False)
class Anchors:
    """Edges of places that were found, as parallel arrays (n,): shelf number, x in the plan, x in the photo, weight."""

    shelf: np.ndarray
    u: np.ndarray
    x: np.ndarray
    weight: np.ndarray


@dataclass(frozen=True, eq=False)
class PlaceMap:
    """The map from a plan to a photo. `miss` is the typical error in pixels, infinite where nothing is known.

    `flush`: the plan has no lengths, and its shelves are taken to begin at one and the same side of the fixture.
    """

    shelves: tuple[int, ...]
    unit: float
    numbers: np.ndarray
    anchors: Anchors
    miss: float
    flush: bool

    def knows(self, shelf: int) -> bool:
        """Whether anything was found on a shelf whose edges tell where its places are."""
        return bool(self._edges(shelf).any())

    def _edges(self, shelf: int) -> np.ndarray:
        return np.asarray((self.anchors.shelf == shelf) & (self.anchors.weight >= EDGE))

    def __call__(self, shelf: int, u: np.ndarray) -> np.ndarray:
        """x in the photo of points of a shelf, bent to what was found on it."""
        u = np.asarray(u, float)
        x = self._straight(shelf, u.ravel())
        here = self._edges(shelf)
        if here.any():
            order = np.argsort(self.anchors.u[here], kind="stable")
            at, off = (
                self.anchors.u[here][order],
                (self.anchors.x[here] - self._straight(shelf, self.anchors.u[here]))[order],
            )
            if self.flush and at[0] > 1e-6:
                start = self._straight(shelf, np.zeros(1), shared=True) - self._straight(shelf, np.zeros(1))
                at, off = np.concatenate([[0.0], at]), np.concatenate([start, off])
            x = x + np.interp(u.ravel(), at, off)
        return np.asarray(x.reshape(u.shape))

    def _straight(self, shelf: int, u: np.ndarray, shared: bool = False) -> np.ndarray:
        """x of points (n,) of a shelf before it is bent; `shared`: without its own deviation."""
        numbers = np.where(np.arange(len(self.numbers)) < TERMS, self.numbers, 0.0) if shared else self.numbers
        return np.asarray(_design(self.shelves, np.full(u.size, shelf), u / self.unit) @ numbers)


def layout(positions: Sequence[Position], widths: Mapping[str, float], typical: float) -> np.ndarray:
    """Left and right of the places of one shelf in the plan's unit, (k, 2).

    Where the plan has none, facings are as wide as the product is in the photo (`widths`), or as `typical`.
    """
    if all(one.x is not None for one in positions):
        left = np.array([one.x for one in positions], float)
        if (np.diff(left) > 0).all():
            usual = (
                float(np.median(np.diff(left) / [one.facings for one in positions[:-1]])) if len(left) > 1 else typical
            )
            right = left + [one.width or one.facings * usual for one in positions]
            right[:-1] = np.where([one.width is None for one in positions[:-1]], left[1:], right[:-1])
            return np.stack([left, np.maximum(right, left + 1e-6)], 1)
    if all(one.width for one in positions):
        each = np.array([one.width for one in positions], float)
    else:
        each = np.array([one.facings * widths.get(one.sku, typical) for one in positions])
    ends = np.cumsum(each)
    return np.stack([ends - each, ends], 1)


def fit(
    anchors: Anchors, shelves: Sequence[int], sight: Sight, extent: float, typical: float, flush: bool = False
) -> PlaceMap:
    """Fit the map to anchors, those that disagree with the rest hardly counted; `extent` is the plan's width."""
    unit = max(extent, 1e-6)
    if len(anchors.u) < 2 or np.ptp(anchors.u) < 1e-6:
        return _framed(anchors, shelves, sight, unit)
    terms = _design(shelves, anchors.shelf, anchors.u / unit)
    ridge = np.diag(_ridges(len(shelves))) * anchors.weight.sum()
    start = np.zeros(terms.shape[1])
    start[1] = _slope(anchors, unit)
    weight, numbers = anchors.weight, start
    for _ in range(6):
        left = terms.T @ (terms * weight[:, None]) + ridge + 1e-9 * np.eye(len(start))
        numbers = start + np.linalg.solve(left, terms.T @ (weight * (anchors.x - terms @ start)))
        miss = np.abs(anchors.x - terms @ numbers) / typical
        weight = anchors.weight / (1 + (miss / 0.7) ** 2)
    miss = np.abs(anchors.x - terms @ numbers)
    sound = miss <= 2.0 * typical
    kept = Anchors(*(values[sound] for values in (anchors.shelf, anchors.u, anchors.x, anchors.weight)))
    return PlaceMap(tuple(shelves), unit, numbers, kept, float(np.median(miss[sound])) if sound.any() else float("inf"),
               flush)  # fmt: skip


def _slope(anchors: Anchors, unit: float) -> float:
    """Pixels per unit: the median over pairs of one shelf that are far apart."""
    same = anchors.shelf[:, None] == anchors.shelf
    apart = (anchors.u[None] - anchors.u[:, None]) / unit
    far = same & (apart > 0.05)
    if not far.any():
        far = apart > 0.05
    steps = (anchors.x[None] - anchors.x[:, None])[far] / apart[far]
    steps = steps[steps > 0]
    return float(np.median(steps)) if len(steps) else float(np.ptp(anchors.x) / max(np.ptp(anchors.u) / unit, 1e-6))


def _framed(anchors: Anchors, shelves: Sequence[int], sight: Sight, unit: float) -> PlaceMap:
    """Where next to nothing was found: the photo shows all of the plan's width, from its first facing to its last."""
    boxes = np.concatenate([row.boxes for row in sight.rows]) if sight.facings else np.zeros((0, 4))
    left, right = (boxes[:, 0].min(), boxes[:, 2].max()) if len(boxes) else (0.0, float(sight.width))
    numbers = np.zeros(TERMS + 2 * len(shelves))
    numbers[:2] = left, max(right - left, 1.0)
    none = Anchors(*(values[:0] for values in (anchors.shelf, anchors.u, anchors.x, anchors.weight)))
    return PlaceMap(tuple(shelves), unit, numbers, none, float("inf"), False)


def _design(shelves: Sequence[int], shelf: np.ndarray, u: np.ndarray) -> np.ndarray:
    """Terms (n, 5 + 2 shelves): 1, u, shelf, shelf · u, u², and of each shelf 1 and u."""
    middle = (min(shelves) + max(shelves)) / 2
    s = (shelf - middle) / max(len(shelves), 1)
    own = (np.asarray(shelves)[None] == shelf[:, None]).astype(float)
    return np.concatenate([np.stack([np.ones_like(u), u, s, s * u, u**2], 1), own, own * u[:, None]], 1)


def _ridges(shelves: int) -> np.ndarray:
    return np.array([0.0, 1e-6, SHARED, SHARED, BENT, *[SHIFT] * shelves, *[SCALE] * shelves]) * 0.1


@dataclass(frozen=True, eq=False)
class Bands:
    """Where shelves are from top to bottom: two lines each, top and bottom at x = 0 with one slope, in pixels."""

    tops: Mapping[int, float]
    bottoms: Mapping[int, float]
    slopes: Mapping[int, float]
    sure: bool

    def at(self, shelf: int, x: float) -> tuple[float, float]:
        """Top and bottom of a shelf at an x."""
        lean = self.slopes[shelf] * x
        return self.tops[shelf] + lean, self.bottoms[shelf] + lean


def bands(rows: Mapping[int, FacingRow], shelves: Sequence[int], sight: Sight, heights: Mapping[int, float]) -> Bands:
    """The bands of all shelves from the rows that were found (by shelf); `heights` are y of shelves in the plan.

    `sure` where two rows or more tell of the distances.
    """
    lines = {shelf: line_of(row) for shelf, row in rows.items()}
    if not lines:
        whole = sight.height / max(len(shelves), 1)
        tops = {shelf: whole * i for i, shelf in enumerate(shelves)}
        return Bands(tops, {s: t + whole for s, t in tops.items()}, dict.fromkeys(shelves, 0.0), False)
    found = np.array(sorted(lines))
    slopes = np.array([lines[s][2] for s in found])
    tall = float(np.median([lines[s][1] - lines[s][0] for s in found]))
    place = np.array([heights.get(s, float(s)) for s in found]) if len(heights) else found.astype(float)
    bottoms = np.array([lines[s][1] for s in found])
    if len(found) > 1:
        pitch = float(np.median(np.diff(bottoms) / np.maximum(np.diff(place), 1e-6)))
    else:
        pitch = 1.25 * tall / (_step(heights) if heights else 1.0)
    out: tuple[dict[int, float], dict[int, float], dict[int, float]] = {}, {}, {}
    for shelf in shelves:
        at = heights.get(shelf, float(shelf)) if heights else float(shelf)
        if shelf in lines:
            values = lines[shelf]
        else:
            bottom = _between(at, place, bottoms, pitch)
            values = bottom - tall, bottom, float(np.interp(at, place, slopes))
        for one, value in zip(out, values, strict=True):
            one[shelf] = value
    return Bands(*out, len(found) > 1)


def _step(heights: Mapping[int, float]) -> float:
    values = np.diff(sorted(heights.values()))
    return float(np.median(values)) if len(values) and np.median(values) > 0 else 1.0


def _between(at: float, place: np.ndarray, bottoms: np.ndarray, pitch: float) -> float:
    """Between rows that were found evenly, beyond them by the usual pitch."""
    if at < place[0]:
        return float(bottoms[0] - pitch * (place[0] - at))
    if at > place[-1]:
        return float(bottoms[-1] + pitch * (at - place[-1]))
    return float(np.interp(at, place, bottoms))


def line_of(row: FacingRow) -> tuple[float, float, float]:
    """Top and bottom of a row at x = 0, and its slope."""
    x, bottom = row.middle, row.boxes[:, 3]
    tall = float(np.median(row.boxes[:, 3] - row.boxes[:, 1]))
    slope = 0.0
    if len(row) >= 3 and np.ptp(x) > 0:
        i, j = np.triu_indices(len(x), 1)
        apart = np.abs(x[j] - x[i])
        far = apart > 0.3 * np.ptp(x)
        slope = float(np.median((bottom[j] - bottom[i])[far] / (x[j] - x[i])[far]))
    base = float(np.median(bottom - slope * x))
    return base - tall, base, slope
