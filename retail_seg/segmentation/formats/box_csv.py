"""Boxes in a CSV file with a row an instance: image, label, x, y, w, h, in pixels of the upright photo.

The columns stand in any order; without `label` all are one class. The label "ignore" is for regions to be ignored.
"""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path, PurePosixPath

from retail_seg.errors import AnnotationError
from retail_seg.segmentation.formats.base import (
    NO_CLASS,
    AnnotatedPhoto,
    AnnotationSource,
    Drawing,
    box_region,
    boxes_to_write,
    draw_shapes,
    write_text,
)
from retail_seg.system.files import bounded_lines

TITLE = "CSV of boxes"
BOXES_ONLY = True
#: The file that `write` makes.
FILE = "boxes.csv"
SIDES = ("x", "y", "w", "h")


def recognises(path: Path) -> bool:
    """A CSV file with the columns image, x, y, w and h, or a folder with one; masks' tables have `instance`, too."""
    return _find(path) is not None


def read(path: Path) -> Iterator[AnnotationSource | AnnotationError]:
    """The boxes of each photo, in the order of the file."""
    found = _find(path)
    assert found is not None
    by_photo: dict[str, list[tuple[int, dict[str, str]]]] = defaultdict(list)
    try:
        with found.open(newline="", encoding="utf-8-sig") as lines:
            for number, row in enumerate(csv.DictReader(bounded_lines(lines)), 2):
                by_photo[PurePosixPath((row["image"] or "").replace("\\", "/")).name].append((number, row))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        yield AnnotationError(f"{found.name}: is not readable CSV ({error}); the rows after that place are lost")
    for photo, rows in by_photo.items():
        if photo:
            yield AnnotationSource(photo, f"{found.name}: {photo}", partial(_draw, rows))
        else:
            yield AnnotationError(f"{found.name} line {rows[0][0]}: names no photo; fill the column image")


def write(photos: Iterable[AnnotatedPhoto], out: Path) -> None:
    """Write OUT/boxes.csv."""
    rows = io.StringIO()
    table = csv.writer(rows, lineterminator="\n")
    table.writerow(["image", "label", *SIDES])
    for photo in photos:
        for label, box in boxes_to_write(photo):
            table.writerow([photo.path.name, label, *(f"{round(v, 2):g}" for v in box)])
    write_text(out / FILE, rows.getvalue())


def _find(path: Path) -> Path | None:
    if path.is_file():
        return path if path.suffix.lower() == ".csv" and {"image", *SIDES} <= _columns(path) else None
    candidates = sorted(path.glob("*.csv")) if path.is_dir() else []
    found = [p for p in candidates if {"image", *SIDES} <= (columns := _columns(p)) and "instance" not in columns]
    if len(found) > 1:
        raise AnnotationError(f"{path}: holds {len(found)} CSV files of boxes; name one of them ({found[0].name}, …)")
    return found[0] if found else None


def _columns(path: Path) -> set[str]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as lines:
            return set(next(csv.reader([lines.readline(10_000)]), []))
    except (OSError, UnicodeDecodeError, csv.Error):
        return set()


def _draw(rows: list[tuple[int, dict[str, str]]], height: int, width: int) -> Drawing:
    shapes = []
    for number, row in rows:
        what = f"line {number}"
        values = [row.get(side) for side in SIDES]
        label = (row.get("label") or "").strip() or NO_CLASS
        shapes.append((what, partial(box_region, values, height, width, what), label))
    return draw_shapes(shapes, height, width)
