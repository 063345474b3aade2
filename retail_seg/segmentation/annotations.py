"""Annotations of photos, in and out, with every instance kept apart and its class name where the format has one.

Masks belong to the upright photo, as `load_photo` gives it. An annotation that was drawn on the photo as stored
(its size is that of the picture before EXIF orientation, and only that) is turned upright, and this is said.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from retail_seg.errors import AnnotationError, PhotoError, RetailSegError
from retail_seg.photos.load import load_photo, opened_picture
from retail_seg.segmentation.boxes import Box, turned
from retail_seg.segmentation.formats.base import AnnotatedPhoto, AnnotationSource, Drawing, stated_size

__all__ = [
    "FORMATS",
    "AnnotatedPhoto",
    "Loaded",
    "convert",
    "load_annotations",
    "read_annotations",
    "recognise",
    "title",
]

#: Format names for `convert`, and the module of each, in the order in which a folder is tried.
FORMATS = {
    "groundtruth": "ground_truth",
    "labelme": "labelme",
    "coco": "coco",
    "supervisely": "supervisely",
    "voc": "voc",
    "vocxml": "voc_xml",
    "yolo": "yolo",
    "csv": "box_csv",
    "png": "instance_png",
}

#: EXIF orientation ► the upright array of one that was drawn as stored (TIFF 6.0, tag 274).
_UPRIGHT: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    5: lambda a: a.T,
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a.T, 2),
    8: lambda a: np.rot90(a, 1),
}


@dataclass
class Loaded:
    """What became of an annotation path.

    `problems` name what was lost (a photo or one instance), `notes` what was changed and kept, `missing` the
    annotations whose photo was not given, `unannotated` the photos that no annotation names. `read` counts photos.
    """

    format: str
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    missing: list[AnnotationSource] = field(default_factory=list)
    unannotated: list[Path] = field(default_factory=list)
    read: int = 0


def recognise(path: Path) -> str:
    """Name of the format of an annotation file or folder, one of FORMATS; AnnotationError where it is none."""
    if not path.exists():
        raise AnnotationError(f"{path}: no such file or folder; give the annotations")
    for name in FORMATS:
        if _format(name).recognises(path):
            return name
    titles = ", ".join(_format(name).TITLE for name in FORMATS)
    raise AnnotationError(f"{path}: is no annotation format that is known ({titles}); check the path")


def title(name: str) -> str:
    """What people call the format `name`, one of FORMATS."""
    return str(_format(name).TITLE)


def load_annotations(photos: Sequence[Path], annotations: Path) -> tuple[list[AnnotatedPhoto], list[str]]:
    """The annotated ones of `photos`, in their order, and one sentence for each thing that was odd, lost or missing.

    Raises AnnotationError where the path holds no known format.
    """
    loaded, stream = read_annotations(photos, annotations)
    order = {path: i for i, path in enumerate(photos)}
    annotated = sorted(stream, key=lambda photo: order[photo.path])
    missing = [f"{source.where}: its photo is not among those given" for source in loaded.missing]
    bare = [f"{path.name}: has no annotation" for path in loaded.unannotated]
    return annotated, loaded.problems + loaded.notes + missing + bare


def read_annotations(photos: Sequence[Path], annotations: Path) -> tuple[Loaded, Iterator[AnnotatedPhoto]]:
    """The format, and a stream of the annotated photos in the order of the annotations, one in memory at a time.

    The `Loaded` fills while the stream is read and is complete at its end. A photo that cannot be read, a mask of
    another size, an empty mask: a problem, and the next photo follows.
    """
    loaded = Loaded(recognise(annotations))
    return loaded, _stream(list(photos), annotations, loaded)


def convert(photos: Sequence[Path], annotations: Path, to: str, out: Path) -> Loaded:
    """Write the annotations of `photos` to the folder `out` in the format `to` (one of FORMATS), and say what happened.

    Raises AnnotationError for an unknown format, or where nothing at all could be read.
    """
    if to not in FORMATS:
        raise AnnotationError(f"{to}: no such format; one of {', '.join(FORMATS)}")
    _check_out(photos, annotations, to, out)
    loaded, stream = read_annotations(photos, annotations)
    first = next(stream, None)
    if first is None:
        reasons = (loaded.problems + [f"{source.where}: its photo is missing" for source in loaded.missing])[:3]
        raise AnnotationError(f"{annotations}: no photo has a usable annotation: {'; '.join(reasons) or 'it is empty'}")
    try:
        out.mkdir(parents=True, exist_ok=True)
        _format(to).write(_counted(_chain(first, stream), to, loaded), out)
    except OSError as error:
        raise AnnotationError(f"{out}: cannot be written ({error.strerror or error}); choose another folder") from None
    return loaded


def upright_size(path: Path) -> tuple[int, int, int]:
    """Height and width of the upright photo and its EXIF orientation (1 to 8), from the header alone."""
    if path.suffix.lower() in (".heic", ".heif"):  # turned by its decoder
        height, width = load_photo(path).shape[:2]
        return height, width, 1
    try:
        with opened_picture(path, str(path)) as image:
            orientation = int(image.getexif().get(274, 1) or 1)
            width, height = image.size
    except PhotoError:  # whatever the header's fault is, load_photo words it for the user
        height, width = load_photo(path).shape[:2]
        return height, width, 1
    return (width, height, orientation) if orientation in _UPRIGHT else (height, width, orientation)


def _check_out(photos: Sequence[Path], annotations: Path, to: str, out: Path) -> None:
    """Refuse a folder where writing would replace the photos or what is being read."""
    source = annotations if annotations.is_dir() else annotations.parent
    if out.resolve() == source.resolve():
        raise AnnotationError(f"{out}: holds the annotations that are read; write to another folder")
    clash = next((p for p in photos if to == "png" and (out / f"{p.stem}.png").resolve() == p.resolve()), None)
    if clash is not None:
        raise AnnotationError(f"{out}: holds the photo {clash.name}, which its mask would replace; write elsewhere")


def _format(name: str) -> Any:
    return import_module(f"retail_seg.segmentation.formats.{FORMATS[name]}")


def _chain(first: AnnotatedPhoto, rest: Iterable[AnnotatedPhoto]) -> Iterator[AnnotatedPhoto]:
    yield first
    yield from rest


def _counted(photos: Iterable[AnnotatedPhoto], to: str, loaded: Loaded) -> Iterator[AnnotatedPhoto]:
    """The photos; at their end a note says how many masks became boxes, where the format knows nothing else."""
    outlined = 0
    for photo in photos:
        outlined += len(set(photo.ids) - set(photo.boxes))
        yield photo
    if outlined and getattr(_format(to), "BOXES_ONLY", False):
        loaded.notes.append(f"{title(to)} hold no outlines: {outlined} instances were written as the boxes around them")


def _stream(photos: list[Path], annotations: Path, loaded: Loaded) -> Iterator[AnnotatedPhoto]:
    by_name = {path.name: path for path in photos}
    by_stem = {path.stem: path for path in photos}
    shared = {stem for stem, count in Counter(path.stem for path in photos).items() if count > 1}
    done: set[Path] = set()
    for source in _format(loaded.format).read(annotations):
        if isinstance(source, AnnotationError):
            loaded.problems.append(str(source))
            continue
        path = by_name.get(source.photo) or by_stem.get(source.stem)
        if path is None:
            loaded.missing.append(source)
        elif path.stem in shared and source.photo not in by_name:
            loaded.problems.append(f"{source.where}: several photos are called {path.stem}; rename all but one")
            done.update(p for p in photos if p.stem == path.stem)
        elif path in done:
            loaded.problems.append(f"{source.where}: is a second annotation of {path.name}; it was left out")
        else:
            done.add(path)
            yield from _one(path, source, loaded)
    loaded.unannotated = [path for path in photos if path not in done]


def _one(path: Path, source: AnnotationSource, loaded: Loaded) -> Iterator[AnnotatedPhoto]:
    """The annotated photo, or nothing and a problem."""
    try:
        height, width, orientation = upright_size(path)
        drawing = source.draw(height, width)
        labels, boxes = _fit(drawing, height, width, orientation)
        loaded.notes.extend(f"{source.where}: {note}" for note in drawing.notes)
        loaded.problems.extend(f"{source.where}: {problem}" for problem in drawing.problems)
        if labels.max(initial=0) <= 0:
            raise AnnotationError("is empty: no pixel belongs to an instance; annotate the photo or leave it out")
    except AnnotationError as error:
        loaded.problems.append(f"{source.where}: {error}")
    except RetailSegError as error:
        loaded.problems.append(str(error))
    else:
        loaded.read += 1
        yield AnnotatedPhoto(path.stem, path, labels, drawing.classes, boxes)


def _fit(drawing: Drawing, height: int, width: int, orientation: int) -> tuple[np.ndarray, dict[int, Box]]:
    """The ids (H, W) and boxes on the upright photo; AnnotationError where the size is another one."""
    h, w = drawing.labels.shape
    if (h, w) == (height, width):
        return drawing.labels, drawing.boxes
    if orientation in _UPRIGHT and (w, h) == (height, width):
        drawing.notes.append("was drawn on the photo as stored, before its EXIF rotation, and was turned upright")
        boxes = {number: turned(box, orientation, h, w) for number, box in drawing.boxes.items()}
        return np.ascontiguousarray(_UPRIGHT[orientation](drawing.labels)), boxes
    stated_size((h, w), height, width)
    raise AnnotationError(f"lies on its side ({w} × {h} pixels), and nothing says how the photo was turned")
