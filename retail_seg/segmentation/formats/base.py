"""What every annotation format shares: one photo's instances as an id image, polygons in and out, small files.

Coordinates of polygons are continuous, x to the right and y down, with the corner of the first pixel at (0, 0): the
pixel in column i covers [i, i + 1]. A pixel belongs to a polygon when its centre does (COCO's rule).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from PIL import Image

from retail_seg.errors import AnnotationError
from retail_seg.photos.load import SUFFIXES
from retail_seg.segmentation.boxes import IGNORE, IGNORED_CLASS, IN_FRONT, Box, is_ignored, keeps
from retail_seg.system.files import replace_file, whole_file

#: The class of an instance where a format or a file names none.
NO_CLASS = "object"
#: A vertex this many pixels outside the photo is rounding, not worth a word.
EDGE_TOLERANCE = 1.0
#: Outlines are simplified by less than the distance from a crack midpoint diagonal to a pixel centre (.354),
#: so reading them back gives the same mask.
LOSSLESS = 0.3
#: Larger files of annotations are not read.
MAX_BYTES = 2**30
#: A vertex so many pixels away is of no photo.
FAR = 1e7
#: Crossings of an outline's edges with rows of pixels; a jagged outline of a large photo has some 100,000.
MAX_CROSSINGS = 10_000_000
#: What is said of an annotation of another size, after that size.
OTHER_SIZE = "its upright photo {} × {}; export it at that size"


@dataclass(frozen=True, eq=False)
class AnnotatedPhoto:
    """A photo and its instances.

    name     the photo's stem
    path     the photo
    labels   (H, W) int32, size of the upright photo, 0 = background, boxes.IGNORE = nobody knows
    classes  instance id ► class name, where the annotation names one
    boxes    instance id ► the box as it was given, of instances that are boxes: of their corners nothing is known
    """

    name: str
    path: Path
    labels: np.ndarray
    classes: Mapping[int, str] = field(default_factory=dict)
    boxes: Mapping[int, Box] = field(default_factory=dict)

    @property
    def ids(self) -> list[int]:
        """The instance ids, ascending."""
        return [int(i) for i in np.unique(self.labels) if i > 0]


@dataclass(frozen=True, eq=False)
class Drawing:
    """Instances as drawn, at the size the format states: ids (H, W) int32, classes by id, and what was odd.

    `notes` tell of something changed and kept (a polygon clipped), `problems` of an instance that was lost. `boxes`
    are of the instances that were given as such.
    """

    labels: np.ndarray
    classes: dict[int, str]
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    boxes: dict[int, Box] = field(default_factory=dict)


@dataclass(frozen=True)
class AnnotationSource:
    """The annotation of one photo, drawn only when asked for.

    `photo` is the photo's file name or stem, `where` what an error calls this annotation. `draw(height, width)`
    takes the size of the upright photo, which counts only where the format states no size of its own; it raises
    AnnotationError where nothing can be drawn.
    """

    photo: str
    where: str
    draw: Callable[[int, int], Drawing]

    @property
    def stem(self) -> str:
        """The photo's stem; where only a stem is known, it can have dots of its own."""
        name = Path(self.photo)
        return name.stem if name.suffix.lower() in SUFFIXES else self.photo


@dataclass(frozen=True, eq=False)
class Region:
    """A mask (h, w) bool and the row and column of its first pixel; `box` where it is but a box, as it was given."""

    top: int
    left: int
    mask: np.ndarray
    box: Box | None = None

    @property
    def area(self) -> int:
        """Pixels of the mask."""
        return int(self.mask.sum())


