"""Grounds of printed labels: plain, gradients, splits, waves, stripes, rays, dots, checks, metal, scattered motifs."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from retail_seg.rendering.designs import ProductDesign
from retail_seg.rendering.drawing import WHITE, Colour, mix, paint, polygon, smooth_noise, stamp
from retail_seg.rendering.motifs import motif
from retail_seg.rendering.words import FLAVOURS

Ground = Callable[[np.ndarray, ProductDesign, np.random.Generator], None]


def _second(design: ProductDesign, rng: np.random.Generator) -> Colour:
    """A partner of the ground: the second or accent colour, a tone of the ground, or the flavour's colour."""
    tone = mix(design.palette[0], WHITE if rng.random() < 0.5 else (0, 0, 0), rng.uniform(0.15, 0.4))
    choice = rng.choice(4, p=[0.4, 0.15, 0.25, 0.2])
    return (design.palette[1], design.palette[2], tone, design.palette[4])[choice]


def _plain(canvas: np.ndarray, design: ProductDesign, rng: np.random.Generator) -> None:
    edge = _second(design, rng)
    share = rng.uniform(0.02, 0.06)
    if rng.random() < 0.6:
        band = max(int(canvas.shape[0] * share), 1)
        canvas[:band], canvas[-band:] = edge, edge


def _gradient(canvas: np.ndarray, design: ProductDesign, rng: np.random.Generator) -> None:
    height, width = canvas.shape[:2]
    power = rng.uniform(0.5, 2.0)
    across = rng.random() < 0.25
    ramp = np.linspace(0, 1, width if across else height, dtype=np.float32) ** power * 255
    mask = np.broadcast_to(ramp[None, :] if across else ramp[:, None], (height, width)).astype(np.uint8)
    paint(canvas, mask, _second(design, rng), 0, 0)


def _split(canvas: np.ndarray, design: ProductDesign, rng: np.random.Generator) -> None:
    """Two or three fields, straight, slanting or curved, with a line between them."""
    height, width = canvas.shape[:2]
    level, lean, bend = rng.uniform(0.2, 0.75), rng.choice([0.0, 0.0, 0.2, -0.2]), rng.choice([0.0, 0.12, -0.12, 0.3])
    x = np.linspace(0, 1, 24)
    y = level + lean * (x - 0.5) + bend * (4 * (x - 0.5) ** 2 - 0.5)
    colour, rule = _second(design, rng), design.palette[2]
    field = np.stack([np.r_[x * width, width, 0], np.r_[y * height, height, height]], 1)
    if rng.random() < 0.5:
        polygon(canvas, field - [0, height * 0.025], rule)
    polygon(canvas, field, colour)


def _waves(canvas: np.ndarray, design: ProductDesign, rng: np.random.Generator) -> None:
    height, width = canvas.shape[:2]
    x = np.linspace(0, 1, 40)
    start, colour = rng.uniform(0.3, 0.7), _second(design, rng)
    turns, size, phase = rng.uniform(0.7, 2.2), rng.uniform(0.03, 0.12), rng.random()
    for layer in range(3):
        y = start + layer * 0.12 + size * np.sin(2 * np.pi * (turns * x + phase + layer * 0.3))
        edge = np.stack([np.r_[x * width, width, 0], np.r_[y * height, height, height]], 1)
        polygon(canvas, edge, mix(design.palette[0], colour, (layer + 1) / 3))


def _stripes(canvas: np.ndarray, design: ProductDesign, rng: np.random.Generator) -> None:
    height, width = canvas.shape[:2]
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    angle = rng.choice([0.0, 0.0, np.pi / 2, np.pi / 4, -np.pi / 4, 0.3])
    period = rng.uniform(0.05, 0.28) * width
    along = (columns * np.cos(angle) + rows * np.sin(angle)) / period
    wave = np.abs((along % 1.0) - 0.5) * period
    mask = np.clip((wave - period * rng.uniform(0.15, 0.35)) + 0.5, 0, 1)
    paint(canvas, (mask * rng.uniform(120, 255)).astype(np.uint8), _second(design, rng), 0, 0)


def _rays(canvas: np.ndarray, design: ProductDesign, rng: np.random.Generator) -> None:
    height, width = canvas.shape[:2]
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    centre = rng.uniform(0.2, 0.8) * height
    turn = np.arctan2(rows - centre, columns - width / 2) * rng.integers(6, 16) / np.pi
    mask = np.clip(np.sin(turn * np.pi) * 6, 0, 1) * rng.uniform(90, 230)
    paint(canvas, mask.astype(np.uint8), _second(design, rng), 0, 0)


