"""What is measured here ► what a chain needs: a document of tables, of which every figure says where it comes from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from retail_seg.bench.benchmark.measure import Reading as Row
from retail_seg.bench.benchmark.measure import Section, machine, machine_line
from retail_seg.bench.scale.charts import MEMORY, TIME
from retail_seg.bench.scale.day import HOURS, Chain, Day
from retail_seg.bench.scale.indexes import FLAT, HNSW, PQ, RERANKED, SQ8, IndexReading, expected

#: A day of the chain that this is about, and references that catalogues may grow to.
SHOPS, PHOTOS, FACINGS = 10_000, 50, 100
SIZES = (100_000, 1_000_000, 5_000_000)
#: Memory of one machine, in MB, of which half is for the index.
MACHINE_MB = 65_536
#: Bytes that a shop fetches on a day of changes at the centre; see docs/chain.md.
CHANGES = 6_900_000
#: Of more workers than twice this only so many are simulated, with their share of the photos.
_SIMULATED = 25


@dataclass(frozen=True)
class RunFigures:
    """What one run measured: seconds a photo and stage on one core, bytes, indexes, simulated days by workers."""

    stages: Mapping[str, float]
    facings: float
    photo_bytes: float
    line_bytes: float
    part_bytes: float
    indexes: Sequence[IndexReading]
    days: Mapping[int, Day]
    price: float
    dim: int

    @property
    def seconds(self) -> float:
        """Seconds that a photo takes one core."""
        return sum(self.stages.values())

    @property
    def full(self) -> float:
        """Seconds that a photo of FACINGS products takes one core: what grows with them grows."""
        return full_seconds(self.stages, self.facings)


def full_seconds(stages: Mapping[str, float], facings: float) -> float:
    """Seconds of a photo of FACINGS products, from stages timed on photos of fewer."""
    return sum(stages.values()) + (FACINGS / max(facings, 1) - 1) * stages["embed and match"]


def workers_for(seconds: float) -> tuple[int, ...]:
    """How many workers are simulated: as many as the mean hour wants, the peak, and a third more."""
    photos = SHOPS * PHOTOS
    mean, peak = photos * seconds / 86400, photos * seconds * HOURS.max() / HOURS.sum() / 3600
    return tuple(round(n) for n in (1.1 * mean, 0.7 * peak, 1.0 * peak, 1.3 * peak))


def chain_of(seconds: float, workers: int) -> Chain:
    """The chain's day with so many workers."""
    return Chain(SHOPS * PHOTOS, seconds, workers, scale=max(workers // _SIMULATED, 1))


def section(found: RunFigures) -> Section:
    """The figures as a table for people and numbers for the JSON line."""
    rows = [Row(f"seconds a photo: {name}", f"{taken:.3f}") for name, taken in found.stages.items()]
    rows += [Row(f"{one.kind}, {one.references:,}", f"{one.photo * 1000:.0f} ms") for one in found.indexes]
    data = {
        "stages": dict(found.stages), "indexes": [vars(one) for one in found.indexes],
        "days": {str(n): vars(day) for n, day in found.days.items()}, "photo_bytes": found.photo_bytes,
        "part_bytes": found.part_bytes,
    }  # fmt: skip
    return Section("A chain on paper", rows, (), data)


def document(found: RunFigures) -> str:
    """The Markdown of docs/scale.md."""
    parts = [_head(found), _cost(found), _day(found), _bytes(found), _indexes(found), _breaks(found)]
    return "\n\n".join(parts) + "\n"


def _head(found: RunFigures) -> str:
    return (
        "# A chain on paper\n\n"
        f"Written by `retail-seg benchmark scale`. The chain: {SHOPS:,} shops, {PHOTOS} photos a day each, "
        f"{FACINGS} products a photo. Measured in one run, on: {machine_line(machine())}. Times are of one core each; "
        "where other work ran beside it they are too long. Indexes may have been built before, beside other work: what "
        "building took is processor time."
    )


def _cost(found: RunFigures) -> str:
    hours = found.seconds * 1e6 / 3600
    rows = [f"| {name} | {taken:.3f} | {taken / found.seconds:.0%} |" for name, taken in found.stages.items()]
    table = "\n".join(["| stage | s a photo | share |", "| --- | --- | --- |", *rows])
    return (
        f"## What a million photos cost\n\n{table}\n\n"
        f"The photos measured show {found.facings:.0f} products each. A million of them are {hours:,.0f} hours of a "
        f"core, {hours * found.price:,.0f} at {found.price:g} an hour. Embedding and matching grow with the products: "
        f"with {FACINGS} a photo takes {found.full:.2f} s."
    )


def _day(found: RunFigures) -> str:
    rows = [
        f"| {n:,} | {day.median:.1f} | {day.p99:,.0f} | {day.longest:,.0f} | {day.queue:,} | {day.last:.1f} "
        f"| {day.again:,} | {day.busy:.0%} |"
        for n, day in found.days.items()
    ]
    table = [
        "| workers | median s | p99 s | longest s | longest queue | last done at hour | begun anew | busy |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |", *rows,
    ]  # fmt: skip
    return (
        f"## A day, simulated\n\n{SHOPS * PHOTOS:,} photos in two peaks (8 to 10 and 15 to 18 o'clock), "
        f"{found.full:.2f} s each with a spread; one in a hundred takes ten times as long, one in 100,000 ends its "
        "worker, and a worker's machine fails once a day and is back after 5 minutes.\n\n"
        + "\n".join(table)
        + "\n\nThe mean hour's workers carry a day's photos by the next morning; within minutes, the peak's."
    )


def _bytes(found: RunFigures) -> str:
    photos = SHOPS * PHOTOS
    day, lines = photos * found.photo_bytes / 1e9, photos * found.part_bytes / 1e9
    peak = HOURS.max() / HOURS.sum() * photos * found.photo_bytes * 8 / 3600 / 1e9
    return (
        "## Lines and disks a day\n\n| what | a photo or shop | a day |\n| --- | --- | --- |\n"
        f"| photos to the centre | {found.photo_bytes / 1e6:.2f} MB "
        f"| {day:,.0f} GB, {peak:.2f} Gbit/s in the peak hour |\n"
        f"| reports in shops, JSON | {found.line_bytes / 1e3:.0f} kB | {photos * found.line_bytes / 1e9:,.1f} GB |\n"
        f"| reports kept, Parquet | {found.part_bytes / 1e3:.0f} kB "
        f"| {lines:,.1f} GB, {lines * 365 / 1000:,.1f} TB a year |\n"
        f"| catalogue to shops | {CHANGES / 1e6:.1f} MB (docs/chain.md) | {SHOPS * CHANGES / 1e9:,.0f} GB |\n\n"
        "Where shops scan themselves, photos need not travel: reports are "
        f"{found.photo_bytes / max(found.part_bytes, 1):.0f} times smaller."
    )


def _indexes(found: RunFigures) -> str:
    rows = [
        f"| {one.kind} | {one.references:,} | {one.recall:.3f} | {one.megabytes:,.0f} | {one.build:,.1f} "
        f"| {one.photo * 1000:,.1f} |"
        for one in found.indexes
    ]
    measured = {(one.kind, one.references) for one in found.indexes}
    rows += [
        f"| {kind} | {size:,} | not built | {expected(kind, size, found.dim):,.0f} "
        f"| {_along(found, kind, size, _build)} | {_along(found, kind, size, _photo)} |"
        for kind in (FLAT, HNSW, SQ8, PQ)
        for size in SIZES
        if (kind, size) not in measured
    ]
    table = [
        "| index | references | recall of 10 | MB | build s | ms a photo (40 facings) |",
        "| --- | --- | --- | --- | --- | --- |", *rows,
    ]  # fmt: skip
    return (
        f"## Which index when\n\nReferences of {found.dim} numbers, made of embedded crops by jitter; one thread. "
        "Recall is of the ten nearest references by exact search. Memory is by the structure's layout; that of Milvus "
        "is its files'. FAISS maps what it searches from the index's file, as a store does: a time is that of pages in "
        "memory, and where less is free than the index takes, a photo reads the disk. Random noise is what codes of 64 "
        "bytes keep worst: recall of IVF-PQ is a lower bound. *Re-ranked*: the best 100 by their codes are held "
        "against their whole vectors, read from the exact index's file. Milvus works in a process of its own: its "
        "build is the time that passed.\n\n"
        + "\n".join(table)
        + "\n\n"
        + "\n".join(_slopes(found))
        + f"\n\n![Time against references]({TIME})\n![Memory against references]({MEMORY})"
    )


def _photo(one: IndexReading) -> float:
    return 1000 * one.photo


def _build(one: IndexReading) -> float:
    return one.build


def slope(found: RunFigures, kind: str, what: Callable[[IndexReading], float] = _photo) -> float | None:
    """By which power of the references a photo's time, or another figure, grows; None where one size was measured."""
    points = [(one.references, what(one)) for one in found.indexes if one.kind == kind]
    if len(points) < 2:
        return None
    x, y = np.log(np.array(points)).T
    return float(np.polyfit(x, y, 1)[0])


def _slopes(found: RunFigures) -> list[str]:
    kinds = dict.fromkeys(one.kind for one in found.indexes)
    known = {kind: value for kind in kinds if (value := slope(found, kind)) is not None}
    return [f"- {kind}: time grows as references to the power of {value:.2f}." for kind, value in known.items()]


def _along(found: RunFigures, kind: str, size: int, what: Callable[[IndexReading], float]) -> str:
    """A figure at a size that was not measured, along the slope of those that were."""
    last = max((one for one in found.indexes if one.kind == kind), key=lambda one: one.references, default=None)
    power = slope(found, kind, what)
    if last is None or power is None:
        return ""
    return f"{what(last) * (size / last.references) ** power:,.0f} (along the slope)"


def _breaks(found: RunFigures) -> str:
    room = MACHINE_MB / 2
    ends = {kind: room / expected(kind, 1_000_000, found.dim) for kind in (FLAT, HNSW, SQ8, PQ)}
    rows = [
        "| part | breaks at | then |", "| --- | --- | --- |",
        f"| exact index | search as long as the rest of a photo: {_flat_ends(found):,.0f} references | HNSW, IVF-SQ8 |",
        *(
            f"| {kind} in {room / 1024:.0f} GB of a machine | {end:.1f} million references | {_then(kind, found)} |"
            for kind, end in ends.items()
        ),
        "| one caller of `scan --engine ray` | some 10 million photos a run: 120 bytes each are listed, 1 GB "
        "| a run for each day or region |",
        "| SQLite at the centre | one writer; 10,000 shops' proposals at once "
        "| they lie at DEST as files, taken one by one |",
        "| one list of chunks a snapshot | 25 million references: 85 MB a day and shop (docs/chain.md) "
        "| a second level |",
    ]  # fmt: skip
    return "## Where each part breaks\n\n" + "\n".join(rows)


def _flat_ends(found: RunFigures) -> float:
    flat = max((one for one in found.indexes if one.kind == FLAT), key=lambda one: one.references)
    return flat.references * found.seconds / flat.photo * 40 / FACINGS


def _then(kind: str, found: RunFigures) -> str:
    return {
        FLAT: "IVF-SQ8: a quarter of the memory", HNSW: "IVF-SQ8, or Milvus with DiskANN: vectors on disks",
        SQ8: "Milvus over several machines", PQ: f"its recall ends before its memory: {_reranked(found)}",
    }[kind]  # fmt: skip


def _reranked(found: RunFigures) -> str:
    largest = max((one.references for one in found.indexes if one.kind == RERANKED), default=0)
    recall = {one.kind: one.recall for one in found.indexes if one.references == largest}
    if RERANKED not in recall:
        return "re-rank by vectors on disk"
    return f"re-ranked by vectors on disk it is {recall[RERANKED]:.2f}, not {recall[PQ]:.2f}, at {largest:,}"
