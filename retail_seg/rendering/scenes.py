"""Photos of products whose truth is known: packs laid on a table or put on shelves, some of them touching.

    scene = compose([cola, cola, cherry, crisps], np.random.default_rng(3), size=(960, 1280), ground="cloth")
    scene.photo      # RGB uint8 (960, 1280, 3)
    scene.labels     # int32 (960, 1280): 0 = background, i + 1 where scene.designs[i] is seen
    scene.designs    # the designs that found a place, in the order of the ids

On tables (cloth, wood, stone, paper) packs lie in any direction and are seen from above; on a shelf or in a fridge they
stand in rows. All packs of a scene have the same scale and the same light.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from retail_seg.rendering.drawing import smooth_noise
from retail_seg.rendering.packs import ProductDesign, View, random_view, render
from retail_seg.rendering.surfaces import SHELVES, TABLES, boards, surface

GROUNDS = (*TABLES, *SHELVES)


@dataclass(frozen=True, eq=False)
class Scene:
    """A photo and its truth: labels (H, W) int32 with ids 1…n, designs[i] the product of id i + 1."""

    photo: np.ndarray
    labels: np.ndarray
    designs: tuple[ProductDesign, ...]


@dataclass(eq=False)
class _Stage:
    """The picture in the making, and the light that all packs share (x right, y down: where the light comes from)."""

    picture: np.ndarray
    labels: np.ndarray
    light: tuple[float, float]
    view: View
    scale: float  # pixels per millimetre


def compose(
    designs: Sequence[ProductDesign],
    rng: np.random.Generator,
    *,
    size: tuple[int, int] = (960, 1280),
    ground: str | None = None,
    touching: float = 0.4,
    strength: float = 0.6,
) -> Scene:
    """Put the designs on a ground (one of GROUNDS; None draws one) and take a photo of `size` (height, width).

    `touching` is the share of packs that are pushed against another one, `strength` how far light, blur and noise
    stray from a studio's. A pack that finds no free place even after shrinking is left out.
    Raises ValueError for an unknown ground or no designs.
    """
    ground = str(rng.choice(GROUNDS)) if ground is None else ground
    if ground not in GROUNDS or not designs:
        raise ValueError(f"ground {ground!r} with {len(designs)} designs; give designs and one of {', '.join(GROUNDS)}")
    height, width = size
    background = surface(ground, height, width, rng)
    angle = float(rng.uniform(0, 2 * np.pi))
    light = (float(np.cos(angle)), float(np.sin(angle))) if ground in TABLES else (float(rng.uniform(-0.9, 0.9)), -0.5)
    view = replace(random_view(rng, strength), yaw=0.0, roll=0.0, keystone=0.0, blur=0.0, noise=0.0, exposure=1.0)
    view = replace(view, pitch=float(rng.uniform(5, 15)) if ground in SHELVES else 3.0)
    plan = _stand if ground in SHELVES else _lay
    seed = int(rng.integers(2**31))
    scale = _first_scale(designs, height, width, ground)
    for _ in range(8):  # too large a scale leaves packs without a place: try again smaller
        stage = _Stage(background.copy(), np.zeros(size, np.int32), light, view, scale)
        placed = plan(stage, designs, np.random.default_rng(seed), boards(ground, height), touching)
        if len(placed) == len(designs):
            break
        scale *= 0.9
    return Scene(_develop(stage, rng, strength), stage.labels, tuple(placed))


def _first_scale(designs: Sequence[ProductDesign], height: int, width: int, ground: str) -> float:
    """Pixels per millimetre with which the packs fill the picture well."""
    tallest = max(design.size[1] for design in designs)
    if ground in SHELVES:
        across = sum(design.size[0] for design in designs) * 1.12
        return float(min(0.38 * height / tallest, 2 * 0.92 * width / across))
    area = sum(design.size[0] * design.size[1] for design in designs)
    longest = max(max(design.size[:2]) for design in designs)
    return float(min(np.sqrt(0.42 * height * width / area), 0.62 * min(height, width) / longest))


def _lay(
    stage: _Stage,
    designs: Sequence[ProductDesign],
    rng: np.random.Generator,
    rows: tuple[int, ...],
    touching: float,
) -> list[ProductDesign]:
    """Lay packs in any direction, the largest first, a share of them against one that lies already."""
    placed: list[ProductDesign] = []
    for design in sorted(designs, key=lambda each: -each.size[0] * each.size[1]):
        push = bool(placed) and rng.random() < touching
        for _ in range(5):
            sprite = _sprite(stage, design, rng, float(rng.choice([0, 90, 180, 270]) + rng.normal(0, 25)), View())
            solid = sprite[:, :, 3] > 127
            spot = _against(stage.labels, solid, rng) if push else _free_spot(stage.labels, solid, rng)
            if spot is not None:
                placed.append(design)
                _put(stage, sprite, spot, len(placed), standing=False)
                break
    return placed


def _stand(
    stage: _Stage,
    designs: Sequence[ProductDesign],
    rng: np.random.Generator,
    rows: tuple[int, ...],
    touching: float,
) -> list[ProductDesign]:
    """Stand packs on the boards from left to right, a share of them without a gap to the neighbour."""
    placed: list[ProductDesign] = []
    height, width = stage.labels.shape
    sprites = [
        _sprite(stage, design, rng, 0.0, replace(stage.view, yaw=float(rng.normal(0, 10)))) for design in designs
    ]
    half = sum(sprite.shape[1] for sprite in sprites) / len(rows)
    board, used, x = 0, 0, 0.02 * width
    for design, sprite in zip(designs, sprites, strict=True):
        tall, wide = sprite.shape[:2]
        if board + 1 < len(rows) and (used > half * 0.98 or x + wide > 0.99 * width):
            board, used, x = board + 1, 0, 0.02 * width
        room = max(0.96 * width - half, 0) / (len(designs) / len(rows) + 1)
        gap = 0.0 if placed and used and rng.random() < touching else rng.uniform(0.3, 1.2) * room + 3
        spot = int(x + gap) - (1 if gap == 0 else 0), rows[board] - tall + int(rng.uniform(-0.008, 0.004) * height)
        if spot[0] + wide > width - 2 or spot[1] < 1:
            continue
        placed.append(design)
        _put(stage, sprite, spot, len(placed), standing=True)
        x, used = spot[0] + wide, used + wide
    return placed


def _sprite(stage: _Stage, design: ProductDesign, rng: np.random.Generator, turn: float, look: View) -> np.ndarray:
    """The pack at the stage's scale, turned by `turn` degrees (clockwise), lit from where the stage's light is."""
    angle = np.radians(turn)
    across = stage.light[0] * np.cos(angle) + stage.light[1] * np.sin(angle)
    above = -stage.light[0] * np.sin(angle) + stage.light[1] * np.cos(angle)
    yaw = look.yaw or float(rng.normal(0, 12))
    height = float(np.clip(0.5 - 0.4 * above, 0, 1))
    view = replace(stage.view, yaw=yaw, light=float(across), height=height, folds=int(rng.integers(2**31)))
    sprite = render(design, max(int(design.size[1] * stage.scale), 16), view=view)
    return _turned(sprite, turn) if abs(turn) > 0.5 else sprite


def _turned(sprite: np.ndarray, turn: float) -> np.ndarray:
    """The sprite turned clockwise by `turn` degrees on a canvas that holds all of it."""
    rows, columns = sprite.shape[:2]
    matrix = cv2.getRotationMatrix2D((columns / 2, rows / 2), -turn, 1.0)
    cos, sin = abs(matrix[0, 0]), abs(matrix[0, 1])
    width, height = int(rows * sin + columns * cos) + 3, int(rows * cos + columns * sin) + 3
    matrix[:, 2] += (width - columns) / 2, (height - rows) / 2
    whole = sprite.astype(np.float32)
    whole[:, :, :3] *= whole[:, :, 3:] / 255  # colours times cover, so that edges do not pick up black
    turned = cv2.warpAffine(whole, matrix, (width, height), flags=cv2.INTER_LINEAR)
    turned[:, :, :3] = turned[:, :, :3] / (np.maximum(turned[:, :, 3:], 1) / 255)
    return np.clip(turned, 0, 255).astype(np.uint8)


def _free_spot(labels: np.ndarray, solid: np.ndarray, rng: np.random.Generator) -> tuple[int, int] | None:
    """A corner (x, y) at which the pack lies inside the picture and apart from all others."""
    height, width = labels.shape
    rows, columns = solid.shape
    gap = max(width // 60, 3)
    if rows + 2 * gap >= height or columns + 2 * gap >= width:
        return None
    for _ in range(60):
        x, y = int(rng.integers(gap, width - columns - gap)), int(rng.integers(gap, height - rows - gap))
        near = labels[y - gap : y + rows + gap, x - gap : x + columns + gap]
        if not near.any():
            return x, y
        grown = cv2.dilate(np.pad(solid, gap).astype(np.uint8), np.ones((2 * gap + 1, 2 * gap + 1), np.uint8))
        if not (near[grown > 0]).any():
            return x, y
    return None


def _against(labels: np.ndarray, solid: np.ndarray, rng: np.random.Generator) -> tuple[int, int] | None:
    """A corner (x, y) at which the pack just touches one that lies already, coming from a random side."""
    for _ in range(6):
        anchor = int(rng.integers(1, labels.max() + 1))
        ys, xs = np.nonzero(labels == anchor)
        if not len(ys):
            continue
        start = np.array([xs.mean() - solid.shape[1] / 2, ys.mean() - solid.shape[0] / 2])
        angle = rng.uniform(0, 2 * np.pi)
        spot = _slide(labels, solid, start, np.array([np.cos(angle), np.sin(angle)]), anchor)
        if spot is not None:
            return spot
    return None


def _slide(
    labels: np.ndarray, solid: np.ndarray, start: np.ndarray, way: np.ndarray, anchor: int
) -> tuple[int, int] | None:
    """Come from afar along `way` towards the corner `start` until the next pixel would cover the anchor.

    None where the pack would leave the picture or meets another pack first.
    """
    rows, columns = solid.shape
    room = np.array([labels.shape[1] - columns - 2, labels.shape[0] - rows - 2])
    far, step = int(np.hypot(*labels.shape) / 2), 12
    last = None
    while far > 0:
        x, y = (start + far * way).astype(int)
        if x < 2 or y < 2 or x > room[0] or y > room[1]:
            if last is not None:
                return None
            far -= step
            continue
        below = labels[y : y + rows, x : x + columns] * solid
        if not below.any():
            last = (int(x), int(y))
            far -= step
        elif step == 1:
            return last if not ((below > 0) & (below != anchor)).any() else None
        elif last is None:
            return None
        else:
            far, step = far + step - 1, 1
    return None


def _put(stage: _Stage, sprite: np.ndarray, spot: tuple[int, int], number: int, *, standing: bool) -> None:
    """Shadow first, then the pack itself, then its id where it covers the ground."""
    x, y = spot
    rows, columns = sprite.shape[:2]
    _shadow(stage, sprite[:, :, 3], spot, standing=standing)
    part = stage.picture[y : y + rows, x : x + columns]
    alpha = sprite[:, :, 3:].astype(np.float32) / 255
    part += (sprite[:, :, :3] - part) * alpha
    stage.labels[y : y + rows, x : x + columns][sprite[:, :, 3] > 127] = number


def _shadow(stage: _Stage, alpha: np.ndarray, spot: tuple[int, int], *, standing: bool) -> None:
    """Darken the ground: a tight contact shadow and a wide one away from the light; never on packs that lie there."""
    height, width = stage.labels.shape
    reach = max(int(min(alpha.shape) * 0.16), 4)
    pad = 3 * reach
    wide = np.zeros((alpha.shape[0] + 2 * pad, alpha.shape[1] + 2 * pad), np.float32)
    wide[pad:-pad, pad:-pad] = alpha
    tight = cv2.GaussianBlur(wide, (0, 0), max(reach * 0.18, 1.0))
    if standing:
        wide[: pad + int(alpha.shape[0] * 0.5)] *= 0.45
    move = np.array([[1, 0, -stage.light[0] * reach], [0, 1, -stage.light[1] * reach * 0.8]], np.float32)
    cast = cv2.GaussianBlur(cv2.warpAffine(wide, move, wide.shape[1::-1]), (0, 0), reach * 0.55)
    dark = 1 - np.clip(0.42 * tight + (0.2 + 0.35 * stage.view.contrast) * cast, 0, 190) / 255
    x0, y0 = spot[0] - pad, spot[1] - pad
    rows = slice(max(y0, 0), min(y0 + dark.shape[0], height))
    columns = slice(max(x0, 0), min(x0 + dark.shape[1], width))
    inside = dark[rows.start - y0 : rows.stop - y0, columns.start - x0 : columns.stop - x0]
    lighter = np.where(stage.labels[rows, columns] > 0, 1 - (1 - inside) * 0.45, inside)
    stage.picture[rows, columns] *= lighter[:, :, None]


def _develop(stage: _Stage, rng: np.random.Generator, strength: float) -> np.ndarray:
    """Light that falls off across the photo, colour of the light, lens blur and grain ► RGB uint8."""
    height, width = stage.labels.shape
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    falloff = 1 + 0.12 * (x * stage.light[0] + y * stage.light[1]) - 0.07 * (x * x + y * y)
    falloff = falloff + 0.03 * smooth_noise(rng, height, width, 2, 2)
    exposure = float(np.exp(rng.normal(0, 0.15 * strength)))
    warm = float(rng.normal(0, 0.04 * strength))
    tint = np.array([1 + warm, 1, 1 - warm], np.float32)
    picture: np.ndarray = stage.picture * (falloff * exposure)[:, :, None] * tint
    blur = float(abs(rng.normal(0, 0.6 * strength)))
    if blur > 0.25:
        picture = cv2.GaussianBlur(picture, (0, 0), blur)
    picture = picture + rng.standard_normal(picture.shape, np.float32) * float(rng.uniform(0.5, 1 + 4 * strength))
    return np.clip(picture, 0, 255).astype(np.uint8)
