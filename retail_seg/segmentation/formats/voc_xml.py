"""Pascal VOC boxes (VOC2012 development kit): Annotations/<stem>.xml, one file a photo, boxes in `bndbox`.

Corners are taken as they stand, as today's tools write them (x to the right from 0), not as the kit's pixels from 1.
`difficult` marks what VOC's own scores leave out: such a region is to be ignored.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from retail_seg.errors import AnnotationError
from retail_seg.segmentation.boxes import IGNORED_CLASS, Box
from retail_seg.segmentation.formats.base import (
    NO_CLASS,
    AnnotatedPhoto,
    AnnotationSource,
    Drawing,
    Region,
    box_region,
    boxes_to_write,
    draw_shapes,
    each_file,
    photo_beside,
    stated_size,
    write_text,
)

TITLE = "Pascal VOC boxes"
BOXES_ONLY = True
FOLDER = "Annotations"
#: A file of more bytes is no annotation of one photo.
MAX_BYTES = 20 * 2**20


def recognises(path: Path) -> bool:
    """An XML file with an <annotation>, a folder with one, or a folder with `Annotations` in it."""
    return any(_is_voc(p) for p in _files(path))


def read(path: Path) -> Iterator[AnnotationSource | AnnotationError]:
    """The boxes in each XML file, sorted by name."""
    return each_file(_files(path), _source)


def _source(file: Path) -> AnnotationSource:
    tree = _parse(file)
    photo = photo_beside(file, (tree.findtext("filename") or "").strip())
    return AnnotationSource(photo, file.name, partial(_draw, tree))


def write(photos: Iterable[AnnotatedPhoto], out: Path) -> None:
    """Write OUT/Annotations/<stem>.xml per photo."""
    for photo in photos:
        height, width = photo.labels.shape
        objects = [_object(label, box) for label, box in boxes_to_write(photo)]
        size = f"<size><width>{width}</width><height>{height}</height><depth>3</depth></size>"
        head = f"<filename>{escape(photo.path.name)}</filename>\n  {size}\n  <segmented>0</segmented>"
        text = f"<annotation>\n  {head}\n{''.join(objects)}</annotation>\n"
        write_text(out / FOLDER / f"{photo.name}.xml", text)


def _object(label: str, box: Box) -> str:
    x, y, w, h = box
    corners = {"xmin": x, "ymin": y, "xmax": x + w, "ymax": y + h}
    bndbox = "".join(f"<{name}>{round(value, 2):g}</{name}>" for name, value in corners.items())
    difficult = int(label == IGNORED_CLASS)
    about = f"<name>{escape(label)}</name><difficult>{difficult}</difficult>"
    return f"  <object>{about}<bndbox>{bndbox}</bndbox></object>\n"


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        folder = path / FOLDER if (path / FOLDER).is_dir() else path
        return sorted(p for p in folder.glob("*.xml") if p.is_file())
    return [path] if path.suffix.lower() == ".xml" else []


def _is_voc(path: Path) -> bool:
    try:
        return _parse(path).tag == "annotation"
    except AnnotationError:
        return False


def _parse(path: Path) -> ElementTree.Element:
    """The root of an XML file; a document type, which could define entities that explode, is refused."""
    try:
        data = path.read_bytes() if path.stat().st_size <= MAX_BYTES else None
    except OSError as error:
        raise AnnotationError(f"{path.name}: cannot be read ({error.strerror or error}); export it again") from None
    if data is None or b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        raise AnnotationError(f"{path.name}: is too large or defines entities, which no annotation does; take it out")
    try:
        return ElementTree.fromstring(data)
    except (ElementTree.ParseError, ValueError) as error:
        raise AnnotationError(f"{path.name}: is not readable XML ({error}); export it again") from None


def _draw(tree: ElementTree.Element, height: int, width: int) -> Drawing:
    height, width = stated_size(
        (_number(tree.findtext("size/height")), _number(tree.findtext("size/width"))), height, width
    )
    shapes = []
    for number, item in enumerate(tree.findall("object"), 1):
        label = (item.findtext("name") or "").strip() or NO_CLASS
        what = f"object {number} ({label})"
        if (item.findtext("difficult") or "0").strip() == "1":
            label = IGNORED_CLASS
        shapes.append((what, partial(_region, item, what, height, width), label))
    return draw_shapes(shapes, height, width)


def _number(text: str | None) -> int | None:
    """A stated length in pixels; None where none is stated (tools write 0 for that)."""
    try:
        return int(float(text or 0)) or None
    except (ValueError, OverflowError):
        return None


def _region(item: ElementTree.Element, what: str, height: int, width: int, notes: list[str]) -> Region:
    texts = [item.findtext(f"bndbox/{name}") for name in ("xmin", "ymin", "xmax", "ymax")]
    try:
        left, top, right, bottom = (float(text or "") for text in texts)
    except ValueError:
        raise AnnotationError(f"{what} has no bndbox with four numbers") from None
    return box_region((left, top, right - left, bottom - top), height, width, what, notes)
