"""Labels at working size ► instances at a photo's own, each in a window around it, with smooth borders."""

from __future__ import annotations

import cv2
import numpy as np

from retail_seg.segmentation.instances.instances import Instances

#: How much of each pixel of a window an instance covers, (h, w) uint8, and the window's rows and columns.
Covering = tuple[np.ndarray, tuple[slice, slice]]


def enlarged(labels: np.ndarray, foreground: np.ndarray, confidence: np.ndarray) -> Instances:
    """Working labels (h, w) int32, ids 1..n ► instances within the mask `foreground` (H, W) bool of a photo.

    Each is enlarged linearly within its own box, and of a pixel that several reach the strongest has it, the first
    where they are equal; pixels of the mask that lie outside every instance are nobody's. `confidence` (n,) goes with
    the ids; an instance that has no pixel left is none.
    """
    from scipy.ndimage import find_objects

    height, width = foreground.shape
    present = [(value, place) for value, place in enumerate(find_objects(labels), 1) if place is not None]
    found = [_share(labels, value, place, width, height) for value, place in present]
    masks = [(share > 0) & foreground[window] for share, window in found]
    corners = np.array([(w[1].start, w[0].start, w[1].stop, w[0].stop) for _, w in found], np.int64).reshape(-1, 4)
    for one, other in _overlapping(corners):
        _divide(found[one], masks[one], found[other], masks[other])
    boxes, areas, kept = [], [], []
    for at, (left, top, _, _) in enumerate(corners.tolist()):
        if area := cv2.countNonZero(masks[at].view(np.uint8)):
            x, y, w, h = cv2.boundingRect(masks[at].view(np.uint8))
            masks[at] = np.ascontiguousarray(masks[at][y : y + h, x : x + w])
            boxes.append((left + x, top + y, w, h))
            areas.append(area)
            kept.append(at)
    sure = confidence[np.array([present[at][0] for at in kept], np.int64) - 1]
    arrays = np.array(boxes, np.int32).reshape(-1, 4), np.array(areas, np.int64), sure
    return Instances((height, width), *arrays, [masks[at] for at in kept])


def _overlapping(corners: np.ndarray) -> list[tuple[int, int]]:
    """The pairs, the first number first, of windows (n, 4) left, top, right, bottom that have pixels in common."""
    pairs = []
    for one, (left, top, right, bottom) in enumerate(corners.tolist()):
        later = corners[one + 1 :]
        across = (later[:, 0] < right) & (later[:, 2] > left)
        down = (later[:, 1] < bottom) & (later[:, 3] > top)
        pairs += [(one, one + 1 + at) for at in np.flatnonzero(across & down).tolist()]
    return pairs


def _divide(one: Covering, mask: np.ndarray, other: Covering, other_mask: np.ndarray) -> None:
    """Take from either of two masks what the other's share is larger of, in the pixels that their windows share."""
    (share, window), (other_share, other_window) = one, other
    common = [slice(max(a.start, b.start), min(a.stop, b.stop)) for a, b in zip(window, other_window, strict=True)]
    mine, theirs = (
        tuple(slice(c.start - w.start, c.stop - w.start) for c, w in zip(common, place, strict=True))
        for place in (window, other_window)
    )
    stronger = other_share[theirs] > share[mine]
    other_mask[theirs] &= stronger
    mask[mine] &= ~stronger


def _share(labels: np.ndarray, value: int, place: tuple[slice, slice], width: int, height: int) -> Covering:
    """How much of each pixel of a window of the large picture one instance covers, 0 to 255, and that window."""
    kx, ky = labels.shape[1] / width, labels.shape[0] / height
    (y, h), (x, w) = ((p.start, p.stop - p.start) for p in place)
    left, top = int(max((x - 1) / kx, 0)), int(max((y - 1) / ky, 0))
    right, bottom = int(min((x + w + 1) / kx + 1, width)), int(min((y + h + 1) / ky + 1, height))
    # Pixel centres: source = (target + 0.5) * k - 0.5, counted from the corner of the instance's box.
    matrix = np.array([[kx, 0, (left + 0.5) * kx - 0.5 - x], [0, ky, (top + 0.5) * ky - 0.5 - y]], np.float32)
    share = cv2.warpAffine(
        np.where(labels[place] == value, np.uint8(255), np.uint8(0)), matrix, (right - left, bottom - top),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_CONSTANT, borderValue=0,
    )  # fmt: skip
    return share, (slice(top, bottom), slice(left, right))
