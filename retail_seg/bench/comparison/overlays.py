"""Pictures of what a method found: its mask against the truth, and its instances, on the photo."""

from __future__ import annotations

import cv2
import numpy as np

from retail_seg.photos.draw import PALETTE

#: Longer side of a picture in pixels.
SIDE = 560
#: Foreground that is right, that is none, and that was missed (Wong's colours, apart for colour-blind eyes).
RIGHT, WRONG, MISSED = (0, 158, 115), (213, 94, 0), (86, 180, 233)


def mask_overlay(photo: np.ndarray, true: np.ndarray, found: np.ndarray) -> np.ndarray:
    """RGB uint8: the photo in grey, foreground coloured by whether it is right, wrong or missed; labels (H, W)."""
    small, a, b = _small(photo, true, found)
    grey = cv2.cvtColor(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    out = grey.astype(np.float32)
    for colour, where in ((RIGHT, (a > 0) & (b > 0)), (WRONG, (a == 0) & (b > 0)), (MISSED, (a > 0) & (b == 0))):
        out[where] = 0.45 * out[where] + 0.55 * np.array(colour, np.float32)
    return np.clip(out, 0, 255).astype(np.uint8)


def instance_overlay(photo: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """RGB uint8: the photo with every instance in a colour of its own, outlined; touching ones differ."""
    small, ids = _small(photo, labels)
    out = small.astype(np.float32)
    colours = _colours(ids)
    inside = ids > 0
    out[inside] = 0.5 * out[inside] + 0.5 * colours[ids[inside]]
    edge = cv2.dilate(ids.astype(np.float32), np.ones((3, 3))) != cv2.erode(ids.astype(np.float32), np.ones((3, 3)))
    out[edge & inside] = colours[ids[edge & inside]]
    out[edge & ~inside] = 255
    return np.clip(out, 0, 255).astype(np.uint8)


def _small(photo: np.ndarray, *labels: np.ndarray) -> list[np.ndarray]:
    k = min(SIDE / max(photo.shape[:2]), 1.0)
    size = (max(1, round(photo.shape[1] * k)), max(1, round(photo.shape[0] * k)))
    ids = [cv2.resize(one.astype(np.float32), size, interpolation=cv2.INTER_NEAREST).astype(np.int32) for one in labels]
    return [cv2.resize(photo, size, interpolation=cv2.INTER_AREA), *ids]


def _colours(ids: np.ndarray) -> np.ndarray:
    """A colour (n + 1, 3) for each id, the palette's in turn by the distance to the upper left corner."""
    n = int(ids.max())
    colours = np.zeros((n + 1, 3), np.float32)
    for i in range(1, n + 1):
        colours[i] = PALETTE[(i - 1) % len(PALETTE)]
    return colours
