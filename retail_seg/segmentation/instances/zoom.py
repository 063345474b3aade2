"""Crowded and large photos: when to look closer than at the usual working size, and how to do so in bounded memory.

A network knows things of the size that it was trained on. Where many small ones share a large photo, each has too few
pixels at the usual working size: 200 packs on 12 megapixels are 25 pixels wide there and most are not seen at all,
while at three times the side nearly all are. So a photo whose things came out small is worked on once more, at the side
at which they have the size that the network was trained on; one whose things have it at once is looked at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

#: What the closer look aims at, in multiples of the diameter below which things are small: training sets that at 0.6
#: of the typical diameter of what it was shown (`tuning.SMALLER`), so this is the typical one.
AIM = 1.67
#: The same for the largest things (the 90th percentile): larger ones would begin to fall apart.
TOO_LARGE = 7.0
#: The closer look has at most so many times the usual side: its square is what it costs.
CLOSEST = 4.0
#: So few finds say little of the things' size: after them the closer look has at most so many times the usual side.
FEW, CAREFUL = 10, 2.0
#: A gain in side smaller than this is not worth another look.
LEAST = 1.25
#: A larger working picture than this square (pixels) goes through the network in tiles of at most this size.
TILE = 1536
#: Pixels around what is kept of a tile that are there for the network to see only.
RIM = 192


@dataclass(frozen=True)
class FirstLook:
    """One look at a photo: the side that it was worked at, and the diameters (n,) found, as shares of that side."""

    side: int
    diameters: np.ndarray

    @classmethod
    def at(cls, side: int, labels: np.ndarray) -> FirstLook:
        """The look that gave these working labels (h, w) with ids 1..n."""
        areas = np.bincount(labels.ravel())[1:]
        return cls(side, 2 * np.sqrt(areas[areas > 0] / np.pi) / side)


def closer_side(look: FirstLook, longest: int, small: float) -> int | None:
    """The side at which to look once more, or None where this look, at the model's own side, will do.

    `longest` is the photo's longer side (a photo is not enlarged), and `small` the median diameter, as a share of the
    model's side, below which things are small; with 0 nothing is.
    """
    if small <= 0:
        return None
    factor = CLOSEST if len(look.diameters) >= FEW else CAREFUL
    if len(look.diameters):
        # The median, for a first look on small things merges some of them and misses others.
        typical, large = (float(np.percentile(look.diameters, share)) for share in (50, 90))
        factor = min(factor, AIM * small / typical, TOO_LARGE * small / large)
    side = min(round(factor * look.side), longest)
    return side if side >= LEAST * look.side else None


def in_tiles(network: Callable[[np.ndarray], np.ndarray], picture: np.ndarray, stride: int) -> np.ndarray:
    """Raw maps (k, h, w) float32 of a network input (c, h, w), both sides multiples of `stride`.

    A large one goes through in overlapping tiles of one size; of each only the part is kept that lies nearer to its
    middle than to another tile's, so the maps have no gaps and instances are made of them as of any others: nothing is
    cut at a tile's border.
    """
    height, width = picture.shape[1:]
    if height * width <= TILE * TILE:
        return np.asarray(network(picture[None])[0])
    rows, columns = tile_spans(height, stride), tile_spans(width, stride)
    whole: np.ndarray | None = None
    for top, bottom, first, last in rows:
        for left, right, start, end in columns:
            raw = network(np.ascontiguousarray(picture[None, :, top:bottom, left:right]))[0]
            if whole is None:
                whole = np.empty((len(raw), height, width), np.float32)
            whole[:, first:last, start:end] = raw[:, first - top : last - top, start - left : end - left]
    assert whole is not None
    return whole


def tile_spans(length: int, stride: int) -> list[tuple[int, int, int, int]]:
    """Tiles along one side of `length` pixels: begin and end of what the network sees, and of what is kept of it.

    All are of one size, begin at multiples of `stride`, and what is kept has RIM pixels around it except at the ends.
    """
    most = TILE // stride * stride
    count = 1 if length <= most else int(np.ceil((length - 2 * RIM) / (most - 2 * RIM - stride)))
    size = min(int(np.ceil((length + 2 * RIM * (count - 1)) / count / stride) + (count > 1)) * stride, length)
    begins = [round(i * (length - size) / max(count - 1, 1) / stride) * stride for i in range(count)]
    cuts = [0, *((a + size + b) // 2 for a, b in pairwise(begins)), length]
    return [(begin, begin + size, cuts[i], cuts[i + 1]) for i, begin in enumerate(begins)]
