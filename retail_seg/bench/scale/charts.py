"""Time and memory of indexes against their references, both axes logarithmic: a slope is a power."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

from retail_seg.bench.scale.indexes import IndexReading
from retail_seg.evaluation.charts import Axis, Series, draw_chart

#: What the pictures beside the document are called.
TIME, MEMORY = "scale-time.png", "scale-memory.png"


def draw_growth(folder: Path, readings: Sequence[IndexReading]) -> None:
    """Write both pictures, a line for each kind of index."""
    _draw(folder / TIME, "A photo of 40 facings", "ms", readings, lambda one: 1000 * one.photo)
    _draw(folder / MEMORY, "Memory of the index", "MB", readings, lambda one: one.megabytes)


def _draw(
    path: Path, title: str, unit: str, readings: Sequence[IndexReading], value: Callable[[IndexReading], float]
) -> None:
    kinds = dict.fromkeys(one.kind for one in readings)
    series = [
        Series(kind, [(math.log10(one.references), math.log10(value(one))) for one in readings if one.kind == kind])
        for kind in kinds
    ]
    x = _axis("references", [one.references for one in readings])
    draw_chart(path, title, x, _axis(unit, [value(one) for one in readings]), series)


def _axis(label: str, values: Sequence[float]) -> Axis:
    """Whole powers of ten around the values."""
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    ticks = [(float(at), f"{10.0**at:,.0f}" if at >= 0 else f"{10.0**at:g}") for at in range(low, high + 1)]
    return Axis(label, float(low), float(max(high, low + 1)), ticks)
