"""Small charts as PNG, drawn with Pillow: lines over two axes, enough to see a trend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

_SIZE = (960, 640)
_SCALE = 2  # drawn larger and shrunk, which smooths the lines
_LEFT, _TOP, _RIGHT, _BOTTOM = 96, 72, 40, 84
_COLOURS = ("#1f6f8b", "#d1495b", "#66a182", "#edae49", "#6d597a", "#444444")
_INK, _GREY, _GRID = "#222222", "#777777", "#e4e4e4"


@dataclass(frozen=True)
class Series:
    """One line of a chart: points (x, y), in the order drawn; `dashed` for what is only a guide.

    One without a name stands alone and is not explained.
    """

    name: str
    points: Sequence[tuple[float, float]]
    dashed: bool = False


@dataclass(frozen=True)
class Axis:
    """A label, the range shown, and the ticks with their texts."""

    label: str
    low: float
    high: float
    ticks: Sequence[tuple[float, str]]


def share_axis(label: str) -> Axis:
    """From 0 to 100 %."""
    return Axis(label, 0.0, 1.0, [(tenth / 10, f"{tenth * 10} %") for tenth in range(0, 11, 2)])


def draw_chart(path: Path, title: str, x: Axis, y: Axis, series: Sequence[Series]) -> None:
    """Write the chart to `path` as PNG of 960 × 640 pixels."""
    picture = Image.new("RGB", (_SIZE[0] * _SCALE, _SIZE[1] * _SCALE), "white")
    chart = _Chart(ImageDraw.Draw(picture), x, y)
    chart.frame(title)
    colours = iter(_COLOURS * (1 + len(series) // len(_COLOURS)))
    chart.lines([(one, _GREY if one.dashed else next(colours)) for one in series])
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.resize(_SIZE, Image.Resampling.LANCZOS).save(path)


class _Chart:
    def __init__(self, draw: ImageDraw.ImageDraw, x: Axis, y: Axis) -> None:
        self._draw, self._x, self._y = draw, x, y

    def _at(self, x: float, y: float) -> tuple[float, float]:
        across = (x - self._x.low) / (self._x.high - self._x.low)
        up = (y - self._y.low) / (self._y.high - self._y.low)
        width, height = _SIZE[0] - _LEFT - _RIGHT, _SIZE[1] - _TOP - _BOTTOM
        return (_LEFT + across * width) * _SCALE, (_TOP + (1 - up) * height) * _SCALE

    def _text(self, at: tuple[float, float], text: str, anchor: str, size: int = 17, colour: str = _INK) -> None:
        self._draw.text(at, text, colour, ImageFont.load_default(size * _SCALE), anchor=anchor)

    def frame(self, title: str) -> None:
        """Title, grid, ticks and the axes' labels."""
        x, y, step = self._x, self._y, 10 * _SCALE
        for value, text in y.ticks:
            self._draw.line([self._at(x.low, value), self._at(x.high, value)], _GRID, _SCALE)
            left, height = self._at(x.low, value)
            self._text((left - step, height), text, "rm", colour=_GREY)
        for value, text in x.ticks:
            across, bottom = self._at(value, y.low)
            self._draw.line([(across, bottom), (across, bottom + step / 2)], _INK, _SCALE)
            self._text((across, bottom + step), text, "ma", colour=_GREY)
        self._draw.line([self._at(x.low, y.low), self._at(x.high, y.low)], _INK, _SCALE)
        left, bottom = self._at(x.low, y.low)
        self._text((left, 16 * _SCALE), title, "la", 22)
        self._text((left, _TOP * _SCALE - step / 2), y.label, "ld", 15, _GREY)
        self._text(((left + self._at(x.high, y.low)[0]) / 2, bottom + 4 * step), x.label, "ma", 15, _GREY)

    def lines(self, series: Sequence[tuple[Series, str]]) -> None:
        """The lines with a dot at each point, and their names in the lower right corner."""
        right, bottom = self._at(self._x.high, self._y.low)
        for place, (one, colour) in enumerate(series):
            self._line([self._at(*point) for point in one.points], colour, one.dashed)
            if not one.name:
                continue
            height = bottom - (len(series) - place) * 26 * _SCALE
            self._text((right - 52 * _SCALE, height), one.name, "rm", 15)
            self._line([(right - 44 * _SCALE, height), (right, height)], colour, one.dashed)

    def _line(self, points: Sequence[tuple[float, float]], colour: str, dashed: bool) -> None:
        if not dashed:
            self._draw.line(list(points), colour, 3 * _SCALE, joint="curve")
            for across, height in points:
                dot = 5 * _SCALE
                self._draw.ellipse([across - dot, height - dot, across + dot, height + dot], colour)
            return
        for (x0, y0), (x1, y1) in pairwise(points):
            dashes = max(1, int(((x1 - x0) ** 2 + (y1 - y0) ** 2) ** 0.5 / (14 * _SCALE)))
            for dash in range(dashes):
                ends = [(dash + part) / dashes for part in (0, 0.5)]
                self._draw.line([(x0 + (x1 - x0) * e, y0 + (y1 - y0) * e) for e in ends], colour, 2 * _SCALE)
