"""Annotations made elsewhere ► the annotation set: a zip of photos and masks or outlines, in any known format.

Photos that are in the set already need not be in the zip; they are found by their names. Members of the zip are read
by the same rules as a catalogue's import (no unsafe names, links or bombs) and laid into a temporary folder.
"""

from __future__ import annotations

import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from catalogue.errors import CatalogueError
from catalogue.sources import ZipSource
from retail_seg.errors import AnnotationError, PhotoError
from retail_seg.people.roles import require
from retail_seg.photos.load import SUFFIXES, opened_picture
from retail_seg.segmentation.annotations import FORMATS, AnnotatedPhoto, read_annotations, title
from retail_seg.segmentation.boxes import IGNORE
from retail_seg.segmentation.instances.instances import dense_labels
from retail_seg.system.progress import OnProgress
from retail_seg.teaching.annotation_set import Teaching

#: Most files of a zip; more is somebody's disk, not annotations of a few photos.
MAX_FILES = 20_000
#: Where they are laid in a folder of their own: a manifest's masks are looked for up to three folders above it.
UNPACKED = "in/the/very/zip"
#: Most bytes that they are laid into the temporary folder with.
MAX_UNPACKED = 2 * 2**30


@dataclass(frozen=True)
class Imported:
    """What came in: the format, ids of the photos that are annotated now, instances, and what was lost or changed."""

    format: str
    photos: tuple[str, ...]
    instances: int
    problems: tuple[str, ...]
    notes: tuple[str, ...]


def import_annotations(teaching: Teaching, data: bytes, report: OnProgress = lambda s, t: None) -> Imported:
    """Add the annotated photos of a zip (its bytes); they count as finished.

    What was drawn on one before is replaced, which can be undone like any edit. Raises AnnotationError for what is no
    zip, holds no known format, or annotates no photo.
    """
    require("staff")
    with tempfile.TemporaryDirectory(prefix="annotations-") as folder:
        root = Path(folder)
        file = root / "annotations.zip"
        file.write_bytes(data)
        problems = _unpack(file, root / UNPACKED)
        annotations, photos = _found(root / UNPACKED)
        known = _known_photos(teaching, root / "known", photos)
        loaded, stream = read_annotations([*photos, *known], annotations)
        ids, instances = [], 0
        for number, annotated in enumerate(stream):
            report(number / max(len(photos) + len(known), 1), annotated.path.name)
            id_ = known.get(annotated.path) or _added(teaching, annotated, problems)
            if id_:
                instances += _keep(teaching, id_, annotated)
                ids.append(id_)
        problems += loaded.problems
        problems += [f"{s.where}: its photo is neither in the zip nor in the annotation set" for s in loaded.missing]
    if not ids:
        reasons = "; ".join(problems[:3]) or "it is empty"
        raise AnnotationError(f"No photo could be annotated from the {title(loaded.format)} in the zip: {reasons}")
    return Imported(title(loaded.format), tuple(ids), instances, tuple(problems), tuple(loaded.notes))


def _unpack(file: Path, folder: Path) -> list[str]:
    """Lay the zip's files into a folder; what cannot be read is a problem."""
    if not zipfile.is_zipfile(file):
        raise AnnotationError("This is no zip; pack the photos and their annotations into one")
    problems: list[str] = []
    try:
        source = ZipSource(file, most=MAX_UNPACKED)
        names = source.names()
        if len(names) > MAX_FILES:
            raise AnnotationError(f"The zip holds {len(names)} files, more than {MAX_FILES}; pack fewer photos")
        for name in names:
            try:
                data = source.read(name)
            except CatalogueError as error:
                problems.append(f"{name}: {error}")
                continue
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    except CatalogueError as error:
        raise AnnotationError(str(error).replace(f"{file}: ", "")) from None
    if not folder.is_dir():
        raise AnnotationError("The zip holds no file that can be read; pack the photos and their annotations again")
    return problems


def _found(root: Path) -> tuple[Path, list[Path]]:
    """The annotations in an unpacked zip, and the photos: every picture that is not a mask."""
    folders = [root, *sorted((p for p in root.rglob("*") if p.is_dir()), key=lambda p: len(p.parts))]
    files = sorted(p for p in root.rglob("*") if p.suffix.lower() in (".json", ".manifest"))
    pictures = sorted(p for p in root.rglob("*") if p.suffix.lower() in SUFFIXES)
    for name in FORMATS:
        for path in (*folders, *files):
            if name == "png":
                masks = _masks(path, pictures)
                if masks:
                    return path, [p for p in pictures if p not in masks]
            elif _recognised(name, path):
                return path, [p for p in pictures if not _is_voc_mask(name, p)]
    titles = ", ".join(title(name) for name in FORMATS)
    raise AnnotationError(f"The zip holds no annotations that are known ({titles}); see what it was packed from")


def _recognised(name: str, path: Path) -> bool:
    from retail_seg.segmentation.annotations import recognise

    try:
        return recognise(path) == name
    except AnnotationError:
        return False


def _masks(folder: Path, pictures: list[Path]) -> set[Path]:
    """The PNGs of a folder of instance ids: grey, and each with a photo of the same stem elsewhere or beside it."""
    if not folder.is_dir():
        return set()
    stems = {p.stem for p in pictures if p.parent != folder or p.suffix.lower() != ".png"}
    masks = {p for p in pictures if p.parent == folder and p.suffix.lower() == ".png" and _is_grey(p)}
    others = {p for p in pictures if p.parent == folder} - masks
    named = {p for p in masks if p.stem in stems}
    return named or (masks if not others and not stems else set())


def _is_grey(path: Path) -> bool:
    try:
        with opened_picture(path, path.name) as image:
            return image.mode in ("1", "L", "I", "I;16", "I;16B", "P")
    except PhotoError:
        return False


def _is_voc_mask(name: str, path: Path) -> bool:
    masks = ("SegmentationObject", "SegmentationClass")
    return (
        name in ("voc", "groundtruth")
        and path.suffix.lower() == ".png"
        and (path.parent.name in masks or _is_grey(path))
    )


def _known_photos(teaching: Teaching, folder: Path, given: list[Path]) -> dict[Path, str]:
    """Photos of the set under their own names, where the zip has none of that name: path ► id."""
    names = {path.stem for path in given}
    found: dict[Path, str] = {}
    for photo in teaching.photos():
        path = folder / Path(photo.name).with_suffix(photo.suffix).name
        if path.stem in names or path in found or path.stem.startswith("."):
            continue
        folder.mkdir(exist_ok=True)
        path.symlink_to(teaching.path(photo).resolve())
        found[path] = photo.id
    return found


def _added(teaching: Teaching, annotated: AnnotatedPhoto, problems: list[str]) -> str | None:
    done = teaching.add([(annotated.path.name, annotated.path.read_bytes())])
    problems += done.problems
    return done.ids[0] if done.ids else None


def _keep(teaching: Teaching, id_: str, annotated: AnnotatedPhoto) -> int:
    """Put ids and boxes on a photo, as 1 to n in place of what was there, and call it finished; returns n."""
    values, dense = dense_labels(annotated.labels)
    ids = np.where(annotated.labels == IGNORE, IGNORE, dense)
    new = {int(value): number for number, value in enumerate(values[values > 0], 1)}
    boxes = {new[number]: box for number, box in annotated.boxes.items() if number in new}
    teaching.edit(id_, lambda before: ids, boxes=lambda: boxes)
    teaching.finish(id_, True)
    return int(ids.max())
