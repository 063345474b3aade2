"""What products lie or stand on: cloth, wood, stone, paper, shop shelves and a fridge, as RGB float32 pictures."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import cv2
import numpy as np

from retail_seg.rendering.drawing import hsv, smooth_noise

#: Grounds that are looked at from above, and furniture that is looked at from the front.
TABLES = ("cloth", "wood", "stone", "paper")
SHELVES = ("shelf", "fridge")


def surface(name: str, height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """A background (height, width, 3), RGB float32 0–255. Raises KeyError for a name not in TABLES or SHELVES."""
    return _SURFACES[name](height, width, rng)


def boards(name: str, height: int) -> tuple[int, ...]:
    """The rows (pixels) on which products stand, top shelf first; empty for a table."""
    if name not in SHELVES:
        return ()
    return int(height * 0.47), int(height * 0.93)


def _tinted(shape: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    return shape[:, :, None] * np.array(colour, np.float32)


def _cloth(height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """Woven threads, broad folds and a tone that is never quite even."""
    colour = hsv(rng.random(), rng.uniform(0.05, 0.6), rng.choice([rng.uniform(0.12, 0.35), rng.uniform(0.35, 0.9)]))
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    thread = width / rng.uniform(240, 420)
    skew = smooth_noise(rng, height, width, 4, 5) * thread * 2
    turn = 2 * np.pi / thread
    weave = np.sin((x + skew) * turn) * np.sin((y + skew) * turn) * rng.uniform(0.03, 0.1)
    folds = smooth_noise(rng, height, width, 3, 4)
    lean: np.ndarray = cv2.Sobel(cv2.GaussianBlur(folds, (0, 0), width / 60), cv2.CV_32F, 1, 1, ksize=5)
    lean = lean / (float(np.abs(lean).max()) + 1e-6)
    grain = rng.standard_normal((height, width), np.float32) * 0.03
    return _tinted(1 + weave + 0.25 * lean + 0.05 * folds + grain, colour)


def _wood(height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """Planks side by side, each with its own tone and rings."""
    hue, value = rng.uniform(0.05, 0.11), rng.uniform(0.3, 0.85)
    planks = int(rng.integers(3, 8))
    picture = np.empty((height, width, 3), np.float32)
    edges = np.linspace(0, height, planks + 1).astype(int)
    for top, bottom in pairwise(edges):
        tall = int(bottom - top)
        bend = smooth_noise(rng, tall, width, 2, 3)
        y = np.linspace(0, 1, tall, dtype=np.float32)[:, None]
        rings = np.sin((y * rng.uniform(3, 9) + bend * rng.uniform(0.4, 1.6)) * 2 * np.pi)
        fibre = smooth_noise(rng, tall, width, max(tall // 3, 2), 9)
        tone = 1 + 0.07 * rings + 0.05 * fibre + float(rng.normal(0, 0.05))
        tone[:2] *= 0.55
        picture[top:bottom] = _tinted(tone, hsv(hue + float(rng.normal(0, 0.006)), rng.uniform(0.4, 0.65), value))
    return picture


def _stone(height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """A worktop: clouds, veins and specks."""
    colour = hsv(rng.random(), rng.uniform(0, 0.12), rng.uniform(0.25, 0.92))
    clouds = smooth_noise(rng, height, width, 5, 6) * 0.07
    veins = smooth_noise(rng, height, width, 4, 5) + 0.2 * smooth_noise(rng, height, width, 24, 30)
    vein = np.exp(-np.abs(veins) / 0.03)
    specks = smooth_noise(rng, height, width, height // 3, width // 3) * rng.uniform(0.02, 0.1)
    return _tinted(1 + clouds + specks - vein * rng.uniform(0, 0.2), colour)


def _paper(height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """A plain ground: painted board, paper, plastic."""
    value = rng.choice([rng.uniform(0.75, 0.97), rng.uniform(0.25, 0.75)])
    colour = hsv(rng.random(), rng.choice([0.03, rng.uniform(0.1, 0.5)]), value)
    return _tinted(1 + 0.03 * smooth_noise(rng, height, width, 3, 3) + 0.01 * rng.standard_normal(
        (height, width), np.float32), colour)  # fmt: skip


def _shelf(height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """Two boards before a back wall, their front edges with a price rail."""
    wall = hsv(rng.choice([0.09, 0.6]), rng.uniform(0.0, 0.25), rng.uniform(0.45, 0.85))
    board = _wood(height, width, rng) if rng.random() < 0.5 else _paper(height, width, rng)
    picture = _tinted(1 + 0.03 * smooth_noise(rng, height, width, 3, 3), wall)
    deep, edge = int(height * 0.035), int(height * 0.04)
    y = np.arange(height, dtype=np.float32)
    for row in boards("shelf", height):
        below = np.clip((y - row - edge) / (height * 0.18), 0, 1)
        picture *= np.where(y > row + edge, 0.62 + 0.38 * below, 1)[:, None, None]
        picture[row - deep : row + deep // 3] = board[row - deep : row + deep // 3] * 0.85
        rail = picture[row + deep // 3 : row + edge]
        rail[:] = np.array(hsv(0.6, 0.04, rng.uniform(0.6, 0.95)), np.float32)
        _price_tags(rail, rng)
    return picture


def _price_tags(rail: np.ndarray, rng: np.random.Generator) -> None:
    height, width = rail.shape[:2]
    wide = max(height * 3, 4)
    for x in range(int(rng.integers(0, wide)), width - wide, int(wide * rng.uniform(1.8, 4))):
        rail[height // 8 : -height // 8, x : x + wide] = (248, 246, 236)
        rail[height // 3 : -height // 3, x + wide // 6 : x + wide // 2] = (40, 40, 46)


def _fridge(height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """A bright white box with glass boards and a ribbed back."""
    tone = hsv(rng.uniform(0.5, 0.6), rng.uniform(0.02, 0.1), rng.uniform(0.78, 0.95))
    x = np.linspace(0, 1, width, dtype=np.float32)[None, :]
    y = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    light = 0.9 + 0.16 * np.exp(-((x - rng.uniform(0.2, 0.8)) ** 2) / 0.2) - 0.12 * y
    ribs = 1 - 0.04 * (np.sin(x * np.pi * 2 * rng.integers(8, 20)) > 0.92)
    picture = _tinted(light * ribs, tone)
    glass = int(height * 0.022)
    for row in boards("fridge", height):
        picture[row - glass : row] = picture[row - glass : row] * 0.8 + np.array((170, 205, 200), np.float32) * 0.2
        picture[row : row + glass // 2] = np.array((150, 190, 186), np.float32)
        picture[row + glass // 2 : row + glass] *= 0.8
    return picture


_SURFACES: dict[str, Callable[[int, int, np.random.Generator], np.ndarray]] = {
    "cloth": _cloth, "wood": _wood, "stone": _stone, "paper": _paper, "shelf": _shelf, "fridge": _fridge,
}  # fmt: skip
