"""How probably two crops show one product: a logistic regression on what vectors and local features say."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from index.facings import beside
from index.laid_over import MEASURES, Small, lay
from index.rerank import LocalFeatures, agreeing_features

#: Log-odds of a pair are kept within so much: what is certain to one crop must not silence all others.
MOST = 5.0
#: Weights of the constant and of what `_evidence` gives, without and with what pairs laid on each other say. Rounded
#: from logistic regressions on near neighbours among the facings of `data/shelves` and packs laid apart on a cloth. A
#: network knows the products that it learned, most of those, better than others: the cosine got less than was fitted
#: there (10 for 12), agreeing features more (4 for 2.5). Since features carry colour the whole crop's adds nothing (its
#: weight came out at zero or below), so it is not asked for.
FIRST = (-6.5, 10.0, 0.0, 4.0, 0.7)
SECOND = (*FIRST, 0.0, 0.0, -0.07, 0.0, 0.0)

_FAR = 1.0  # log-odds against pairs of which neither is near the other
_CHANCE, _FEWEST_POINTS, _MOST_SHARE = 3, 20, 0.5

#: Wraps the pairs that are compared, with their number, to show progress; it may raise to end the work.
OnPairs = Callable[[Iterable[Any], int], Iterable[Any]]


@dataclass(frozen=True)
class Crops:
    """Crops that are compared with each other, parallel in all fields.

    vectors   float32 (n, dim), raw and of unit length
    features  their decoded local features
    smalls    see `laid_over.small`
    photos    int (n,): crops of one photo have one number
    boxes     float (n, 4): x, y, width, height in their photo; width 0 where not known
    """

    vectors: np.ndarray
    features: Sequence[LocalFeatures]
    smalls: Sequence[Small]
    photos: np.ndarray
    boxes: np.ndarray

    def __post_init__(self) -> None:
        count = len(self.vectors)
        assert self.boxes.shape == (count, 4), self.boxes.shape
        assert len(self.features) == len(self.smalls) == len(self.photos) == count

    def __len__(self) -> int:
        return len(self.vectors)


@dataclass(frozen=True)
class Pairs:
    """Pairs int (m, 2) of crops, lower number first and in order, how many local features agree (m,), -1 where they
    were not compared, and the measures (m, MEASURES) of `laid_over`, NaN where they were not laid on each other.
    """

    pairs: np.ndarray
    agreeing: np.ndarray
    measures: np.ndarray

    @classmethod
    def none_of(cls, pairs: np.ndarray) -> Pairs:
        """Pairs of which nothing has been compared yet."""
        return cls(pairs, np.full(len(pairs), -1), np.full((len(pairs), MEASURES), np.nan))

    def extended(self, pairs: np.ndarray) -> Pairs:
        """Other pairs, with what is known of those among these."""
        fresh = Pairs.none_of(pairs)
        most = int(max(self.pairs.max(initial=0), pairs.max(initial=0))) + 1
        _, mine, theirs = np.intersect1d(_keys(self.pairs, most), _keys(pairs, most), return_indices=True)
        fresh.agreeing[theirs], fresh.measures[theirs] = self.agreeing[mine], self.measures[mine]
        return fresh


def near_pairs(vectors: np.ndarray, count: int) -> np.ndarray:
    """Pairs int (m, 2) of unit rows (n, dim) of which one is among the `count` nearest of the other, in order."""
    rows, found = len(vectors), []
    count = min(count, rows - 1)
    if count < 1:
        return np.empty((0, 2), int)
    for start in range(0, rows, 1024):
        cosines = vectors[start : start + 1024] @ vectors.T
        own = np.arange(len(cosines))
        cosines[own, own + start] = -np.inf
        near = np.argpartition(-cosines, count - 1, axis=1)[:, :count]
        found.append(np.stack([np.repeat(own + start, count), near.ravel()], 1))
    return np.unique(np.sort(np.concatenate(found), axis=1), axis=0)


def count_agreeing(crops: Crops, compared: Pairs, on_pairs: OnPairs) -> Pairs:
    """The same with the local features of every pair counted; half a millisecond for each that is new."""
    agreeing = compared.agreeing.copy()
    missing = np.flatnonzero(agreeing < 0).tolist()
    for at in on_pairs(missing, len(missing)):
        one, other = compared.pairs[at]
        agreeing[at] = agreeing_features(crops.features[one], crops.features[other])
    return replace(compared, agreeing=agreeing)


def lay_over(crops: Crops, compared: Pairs, wanted: np.ndarray, on_pairs: OnPairs) -> Pairs:
    """The same with the pairs of the mask `wanted` bool (m,) laid on each other; 1.5 milliseconds for each."""
    measures = compared.measures.copy()
    missing = np.flatnonzero(wanted & np.isnan(measures[:, 0])).tolist()
    for at in on_pairs(missing, len(missing)):
        one, other = compared.pairs[at]
        laid = lay(crops.smalls[one], crops.smalls[other], crops.features[one], crops.features[other])
        measures[at] = laid.measures
    return replace(compared, measures=measures)


def log_odds(crops: Crops, vectors: np.ndarray, compared: Pairs) -> np.ndarray:
    """Log-odds (m,) that each pair is one product, within ±MOST; `vectors` (n, dim) are those whose cosines count."""
    evidence = _evidence(crops, vectors, compared)
    first = evidence @ np.array(FIRST)
    laid = np.isfinite(compared.measures).all(axis=1)
    second = np.c_[evidence, np.nan_to_num(compared.measures)] @ np.array(SECOND)
    return np.where(laid, second, first).clip(-MOST, MOST)


def guessed(vectors: np.ndarray) -> np.ndarray:
    """Log-odds (k, k) of all pairs among crops that nothing was compared of, by their vectors.

    They are no near neighbours, which speaks a little against them; many facings of one product are, all the same.
    """
    found = FIRST[0] + FIRST[1] * (vectors @ vectors.T) - _FAR
    return np.asarray(found.clip(-MOST, MOST), np.float32)


def _evidence(crops: Crops, vectors: np.ndarray, compared: Pairs) -> np.ndarray:
    """Of each pair (m, 5): one, the cosine, agreeing features (log, root of their share), whether they stand
    beside each other.
    """
    one, other = compared.pairs.T
    points = np.array([len(each.places) for each in crops.features])
    agreeing = np.maximum(compared.agreeing, 0)
    share = np.minimum(agreeing / np.maximum(np.minimum(points[one], points[other]), _FEWEST_POINTS), _MOST_SHARE)
    columns = (
        np.ones(len(one)),
        (vectors[one] * vectors[other]).sum(axis=1),
        np.log1p(np.maximum(agreeing - _CHANCE, 0)),
        np.sqrt(share),
        _beside(crops, compared.pairs),
    )
    return np.stack(columns, 1)


def _beside(crops: Crops, pairs: np.ndarray) -> np.ndarray:
    """Which pairs stand beside or above each other in one photo, float (m,)."""
    found = np.zeros(len(pairs))
    one, other = pairs.T
    known = (crops.photos[one] == crops.photos[other]) & (crops.boxes[one, 2] > 0) & (crops.boxes[other, 2] > 0)
    for photo in np.unique(crops.photos[one[known]]):
        rows = np.flatnonzero(crops.photos == photo)
        at = np.flatnonzero(known & (crops.photos[one] == photo))
        table = beside(crops.boxes[rows])
        found[at] = table[np.searchsorted(rows, one[at]), np.searchsorted(rows, other[at])]
    return found


def _keys(pairs: np.ndarray, most: int) -> np.ndarray:
    return pairs[:, 0].astype(np.int64) * most + pairs[:, 1]
