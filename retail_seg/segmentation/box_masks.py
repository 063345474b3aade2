"""The thing in a box told from what is around it, by colour: GrabCut, done once when a training reads its photos.

Rother, Kolmogorov and Blake, GrabCut (2004). What lies outside all boxes is background, what lies in other boxes is
likely some product, the middle of the box is the thing. Where the result looks like a whole thing, the rest of its box
is no longer taught as product; it is not taught as background either, since a label's colour can be the shelf's.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
from scipy.ndimage import find_objects

from retail_seg.segmentation.boxes import IGNORE, Box

#: A result is kept where it fills this share of its box, and comes this near to all four sides (share of the shorter).
FILLS = (0.55, 0.98)
NEAR = 0.04
#: GrabCut works on a window of this size (longer side of the box, pixels), with this share of the box around it.
SIDE, AROUND = 96, 0.3
#: Share of the box's sides, at its middle, that is surely the thing.
CORE = 0.5
ROUNDS = 3


def without_surroundings(
    photo: np.ndarray, labels: np.ndarray, boxes: Mapping[int, Box], threads: int = 1
) -> np.ndarray:
    """Ids (h, w) int32 in which what GrabCut finds not to be the thing in its box is boxes.IGNORE.

    `photo` RGB uint8 (h, w, 3) of the labels' size; only the ids in `boxes` are looked at. Some 25 ms a box.
    """
    places = find_objects(np.maximum(labels, 0))
    jobs = [(n, places[n - 1]) for n in sorted(boxes) if n <= len(places) and places[n - 1] is not None]
    result = labels.copy()
    with ThreadPoolExecutor(max(threads, 1)) as pool:
        for (number, place), thing in zip(jobs, pool.map(lambda job: _thing(photo, labels, *job), jobs), strict=True):
            if thing is not None:
                window = result[place]
                window[(window == number) & ~thing] = IGNORE
    return result


def _thing(photo: np.ndarray, labels: np.ndarray, number: int, place: tuple[slice, slice]) -> np.ndarray | None:
    """Mask (h, w) bool of the thing within the window of its pixels; None where it cannot be told."""
    (top, h), (left, w) = ((p.start, p.stop - p.start) for p in place)
    dy, dx = round(AROUND * h), round(AROUND * w)
    rows = slice(max(top - dy, 0), min(top + h + dy, labels.shape[0]))
    columns = slice(max(left - dx, 0), min(left + w + dx, labels.shape[1]))
    k = min(1.0, SIDE / max(h, w))
    size = (max(8, round((columns.stop - columns.start) * k)), max(8, round((rows.stop - rows.start) * k)))
    near = cv2.resize(photo[rows, columns], size, interpolation=cv2.INTER_AREA)
    ids = cv2.resize(labels[rows, columns].astype(np.float32), size, interpolation=cv2.INTER_NEAREST)
    own = ids == number
    belief = np.where(own | (ids != 0), cv2.GC_PR_FGD, cv2.GC_BGD).astype(np.uint8)
    belief[_core(own)] = cv2.GC_FGD
    if not (belief == cv2.GC_BGD).any() or not (belief == cv2.GC_FGD).any():
        return None
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(0)
    cv2.grabCut(cv2.cvtColor(near, cv2.COLOR_RGB2BGR), belief, (0, 0, 1, 1), *models, ROUNDS, cv2.GC_INIT_WITH_MASK)
    found = _largest(((belief == cv2.GC_FGD) | (belief == cv2.GC_PR_FGD)) & own)
    shown = (columns.stop - columns.start, rows.stop - rows.start)
    full = cv2.resize(found.astype(np.float32), shown, interpolation=cv2.INTER_LINEAR) > 0.5
    thing = full[top - rows.start : top - rows.start + h, left - columns.start : left - columns.start + w]
    return thing if _whole(thing, labels[place] == number) else None


def _core(own: np.ndarray) -> np.ndarray:
    """The middle of the box that the pixels of an instance (h, w) bool have around them."""
    core = np.zeros_like(own)
    rows, columns = np.flatnonzero(own.any(1)), np.flatnonzero(own.any(0))
    if not len(rows):
        return core
    margin = (1 - CORE) / 2
    high, wide = rows[-1] + 1 - rows[0], columns[-1] + 1 - columns[0]
    core[
        rows[0] + round(margin * high) : rows[-1] + 1 - round(margin * high),
        columns[0] + round(margin * wide) : columns[-1] + 1 - round(margin * wide),
    ] = True
    return core & own


def _largest(mask: np.ndarray) -> np.ndarray:
    """The largest connected part of a mask (h, w) bool, with its holes filled."""
    from scipy.ndimage import binary_fill_holes

    count, parts, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    if count < 2:
        return mask
    return np.asarray(binary_fill_holes(parts == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())))


def _whole(thing: np.ndarray, own: np.ndarray) -> bool:
    """Whether a result fills its box as a thing does, and reaches its four sides."""
    rows, columns = np.nonzero(thing & own)
    if not FILLS[0] * own.sum() <= len(rows) <= FILLS[1] * own.sum():
        return False
    h, w = own.shape
    near = max(2.0, NEAR * min(h, w))
    ends = rows.min(), columns.min(), h - 1 - rows.max(), w - 1 - columns.max()
    return bool(max(ends) <= near)
