"""YOLO (Ultralytics): one .txt a photo, one line an instance, lengths as parts of the photo's sides.

    class x1 y1 x2 y2 x3 y3 …    an outline (segmentation)
    class cx cy w h              a box by its centre (detection)

An instance is one closed line in this format. Its parts and holes are tied to it by bridges walked there and back,
which cover nothing when the line is filled by the even-odd rule.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

from retail_seg.errors import AnnotationError
from retail_seg.segmentation.boxes import IGNORED_CLASS, Box
from retail_seg.segmentation.formats.base import (
    NO_CLASS,
    AnnotatedPhoto,
    AnnotationSource,
    Drawing,
    Region,
    box_region,
    check_ring,
    draw_shapes,
    ignored_region,
    outlines,
    polygon_region,
    read_text,
    regions,
    write_text,
)

TITLE = "YOLO"
#: Files of class names that stand in or beside the folder of labels, one name a line.
NAME_FILES = ("classes.txt", "obj.names")
_NOT_LABELS = ("classes.txt", "readme.txt", "train.txt", "val.txt", "test.txt")


def recognises(path: Path) -> bool:
    """A folder with a .txt whose first line is a class number and coordinates, in it or anywhere below `labels`."""
    return any(_is_yolo(p) for p in _files(path))


def read(path: Path) -> Iterator[AnnotationSource | AnnotationError]:
    """The outlines in each .txt, sorted by name; an empty file is a photo without instances."""
    files = _files(path)
    names = _read_names(path, files[0].parent)
    for file in files:
        yield AnnotationSource(file.stem, file.name, partial(_draw, file, names))


def write(photos: Iterable[AnnotatedPhoto], out: Path) -> None:
    """Write OUT/labels/<stem>.txt per photo, OUT/classes.txt and OUT/data.yaml with the class names."""
    names: dict[str, int] = {}
    for photo in photos:
        height, width = photo.labels.shape
        lines = []
        for number, region in regions(photo.labels):
            label = names.setdefault(photo.classes.get(number, NO_CLASS), len(names))
            box = photo.boxes.get(number)
            values = one_line(region) / (width, height) if box is None else _centred(box, height, width)
            lines.append(_line(label, values))
        if (unknown := ignored_region(photo.labels)) is not None:
            label = names.setdefault(IGNORED_CLASS, len(names))
            lines.append(_line(label, one_line(unknown) / (width, height)))
        write_text(out / "labels" / f"{photo.name}.txt", "".join(lines))
    write_text(out / "classes.txt", "".join(f"{name}\n" for name in names))
    listed = "".join(f"  {i}: {_quote(name)}\n" for name, i in names.items())
    write_text(out / "data.yaml", f"path: .\ntrain: images\nval: images\nnames:\n{listed}")


def _line(label: int, values: np.ndarray) -> str:
    return f"{label} " + " ".join(f"{v:.7g}" for v in values.ravel()) + "\n"


def _centred(box: Box, height: int, width: int) -> np.ndarray:
    x, y, w, h = box
    return np.array([x + w / 2, y + h / 2, w, h]) / (width, height, width, height)


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return []
    labels = path / "labels"
    found = labels.rglob("*.txt") if labels.is_dir() else path.glob("*.txt")
    return sorted(p for p in found if p.name.lower() not in _NOT_LABELS)


def _is_yolo(path: Path) -> bool:
    try:
        with path.open(encoding="utf-8-sig") as lines:
            values = lines.readline().split()
            return len(values) >= 5 and values[0].isdecimal() and all(0 <= float(v) < 10 for v in values[1:])
    except (OSError, ValueError):
        return False


def _draw(file: Path, names: dict[int, str], height: int, width: int) -> Drawing:
    try:
        lines = read_text(file).splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise AnnotationError(f"cannot be read ({error}); export it again") from None
    shapes = []
    for number, line in enumerate(lines, 1):
        values = line.split()
        if values:
            region_of: Callable[[list[str]], Region] = partial(_region, values, f"line {number}", height, width)
            label = names.get(int(values[0]), values[0]) if values[0].isdecimal() else values[0]
            shapes.append((f"line {number}", region_of, label))
    return draw_shapes(shapes, height, width)


def _region(values: list[str], what: str, height: int, width: int, notes: list[str]) -> Region:
    if not values[0].isdecimal():
        raise AnnotationError(f"{what} does not begin with a class number")
    if len(values) == 5:
        return _box(values[1:], what, height, width, notes)
    ring = check_ring(values[1:], what)
    if ring.max() > 2 and ring.min() >= 0:
        raise AnnotationError(f"{what} has coordinates in pixels; YOLO's are parts of the width and height, 0 to 1")
    return polygon_region([ring * (width, height)], height, width, what, notes)


def _box(values: list[str], what: str, height: int, width: int, notes: list[str]) -> Region:
    try:
        x, y, w, h = (float(v) for v in values)
    except ValueError:
        raise AnnotationError(f"{what} has a box that is not four numbers") from None
    if max(x, y, w, h) > 2:
        raise AnnotationError(f"{what} has coordinates in pixels; YOLO's are parts of the width and height, 0 to 1")
    box = ((x - w / 2) * width, (y - h / 2) * height, w * width, h * height)
    return box_region(box, height, width, what, notes)


def one_line(region: Region) -> np.ndarray:
    """All rings of a region as one closed line (k, 2): each next ring is entered from the nearest point so far."""
    outer, holes = outlines(region.mask, region.top, region.left)
    line, *rest = outer + holes
    while rest:
        gaps = [((line[:, None] - ring[None]) ** 2).sum(-1) for ring in rest]
        nearest = int(np.argmin([gap.min() for gap in gaps]))
        at, enter = np.unravel_index(int(gaps[nearest].argmin()), gaps[nearest].shape)
        ring = np.roll(rest.pop(nearest), -int(enter), axis=0)
        line = np.concatenate([line[: at + 1], ring, ring[:1], line[at:]])
    return line


def _read_names(path: Path, labels: Path) -> dict[int, str]:
    """Class names from classes.txt, obj.names or a data.yaml in the folder, its labels folder or the one above."""
    for folder in (labels, path, path.parent):
        for name in NAME_FILES:
            if (folder / name).is_file():
                lines = read_text(folder / name).splitlines()
                return {i: line.strip() for i, line in enumerate(lines) if line.strip()}
        for file in sorted(folder.glob("*.yaml")):
            names = _names_of_yaml(read_text(file))
            if names:
                return names
    return {}


def _names_of_yaml(text: str) -> dict[int, str]:
    """The `names` of an Ultralytics data.yaml, which are written in one of three ways."""
    found = re.search(r"^names:[ \t]*(\[[^\]]*\]|\{[^}]*\})?[ \t]*(?:#.*)?\n?((?:[ \t]+\S.*\n?|- .*\n?)*)", text, re.M)
    if found is None:
        return {}
    inline, block = found.groups()
    entries = inline[1:-1].split(",") if inline else block.splitlines()
    names: dict[int, str] = {}
    for entry in entries:
        numbered = re.match(r"\s*(\d+)\s*:\s*(.+)", entry)
        plain = re.match(r"\s*(?:-\s*)?(.+)", entry)
        if numbered:
            names[int(numbered[1])] = _unquote(numbered[2])
        elif plain and plain[1].strip():
            names[len(names)] = _unquote(plain[1])
    return names


def _unquote(text: str) -> str:
    text = text.strip()
    quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "'\""
    return text[1:-1].replace("''", "'") if quoted else text


def _quote(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