def fill_rings(rings: Sequence[np.ndarray], height: int, width: int) -> Region:
    """Pixels whose centre lies inside the rings by the even-odd rule, clipped to the photo.

    `rings`: arrays (k, 2) of x, y; a ring within a ring is a hole; a bridge walked there and back fills nothing.
    Crossings of every edge with every row of pixel centres toggle the rest of that row.
    """
    start = np.concatenate(rings)
    end = np.concatenate([np.roll(ring, -1, axis=0) for ring in rings])
    top = int(np.clip(np.floor(start[:, 1].min()), 0, height))
    bottom = int(np.clip(np.ceil(start[:, 1].max()), top, height))
    left = int(np.clip(np.floor(start[:, 0].min()), 0, width))
    right = int(np.clip(np.ceil(start[:, 0].max()), left, width))
    low, high = np.minimum(start[:, 1], end[:, 1]), np.maximum(start[:, 1], end[:, 1])
    first = np.clip(np.ceil(low - 0.5), top, bottom).astype(np.int64)  # rows whose centre is in [low, high)
    count = np.clip(np.ceil(high - 0.5), top, bottom).astype(np.int64) - first
    if count.sum() > MAX_CROSSINGS:
        raise AnnotationError("has an outline that is too long to be one of a thing; draw it again")
    edge = np.repeat(np.arange(len(start)), count)
    row = np.arange(len(edge)) - np.repeat(np.cumsum(count) - count, count) + first[edge]
    (x0, y0), (x1, y1) = start[edge].T, end[edge].T
    x = x0 + (row + 0.5 - y0) * (x1 - x0) / (y1 - y0)
    column = np.clip(np.ceil(x - 0.5), left, right).astype(np.int64)
    toggles = np.zeros((bottom - top, right - left + 1), np.int64)
    np.add.at(toggles, (row - top, column - left), 1)
    return Region(top, left, np.cumsum(toggles, axis=1)[:, :-1] % 2 == 1)


def stated_size(stated: tuple[Any, Any], height: int, width: int) -> tuple[int, int]:
    """Height and width that a format states for a photo, or the photo's own where it states none.

    The photo lying on its side is let through here. Raises AnnotationError for any other size.
    """
    if stated[0] is None or stated[1] is None:
        return height, width
    if stated not in ((height, width), (width, height)):
        raise AnnotationError(f"is {stated[1]} × {stated[0]} pixels, {OTHER_SIZE.format(width, height)}")
    return stated


def check_ring(values: Any, what: str) -> np.ndarray:
    """A ring (k, 2) float64 of three or more points, given as pairs or flat; AnnotationError names `what`."""
    try:
        ring = np.asarray(values, np.float64)
    except (TypeError, ValueError):
        raise AnnotationError(f"{what} has an outline that is not a list of numbers") from None
    if ring.ndim == 1 and ring.size % 2 == 0:
        ring = ring.reshape(-1, 2)
    if ring.ndim != 2 or ring.shape[1] != 2 or len(ring) < 3:
        raise AnnotationError(f"{what} has an outline of fewer than three points (x, y)")
    if not np.isfinite(ring).all():
        raise AnnotationError(f"{what} has an outline with coordinates that are not finite")
    if np.abs(ring).max() > FAR:
        raise AnnotationError(f"{what} has an outline with coordinates far outside of any photo")
    return ring


def polygon_region(rings: Sequence[np.ndarray], height: int, width: int, what: str, notes: list[str]) -> Region:
    """The union of polygons, clipped to the photo (said in `notes`); AnnotationError where nothing is left of it."""
    points = np.concatenate(rings)
    outside = (points < -EDGE_TOLERANCE) | (points > np.array([width, height]) + EDGE_TOLERANCE)
    labels = np.zeros((height, width), bool)
    for ring in rings:
        region = fill_rings([ring], height, width)
        h, w = region.mask.shape
        labels[region.top : region.top + h, region.left : region.left + w] |= region.mask
    if not labels.any():
        if outside.any():
            raise AnnotationError(f"{what} lies outside the photo ({width} × {height})")
        raise AnnotationError(f"{what} covers no pixel")
    if outside.any():
        notes.append(f"{what} reaches outside the photo ({width} × {height}) and was clipped")
    return crop_region(labels)


