"""Which candidates are whole things: boosted trees, learned on photos whose things are known, score every node.

A piece of a pack and two packs together look different from a pack: their pixels point to several centres, their
outline is no shape of its own, and they are smaller or larger than what stands beside them. The trees are learned
elsewhere (`recipes/fit_wholeness.py`) and lie in the model folder as plain arrays.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

#: What an instance must be worth to be one, where nothing was tuned: a piece more costs as much as it may gain.
LEAST_WORTH = 0.4
#: The arrays of a file of trees.
ARRAYS = ("feature", "limit", "lower", "upper", "value", "roots")


@dataclass(frozen=True)
class Wholeness:
    """Regression trees after Friedman, Greedy function approximation (2001); their values and `start` add up.

    All nodes lie end to end: feature (m,) int16, -1 for a leaf; limit (m,) float32: up to it one goes to `lower` (m,)
    int32, above it to `upper` (m,) int32; value (m,) float32 of leaves; roots (t,) int32.
    """

    feature: np.ndarray
    limit: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    value: np.ndarray
    roots: np.ndarray
    start: float

    def __call__(self, measures: np.ndarray) -> np.ndarray:
        """Measures (n, k) float32 of candidates ► how well each covers one whole thing (n,), 0 to 1.

        That is what to expect of its IoU with the thing: 0 up to .4, 1 from .9 on, about .5 at .6.
        """
        columns, limit, following = self._walk
        flat = np.ascontiguousarray(measures, np.float32).ravel()
        begins = (np.arange(len(measures)) * measures.shape[1])[:, None]
        at = np.repeat(self.roots[None].astype(np.intp), len(measures), axis=0)
        while True:
            above = flat[begins + columns[at]] > limit[at]
            beyond = following[2 * at + above]
            if (beyond == at).all():
                return np.clip(self.start + self.value[at].sum(1), 0, 1)
            at = beyond

    @cached_property
    def _walk(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What a step needs: the column (m,) that a node looks at, its limit (m,), and at 2 i and 2 i + 1 the nodes
        that follow node i at or below its limit, and above it. A leaf is followed by itself."""
        own, inner = np.arange(len(self.feature)), self.feature >= 0
        following = np.stack([np.where(inner, ends, own) for ends in (self.lower, self.upper)], 1)
        return np.maximum(self.feature, 0).astype(np.intp), self.limit, following.ravel().astype(np.intp)

    def arrays(self) -> dict[str, np.ndarray]:
        """What a file of trees holds."""
        return {name: getattr(self, name) for name in ARRAYS} | {"start": np.array([self.start], np.float32)}

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> Wholeness:
        """Trees from what a file holds. Raises ValueError where something is missing or points nowhere."""
        missing = {*ARRAYS, "start"} - arrays.keys()
        if missing:
            raise ValueError(f"no {', '.join(sorted(missing))} in it")
        trees = cls(**{name: arrays[name] for name in ARRAYS}, start=float(arrays["start"][0]))
        trees.check()
        return trees

    def check(self) -> None:
        """Raises ValueError for trees that cannot be walked to an end: children must lie behind their parents."""
        inner = self.feature >= 0
        here, size = np.flatnonzero(inner), len(self.feature)
        ends = np.stack([self.lower[inner], self.upper[inner]])
        if not len(self.roots) or (ends <= here).any() or (ends >= size).any() or (self.roots >= size).any():
            raise ValueError("the trees are damaged")

    @classmethod
    def load(cls, path: Path) -> Wholeness:
        """Trees of a safetensors file."""
        from safetensors.numpy import load_file

        return cls.from_arrays(load_file(path))
