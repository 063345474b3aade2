"""The nearest references of a crop ► its nearest products, each with the few references that speak for it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: Products that a search considers, and that a second look may bring to the top.
CANDIDATES = 10
#: References of one product, the nearest ones, that a second look may compare.
KEPT_REFERENCES = 3


@dataclass(frozen=True)
class Nearest:
    """A product among the nearest: its nearest references int64 (r,), best first, and their scores float32 (r,)."""

    owner: int
    references: np.ndarray
    scores: np.ndarray


def grouped(scores: np.ndarray, ids: np.ndarray, owners: np.ndarray, products: int) -> list[Nearest]:
    """The first `products` products of references (n,) that stand by falling score; an owner below 0 is none."""
    found: dict[int, list[int]] = {}
    for at, owner in enumerate(owners.tolist()):
        if owner >= 0 and (owner in found or len(found) < products):
            kept = found.setdefault(owner, [])
            if len(kept) < KEPT_REFERENCES:
                kept.append(at)
    return [Nearest(owner, ids[kept], scores[kept]) for owner, kept in found.items()]


def score_table(rows: list[list[Nearest]], columns: int = CANDIDATES) -> np.ndarray:
    """Best scores float (n, columns) of each crop's products, -inf where it has fewer."""
    table = np.full((len(rows), columns), -np.inf)
    for at, row in enumerate(rows):
        kept = row[:columns]
        table[at, : len(kept)] = [one.scores[0] for one in kept]
    return table
