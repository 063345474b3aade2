"""Time and memory of the index beside a bare FAISS flat index of the same vectors, measured in the same run."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from retail_seg.bench.benchmark.measure import Row, Section, machine, rounded, timed, use_all_cores
from retail_seg.system.processes import environment

_NEIGHBOURS = 10
_BATCH = 64
_ROUNDS = 15
_ADDED = 30
_PER_FAMILY = 50  # labels that resemble each other, as a range of one brand does

#: Run in a process of its own, so that nothing but the index is in its memory: argv is the file and the queries.
_OPENING = """
import json, sys, time
import numpy as np
from index.vectors import VectorIndex

def resident():
    with open("/proc/self/status") as file:
        sizes = dict(line.split(":", 1) for line in file if line.startswith(("VmRSS", "RssAnon")))
    return {name: int(size.split()[0]) / 1024 for name, size in sizes.items()}

queries = np.load(sys.argv[2])
before = resident()
begun = time.perf_counter()
index, _ = VectorIndex.load(sys.argv[1])
opened = time.perf_counter()
index.search(queries[:1], 10)
answered = time.perf_counter()
index.search(queries, 10)
after = resident()
print(json.dumps({
    "open_ms": 1000 * (opened - begun), "open_and_first_query_ms": 1000 * (answered - begun),
    "resident_mb": after["VmRSS"] - before["VmRSS"], "not_mapped_mb": after["RssAnon"] - before["RssAnon"],
}))
"""


@dataclass(frozen=True)
class Peer:
    """Milliseconds of this index and of bare FAISS for the same queries, medians of alternating rounds.

    `faiss_ms` is FAISS as it comes, `faiss_tuned_ms` FAISS under the setting that this program gives it; `ratio` is
    against the faster of the two.
    """

    queries: int
    index_ms: float
    faiss_ms: float
    faiss_tuned_ms: float
    ratio: float


@dataclass(frozen=True)
class IndexBenchmark:
    """What `benchmark index` reports; sizes in MB (2^20 bytes), times in ms unless they say otherwise."""

    kind: str
    labels: int
    references: int
    dim: int
    build_s: float
    save_s: float
    file_mb: float
    opening: dict[str, float]
    alone: Peer
    batch: Peer
    add_one_ms: float
    add_one_worst_ms: float
    remove_one_ms: float
    recall: float
    machine: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Rounded numbers for a JSON line."""
        return rounded(asdict(self))

    def table(self) -> str:
        """The same for people."""
        vectors = self.labels * self.references
        opening, alone, batch = self.opening, self.alone, self.batch
        tuned, unmapped = "FAISS, same setting", f"{opening['not_mapped_mb']:.0f} MB of it not mapped"
        lines = [
            f"{self.kind} index of {vectors:,} vectors ({self.labels:,} labels x {self.references}) of {self.dim}",
            f"{'build':34} {self.build_s:9.2f} s, and {self.save_s:.2f} s to save {self.file_mb:.0f} MB",
            f"{'open':34} {opening['open_ms']:9.2f} ms",
            f"{'open and answer a first query':34} {opening['open_and_first_query_ms']:9.2f} ms",
            f"{'resident after 64 queries':34} {opening['resident_mb']:9.0f} MB, {unmapped}",
            f"{'':34} {'this':>9} {'FAISS':>9} {tuned:>20} {'ratio':>7}",
        ]
        for name, one in (("one query, ms", alone), (f"{batch.queries} queries, ms", batch)):
            times = f"{one.index_ms:9.2f} {one.faiss_ms:9.2f} {one.faiss_tuned_ms:20.2f} {one.ratio:7.2f}"
            lines.append(f"{name:34} {times}")
        lines += [
            f"{'add one reference':34} {self.add_one_ms:9.2f} ms, worst {self.add_one_worst_ms:.2f} ms",
            f"{'remove one reference':34} {self.remove_one_ms:9.2f} ms",
            f"{f'recall@{_NEIGHBOURS} against exact':34} {self.recall:9.4f}",
        ]
        return "\n".join(lines)


