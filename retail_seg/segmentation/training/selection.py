"""Which photos of a folder are meant, and which of their annotations can be used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from retail_seg.errors import AnnotationError, PhotoError
from retail_seg.photos.load import find_photos, load_photo
from retail_seg.segmentation.annotations import AnnotatedPhoto, read_annotations


@dataclass(frozen=True)
class Selection:
    """Annotated photos that can be used; `problems` say what was lost of those meant, `notes` what else was seen."""

    annotated: list[AnnotatedPhoto]
    problems: list[str]
    notes: list[str]


def listed_photos(folder: Path, names: Path | None) -> list[Path]:
    """The photos of a folder, or those that a text file names, one name or stem a line ("#" begins a comment).

    Raises PhotoError for a folder without photos, an unreadable list, or a name that no photo or several have.
    """
    photos = find_photos(folder)
    if names is None:
        return photos
    try:
        lines = names.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise PhotoError(f"{names}: is not a readable text file ({error}); give one photo's name a line") from None
    wanted: list[Path] = []
    for number, line in enumerate(lines, 1):
        name = line.split("#", 1)[0].strip()
        found = [p for p in photos if p.name == name] or [p for p in photos if p.stem == name]
        if name and len(found) != 1:
            fault = "several photos have this stem" if found else f"no such photo in {folder}"
            raise PhotoError(f"{names} line {number}: {name}: {fault}; give the file name of one that is there")
        wanted.extend(p for p in found if name and p not in wanted)
    if not wanted:
        raise PhotoError(f"{names}: names no photo; give one photo's name a line")
    return wanted


def select_annotated(folder: Path, annotations: Path, names: Path | None = None) -> Selection:
    """The annotated photos of a folder, each read once to see that it can be.

    A photo that a list names and nothing annotates is a problem; without a list, photos may wait for annotation.
    """
    photos = listed_photos(folder, names)
    loaded, stream = read_annotations(photos, annotations)
    annotated: list[AnnotatedPhoto] = []
    problems: list[str] = []
    for photo in stream:
        try:
            load_photo(photo.path)
            annotated.append(photo)
        except PhotoError as error:
            problems.append(str(error))
    order = {path: i for i, path in enumerate(photos)}
    annotated.sort(key=lambda photo: order[photo.path])
    problems += loaded.problems
    notes = list(loaded.notes)
    if names is not None:
        problems += [f"{path}: has no annotation in {annotations}" for path in loaded.unannotated]
    elif loaded.unannotated:
        notes.append(_count(len(loaded.unannotated), "photo has", "photos have") + " no annotation and are left out")
    in_folder = {p.stem for p in find_photos(folder)}
    missing = [source.where for source in loaded.missing if source.stem not in in_folder]
    if missing:
        notes.append(_count(len(missing), "annotation has", "annotations have") + f" no photo, {missing[0]} for one")
    if not annotated:
        reasons = "; ".join(problems[:3]) or f"{len(loaded.missing)} annotations belong to other photos"
        raise AnnotationError(f"{annotations}: annotates none of the photos in {folder} usably: {reasons}")
    return Selection(annotated, problems, notes)


def rank_by_uncertainty(
    photos: Iterable[Path], uncertainty: Callable[[np.ndarray], float]
) -> tuple[list[tuple[Path, float]], list[PhotoError]]:
    """Photos with how unsure the model is of each, most unsure first, and the errors of those that cannot be read."""
    found: list[tuple[Path, float]] = []
    errors: list[PhotoError] = []
    for path in photos:
        try:
            found.append((path, uncertainty(load_photo(path))))
        except PhotoError as error:
            errors.append(error)
    return sorted(found, key=lambda pair: -pair[1]), errors


def check_mask_names(photos: Sequence[Path], out: Path) -> None:
    """Raises PhotoError where two masks OUT/<stem>.png would have one name, or one would replace a photo."""
    stem, count = Counter(p.stem for p in photos).most_common(1)[0]
    if count > 1:
        same = ", ".join(str(p) for p in photos if p.stem == stem)
        raise PhotoError(f"{same}: would all be written to {out / stem}.png; rename all but one")
    for path in photos:
        if (out / f"{path.stem}.png").resolve() == path.resolve():
            raise PhotoError(f"{path}: would be replaced by its mask; write to another folder than {out}")


def unlabelled_photos(folder: Path, annotations: Path | None) -> list[Path]:
    """The photos of a folder that have no usable annotation yet; all of them where there are no annotations."""
    photos = find_photos(folder)
    if annotations is None:
        return photos
    _, stream = read_annotations(photos, annotations)
    done = {photo.path for photo in stream}
    return [path for path in photos if path not in done]


def _count(n: int, one: str, many: str) -> str:
    return f"{n} {one if n == 1 else many}"
