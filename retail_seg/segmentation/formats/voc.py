"""Pascal VOC masks (VOC2012 development kit): SegmentationObject and SegmentationClass, palette PNGs.

255 is void, which VOC's own scores leave out: such pixels are to be ignored.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

from retail_seg.errors import AnnotationError
from retail_seg.segmentation.boxes import IGNORE
from retail_seg.segmentation.formats.base import (
    NO_CLASS,
    AnnotatedPhoto,
    AnnotationSource,
    Drawing,
    read_text,
    write_png,
    write_text,
)
from retail_seg.segmentation.formats.instance_png import open_mask

TITLE = "Pascal VOC masks"
VOID = 255
#: Void's colour, (224, 224, 192), packed as `pack` does.
VOID_CODE = 0xE0E0C0
OBJECTS, CLASSES, LABELMAP = "SegmentationObject", "SegmentationClass", "labelmap.txt"
#: The class names of VOC2012, taken where the folder has no labelmap.txt.
# fmt: off
VOC_NAMES = (
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable",
    "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)
# fmt: on


def colour_map() -> np.ndarray:
    """VOC's palette (256, 3) uint8: the bits of the index are spread over red, green and blue from the top down."""
    index = np.arange(256)
    colours = np.zeros((256, 3), np.uint8)
    for bit in range(8):
        for channel in range(3):
            colours[:, channel] |= ((index >> (3 * bit + channel) & 1) << (7 - bit)).astype(np.uint8)
    return colours


def recognises(path: Path) -> bool:
    """A folder with SegmentationObject in it, that folder itself, or a folder of PNGs with VOC's palette."""
    return bool(_masks(path)) and (_folder(path).name == OBJECTS or _has_palette(_masks(path)[0]))


def read(path: Path) -> Iterator[AnnotationSource | AnnotationError]:
    """The objects of each mask, sorted by name; classes from SegmentationClass beside it."""
    folder = _folder(path)
    names = _read_names(folder)
    for mask in _masks(path):
        yield AnnotationSource(mask.stem, mask.name, partial(_draw, mask, folder.parent / CLASSES / mask.name, names))


def write(photos: Iterable[AnnotatedPhoto], out: Path) -> None:
    """Write OUT/SegmentationObject, OUT/SegmentationClass, OUT/labelmap.txt and the list of photos.

    Raises AnnotationError for a photo with more than 254 instances, which the format cannot number.
    """
    colours = colour_map()
    names: dict[str, int] = {"background": 0}
    stems = []
    for photo in photos:
        objects, classes = np.zeros(photo.labels.shape, np.uint8), np.zeros(photo.labels.shape, np.uint8)
        ids = photo.ids
        for label in (photo.classes.get(i, NO_CLASS) for i in ids):
            names.setdefault(label, len(names))
        if len(ids) >= VOID or len(names) > VOID:
            counts = f"{len(ids)} instances and {len(names) - 1} classes"
            raise AnnotationError(f"{photo.name}: has {counts}, and VOC ends at 254; convert to png or coco")
        order = np.searchsorted([0, *ids], photo.labels)
        objects[:] = order
        classes[:] = np.array([0] + [names[photo.classes.get(i, NO_CLASS)] for i in ids])[order]
        objects[photo.labels == IGNORE] = classes[photo.labels == IGNORE] = VOID
        _write_palette(out / OBJECTS / f"{photo.name}.png", objects, colours)
        _write_palette(out / CLASSES / f"{photo.name}.png", classes, colours)
        stems.append(photo.name)
    rows = [f"{name}:{','.join(map(str, colours[i]))}::\n" for name, i in names.items()]
    write_text(out / LABELMAP, "# label:color_rgb:parts:actions\n" + "".join(rows))
    write_text(out / "ImageSets" / "Segmentation" / "default.txt", "".join(f"{stem}\n" for stem in stems))


