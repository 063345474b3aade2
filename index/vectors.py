"""Nearest references by inner product: FAISS behind reference ids, for threads and for files.

A `VectorIndex` holds an immutable *base* (a FAISS index, mapped from its file where FAISS can) and a *tail*
(the rows added since). A removed row keeps its place and loses its id. Every change publishes a new state in one
assignment, so a reader works on one consistent state without a lock while a writer prepares the next.
"""

from __future__ import annotations

import json
import os
import secrets
import struct
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from index.approximate import KINDS, extend_base, search_base
from index.errors import VectorIndexError
from index.shortlist import Shortlist

_MAGIC = b"RSEGVEC1"
_HEAD_BYTES = 4096  # the part of the file that FAISS trusts: its header; the checksum covers it
_NORM_TOLERANCE = 2e-3  # what unit vectors lose when they were stored as float16
_MIN_RECLAIM = 4096  # removed rows worth a copy of the rest
_VIEWS = 2  # rows fetched for each id wanted where ids have several, and more where that is not enough
_SPARE = 8  # rows fetched beside those, in the place of removed ones

# FAISS 1.15 answers a batch by one pass per query until queries x dim reaches 128,000; its matrix product is
# an order of magnitude faster from four queries of 512 on (measured: 64 queries of 100,000 in 74 ms, not 940 ms).
FAISS_DEFAULT_BLAS_THRESHOLD = faiss.cvar.distance_compute_blas_threshold
faiss.cvar.distance_compute_blas_threshold = min(FAISS_DEFAULT_BLAS_THRESHOLD, 2048)

#: Multiplications up to which an exact search stays in the thread that asks: what one core does in about half a second.
#: FAISS's threads wait for each other, running in circles, after every thousand rows or so. Beside other work on as
#: many cores 40 queries of 100,000 rows of 512 took 1.4 s with two threads and .09 s with one; on two free cores two
#: took .07 s.
ALONE = 2e10


@dataclass(frozen=True)
class _Segment:
    """Rows with their ids; a row whose id is -1 was removed."""

    rows: Any  # a FAISS index, or float32 (n, dim)
    ids: np.ndarray  # int64 (n,)
    keeper: Any = None  # the FAISS object that owns `rows`, where there is one
    short: Shortlist | None = None  # of the rows of an exact base
    views: int = _VIEWS  # rows fetched for each id wanted

    def search(self, queries: np.ndarray, fetch: int) -> tuple[np.ndarray, np.ndarray]:
        fetch = min(fetch, len(self.ids))
        if fetch == 0:
            return np.empty((len(queries), 0), np.float32), np.empty((len(queries), 0), np.int64)
        if self.short is not None and self.short.serves(len(queries), fetch):
            with _threads(alone=True):
                scores, at = self.short.search(queries, fetch)
            return scores, self.ids[at]
        exact = isinstance(self.rows, (np.ndarray, faiss.IndexFlat))
        with _threads(alone=exact and len(self.ids) * queries.size <= ALONE):
            if isinstance(self.rows, np.ndarray):
                scores, at = faiss.knn(queries, self.rows, fetch, metric=faiss.METRIC_INNER_PRODUCT)
            else:
                scores, at = search_base(self.rows, queries, fetch)
        return scores, np.where(at >= 0, self.ids[at], -1)

    def without(self, ids: np.ndarray) -> tuple[_Segment, int]:
        gone = np.isin(self.ids, ids)
        count = int(gone.sum())
        return (replace(self, ids=np.where(gone, -1, self.ids)) if count else self), count


def _base(rows: Any, ids: np.ndarray, keeper: Any = None) -> _Segment:
    """The rows of a FAISS index with their ids."""
    short = Shortlist(rows) if isinstance(rows, faiss.IndexFlat) else None
    return _Segment(rows, ids, keeper, short, 1 if (np.diff(ids) > 0).all() else _VIEWS)


@contextmanager
def _threads(*, alone: bool) -> Iterator[None]:
    """Let FAISS compute in this thread only, where `alone`; how many it may use is a matter of each thread."""
    many = faiss.omp_get_max_threads()
    if not alone or many == 1:
        yield
        return
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(many)


