"""References against recall, memory and time: FAISS flat, HNSW, IVF of 8 bits, IVF-PQ, and Milvus in a file."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from index.approximate import extend_base, search_base
from index.embedder import unit_rows

#: Neighbours that are asked for, queries, and those that are asked at once: the facings of a photo.
NEIGHBOURS, QUERIES, AT_ONCE = 10, 320, 40
#: Length of the vector that is added to a real one, for a reference and for a query: cosines of .86 and .82 to it.
_JITTER, _QUERY = 0.6, 0.7
#: Vectors that are made at once.
_PORTION = 50_000
#: Bytes of a code of IVF-PQ, lists that are asked, and vectors that it is trained on.
_CODE, _PROBED, _TRAINED = 64, 64, 60_000
#: Kinds, the most references at which one is built here, and bytes a reference takes (of `dim` numbers).
FLAT, HNSW, SQ8, PQ, MILVUS = "FAISS flat", "FAISS HNSW", "FAISS IVF-SQ8", "FAISS IVF-PQ", "Milvus Lite FLAT"
KINDS = {FLAT: 1_000_000, HNSW: 100_000, SQ8: 100_000, PQ: 5_000_000, MILVUS: 20_000}


@dataclass(frozen=True)
class Made:
    """References made of real vectors by jitter; the same ones at each reading, a portion at a time."""

    real: np.ndarray
    count: int
    seed: int = 0

    @property
    def dim(self) -> int:
        return int(self.real.shape[1])

    def portions(self) -> Iterator[np.ndarray]:
        """Unit vectors float32 (up to 50,000, dim)."""
        for at in range(0, self.count, _PORTION):
            yield jittered(self.real, min(_PORTION, self.count - at), _JITTER, self.seed + 1 + at)

    def queries(self) -> np.ndarray:
        """Unit vectors (QUERIES, dim), each near a real one."""
        return jittered(self.real, QUERIES, _QUERY, self.seed)


def jittered(real: np.ndarray, count: int, length: float, seed: int) -> np.ndarray:
    """`count` unit vectors, each a real one with a random vector of some length added."""
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal((count, real.shape[1]), np.float32)
    return unit_rows(real[rng.integers(0, len(real), count)] + noise * np.float32(length / np.sqrt(real.shape[1])))


@dataclass(frozen=True)
class IndexReading:
    """One kind of index at one size: recall of the ten nearest, MB, seconds to build and for a photo of 40 facings."""

    kind: str
    references: int
    recall: float
    megabytes: float
    build: float
    photo: float


def read_indexes(real: np.ndarray, counts: list[int], told: Callable[[IndexReading], None]) -> list[IndexReading]:
    """Each kind at each size that it is built at here; exact neighbours are found portion by portion."""
    found = []
    for count in counts:
        made = Made(real, count)
        queries, exact = made.queries(), _exact(made)
        for kind, most in KINDS.items():
            if count <= most and (kind != MILVUS or _has_milvus()):
                found.append(_reading(kind, made, queries, exact))
                told(found[-1])
    return found


def _exact(made: Made) -> np.ndarray:
    """The nearest references of each query, int64 (QUERIES, NEIGHBOURS), however many there are."""
    queries, best = made.queries(), (np.zeros((QUERIES, 0), np.float32), np.zeros((QUERIES, 0), np.int64))
    start = 0
    for portion in made.portions():
        scores, ids = faiss.knn(queries, portion, min(NEIGHBOURS, len(portion)), metric=faiss.METRIC_INNER_PRODUCT)
        both = np.concatenate([best[0], scores], 1), np.concatenate([best[1], ids + start], 1)
        order = np.argsort(-both[0], 1, kind="stable")[:, :NEIGHBOURS]
        best = np.take_along_axis(both[0], order, 1), np.take_along_axis(both[1], order, 1)
        start += len(portion)
    return best[1]


def _reading(kind: str, made: Made, queries: np.ndarray, exact: np.ndarray) -> IndexReading:
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        search, size = _milvus(made, Path(folder)) if kind == MILVUS else _faiss(kind, made)
        build = time.perf_counter() - begun
        search(queries[:1])
        begun = time.perf_counter()
        found = [search(queries[at : at + AT_ONCE]) for at in range(0, QUERIES, AT_ONCE)]
        photo = (time.perf_counter() - begun) / len(found)
        size = size or sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
    ids = np.concatenate(found)
    recall = float(np.mean([len(np.intersect1d(a, b)) for a, b in zip(ids, exact, strict=True)])) / NEIGHBOURS
    return IndexReading(kind, made.count, recall, size / 2**20, build, photo)


def _faiss(kind: str, made: Made) -> tuple[Callable[[np.ndarray], np.ndarray], int]:
    index = _quantised(made) if kind == PQ else _own({FLAT: "flat", HNSW: "hnsw", SQ8: "ivf-sq8"}[kind], made)
    size = _size(kind, made.count, made.dim)
    return lambda queries: search_base(index, queries, NEIGHBOURS)[1], size


def _own(kind: str, made: Made) -> Any:
    """The structure that a store of this kind has."""
    rows = np.empty((made.count, made.dim), np.float32)
    for at, portion in enumerate(made.portions()):
        rows[at * _PORTION :][: len(portion)] = portion
    none = np.empty(0, np.int64)
    return extend_base(kind, made.dim, None, none, rows, np.arange(made.count))[0]


def _quantised(made: Made) -> Any:
    """IVF with product quantisation (Jégou et al. 2011), filled portion by portion: codes of 64 bytes."""
    lists = int(2 * np.sqrt(made.count))
    index: Any = faiss.index_factory(made.dim, f"IVF{lists},PQ{_CODE}", faiss.METRIC_INNER_PRODUCT)
    index.cp.niter = 6
    index.do_polysemous_training = False  # minutes for a filter that inner products do not use
    for at, portion in enumerate(made.portions()):
        if at == 0:
            index.train(jittered(made.real, min(made.count, _TRAINED), _JITTER, made.seed + 7))
        index.add(portion)
    index.nprobe = _PROBED
    return index


def _size(kind: str, count: int, dim: int) -> int:
    """Bytes in memory, by how the structure is laid out; ids of 8 bytes included."""
    each = {FLAT: 4 * dim, HNSW: 4 * dim + 4 * 2 * 32 + 16, SQ8: dim + 8, PQ: _CODE + 8}[kind]
    lists = int(2 * np.sqrt(count)) * dim * 4 if kind in (SQ8, PQ) else 0
    return count * (each + 8) + lists


def _milvus(made: Made, folder: Path) -> tuple[Callable[[np.ndarray], np.ndarray], int]:
    from index.milvus import Server

    there = Server(str(folder / "vectors.db"), "scale").make(made.dim, "scale")
    start = 0
    for portion in made.portions():
        there.add(np.arange(start, start + len(portion)), portion)
        start += len(portion)
    there.enforce(1)
    return lambda queries: there.search(queries, NEIGHBOURS)[1], 0


def _has_milvus() -> bool:
    from importlib.util import find_spec

    return find_spec("milvus_lite") is not None


def expected(kind: str, references: int, dim: int) -> float:
    """MB that a kind of index takes at a size, measured here or not."""
    return partial(_size, FLAT if kind == MILVUS else kind)(references, dim) / 2**20
