"""LabelMe JSON (wkentaro/labelme), one file a photo: polygons, rectangles, circles and masks.

Shapes with one label and one group_id are parts of one instance, as in LabelMe's own exporters. A rectangle
alone is a box. The label "ignore" is for regions that are to be ignored.
"""

from __future__ import annotations

import base64
import binascii
import io
import json
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

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
    crop_region,
    draw_shapes,
    each_file,
    ignored_region,
    outlines,
    photo_beside,
    polygon_region,
    read_json,
    regions,
    stated_size,
    write_text,
)
from retail_seg.segmentation.formats.instance_png import open_mask

TITLE = "LabelMe JSON"
#: A circle is drawn as a polygon of this many sides.
CIRCLE_SIDES = 180


def recognises(path: Path) -> bool:
    """A JSON file with shapes, or a folder whose JSON files (one at least) have them."""
    return any(_is_labelme(p) for p in _files(path))


def read(path: Path) -> Iterator[AnnotationSource | AnnotationError]:
    """The annotation in each JSON file, sorted by name."""
    return each_file(_files(path), _source)


def _source(file: Path) -> AnnotationSource:
    data = read_json(file)
    if not isinstance(data, dict) or not isinstance(data.get("shapes"), list):
        raise AnnotationError(f"{file.name}: has no list of shapes, so it is no LabelMe file; take it out")
    return AnnotationSource(photo_beside(file, str(data.get("imagePath") or "")), file.name, partial(_draw, data))


def write(photos: Iterable[AnnotatedPhoto], out: Path) -> None:
    """Write OUT/<stem>.json per photo: polygons, tied by group_id; an instance with holes is a mask."""
    for photo in photos:
        height, width = photo.labels.shape
        shapes = []
        for number, region in regions(photo.labels):
            label = photo.classes.get(number, NO_CLASS)
            box = photo.boxes.get(number)
            shapes += _encode(number, region, label) if box is None else [_rectangle(box, label)]
        if (unknown := ignored_region(photo.labels)) is not None:
            shapes += _encode(len(shapes) + 1, unknown, IGNORED_CLASS)
        data: dict[str, Any] = {"version": "5.5.0", "flags": {}, "shapes": shapes, "imagePath": photo.path.name}
        data |= {"imageData": None, "imageHeight": height, "imageWidth": width}
        write_text(out / f"{photo.name}.json", json.dumps(data))


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(p for p in path.glob("*.json") if p.is_file())
    return [path] if path.suffix.lower() == ".json" else []


def _is_labelme(path: Path) -> bool:
    try:
        data = read_json(path)
    except AnnotationError:
        return False
    return isinstance(data, dict) and isinstance(data.get("shapes"), list)


def _draw(data: dict[str, Any], height: int, width: int) -> Drawing:
    height, width = stated_size((data.get("imageHeight") or None, data.get("imageWidth") or None), height, width)
    groups: dict[Any, list[dict[str, Any]]] = {}
    for i, shape in enumerate(data["shapes"]):
        if isinstance(shape, dict):
            group = shape.get("group_id")
            key = ("alone", i) if group is None else (str(shape.get("label")), str(group))
            groups.setdefault(key, []).append(shape)
    shapes = []
    for number, parts in enumerate(groups.values(), 1):
        label = str(parts[0].get("label") or NO_CLASS)
        what = f"instance {number} ({label})"
        region_of: Callable[[list[str]], Region] = partial(_union, parts, what, height, width)
        shapes.append((what, region_of, label))
    return draw_shapes(shapes, height, width)


def _union(parts: list[dict[str, Any]], what: str, height: int, width: int, notes: list[str]) -> Region:
    if len(parts) == 1:
        return _region(parts[0], what, height, width, notes)
    full = np.zeros((height, width), bool)
    for part in parts:
        region = _region(part, what, height, width, notes)
        h, w = region.mask.shape
        full[region.top : region.top + h, region.left : region.left + w] |= region.mask
    return crop_region(full)


def _region(shape: dict[str, Any], what: str, height: int, width: int, notes: list[str]) -> Region:
    kind = shape.get("shape_type") or "polygon"
    points = np.asarray(shape.get("points") or [], object)
    if kind in ("rectangle", "circle", "mask") and points.shape != (2, 2):
        raise AnnotationError(f"{what} is a {kind} without its two points")
    if kind == "mask":
        return _mask_region(shape, what, height, width, notes)
    if kind == "rectangle":
        (x0, y0), (x1, y1) = check_ring([*points, points[1]], what)[:2]
        return box_region((min(x0, x1), min(y0, y1), abs(x1 - x0), abs(y1 - y0)), height, width, what, notes)
    if kind == "circle":
        centre, rim = check_ring([*points, points[1]], what)[:2]
        angle = np.linspace(0, 2 * np.pi, CIRCLE_SIDES, endpoint=False)
        points = centre + np.hypot(*(rim - centre)) * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    elif kind != "polygon":
        raise AnnotationError(f"{what} is a {kind}, which has no area; draw a polygon")
    return polygon_region([check_ring(points, what)], height, width, what, notes)


def _mask_region(shape: dict[str, Any], what: str, height: int, width: int, notes: list[str]) -> Region:
    """LabelMe's mask: a PNG in base64, laid with its first pixel on the first point."""
    try:
        left, top = (round(float(v)) for v in shape["points"][0])
        data = base64.b64decode(shape["mask"], validate=True)
    except (KeyError, TypeError, ValueError, OverflowError, binascii.Error):
        raise AnnotationError(f"{what} is a mask without readable data") from None
    mask = np.asarray(open_mask(io.BytesIO(data))) > 0
    if mask.ndim != 2:
        raise AnnotationError(f"{what} has a mask in colours")
    full = np.zeros((height, width), bool)
    inside = mask[max(-top, 0) : max(height - top, 0), max(-left, 0) : max(width - left, 0)]
    y, x = max(top, 0), max(left, 0)
    full[y : y + inside.shape[0], x : x + inside.shape[1]] = inside
    if not inside.any():
        raise AnnotationError(f"{what} lies outside the photo ({width} × {height}) or is empty")
    if inside.sum() < mask.sum():
        notes.append(f"{what} reaches outside the photo ({width} × {height}) and was clipped")
    return crop_region(full)


def _encode(number: int, region: Region, label: str) -> list[dict[str, Any]]:
    outer, holes = outlines(region.mask, region.top, region.left)
    shape = _shape(label)
    if not holes:
        group = number if len(outer) > 1 else None
        polygon = shape | {"shape_type": "polygon", "group_id": group}
        return [polygon | {"points": ring.round(2).tolist()} for ring in outer]
    h, w = region.mask.shape
    corners = [[region.left, region.top], [region.left + w - 1, region.top + h - 1]]
    return [shape | {"shape_type": "mask", "points": corners, "mask": _png_text(region.mask)}]


def _rectangle(box: Box, label: str) -> dict[str, Any]:
    x, y, w, h = (round(v, 2) for v in box)
    return _shape(label) | {"shape_type": "rectangle", "points": [[x, y], [round(x + w, 2), round(y + h, 2)]]}


def _shape(label: str) -> dict[str, Any]:
    return {"label": label, "group_id": None, "description": "", "flags": {}, "mask": None}


def _png_text(mask: np.ndarray) -> str:
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(mask.astype(np.uint8) * 255).save(out, "PNG")
    return base64.b64encode(out.getvalue()).decode()
