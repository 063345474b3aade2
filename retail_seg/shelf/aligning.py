"""A row of facings aligned to the positions of a shelf: the cheapest way to read the one as the other.

Global alignment (Needleman and Wunsch 1970), as Migros aligns shelves to planograms (arXiv 2401.06690), with these
differences: the scores are costs, negative logarithms of probabilities; a position takes a whole run of facings at
once, as its own product or as another, so it is for all of the run to tell which; and two neighbours may have changed
places. In their order, each position takes none or some of the facings that follow; what no position takes is extra.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

#: Costs: a facing that no position takes; two neighbours in each other's place;
EXTRA, SWAP = 3.6, 3.0
#: another product in a position's place, with a little for each of its facings; one stray facing among its own;
WRONG, EACH, STRAY = 3.0, 0.15, 3.3
#: each facing that is missing from a position that has some, and each beyond its number; of another product, a share.
FEWER, MORE, LOOSE = 0.35, 0.7, 0.4
#: A position takes at most twice its facings and so many more.
BEYOND = 3


@dataclass(frozen=True, eq=False)
class Costs:
    """What a reading of m facings as k positions costs.

    own      (k, m) a facing as the position's product
    other    (k, m) a facing as another product
    away     (k, m) a facing so far from the position's place
    gap      (m,) the space before a facing, where it is in the midst of a run
    change   (m,) a facing that looks like another product than the one before, in a run of another product
    empty    (k, m + 1) a position without any facing, behind so many facings
    facings  (k,) int, as planned
    """

    own: np.ndarray
    other: np.ndarray
    away: np.ndarray
    gap: np.ndarray
    change: np.ndarray
    empty: np.ndarray
    facings: np.ndarray


@dataclass(frozen=True)
class Alignment:
    """The cheapest reading: (first, behind the last) facing in each position's place, and whether they are read as its
    own product; `cost` of all of it.
    """

    spans: tuple[tuple[int, int], ...]
    own: tuple[bool, ...]
    cost: float


def align(costs: Costs, swaps: bool = True) -> Alignment:
    """The cheapest reading of a row; of equals the one with the fewest facings in the positions to the right."""
    k, m = costs.own.shape
    runs = _Runs.of(costs)
    tables = [_with_extras(np.where(np.arange(m + 1) == 0, 0.0, np.inf))]
    steps: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for i in range(k):
        value, number, kind = runs.best(tables[i][0], i)
        nothing = tables[i][0] + costs.empty[i]
        bare = nothing <= value
        number, kind, value = np.where(bare, 0, number), np.where(bare, 1, kind), np.minimum(nothing, value)
        crossed = np.zeros(m + 1, int)
        if swaps and i and m > 1:
            swap, later, earlier = runs.crossed(tables[i - 1][0], i)
            better = swap < value
            value, number = np.where(better, swap, value), np.where(better, earlier, number)
            crossed = np.where(better, later, 0)
        steps.append((number, crossed, kind))
        tables.append(_with_extras(value))
    return _traced(tables, steps)


@dataclass(frozen=True, eq=False)
class _Runs:
    """Sums over facings (2, k, m + 1) of a run's cost as own (0) and as another product (1), what of it is not paid by
    a run's first facing (2, m + 1), and prices of numbers.
    """

    sums: np.ndarray
    swapped: np.ndarray
    inner: np.ndarray
    prices: list[np.ndarray]

    @classmethod
    def of(cls, costs: Costs) -> _Runs:
        k, m = costs.own.shape
        own = np.minimum(costs.own, costs.other + STRAY) + costs.away + costs.gap
        other = costs.other + EACH + costs.away + costs.gap + costs.change
        start = np.zeros((k, 1))
        sums = np.stack([np.concatenate([start, np.cumsum(one, 1)], 1) for one in (own, other)])
        swapped = np.concatenate([start, np.cumsum(costs.own + costs.gap, 1)], 1)
        inner = np.pad(np.stack([costs.gap, costs.gap + costs.change]), ((0, 0), (0, 1)))
        return cls(sums, swapped, inner, [_price(int(f), m) for f in costs.facings])

    def best(self, before: np.ndarray, i: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Least cost with j facings read when position i takes the last ones of them, how many, and of which kind."""
        # A run that begins at a facing does not pay for those before it, nor for what parts it from them.
        value, number = _run(before - self.sums[:, i] - self.inner, self.prices[i])
        value += self.sums[:, i]
        kind = (value[1] < value[0]).astype(int)
        at = np.arange(value.shape[1])
        return value[kind, at], number[kind, at], kind

    def crossed(self, before: np.ndarray, i: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Position i's product first, then that of position i - 1: cost, and how many facings each has."""
        value, later = _run((before - self.swapped[i] - self.inner[0])[None], self.prices[i][:1])
        first = value[0] + self.swapped[i]
        value, earlier = _run((first - self.swapped[i - 1] - self.inner[0])[None], self.prices[i - 1][:1])
        behind = np.maximum(np.arange(len(before)) - earlier[0], 0)
        return value[0] + self.swapped[i - 1] + SWAP, later[0][behind], earlier[0]


@lru_cache(maxsize=512)
def _price(facings: int, m: int) -> np.ndarray:
    """The cost of a position's taking 1, 2, … facings, (2, longest): of its own product, and of another."""
    number = np.arange(1, max(min(2 * facings + BEYOND, m), 1) + 1)
    own = np.where(number < facings, FEWER * (facings - number), MORE * (number - facings))
    return np.stack([own, LOOSE * own + WRONG])


@lru_cache(maxsize=512)
def _starts(m: int, longest: int) -> np.ndarray:
    """(m + 1, longest): where a run of 1, 2, … facings that ends behind j facings begins; m + 1 for nowhere."""
    at = np.arange(m + 1)[:, None] - np.arange(1, longest + 1)[None]
    return np.where(at < 0, m + 1, at)


def _run(start: np.ndarray, price: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Least start (n, m + 1) with the price (n, longest) of a run's number from there, and that number, (n, m + 1)."""
    n, size = start.shape
    padded = np.concatenate([start, np.full((n, 1), np.inf)], 1)
    windows = padded[:, _starts(size - 1, price.shape[1])] + price[:, None]
    return windows.min(2), windows.argmin(2) + 1


def _with_extras(value: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Costs when any number of extra facings may follow, and with how many facings they began."""
    at = np.arange(len(value))
    lifted = value - EXTRA * at
    least = np.minimum.accumulate(lifted)
    fresh = np.ones(len(value), bool)
    fresh[1:] = lifted[1:] < least[:-1]
    return least + EXTRA * at, np.maximum.accumulate(np.where(fresh, at, 0))


def _traced(
    tables: list[tuple[np.ndarray, np.ndarray]], steps: list[tuple[np.ndarray, np.ndarray, np.ndarray]]
) -> Alignment:
    """The reading that the tables' least costs belong to, from the end."""
    k, j = len(steps), len(tables[0][0]) - 1
    spans, own = [(0, 0)] * k, [False] * k
    i = k
    while i > 0:
        j = int(tables[i][1][j])
        number, crossed, kind = (int(step[j]) for step in steps[i - 1])
        if crossed:
            spans[i - 2], spans[i - 1] = (j - number - crossed, j - number), (j - number, j)
            j, i = j - number - crossed, i - 2
        else:
            spans[i - 1], own[i - 1] = (j - number, j), kind == 0
            j, i = j - number, i - 1
    return Alignment(tuple(spans), tuple(own), float(tables[k][0][-1]))
