"""Time and memory over something that grows: the slope in words, as a power and as a line, and a picture."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from retail_seg.evaluation.charts import Axis, Series, draw_chart
from retail_seg.photos.load import DECODERS

#: Letters in a line of the words below a picture.
_WORDS_WIDTH = 105
#: A power up to which time grows in proportion: what two measurements of the same differ by is in it.
_LINEAR = 1.1


@dataclass(frozen=True)
class GrowthPoint:
    """One measurement: how much of what grows, median seconds, and the most memory in MB beyond that before.

    `beside` is how many cores other work kept busy meanwhile, where that is known.
    """

    amount: float
    seconds: float
    memory_mb: float
    beside: float | None = None


@dataclass(frozen=True)
class Curve:
    """Measurements over something that grows; `what` names it, `unit` one of it, `done` what was timed."""

    name: str
    what: str
    unit: str
    done: str
    points: Sequence[GrowthPoint]

    def words(self) -> str:
        """The slope of time and memory, in words."""
        amounts = np.array([p.amount for p in self.points])
        memory = np.array([p.memory_mb for p in self.points])
        step, base = np.polyfit(amounts, [p.seconds for p in self.points], 1)
        more, _ = np.polyfit(amounts, memory, 1)
        times, factor = amounts[-1] / amounts[0], self.points[-1].seconds / self.points[0].seconds
        whole, end = self.powers()
        return (
            f"{self.done}: {1000 * max(base, 0):.0f} ms and {_more(1000 * step, 'ms')} for each {self.unit}; "
            f"{times:,.0f} times the {self.what} take {factor:.1f} times as long. Time grows as the {self.what} to the "
            f"power of {whole:.2f}, {end:.2f} from {amounts[-2]:,.9g} to {amounts[-1]:,.9g}. "
            f"Memory: {_more(1024 * more, 'kB')} for each {self.unit}, {memory[-1]:.0f} MB at {amounts[-1]:,.9g}."
        )

    def powers(self) -> tuple[float, float]:
        """The power by which time grows with the amount: fitted to all points, and between the last two."""
        amounts, seconds = np.log([[p.amount, max(p.seconds, 1e-9)] for p in self.points]).T
        end = (seconds[-1] - seconds[-2]) / (amounts[-1] - amounts[-2])
        return float(np.polyfit(amounts, seconds, 1)[0]), float(end)


def verdict(curves: Sequence[Curve]) -> str:
    """Whether any curve grows above linear, over all its points or at its end, and which is the steepest."""
    steepest = max(curves, key=lambda one: max(one.powers()))
    said = f"the steepest is *{steepest.done}*, as the {steepest.what} to the power of {max(steepest.powers()):.2f}"
    above = [one for one in curves if max(one.powers()) > _LINEAR]
    if not above:
        return f"None grows above linear: {said}."
    return f"Above linear: {'; '.join(f'*{one.done}*' for one in above)} ({said})."


def _more(value: float, unit: str) -> str:
    """A slope; one that falls is the noise of a flat one."""
    if value <= 0:
        return f"no {unit} more"
    return f"{value:.2g} {unit} more" if value < 10 else f"{value:.0f} {unit} more"


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
