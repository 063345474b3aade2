"""Random changes of light and geometry that training sees; all take their randomness from a numpy Generator."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np


def photometric(picture: np.ndarray, rng: np.random.Generator, strength: float = 1.0) -> np.ndarray:
    """RGB uint8 (h, w, 3) under other light: exposure, gamma, colour of the light, saturation, blur, noise."""
    s = strength
    table = np.arange(256, dtype=np.float32)[:, None] / 255
    gamma = np.exp(rng.normal(0, 0.2 * s))
    gain = np.exp(rng.normal(0, 0.15 * s)) * np.exp(rng.normal(0, 0.06 * s, 3))
    lift = rng.normal(0, 0.03 * s)
    curve = np.clip((table**gamma * gain + lift) * 255, 0, 255).astype(np.uint8)
    changed = cv2.LUT(picture, np.ascontiguousarray(curve.reshape(1, 256, 3)))
    if rng.random() < 0.4 * s:
        grey = cv2.cvtColor(cv2.cvtColor(changed, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        share = float(np.exp(rng.normal(0, 0.3)))
        changed = cv2.addWeighted(changed, share, grey, 1 - share, 0)
    if rng.random() < 0.3 * s:
        changed = cv2.GaussianBlur(changed, (0, 0), float(rng.uniform(0.3, 1.2)))
    if rng.random() < 0.4 * s:
        changed = _noise(changed, rng)
    return changed


@lru_cache(maxsize=1)
def _grain() -> np.ndarray:
    """A stock of normal deviates, from which each picture's noise is cut: drawing them anew costs too much."""
    return np.random.default_rng(0).standard_normal(2**21, np.float32)


def _noise(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    stock = _grain()
    if picture.size > len(stock):
        return picture
    at = int(rng.integers(len(stock) - picture.size + 1))
    noise = stock[at : at + picture.size].reshape(picture.shape) * np.float32(rng.uniform(1, 6))
    return np.asarray(cv2.add(picture, noise, dtype=cv2.CV_8U))


def shade(picture: np.ndarray, rng: np.random.Generator, strength: float = 0.35) -> np.ndarray:
    """The picture under light that changes slowly across it (a 3 × 3 grid of gains, enlarged smoothly)."""
    height, width = picture.shape[:2]
    grid = np.exp(rng.normal(0, strength / 2, (3, 3))).astype(np.float32)
    gains = cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)
    return cv2.multiply(picture, cv2.merge([gains] * 3), dtype=cv2.CV_8U)


def similarity(
    rng: np.random.Generator, size: tuple[int, int], canvas: tuple[int, int], scale: float, angle: float
) -> np.ndarray:
    """Matrix (2, 3) from a picture of `size` (w, h) onto a canvas (w, h): scaled, turned, flipped, shifted at random.

    The shift lays a random part of the scaled picture on the canvas.
    """
    flip = -1.0 if rng.random() < 0.5 else 1.0
    cos, sin = np.cos(angle) * scale, np.sin(angle) * scale
    linear = np.array([[cos * flip, -sin], [sin * flip, cos]])
    slack = np.maximum(np.array(size) * scale - np.array(canvas), 0)
    target = np.array(canvas) / 2 + rng.uniform(-0.5, 0.5, 2) * slack
    shift = target - linear @ (np.array(size) / 2)
    return np.concatenate([linear, shift[:, None]], 1).astype(np.float32)
