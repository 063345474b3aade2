"""A reference as a photo of a shelf would show it: the pictures that a catalogue asks itself with.

References resemble each other more than a photo resembles any of them. What a photo does to a product is done to them
here: it is small, blurred, compressed, in another light and cast, tilted, cut a little too wide or too narrow, with a
neighbour or a rail before its edges, a hand, or the dark. What a studio picture shows on white stands before other
things: no shelf is white, and a product on white finds itself by its ground.
"""

from __future__ import annotations

import cv2
import numpy as np

from index.studio import before, cut_out
from index.views import Crop

#: Longer side, in pixels, of the smallest and largest product as a photo shows it; drawn evenly in its logarithm.
SMALLEST, LARGEST = 56, 224
#: A crop of fewer pixels on its shorter side is not made any smaller.
LEAST_SIDE = 20

_TILT, _LEAN = 6.0, 0.05  # degrees, and share of a side by which corners move
_CUT = 0.07  # share of a side that the cut is off by, outwards or inwards
_COVERED = 0.16  # share of a side that a neighbour or a rail may cover
_CHANCES = {"neighbour": 0.35, "rail": 0.25, "hand": 0.1, "dark": 0.12, "moved": 0.25}


def as_photographed(crop: np.ndarray, mask: np.ndarray | None, seed: int, beside: np.ndarray | None = None) -> Crop:
    """The crop RGB uint8 (h, w, 3), mask bool (h, w) or None, as one photo might show it; the same for the same seed.

    `beside` is a picture of another product, RGB uint8 of any size, for the neighbour that covers an edge and for what
    stands behind a studio picture's product. A mask follows its crop; outside it nothing is drawn over, for a mask
    leaves the neighbours out.
    """
    rng = np.random.default_rng(seed)
    if mask is None and beside is not None and (thing := cut_out(crop)) is not None:
        crop = before(crop, thing, beside, rng)
    seen, outline = _posed(crop, mask, rng)
    if mask is None:
        seen = _covered(seen, beside, rng)
    seen = _lit(seen, rng)
    return _resolved(seen, rng), outline


def _posed(crop: np.ndarray, mask: np.ndarray | None, rng: np.random.Generator) -> Crop:
    """Small, tilted, leaning, and cut a little off."""
    height, width = crop.shape[:2]
    side = np.exp(rng.uniform(np.log(SMALLEST), np.log(LARGEST)))
    factor = min(1.0, max(side / max(height, width), LEAST_SIDE / min(height, width)))
    # made small in one step by area first, so that turning it afterwards does not alias
    size = max(round(width * factor), 4), max(round(height * factor), 4)
    small = cv2.resize(crop, size, interpolation=cv2.INTER_AREA)
    spread = np.array(size, np.float32)
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32) * spread
    turn = cv2.getRotationMatrix2D((size[0] / 2, size[1] / 2), float(rng.normal(0, _TILT / 2)), 1.0)
    moved = corners @ turn[:, :2].T.astype(np.float32) + turn[:, 2].astype(np.float32)
    moved += rng.uniform(-_LEAN, _LEAN, (4, 2)).astype(np.float32) * spread
    low, high = rng.uniform(-_CUT, _CUT, 2), rng.uniform(-_CUT, _CUT, 2)
    moved = (moved - low.astype(np.float32) * spread) / (1 + (high - low).astype(np.float32))
    change = cv2.getPerspectiveTransform(corners, moved.astype(np.float32))
    seen = cv2.warpPerspective(small, change, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    if mask is None:
        return seen, None
    outline = cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    outline = cv2.warpPerspective(outline, change, size, flags=cv2.INTER_NEAREST)
    return seen, outline.astype(bool) if outline.any() else np.ones(outline.shape, bool)


def _covered(seen: np.ndarray, beside: np.ndarray | None, rng: np.random.Generator) -> np.ndarray:
    """With a neighbour before its left or right edge, a rail before its foot, a hand before a corner."""
    seen = seen.copy()
    height, width = seen.shape[:2]
    if rng.random() < _CHANCES["neighbour"] and beside is not None:
        part = max(1, round(rng.uniform(0.03, _COVERED) * width))
        strip = cv2.resize(beside, (width, height), interpolation=cv2.INTER_AREA)
        if rng.random() < 0.5:
            seen[:, :part] = strip[:, width - part :]
        else:
            seen[:, width - part :] = strip[:, :part]
    if rng.random() < _CHANCES["rail"]:
        part = max(1, round(rng.uniform(0.03, _COVERED) * height))
        seen[height - part :] = rng.integers(90, 256) if rng.random() < 0.6 else rng.integers(0, 256, 3)
    if rng.random() < _CHANCES["hand"]:
        skin = np.array([205, 160, 130]) * rng.uniform(0.5, 1.1)
        centre = int(rng.integers(0, width + 1)), int(rng.choice([0, height]))
        axes = max(2, round(rng.uniform(0.1, 0.3) * width)), max(2, round(rng.uniform(0.1, 0.35) * height))
        cv2.ellipse(seen, centre, axes, float(rng.uniform(0, 180)), 0, 360, skin.clip(0, 255).tolist(), -1, cv2.LINE_AA)
    return seen


def _lit(seen: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Another exposure, contrast, cast, and a light that falls off to one side."""
    values = seen.astype(np.float32) / 255
    gain = np.exp(rng.normal(0, 0.18))
    if rng.random() < _CHANCES["dark"]:
        gain *= rng.uniform(0.25, 0.6)
    cast = np.exp(rng.normal(0, 0.06, 3)).astype(np.float32)
    values = np.clip(values, 0, 1) ** np.float32(np.exp(rng.normal(0, 0.18))) * np.float32(gain) * cast
    values += np.float32(rng.uniform(0, 0.08))  # haze
    slope = rng.uniform(-0.15, 0.15, 2)
    down, across = np.linspace(-1, 1, seen.shape[0])[:, None], np.linspace(-1, 1, seen.shape[1])[None]
    values *= (1 + slope[0] * down + slope[1] * across).astype(np.float32)[..., None]
    return (values.clip(0, 1) * 255).astype(np.uint8)


def _resolved(seen: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Out of focus or moved, noisy, and compressed."""
    seen = cv2.GaussianBlur(seen, (0, 0), float(rng.uniform(0.3, 1.3)))
    if rng.random() < _CHANCES["moved"]:
        length = int(rng.integers(2, 5))
        kernel = np.ones((1, length), np.float32) if rng.random() < 0.5 else np.ones((length, 1), np.float32)
        seen = cv2.filter2D(seen, -1, kernel / length)
    noisy = seen + rng.normal(0, rng.uniform(0, 5), seen.shape)
    bgr = cv2.cvtColor(noisy.clip(0, 255).astype(np.uint8), cv2.COLOR_RGB2BGR)
    packed = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(40, 93))])[1]
    return cv2.cvtColor(np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR)), cv2.COLOR_BGR2RGB)
