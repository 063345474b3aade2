"""How time and memory grow with the labels of a store, the instances of a photo and its size; each point is kept."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from retail_seg.bench.benchmark.curves import Curve, GrowthPoint, draw, verdict
from retail_seg.bench.benchmark.many_labels import approximate
from retail_seg.bench.benchmark.measure import Section, give_memory_back, machine, machine_line, memory_mb, timed
from retail_seg.bench.benchmark.meters import Beside, beside_words
from retail_seg.bench.benchmark.peak import MostHeld, Peak, most_held
from retail_seg.bench.benchmark.synthetic import made_photo, store_in
from retail_seg.matcher import Matcher
from retail_seg.segmentation.instances.instances import Instances
from retail_seg.store.scanning import ENOUGH
from retail_seg.system.files import replace_file

INSTANCES = (1, 25, 50, 100, 200, 500)
LABELS = (1_000, 5_000, 25_000, 100_000)
#: Labels of one reference each behind an approximate index, whose references are made by jitter.
MANY = (20_000, 100_000, 1_000_000, 5_000_000)
#: A photo may have 100,000,000 pixels.
MEGAPIXELS = (1.0, 4.0, 12.0, 24.0, 50.0, 99.0)
#: Labels, packs and megapixels of the scan whose memory is looked at in a process of its own.
_MEMORY = (25_000, 40, 50.0)

#: Makes what is timed ready, and gives it.
MakeReady = Callable[[], Callable[[], Any]]


@dataclass(frozen=True)
class Sizes:
    """What is measured: amounts of each curve, references of a label, the size of the photo of many instances (MP)."""

    labels: Sequence[int] = LABELS
    many: Sequence[int] = MANY
    instances: Sequence[int] = INSTANCES
    megapixels: Sequence[float] = MEGAPIXELS
    references: int = 4
    size: float = 12.0
    rounds: int = 3
    memory: tuple[int, int, float] = _MEMORY


@dataclass
class Points:
    """What was measured before in a folder, and what is measured now: a run that ends early is gone on with."""

    path: Path
    again: bool = False
    tell: Callable[[str], None] = lambda line: None
    kept: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.path.exists() and not self.again:
            self.kept = json.loads(self.path.read_text())

    def point(self, key: str, amount: float, ready: MakeReady, rounds: int) -> GrowthPoint:
        """The measurement of this name, made where it is not kept."""
        return GrowthPoint(**self.keep(f"{key}, {amount:g}", lambda: vars(_measured(amount, ready(), rounds))))

    def keep(self, key: str, measure: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
        """What was measured under a key; written at once where it is new."""
        if key not in self.kept:
            self.kept[key] = dict(measure())
            replace_file(self.path, json.dumps(self.kept, indent=1).encode())
            self.tell(f"{key}: {self.kept[key]}")
        return self.kept[key]


def benchmark_growth(
    out: Path, work: Path, sizes: Sizes | None = None, *, vectors: Path | None = None, again: bool = False,
    tell: Callable[[str], None] = lambda line: None,
) -> Section:  # fmt: skip
    """Five curves, each drawn to a PNG in `out`, and growth.md beside them; stores and points are kept in `work`.

    `vectors` is a file of `retail-seg embed`, of which the references of many labels are made; rendered packs' without
    it. What `work` keeps is not measured again, but with `again`.
    """
    sizes = sizes or Sizes()
    points = Points(work / "growth.json", again, tell)
    curves = [
        _by_labels(points, work, sizes), _by_many_labels(points, work, sizes, vectors),
        *_by_instances(points, work, sizes), _by_size(points, work, sizes),
    ]  # fmt: skip
    labels, packs, size = sizes.memory
    memory = MostHeld(**points.keep(
        f"memory, {labels} x {sizes.references}, {packs} packs, {size:g} MP",
        lambda: vars(most_held(store_in(work, labels, sizes.references), made_photo(packs, size).jpeg())),
    ))  # fmt: skip
    held = (
        f"Memory of a process that opens a store of {labels * sizes.references:,} references and scans a photo of "
        f"{size:g} megapixels with {packs} packs: {memory.own:.0f} MB at most, {memory.resident:.0f} MB with what it "
        "maps from files."
    )
    out.mkdir(parents=True, exist_ok=True)
    for curve in curves:
        draw(out / f"growth-{curve.name}.png", curve)
    replace_file(out / "growth.md", document(curves, held).encode())
    data = {curve.name: [vars(point) for point in curve.points] for curve in curves}
    notes = [*(curve.words() for curve in curves), verdict(curves), held, _beside(curves), str(out / "growth.md")]
    return Section("Growth", [], notes, {**data, "memory": vars(memory)})


def document(curves: Sequence[Curve], held: str) -> str:
    """The Markdown of docs/growth.md."""
    lines = [
        "# How it grows", "",
        "Written by `retail-seg benchmark growth --out docs`; run it again on your machine.", "",
        f"Machine: {machine_line(machine())}. {_beside(curves)}", "",
        *(f"- {curve.words()}" for curve in curves), "",
        verdict(curves), "",
        f"A JPEG of {2 * ENOUGH:,} pixels and more on its longer side is decoded at a smaller scale: time falls there.",
        "",
        held, "",
    ]  # fmt: skip
    for curve in curves:
        lines += [f"![{curve.done}: time and memory against {curve.what}](growth-{curve.name}.png)", ""]
    return "\n".join(lines)


def _beside(curves: Sequence[Curve]) -> str:
    known = [point.beside for curve in curves for point in curve.points if point.beside is not None]
    return beside_words(max(known) if known else None)


def _by_labels(points: Points, work: Path, sizes: Sizes) -> Curve:
    """Opening a store and naming ten crops."""
    photo = made_photo(10, 2.0)
    truth = Instances.from_labels(photo.labels)

    def ready(count: int) -> Callable[[], Any]:
        store = store_in(work, count, sizes.references)

        def answer() -> None:
            with Matcher.open(store) as matcher:
                matcher.report(photo.photo, truth, "photo")

        return answer

    key = f"labels x {sizes.references}"
    found = [points.point(key, n, partial(ready, n), sizes.rounds) for n in sizes.labels]
    done = f"Opening a store ({sizes.references} references a label, exact index) and naming ten crops"
    return Curve("labels", "labels", "label", done, found)


def _by_many_labels(points: Points, work: Path, sizes: Sizes, vectors: Path | None) -> Curve:
    """Opening an approximate index and naming ten crops by it."""
    key = f"many labels of {'rendered packs' if vectors is None else vectors.name}"
    found = [points.point(key, n, partial(approximate, work, vectors, n), sizes.rounds) for n in sizes.many]
    done = "Opening an index of kind ivf-sq8 (one reference a label, made by jitter; no catalogue) and naming ten crops"
    return Curve("many-labels", "labels", "label", done, found)


def _by_instances(points: Points, work: Path, sizes: Sizes) -> list[Curve]:
    """From a photo and its outlines to a report; and from its JPEG."""
    with _opened(work, sizes) as matcher:

        def name(count: int) -> Callable[[], Any]:
            photo = made_photo(count, sizes.size)
            return partial(matcher().report, photo.photo, Instances.from_labels(photo.labels), "photo")

        def scan(count: int) -> Callable[[], Any]:
            return partial(matcher().scan, made_photo(count, sizes.size).jpeg())

        key = f"of {sizes.size:g} MP, {sizes.labels[0]} labels x {sizes.references}"
        named = [points.point(f"named {key}", n, partial(name, n), sizes.rounds) for n in sizes.instances]
        scanned = [points.point(f"scanned {key}", n, partial(scan, n), sizes.rounds) for n in sizes.instances]
    photo = f"a photo of {sizes.size:g} megapixels"
    return [
        Curve("instances", "instances", "instance", f"Naming the instances of {photo}, outlines given", named),
        Curve("scan", "packs", "pack", f"Scanning {photo}, JPEG to report", scanned),
    ]


def _by_size(points: Points, work: Path, sizes: Sizes) -> Curve:
    """A whole scan, from a JPEG to the report, of a photo with twelve packs."""
    with _opened(work, sizes) as matcher:

        def scan(size: float) -> Callable[[], Any]:
            return partial(matcher().scan, made_photo(12, size).jpeg())

        key = f"size, {sizes.labels[0]} labels x {sizes.references}"
        found = [points.point(key, n, partial(scan, n), sizes.rounds) for n in sizes.megapixels]
    return Curve("photo-size", "megapixels", "megapixel", "Scanning a photo with twelve packs", found)


@contextmanager
def _opened(work: Path, sizes: Sizes) -> Iterator[Callable[[], Matcher]]:
    """The smallest store, opened when it is first asked for."""
    with ExitStack() as stack:
        yield cache(lambda: stack.enter_context(Matcher.open(store_in(work, sizes.labels[0], sizes.references))))


def _measured(amount: float, work: Callable[[], Any], rounds: int) -> GrowthPoint:
    work()
    give_memory_back()
    before = memory_mb()
    with Peak() as peak, Beside() as others:
        seconds = [timed(work) for _ in range(rounds)]
    return GrowthPoint(float(amount), float(np.median(seconds)), max(peak.most - before, 0.0), others.cores)