def _dots(canvas: np.ndarray, design: ProductDesign, rng: np.random.Generator) -> None:
    height, width = canvas.shape[:2]
    colour, ring = _second(design, rng), rng.random() < 0.3
    for x, y, r in rng.random((int(rng.integers(12, 60)), 3)):
        radius = max(int((0.02 + 0.10 * r * r) * width), 1)
        centre = (int(x * width), int(y * height))
        cv2.circle(canvas, centre, radius, colour, max(radius // 5, 1) if ring else -1, cv2.LINE_AA)


def _checks(canvas: np.ndarray, design: ProductDesign, rng: np.random.Generator) -> None:
    """Gingham, as jams and dairies wear it, on a part of the height."""
    height, width = canvas.shape[:2]
    cell = width / rng.integers(6, 16)
    rows, columns = np.mgrid[0:height, 0:width]
    weave = ((columns // cell) % 2 + (rows // cell) % 2) * 100
    until = int(height * rng.choice([0.25, 0.4, 1.0]))
    paint(canvas, weave[:until].astype(np.uint8), _second(design, rng), 0, 0)


def _metal(canvas: np.ndarray, design: ProductDesign, rng: np.random.Generator) -> None:
    height, width = canvas.shape[:2]
    sheen = 128 + 70 * smooth_noise(rng, height, width, 1, 5)
    paint(canvas, np.clip(sheen, 0, 190).astype(np.uint8), mix(_second(design, rng), WHITE, 0.5), 0, 0)


def _marble(canvas: np.ndarray, design: ProductDesign, rng: np.random.Generator) -> None:
    """A blurred photo, as far as a label tells: soft clouds of the pack's colours."""
    height, width = canvas.shape[:2]
    for colour in (_second(design, rng), design.palette[4], mix(design.palette[0], (0, 0, 0), 0.4)):
        cloud = smooth_noise(rng, height, width, 4, 3)
        paint(canvas, np.clip(cloud * 110, 0, 200).astype(np.uint8), colour, 0, 0)


def _scattered(canvas: np.ndarray, design: ProductDesign, rng: np.random.Generator) -> None:
    height, width = canvas.shape[:2]
    side = max(int(width * rng.uniform(0.12, 0.26)), 8)
    sprite = motif(FLAVOURS[design.flavour][1], design.palette[4], side, np.random.default_rng(design.seed))
    sprite[:, :, 3] = (sprite[:, :, 3] * rng.uniform(0.35, 0.9)).astype(np.uint8)
    for row, y in enumerate(range(-side // 2, height, int(side * 1.25))):
        for x in range(-side // 2 + (row % 2) * side * 5 // 8, width, int(side * 1.25)):
            stamp(canvas, sprite, x, y)


def _arcs(canvas: np.ndarray, design: ProductDesign, rng: np.random.Generator) -> None:
    height, width = canvas.shape[:2]
    colour, rule = _second(design, rng), design.palette[2]
    centre = (int(width * rng.uniform(-0.1, 1.1)), int(height * rng.uniform(0.0, 1.1)))
    for radius, tone in ((0.85, rule), (0.8, colour), (0.5, mix(colour, WHITE, 0.3))):
        cv2.circle(canvas, centre, int(width * radius), tone, -1, cv2.LINE_AA)


def _chevrons(canvas: np.ndarray, design: ProductDesign, rng: np.random.Generator) -> None:
    height, width = canvas.shape[:2]
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    zig = np.abs(columns / width * rng.integers(1, 7) % 1.0 - 0.5) * width * rng.uniform(0.2, 0.9)
    period = width * rng.uniform(0.12, 0.5)
    mask = (((rows + zig) / period) % 1.0 < rng.uniform(0.3, 0.6)) * rng.uniform(90, 255)
    paint(canvas, cv2.blur(mask.astype(np.uint8), (2, 2)), _second(design, rng), 0, 0)


def _diamond(canvas: np.ndarray, design: ProductDesign, rng: np.random.Generator) -> None:
    height, width = canvas.shape[:2]
    reach_x, reach_y, y = rng.uniform(0.4, 0.8) * width, rng.uniform(0.2, 0.6) * height, rng.uniform(0.3, 0.6) * height
    x = width / 2
    points = np.array([(x - reach_x, y), (x, y - reach_y), (x + reach_x, y), (x, y + reach_y)])
    polygon(canvas, points, design.palette[2])
    polygon(canvas, (points - points.mean(0)) * 0.93 + points.mean(0), _second(design, rng))


GROUNDS: dict[str, Ground] = {
    "plain": _plain, "plain again": _plain, "gradient": _gradient, "split": _split, "split again": _split,
    "waves": _waves, "stripes": _stripes, "rays": _rays, "dots": _dots, "checks": _checks, "metal": _metal,
    "marble": _marble, "scattered": _scattered, "arcs": _arcs, "chevrons": _chevrons, "diamond": _diamond,
}  # fmt: skip
