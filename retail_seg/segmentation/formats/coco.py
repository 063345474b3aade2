"""COCO JSON (cocodataset.org, "object detection"): polygons, plain and compressed run lengths, boxes.

An annotation with `iscrowd` or `ignore` is a region to be ignored. Some tools mark every run length as a crowd: a file
of nothing but crowds is taken as instances.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from retail_seg.errors import AnnotationError
from retail_seg.segmentation.boxes import IGNORED_CLASS
from retail_seg.segmentation.formats import rle
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
    ignored_region,
    outlines,
    polygon_region,
    read_json,
    regions,
    stated_size,
    write_text,
)

TITLE = "COCO JSON"
#: The file that `write` makes.
FILE = "annotations.json"


def recognises(path: Path) -> bool:
    """A JSON file with images and annotations, or a folder with exactly one (in it or in its `annotations`)."""
    return _find(path) is not None


def read(path: Path) -> Iterator[AnnotationSource | AnnotationError]:
    """The annotation of each image that the file lists, in its order."""
    found = _find(path)
    assert found is not None
    data = read_json(found)
    categories = data.get("categories")
    listed = categories if isinstance(categories, list) else []
    names = {str(c.get("id")): str(c.get("name", NO_CLASS)) for c in listed if isinstance(c, dict)}
    by_image: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for annotation in data["annotations"]:
        if isinstance(annotation, dict):
            by_image[str(annotation.get("image_id"))].append(annotation)
    marked = [bool(a.get("iscrowd")) for each in by_image.values() for a in each]
    crowds = not all(marked)
    for image in data["images"]:
        if not isinstance(image, dict) or not isinstance(image.get("file_name"), str) or "id" not in image:
            yield AnnotationError(f'{found.name}: an entry of "images" has no id or file_name; export it again')
            continue
        name = PurePosixPath(image["file_name"].replace("\\", "/")).name
        draw = partial(_draw, image, by_image.pop(str(image["id"]), []), names, crowds)
        yield AnnotationSource(name, f"{found.name}: {name}", draw)
    for orphan, lost in by_image.items():
        yield AnnotationError(
            f'{found.name}: {len(lost)} annotations belong to image {orphan}, which "images" does not list'
        )


def write(photos: Iterable[AnnotatedPhoto], out: Path) -> None:
    """Write OUT/annotations.json; an instance is polygons, or compressed run lengths where it has holes."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    categories: dict[str, int] = {}
    for photo in photos:
        height, width = photo.labels.shape
        images.append({"id": len(images) + 1, "file_name": photo.path.name, "width": width, "height": height})
        for number, region in regions(photo.labels):
            label = photo.classes.get(number, NO_CLASS)
            category = categories.setdefault(label, len(categories) + 1)
            entry = {"id": len(annotations) + 1, "image_id": len(images), "category_id": category, "iscrowd": 0}
            annotations.append(entry | _encode(replace(region, box=photo.boxes.get(number)), height, width))
        if (unknown := ignored_region(photo.labels)) is not None:
            category = categories.setdefault(IGNORED_CLASS, len(categories) + 1)
            entry = {"id": len(annotations) + 1, "image_id": len(images), "category_id": category, "iscrowd": 1}
            annotations.append(entry | _encode_crowd(unknown, height, width))
    listed = [{"id": number, "name": label} for label, number in categories.items()]
    write_text(out / FILE, json.dumps({"images": images, "annotations": annotations, "categories": listed}))


def _find(path: Path) -> Path | None:
    if path.is_dir():
        candidates = sorted(path.glob("*.json")) or sorted(path.glob("annotations/*.json"))
    else:
        candidates = [path] if path.suffix.lower() == ".json" else []
    found = [p for p in candidates if p.is_file() and _is_coco(p)]
    if len(found) > 1:
        raise AnnotationError(f"{path}: holds {len(found)} COCO files; name one of them ({found[0].name}, …)")
    return found[0] if found else None


def _is_coco(path: Path) -> bool:
    try:
        data = read_json(path)
    except AnnotationError:
        return False
    return isinstance(data, dict) and isinstance(data.get("images"), list) and isinstance(data.get("annotations"), list)


def _draw(
    image: dict[str, Any],
    annotations: list[dict[str, Any]],
    names: dict[str, str],
    crowds: bool,
    height: int,
    width: int,
) -> Drawing:
    height, width = stated_size((image.get("height") or None, image.get("width") or None), height, width)
    shapes = []
    taken = []
    for annotation in annotations:
        what = f"annotation {annotation.get('id')}"
        region_of: Callable[[list[str]], Region] = partial(_region, annotation, what, height, width)
        label = names.get(str(annotation.get("category_id")), NO_CLASS)
        if annotation.get("ignore") or (annotation.get("iscrowd") and crowds):
            label = IGNORED_CLASS
        elif annotation.get("iscrowd"):
            taken.append(f"{what} is marked as a crowd, as all of this file, and was taken as one instance")
        shapes.append((what, region_of, label))
    drawing = draw_shapes(shapes, height, width)
    drawing.notes.extend(taken)
    return drawing


def _region(annotation: dict[str, Any], what: str, height: int, width: int, notes: list[str]) -> Region:
    segmentation = annotation.get("segmentation")
    if isinstance(segmentation, dict):
        return _rle_region(segmentation, what, height, width)
    if segmentation in (None, []):
        if annotation.get("bbox") is None:
            raise AnnotationError(f"{what} has neither a segmentation nor a box")
        return box_region(annotation["bbox"], height, width, what, notes)
    if not isinstance(segmentation, list):
        raise AnnotationError(f"{what} has a segmentation that is neither outlines nor run lengths")
    parts = segmentation if isinstance(segmentation[0], list) else [segmentation]
    return polygon_region([check_ring(part, what) for part in parts], height, width, what, notes)


def _rle_region(segmentation: dict[str, Any], what: str, height: int, width: int) -> Region:
    if segmentation.get("size") != [height, width]:
        raise AnnotationError(f"{what} has run lengths of size {segmentation.get('size')}, not [{height}, {width}]")
    counts = segmentation.get("counts")
    try:
        runs = rle.unpack_runs(counts) if isinstance(counts, str) else [int(n) for n in counts or []]
        mask = rle.runs_to_mask(runs, height, width)
    except (TypeError, ValueError, OverflowError):
        raise AnnotationError(f"{what} has run lengths that are not numbers") from None
    except AnnotationError as error:
        raise AnnotationError(f"{what} {error}") from None
    if not mask.any():
        raise AnnotationError(f"{what} covers no pixel")
    return crop_region(mask)


def _encode(region: Region, height: int, width: int) -> dict[str, Any]:
    h, w = region.mask.shape
    if region.box is not None:
        box = [round(v, 2) for v in region.box]
        return {"segmentation": [], "area": round(box[2] * box[3], 2), "bbox": box}
    outer, holes = outlines(region.mask, region.top, region.left)
    if holes:
        return _encode_crowd(region, height, width)
    segmentation = [ring.ravel().round(2).tolist() for ring in outer]
    return {"segmentation": segmentation, "area": region.area, "bbox": [region.left, region.top, w, h]}


def _encode_crowd(region: Region, height: int, width: int) -> dict[str, Any]:
    """A region as compressed run lengths."""
    h, w = region.mask.shape
    full = np.zeros((height, width), bool)
    full[region.top : region.top + h, region.left : region.left + w] = region.mask
    segmentation = {"size": [height, width], "counts": rle.pack_runs(rle.mask_to_runs(full))}
    return {"segmentation": segmentation, "area": region.area, "bbox": [region.left, region.top, w, h]}