def box_region(values: Any, height: int, width: int, what: str, notes: list[str]) -> Region:
    """A box given as x, y, width and height, clipped to the photo; AnnotationError where it is none."""
    try:
        x, y, w, h = (float(v) for v in values)
    except (TypeError, ValueError):
        raise AnnotationError(f"{what} has a box that is not four numbers x, y, width, height") from None
    if not all(np.isfinite(v) for v in (x, y, w, h)) or w <= 0 or h <= 0:
        raise AnnotationError(f"{what} has a box of {w:g} × {h:g} pixels at {x:g}, {y:g}")
    near, far = np.array([x, y]), np.array([x + w, y + h])
    inside = np.clip(np.ceil(np.stack([near, far]) - 0.5), 0, (width, height)).astype(int)  # pixels by their centres
    (first, top), (last, bottom) = inside.tolist()
    outside = bool((near < -EDGE_TOLERANCE).any() or (far > np.array([width, height]) + EDGE_TOLERANCE).any())
    if last <= first or bottom <= top:
        lies = f"lies outside the photo ({width} × {height})" if outside else "covers no pixel"
        raise AnnotationError(f"{what} {lies}")
    if outside:
        notes.append(f"{what} reaches outside the photo ({width} × {height}) and was clipped")
    low, high = np.maximum(near, 0), np.minimum(far, (width, height))
    box = (float(low[0]), float(low[1]), float(high[0] - low[0]), float(high[1] - low[1]))
    return Region(top, first, np.ones((bottom - top, last - first), bool), box)


def checked_boxes(given: Mapping[int, Any], labels: np.ndarray, notes: list[str]) -> dict[int, Box]:
    """Instance id ► box of those given as x, y, width, height beside ids (H, W); `notes` tell of one that is none."""
    boxes: dict[int, Box] = {}
    height, width = labels.shape
    for number, values in given.items():
        try:
            box = box_region(values, height, width, f"instance {number}", notes).box
        except AnnotationError as error:
            notes.append(f"{error}; it was taken as a mask")
        else:
            assert box is not None
            boxes[number] = box
    return boxes


def crop_region(mask: np.ndarray) -> Region:
    """A full-size mask (H, W) bool, cut to its box; an empty one stays empty."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return Region(0, 0, mask[:0, :0])
    return Region(int(rows[0]), int(columns[0]), mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])


def regions(labels: np.ndarray) -> Iterator[tuple[int, Region]]:
    """(id, region) of every instance of an id image (H, W), ids ascending."""
    from scipy.ndimage import find_objects

    values, dense = np.unique(labels, return_inverse=True)
    dense = dense.reshape(labels.shape) + 1  # ids can be sparse and large; find_objects wants small ones, from 1 on
    for index, box in enumerate(find_objects(dense)):
        if values[index] > 0:
            yield int(values[index]), Region(box[0].start, box[1].start, dense[box] == index + 1)


def ignored_region(labels: np.ndarray) -> Region | None:
    """The pixels of an id image (H, W) that are to be ignored, None where there are none."""
    region = crop_region(labels == IGNORE)
    return region if region.mask.size else None


def boxes_to_write(photo: AnnotatedPhoto) -> Iterator[tuple[str, Box]]:
    """(class, box) of every instance for a format that knows only boxes, then those of what is to be ignored."""
    for number, region in regions(photo.labels):
        h, w = region.mask.shape
        yield photo.classes.get(number, NO_CLASS), photo.boxes.get(number, (region.left, region.top, w, h))
    from scipy.ndimage import find_objects, label

    for rows, columns in find_objects(label(photo.labels == IGNORE)[0]):
        width, height = columns.stop - columns.start, rows.stop - rows.start
        yield IGNORED_CLASS, (columns.start, rows.start, width, height)


def paint(shown: Sequence[tuple[int, Region]], height: int, width: int) -> tuple[np.ndarray, list[int]]:
    """Id image (H, W) int32 of (id, region) pairs, and the ids of which nothing is seen.

    A pixel holds one instance: the larger is painted first, so that a small one lying on a large one is kept. Two
    boxes share their overlap (`boxes.keeps`); what is to be ignored lies below all.
    """
    labels = np.zeros((height, width), np.int32)
    boxes = {number: region.box for number, region in shown if region.box is not None}
    for number, region in sorted(shown, key=lambda pair: (pair[0] > 0, -pair[1].area)):
        h, w = region.mask.shape
        under = labels[region.top : region.top + h, region.left : region.left + w]
        mine = region.mask
        if region.box is not None and number > 0:
            mine = mine & ~_kept(under, region, region.box, boxes)
        under[mine] = number
    seen = set(np.unique(labels).tolist())
    return labels, [number for number, _ in shown if number not in seen]


def _kept(under: np.ndarray, region: Region, box: Box, boxes: Mapping[int, Box]) -> np.ndarray:
    """Pixels (h, w) bool below a box that stay with what was painted there before it.

    A mask says more than a box and keeps what it has, unless the box lies on it with IN_FRONT of itself or more.
    """
    kept = np.zeros(under.shape, bool)
    for number in (int(i) for i in np.unique(under) if i > 0):
        overlap = region.mask & (under == number)
        if number in boxes:
            rows, columns = np.nonzero(overlap)
            kept[rows, columns] = keeps(boxes[number], box, rows + region.top, columns + region.left)
        elif overlap.sum() < IN_FRONT * region.area:
            kept |= overlap
    return kept


def draw_shapes(shapes: Iterable[tuple[str, Callable[[list[str]], Region], str]], height: int, width: int) -> Drawing:
    """Drawing of (name in messages, function giving the region, class) triples; ids are 1..n in their order.

    A shape that raises AnnotationError, or that others cover completely, is a problem of the drawing. Shapes whose
    class is boxes.IGNORED_CLASS are no instances: their pixels are to be ignored.
    """
    notes: list[str] = []
    problems: list[str] = []
    shown: list[tuple[int, Region]] = []
    classes: dict[int, str] = {}
    names: dict[int, str] = {}
    for what, region_of, label in shapes:
        try:
            region = region_of(notes)
        except AnnotationError as error:
            problems.append(f"{error}; it was left out")
            continue
        number = IGNORE if is_ignored(label) else len(classes) + 1
        shown.append((number, region))
        if number > 0:
            classes[number], names[number] = label, what
    labels, hidden = paint(shown, height, width)
    for number in hidden:
        if number > 0:
            problems.append(f"{names[number]} is covered completely by others; it was left out")
            del classes[number]
    boxes = {number: region.box for number, region in shown if number in classes and region.box is not None}
    return Drawing(labels, classes, notes, problems, boxes)


def outlines(mask: np.ndarray, top: int = 0, left: int = 0) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Outer rings and holes of a mask (h, w) bool as (k, 2) float64 x, y; `fill_rings` of all gives the mask again.

    Marching squares at one half (scikit-image), so a ring runs through the cracks between pixels.
    """
    from skimage.measure import approximate_polygon, find_contours

    padded = np.pad(np.asarray(mask, np.float64), 1)
    outer: list[np.ndarray] = []
    holes: list[np.ndarray] = []
    for contour in find_contours(padded, 0.5, fully_connected="high"):
        ring = approximate_polygon(contour, LOSSLESS)[:-1, ::-1] + (left - 0.5, top - 0.5)
        x, y = ring.T
        turn = float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))
        (holes if turn > 0 else outer).append(ring)
    return outer, holes


