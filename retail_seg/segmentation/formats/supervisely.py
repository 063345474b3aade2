"""Supervisely JSON (its image annotation format): ann/<photo's file name>.json, rectangles and polygons.

Objects of the class "ignore" are regions to be ignored. Bitmaps are told and left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

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
    crop_region,
    draw_shapes,
    each_file,
    fill_rings,
    ignored_region,
    polygon_region,
    read_json,
    regions,
    stated_size,
    write_text,
)
from retail_seg.segmentation.formats.yolo import one_line

TITLE = "Supervisely JSON"
FOLDER = "ann"


def recognises(path: Path) -> bool:
    """A JSON file with objects and a size, a folder of such files, or one with `ann` in it or in its folders."""
    return any(_is_supervisely(p) for p in _files(path))


def read(path: Path) -> Iterator[AnnotationSource | AnnotationError]:
    """The annotation in each JSON file, sorted by path."""
    return each_file(_files(path), _source)


def _source(file: Path) -> AnnotationSource:
    data = read_json(file)
    if not _has_objects(data):
        raise AnnotationError(f"{file.name}: has no list of objects, so it is no Supervisely file; take it out")
    return AnnotationSource(PurePosixPath(file.name).stem, file.name, partial(_draw, data))


def write(photos: Iterable[AnnotatedPhoto], out: Path) -> None:
    """Write OUT/ann/<file name>.json per photo and OUT/meta.json; an instance that is no box is one closed polygon."""
    names: dict[str, str] = {}
    for photo in photos:
        height, width = photo.labels.shape
        objects = []
        for number, region in regions(photo.labels):
            label = photo.classes.get(number, NO_CLASS)
            box = photo.boxes.get(number)
            objects.append(_polygon(region, label) if box is None else _rectangle(box, label))
        if (unknown := ignored_region(photo.labels)) is not None:
            objects.append(_polygon(unknown, IGNORED_CLASS))
        for item in objects:
            names.setdefault(item["classTitle"], f"#{(len(names) * 0x9E3779 + 0x2ACF59) & 0xFFFFFF:06x}")
        data = {"description": "", "tags": [], "size": {"height": height, "width": width}, "objects": objects}
        write_text(out / FOLDER / f"{photo.path.name}.json", json.dumps(data))
    classes = [{"title": name, "shape": "any", "color": colour} for name, colour in names.items()]
    write_text(out / "meta.json", json.dumps({"classes": classes, "tags": [], "projectType": "images"}))


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        deep = [p for pattern in (f"{FOLDER}/*.json", f"*/{FOLDER}/*.json") for p in path.glob(pattern)]
        return sorted(p for p in deep or path.glob("*.json") if p.is_file())
    return [path] if path.suffix.lower() == ".json" else []


def _is_supervisely(path: Path) -> bool:
    try:
        return _has_objects(read_json(path))
    except AnnotationError:
        return False


def _has_objects(data: Any) -> bool:
    return isinstance(data, dict) and isinstance(data.get("objects"), list) and isinstance(data.get("size"), dict)


def _draw(data: dict[str, Any], height: int, width: int) -> Drawing:
    size = data["size"]
    height, width = stated_size((size.get("height") or None, size.get("width") or None), height, width)
    shapes = []
    for number, item in enumerate(data["objects"], 1):
        if isinstance(item, dict):
            label = str(item.get("classTitle") or NO_CLASS)
            what = f"object {number} ({label})"
            shapes.append((what, partial(_region, item, what, height, width), label))
    return draw_shapes(shapes, height, width)


def _region(item: dict[str, Any], what: str, height: int, width: int, notes: list[str]) -> Region:
    kind = item.get("geometryType") or item.get("shape")
    points = item.get("points")
    if kind not in ("rectangle", "polygon"):
        raise AnnotationError(f"{what} is a {kind}; export rectangles or polygons")
    if not isinstance(points, dict):
        raise AnnotationError(f"{what} is a {kind} without points")
    outer = points.get("exterior") or []
    if kind == "rectangle":
        if not isinstance(outer, list) or len(outer) != 2:
            raise AnnotationError(f"{what} is a rectangle without its two corners")
        (x0, y0), (x1, y1) = check_ring([*outer, outer[1]], what)[:2]
        return box_region((min(x0, x1), min(y0, y1), abs(x1 - x0), abs(y1 - y0)), height, width, what, notes)
    region = polygon_region([check_ring(outer, what)], height, width, what, notes)
    holes = points.get("interior")
    return _without(region, holes, what, height, width) if isinstance(holes, list) and holes else region


def _without(region: Region, holes: list[Any], what: str, height: int, width: int) -> Region:
    """A region less the holes in it."""
    import numpy as np

    full = np.zeros((height, width), bool)
    h, w = region.mask.shape
    full[region.top : region.top + h, region.left : region.left + w] = region.mask
    for ring in holes:
        hole = fill_rings([check_ring(ring, what)], height, width)
        h, w = hole.mask.shape
        full[hole.top : hole.top + h, hole.left : hole.left + w] &= ~hole.mask
    if not full.any():
        raise AnnotationError(f"{what} covers no pixel")
    return crop_region(full)


def _rectangle(box: Box, label: str) -> dict[str, Any]:
    x, y, w, h = box
    corners = [[round(x, 2), round(y, 2)], [round(x + w, 2), round(y + h, 2)]]
    return _object("rectangle", corners, label)


def _polygon(region: Region, label: str) -> dict[str, Any]:
    return _object("polygon", one_line(region).round(2).tolist(), label)


def _object(kind: str, outer: list[list[float]], label: str) -> dict[str, Any]:
    points = {"exterior": outer, "interior": []}
    return {"description": "", "geometryType": kind, "tags": [], "classTitle": label, "points": points}