def benchmark_index(
    folder: Path, *, labels: int = 25_000, references: int = 4, dim: int = 512, kind: str = "flat", seed: int = 0
) -> IndexBenchmark:
    """Build, save, open, ask and change an index of made-up clustered unit vectors; its file goes to `folder`."""
    import faiss

    from index.vectors import VectorIndex

    vectors, queries = clustered_vectors(labels, references, dim, seed)
    ids = np.arange(len(vectors))
    path = folder / "benchmark.faiss"
    index = VectorIndex(dim, kind)
    build = timed(lambda: index.add(ids, vectors))
    save = timed(lambda: index.save(path, 1))
    np.save(folder / "queries.npy", queries)
    index, _ = VectorIndex.load(path)
    bare = faiss.IndexFlatIP(dim)
    bare.add(vectors)
    alone, batch = _beside(index, bare, queries[:1]), _beside(index, bare, queries)
    found, exact = index.search(queries, _NEIGHBOURS)[1], bare.search(queries, _NEIGHBOURS)[1]
    recall = np.mean([len(np.intersect1d(one, other)) / _NEIGHBOURS for one, other in zip(found, exact, strict=True)])
    added = [timed(partial(index.add, ids[-1:] + 1 + at, queries[at : at + 1])) for at in range(_ADDED)]
    removed = [timed(partial(index.remove, ids[at : at + 1])) for at in range(_ADDED)]
    return IndexBenchmark(
        kind=kind,
        labels=labels,
        references=references,
        dim=dim,
        build_s=build,
        save_s=save,
        file_mb=path.stat().st_size / 2**20,
        opening=_opening(path, folder / "queries.npy"),
        alone=alone,
        batch=batch,
        add_one_ms=1000 * float(np.median(added)),
        add_one_worst_ms=1000 * max(added),
        remove_one_ms=1000 * float(np.median(removed)),
        recall=float(recall),
        machine=machine(),
    )


def clustered_vectors(labels: int, references: int, dim: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors (labels x references, dim) in families of like labels, and 64 queries near some of them, float32."""
    rng = np.random.default_rng(seed)
    families = rng.standard_normal((labels // _PER_FAMILY + 1, dim), dtype=np.float32)
    centres = np.repeat(families, _PER_FAMILY, axis=0)[:labels]
    centres += 0.7 * rng.standard_normal((labels, dim), dtype=np.float32)
    vectors = np.repeat(centres, references, axis=0)
    vectors += 0.6 * rng.standard_normal(vectors.shape, dtype=np.float32)
    queries = vectors[rng.integers(0, len(vectors), _BATCH)]
    queries = queries + 0.6 * rng.standard_normal(queries.shape, dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors, queries / np.linalg.norm(queries, axis=1, keepdims=True)


def _beside(index: Any, bare: Any, queries: np.ndarray) -> Peer:
    """Alternate the three, so that whatever else the machine does falls on all of them."""
    import faiss

    from index.vectors import FAISS_DEFAULT_BLAS_THRESHOLD

    ours = faiss.cvar.distance_compute_blas_threshold
    times: dict[str, list[float]] = {"index": [], "faiss": [], "tuned": []}
    try:
        for _ in range(_ROUNDS):
            times["index"].append(timed(lambda: index.search(queries, _NEIGHBOURS)))
            times["tuned"].append(timed(lambda: bare.search(queries, _NEIGHBOURS)))
            faiss.cvar.distance_compute_blas_threshold = FAISS_DEFAULT_BLAS_THRESHOLD
            times["faiss"].append(timed(lambda: bare.search(queries, _NEIGHBOURS)))
            faiss.cvar.distance_compute_blas_threshold = ours
    finally:
        faiss.cvar.distance_compute_blas_threshold = ours
    middle = {name: 1000 * float(np.median(one)) for name, one in times.items()}
    ratio = middle["index"] / min(middle["faiss"], middle["tuned"])
    return Peer(len(queries), middle["index"], middle["faiss"], middle["tuned"], ratio)


def _opening(path: Path, queries: Path) -> dict[str, float]:
    """Open the file in a new process: its times and its memory."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", _OPENING, str(path), str(queries)],
        capture_output=True,
        text=True,
        check=True,
        env=environment(),
    )
    return json.loads(done.stdout)


def search_section(folder: Path) -> Section:
    """64 queries among 100,000 references of 512 dimensions, beside bare FAISS."""
    made = folder / "index"
    made.mkdir(exist_ok=True)
    use_all_cores()
    found = benchmark_index(made, labels=100_000, references=1, dim=512)
    rows = []
    for name, one in (("64 queries", found.batch), ("one query", found.alone)):
        fastest = min(one.faiss_ms, one.faiss_tuned_ms)
        goal, reached = ("<= 1.2 x FAISS", one.ratio <= 1.2) if one.queries > 1 else ("", None)
        rows.append(Row(name, f"{one.index_ms:.1f} ms", f"{fastest:.1f} ms", one.ratio, goal, reached))
    note = f"recall@{_NEIGHBOURS} against bare FAISS {found.recall:.4f}; the ratio is this over FAISS."
    return Section("Search among 100,000 references of 512 dimensions", rows, [note], found.to_dict())
