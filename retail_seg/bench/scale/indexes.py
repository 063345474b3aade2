"""References made of real vectors by jitter, the kinds of index that hold them, and what memory each takes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from index.embedder import unit_rows

#: Neighbours that are asked for, queries, and those that are asked at once: the facings of a photo.
NEIGHBOURS, QUERIES, AT_ONCE = 10, 320, 40
#: Length of the vector that is added to a real one, for a reference and for a query: cosines of .86 and .82 to it.
_JITTER, _QUERY = 0.6, 0.7
#: Vectors that are made at once.
PORTION = 50_000
#: Bytes of a code of IVF-PQ.
CODE = 64
#: Kinds and the most references at which one is built here: hours, or memory, end it. The exact one is first: the
#: others are made of its file.
FLAT, HNSW, SQ8, PQ, MILVUS = "FAISS flat", "FAISS HNSW", "FAISS IVF-SQ8", "FAISS IVF-PQ", "Milvus Lite FLAT"
KINDS = {FLAT: 5_000_000, SQ8: 5_000_000, PQ: 5_000_000, MILVUS: 100_000, HNSW: 1_000_000}
#: Kinds at a server of Milvus, where one is given, and the most references at which they are filled here.
SERVED = {"Milvus FLAT": "milvus", "Milvus HNSW": "milvus-hnsw"}
SERVED_MOST = 100_000
#: Kinds that Milvus holds, in a file or at a server.
AT_MILVUS = (MILVUS, *SERVED)
#: IVF-PQ whose best are held against their whole vectors: no index of its own, another way to ask.
RERANKED = "FAISS IVF-PQ, re-ranked"


@dataclass(frozen=True)
class Made:
    """References made of real vectors by jitter; the same ones at each reading, a portion at a time."""

    real: np.ndarray
    count: int
    seed: int = 0

    @property
    def dim(self) -> int:
        return int(self.real.shape[1])

    @property
    def name(self) -> str:
        """What tells these references from others, whatever their number."""
        how = f"{self.seed} {PORTION} {_JITTER} {_QUERY}"
        return hashlib.sha256(self.real.tobytes() + how.encode()).hexdigest()[:8]

    def portions(self) -> Iterator[np.ndarray]:
        """Unit vectors float32 (up to 50,000, dim)."""
        for at in range(0, self.count, PORTION):
            yield jittered(self.real, min(PORTION, self.count - at), _JITTER, self.seed + 1 + at)

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


def expected(kind: str, references: int, dim: int) -> float:
    """MB in memory of a kind of index at a size, by how the structure is laid out; ids of 8 bytes included."""
    each = {FLAT: 4 * dim, HNSW: 4 * dim + 4 * 2 * 32 + 16, SQ8: dim + 8, PQ: CODE + 8, RERANKED: CODE + 8}
    each |= {"Milvus FLAT": each[FLAT], "Milvus HNSW": each[HNSW]}  # a server does not say what it holds
    lists = int(2 * np.sqrt(references)) * dim * 4 if kind in (SQ8, PQ, RERANKED) else 0
    return float(references * (each[kind] + 8) + lists) / 2**20
