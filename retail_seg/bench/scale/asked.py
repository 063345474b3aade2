"""References against recall, memory and time: FAISS flat, HNSW, IVF of 8 bits, IVF-PQ, and Milvus."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from index.approximate import flat_rows, search_base
from retail_seg.bench.benchmark.measure import timed
from retail_seg.bench.scale.built import Built
from retail_seg.bench.scale.indexes import (
    AT_MILVUS,
    AT_ONCE,
    FLAT,
    KINDS,
    MILVUS,
    NEIGHBOURS,
    PQ,
    QUERIES,
    RERANKED,
    SERVED,
    SERVED_MOST,
    IndexReading,
    Made,
    expected,
)

#: Of how many that codes find the whole vectors are read.
_READ = 100

#: Queries (n, dim) ► positions (n, NEIGHBOURS) of the nearest references.
Ask = Callable[[np.ndarray], np.ndarray]


def build_indexes(
    work: Path, real: np.ndarray, counts: Sequence[int], told: Callable[[str], None], milvus: str = ""
) -> None:
    """Build whatever is not in the folder yet, with the exact answers, the cheap kinds first."""
    for kind, count in _wanted(counts, milvus):
        built = Built(work, Made(real, count), milvus)
        told(f"{kind}, {count:,} references: built in {built.seconds(kind):.1f} s")
        if kind == FLAT:
            built.exact()


def read_indexes(
    work: Path, real: np.ndarray, counts: Sequence[int], told: Callable[[IndexReading], None], milvus: str = ""
) -> list[IndexReading]:
    """Each kind at each size that it is built at here, by size; what is not in the folder yet is built."""
    found = []
    for kind, count in sorted(_wanted(counts, milvus), key=lambda one: one[1]):
        built = Built(work, Made(real, count), milvus)
        index = built.open(kind)
        asks = {kind: _ask(kind, index)}
        if kind == PQ:
            asks[RERANKED] = _reranking(index, built.open(FLAT))
        for name, ask in asks.items():
            found.append(_reading(name, built, ask, built.seconds(kind)))
            told(found[-1])
    return found


def _wanted(counts: Sequence[int], milvus: str) -> Iterator[tuple[str, int]]:
    for kind, most in (KINDS | (dict.fromkeys(SERVED, SERVED_MOST) if milvus else {})).items():
        if kind != MILVUS or find_spec("milvus_lite") is not None:
            yield from ((kind, count) for count in counts if count <= most)


def _ask(kind: str, index: Any) -> Ask:
    if kind in AT_MILVUS:
        return lambda queries: index.search(queries, NEIGHBOURS)[1]
    return lambda queries: search_base(index, queries, NEIGHBOURS)[1]


def _reranking(index: Any, exact: Any) -> Ask:
    """The best hundred by their codes, held against their whole vectors, which are read from the exact index's file."""
    rows = flat_rows(exact)

    def ask(queries: np.ndarray) -> np.ndarray:
        found = index.search(queries, min(_READ, exact.ntotal))[1]
        scores = np.einsum("qd,qnd->qn", queries, rows[found])
        best = np.argsort(-np.where(found >= 0, scores, -np.inf), 1, kind="stable")[:, :NEIGHBOURS]
        return np.take_along_axis(found, best, 1)

    return ask


def _reading(kind: str, built: Built, ask: Ask, build: float) -> IndexReading:
    """Recall and the median time of a photo, after all queries were asked once: pages are in memory then."""
    queries, exact = built.made.queries(), built.exact()
    parts = [queries[at : at + AT_ONCE] for at in range(0, QUERIES, AT_ONCE)]
    ids = np.concatenate([ask(part) for part in parts])
    photo = float(np.median([timed(lambda part=part: ask(part)) for part in parts]))  # type: ignore[misc]
    recall = float(np.mean([len(np.intersect1d(a, b)) for a, b in zip(ids, exact, strict=True)])) / NEIGHBOURS
    size = _held(built.path(MILVUS)) if kind == MILVUS else expected(kind, built.made.count, built.made.dim)
    return IndexReading(kind, built.made.count, recall, size, build, photo)


def _held(path: Path) -> float:
    """MB of a file, or of all files in a folder."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(one.stat().st_size for one in files if one.is_file()) / 2**20
