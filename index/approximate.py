"""What stands under a `VectorIndex`: exact FAISS search, or a structure that trades recall for time and memory.

HNSW (Malkov & Yashunin 2016) keeps float32 rows and links them: fast, 1.1 times the memory of exact search.
IVF with an 8-bit scalar quantiser (Jégou et al. 2011) scans the nearest lists only: a quarter of the memory.
"""

from __future__ import annotations

from typing import Any

import faiss
import numpy as np

KINDS = ("flat", "hnsw", "ivf-sq8")
_EXACT_BELOW = 20_000  # vectors; exact search takes under 4 ms there, so nothing is gained
_HNSW_LINKS, _HNSW_BUILD, _HNSW_SEARCH = 32, 120, 128
_TRAINING_ROWS_PER_LIST = 64
_PROBED_SHARE = 1 / 24


def extend_base(
    kind: str, dim: int, rows: Any, ids: np.ndarray, more: np.ndarray, more_ids: np.ndarray
) -> tuple[Any, np.ndarray]:
    """A new FAISS index with `more` float32 (n, dim) behind what `rows` holds, and its ids; `rows` stays as it is.

    Removed rows (id -1) of an exact index are left out; an approximate one keeps their places until it is rebuilt.
    """
    if rows is not None and not isinstance(rows, faiss.IndexFlat):
        # through bytes, because a clone of a mapped index stays mapped and cannot grow
        extended = faiss.deserialize_index(faiss.serialize_index(rows))
        extended.add(np.ascontiguousarray(more))
        return extended, np.concatenate([ids, more_ids])
    alive = np.flatnonzero(ids >= 0)
    exact = faiss.IndexFlatIP(dim)
    exact.codes.resize((len(alive) + len(more)) * dim * 4)  # in place: adding block by block would copy as it grows
    exact.ntotal = len(alive) + len(more)
    vectors = flat_rows(exact)
    if rows is not None:
        np.take(flat_rows(rows), alive, axis=0, out=vectors[: len(alive)])
    vectors[len(alive) :] = more
    return structured(kind, exact), np.concatenate([ids[alive], more_ids])


def flat_rows(rows: faiss.IndexFlat) -> np.ndarray:
    """The rows of an exact index as float32 (n, dim), not copied: valid while `rows` lives."""
    if rows.ntotal == 0:
        return np.empty((0, rows.d), np.float32)
    return faiss.rev_swig_ptr(rows.get_xb(), rows.ntotal * rows.d).reshape(rows.ntotal, rows.d)


def search_base(rows: Any, queries: np.ndarray, fetch: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores (m, fetch) and positions (m, fetch), -1 where an approximate index found fewer."""
    if isinstance(rows, faiss.IndexHNSW):
        wide = faiss.SearchParametersHNSW(efSearch=max(_HNSW_SEARCH, 2 * fetch))  # type: ignore[attr-defined]
        return rows.search(queries, fetch, params=wide)
    return rows.search(queries, fetch)


def structured(kind: str, exact: faiss.IndexFlatIP) -> Any:
    """The exact index itself, or an approximate one of the same rows when there are enough of them.

    The rows may be mapped from a file that is larger than the memory: they are read in order.
    """
    if kind == "flat" or exact.ntotal < _EXACT_BELOW:
        return exact
    dim, vectors = exact.d, flat_rows(exact)
    index: Any
    if kind == "hnsw":
        index = faiss.IndexHNSWFlat(dim, _HNSW_LINKS, faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction = _HNSW_BUILD
    else:
        lists = int(2 * np.sqrt(len(vectors)))
        index = faiss.index_factory(dim, f"IVF{lists},SQ8", faiss.METRIC_INNER_PRODUCT)
        count = min(len(vectors), lists * _TRAINING_ROWS_PER_LIST)
        sample = np.random.default_rng(0).choice(len(vectors), count, replace=False)
        index.train(vectors[np.sort(sample)])
        index.nprobe = max(8, int(lists * _PROBED_SHARE))
    index.add(vectors)
    return index
