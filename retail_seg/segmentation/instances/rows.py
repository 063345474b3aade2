"""Boxes of products ► the shelf row, position and facing run of each: pure geometry, no picture.

Things are told apart by where they stand, so a row of bottles and boxes is one row. A shelf's boards are straight and
parallel, so their pictures are lines through one vanishing point, bent a little by a wide lens. With x and y from the
middle of the picture, a board that crosses the middle at height r is

    y = r (1 + b x + c x²) + a x        a: camera tilt, b: seen from the side, c: bent by the lens

and the three numbers are fitted to neighbours that stand beside each other. After that a board is one value of r.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

#: Neighbours that tell of the boards' slope are at most so many median widths apart,
REACH = 4.0
#: overlap by this share of the lower one's height,
BESIDE = 0.4
#: and agree with a slope where they miss it by at most this share of the median height.
AGREES = 0.12
#: Steepest slopes tried: 15° of tilt and as much again from perspective between the top and bottom of the picture.
STEEPEST = 0.32
#: The grid is searched on about so many pairs; of more, on every second one, and so on.
MANY = 4000
#: A thing stands on another where the gap between them is at most this share of the lower of the two heights,
GAP = 0.08
#: or their boxes overlap by at most this share of it.
SUNK = 0.35
#: They also overlap sideways, by this share of the narrower one.
ABOVE = 0.4
#: At most this share of a box's height, at either end, is put down to the slope that the thing stands on.
LEAN = 0.3
#: So many things in line may be the same layer of stacks; more are a row of their own.
FEW = 3
#: Standing things whose bottoms differ by more than this share of the median height may be on two boards.
APART = 0.3


@dataclass(frozen=True)
class Places:
    """Where each of n instances stands, as parallel arrays (n,) int32, all counted from 1.

    row       1 is the topmost shelf
    position  from the left within the row; what is stacked has the position of what it stands on
    run       facing run within the row: neighbours that show the same product
    facing    position within the run
    """

    row: np.ndarray
    position: np.ndarray
    run: np.ndarray
    facing: np.ndarray

    def __len__(self) -> int:
        return len(self.row)


def shelf_places(boxes: np.ndarray, products: Sequence[Hashable | None] | None = None) -> Places:
    """Places of boxes (n, 4) x, y, width, height in pixels; `products` tell which instances show the same.

    An instance without a product (None) is a run of its own, as all are without `products`.
    """
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    if not len(boxes):
        nothing = np.zeros(0, np.int32)
        return Places(nothing, nothing, nothing, nothing)
    scene = _Scene.of(boxes)
    support = _supports(scene)
    row, support = _rows(scene, support)
    position = _positions(scene.x, row, support)
    run, facing = _runs(row, position, support, list(products) if products is not None else [None] * len(boxes))
    return Places(row, position, run, facing)


@dataclass(frozen=True)
class _Scene:
    """Boxes with their sides, and their bottoms and tops once the boards are level; arrays (n,) float64.

    `slope` is that of the board under each before, `lean` what of the box was put down to it at either end.
    """

    x: np.ndarray
    width: np.ndarray
    height: np.ndarray
    bottom: np.ndarray
    top: np.ndarray
    slope: np.ndarray
    lean: np.ndarray

    @classmethod
    def of(cls, boxes: np.ndarray) -> _Scene:
        x, low = boxes[:, 0] + boxes[:, 2] / 2, boxes[:, 1] + boxes[:, 3]
        level = _level(x, low, boxes)
        # A box around a thing that stands on a slope is taller than the thing by the slope of its width.
        slope = level.slope(x, low)
        lean = np.minimum(np.abs(slope) * boxes[:, 2] / 2, LEAN * boxes[:, 3])
        bottom, top = level(x, low - lean), level(x, boxes[:, 1] + lean)
        return cls(x, boxes[:, 2], bottom - top, bottom, top, slope, lean)

    @property
    def typical(self) -> float:
        """Median height."""
        return float(np.median(self.height))

    def sideways(self) -> np.ndarray:
        """How much of the narrower one of each pair overlaps the other sideways, (n, n), negative where it does not."""
        left, right = self.x - self.width / 2, self.x + self.width / 2
        shared = np.minimum(right[:, None], right) - np.maximum(left[:, None], left)
        return np.asarray(shared / np.minimum(self.width[:, None], self.width))


class _Level:
    """The heights at which boards cross the middle of the picture, of points on them."""

    def __init__(self, middle: tuple[float, float], size: float, a: float, b: float, c: float) -> None:
        self.middle, self.size, self.numbers = middle, size, (a, b, c)

    def __call__(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        a, b, c = self.numbers
        u, v = (x - self.middle[0]) / self.size, (y - self.middle[1]) / self.size
        return np.asarray((v - a * u) / np.maximum(1 + b * u + c * u**2, 0.2) * self.size)

    def slope(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """The slope of the board through each point, y per x."""
        a, b, c = self.numbers
        u = (x - self.middle[0]) / self.size
        return np.asarray(a + self(x, y) / self.size * (b + 2 * c * u))


def _level(x: np.ndarray, low: np.ndarray, boxes: np.ndarray) -> _Level:
    """Fit the boards to pairs of neighbours: the best of a grid, then least squares on those that agree with it."""
    middle = ((x.min() + x.max()) / 2, (low.min() + low.max()) / 2)
    size = float(max(np.ptp(x), np.ptp(low), boxes[:, 2:].max()))
    i, j = _beside(x, low, boxes)
    if len(i) < 2:
        return _Level(middle, size, 0, 0, 0)
    u, v = (x - middle[0]) / size, (low - middle[1]) / size
    apart, slope = u[j] - u[i], (v[j] - v[i]) / (u[j] - u[i])
    limit = AGREES * float(np.median(boxes[:, 3])) / size
    some = np.s_[:: max(1, len(i) // MANY)]
    a, b = _best(slope[some], ((v[i] + v[j]) / 2)[some], apart[some], limit)
    found = np.array([a, b, 0.0])
    for _ in range(5):
        r = (v[i] - found[0] * u[i]) / np.maximum(1 + found[1] * u[i] + found[2] * u[i] ** 2, 0.2)
        terms = np.stack([np.ones_like(r), r, r * (u[i] + u[j])], 1)
        miss = (slope - terms @ found) * apart / limit
        weight = np.clip(1 - miss**2, 0, None) * apart
        normal = terms.T @ (terms * weight[:, None]) + np.diag([1e-6, 1e-3, 5e-3]) * weight.sum()
        found = np.linalg.solve(normal + 1e-9 * np.eye(3), terms.T @ (slope * weight))
    return _Level(middle, size, *(float(v) for v in found))


def _beside(x: np.ndarray, low: np.ndarray, boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs (left, right) of things that seem to stand beside each other."""
    apart = x[None] - x[:, None]
    shared = np.minimum(low[:, None], low) - np.maximum(boxes[:, None, 1], boxes[:, 1])
    enough = shared >= BESIDE * np.minimum(boxes[:, None, 3], boxes[:, 3])
    clear = apart >= 0.5 * np.minimum(boxes[:, None, 2], boxes[:, 2])
    left, right = np.nonzero(enough & clear & (apart <= REACH * np.median(boxes[:, 2])))
    return left, right