def _write_palette(path: Path, values: np.ndarray, colours: np.ndarray) -> None:
    from PIL import Image

    image = Image.fromarray(values)
    image.putpalette(colours.ravel().tolist())
    write_png(path, image)


def _folder(path: Path) -> Path:
    return path / OBJECTS if (path / OBJECTS).is_dir() else path


def _masks(path: Path) -> list[Path]:
    folder = _folder(path)
    return sorted(p for p in folder.iterdir() if p.suffix.lower() == ".png") if folder.is_dir() else []


def _has_palette(mask: Path) -> bool:
    try:
        palette = open_mask(mask).getpalette()
    except AnnotationError:
        return False
    return palette is not None and palette[:24] == colour_map().ravel().tolist()[:24]


def _draw(mask: Path, class_mask: Path, names: dict[int, str], height: int, width: int) -> Drawing:
    objects = _colours(mask)
    found, dense = np.unique(objects, return_inverse=True)
    palette = {code: i for i, code in enumerate(pack(colour_map()).tolist())}
    order = sorted((c for c in found.tolist() if c and c != VOID_CODE), key=lambda code: (palette.get(code, 256), code))
    numbers = {VOID_CODE: IGNORE} | {code: i for i, code in enumerate(order, 1)}
    labels = np.array([numbers.get(code, 0) for code in found.tolist()], np.int32)[dense].reshape(objects.shape)
    if not class_mask.is_file():
        return Drawing(labels, dict.fromkeys(range(1, len(order) + 1), NO_CLASS))
    painted = _colours(class_mask)
    if painted.shape != objects.shape:
        raise AnnotationError(f"its class mask {CLASSES}/{class_mask.name} has another size; export both again")
    classes, problems = _classes(labels, painted, names)
    return Drawing(labels, classes, problems=problems)


def pack(colours: np.ndarray) -> np.ndarray:
    """RGB colours (..., 3) uint8 as one int32 each, red highest."""
    wide = colours.astype(np.int32)
    return (wide[..., 0] << 16) | (wide[..., 1] << 8) | wide[..., 2]


def _colours(path: Path) -> np.ndarray:
    """A mask as packed colours (H, W) int32, so that palette and RGB exports read the same."""
    image = open_mask(path)
    if image.mode in ("L", "1"):  # indices whose palette was dropped on the way
        indices = np.asarray(image.convert("L") if image.mode == "L" else image, np.uint8)
        codes = pack(colour_map()[indices])
    else:
        codes = pack(np.asarray(image.convert("RGB")))
        if image.mode == "P":
            codes[np.asarray(image) == VOID] = VOID_CODE
    return codes


def _classes(labels: np.ndarray, painted: np.ndarray, names: dict[int, str]) -> tuple[dict[int, str], list[str]]:
    """Class of each object: the colour that most of its pixels have in the class mask."""
    classes: dict[int, str] = {}
    problems: list[str] = []
    for number in range(1, int(labels.max(initial=0)) + 1):
        codes, counts = np.unique(painted[labels == number], return_counts=True)
        code = int(codes[counts.argmax()])
        classes[number] = names.get(code, NO_CLASS)
        if code not in names:
            problems.append(f"object {number} has the class colour #{code:06x}, which {LABELMAP} does not list")
    return classes, problems


def _read_names(folder: Path) -> dict[int, str]:
    """Colour ► class name of the labelmap.txt in or above the folder, or VOC's twenty where there is none."""
    found = next((p for p in (folder / LABELMAP, folder.parent / LABELMAP) if p.is_file()), None)
    if found is None:
        return dict(zip(pack(colour_map()).tolist(), VOC_NAMES, strict=False))
    names: dict[int, str] = {}
    for line in read_text(found).splitlines():
        parts = line.rsplit(":", 3)  # from the right: a name can hold a colon
        values = parts[1].split(",") if len(parts) > 1 and not line.startswith("#") else []
        if len(values) == 3 and all(v.strip().isdigit() for v in values):
            names[int(pack(np.array([int(v) for v in values])))] = parts[0]
    return names
