"""Figures as CSV, and as one HTML page to read and to print, its charts drawn as SVG."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TextIO

from retail_seg.report import safe_cell
from retail_seg.shelf.figures import Figures, ShelfFigure, ShelfShare

FIGURE_COLUMNS = ("group", "name", "week", "checks", "places", "availability", "compliance", "mended", "hours")
SHARE_COLUMNS = ("group", "name", "week", "kind", "value", "facings", "share", "centimetres", "share_of_length")
#: Width and height of a chart, in its own units, and the room beside and below it for words.
WIDE, HIGH, LEFT, BELOW = 640, 200, 56, 24


def write_figures_csv(found: Figures, file: TextIO) -> None:
    """A row per group and week, the whole time first; a share without a place stays empty."""
    _write(file, FIGURE_COLUMNS, found.to_dict()["figures"])


def write_shares_csv(found: Figures, file: TextIO) -> None:
    """A row per group, week, and brand or category."""
    _write(file, SHARE_COLUMNS, found.to_dict()["shares"])


def _write(file: TextIO, columns: Sequence[str], rows: Iterable[dict[str, Any]]) -> None:
    writer = csv.writer(file)
    writer.writerow(columns)
    for row in rows:
        cells = [row[column] for column in columns]
        writer.writerow([safe_cell(cell) if isinstance(cell, str) else cell for cell in cells])


@dataclass(frozen=True)
class Line:
    """A line of a chart: what it is, the points of its polyline, and (x, y, text) of each point."""

    name: str
    points: str
    dots: tuple[tuple[float, float, str], ...]


def lines_of(weeks: Sequence[ShelfFigure]) -> tuple[Line, ...]:
    """Availability and compliance over the weeks, in the chart's units; a week without places is passed over."""
    step = (WIDE - LEFT - 20) / max(len(weeks) - 1, 1)
    found = []
    for name in ("availability", "compliance"):
        dots = [
            (round(LEFT + n * step, 1), round((1 - share) * (HIGH - BELOW - 10) + 10, 1), f"{one.of.week}: {share:.1%}")
            for n, one in enumerate(weeks)
            if (share := getattr(one, name)) is not None
        ]
        found.append(Line(name, " ".join(f"{x},{y}" for x, y, _ in dots), tuple(dots)))
    return tuple(found)


def largest(shares: Sequence[ShelfShare], number: int = 12) -> tuple[tuple[ShelfShare, ...], int]:
    """The largest shares, and how many are left out."""
    return tuple(shares[:number]), max(len(shares) - number, 0)


def as_html(found: Figures) -> str:
    """One page without anything from elsewhere: figures, charts and tables; it prints on paper."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    page = Environment(
        loader=PackageLoader("retail_seg", "shelf"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    page.filters["share"] = lambda value: "–" if value is None else f"{value:.1%}"
    page.filters["hours"] = lambda value: (
        "–" if value is None else f"{value / 24:.1f} d" if value >= 48 else f"{value:.1f} h"
    )
    weeks = found.find("all")
    whole = found.find("all", week="")
    return page.get_template("report.html.jinja").render(
        found=found, whole=whole[0] if whole else None, weeks=weeks, lines=lines_of(weeks), wide=WIDE, high=HIGH,
        left=LEFT, below=BELOW, shares={kind: largest(found.shares_of(kind)) for kind in ("brand", "category")},
        groups=[(one, [found.find(one, name, "")[0] for name in found.names(one)]) for one in ("shop", "fixture")],
    )  # fmt: skip
