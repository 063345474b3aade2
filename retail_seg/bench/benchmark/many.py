"""Throughput of many photos beside the floors of the stages, and memory over a long run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np

from retail_seg.bench.benchmark.measure import Reading, Section, memory_mb, milliseconds, timed
from retail_seg.bench.benchmark.synthetic import made_photo, store_in
from retail_seg.errors import PhotoError
from retail_seg.matcher import Matcher
from retail_seg.photos.load import find_photos, load_photo
from retail_seg.store.scanning import outline
from retail_seg.system.threads import cores

#: Different photos that are scanned again and again.
PHOTOS = 8
#: Photos after which memory is looked at.
_EVERY = 10
#: Growth of memory over a run, in MB, that is no leak: an allocator's own ups and downs.
_FLAT_MB = 64.0


def benchmark_many(
    work: Path, *, count: int = 1000, labels: int = 25_000, references: int = 4, packs: int = 12,
    megapixels: float = 2.0, workers: int | None = None, folder: Path | None = None,
) -> Section:  # fmt: skip
    """`count` scans of a few photos by `scan_many`: time a photo beside its stages' floors, and memory on the way."""
    workers = workers or cores()
    store = store_in(work, labels, references)
    paths = find_photos(folder) if folder else _written(work, packs, megapixels)
    with Matcher.open(store) as matcher:
        floors = stage_floors(matcher, paths, workers)
        drain(matcher.scan_many(paths, workers=workers))
        each, memory = _run(matcher, list(islice(cycle(paths), count)), workers)
    floor = sum(floors.values())
    growth = float(np.median(memory[-len(memory) // 4 :]) - np.median(memory[len(memory) // 4 : len(memory) // 2 + 1]))
    size = f"{len(paths)} own photos" if folder else f"{packs} packs, {megapixels:g} MP"
    rows = [
        Reading("a photo, all stages overlapping", milliseconds(each), milliseconds(floor), each / floor,
            "<= 1.15 x the floors", each / floor <= 1.15),
        *(Reading(f"  floor of: {name}", "", milliseconds(taken)) for name, taken in floors.items()),
        Reading("memory, last quarter against the second", f"{growth:+.0f} MB", goal=f"<= {_FLAT_MB:.0f} MB",
            reached=growth <= _FLAT_MB),
    ]  # fmt: skip
    note = "A stage's floor: the stage alone over the same photos, on all cores, divided by their number."
    data = {"photos": count, "workers": workers, "seconds": each, "floors": floors, "memory_mb": memory}
    return Section(f"{count} photos by scan_many ({size}), {workers} workers", rows, [note], data)


def _written(work: Path, packs: int, megapixels: float) -> list[Path]:
    paths = [work / f"many-{seed}.jpg" for seed in range(PHOTOS)]
    for seed, path in enumerate(paths):
        if not path.exists():
            path.write_bytes(made_photo(packs, megapixels, seed).jpeg())
    return paths


def _run(matcher: Matcher, paths: Sequence[Path], workers: int) -> tuple[float, list[float]]:
    """Seconds a photo, and memory in MB after every few."""
    memory: list[float] = []
    begun = time.perf_counter()
    for number, _ in enumerate(drained(matcher.scan_many(paths, workers=workers)), 1):
        if number % _EVERY == 0 or number == len(paths):
            memory.append(memory_mb())
    return (time.perf_counter() - begun) / len(paths), memory


def drained(results: Iterable[Any]) -> Iterator[Any]:
    """The results, an error among them raised: a benchmark measures photos that can be scanned."""
    for found in results:
        if isinstance(found, PhotoError):
            raise found
        yield found


def drain(results: Iterable[Any]) -> None:
    """Take all results and forget them."""
    for _ in drained(results):
        pass


def stage_floors(matcher: Matcher, paths: Sequence[Path], workers: int) -> dict[str, float]:
    """Seconds a photo that each stage takes alone, `workers` photos at a time (matching: as it does, all cores)."""
    segmenter = matcher.segmenter
    photos = [load_photo(path) for path in paths]
    instances = [segmenter.segment(photo) for photo in photos]
    pairs = list(zip(photos, instances, strict=True))
    seen = [outline(photo, found, "photo") for photo, found in pairs]
    views = [view for one in seen for view in one.views]
    works: dict[str, Callable[[], Any]] = {
        "decode": lambda: _together(load_photo, paths, workers),
        "segment": lambda: _together(segmenter.segment, photos, workers),
        "cut and outline": lambda: _together(lambda pair: outline(pair[0], pair[1], "photo"), pairs, workers),
        "embed and match": lambda: matcher.match([c for c, _ in views], masks=[m for _, m in views]),
        "report": lambda: [matcher.versions() for _ in paths],
    }
    floors = {}
    for name, work in works.items():
        work()
        floors[name] = min(timed(work) for _ in range(3)) / len(paths)
    return floors


def _together(work: Callable[[Any], Any], items: Sequence[Any], workers: int) -> None:
    with ThreadPoolExecutor(workers) as pool:
        for _ in pool.map(work, items):
            pass
