"""Soft packs: stand-up pouches, pillow bags and flow-wrapped bars, with crimped edges, bulges, wrinkles and sheen."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from retail_seg.rendering import labels
from retail_seg.rendering.designs import ProductDesign
from retail_seg.rendering.drawing import smooth_noise
from retail_seg.rendering.views import View, highlight, shade

KINDS = ("pouch", "pillow bag", "bar")


@lru_cache(maxsize=256)
def _front(design: ProductDesign, rows: int) -> np.ndarray:
    """The printed front; a bar lies across, so its rows are fewer than its columns."""
    width, height, _ = design.size
    columns = max(int(rows * width / height), 16)
    label = labels.ground(design, columns, rows)
    margin_x, margin_y = (0.09, 0.02) if design.kind == "bar" else (0.03, 0.075)
    x, y = int(columns * margin_x), int(rows * margin_y)
    label[y : rows - y, x : columns - x] = labels.front(design, columns - 2 * x, rows - 2 * y)
    return label


def render_soft(design: ProductDesign, height: int, rows: int, view: View) -> tuple[np.ndarray, np.ndarray]:
    """Colour float32 (H, W, 3) 0–255 and cover float32 (H, W) 0–1 of a soft pack, `height` pixels tall."""
    rng = np.random.default_rng([view.folds, 7])
    lying = design.kind == "bar"
    width = max(int(height * design.size[0] / design.size[1] * float(np.cos(np.radians(view.yaw)))), 12)
    v, u = np.mgrid[0:height, 0:width].astype(np.float32)
    u, v = (u + 0.5) / width, (v + 0.5) / height
    bends = smooth_noise(rng, height, width, 3, 3) * 0.006
    # a bar is worked out as a standing bag turned by a quarter: `along` runs from crimp to crimp
    along, across = (u, v) if lying else (v, u)
    edge = 0.5 * np.abs(smooth_noise(rng, 1, along.shape[1] if lying else height, 1, 5)[0])
    wobble = 0.012 * (edge[None, :] if lying else edge[:, None])
    crimp = np.clip(np.minimum(along, 1 - along) / 0.055, 0, 1)
    if design.kind == "pouch":
        crimp = np.clip(along / 0.06, 0, 1)
    inset = (0.012 + wobble + bends) + 0.035 * np.sin(np.pi * np.clip(along, 0, 1)) * rng.uniform(0.2, 1.2) * crimp
    reach = np.minimum(across, 1 - across) - np.abs(inset)
    span = height if lying else width
    cover = np.clip(reach * span + 0.5, 0, 1) * _ends(design, along, across, width if lying else height, rng)
    relief = _relief(design, along, across, crimp, rng)
    colour = _lit(design, rows, u, v, relief, crimp, view)
    return colour, cover


def _ends(
    design: ProductDesign, along: np.ndarray, across: np.ndarray, span: int, rng: np.random.Generator
) -> np.ndarray:
    """Cover at the two ends: zigzag cuts, straight cuts, or the round foot of a pouch."""
    teeth = int(rng.integers(24, 48)) if rng.random() < 0.7 else 1
    zig = np.abs((across * teeth) % 1.0 - 0.5) * (0.014 if teeth > 1 else 0.0)
    start = np.clip((along - zig - 0.003) * span + 0.5, 0, 1)
    if design.kind == "pouch":
        foot = 0.05 * (2 * across - 1) ** 4
        return start * np.clip((1 - along - foot - 0.004) * span + 0.5, 0, 1)
    return start * np.clip((1 - along - zig - 0.003) * span + 0.5, 0, 1)


def _relief(
    design: ProductDesign, along: np.ndarray, across: np.ndarray, crimp: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Height of the surface as a share of the pack's width: a pillow, folds from the crimps, dents, pressed ribs."""
    height, width = along.shape
    lying = design.kind == "bar"
    from_end = np.minimum(along, 1 - along)
    dome = (1 - (2 * across - 1) ** 2).clip(0, 1) ** 0.7 * np.sqrt(np.clip(crimp * from_end * 4, 0, 1))
    cells = (3, 14) if not lying else (14, 3)
    folds = smooth_noise(rng, height, width, *cells)
    near = np.exp(-from_end / 0.16) * crimp
    dents = smooth_noise(rng, height, width, 5, 4) * 0.010 + smooth_noise(rng, height, width, 11, 9) * 0.005
    ribs = np.sin(along * 2 * np.pi * 90) * 0.0016 * (crimp < 1)
    if design.kind == "pouch":
        gusset = np.exp(-(((along - 0.9 + 0.06 * (2 * across - 1) ** 2) / 0.02) ** 2)) * 0.012
        dome = (1 - (2 * across - 1) ** 2).clip(0, 1) ** 0.6 * np.clip(along * 2.0, 0, 1)
        return dome * 0.10 + folds * near * 0.010 + dents * crimp * 0.8 + ribs - gusset
    return dome * rng.uniform(0.10, 0.17) + folds * near * 0.014 + dents * crimp + ribs


def _lit(
    design: ProductDesign, rows: int, u: np.ndarray, v: np.ndarray, relief: np.ndarray, crimp: np.ndarray, view: View
) -> np.ndarray:
    """Warp the print by the relief and light it."""
    height, width = u.shape
    side = min(height, width)
    slope_y, slope_x = np.gradient(relief * side)
    label = _front(design, rows)
    tall, wide = label.shape[:2]
    shift = 0.35 * side
    map_x = (u - slope_x * 0.02 * shift / width) * wide - 0.5
    map_y = (v - slope_y * 0.02 * shift / height) * tall - 0.5
    printed = cv2.remap(label, map_x.astype(np.float32), map_y.astype(np.float32), cv2.INTER_LINEAR,
                        borderMode=cv2.BORDER_REFLECT)  # fmt: skip
    length = 1 / np.sqrt(1 + slope_x**2 + slope_y**2)
    normals = (-slope_x * length, -slope_y * length, length)
    rng = np.random.default_rng([design.seed, 8])
    foil = float(rng.choice([0.25, 0.6, 1.0])) * view.gloss
    lit = shade(normals, view)
    glint = highlight(normals, view, 18) * 0.25 + highlight(normals, view, 90) * 0.6
    sky = np.clip(-normals[1], 0, 1) ** 2 * 0.5
    colour = printed.astype(np.float32) * (lit * (0.93 + 0.07 * crimp))[:, :, None]
    return colour + (foil * 170 * (glint + sky))[:, :, None]