def _best(slope: np.ndarray, height: np.ndarray, apart: np.ndarray, limit: float) -> tuple[float, float]:
    """Tilt and convergence of a grid with which most pairs agree; of equals, the one nearest to none."""
    tilts, turns = np.linspace(-STEEPEST, STEEPEST, 33), np.linspace(-0.8, 0.8, 17)
    a, b = (v.ravel() for v in np.meshgrid(tilts, turns, indexing="ij"))
    miss = (slope - a[:, None] - b[:, None] * height) * apart / (2 * limit)
    votes = np.clip(1 - miss**2, 0, None).sum(1) - 1e-6 * (np.abs(a) + np.abs(b))
    best = int(votes.argmax())
    return float(a[best]), float(b[best])


def _supports(scene: _Scene) -> np.ndarray:
    """The index of what each thing stands on, itself for what stands on a board; (n,) int64.

    A thing whose bottom is in line with things on a board stands on that board, however near something below comes.
    """
    gap = _gaps(scene)
    touching = (gap <= _tolerance(scene)[:, None]) & (gap >= -SUNK)
    shared = np.where(touching, scene.sideways(), 0)
    stacked = touching.any(1)
    line = np.abs(scene.bottom[:, None] - scene.bottom) <= AGREES * scene.typical
    stacked &= (line & ~stacked).sum(1) <= (line & stacked).sum(1)
    return np.where(stacked, shared.argmax(1), np.arange(len(stacked)))


