"""Regions ► a first grouping of them by thresholds: neighbours without a boundary between them become one, so do parts
that point to the same centre, and what is too small goes.

All that the rules ask for is summed up by region once. A grouping is then a table, region ► label, and no rule walks
the pixels again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

#: So many instances make a crowd, in which what is far smaller than the others is a piece of something.
CROWD = 12


@dataclass(frozen=True)
class Regions:
    """What is known of regions 1..n of a picture of `pixels` pixels.

    areas (n,) in pixels; weights (n,) and sums (n, 2): divided by its weight, a region's sum is the centre x, y that
    its pixels point to, the middle of it counting most. pairs (k, 2) are the ids of those that touch, ascending,
    strength (k,) the sum of boundary probabilities along the line where they meet and lengths (k,) its pixels.
    """

    pixels: int
    areas: np.ndarray
    weights: np.ndarray
    sums: np.ndarray
    pairs: np.ndarray
    strength: np.ndarray
    lengths: np.ndarray

    @property
    def evidence(self) -> np.ndarray:
        """How surely each pair is two things (k,), 0 to 1.

        The mean boundary probability along the line where they meet. What else was tried on pairs of known scenes
        (distance of the predicted centres, depth of the saddle between the peaks, sizes) added nothing to it.
        """
        return self.strength / np.maximum(self.lengths, 1)

    def joined(self, merge: float, join: float, min_area: float, sliver: float) -> np.ndarray:
        """The label 1..m of each region (n + 1,) int32, 0 for what is dropped and for the ground, which is [0].

        Limits as in `grouping.Thresholds`.
        """
        labels = _merged(np.arange(len(self.areas) + 1), self.pairs, self.evidence, merge)
        labels = self._parts_joined(self._without_small(labels, 0.25 * min_area * self.pixels), join)
        return self._without_slivers(self._without_small(labels, min_area * self.pixels), sliver)

    def grouped(self, labels: np.ndarray) -> Regions:
        """The same of the labels (n + 1,) that hold the regions."""
        areas, weights, x, y = (
            np.bincount(labels[1:], weights=values, minlength=int(labels.max()) + 1)[1:]
            for values in (self.areas, self.weights, *self.sums.T)
        )
        a, b = np.sort(labels[self.pairs], axis=1).reshape(-1, 2).T
        apart = (a != b) & (a > 0)
        pairs, which = np.unique(np.stack([a, b], 1)[apart], axis=0, return_inverse=True)
        strength, lengths = (
            np.bincount(which, weights=values[apart], minlength=len(pairs)) for values in (self.strength, self.lengths)
        )
        return Regions(self.pixels, areas, weights, np.stack([x, y], 1), pairs, strength, lengths)

    def across_gaps(self, labels: np.ndarray) -> np.ndarray:
        """Pairs (j, 2) of regions that do not touch, one from each part of a label that was joined across a gap."""
        together = labels[self.pairs[:, 0]] == labels[self.pairs[:, 1]]
        first = _first_of_each(len(labels), self.pairs[together])
        parts: dict[int, list[int]] = {}
        for part in np.unique(first[labels > 0]).tolist():
            parts.setdefault(int(labels[part]), []).append(part)
        return np.array([pair for one in parts.values() for pair in pairwise(one)], np.int64).reshape(-1, 2)

    def _parts_joined(self, labels: np.ndarray, limit: float) -> np.ndarray:
        """Labels that do not touch (something lies across a thing) and point to the same centre made one."""
        if int(labels.max()) < 2 or limit <= 0:
            return labels
        from scipy.spatial import cKDTree

        now = self.grouped(labels)
        centres, radii = now.sums / np.maximum(now.weights, 1e-9)[:, None], np.sqrt(now.areas / np.pi)
        close = np.sort(cKDTree(centres).query_pairs(limit * float(radii.max()), output_type="ndarray"), axis=1)
        touching = set(map(tuple, (now.pairs - 1).tolist()))
        a, b = np.array([pair for pair in close.tolist() if tuple(pair) not in touching], int).reshape(-1, 2).T
        distance = np.hypot(*(centres[a] - centres[b]).T) / np.maximum(np.minimum(radii[a], radii[b]), 1)
        return _merged(labels, np.stack([a, b], 1) + 1, distance, limit)

    def _without_small(self, labels: np.ndarray, least: float) -> np.ndarray:
        keep = np.bincount(labels[1:], weights=self.areas, minlength=int(labels.max()) + 1) >= least
        keep[0] = False
        return np.where(keep, np.cumsum(keep), 0).astype(np.int32)[labels]

    def _without_slivers(self, labels: np.ndarray, share: float) -> np.ndarray:
        """Without what is smaller than `share` of a typical instance, the median of the larger half; only in a crowd.

        On a full shelf these are prints that came off a pack, gaps and things behind others; two or three things on a
        table may well differ so much.
        """
        areas = np.bincount(labels[1:], weights=self.areas, minlength=1)[1:]
        if len(areas) < CROWD:
            return labels
        return self._without_small(labels, share * float(np.median(areas[areas >= np.median(areas)])))


def _merged(labels: np.ndarray, pairs: np.ndarray, evidence: np.ndarray, limit: float) -> np.ndarray:
    """Labels with every pair of them whose evidence of separation is below `limit` made one, renumbered 1..m."""
    first = _first_of_each(int(labels.max()) + 1, pairs[evidence < limit])
    return np.unique(first, return_inverse=True)[1].astype(np.int32)[labels]


def _first_of_each(count: int, pairs: np.ndarray) -> np.ndarray:
    """For each of `count` things the one that stands for all with which pairs connect it: the first of the last pair.

    Sets that are joined, after Galler and Fischer, An improved equivalence algorithm (1964).
    """
    parent = list(range(count))

    def root(one: int) -> int:
        while parent[one] != one:
            parent[one] = parent[parent[one]]
            one = parent[one]
        return one

    known: Iterable[list[int]] = pairs.tolist()
    for a, b in known:
        parent[root(b)] = root(a)
    return np.array([root(one) for one in range(count)])
