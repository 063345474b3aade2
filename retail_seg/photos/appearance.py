"""What a picture's pixels say about it: coarse shapes, sharpness, brightness, whether the product is cut off."""

from __future__ import annotations

import cv2
import numpy as np

from retail_seg.photos import quality

#: Longer side, in pixels, at which sharpness is measured.
SHARPNESS_SIDE = 512


def perceptual_hash(grey: np.ndarray) -> int:
    """64 bits of a picture's coarse shapes (H, W) uint8: the signs of its lowest 8 × 8 cosine terms about their median.

    Source: E. Klinger and D. Starkweather, pHash, 2010.
    """
    small = cv2.resize(grey, (32, 32), interpolation=cv2.INTER_AREA).astype(np.float32)
    terms = np.asarray(cv2.dct(small))[:8, :8].ravel()
    bits = terms > np.median(terms[1:])
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def sharpness(grey: np.ndarray) -> float:
    """The share of a picture's grey steps (H, W) uint8 that one more blur takes away, 0 to 1, the lesser of both axes.

    Measured at SHARPNESS_SIDE; see `quality.sharpness`.
    """
    return quality.sharpness(grey, SHARPNESS_SIDE)


def brightness(grey: np.ndarray, mask: np.ndarray | None = None) -> float:
    """How bright the bright parts of a picture (H, W) uint8 are, 0 to 1: of 64 × 64 means the one that 5 in 100 exceed.

    A black pack in good light has its highlights and its print; in the dark nothing is bright. With a `mask` (H, W)
    bool only the product counts.
    """
    small = cv2.resize(grey, (64, 64), interpolation=cv2.INTER_AREA)
    if mask is not None:
        inside = cv2.resize(mask.astype(np.float32), (64, 64), interpolation=cv2.INTER_AREA) > 0.99
        small = small[inside] if inside.any() else small
    return float(np.percentile(small, 95)) / 255


def cut_off(photo: np.ndarray) -> float:
    """How much of one side (0 to 1) a product on a plain ground runs out of the picture (H, W, 3) uint8.

    Where three sides show one plain colour, the share of the fourth that does not; 0 where the ground is not plain,
    for then nothing tells the product from it.
    """
    small = cv2.resize(photo, (64, 64), interpolation=cv2.INTER_AREA).astype(np.float32)
    sides = [small[0], small[-1], small[:, 0], small[:, -1]]
    worst = 0.0
    for i, side in enumerate(sides):
        ground = np.concatenate([other[2:-2] for j, other in enumerate(sides) if j != i])
        colour = np.median(ground, axis=0)
        plain = np.abs(ground - colour).max(axis=1) < 24
        if plain.mean() > 0.95:
            worst = max(worst, float((np.abs(side - colour).max(axis=1) > 40).mean()))
    return worst