def _gaps(scene: _Scene) -> np.ndarray:
    """From the bottom of each thing (rows) to the top of one below it, as shares of the lower of the two heights.

    (n, n), infinite where the other one is not below.
    """
    below = (scene.sideways() >= ABOVE) & (scene.bottom[None] > scene.bottom[:, None])
    gap = (scene.top[None] - scene.bottom[:, None]) / np.minimum(scene.height[:, None], scene.height)
    return np.where(below, gap, np.inf)


def _tolerance(scene: _Scene) -> np.ndarray:
    """The gap (n,) up to which things touch: a tilted camera leans things, which parts boxes by the slope squared."""
    return np.asarray(GAP + 1.8 * scene.slope**2)


def _rows(scene: _Scene, support: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Row of each thing, (n,) int32 from 1 at the top, and the supports with those that only a whole row shows."""
    standing = np.flatnonzero(support == np.arange(len(support)))
    order = standing[np.argsort(scene.bottom[standing], kind="stable")]
    over = _conflicts(scene)
    groups = [
        g for rough in _split(scene, order, APART * scene.typical) for g in _without_conflicts(scene, rough, over)
    ]
    groups, support = _joined(scene, groups, over, support.copy())
    row = np.zeros(len(support), np.int32)
    for number, group in enumerate(sorted(groups, key=lambda g: float(np.median(scene.bottom[g]))), 1):
        row[group] = number
    return row[_root(support)], support


def _split(scene: _Scene, order: np.ndarray, limit: float) -> list[np.ndarray]:
    """Things in the order of their bottoms, cut where the next bottom is more than `limit` lower."""
    return np.split(order, np.flatnonzero(np.diff(scene.bottom[order]) > limit) + 1)


def _conflicts(scene: _Scene) -> np.ndarray:
    """Pairs (n, n) bool that cannot stand on one board: one above the other."""
    apart = np.abs(scene.bottom[:, None] - scene.bottom)
    return (scene.sideways() >= ABOVE) & (apart >= 0.6 * np.minimum(scene.height[:, None], scene.height))


def _without_conflicts(scene: _Scene, group: np.ndarray, over: np.ndarray) -> list[np.ndarray]:
    """The group, cut at its largest steps until no two things in it are above each other."""
    if not over[np.ix_(group, group)].any():
        return [group]
    steps = np.diff(scene.bottom[group])
    before = over[np.ix_(group, group)].cumsum(0).cumsum(1)
    crossed = (before[:, -1] - before.diagonal())[:-1]
    at = int(np.lexsort((-steps, -crossed * (steps > 0)))[0]) + 1
    parts = (group[:at], group[at:])
    return [one for part in parts for one in _without_conflicts(scene, part, over)]


def _joined(
    scene: _Scene, groups: list[np.ndarray], over: np.ndarray, support: np.ndarray
) -> tuple[list[np.ndarray], np.ndarray]:
    """Groups with those of one board joined, and the supports.

    Things hung, or further back, are among others of their row; where most of a group touch what is below them,
    there is no board between, and they are stacked or stand behind each other.
    """
    groups, k, gaps = list(groups), 0, _gaps(scene)
    while k + 1 < len(groups):
        upper, lower = groups[k], groups[k + 1]
        beside = not over[np.ix_(upper, lower)].any() and _side_by_side(scene, upper, lower)
        on = np.full(len(upper), -1) if beside else _stands_on(scene, gaps, upper, lower)
        if not (beside or (on >= 0).any()):
            k += 1
            continue
        support[upper[on >= 0]] = lower[on[on >= 0]]
        both = np.concatenate([upper[on < 0], lower])
        groups[k : k + 2] = [both[np.argsort(scene.bottom[both], kind="stable")]]
        k = max(k - 1, 0)
    return groups, support


def _stands_on(scene: _Scene, gaps: np.ndarray, upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
    """For each of a group the number of what it stands on in the group below, -1 for none; all -1 if there is a board.

    There is one where the gap between what is above each other is wider than a touch, in the middle of all pairs.
    """
    gap = gaps[np.ix_(upper, lower)]
    if len(upper) <= FEW:  # round things do not lean; many bottoms in line tell of a board, so the doubt is for the few
        lean, height = scene.lean, scene.height
        gap = gap - (lean[upper, None] + lean[lower]) / np.minimum(height[upper, None], height[lower])
    nearest = gap.argmin(1)
    least = gap[np.arange(len(upper)), nearest]
    pairs = np.isfinite(least)
    if 2 * pairs.sum() < min(len(upper), len(lower)):
        return np.full(len(upper), -1)
    touch = float(np.median(least[pairs] - 1.5 * _tolerance(scene)[upper[pairs]])) <= 0 if pairs.any() else False
    return np.where(pairs, nearest, -1) if touch else np.full(len(upper), -1)


def _side_by_side(scene: _Scene, upper: np.ndarray, lower: np.ndarray) -> bool:
    """Whether most of the smaller group's things overlap the heights of the other's by more than half."""
    few, many = sorted((upper, lower), key=len)
    top, bottom = np.median(scene.top[many]), np.median(scene.bottom[many])
    shared = np.minimum(scene.bottom[few], bottom) - np.maximum(scene.top[few], top)
    return bool(np.median(shared / np.minimum(scene.height[few], bottom - top)) >= 0.6)


def _root(support: np.ndarray) -> np.ndarray:
    """What each thing stands on in the end, down to the board."""
    root = support
    for _ in range(len(support)):
        below = support[root]
        if np.array_equal(below, root):
            break
        root = below
    return root


def _positions(x: np.ndarray, row: np.ndarray, support: np.ndarray) -> np.ndarray:
    """Position in the row, (n,) int32 from 1 at the left; a stack has one."""
    standing = support == np.arange(len(support))
    position = np.zeros(len(x), np.int32)
    for number in range(1, int(row.max()) + 1):
        here = np.flatnonzero((row == number) & standing)
        position[here[np.argsort(x[here], kind="stable")]] = np.arange(1, len(here) + 1)
    return position[_root(support)]


def _runs(
    row: np.ndarray, position: np.ndarray, support: np.ndarray, products: list[Hashable | None]
) -> tuple[np.ndarray, np.ndarray]:
    """Facing run in the row, and place in the run; what stands on the board speaks for its stack."""
    run, facing = np.zeros(len(row), np.int32), np.zeros(len(row), np.int32)
    standing = np.flatnonzero(support == np.arange(len(support)))
    before: tuple[int, Hashable | None] = (0, None)
    number = place = 0
    for i in standing[np.lexsort((position[standing], row[standing]))].tolist():
        here = (int(row[i]), products[i])
        if here != before or products[i] is None:
            number, place = (number + 1 if here[0] == before[0] else 1), 1
        else:
            place += 1
        run[i], facing[i], before = number, place, here
    root = _root(support)
    return run[root], facing[root]
