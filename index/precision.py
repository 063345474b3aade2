"""How right answers were that a person has checked, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np


@dataclass(frozen=True)
class Measured:
    """`right` of `count` checked answers; `low` and `high` bound the true share with 95 % confidence."""

    right: int
    count: int
    low: float
    high: float

    @property
    def share(self) -> float | None:
        """The measured precision, None where nothing was checked."""
        return self.right / self.count if self.count else None


def measured(right: np.ndarray) -> Measured:
    """The precision of checked answers, `right` bool (n,)."""
    hits, count = int(np.count_nonzero(right)), len(right)
    return Measured(hits, count, *wilson(hits, count))


def wilson(hits: int, count: int, deviations: float = 1.96) -> tuple[float, float]:
    """Bounds of a share that was met `hits` times of `count` (Wilson 1927); 0 and 1 where nothing was counted.

    >>> tuple(round(bound, 3) for bound in wilson(95, 100))
    (0.888, 0.978)
    """
    if count == 0:
        return 0.0, 1.0
    share, square = hits / count, deviations**2
    centre = (share + square / (2 * count)) / (1 + square / count)
    half = deviations / (1 + square / count) * sqrt(share * (1 - share) / count + square / (4 * count**2))
    return max(0.0, centre - half), min(1.0, centre + half)