def read_json(path: Path) -> Any:
    """The parsed JSON of a file; AnnotationError names the file."""
    try:
        return json.loads(read_text(path))
    except (OSError, ValueError, RecursionError) as error:  # also numbers and nesting that Python does not take
        raise AnnotationError(f"{path.name}: is not readable JSON ({error}); export it again") from None


def read_text(path: Path) -> str:
    """The text of a file of annotations in UTF-8; AnnotationError where it is larger than any of them."""
    if path.stat().st_size > MAX_BYTES:
        raise AnnotationError(f"{path.name}: is larger than {MAX_BYTES >> 20} MB; split it")
    return path.read_text(encoding="utf-8-sig")


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    replace_file(path, text.encode())


def write_png(path: Path, image: Image.Image) -> None:
    """Write a picture as PNG whole or not at all."""
    with whole_file(path) as temporary:
        image.save(temporary, "PNG")


def each_file(
    files: Iterable[Path], read: Callable[[Path], AnnotationSource]
) -> Iterator[AnnotationSource | AnnotationError]:
    """What is read of each file, one a photo; the error in its place of one that cannot be read."""
    for file in files:
        found: AnnotationSource | AnnotationError
        try:
            found = read(file)
        except AnnotationError as error:
            found = error
        yield found


def photo_beside(file: Path, named: str) -> str:
    """The photo that an annotation file is of: as it is `named` there, if that has the file's own stem, else the stem.

    The file's own stem is what pairs both; the name in it can be of before a renaming, or of another machine.
    """
    name = PurePosixPath(named.replace("\\", "/")).name
    return name if PurePosixPath(name).stem == file.stem else file.stem
