"""Boxes as annotations: who owns a pixel where two overlap, and how well two agree.

A box is (x, y, width, height) in pixels of the upright photo, float64, x to the right and y down; the corner of the
first pixel is (0, 0). Label images have IGNORE where nobody knows: such a pixel is neither product nor background.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

Box = tuple[float, float, float, float]

#: The value of pixels that no loss and no score counts.
IGNORE = -1
#: The class, in any format, of regions whose pixels become IGNORE.
IGNORED_CLASS = "ignore"
#: A box of which others cover this share lies before them, and keeps all of itself.
IN_FRONT = 0.5


def is_ignored(label: str) -> bool:
    """Whether a class name is that of regions to be ignored."""
    return label.strip().lower() == IGNORED_CLASS


def turned(box: Box, orientation: int, height: int, width: int) -> Box:
    """A box drawn on a photo as stored, `height` × `width`, on the photo turned upright (EXIF orientation 5 to 8)."""
    x, y, w, h = box
    left = height - y - h if orientation in (6, 7) else y
    top = width - x - w if orientation in (7, 8) else x
    return left, top, h, w


def box_iou(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """IoU (n, m) float64 of boxes (n, 4) and (m, 4)."""
    import numpy as np

    near = np.maximum(first[:, None, :2], second[None, :, :2])
    far = np.minimum((first[:, :2] + first[:, 2:])[:, None], (second[:, :2] + second[:, 2:])[None])
    inter = np.prod(np.clip(far - near, 0, None), axis=2)
    union = np.prod(first[:, 2:], axis=1)[:, None] + np.prod(second[:, 2:], axis=1)[None] - inter
    return np.asarray(inter / np.maximum(union, 1e-9))


def keeps(mine: Box, other: Box, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Whether pixels in the overlap of two boxes belong to the one that lay there first, bool like `rows`.

    A box that the other covers by IN_FRONT of its area or more is the nearer one and takes all; otherwise the two meet
    along the middle of the overlap, across its shorter side. `other` is the one painted now.
    """
    import numpy as np

    left, right = max(mine[0], other[0]), min(mine[0] + mine[2], other[0] + other[2])
    top, bottom = max(mine[1], other[1]), min(mine[1] + mine[3], other[1] + other[3])
    areas = mine[2] * mine[3], other[2] * other[3]
    if (right - left) * (bottom - top) >= IN_FRONT * min(areas):
        return np.full(rows.shape, areas[0] < areas[1])
    if right - left <= bottom - top:
        first = mine[0] + mine[2] / 2 < other[0] + other[2] / 2
        return np.asarray((columns + 0.5 < (left + right) / 2) == first)
    first = mine[1] + mine[3] / 2 < other[1] + other[3] / 2
    return np.asarray((rows + 0.5 < (top + bottom) / 2) == first)


def without_ignored(true: np.ndarray, found: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Truth and prediction (H, W) without IGNORE: what was found mostly there is gone, of the rest the part there."""
    import numpy as np

    unknown = true == IGNORE
    if not unknown.any():
        return true, found
    values, dense = np.unique(found, return_inverse=True)
    dense = dense.reshape(found.shape)
    there = np.bincount(dense[unknown], minlength=len(values))
    lost = 2 * there > np.bincount(dense.ravel(), minlength=len(values))
    return np.where(unknown, 0, true), np.where(unknown | lost[dense], 0, found)
