"""What of a photo is on the screen: a window that can be zoomed and moved, the photo in it, and its outlines over it.

Colour is never the only sign: every instance carries its number, the one that is worked on a white and black rim.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from retail_seg.photos.draw import PALETTE
from retail_seg.photos.load import encode_picture

#: Longer side of what is sent to the browser, in pixels.
SIDE = 1000
#: How near a person can go: the window is at least so much of the photo's longer side.
CLOSEST = 1 / 16


@dataclass(frozen=True)
class EditorView:
    """A window (left, top, width, height) of a photo in its pixels."""

    left: float
    top: float
    width: float
    height: float

    def to_photo(self, points: Sequence[Sequence[float]] | np.ndarray) -> np.ndarray:
        """Points (k, 2) given as shares of the window ► pixels of the photo."""
        shares = np.asarray(points, np.float64).reshape(-1, 2)
        return shares * (self.width, self.height) + (self.left, self.top)

    def of_photo(self, points: Sequence[Sequence[float]] | np.ndarray) -> np.ndarray:
        """Pixels of the photo (k, 2) ► shares of the window."""
        return (np.asarray(points, np.float64).reshape(-1, 2) - (self.left, self.top)) / (self.width, self.height)

    def pixels(self) -> tuple[int, int, int, int]:
        """Left, top, right and bottom as whole pixels."""
        return (round(self.left), round(self.top), round(self.left + self.width), round(self.top + self.height))

    def size(self, side: int = SIDE) -> tuple[int, int]:
        """Width and height in which the window is shown: the longer one at most `side`, never enlarged twice over."""
        k = min(side / max(self.width, self.height), 2.0)
        return max(round(self.width * k), 1), max(round(self.height * k), 1)


def whole(width: int, height: int) -> EditorView:
    """The window over the whole photo."""
    return EditorView(0, 0, width, height)


def window(width: int, height: int, zoom: float, centre: tuple[float, float] | None = None) -> EditorView:
    """A window of the photo's shape, `zoom` times as near, around `centre` (pixels) but within the photo."""
    zoom = min(max(zoom, 1.0), 1 / CLOSEST)
    w, h = round(width / zoom), round(height / zoom)
    x, y = centre or (width / 2, height / 2)
    left = min(max(round(x - w / 2), 0), width - w)
    top = min(max(round(y - h / 2), 0), height - h)
    return EditorView(left, top, w, h)


def centre_of(labels: np.ndarray, number: int) -> tuple[float, float] | None:
    """The middle of an instance's box; None where it has no pixel."""
    rows, columns = np.flatnonzero((labels == number).any(1)), np.flatnonzero((labels == number).any(0))
    if not len(rows):
        return None
    return (float(columns[0] + columns[-1]) / 2, float(rows[0] + rows[-1]) / 2)


def photo_jpeg(picture: np.ndarray, view: EditorView, side: int = SIDE) -> bytes:
    """The photo (H, W, 3) within the window, as JPEG."""
    x0, y0, x1, y1 = view.pixels()
    return encode_picture(_resized(picture[y0:y1, x0:x1], view.size(side)), quality=82)


def ids_png(labels: np.ndarray, view: EditorView, selected: int | None = None, side: int = SIDE) -> bytes:
    """The instances within the window as a PNG to lay over the photo: tints, rims and numbers, else transparent."""
    x0, y0, x1, y1 = view.pixels()
    ids = cv2.resize(labels[y0:y1, x0:x1], view.size(side), interpolation=cv2.INTER_NEAREST)
    done, data = cv2.imencode(".png", _drawn(ids, selected), [cv2.IMWRITE_PNG_COMPRESSION, 1])
    assert done
    return bytes(data)


def overlay_jpeg(picture: np.ndarray, labels: np.ndarray, side: int = SIDE) -> bytes:
    """A photo with its instances drawn on it, as JPEG."""
    view = whole(labels.shape[1], labels.shape[0])
    size = view.size(side)
    small = _resized(picture, size)
    layer = _drawn(cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST), None)
    share = layer[:, :, 3:].astype(np.float32) / 255
    mixed = small * (1 - share) + layer[:, :, 2::-1] * share
    return encode_picture(mixed.astype(np.uint8), quality=85)


def colour_of(number: int) -> tuple[int, int, int]:
    """The colour of an instance, RGB."""
    return PALETTE[number % len(PALETTE)]


def _drawn(ids: np.ndarray, selected: int | None) -> np.ndarray:
    """Tints, rims and numbers of ids (h, w) as BGRA uint8 (h, w, 4)."""
    colours = np.array([colour_of(n)[::-1] for n in range(int(ids.max(initial=0)) + 1)], np.uint8)
    layer = np.empty((*ids.shape, 4), np.uint8)
    layer[:, :, :3] = colours[ids]
    layer[:, :, 3] = 70 * (ids > 0)
    layer[ids < 0] = (128, 128, 128, 150)  # to be ignored
    thick = max(round(max(ids.shape) / 350), 1)
    layer[_rim(ids, thick), 3] = 255
    if selected:
        mask = (ids == selected).astype(np.uint8)
        contours, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(layer, contours, -1, (0, 0, 0, 255), 2 * thick + 3)
        cv2.drawContours(layer, contours, -1, (255, 255, 255, 255), thick + 1)
    _number(layer, ids, selected)
    return layer


def _rim(ids: np.ndarray, thick: int) -> np.ndarray:
    """The pixels of instances that lie within `thick` of something else."""
    values = ids.astype(np.float32)  # OpenCV's morphology knows no int32
    kernel = np.ones((2 * thick + 1, 2 * thick + 1), np.uint8)
    return (ids > 0) & ((cv2.dilate(values, kernel) != values) | (cv2.erode(values, kernel) != values))


def _number(layer: np.ndarray, ids: np.ndarray, selected: int | None) -> None:
    """The number of every instance at its innermost point."""
    from scipy.ndimage import find_objects

    scale = max(max(ids.shape) / 1000, 0.45)
    for number, place in enumerate(find_objects(ids), 1):
        if place is None:
            continue
        mask = np.pad((ids[place] == number).astype(np.uint8), 1)
        y, x = np.unravel_index(cv2.distanceTransform(mask, cv2.DIST_L2, 3).argmax(), mask.shape)
        at = (int(x) + place[1].start - 1, int(y) + place[0].start - 1)
        _label(layer, str(number), at, 0.6 * scale, number == selected)


def _label(layer: np.ndarray, text: str, at: tuple[int, int], scale: float, bright: bool) -> None:
    (w, h), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, 2)
    x, y = at[0] - w // 2, at[1] + h // 2
    ground, ink = ((255, 255, 255, 255), (0, 0, 0, 255)) if bright else ((0, 0, 0, 190), (255, 255, 255, 255))
    cv2.rectangle(layer, (x - 4, y - h - 4), (x + w + 4, y + 5), ground, -1)
    cv2.putText(layer, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, scale, ink, 2 if scale > 0.5 else 1, cv2.LINE_AA)


def _resized(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    shrinks = size[0] < picture.shape[1]
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
