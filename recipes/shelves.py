"""Folders of shelf photos with boxes ► samples to train on, and the open sets that are worth their bytes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from retail_seg.errors import AnnotationError
from retail_seg.photos.load import SUFFIXES
from retail_seg.segmentation.annotations import AnnotatedPhoto, read_annotations, recognise
from retail_seg.segmentation.boxes import IGNORE
from retail_seg.segmentation.formats.instance_png import UNKNOWN
from retail_seg.segmentation.samples import at_working_size

#: For the help of whatever takes such folders.
HELP = """folder of shelf photos with boxes in any known format (COCO: annotations.json beside the photos, or one of
Roboflow's splits with _annotations.coco.json); may be given several times. Real shelves teach what composed ones
cannot: clutter, rails, film, crushed packs, products by the thousand. Open sets, to be fetched by hand:
Supermarket Shelves by Humans in the Loop (CC0; 45 photos, 11,743 boxes, some 260 a photo: small facings, whole aisles);
Holoselecta (CC BY 4.0; 295 photos of vending machines: packs behind glass, hung and in coils, under glare);
SKUs_on_shelves_PL (CC BY 4.0; some 27,000: Polish shops, so packs and shelves that no other set here shows).
Name the sets under CC BY in the card of the model."""
#: File that says that all pictures of a set are there.
DONE = "whole"
#: Folders in which the photos of a set lie, beside its annotations or below it.
PHOTO_FOLDERS = ("", "images", "img", "photos", "JPEGImages")


def load_boxes_folder(folder: Path, side: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Samples of a set with the longer side `side`: RGB uint8 (h, w, 3) and labels int32 (h, w), one at a time.

    In the labels 0 is background and boxes.IGNORE what nobody knows: crowds, and regions marked so. Raises
    AnnotationError where the folder holds no annotated photo; what is lost is printed.
    """
    for annotated in annotated_photos(folder):
        yield at_working_size(annotated, side)


def as_scenes(folder: Path, out: Path, side: int) -> Path:
    """A set as ready pictures, NAME.jpg with the 16-bit ids of NAME.png, in `out`; made once. Returns `out`."""
    if not (out / DONE).is_file():
        out.mkdir(parents=True, exist_ok=True)
        for number, (picture, labels) in enumerate(load_boxes_folder(folder, side)):
            name = out / f"{number:05d}"
            cv2.imwrite(f"{name}.jpg", picture[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])
            cv2.imwrite(f"{name}.png", np.where(labels == IGNORE, UNKNOWN, labels).astype(np.uint16))
        (out / DONE).touch()
    return out


def annotated_photos(folder: Path) -> Iterator[AnnotatedPhoto]:
    """The annotated photos of a set, or of the splits in it (`train`, `valid`, `test`, `ds0` …)."""
    sets = [one for one in (folder, *sorted(p for p in folder.iterdir() if p.is_dir())) if _annotated(one)]
    if folder in sets:
        sets = [folder]
    found = 0
    for one in sets:
        photos = _photos(one)
        loaded, stream = read_annotations(photos, one)
        for annotated in stream:
            found += 1
            yield annotated
        for problem in loaded.problems:
            print(f"{one}: {problem}", flush=True)
    if not found:
        raise AnnotationError(f"{folder}: holds no photo with boxes; give a folder of photos and their annotations")


def _annotated(folder: Path) -> bool:
    """Whether a folder holds annotations, other than PNGs, which could be its photos."""
    try:
        return recognise(folder) != "png"
    except AnnotationError:
        return False


def _photos(folder: Path) -> Sequence[Path]:
    """The photos of a set: in the first of PHOTO_FOLDERS, in it or beside its annotations, that has some."""
    for base in (folder, folder.parent):
        for name in PHOTO_FOLDERS:
            inside = base / name
            files = sorted(p for p in inside.iterdir() if p.suffix.lower() in SUFFIXES) if inside.is_dir() else []
            if files:
                return files
    return []
