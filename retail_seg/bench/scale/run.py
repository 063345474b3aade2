"""One run: stages timed on one core, indexes built, days simulated."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from retail_seg.bench.benchmark.many import stage_floors
from retail_seg.bench.benchmark.synthetic import made_photo, real_vectors, store_in
from retail_seg.bench.scale.asked import build_indexes, read_indexes
from retail_seg.bench.scale.day import simulate
from retail_seg.bench.scale.paper import RunFigures, chain_of, full_seconds, workers_for
from retail_seg.fleet import columns
from retail_seg.matcher import Matcher
from retail_seg.photos.load import find_photos
from retail_seg.system.threads import compute_in

#: Photos that the stages are timed on, where none are given, and labels of the store that answers.
_PHOTOS, _LABELS = 2, 2000


def build_scale(
    work: Path,
    *,
    counts: Sequence[int],
    vectors: Path | None = None,
    milvus: str = "",
    tell: Callable[[str], None] = lambda line: None,
) -> None:
    """Build in `work` the indexes that `benchmark_scale` asks there, in one thread; those that are there are kept."""
    _in_one_thread()
    with Matcher.open(store_in(work, _LABELS, 4)) as matcher:
        real = real_vectors(vectors, matcher.embedder)
    build_indexes(work, real, counts, tell, milvus)


def benchmark_scale(
    work: Path,
    *,
    counts: Sequence[int],
    folder: Path | None = None,
    vectors: Path | None = None,
    price: float = 0.04,
    milvus: str = "",
    tell: Callable[[str], None] = lambda line: None,
) -> RunFigures:
    """Measure what the document is computed from, in one thread; indexes that `work` holds are not built again.

    `vectors` is a file of `retail-seg embed`, the real vectors that references are made of; rendered packs' without it.
    `price` is an hour of a core's, `milvus` the address of a server that is asked, too.
    """
    _in_one_thread()
    store = store_in(work, _LABELS, 4)
    paths = find_photos(folder) if folder else _drawn(work)
    with Matcher.open(store) as matcher:
        stages = stage_floors(matcher, paths, 1)
        reports = [matcher.scan(path) for path in paths]
        real = real_vectors(vectors, matcher.embedder)
    tell("stages: " + ", ".join(f"{name} {taken:.3f} s" for name, taken in stages.items()))
    lines = [report.to_dict() for report in reports]
    indexes = read_indexes(
        work,
        real,
        counts,
        lambda one: tell(
            f"{one.kind}, {one.references:,}: recall {one.recall:.3f}, {one.build:.1f} s, {1000 * one.photo:.1f} ms"
        ),
        milvus,
    )
    facings = float(np.mean([len(report.instances) for report in reports]))
    seconds = full_seconds(stages, facings)
    days = {workers: simulate(chain_of(seconds, workers)) for workers in workers_for(seconds)}
    return RunFigures(
        stages,
        facings,
        float(np.mean([path.stat().st_size for path in paths])),
        float(np.mean([len(report.to_json()) for report in reports])),
        _part_bytes(lines),
        indexes,
        days,
        price,
        int(real.shape[1]),
    )


def _in_one_thread() -> None:
    import faiss

    compute_in(1)
    faiss.omp_set_num_threads(1)


def _drawn(work: Path) -> list[Path]:
    paths = [work / f"scale-{seed}.jpg" for seed in range(_PHOTOS)]
    for seed, path in enumerate(paths):
        if not path.exists():
            path.write_bytes(made_photo(40, 8.0, seed).jpeg())
    return paths


def _part_bytes(lines: Sequence[dict[str, object]]) -> float:
    """Bytes of a line in Parquet, among many."""
    many = [
        {**line, "sha256": f"{at:064}", "stamp": ""} for at, line in enumerate(list(lines) * (64 // len(lines) or 1))
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "part.parquet"
        columns.write(path, many)
        whole = path.stat().st_size
        columns.write(path, many[: len(lines)])
        # The same lines again are packed away: what the first ones take stands for each.
        return max(path.stat().st_size / len(lines), whole / len(many))
