"""SageMaker Ground Truth, semantic segmentation: an output manifest of JSON lines and the masks it points to.

A line names the photo ("source-ref"), the mask ("<job>-ref") and, in "<job>-ref-metadata", an "internal-color-map"
from colours to class names. A line lists only some of the colours, so they are read across the whole job. The
confidence in the map is a property of the job's consolidation, not of the mask: nothing is filtered on it.

The masks are semantic: a colour is a class, and each connected part of it becomes an instance (so things of one class
that touch are one). Manifests written here give every instance of a photo its own colour and say so in the metadata
("one-colour-per-instance"), so identity is kept on the way back, and name the colours of boxes with their x, y, width
and height ("boxes").
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote

import cv2
import numpy as np

from retail_seg.errors import AnnotationError
from retail_seg.segmentation.boxes import IGNORE, IGNORED_CLASS, is_ignored
from retail_seg.segmentation.formats.base import (
    AnnotatedPhoto,
    AnnotationSource,
    Drawing,
    checked_boxes,
    write_png,
    write_text,
)
from retail_seg.segmentation.formats.instance_png import open_mask
from retail_seg.segmentation.formats.voc import pack

TITLE = "SageMaker Ground Truth manifest"
SUFFIXES = (".manifest", ".jsonl", ".json")
JOB = "retail-seg"
PER_INSTANCE = "one-colour-per-instance"
BOXES = "boxes"
#: Connected parts of a painted colour below this many pixels are slips of the brush.
MIN_PART = 10
WHITE = 0xFFFFFF


@dataclass
class _Job:
    """Colours of the whole job: packed colour ► class name, and the packed colours of the background.

    `told`: that its masks are semantic has been said, once for all of them.
    """

    names: dict[int, str] = field(default_factory=dict)
    background: set[int] = field(default_factory=set)
    told: bool = False


def recognises(path: Path) -> bool:
    """A manifest, or a folder with one (below `manifests/output/` as in the job's bucket, too)."""
    return _find(path) is not None


def read(path: Path) -> Iterator[AnnotationSource | AnnotationError]:
    """The mask of each line, in the manifest's order."""
    manifest = _find(path)
    assert manifest is not None
    lines = list(_lines(manifest))
    job, problems = _read_colours([line for _, line in lines if isinstance(line, dict)], manifest.name)
    yield from problems
    for number, line in lines:
        where = f"{manifest.name} line {number}"
        if isinstance(line, AnnotationError):
            yield line
            continue
        key = _mask_key(line)
        if key is None or not isinstance(line.get("source-ref"), str):
            yield AnnotationError(f"{where}: names no photo or no mask (a failed label?); label it again")
            continue
        photo = PurePosixPath(unquote(line["source-ref"])).name
        alone = _metadata(line).get(PER_INSTANCE) is True
        boxes = _read_boxes(_metadata(line).get(BOXES)) if alone else {}
        draw = partial(_draw, manifest.parent, line[key], job, alone, boxes)
        yield AnnotationSource(photo, f"{where} ({photo})", draw)


def write(photos: Iterable[AnnotatedPhoto], out: Path) -> None:
    """Write OUT/output.manifest and OUT/masks/<stem>.png; the n-th instance of a class has one colour in all photos."""
    from PIL import Image

    entries: dict[tuple[str, int], int] = {}
    lines = []
    for photo in photos:
        picture = np.full((*photo.labels.shape, 3), 255, np.uint8)
        used = {0: {"class-name": "BACKGROUND", "hex-color": "#ffffff", "confidence": 1.0}}
        seen: dict[str, int] = {}
        boxes: dict[str, list[float]] = {}
        for number in photo.ids:
            label = photo.classes.get(number, "object")
            seen[label] = seen.get(label, 0) + 1
            entry = entries.setdefault((label, seen[label]), len(entries) + 1)
            colour = _colour(entry)
            picture[photo.labels == number] = ((colour >> 16) & 255, (colour >> 8) & 255, colour & 255)
            used[entry] = {"class-name": label, "hex-color": f"#{colour:06x}", "confidence": 1.0}
            if number in photo.boxes:
                boxes[f"#{colour:06x}"] = [round(v, 2) for v in photo.boxes[number]]
        if (photo.labels == IGNORE).any():
            entry = entries.setdefault((IGNORED_CLASS, 1), len(entries) + 1)
            colour = _colour(entry)
            picture[photo.labels == IGNORE] = ((colour >> 16) & 255, (colour >> 8) & 255, colour & 255)
            used[entry] = {"class-name": IGNORED_CLASS, "hex-color": f"#{colour:06x}", "confidence": 1.0}
        mask = f"masks/{photo.name}.png"
        write_png(out / mask, Image.fromarray(picture))
        metadata = {"internal-color-map": {str(k): v for k, v in used.items()}, PER_INSTANCE: True, "job-name": JOB}
        metadata |= {BOXES: boxes} if boxes else {}
        kind = {"type": "groundtruth/semantic-segmentation", "human-annotated": "yes"}
        line = {"source-ref": photo.path.name, f"{JOB}-ref": mask, f"{JOB}-ref-metadata": metadata | kind}
        lines.append(json.dumps(line) + "\n")
    write_text(out / "output.manifest", "".join(lines))


def _colour(entry: int) -> int:
    """A packed colour for entry 1, 2, …: one-to-one, since 0x9E3779 is odd; never white, which the index 0 would be."""
    return (WHITE + entry * 0x9E3779) & 0xFFFFFF


def _find(path: Path) -> Path | None:
    if path.is_file():
        return path if path.suffix.lower() in SUFFIXES and _is_manifest(path) else None
    candidates = [p for suffix in SUFFIXES for p in sorted(path.glob(f"*{suffix}"))]
    candidates += [p for p in sorted(path.glob("manifests/output/*.manifest")) if p not in candidates]
    return next((p for p in candidates if p.is_file() and _is_manifest(p)), None)


def _is_manifest(path: Path) -> bool:
    try:
        with path.open(encoding="utf-8-sig") as lines:
            return '"source-ref"' in lines.readline(100_000)
    except (OSError, UnicodeDecodeError):
        return False


def _lines(manifest: Path) -> Iterator[tuple[int, dict[str, Any] | AnnotationError]]:
    for number, text in enumerate(manifest.read_text(encoding="utf-8-sig", errors="replace").splitlines(), 1):
        if not text.strip():
            continue
        try:
            line = json.loads(text)
        except (ValueError, RecursionError) as error:
            line = AnnotationError(f"{manifest.name} line {number}: is not JSON ({error}); export the manifest again")
        if not isinstance(line, (dict, AnnotationError)):
            line = AnnotationError(f"{manifest.name} line {number}: is not a JSON object; export the manifest again")
        yield number, line


def _mask_key(line: Mapping[str, Any]) -> str | None:
    keys = [k for k in line if k.endswith("-ref") and k != "source-ref" and isinstance(line[k], str)]
    with_map = [k for k in keys if isinstance(line.get(f"{k}-metadata"), dict)]
    return next(iter(with_map or keys), None)


def _metadata(line: Mapping[str, Any]) -> dict[str, Any]:
    found = line.get(f"{_mask_key(line)}-metadata")
    return found if isinstance(found, dict) else {}


def _read_colours(lines: Iterable[Mapping[str, Any]], where: str) -> tuple[_Job, list[AnnotationError]]:
    """The union of the colour maps of all lines; a colour that stands for two classes is a problem."""
    job, problems = _Job(), []
    for line in lines:
        colours = _metadata(line).get("internal-color-map")
        entries = colours.values() if isinstance(colours, dict) else ()
        for entry in entries:
            if not isinstance(entry, dict):
                problems.append(AnnotationError(f"{where}: an entry of a colour map is not an object; mend the map"))
                continue
            name, colour = str(entry.get("class-name", "")), _parse(str(entry.get("hex-color", "")))
            if colour is None:
                problems.append(AnnotationError(f"{where}: class {name!r} has no colour like #2acf59; mend the map"))
            elif name.upper() == "BACKGROUND":
                job.background.add(colour)
            elif job.names.setdefault(colour, name) != name:
                text = f"{where}: #{colour:06x} stands for {job.names[colour]!r} and for {name!r}; the first is taken"
                problems.append(AnnotationError(text))
    if not job.background:
        job.background.add(WHITE)
    return job, list({str(p): p for p in problems}.values())


def _parse(colour: str) -> int | None:
    return int(colour.lstrip("#"), 16) if re.fullmatch(r"#?[0-9a-fA-F]{6}", colour) else None


def _read_boxes(given: Any) -> dict[int, Any]:
    """Packed colour ► box as written, of the instances that are boxes."""
    pairs = given.items() if isinstance(given, dict) else ()
    return {colour: box for text, box in pairs if (colour := _parse(str(text))) is not None}


def _draw(
    folder: Path, reference: str, job: _Job, alone: bool, given: Mapping[int, Any], height: int, width: int
) -> Drawing:
    image = open_mask(_locate(folder, reference))
    rgba = np.asarray(image.convert("RGBA"))
    codes = pack(rgba[..., :3])
    codes[rgba[..., 3] == 0] = next(iter(job.background))
    labels = np.zeros(codes.shape, np.int32)
    classes: dict[int, str] = {}
    notes: list[str] = []
    boxes: dict[int, Any] = {}
    for code in np.unique(codes).tolist():
        if code in job.background:
            continue
        if code not in job.names:
            count = int((codes == code).sum())
            raise AnnotationError(f"has {count} pixels of #{code:06x}, which no colour map of the job names")
        if is_ignored(job.names[code]):
            labels[codes == code] = IGNORE
            continue
        parts, small = ([codes == code], 0) if alone else _parts(codes == code)
        for part in parts:
            classes[len(classes) + 1] = job.names[code]
            labels[part] = len(classes)
            if code in given:
                boxes[len(classes)] = given[code]
        if small:
            notes.append(f"{small} specks of {job.names[code]} below {MIN_PART} pixels were left out")
    if not (alone or job.told):
        job.told = True
        notes.append("is semantic, as all of this job: each connected part of a colour was taken as one instance")
    return Drawing(labels, classes, notes, boxes=checked_boxes(boxes, labels, notes))


def _parts(mask: np.ndarray) -> tuple[list[np.ndarray], int]:
    """Connected parts (8 neighbours) of a mask (H, W) bool, and how many were too small to count."""
    count, parts, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    large = [i for i in range(1, count) if stats[i, cv2.CC_STAT_AREA] >= MIN_PART]
    return [parts == i for i in large], count - 1 - len(large)


def _locate(folder: Path, reference: str) -> Path:
    """The local copy of a mask: the longest end of its S3 key that exists in the manifest's folder or one above."""
    path = PurePosixPath(unquote(re.sub(r"^\w+://[^/]*/", "", reference)))
    parts = [part for part in path.parts if part not in (path.anchor, "..")]  # a manifest names nothing outside its job
    for start in range(len(parts)):
        for base in (folder, *list(folder.parents)[:3], folder / "masks", folder / "output"):
            candidate = base.joinpath(*parts[start:])
            if candidate.is_file():
                return candidate
    raise AnnotationError(f"its mask {parts[-1] if parts else reference} is not beside the manifest; copy it there")
