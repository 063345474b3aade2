"""A row of facings aligned to the positions of a shelf: the cheapest way to read the one as the other.

Global alignment (Needleman and Wunsch 1970), as Migros aligns shelves to planograms (arXiv 2401.06690), with three
differences: a position takes a whole run of facings at once, so its number of facings has a price of its own; the
scores are costs, negative logarithms of probabilities; and two neighbours may have changed places. In the order of the
positions, each takes none or some of the facings that follow; facings that no position takes are extra.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

#: Costs: a facing that no position takes; two neighbours in each other's place;
EXTRA, SWAP = 2.6, 1.6
#: each facing that is missing from a position that has some, and each beyond its number;
FEWER, MORE = 0.35, 0.7
#: and a facing of another product in a position's place.
OTHER = 0.9
#: A position takes at most twice its facings and so many more.
BEYOND = 3


@dataclass(frozen=True, eq=False)
class Costs:
    """What a reading of m facings as k positions costs.

    own      (k, m) a facing as the position's product
    other    (k, m) a facing as another product in the position's place
    away     (k, m) a facing so far from the position's place
    empty    (k,) a position without any facing, and `end` where it is before the first facing or behind the last
    facings  (k,) int, as planned
    """

    own: np.ndarray
    other: np.ndarray
    away: np.ndarray
    empty: np.ndarray
    end: np.ndarray
    facings: np.ndarray


@dataclass(frozen=True)
class Reading:
    """The cheapest reading: (first, behind the last) facing in each position's place, and whether its product and a
    neighbour's have changed places; `cost` of all of it.
    """

    spans: tuple[tuple[int, int], ...]
    swapped: tuple[bool, ...]
    cost: float


def align(costs: Costs, swaps: bool = True) -> Reading:
    """The cheapest reading of a row; of equals the one with the fewest facings in the positions to the right."""
    k, m = costs.own.shape
    taken = np.minimum(costs.own, costs.other) + costs.away
    sums = np.concatenate([np.zeros((k, 1)), np.cumsum(taken, 1)], 1)
    own_sums = np.concatenate([np.zeros((k, 1)), np.cumsum(costs.own, 1)], 1)
    best = _with_extras(np.where(np.arange(m + 1) == 0, 0.0, np.inf))
    tables = [best]
    steps: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for i in range(k):
        price = _price(int(costs.facings[i]), m)
        value, number = _run(tables[i][0], sums[i], price)
        nothing = tables[i][0] + costs.empty[i]
        nothing[[0, m]] = tables[i][0][[0, m]] + costs.end[i]
        number = np.where(nothing <= value, 0, number)
        value = np.minimum(nothing, value)
        crossed = np.zeros(m + 1, int)
        if swaps and i and m > 1:
            swap, first = _crossed(tables[i - 1][0], own_sums, costs.facings, i, m)
            better = swap < value
            value, number = np.where(better, swap, value), np.where(better, first[1], number)
            crossed = np.where(better, first[0], 0)
        steps.append((number, crossed, value))
        tables.append(_with_extras(value))
    return _traced(tables, steps)


def _price(facings: int, m: int) -> np.ndarray:
    """The cost of a position's taking 1, 2, … facings."""
    number = np.arange(1, max(min(2 * facings + BEYOND, m), 1) + 1)
    return np.where(number < facings, FEWER * (facings - number), MORE * (number - facings))


def _run(before: np.ndarray, sums: np.ndarray, price: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Least cost with j facings read when a position takes the last ones of them, at least one, and how many."""
    start = np.concatenate([np.full(len(price), np.inf), before - sums])
    # Row j holds the starts j-len … j-1, the longest run first.
    windows = sliding_window_view(start, len(price))[: len(before)] + price[::-1]
    at = windows.argmin(1)
    return windows[np.arange(len(before)), at] + sums, len(price) - at


def _with_extras(value: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Costs when any number of extra facings may follow, and with how many facings they began."""
    at = np.arange(len(value))
    lifted = value - EXTRA * at
    least = np.minimum.accumulate(lifted)
    fresh = np.concatenate([[True], lifted[1:] < least[:-1]])
    return least + EXTRA * at, np.maximum.accumulate(np.where(fresh, at, 0))


def _crossed(
    before: np.ndarray, sums: np.ndarray, facings: np.ndarray, i: int, m: int
) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Position i first, then position i - 1: cost, and how many facings (of position i, of position i - 1)."""
    value, later = _run(before, sums[i], _price(int(facings[i]), m))
    value, earlier = _run(value, sums[i - 1], _price(int(facings[i - 1]), m))
    behind = np.clip(np.arange(m + 1) - earlier, 0, m)
    return value + SWAP, (later[behind], earlier)


def _traced(
    tables: list[tuple[np.ndarray, np.ndarray]], steps: list[tuple[np.ndarray, np.ndarray, np.ndarray]]
) -> Reading:
    """The reading that the tables' least costs belong to, from the end."""
    k, j = len(steps), len(tables[0][0]) - 1
    spans, swapped = [(0, 0)] * k, [False] * k
    i = k
    while i > 0:
        j = int(tables[i][1][j])
        number, crossed = int(steps[i - 1][0][j]), int(steps[i - 1][1][j])
        if crossed:
            spans[i - 2], spans[i - 1] = (j - number - crossed, j - number), (j - number, j)
            swapped[i - 2] = swapped[i - 1] = True
            j, i = j - number - crossed, i - 2
        else:
            spans[i - 1] = (j - number, j)
            j, i = j - number, i - 1
    return Reading(tuple(spans), tuple(swapped), float(tables[k][0][-1]))
