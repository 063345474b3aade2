"""A list of labelled pictures (CSV with columns image,label[,x,y,w,h]) ► crops."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from index.embedder import too_small
from retail_seg.errors import LabelledCropsError, PhotoError
from retail_seg.photos.load import load_photo, shrink
from retail_seg.system.files import bounded_lines


@dataclass(frozen=True)
class LabelledCrop:
    """A picture's file, its label, and the part that is meant: box x, y, w, h in pixels, None for all of it."""

    path: Path
    label: str
    box: tuple[int, int, int, int] | None
    line: int

    def to_dict(self) -> dict[str, Any]:
        """What names the picture, as plain values; label and box only where there are some."""
        label = {"label": self.label} if self.label else {}
        return {"image": str(self.path), **label, **({"box": list(self.box)} if self.box else {})}


def as_rows(paths: Sequence[Path]) -> list[LabelledCrop]:
    """Pictures, and the rows of each list (.csv) among them, in their order; a list of these needs no labels.

    Raises LabelledCropsError for a list that cannot be used.
    """
    found: list[LabelledCrop] = []
    for path in paths:
        if path.suffix.lower() == ".csv":
            found += read_labelled_crops(path, labelled=False)
        else:
            found.append(LabelledCrop(path, "", None, 0))
    return found


def read_labelled_crops(path: Path, *, labelled: bool = True) -> list[LabelledCrop]:
    """The rows of a CSV; pictures' paths are relative to it, an empty box means the whole picture.

    Without `labelled` the column of labels may be missing or empty.

    Raises LabelledCropsError for a file that cannot be used.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(bounded_lines(file))
            missing = {"image", "label"} - set(reader.fieldnames or ()) - (set() if labelled else {"label"})
            if missing:
                raise LabelledCropsError(f"{path}: has no column {' and '.join(sorted(missing))}; name it image,label.")
            rows = [_row(path, reader.line_num, row, labelled) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise LabelledCropsError(f"{path}: cannot be read ({error}); give a CSV with columns image,label.") from error
    if not rows:
        raise LabelledCropsError(f"{path}: lists no pictures; give one a line.")
    return rows


def load_crops(rows: Sequence[LabelledCrop], max_side: int) -> Iterator[tuple[int, np.ndarray | PhotoError]]:
    """Each row's crop RGB uint8 (h, w, 3) of at most `max_side`, or the error of a picture that cannot be used."""
    last: tuple[Path, np.ndarray] | None = None
    for at, row in enumerate(rows):
        try:
            if row.box is None:
                crop = load_photo(row.path, max_side=max_side)
            else:
                if last is None or last[0] != row.path:  # rows of one photo usually follow each other
                    last = row.path, load_photo(row.path)
                crop = shrink(_cut(last[1], row), max_side)
            yield at, _checked(crop, row)
        except PhotoError as error:
            yield at, error


def _cut(photo: np.ndarray, row: LabelledCrop) -> np.ndarray:
    assert row.box is not None
    x, y, width, height = row.box
    part = photo[max(y, 0) : max(y + height, 0), max(x, 0) : max(x + width, 0)]
    if min(part.shape[:2]) < 1:
        raise PhotoError(f"{row.path}: the box {row.box} of line {row.line} lies outside the picture; correct it.")
    return np.ascontiguousarray(part)


def _checked(crop: np.ndarray, row: LabelledCrop) -> np.ndarray:
    if not too_small(crop):
        return crop
    part = f"the box {row.box} of line {row.line}" if row.box is not None else "the picture"
    size = f"{crop.shape[1]} × {crop.shape[0]} pixels"
    raise PhotoError(f"{row.path}: {part} leaves {size}, too few to show anything; give a larger one.")


def _row(path: Path, line: int, row: dict[str, str], labelled: bool) -> LabelledCrop:
    values = [(row.get(name) or "").strip() for name in "xywh"]
    box = None
    if any(values):
        try:
            x, y, width, height = (round(float(value)) for value in values)
        except ValueError as error:
            message = f"{path}, line {line}: {values} is no box; give x,y,w,h or leave all empty."
            raise LabelledCropsError(message) from error
        box = (x, y, width, height)
    image, label = (row.get("image") or "").strip(), (row.get("label") or "").strip()
    if not image or (labelled and not label):
        raise LabelledCropsError(f"{path}, line {line}: image or label is empty; fill in both.")
    return LabelledCrop(path.parent / image, label, box, line)
