"""How time and memory grow with the instances of a photo, the labels of a store and the size of a photo."""

from __future__ import annotations

import textwrap
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from retail_seg.bench.benchmark.measure import Section, give_memory_back, memory_mb, timed
from retail_seg.bench.benchmark.synthetic import made_photo, store_in
from retail_seg.evaluation.charts import Axis, Series, draw_chart
from retail_seg.matcher import Matcher
from retail_seg.photos.load import DECODERS
from retail_seg.segmentation.instances.instances import Instances

INSTANCES = (1, 25, 50, 100, 150, 200)
LABELS = (1_000, 5_000, 25_000, 100_000)
#: Letters in a line of the words below a picture.
_WORDS_WIDTH = 105
MEGAPIXELS = (1.0, 4.0, 12.0, 24.0, 50.0)


@dataclass(frozen=True)
class GrowthPoint:
    """One measurement: how much of what grows, median seconds, and the most memory in MB beyond that before."""

    amount: float
    seconds: float
    memory_mb: float


@dataclass(frozen=True)
class Curve:
    """Measurements over something that grows; `what` names it, `unit` one of it, `done` what was timed."""

    what: str
    unit: str
    done: str
    points: Sequence[GrowthPoint]

    def words(self) -> str:
        """The slope of time and memory, in words."""
        amounts = np.array([p.amount for p in self.points])
        seconds = np.array([p.seconds for p in self.points])
        memory = np.array([p.memory_mb for p in self.points])
        step, base = np.polyfit(amounts, seconds, 1)
        more, _ = np.polyfit(amounts, memory, 1)
        times, factor = amounts[-1] / amounts[0], seconds[-1] / seconds[0]
        return (
            f"{self.done}: {1000 * max(base, 0):.0f} ms and {_more(1000 * step, 'ms')} for each {self.unit}; "
            f"{times:,.0f} times the {self.what} take {factor:.1f} times as long (growth: {_shape(times, factor)}). "
            f"Memory: {_more(1024 * more, 'kB')} for each {self.unit}, {memory[-1]:.0f} MB at {amounts[-1]:,.0f}."
        )


def _more(value: float, unit: str) -> str:
    """A slope; one that falls is the noise of a flat one."""
    if value <= 0:
        return f"no {unit} more"
    return f"{value:.2g} {unit} more" if value < 10 else f"{value:.0f} {unit} more"


def _shape(times: float, factor: float) -> str:
    power = float(np.log(max(factor, 1e-6)) / np.log(times))
    if power < 0.15:
        return "hardly at all"
    return "less than in proportion" if power < 0.85 else "in proportion" if power < 1.15 else "more than in proportion"


def benchmark_growth(
    out: Path,
    work: Path,
    *,
    instances: Sequence[int] = INSTANCES,
    labels: Sequence[int] = LABELS,
    megapixels: Sequence[float] = MEGAPIXELS,
    references: int = 4,
    size: float = 12.0,
    rounds: int = 3,
) -> Section:
    """Three curves, each drawn to a PNG in `out`; the stores are made in `work`.

    `size` is that of the photo of many instances, in megapixels; each point is the median of `rounds`.
    """
    curves = [
        _by_labels(work, labels, references, rounds),
        _by_instances(work, instances, labels[0], references, size, rounds),
        _by_size(work, megapixels, labels[0], references, rounds),
    ]
    out.mkdir(parents=True, exist_ok=True)
    names = ("labels", "instances", "photo-size")
    for name, curve in zip(names, curves, strict=True):
        draw(out / f"growth-{name}.png", curve)
    data = {name: [vars(point) for point in curve.points] for name, curve in zip(names, curves, strict=True)}
    files = ", ".join(str(out / f"growth-{name}.png") for name in names)
    return Section("Growth", [], [*(curve.words() for curve in curves), files], data)


