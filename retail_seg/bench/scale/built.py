"""Indexes that are built once and kept: a file for each kind and size, the seconds that it took, the exact answers.

A later run finds them again, so that building may go on beside other work and searching be timed on a quiet machine.
"""

from __future__ import annotations

import json
import struct
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from index.approximate import flat_rows, structured
from index.errors import IndexUnreachableError
from index.milvus import MilvusIndex, Server
from retail_seg.bench.scale.indexes import (
    AT_MILVUS,
    CODE,
    FLAT,
    HNSW,
    MILVUS,
    NEIGHBOURS,
    PORTION,
    PQ,
    SERVED,
    SQ8,
    Made,
)
from retail_seg.system.files import replace_file, whole_file

#: Lists that IVF-PQ asks, and vectors that it is trained on.
_PROBED, _TRAINED = 64, 60_000
_FILES = {FLAT: "flat", HNSW: "hnsw", SQ8: "ivf-sq8", PQ: "ivf-pq", MILVUS: "milvus"}
#: Where a FAISS file of exact rows says how many there are; the number of floats is its last word before them.
_COUNT_AT = 8


@dataclass(frozen=True)
class Built:
    """The indexes of some references in a folder, and at the address `milvus`, built where they are not there yet."""

    work: Path
    made: Made
    milvus: str = ""

    def path(self, kind: str) -> Path:
        """The file of a kind of index; beside it, in JSON, the seconds that it took."""
        end = "db" if kind in AT_MILVUS else "faiss"
        name = _FILES.get(kind) or f"served-{SERVED[kind]}"
        return self.work / f"indexes-{self.made.name}" / f"{name}-{self.made.count}.{end}"

    def seconds(self, kind: str) -> float:
        """Build the index where it is not there; seconds of one core that it took, then or now.

        Of Milvus, whose work is done by a process of its own, the seconds that passed.
        """
        said = self.path(kind).with_suffix(".json")
        if not said.exists():
            said.parent.mkdir(parents=True, exist_ok=True)
            clock = time.perf_counter if kind in AT_MILVUS else time.process_time
            exact = None if kind == FLAT else self.open(FLAT)
            begun = clock()
            self._build(kind, exact)
            replace_file(said, json.dumps({"seconds": clock() - begun}).encode())
        return float(json.loads(said.read_text())["seconds"])

    def open(self, kind: str) -> Any:
        """The index, built where it is not there: FAISS's own, mapped from its file as a store's, or Milvus's."""
        self.seconds(kind)
        if kind in AT_MILVUS:
            found = self._server(kind).open(self.made.name)
            if found is None:
                raise IndexUnreachableError(f"{self.milvus}: has lost {kind}: delete {self.path(kind)}'s JSON.")
            return found[0]
        return faiss.read_index(str(self.path(kind)), faiss.IO_FLAG_MMAP_IFC)

    def exact(self) -> np.ndarray:
        """The nearest references of each query, int64 (QUERIES, NEIGHBOURS), found portion by portion."""
        path = self.path(FLAT).with_name(f"exact-{self.made.count}.npy")
        if not path.exists():
            index = self.open(FLAT)
            found = _nearest(self.made.queries(), flat_rows(index))
            with whole_file(path) as part, part.open("wb") as file:
                np.save(file, found)
        return np.asarray(np.load(path))

    def _server(self, kind: str) -> Server:
        if kind == MILVUS:
            return Server(str(self.path(kind)), "scale")
        name = f"scale_{self.made.name}_{self.made.count}_{SERVED[kind].replace('-', '_')}_"
        return Server(self.milvus, name, SERVED[kind])

    def _build(self, kind: str, exact: Any) -> None:
        if kind in AT_MILVUS:
            there = _fill_milvus(self._server(kind), self.made)
            if kind in SERVED:
                there.settle()
            return
        with whole_file(self.path(kind)) as part:
            if kind == FLAT:
                _write_flat(part, self.made)
            else:
                index = _quantised(self.made, flat_rows(exact)) if kind == PQ else structured(_FILES[kind], exact)
                faiss.write_index(index, str(part))


def _write_flat(path: Path, made: Made) -> None:
    """FAISS's file of an exact index, written portion by portion: there may be more of it than memory."""
    head = faiss.serialize_index(faiss.IndexFlatIP(made.dim)).tobytes()
    count, floats = struct.pack("<q", made.count), struct.pack("<Q", made.count * made.dim)
    with path.open("wb") as file:
        file.write(head[:_COUNT_AT] + count + head[_COUNT_AT + len(count) : -len(floats)] + floats)
        for portion in made.portions():
            file.write(portion.tobytes())


def _quantised(made: Made, rows: np.ndarray) -> Any:
    """IVF with product quantisation (Jégou et al. 2011), filled portion by portion: codes of 64 bytes."""
    lists = int(2 * np.sqrt(made.count))
    index: Any = faiss.index_factory(made.dim, f"IVF{lists},PQ{CODE}", faiss.METRIC_INNER_PRODUCT)
    index.cp.niter = 6
    index.do_polysemous_training = False  # minutes for a filter that inner products do not use
    sample = np.random.default_rng(made.seed).choice(len(rows), min(len(rows), _TRAINED), replace=False)
    index.train(rows[np.sort(sample)])
    for at in range(0, len(rows), PORTION):
        index.add(rows[at : at + PORTION])
    index.nprobe = _PROBED
    return index


def _fill_milvus(server: Server, made: Made) -> MilvusIndex:
    there = server.make(made.dim, made.name)
    start = 0
    for portion in made.portions():
        there.add(np.arange(start, start + len(portion)), portion)
        start += len(portion)
    there.enforce(1)
    return there


def _nearest(queries: np.ndarray, rows: np.ndarray) -> np.ndarray:
    best = np.zeros((len(queries), 0), np.float32), np.zeros((len(queries), 0), np.int64)
    for at in range(0, len(rows), PORTION):
        portion = rows[at : at + PORTION]
        scores, ids = faiss.knn(queries, portion, min(NEIGHBOURS, len(portion)), metric=faiss.METRIC_INNER_PRODUCT)
        both = np.concatenate([best[0], scores], 1), np.concatenate([best[1], ids + at], 1)
        order = np.argsort(-both[0], 1, kind="stable")[:, :NEIGHBOURS]
        best = np.take_along_axis(both[0], order, 1), np.take_along_axis(both[1], order, 1)
    return best[1]
