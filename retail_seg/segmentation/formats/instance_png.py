"""A folder of PNGs with the photos' stems: grey values are instance ids, 0 is background, 65535 is to be ignored.

Class names stand in a `labels.csv` (columns image, instance, label) in the folder or beside it. Four more, x, y,
w and h in pixels, are filled where an instance is a box.
"""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image

from retail_seg.errors import AnnotationError, PhotoError
from retail_seg.photos.load import opened_picture
from retail_seg.segmentation.boxes import IGNORE, Box
from retail_seg.segmentation.formats.base import (
    NO_CLASS,
    AnnotatedPhoto,
    AnnotationSource,
    Drawing,
    checked_boxes,
    write_png,
    write_text,
)
from retail_seg.system.files import bounded_lines

TITLE = "instance-id PNG"
#: The file of class names and boxes, and its columns of a box.
LABELS = "labels.csv"
SIDES = ("x", "y", "w", "h")
#: The value of pixels to be ignored in a 16-bit PNG, and the largest id below it.
UNKNOWN = 65535
MAX_ID = UNKNOWN - 1


@dataclass
class _Row:
    """What the table says of one photo: instance id ► class name, and ► box as written."""

    classes: dict[int, str] = field(default_factory=dict)
    boxes: dict[int, list[str]] = field(default_factory=dict)


def recognises(path: Path) -> bool:
    """A folder with at least one PNG."""
    return path.is_dir() and any(p.suffix.lower() == ".png" for p in path.iterdir())


def read(path: Path) -> Iterator[AnnotationSource | AnnotationError]:
    """The mask of each PNG, sorted by name."""
    told: dict[str, _Row] = {}
    try:
        told = _read_table(path)
    except AnnotationError as error:
        yield error
    for mask in sorted(p for p in path.iterdir() if p.suffix.lower() == ".png"):
        yield AnnotationSource(mask.stem, mask.name, partial(_draw, mask, told.get(mask.stem, _Row())))


def write(photos: Iterable[AnnotatedPhoto], out: Path) -> None:
    """Write OUT/<stem>.png (16-bit grey) per photo and OUT/labels.csv with class and box of every instance."""
    rows: list[list[object]] = []
    for photo in photos:
        write_ids(out / f"{photo.name}.png", photo.labels)
        rows += [
            [photo.path.name, i, photo.classes.get(i, NO_CLASS), *box_cells(photo.boxes.get(i))] for i in photo.ids
        ]
    write_table(out / LABELS, rows)


def box_cells(box: Box | None) -> list[str]:
    """The four cells of a box in the table, empty where the instance is none."""
    return [f"{round(v, 2):.12g}" for v in box] if box else [""] * len(SIDES)


def write_table(path: Path, rows: Iterable[Iterable[object]]) -> None:
    """Write a labels.csv of rows (image, instance, label, then `box_cells`); without boxes it has three columns."""
    filled = [list(row) for row in rows]
    boxes = any(row[3] for row in filled)
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["image", "instance", "label", *(SIDES if boxes else ())])
    table.writerows(row if boxes else row[:3] for row in filled)
    write_text(path, text.getvalue())


def write_ids(path: Path, labels: np.ndarray) -> None:
    """Write an id image (H, W) as a 16-bit grey PNG; AnnotationError where an id does not fit in 16 bits."""
    if labels.max(initial=0) > MAX_ID:
        raise AnnotationError(f"{path.name}: has the instance id {labels.max()}, and a 16-bit PNG ends at {MAX_ID}")
    write_png(path, Image.fromarray(np.where(labels == IGNORE, UNKNOWN, labels).astype(np.uint16)))


def read_ids(source: Path) -> np.ndarray:
    """The id image (H, W) int32 in a PNG, with IGNORE; AnnotationError where it is damaged or in colours."""
    image = open_mask(source)
    values = np.asarray(image)
    if image.mode == "1":
        values = values.astype(np.uint8)
    if values.ndim != 2:
        raise AnnotationError(
            f"is a colour picture ({image.mode}), not grey instance ids; save ids as 8- or 16-bit grey PNG"
        )
    labels = values.astype(np.int32)
    labels[labels == UNKNOWN] = IGNORE
    return labels


def open_mask(source: Path | BinaryIO) -> Image.Image:
    """The decoded picture of a mask; AnnotationError where it cannot be read."""
    try:
        if isinstance(source, Path) and not source.is_file():
            raise AnnotationError("the mask is not there; copy it beside the others")
        with opened_picture(source, "the mask") as image:
            image.load()
            return image
    except PhotoError as error:
        reason = str(error).removeprefix("the mask: ")
        raise AnnotationError(f"is damaged or not a picture ({reason}); export it again") from None


def _draw(path: Path, told: _Row, height: int, width: int) -> Drawing:
    labels = read_ids(path)
    classes = {int(i): told.classes.get(int(i), NO_CLASS) for i in np.unique(labels) if i > 0}
    notes: list[str] = []
    given = {number: told.boxes[number] for number in classes if number in told.boxes}
    return Drawing(labels, classes, notes, boxes=checked_boxes(given, labels, notes))


def _read_table(folder: Path) -> dict[str, _Row]:
    """Stem ► what the labels.csv in or beside the folder says of it; empty where there is none."""
    found = next((p for p in (folder / LABELS, folder.parent / LABELS) if p.is_file()), None)
    told: dict[str, _Row] = defaultdict(_Row)
    if found is None:
        return told
    try:
        with found.open(newline="", encoding="utf-8-sig") as lines:
            for row in csv.DictReader(bounded_lines(lines)):
                of_photo, number = told[Path(row["image"]).stem], int(row["instance"])
                of_photo.classes[number] = row["label"]
                sides = [row.get(side) or "" for side in SIDES]
                if any(sides):
                    of_photo.boxes[number] = sides
    except (KeyError, ValueError, TypeError, UnicodeDecodeError, csv.Error):
        raise AnnotationError(
            f"{found.name}: has no columns image, instance, label with numbers as instances; classes are left out"
        ) from None
    return told
