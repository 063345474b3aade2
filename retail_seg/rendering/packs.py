"""Rendered groceries: a product as a value, a look at it, and its picture with soft alpha.

    rng = np.random.default_rng(7)
    cola = random_design(rng, kind="drink can")       # ProductDesign: frozen, hashable; kind=None draws one of KINDS
    cherry = variant(cola, rng)                       # a look-alike: same pack and layout, other flavour
    rgba = render(cola, 200)                          # (200, W, 4) uint8, the plain front
    rgba = render(cola, 200, rng)                     # a random view: turn, camera, light, blur, noise
    rgba = render(cola, 200, view=View(yaw=20))       # a view of your own
    rgba = render(cola, 200, view=random_view(rng, strength=0.5))

Colours are straight (not multiplied by alpha). The same design, height and view give the same picture; `render`
without view draws it from `rng`. Labels are drawn once per design and cached for the process (the last 256 of each
family of packs), a further view of a design costs a few milliseconds. Everything is made of shapes and the faces that
Pillow and OpenCV carry: no font or picture is read from disk.
"""

from __future__ import annotations

import cv2
import numpy as np

from retail_seg.rendering import boxes, pouches, solids
from retail_seg.rendering.designs import KINDS, ProductDesign, random_design, variant
from retail_seg.rendering.views import View, random_view

__all__ = ["KINDS", "ProductDesign", "View", "random_design", "random_view", "render", "variant"]

#: resolutions of the label's texture, in rows for the pack's whole height: few, so that the cache is hit
_TEXTURES = (160, 256, 416, 720, 1200)


def render(
    design: ProductDesign, height_px: int, rng: np.random.Generator | None = None, view: View | None = None
) -> np.ndarray:
    """The product as RGBA uint8 (h, w, 4), trimmed to its outline; before roll and trim it is `height_px` tall.

    Without `view` it is drawn from `rng`, without both it is the plain front. Raises ValueError below 16 pixels.
    """
    if height_px < 16:
        raise ValueError(f"height_px is {height_px}; a pack needs at least 16 pixels")
    if view is None:
        view = View(folds=design.seed) if rng is None else random_view(rng)
    finer = 2.0 if height_px < 100 else 1.5 if height_px < 180 else 1.25
    tall = int(height_px * finer)
    rows = next((rows for rows in _TEXTURES if rows >= 0.85 * tall), _TEXTURES[-1])
    family = solids.render_solid
    if design.kind in boxes.KINDS:
        family = boxes.render_box
    elif design.kind in pouches.KINDS:
        family = pouches.render_soft
    colour, cover = family(design, tall, rows, view)
    colour, cover = _project(colour, cover, view, 1 / finer)
    return _develop(colour, cover, view)


def _project(colour: np.ndarray, cover: np.ndarray, view: View, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Roll, keystone and shrink, all on colours multiplied by cover so that edges stay clean."""
    rows, columns = cover.shape
    layers: np.ndarray = np.empty((rows, columns, 4), np.float32)
    np.multiply(np.minimum(colour, 300), cover[:, :, None], out=layers[:, :, :3])
    np.multiply(cover, 255, out=layers[:, :, 3])
    if abs(view.roll) > 0.05 or abs(view.keystone) > 0.002:
        angle, pinch = np.radians(view.roll), view.keystone * columns / 2
        corners = np.array([(pinch, 0), (columns - pinch, 0), (columns, rows), (0, rows)], np.float32)
        middle = np.array([columns / 2, rows / 2])
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        corners = ((corners - middle) @ turn.T).astype(np.float32)
        corners -= corners.min(0)
        width, height = (np.ceil(corners.max(0)) + 1).astype(int)
        source = np.array([(0, 0), (columns, 0), (columns, rows), (0, rows)], np.float32)
        layers = cv2.warpPerspective(layers, cv2.getPerspectiveTransform(source, corners), (int(width), int(height)))
    blur = view.blur / scale
    if blur > 0.3:
        pad = int(2 * blur) + 1
        layers = cv2.GaussianBlur(cv2.copyMakeBorder(layers, pad, pad, pad, pad, cv2.BORDER_CONSTANT), (0, 0), blur)
    size = (max(round(layers.shape[1] * scale), 4), max(round(layers.shape[0] * scale), 4))
    layers = cv2.resize(layers, size, interpolation=cv2.INTER_AREA)
    return layers[:, :, :3], layers[:, :, 3] / 255


def _develop(colour: np.ndarray, cover: np.ndarray, view: View) -> np.ndarray:
    """Exposure, colour of the light, a soft shoulder for highlights, grain; trimmed RGBA uint8."""
    light = np.array([1 + 0.10 * view.warmth, 1.0, 1 - 0.14 * view.warmth], np.float32) * view.exposure
    colour = colour * (light / np.maximum(cover, 1e-3)[:, :, None])
    over = np.maximum(colour - 225, 0)
    colour -= over * over / (over + 30)  # what exceeds 225 nears 255 and never reaches it
    if view.noise > 0.2:
        rng = np.random.default_rng([view.folds, 9])
        colour += rng.standard_normal(colour.shape, np.float32) * view.noise
    rows, columns = np.flatnonzero(cover.max(1) > 0.04), np.flatnonzero(cover.max(0) > 0.04)
    part = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    picture = np.empty((*cover[part].shape, 4), np.uint8)
    picture[:, :, :3] = np.clip(colour[part], 0, 255)
    picture[:, :, 3] = cover[part] * 255 + 0.5
    return picture