@dataclass(frozen=True)
class _State:
    base: _Segment
    tail: _Segment
    live: int

    @property
    def rows(self) -> int:
        return len(self.base.ids) + len(self.tail.ids)


class VectorIndex:
    """Unit vectors by reference id: add, remove, search, save, load; an id may carry several vectors (views).

    `kind` is "flat" (exact, the default), "hnsw" or "ivf-sq8" (approximate, for more than some 500,000 vectors; rows
    enter the approximate structure at `save` and are searched exactly until then). `tag` travels with the file: say
    there what the vectors are (embedder and projection), so that a file of other vectors is told apart.
    """

    def __init__(self, dim: int, kind: str = "flat", tag: str = "") -> None:
        if dim < 1:
            raise VectorIndexError(f"Vectors of {dim} dimensions cannot be indexed: give a dimension of at least 1.")
        if kind not in KINDS:
            raise VectorIndexError(f"No index of kind {kind!r}: choose one of {', '.join(KINDS)}.")
        self.dim, self.kind, self.tag = int(dim), kind, tag
        self._writing = threading.RLock()
        self._buffer = np.empty((0, self.dim), np.float32)
        no_ids = np.empty(0, np.int64)
        self._state = _State(_Segment(None, no_ids), _Segment(self._buffer, no_ids), 0)

    def __len__(self) -> int:
        """The number of vectors (views), removed ones not counted."""
        return self._state.live

    def ids(self) -> np.ndarray:
        """The ids that are searchable, int64, ascending, each once."""
        state = self._state
        found = np.unique(np.concatenate([state.base.ids, state.tail.ids]))
        return found[found >= 0]

    def add(self, ids: np.ndarray, vectors: np.ndarray) -> None:
        """Add unit vectors float32 (n, dim) under int64 ids (n,); they are searchable when this returns."""
        self._change(np.empty(0, np.int64), *self._checked(ids, vectors))

    def replace(self, ids: np.ndarray, vectors: np.ndarray) -> None:
        """Drop whatever these ids carried and add the given vectors, in one step for every reader."""
        ids, vectors = self._checked(ids, vectors)
        self._change(ids, ids, vectors)

    def remove(self, ids: np.ndarray) -> int:
        """Remove all vectors of these ids and return how many vectors went; unknown ids are no error."""
        return self._change(np.asarray(ids, np.int64).ravel(), np.empty(0, np.int64), np.empty((0, self.dim)))

    def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """The k best ids of each query, best first: scores float32 (m, k) and ids int64 (m, k).

        Each id stands once per row, with the score of its best view. Where fewer than k ids exist, the rest of the
        row is id -1 and score -inf. Raises VectorIndexError on queries that are not unit vectors of this dimension.
        """
        queries = check_unit_vectors(queries, self.dim)
        if k < 1:
            raise VectorIndexError(f"A search for {k} neighbours is empty: ask for at least 1.")
        state = self._state
        return _search(state, queries, k, fetch=state.base.views * k + _SPARE)

    def save(self, path: Path, revision: int) -> None:
        """Write everything to `path` under the catalogue's `revision`: whole or not at all; readers go on meanwhile."""
        with self._writing:
            self._compact()
            base = self._state.base
        about = {"revision": int(revision), "kind": self.kind, "tag": self.tag, "dim": self.dim}
        mapped = _write(Path(path), base, about)
        with self._writing:
            now = self._state
            if now.base.rows is base.rows:  # the rows are in the file now: map them, and the memory is free
                self._state = _State(replace(mapped, ids=now.base.ids), now.tail, now.live)

    @classmethod
    def load(cls, path: Path) -> tuple[VectorIndex, int]:
        """Open a saved index, mapped and not read where FAISS can: (index, revision).

        Raises VectorIndexError when the file is missing, cut off, damaged or not of this program.
        """
        path = Path(path)
        try:
            about, base = _read(path)
            index = cls(about["dim"], about["kind"], about["tag"])
            index._state = _State(base, index._state.tail, int((base.ids >= 0).sum()))
            return index, int(about["revision"])
        except (OSError, RuntimeError, ValueError, KeyError, TypeError, struct.error) as error:
            message = f"{path} cannot be used as an index ({error}): rebuild it from the catalogue."
            raise VectorIndexError(message) from error

    def _checked(self, ids: np.ndarray, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        ids = np.asarray(ids)
        vectors = check_unit_vectors(vectors, self.dim)
        if ids.ndim != 1 or len(ids) != len(vectors) or (len(ids) and ids.dtype.kind not in "iu"):
            message = f"{ids.dtype} ids of shape {ids.shape} for {len(vectors)} vectors: give one integer each."
            raise VectorIndexError(message)
        ids = ids.astype(np.int64)
        if len(ids) and ids.min() < 0:
            raise VectorIndexError(f"Id {ids.min()} is negative: reference ids start at 0.")
        return ids, vectors

    def _change(self, gone: np.ndarray, ids: np.ndarray, vectors: np.ndarray) -> int:
        with self._writing:
            state = self._state
            base, tail, removed = state.base, state.tail, 0
            if len(gone):
                base, from_base = base.without(gone)
                tail, from_tail = tail.without(gone)
                removed = from_base + from_tail
            if len(ids):
                tail = self._extended(tail, ids, vectors)
            self._state = _State(base, tail, state.live - removed + len(ids))
            removed_rows = self._state.rows - self._state.live
            if self.kind == "flat" and removed_rows > max(_MIN_RECLAIM, self._state.live):
                self._compact()
            return removed

    def _extended(self, tail: _Segment, ids: np.ndarray, vectors: np.ndarray) -> _Segment:
        """The tail with more rows; they land behind what any reader can see, so old rows stay where they are."""
        used, total = len(tail.ids), len(tail.ids) + len(ids)
        if total > len(self._buffer):
            grown = np.empty((max(total, 2 * len(self._buffer), 256), self.dim), np.float32)
            grown[:used] = tail.rows
            self._buffer = grown
        self._buffer[used:total] = vectors
        return _Segment(self._buffer[:total], np.concatenate([tail.ids, ids]))

    def _compact(self) -> None:
        """Move the tail into the base and drop removed rows; readers keep the state that they hold."""
        base, tail = self._state.base, self._state.tail
        if len(tail.ids) == 0 and (self.kind != "flat" or (base.ids >= 0).all()):
            return
        kept = tail.ids >= 0
        rows, ids = extend_base(self.kind, self.dim, base.rows, base.ids, tail.rows[kept], tail.ids[kept])
        self._buffer = np.empty((0, self.dim), np.float32)
        empty = _Segment(self._buffer, np.empty(0, np.int64))
        self._state = _State(_base(rows, ids), empty, int((ids >= 0).sum()))


def check_unit_vectors(vectors: np.ndarray, dim: int) -> np.ndarray:
    """The vectors as contiguous float32 (n, dim), or VectorIndexError when they are not finite unit vectors."""
    vectors = np.asarray(vectors)
    if vectors.ndim != 2 or vectors.shape[1] != dim:
        raise VectorIndexError(f"Vectors of shape {vectors.shape} do not fit: expected (n, {dim}).")
    if vectors.dtype.kind != "f":
        raise VectorIndexError(f"Vectors of type {vectors.dtype} do not fit: expected float32.")
    vectors = np.ascontiguousarray(vectors, np.float32)
    norms = np.sqrt(np.einsum("nd,nd->n", vectors, vectors))
    bad = np.flatnonzero(~(np.abs(norms - 1) <= _NORM_TOLERANCE))  # written so that NaN is bad, too
    if len(bad):
        raise VectorIndexError(f"Vector {bad[0]} has length {norms[bad[0]]:.4g}: expected finite vectors of length 1.")
    return vectors


def _search(state: _State, queries: np.ndarray, k: int, fetch: int) -> tuple[np.ndarray, np.ndarray]:
    """Fetch more rows than asked for, keep each live id's best, and look wider for the queries that came short."""
    parts = [segment.search(queries, fetch) for segment in (state.base, state.tail)]
    scores, ids = (np.concatenate(both, axis=1) for both in zip(*parts, strict=True))
    order = np.argsort(-scores, axis=1, kind="stable")[:, :fetch]
    scores, ids = np.take_along_axis(scores, order, 1), np.take_along_axis(ids, order, 1)
    keep = first_of_each(ids) & (ids >= 0)
    place = np.where(keep, np.cumsum(keep, axis=1) - 1, k)
    found_scores = np.full((len(queries), k), -np.inf, np.float32)
    found_ids = np.full((len(queries), k), -1, np.int64)
    row, column = np.nonzero(place < k)
    found_scores[row, place[row, column]] = scores[row, column]
    found_ids[row, place[row, column]] = ids[row, column]
    short = np.flatnonzero(keep.sum(axis=1) < k)
    if len(short) and fetch < state.rows:
        found_scores[short], found_ids[short] = _search(state, queries[short], k, 4 * fetch)
    return found_scores, found_ids


def first_of_each(ids: np.ndarray) -> np.ndarray:
    """Mask (m, f) of the first occurrence of each id in its row."""
    by_id = np.argsort(ids, axis=1, kind="stable")
    ordered = np.take_along_axis(ids, by_id, 1)
    new = np.ones(ids.shape, bool)
    new[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    first = np.empty_like(new)
    np.put_along_axis(first, by_id, new, 1)
    return first


def _write(path: Path, base: _Segment, about: dict[str, Any]) -> _Segment:
    """FAISS's own file (any FAISS reads it) with a trailer behind it, moved into place when it is on the disk.

    Returns the same rows mapped from the new file.
    """
    empty = faiss.IndexFlatIP(about["dim"])
    packed: Any = faiss.IndexIDMap(empty)
    packed.index = base.rows if base.rows is not None else empty  # the constructor takes an empty index only
    faiss.copy_array_to_vector(base.ids, packed.id_map)
    packed.ntotal = len(base.ids)
    name = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        name = str(path.with_name(f".{path.name}.{secrets.token_hex(8)}"))
        # A store may be shared: the rights of any new file, which the kernel's mask limits without being asked for.
        os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        faiss.write_index(packed, name)
        with open(name, "r+b") as file:
            head = file.read(_HEAD_BYTES)
            about = about | {"size": file.seek(0, os.SEEK_END), "head": zlib.crc32(head), "count": len(base.ids)}
            trailer = json.dumps(about | {"ids": zlib.crc32(base.ids.tobytes())}).encode()
            file.write(trailer + struct.pack("<Q", len(trailer)) + _MAGIC)
            file.flush()
            os.fsync(file.fileno())
        mapped = _mapped(Path(name))
        os.replace(name, path)
    except (OSError, RuntimeError) as error:
        if name is not None:
            Path(name).unlink(missing_ok=True)
        raise VectorIndexError(f"{path} cannot be written ({error}): check the free space and the rights.") from error
    return mapped


def _mapped(path: Path) -> _Segment:
    packed: Any = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
    ids = faiss.vector_to_array(packed.id_map)
    return _base(faiss.downcast_index(packed.index), ids, packed)


def _read(path: Path) -> tuple[dict[str, Any], _Segment]:
    with open(path, "rb") as file:
        end = file.seek(0, os.SEEK_END)
        file.seek(max(0, end - 16))
        length, magic = struct.unpack("<Q8s", file.read(16))
        if magic != _MAGIC or length > end - 16:
            raise ValueError("it was not written by this program or was cut off")
        file.seek(end - 16 - length)
        about = json.loads(file.read(length))
        file.seek(0)
        size = end - 16 - length
        if about["size"] != size or about["head"] != zlib.crc32(file.read(min(size, _HEAD_BYTES))):
            raise ValueError("it is damaged")
    base = _mapped(path)
    if about["ids"] != zlib.crc32(base.ids.tobytes()) or len(base.ids) != about["count"] or base.rows.d != about["dim"]:
        raise ValueError("its ids are damaged")
    return about, base