def _by_labels(work: Path, labels: Sequence[int], references: int, rounds: int) -> Curve:
    """Opening a store and naming ten crops."""
    photo = made_photo(10, 2.0)
    truth = Instances.from_labels(photo.labels)
    points = []
    for count in labels:
        store = store_in(work, count, references)

        def answer(store: Path = store) -> None:
            with Matcher.open(store) as matcher:
                matcher.report(photo.photo, truth, "photo")

        points.append(_measured(count, answer, rounds))
    return Curve("labels", "label", "Opening a store and naming ten crops", points)


def _by_instances(
    work: Path, instances: Sequence[int], labels: int, references: int, size: float, rounds: int
) -> Curve:
    """From a photo and its outlines to a report."""
    points = []
    with Matcher.open(store_in(work, labels, references)) as matcher:
        for count in instances:
            photo = made_photo(count, size)
            truth = Instances.from_labels(photo.labels)
            points.append(_measured(count, partial(matcher.report, photo.photo, truth, "photo"), rounds))
    return Curve("instances", "instance", f"Naming the instances of a photo of {size:g} megapixels", points)


def _by_size(work: Path, megapixels: Sequence[float], labels: int, references: int, rounds: int) -> Curve:
    """A whole scan, from a JPEG to the report, of a photo with twelve packs."""
    points = []
    with Matcher.open(store_in(work, labels, references)) as matcher:
        for size in megapixels:
            points.append(_measured(size, partial(matcher.scan, made_photo(12, size).jpeg()), rounds))
    return Curve("megapixels", "megapixel", "Scanning a photo with twelve packs", points)


def _measured(amount: float, work: Callable[[], Any], rounds: int) -> GrowthPoint:
    work()
    give_memory_back()
    before = memory_mb()
    with Peak() as peak:
        seconds = [timed(work) for _ in range(rounds)]
    return GrowthPoint(float(amount), float(np.median(seconds)), max(peak.most - before, 0.0))


class Peak:
    """The most memory that this process holds while the block runs, looked at every few milliseconds."""

    def __init__(self) -> None:
        self.most = memory_mb()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def _watch(self) -> None:
        while not self._done.is_set():
            self.most = max(self.most, memory_mb())
            time.sleep(0.005)

    def __enter__(self) -> Peak:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()


def draw(path: Path, curve: Curve) -> None:
    """Write the curve's time above its memory as one PNG, and below them the slope in words."""
    parts: list[Path] = []
    for title, name, values in (
        (f"{curve.done}: time", "seconds", [p.seconds for p in curve.points]),
        (f"{curve.done}: memory", "MB beyond what was held before", [p.memory_mb for p in curve.points]),
    ):
        part = path.with_suffix(f".{len(parts)}.png")
        x = _axis(curve.what, [p.amount for p in curve.points])
        points = [(p.amount, value) for p, value in zip(curve.points, values, strict=True)]
        draw_chart(part, title, x, _axis(name, values), [Series("", points)])
        parts.append(part)
    pictures = [Image.open(part, formats=DECODERS) for part in parts]
    words = textwrap.fill(curve.words(), _WORDS_WIDTH)
    height = sum(picture.height for picture in pictures)
    whole = Image.new("RGB", (pictures[0].width, height + 28 * (words.count("\n") + 2)), "white")
    ImageDraw.Draw(whole).multiline_text((32, height), words, "#222222", ImageFont.load_default(18), spacing=8)
    top = 0
    for picture, part in zip(pictures, parts, strict=True):
        whole.paste(picture, (0, top))
        top += picture.height
        picture.close()
        part.unlink()
    whole.save(path)


def _axis(label: str, values: Sequence[float]) -> Axis:
    """From zero to a round number above the largest value."""
    largest = max(*values, 1e-3)
    step = 10.0 ** np.floor(np.log10(largest / 2))
    step *= next(k for k in (1, 2, 5, 10) if largest / (step * k) <= 5)
    high = float(np.ceil(largest / step) * step)
    ticks = [(float(v), f"{v:,.0f}" if step >= 1 else f"{v:.4g}") for v in np.arange(0, high + step / 2, step)]
    return Axis(label, 0.0, high, ticks)
