"""Cartons: boxes and gable tops, their printed faces warped by a small perspective camera."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from retail_seg.rendering import labels
from retail_seg.rendering.designs import ProductDesign
from retail_seg.rendering.drawing import BLACK, WHITE, mix
from retail_seg.rendering.views import View, shade

KINDS = ("carton", "gable carton")

Face = tuple[np.ndarray, np.ndarray]  # corners (4, 3) in millimetres, clockwise from the top left; texture


@lru_cache(maxsize=256)
def _faces(design: ProductDesign, rows: int) -> tuple[Face, ...]:
    """The faces that may be seen, from back to front."""
    width, height, depth = design.size
    per_mm = rows / height
    across, deep = max(int(width * per_mm), 16), max(int(depth * per_mm), 16)
    x, z = width / 2, depth / 2
    side = labels.back(design, deep, rows)
    faces = [
        (_quad((-x, 0, -z), (-x, 0, z), (-x, height, z), (-x, height, -z)), side),
        (_quad((x, 0, z), (x, 0, -z), (x, height, -z), (x, height, z)), side),
        (_quad((-x, 0, z), (x, 0, z), (x, height, z), (-x, height, z)), labels.front(design, across, rows)),
    ]
    top = labels.ground(design, across, deep)
    if design.kind == "carton":
        label = (int(across * 0.2), int(deep * 0.3), int(across * 0.8), int(deep * 0.7))
        labels.write(top, design.brand, label, labels.readable_on(design.palette[0], design.palette[3]))
        return (*faces, (_quad((-x, 0, -z), (x, 0, -z), (x, 0, z), (-x, 0, z)), top))
    return (*faces, *_gable(design, x, z, top, per_mm))


def _gable(design: ProductDesign, x: float, z: float, top: np.ndarray, per_mm: float) -> list[Face]:
    """Two gable sides, the front roof and the fin that is pressed together above it; some carry a screw cap."""
    rng = np.random.default_rng([design.seed, 5])
    rise, fin = z * rng.uniform(0.9, 1.3), z * 0.45
    roof = top.copy()
    if rng.random() < 0.55:
        rows, columns = roof.shape[:2]
        centre, radius = (columns // 2, int(rows * 0.58)), int(min(rows, columns) * 0.27)
        cap = design.palette[4] if rng.random() < 0.6 else WHITE
        shadow = (centre[0] + radius // 6, centre[1] + radius // 4)
        cv2.circle(roof, shadow, radius, mix(cap, BLACK, 0.6), -1, cv2.LINE_AA)
        cv2.circle(roof, centre, radius, cap, -1, cv2.LINE_AA)
        cv2.circle(roof, centre, int(radius * 0.8), mix(cap, WHITE, 0.3), max(radius // 8, 1), cv2.LINE_AA)
    flap = np.empty((max(int(rise * per_mm), 8), max(int(2 * z * per_mm), 8), 3), np.uint8)
    flap[:] = top.reshape(-1, 3).mean(0) * 0.9
    edge = np.empty((max(int(fin * per_mm), 4), roof.shape[1], 3), np.uint8)
    edge[:] = mix(design.palette[0], WHITE, 0.15)
    edge[edge.shape[0] // 3] = mix(design.palette[0], BLACK, 0.3)
    return [
        (_quad((-x, -rise, -1), (-x, -rise, 1), (-x, 0, z), (-x, 0, -z)), flap),
        (_quad((x, -rise, 1), (x, -rise, -1), (x, 0, -z), (x, 0, z)), flap),
        (_quad((-x, -rise - fin, 0), (x, -rise - fin, 0), (x, -rise, 0), (-x, -rise, 0)), edge),
        (_quad((-x, -rise, 0), (x, -rise, 0), (x, 0, z), (-x, 0, z)), roof),
    ]


def _quad(*corners: tuple[float, float, float]) -> np.ndarray:
    return np.array(corners, np.float64)


def render_box(design: ProductDesign, height: int, rows: int, view: View) -> tuple[np.ndarray, np.ndarray]:
    """Colour float32 (H, W, 3) 0–255 and cover float32 (H, W) 0–1 of a carton, `height` pixels tall."""
    rng = np.random.default_rng([view.folds, 6])
    faces = _faces(design, rows)
    yaw, pitch = np.radians(view.yaw * 1.6), np.radians(view.pitch)
    turn = np.array([[np.cos(yaw), 0, -np.sin(yaw)], [0, 1, 0], [np.sin(yaw), 0, np.cos(yaw)]])
    lift = np.array([[1, 0, 0], [0, np.cos(pitch), np.sin(pitch)], [0, -np.sin(pitch), np.cos(pitch)]])
    pose = lift @ turn
    solid = [(corners @ pose.T, texture) for corners, texture in faces]
    far = 4.5 * max(design.size)
    flat = [points[:, :2] * (far / (far - points[:, 2:])) for points, _ in solid]
    low, high = np.vstack(flat).min(0), np.vstack(flat).max(0)
    scale = (height - 3) / (high[1] - low[1])
    width = int((high[0] - low[0]) * scale) + 4
    colour = np.zeros((height, width, 3), np.float32)
    cover = np.zeros((height, width), np.float32)
    for (points, texture), seen in zip(solid, flat, strict=True):
        if _turned_away(seen):
            continue
        _lay(colour, cover, texture, (seen - low) * scale + 1.5, _normal(points), view, rng)
    return colour, cover


def _turned_away(corners: np.ndarray) -> bool:
    x, y = corners.T
    area = np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))
    return bool(area < 2.0)


def _normal(points: np.ndarray) -> np.ndarray:
    across, down = points[1] - points[0], points[3] - points[0]
    normal = np.cross(across, down)
    if np.linalg.norm(normal) < 1e-6:
        normal = np.cross(points[2] - points[3], down)
    return normal / max(float(np.linalg.norm(normal)), 1e-9)


def _lay(
    colour: np.ndarray,
    cover: np.ndarray,
    texture: np.ndarray,
    corners: np.ndarray,
    normal: np.ndarray,
    view: View,
    rng: np.random.Generator,
) -> None:
    """Warp one face on the picture, shaded by its normal, a soft gradient and worn edges."""
    height, width = cover.shape
    low = np.floor(corners.min(0)).astype(int).clip(0)
    high = np.ceil(corners.max(0)).astype(int) + 1
    part = slice(low[1], min(high[1], height)), slice(low[0], min(high[0], width))
    colour, cover = colour[part], cover[part]
    size = (cover.shape[1], cover.shape[0])
    rows, columns = texture.shape[:2]
    source = np.array([(0, 0), (columns, 0), (columns, rows), (0, rows)], np.float32)
    warp = cv2.getPerspectiveTransform(source, (corners - low).astype(np.float32))
    face = cv2.warpPerspective(texture, warp, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    mask = np.zeros(cover.shape, np.uint8)
    cv2.fillConvexPoly(mask, np.round((corners - low) * 16).astype(np.int32), 255, cv2.LINE_AA, shift=4)
    alpha = mask.astype(np.float32) / 255
    x = np.linspace(0, 1, size[0], dtype=np.float32)[None, :]
    y = np.linspace(0, 1, size[1], dtype=np.float32)[:, None]
    falloff = 1 + rng.uniform(0.0, 0.16) * (0.5 - y) + 0.14 * view.light * (x - 0.5)
    worn = cv2.blur(mask, (2 * (height // 160) + 3,) * 2).astype(np.float32) * (0.18 / 255) + 0.82
    sheen = np.exp(-(((x - rng.uniform(0.1, 0.9) + 0.4 * (y - 0.5)) / 0.3) ** 2))
    sheen *= 26 * view.gloss * max(float(normal[2]), 0.0)
    painted = face * (_facing(normal, view) * falloff * worn)[:, :, None] + sheen[:, :, None]
    colour += (painted - colour) * alpha[:, :, None]
    np.maximum(cover, alpha, out=cover)


def _facing(normal: np.ndarray, view: View) -> float:
    """Brightness of a flat face; sides and tops lie a little darker than what faces the camera."""
    x, y, z = (np.full((1, 1), part, np.float32) for part in normal)
    return float(shade((x, y, z), view)[0, 0]) * (1.0 if normal[2] > 0.6 else 0.82)
