"""Crops that nobody has named ► groups that show one product each, without a number of groups to state.

Average linkage (Sokal & Michener 1958) on the log-odds that two crops are one product. It is done twice: the vectors of
the groups that are beyond doubt teach a projection, as references teach it to a store, and by that all are compared
again.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from index.projection import Projection, ProjectionRecipe, fit_projection
from index.sameness import (
    MOST,
    Crops,
    OnPairs,
    Pairs,
    count_agreeing,
    guessed,
    lay_over,
    log_odds,
    near_pairs,
)

#: Neighbours of each crop that it is compared with.
NEIGHBOURS = 30
#: Mean log-odds of two groups from which on they are one. Measured with retail-vgg on facings of 83 pixels, as purity
#: of the groups of two and more, share of the crops in them, such groups a product: on 697 facings of 225 products of
#: shelves that neither the network nor a regression has seen (looked at when weights were rounded) .91, .81, 1.2; at
#: 1.5 .89, .84, 1.2; at 3 .92, .73, 1.3. A quarter of the mixed groups there are packs of two names that look the same.
#: On 798 facings of 188 products of `data/shelves`, which flatter, as the network learned them: .98, .76, 1.6; at 1.5
#: .97, .80, 1.5.
EVEN = 2.0
#: Mean log-odds that a group needs to teach.
SURE = 3.5
#: Pairs of less than that are not laid on each other, which only speaks against them: from -2.5 to 1 nothing changes.
WORTH = 0.0

_TAUGHT = ProjectionRecipe("within", 0.6)
_CENTRE_PRIOR = 300.0  # crops that the shrunk mean counts against
_FEWEST_TAUGHT = 20  # groups of at least two that teach a projection


def unwatched(items: Iterable[Any], total: int) -> Iterable[Any]:
    """The OnPairs of who does not watch."""
    return items


def look_alikes(crops: Crops, on_pairs: OnPairs = unwatched, even: float = EVEN) -> list[np.ndarray]:
    """Groups of crops that show one product each, as rows in rising order; the largest group first, all crops in one.

    Crops that resemble nothing are groups of one. Higher `even` makes purer, smaller and more groups. Fifteen hundred
    crops take half a minute of one core.
    """
    if len(crops) == 0:
        return []
    plain = _centred(crops.vectors)
    compared = count_agreeing(crops, Pairs.none_of(near_pairs(plain, NEIGHBOURS)), on_pairs)
    sure = _linked(crops, plain, compared, SURE)
    taught = _taught(crops.vectors, sure)
    if taught is not None:
        plain = taught.apply(crops.vectors)
        compared = count_agreeing(crops, compared.extended(near_pairs(plain, NEIGHBOURS)), on_pairs)
    odds = log_odds(crops, plain, compared)
    compared = lay_over(crops, compared, odds > WORTH, on_pairs)
    return _groups(_linked(crops, plain, compared, even))


def _centred(vectors: np.ndarray) -> np.ndarray:
    """Unit vectors (n, dim) around their mean, as far as there are enough of them: one shelf's own look is no mean."""
    mean = vectors.mean(axis=0) * (len(vectors) / (len(vectors) + _CENTRE_PRIOR))
    return Projection(vectors.shape[1], "centre", mean.astype(np.float32)).apply(vectors)


def _taught(vectors: np.ndarray, group: np.ndarray) -> Projection | None:
    """What groups (n,) of unit vectors (n, dim) teach; None where too few have two members."""
    counts = np.bincount(group)
    several = counts[group] > 1
    if (counts > 1).sum() < _FEWEST_TAUGHT:
        return None
    return fit_projection(_TAUGHT, vectors[several], group[several])


def _linked(crops: Crops, vectors: np.ndarray, compared: Pairs, even: float) -> np.ndarray:
    """The group (n,) of each crop: average linkage of pairs' log-odds, those of pairs that are no neighbours guessed.

    Crops that no chain of neighbours joins are never one group, so every part of the graph is done by itself.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    count, odds = len(crops), log_odds(crops, vectors, compared)
    joined = compared.pairs[odds > -MOST]
    graph = coo_array((np.ones(len(joined)), (joined[:, 0], joined[:, 1])), shape=(count, count))
    parts, part = connected_components(graph, directed=False)
    within = part[compared.pairs[:, 0]] == part[compared.pairs[:, 1]]
    pairs, odds = compared.pairs[within], odds[within]
    by_part = np.argsort(part[pairs[:, 0]], kind="stable")
    ends = np.cumsum(np.bincount(part[pairs[:, 0]], minlength=parts))
    starts, order = ends - np.diff(ends, prepend=0), np.argsort(part, kind="stable")
    group, next_group = np.zeros(count, int), 0
    for at, rows in enumerate(np.split(order, np.cumsum(np.bincount(part, minlength=parts))[:-1])):
        inside = by_part[starts[at] : ends[at]]
        found = guessed(vectors[rows])
        one, other = np.searchsorted(rows, pairs[inside]).T
        found[one, other] = found[other, one] = odds[inside]
        group[rows] = next_group + _linked_part(found, even)
        next_group = int(group[rows].max()) + 1
    return group


def _linked_part(odds: np.ndarray, even: float) -> np.ndarray:
    """Groups from 0 of crops by the log-odds (k, k) of all pairs among them."""
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform

    if len(odds) < 2:
        return np.zeros(len(odds), int)
    apart = MOST - odds
    np.fill_diagonal(apart, 0)
    tree = linkage(squareform(apart, checks=False), "average")
    return np.asarray(fcluster(tree, MOST - even, "distance")) - 1


def _groups(group: np.ndarray) -> list[np.ndarray]:
    """The rows of each group; larger groups first, those of one size by their first row."""
    order = np.argsort(group, kind="stable")
    found = np.split(order, np.flatnonzero(np.diff(group[order])) + 1)
    return sorted(found, key=lambda rows: (-len(rows), int(rows[0])))
