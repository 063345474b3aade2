"""Which rows of a large set resemble each other: of each its nearest row of the same owner, and of another owner.

All pairs of 100,000 rows of 512 values are ten million million multiplications. Rows of one owner are compared among
themselves; rows of others are looked for where k-means put their like (IVF, Jégou et al. 2011), so that the work grows
with n to the power of about 1.5 instead of 2. Few rows, and those for which the lists hold nobody else's, are compared
with all others exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import faiss
import numpy as np

#: So many rows are compared with each other exactly: ten seconds of one core.
EXACT_BELOW = 30_000
#: Rows that are looked up at once, and those whose similarities to all rows are in memory at once.
BLOCK, EXACT_BLOCK = 1024, 64
#: Lists that a row is looked for in. Of 100,000 rows without clusters, 4 an owner, .966 find their nearest stranger
#: (1.00 of the tenth that lie closest, which is what a report names), in a third of the time of comparing all.
PROBES = 32
#: Neighbours that are asked for, so that one of another owner is among them; more where an owner has more rows.
NEIGHBOURS, MOST_NEIGHBOURS = 16, 256
_TRAINING_ROWS_PER_LIST = 40

#: Wraps the blocks that are worked through, with their number, to show progress; it may raise to end the work.
OnBlocks = Callable[[Iterable[Any], int], Iterable[Any]]


def nearest_siblings(vectors: np.ndarray, owners: np.ndarray) -> np.ndarray:
    """Of each unit row of `vectors` (n, d) the cosine (n,) float32 of its owner's most similar other row.

    `owners` are integers (n,); -inf where a row is the only one of its owner.
    """
    found = np.full(len(vectors), -np.inf, np.float32)
    order = np.argsort(owners, kind="stable")
    for group in np.split(order, np.flatnonzero(np.diff(owners[order])) + 1):
        for start in range(0, len(group) if len(group) > 1 else 0, BLOCK):
            part = group[start : start + BLOCK]
            scores = vectors[part] @ vectors[group].T
            scores[np.arange(len(part)), start + np.arange(len(part))] = -np.inf
            found[part] = scores.max(axis=1)
    return found


def nearest_strangers(
    vectors: np.ndarray, owners: np.ndarray, progress: OnBlocks = lambda items, total: items
) -> tuple[np.ndarray, np.ndarray]:
    """Of each unit row of `vectors` (n, d) float32 the most similar row of another owner: cosines (n,) and rows (n,).

    -inf and -1 where all rows have one owner. Above EXACT_BELOW rows it is approximate: the row that is found may be
    the second best where the best lies in a list that was not looked into.
    """
    count = len(vectors)
    scores, rows = np.full(count, -np.inf, np.float32), np.full(count, -1, np.int64)
    if count == 0 or (owners == owners[0]).all():
        return scores, rows
    index = _lists(vectors) if count > EXACT_BELOW else None
    numbers = np.unique(owners, return_inverse=True)[1]
    sizes = np.bincount(numbers)[numbers]
    for start in progress(range(0, count, BLOCK), -(-count // BLOCK)):
        block = np.arange(start, min(start + BLOCK, count))
        wanted = min(max(NEIGHBOURS, int(sizes[block].max()) + 1), MOST_NEIGHBOURS, count)
        near, at = _search(index, vectors, vectors[block], wanted)
        strange = (at >= 0) & (owners[at] != owners[block, None])
        first = strange.argmax(axis=1)
        lines = np.arange(len(block))
        scores[block] = np.where(strange[lines, first], near[lines, first], -np.inf)
        rows[block] = np.where(strange[lines, first], at[lines, first], -1)
        _exactly(block[rows[block] < 0], vectors, owners, scores, rows)
    return scores, rows


def _lists(vectors: np.ndarray) -> Any:
    """An IVF index of the rows, in half precision; what it finds is compared again with the rows themselves."""
    count, dim = vectors.shape
    lists = int(2 * np.sqrt(count))
    index: Any = faiss.index_factory(dim, f"IVF{lists},SQfp16", faiss.METRIC_INNER_PRODUCT)
    index.cp.niter = 8
    sample = np.random.default_rng(0).choice(count, min(count, lists * _TRAINING_ROWS_PER_LIST), replace=False)
    index.train(vectors[np.sort(sample)])
    index.add(vectors)
    index.nprobe = PROBES
    return index


def _search(index: Any, vectors: np.ndarray, queries: np.ndarray, wanted: int) -> tuple[np.ndarray, np.ndarray]:
    if index is None:
        return faiss.knn(queries, vectors, wanted, metric=faiss.METRIC_INNER_PRODUCT)
    return index.search(queries, wanted)


def _exactly(left: np.ndarray, vectors: np.ndarray, owners: np.ndarray, scores: np.ndarray, rows: np.ndarray) -> None:
    """Fill in the rows `left` (m,), whose nearest neighbours were all their own."""
    for start in range(0, len(left), EXACT_BLOCK):
        part = left[start : start + EXACT_BLOCK]
        near = vectors[part] @ vectors.T
        near[owners[part, None] == owners[None]] = -np.inf
        rows[part] = near.argmax(axis=1)
        scores[part] = near[np.arange(len(part)), rows[part]]
