"""A colour descriptor beside the network's: it mistakes other things, so the two together mistake fewer."""

from __future__ import annotations

from itertools import product

import cv2
import numpy as np

#: Bins of lightness, green–red and blue–yellow.
BINS = (4, 8, 8)
LENGTH = BINS[0] * BINS[1] * BINS[2]
#: The histogram is taken from a square of this many pixels.
SIDE = 32
#: Lower end and width of the range of CIELAB's L*, a*, b* that the bins divide; what lies outside falls in the last.
_LOW = np.array([0, -60, -60], np.float32)
_WIDTH = np.array([100, 120, 130], np.float32)
#: Spread of the weights of a crop without a mask, in half crop sides: what is in the middle is the product.
CENTRE = 0.5


def colour_histogram(crop: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
    """Soft CIELAB histogram (LENGTH,) float32 of an RGB uint8 crop (h, w, 3), unit length.

    Every pixel is shared among the eight nearest bins (trilinear); only pixels inside `mask` (h, w) bool count, or
    those near the middle where there is none. The square root makes the inner product of two the Bhattacharyya
    coefficient (Arandjelović & Zisserman 2012 call it the Hellinger kernel).
    """
    small = cv2.resize(crop, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    lab = cv2.cvtColor(small, cv2.COLOR_RGB2LAB).reshape(-1, 3)
    weights = _centre_weights() if mask is None else _inner_weights(mask)
    lab = _half_exposed(lab, weights)
    indices, shares = _nearest_bins(lab)
    histogram = np.zeros(LENGTH)
    for x, y, z in product((0, 1), repeat=3):
        share = shares[0][x] * shares[1][y] * shares[2][z] * weights
        histogram += np.bincount(indices[0][x] + indices[1][y] + indices[2][z], share, LENGTH)
    return np.sqrt(histogram / histogram.sum()).astype(np.float32)


def _nearest_bins(lab: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Of colours (n, 3), for each of the three axes: the two nearest bins (2, n), as parts of an index into the
    histogram, and how much of a colour falls to each (2, n)."""
    bins = np.array(BINS, np.float32)
    places = np.ascontiguousarray((np.clip((lab - _LOW) / _WIDTH * bins, 0, bins - 1e-3) - 0.5).T)
    below = np.floor(places).astype(np.int64)
    above_share = places - below
    steps = (BINS[1] * BINS[2], BINS[2], 1)
    indices = [
        np.clip(np.stack([one, one + 1]), 0, count - 1) * step
        for one, count, step in zip(below, BINS, steps, strict=True)
    ]
    return indices, [np.stack([1 - one, one]) for one in above_share]


def _inner_weights(mask: np.ndarray) -> np.ndarray:
    """Weights (SIDE * SIDE,) of the pixels wholly inside a mask, so that its ground does not bleed in at the edge."""
    share = cv2.resize(mask.astype(np.float32), (SIDE, SIDE), interpolation=cv2.INTER_AREA).ravel()
    inside = np.where(share > 0.99, share, 0)
    # A mask thinner than a pixel of the small square has only edges.
    return inside if inside.any() else share + 1e-6


def _half_exposed(lab: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Colours (n, 3) as if the picture had been exposed half way to a middle lightness of 50.

    Dark and bright photos of one pack come closer; half way, so that a dark product stays darker than a pale one.
    """
    lightness = float(np.average(lab[:, 0], weights=weights))
    return lab * np.sqrt(50 / max(lightness, 5.0)).astype(np.float32)


def _centre_weights() -> np.ndarray:
    line = np.linspace(-1, 1, SIDE, dtype=np.float32)
    distance = line[:, None] ** 2 + line[None] ** 2
    return np.exp(-distance / (2 * CENTRE**2)).ravel()
