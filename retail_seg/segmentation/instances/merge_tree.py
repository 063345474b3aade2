"""Regions ► the tree of all that they may be parts of: neighbours joined one after the other, the least divided first.

Every node of the tree is a candidate for one thing: a region by itself, or regions that were joined. Which of them are
things is chosen afterwards, by their looks and all at once (`wholeness`), as in Liu et al., Image segmentation using
hierarchical merge tree (2014), and Arteta et al., Learning to detect partially overlapping instances (2013).
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

#: Neighbours as surely divided as this are never joined.
DIVIDED = 0.97


@dataclass(frozen=True)
class MergeTree:
    """A forest over `leaves` regions: node i < leaves is region i + 1, later nodes join two earlier ones.

    children (n, 2) int32, -1 for a region; parents (n,) int32, -1 for a root. Evidence of division is a mean boundary
    probability 0..1: `inner` (n,) the highest that was overcome inside a node, `outer` and `outer_mean` (n,) the lowest
    and the mean one towards what touches it (1 where nothing does), `next` (n,) the one at which it is joined to
    another (1 for a root). contact (n,) is how many pixels long it touches others.
    """

    leaves: int
    children: np.ndarray
    parents: np.ndarray
    inner: np.ndarray
    outer: np.ndarray
    outer_mean: np.ndarray
    next: np.ndarray
    contact: np.ndarray

    def summed(
        self, of_leaves: np.ndarray, join: Callable[[np.ndarray, np.ndarray], np.ndarray] = np.add
    ) -> np.ndarray:
        """Values (leaves, …) of regions ► values (n, …) of all nodes, two children's joined by `join`."""
        values = np.empty((len(self.children), *of_leaves.shape[1:]), of_leaves.dtype)
        values[: self.leaves] = of_leaves
        for node in range(self.leaves, len(values)):
            values[node] = join(values[self.children[node, 0]], values[self.children[node, 1]])
        return values

    def best_cut(self, gain: np.ndarray) -> np.ndarray:
        """The nodes, none within another, whose gains (n,) add up to the most; those without a gain are left out."""
        best, take = np.maximum(gain, 0.0), gain > 0
        for node in range(self.leaves, len(gain)):
            apart = best[self.children[node]].sum()
            if apart >= best[node]:
                best[node], take[node] = apart, False
        covered = np.zeros(len(gain), bool)
        for node in range(len(gain) - 1, -1, -1):  # parents come after their children
            parent = self.parents[node]
            covered[node] = parent >= 0 and (covered[parent] or take[parent])
        return np.flatnonzero(take & ~covered)

    def owners(self, nodes: np.ndarray) -> np.ndarray:
        """For every region (leaves + 1,) int32 the number 1.. of the node that holds it, 0 for none; [0] is the ground.

        `nodes` are those of a cut.
        """
        number = np.zeros(len(self.children), np.int32)
        number[nodes] = np.arange(1, len(nodes) + 1)
        for node in range(len(number) - 1, self.leaves - 1, -1):
            if number[node]:
                number[self.children[node]] = number[node]
        return np.concatenate([[0], number[: self.leaves]]).astype(np.int32)


def grow(leaves: int, pairs: np.ndarray, evidence: np.ndarray, lengths: np.ndarray) -> MergeTree:
    """The tree of `leaves` regions whose `pairs` (k, 2) of ids touch along `lengths` (k,) pixels.

    `evidence` (k,) 0..1 says how surely a pair is divided. A joined pair's evidence towards a third is the mean along
    their whole line.
    """
    return _Growing(leaves, pairs - 1, evidence, lengths).tree()


class _Growing:
    """A tree under way: what touches each node that is not joined yet, and the pairs by their evidence."""

    def __init__(self, leaves: int, pairs: np.ndarray, evidence: np.ndarray, lengths: np.ndarray) -> None:
        self.leaves = leaves
        self.touching: list[dict[int, tuple[float, float]]] = [{} for _ in range(leaves)]
        self.queue: list[tuple[float, int, int]] = []
        for (a, b), value, length in zip(pairs.tolist(), evidence.tolist(), lengths.tolist(), strict=True):
            self.touching[a][b] = self.touching[b][a] = (value * length, length)
            self.queue.append((value, a, b))
        heapq.heapify(self.queue)
        self.children = [(-1, -1)] * leaves
        self.parents = [-1] * leaves
        self.inner = [0.0] * leaves
        self.next = [1.0] * leaves
        self.outside = [_outside(one) for one in self.touching]

    def tree(self) -> MergeTree:
        while self.queue:
            value, a, b = heapq.heappop(self.queue)
            if value > DIVIDED:
                break
            if self.parents[a] < 0 and self.parents[b] < 0:
                self._join(value, a, b)
        lowest, mean, contact = np.array(self.outside).reshape(-1, 3).T
        return MergeTree(
            self.leaves,
            np.array(self.children, np.int32).reshape(-1, 2),
            np.array(self.parents, np.int32),
            *(np.array(values) for values in (self.inner, lowest, mean, self.next, contact)),
        )

    def _join(self, value: float, a: int, b: int) -> None:
        new = len(self.children)
        self.children.append((a, b))
        self.parents[a] = self.parents[b] = new
        self.next[a] = self.next[b] = value
        self.parents.append(-1)
        self.inner.append(max(value, self.inner[a], self.inner[b]))
        self.next.append(1.0)
        together = self._together(a, b)
        self.touching.append(together)
        self.outside.append(_outside(together))
        for other, (total, length) in together.items():
            self.touching[other].pop(a, None)
            self.touching[other].pop(b, None)
            self.touching[other][new] = (total, length)
            heapq.heappush(self.queue, (total / length, other, new))

    def _together(self, a: int, b: int) -> dict[int, tuple[float, float]]:
        """What touches two nodes, but for themselves: the sum of evidence and the length."""
        lines = dict(self.touching[a])
        for other, (total, length) in self.touching[b].items():
            before = lines.get(other, (0.0, 0.0))
            lines[other] = (before[0] + total, before[1] + length)
        return {other: line for other, line in lines.items() if other not in (a, b)}


def _outside(touching: dict[int, tuple[float, float]]) -> tuple[float, float, float]:
    """Lowest and mean evidence, and length, of what touches a node."""
    if not touching:
        return 1.0, 1.0, 0.0
    total, length = (sum(one) for one in zip(*touching.values(), strict=True))
    return min(t / n for t, n in touching.values()), total / length, length
