"""A folder of PNGs with the photos' stems: grey values are instance ids, 0 is background, 65535 is to be ignored.

Class names stand in a `labels.csv` (columns image, instance, label) in the folder or beside it.
"""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image

from retail_seg.errors import AnnotationError, PhotoError
from retail_seg.photos.load import opened_picture
from retail_seg.segmentation.boxes import IGNORE
from retail_seg.segmentation.formats.base import NO_CLASS, AnnotatedPhoto, Drawing, Source, write_png, write_text

TITLE = "instance-id PNG"
#: The file of class names.
LABELS = "labels.csv"
#: The value of pixels to be ignored in a 16-bit PNG, and the largest id below it.
UNKNOWN = 65535
MAX_ID = UNKNOWN - 1


def recognises(path: Path) -> bool:
    """A folder with at least one PNG."""
    return path.is_dir() and any(p.suffix.lower() == ".png" for p in path.iterdir())


def read(path: Path) -> Iterator[Source | AnnotationError]:
    """The mask of each PNG, sorted by name."""
    classes: dict[str, dict[int, str]] = {}
    try:
        classes = _read_classes(path)
    except AnnotationError as error:
        yield error
    for mask in sorted(p for p in path.iterdir() if p.suffix.lower() == ".png"):
        yield Source(mask.stem, mask.name, partial(_draw, mask, classes.get(mask.stem, {})))


def write(photos: Iterable[AnnotatedPhoto], out: Path) -> None:
    """Write OUT/<stem>.png (16-bit grey) per photo and OUT/labels.csv with the class of every instance."""
    rows = io.StringIO()
    table = csv.writer(rows, lineterminator="\n")
    table.writerow(["image", "instance", "label"])
    for photo in photos:
        write_ids(out / f"{photo.name}.png", photo.labels)
        table.writerows([photo.path.name, i, photo.classes.get(i, NO_CLASS)] for i in photo.ids)
    write_text(out / LABELS, rows.getvalue())


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


def _draw(path: Path, classes: dict[int, str], height: int, width: int) -> Drawing:
    labels = read_ids(path)
    return Drawing(labels, {int(i): classes.get(int(i), NO_CLASS) for i in np.unique(labels) if i > 0})


def _read_classes(folder: Path) -> dict[str, dict[int, str]]:
    """Stem ► instance id ► class of the labels.csv in or beside the folder; empty where there is none."""
    found = next((p for p in (folder / LABELS, folder.parent / LABELS) if p.is_file()), None)
    classes: dict[str, dict[int, str]] = defaultdict(dict)
    if found is None:
        return classes
    try:
        with found.open(newline="", encoding="utf-8-sig") as lines:
            for row in csv.DictReader(lines):
                classes[Path(row["image"]).stem][int(row["instance"])] = row["label"]
    except (KeyError, ValueError, TypeError, UnicodeDecodeError, csv.Error):
        raise AnnotationError(
            f"{found.name}: has no columns image, instance, label with numbers as instances; classes are left out"
        ) from None
    return classes
