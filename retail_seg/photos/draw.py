"""A report drawn on its photo: outlines, numbers and names. What is likely is dashed, what is unknown grey."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

if TYPE_CHECKING:
    from retail_seg.report import Report, ReportLine

UNKNOWN = (85, 85, 85)
#: Colours that stay apart for colour-blind eyes (Wong, "Points of view: Color blindness", Nature Methods 2011).
PALETTE = ((0, 114, 178), (230, 159, 0), (0, 158, 115), (204, 121, 167), (86, 180, 233), (213, 94, 0), (240, 228, 66))
#: A number is so much larger than a name: on a phone it is read before one zooms in.
NUMBER = 1.6
#: From so many instances on, letters shrink, so that a full shelf is still seen; to LEAST of their size at most.
CROWD, LEAST = 24, 0.5
#: Fonts of the system that know more letters than the one that Pillow carries, which has none with accents.
FONTS = ("DejaVuSans.ttf", "NotoSans-Regular.ttf", "LiberationSans-Regular.ttf", "Arial.ttf", "Helvetica.ttc")
#: Where the system has none of them: the app's own, Source Sans (SIL OFL), as Streamlit brings it, and its weight.
APP_FONT, WEIGHT = "static/static/media/SourceSansVF-Upright*", "Medium"


def draw(
    photo: np.ndarray,
    report: Report,
    *,
    doubtful: Collection[int] = (),
    picked: int | None = None,
    names: bool = True,
    text_size: float = 17,
    colours: Mapping[str, tuple[int, int, int]] | None = None,
) -> np.ndarray:
    """A copy of the photo (H, W, 3) uint8 with each instance outlined and labelled.

    Likely instances, and those whose ids are `doubtful`, get long dashes and a question mark, unknown ones grey short
    dashes; the one `picked` is lit up and framed by its corners. Without `names` the labels are numbers alone;
    `text_size` is that of names, in pixels of a photo of 1000, numbers are larger. `colours` by SKU take the place of
    the report's own.
    """
    scale = max(photo.shape[:2]) / 1000
    canvas = photo.copy()
    colours = colours_of(report) if colours is None else colours
    doubtful = {*doubtful, *(line.id for line in report.instances if line.proposed is not None)}
    thickness = max(round(3 * scale), 2)
    for line in report.instances:
        if line.id == picked:
            _light_up(canvas, line, 3 * thickness)
    for line in report.instances:
        colour = _colour(line, colours)
        _outline(canvas, line, colour, thickness, line.id in doubtful)
    texts = {line.id: _text(line, line.id in doubtful, names) for line in report.instances}
    crowded = max(min((CROWD / max(len(report.instances), 1)) ** 0.5, 1.0), LEAST)
    return _labels(canvas, report, colours, texts, max(round(text_size * scale * crowded), 9))


def colours_of(report: Report) -> dict[str, tuple[int, int, int]]:
    """The colour of each SKU that a report counts or finds likely."""
    return {sku: PALETTE[i % len(PALETTE)] for i, sku in enumerate(sorted(report.names))}


def _colour(line: ReportLine, colours: Mapping[str, tuple[int, int, int]]) -> tuple[int, int, int]:
    return UNKNOWN if line.best_sku is None else colours[line.best_sku]


def _text(line: ReportLine, doubtful: bool, names: bool) -> str:
    """What stands behind the number: the name, and a question mark where it is not sure."""
    mark = "?" if doubtful or line.best_sku is None else ""
    if not names:
        return mark
    return f"{_shorten(line.best_name)} {mark}".rstrip() if line.best_sku is not None else "unknown"


def _outline(canvas: np.ndarray, line: ReportLine, colour: tuple[int, int, int], thickness: int, dashed: bool) -> None:
    points = np.asarray(line.polygon, np.int32).reshape(-1, 1, 2)
    named = line.best_sku is not None
    cv2.polylines(canvas, [points], True, (255, 255, 255), thickness + 2 if named else thickness, cv2.LINE_AA)
    if named and not dashed:
        cv2.polylines(canvas, [points], True, colour, thickness, cv2.LINE_AA)
        return
    for start, end in _dashes(points.reshape(-1, 2).astype(float), (14.0 if named else 6.0) * thickness):
        cv2.line(canvas, start, end, colour, thickness, cv2.LINE_AA)


def _light_up(canvas: np.ndarray, line: ReportLine, thickness: int) -> None:
    """Darken all but the picked instance's box a little, and put corners around it."""
    x, y, w, h = line.box
    rows, columns = slice(max(y, 0), max(y + h, 0)), slice(max(x, 0), max(x + w, 0))
    inside = canvas[rows, columns].copy()
    canvas[:] = (canvas * np.float32(0.6)).astype(np.uint8)
    canvas[rows, columns] = inside
    arm_x, arm_y = max(w // 4, 4), max(h // 4, 4)
    for cx, dx in ((x, 1), (x + w, -1)):
        for cy, dy in ((y, 1), (y + h, -1)):
            for end in ((cx + dx * arm_x, cy), (cx, cy + dy * arm_y)):
                cv2.line(canvas, (cx, cy), end, (255, 255, 255), thickness, cv2.LINE_AA)


def _dashes(outline: np.ndarray, length: float) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Pieces of a closed outline (k, 2), `length` pixels on and `length` pixels off."""
    closed = np.vstack([outline, outline[:1]])
    at = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(closed, axis=0), axis=1))])
    starts = np.arange(0, at[-1], 2 * length)

    def point(distance: np.ndarray) -> np.ndarray:
        return np.stack([np.interp(distance, at, closed[:, 0]), np.interp(distance, at, closed[:, 1])], 1)

    pairs = zip(point(starts), point(np.minimum(starts + length, at[-1])), strict=True)
    return [((round(a[0]), round(a[1])), (round(b[0]), round(b[1]))) for a, b in pairs]


def _labels(
    canvas: np.ndarray, report: Report, colours: Mapping[str, tuple[int, int, int]], texts: dict[int, str], size: int
) -> np.ndarray:
    """Draw "number name" at each instance; a label moves down until it covers no other label."""
    from PIL import Image, ImageDraw

    image = Image.fromarray(canvas)
    pen = ImageDraw.Draw(image)
    fonts = letters(NUMBER * size), letters(size)
    taken: list[tuple[float, float, float, float]] = []
    for line in sorted(report.instances, key=lambda each: each.box[1]):
        colour = _colour(line, colours)
        _label(pen, fonts, (str(line.id), texts[line.id]), colour, line.box, image.size, taken)
    return np.asarray(image)


@lru_cache(maxsize=32)
def letters(size: float) -> Any:
    """The first of FONTS that the system has, else the app's, else Pillow's own."""
    from PIL import ImageFont

    for name in FONTS:
        try:
            return ImageFont.truetype(name, size)
        except OSError:  # not on this system
            continue
    for path in _app_fonts():
        try:
            font = ImageFont.truetype(path, size)
            font.set_variation_by_name(WEIGHT)
        except (OSError, ValueError):  # a FreeType that reads no compressed fonts, or knows no weights
            continue
        return font
    return ImageFont.load_default(size)


def _app_fonts() -> list[Path]:
    """Files of the app's font; none where Streamlit is not installed, or keeps it elsewhere."""
    spec = find_spec("streamlit")
    folders = (spec.submodule_search_locations or []) if spec is not None else []
    return [path for folder in folders for path in sorted(Path(folder).glob(APP_FONT))]


def _label(
    pen: Any,
    fonts: tuple[Any, Any],
    texts: tuple[str, str],
    colour: tuple[int, int, int],
    box: tuple[int, int, int, int],
    size: tuple[int, int],
    taken: list[tuple[float, float, float, float]],
) -> None:
    """Draw a number and a text in their fonts at the middle of a box, or below what is `taken` there."""
    x, y, w, h = box
    parts = [pen.textbbox((0, 0), text, font=font, anchor="ls") for text, font in zip(texts, fonts, strict=True)]
    top, bottom = min(part[1] for part in parts), max(part[3] for part in parts)
    gap = 6 if texts[1] else 0
    width, height = parts[0][2] + gap + parts[1][2] + 8, bottom - top + 8
    at_x = min(max(x + w / 2 - width / 2, 0), max(size[0] - width, 0))
    at_y = min(max(y + h / 2 - height / 2, 0), max(size[1] - height, 0))
    while any(at_x < x1 and x0 < at_x + width and at_y < y1 and y0 < at_y + height for x0, y0, x1, y1 in taken):
        at_y += height / 2
        if at_y + height > size[1]:
            break
    taken.append((at_x, at_y, at_x + width, at_y + height))
    pen.rounded_rectangle((at_x, at_y, at_x + width, at_y + height), 4, fill=colour)
    bright = 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2] > 140
    ink, line = (0, 0, 0) if bright else (255, 255, 255), at_y + 4 - top
    pen.text((at_x + 4, line), texts[0], font=fonts[0], fill=ink, anchor="ls")
    pen.text((at_x + 4 + parts[0][2] + gap, line), texts[1], font=fonts[1], fill=ink, anchor="ls")


def _shorten(name: str, limit: int = 24) -> str:
    return name if len(name) <= limit else name[: limit - 1].rstrip() + "…"
