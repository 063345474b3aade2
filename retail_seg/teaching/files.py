"""Small files of the annotation set: photos as given and upright, ids, patches of edits; and a small cache."""

from __future__ import annotations

import io
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, Generic, TypeVar

import cv2
import numpy as np

from retail_seg.errors import AnnotationError
from retail_seg.photos.load import encode_picture, opened_picture
from retail_seg.segmentation.boxes import IGNORE, Box
from retail_seg.segmentation.formats.instance_png import UNKNOWN
from retail_seg.system.files import replace_file
from retail_seg.teaching.edits import Patch

#: Formats that are kept byte for byte where they are upright, and the ending of each.
KEPT = {"JPEG": ".jpg", "PNG": ".png", "WEBP": ".webp"}
#: Formats without loss; what is not upright of them becomes PNG.
_LOSSLESS = ("PNG", "TIFF", "BMP")

T = TypeVar("T")


class Cache(Generic[T]):
    """The last few values by key, for several threads; a value that two ask for at once may be made twice."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._values: OrderedDict[Any, T] = OrderedDict()
        self._guard = threading.Lock()

    def get(self, key: Any, make: Callable[[], T]) -> T:
        """The value of `key`, made where it is not there."""
        with self._guard:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key]
        value = make()
        with self._guard:
            self._values[key] = value
            while len(self._values) > self._size:
                self._values.popitem(last=False)
        return value


def plain_name(name: str) -> str:
    """What a photo is called in lists: the last part of the name that was given, on one line, at most 80 characters."""
    last = PurePosixPath(PureWindowsPath(name).name).name
    return "".join(c if c.isprintable() else " " for c in last).strip()[:80] or "photo"


def upright_file(data: bytes, picture: np.ndarray) -> tuple[bytes, str]:
    """The bytes to keep of a photo whose upright form is `picture`, and their ending.

    An upright JPEG, PNG or WebP is kept as it is; another format or a turned photo is written anew, without loss where
    it had none.
    """
    with opened_picture(io.BytesIO(data), "the photo") as image:
        format_ = image.format or ""
        turned = int(image.getexif().get(274, 1) or 1) != 1
    if format_ in KEPT and not turned:
        return data, KEPT[format_]
    if format_ in _LOSSLESS:
        return _png(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)), ".png"
    return encode_picture(picture, quality=95), ".jpg"


def write_ids(path: Path, labels: np.ndarray) -> None:
    """Write ids (H, W) as 16-bit grey PNG, whole or not at all; faster than small, as every stroke waits for it."""
    replace_file(path, _png(np.where(labels == IGNORE, UNKNOWN, labels).astype(np.uint16)))


def read_ids(path: Path) -> np.ndarray:
    """The ids (H, W) int32 of a PNG that `write_ids` wrote; AnnotationError where it is damaged."""
    ids = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)
    if ids is None or ids.ndim != 2:
        raise AnnotationError(f"{path.name}: is damaged; delete the photo's outlines and draw them again")
    labels = ids.astype(np.int32)
    labels[labels == UNKNOWN] = IGNORE
    return labels


def save_patch(path: Path, patch: Patch) -> None:
    """Write an edit, whole or not at all."""
    buffer = io.BytesIO()
    place = np.array([patch.top, patch.left])
    np.savez_compressed(
        buffer, place=place, before=patch.before, after=patch.after,
        boxes_before=_table(patch.boxes_before), boxes_after=_table(patch.boxes_after),
    )  # fmt: skip
    replace_file(path, buffer.getvalue())


def load_patch(path: Path) -> Patch:
    """The edit that `save_patch` wrote; one of before there were boxes has none."""
    with np.load(path) as kept:
        top, left = (int(v) for v in kept["place"])
        boxes = (_boxes(kept[name]) if name in kept else {} for name in ("boxes_before", "boxes_after"))
        return Patch(top, left, kept["before"], kept["after"], *boxes)


def _table(boxes: Mapping[int, Box]) -> np.ndarray:
    """Boxes as an array (k, 5) float64 of id, x, y, width, height."""
    return np.array([(number, *box) for number, box in boxes.items()], np.float64).reshape(-1, 5)


def _boxes(table: np.ndarray) -> dict[int, Box]:
    return {int(number): (x, y, w, h) for number, x, y, w, h in table.tolist()}


def _png(picture: np.ndarray) -> bytes:
    done, data = cv2.imencode(".png", picture, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    assert done
    return bytes(data)
