"""Shop furniture on a canvas: backs, boards, price rails with tags, posts, crates, cartons, wires, pallets, doors."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from retail_seg.rendering.canvas import Canvas
from retail_seg.rendering.drawing import hsv, smooth_noise, write
from retail_seg.rendering.lens import LensProjection

BACKS = ("plain", "holes", "slats", "texture", "dark")


@dataclass(frozen=True)
class Furniture:
    """What a bay is made of: RGB colours, `rail_mm` the height of a board's front edge, `depth_mm` of the boards,
    `back` one of BACKS, `gleam` how much the boards mirror.
    """

    back: str
    wall: tuple[int, int, int]
    board: tuple[int, int, int]
    rail: tuple[int, int, int]
    strip: tuple[int, int, int]
    tag: tuple[int, int, int]
    rail_mm: float
    depth_mm: float
    shade: float
    tags_per_m: float
    wire: bool


def random_furniture(rng: np.random.Generator, bright: bool | None = None) -> Furniture:
    """Furniture as shops have it: white, grey, steel, dark or wood; the price rail of its own colour now and then."""
    if bright is None:
        bright = rng.random() < 0.5
    tone = rng.uniform(0.6, 0.95) if bright else rng.uniform(0.06, 0.4)
    hue, grey = rng.choice([0.08, 0.6, 0.1, 0.0]), rng.uniform(0, 0.12)
    wall = hsv(hue, grey, tone)
    board = hsv(hue, grey, float(np.clip(tone + rng.normal(0, 0.15), 0.08, 0.95)))
    rail = board if rng.random() < 0.4 else hsv(0.6, 0.04, rng.choice([0.12, 0.35, 0.6, 0.8, 0.93]))
    if rng.random() < 0.1:
        rail = hsv(rng.choice([0.0, 0.01, 0.6, 0.33, 0.12]), rng.uniform(0.6, 0.95), rng.uniform(0.45, 0.9))
    strip = rail if rng.random() < 0.6 else hsv(0.6, 0.03, rng.uniform(0.5, 0.95))
    if rng.random() < 0.12:
        strip = hsv(rng.choice([0.0, 0.15, 0.6, 0.3]), rng.uniform(0.4, 0.9), rng.uniform(0.5, 0.9))
    tag = hsv(0.12, rng.uniform(0, 0.06), rng.uniform(0.75, 1.0))
    if rng.random() < 0.09:
        tag = hsv(rng.choice([0.14, 0.0, 0.08, 0.3]), 0.75, 0.95)
    return Furniture(
        back=str(rng.choice(BACKS)) if bright else str(rng.choice(["plain", "holes", "slats", "texture", "dark"])),
        wall=wall,
        board=board,
        rail=rail,
        strip=strip,
        tag=tag,
        rail_mm=float(rng.uniform(22, 46)),
        depth_mm=float(rng.uniform(260, 480)),
        shade=float(rng.uniform(0.4, 0.95)),
        tags_per_m=float(rng.choice([2.5, 4.5, 8.0, 12.0])),
        wire=bool(rng.random() < 0.12),
    )


def back_wall(
    size: tuple[int, int], scale: float, look: Furniture, texture: np.ndarray | None, rng: np.random.Generator
) -> np.ndarray:
    """The wall behind the products, RGB float32; drawn at half its size, as it is in shadow. `scale`: pixels per mm."""
    height, width = size
    small = _wall(height // 2 + 1, width // 2 + 1, scale, look, texture, rng)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)


def _wall(
    height: int, width: int, scale: float, look: Furniture, texture: np.ndarray | None, rng: np.random.Generator
) -> np.ndarray:
    wall = np.empty((height, width, 3), np.float32)
    wall[:] = look.wall if look.back != "dark" else np.array(look.wall) * 0.25
    pitch = max(int(rng.uniform(20, 32) * scale / 2), 3)
    if look.back == "holes":
        hole = np.ones((pitch, pitch), np.float32)
        cv2.circle(hole, (pitch // 2, pitch // 2), max(pitch // 7, 1), 0.5, -1, cv2.LINE_AA)
        wall *= np.tile(hole, (-(-height // pitch), -(-width // pitch)))[:height, :width, None]
    elif look.back == "slats":
        period = pitch * 3
        ramp = 0.82 + 0.18 * ((np.arange(height) % period) / period)
        ramp[np.arange(height) % period < max(period // 10, 1)] = 0.45
        wall *= ramp[:, None, None].astype(np.float32)
    elif look.back == "texture" and texture is not None:
        part = cv2.resize(texture, (width, height), interpolation=cv2.INTER_LINEAR).astype(np.float32)
        wall = 0.35 * wall + 0.65 * part * (0.3 + np.float32(np.mean(look.wall)) / 255)
    return np.asarray(wall * (1 + 0.06 * smooth_noise(rng, height, width, 3, 4))[:, :, None])


def opening(canvas: Canvas, view: LensProjection, top: float, base: float, look: Furniture, wall: np.ndarray) -> None:
    """One empty compartment: its back, the board it stands on, and the underside of the board above (mm)."""
    left, right, width = 0, canvas.labels.shape[1], canvas.labels.shape[1]
    y0, y1 = view.at(0, top)[1], view.at(0, base)[1]
    far0, far1 = view.at(0, top, look.depth_mm)[1], view.at(0, base, look.depth_mm)[1]
    rows = slice(max(round(y0), 0), max(min(round(y1), len(wall)), 0))
    if rows.start >= rows.stop:
        return
    canvas.picture[rows] = wall[rows]
    canvas.labels[rows] = 0
    canvas.dim(left, y0, right, y1, np.array([look.shade * 0.55, 0.45 + 0.45 * look.shade, 0.75, 0.8]))
    board = np.array(look.board, np.float32)
    if far1 < y1:
        span = max(round(y1) - round(far1), 1)
        ramp = np.linspace(0.35 + 0.3 * look.shade, 0.95, span, dtype=np.float32)[:, None, None]
        canvas.fill(0, far1, width, y1, board * ramp * np.ones((1, 8, 1), np.float32))
        if look.wire:
            for x in np.arange(0, width, max(25 * view.scale, 4)):
                canvas.fill(x, far1, x + max(2 * view.scale, 1), y1, board * 0.25)
    if far0 > y0:
        span = max(round(far0) - round(y0), 1)
        ramp = np.linspace(0.5, 0.25, span, dtype=np.float32)[:, None, None]
        canvas.fill(0, y0, width, far0, board * ramp * np.ones((1, 8, 1), np.float32))


def rail(canvas: Canvas, view: LensProjection, base: float, look: Furniture, rng: np.random.Generator) -> None:
    """A board's front edge at `base` (mm), its price strip, and the tags in it."""
    width = canvas.labels.shape[1]
    y0, y1 = view.at(0, base)[1], view.at(0, base + look.rail_mm)[1]
    tall = max(round(y1) - round(y0), 2)
    profile = np.array([1.12, 1.0, 0.95, 0.9, 0.72], np.float32)
    ramp = cv2.resize(profile[:, None], (8, tall))[:, :, None]
    canvas.fill(0, y0, width, y1, np.minimum(np.array(look.rail, np.float32) * ramp, 250))
    inset = tall * 0.14
    canvas.fill(0, y0 + inset, width, y1 - inset, np.minimum(np.array(look.strip, np.float32) * ramp, 250))
    spacing = 1000 / look.tags_per_m
    x = view.inverse(0, 0)[0] + rng.uniform(0, spacing)
    end = view.inverse(width, 0)[0]
    tag_w = rng.uniform(1.2, 2.0) * look.rail_mm
    over = rng.uniform(-0.1, 0.35) * look.rail_mm
    while x < end:
        colour = look.tag if rng.random() < 0.93 else hsv(rng.choice([0.0, 0.14]), 0.85, 0.9)
        larger = 1.0 if rng.random() < 0.975 else 1.6
        _tag(canvas, view, (x, base + 2, x + tag_w * larger, base + (look.rail_mm + over) * larger), colour, rng)
        x += tag_w * larger + rng.exponential(max(spacing - tag_w, 8.0))


def _tag(
    canvas: Canvas,
    view: LensProjection,
    box: tuple[float, float, float, float],
    colour: tuple[int, int, int],
    rng: np.random.Generator,
) -> None:
    (x0, y0), (x1, y1) = view.at(box[0], box[1]), view.at(box[2], box[3])
    if x1 - x0 < 3 or y1 - y0 < 3:
        return
    small = np.empty((32, 64, 3), np.uint8)
    small[:] = np.array(colour) * rng.uniform(0.85, 1.0)
    ink = (30, 30, 34)
    price = f"{rng.integers(1, 80)}.{rng.integers(0, 10)}9"
    left, top = int(rng.integers(22, 36)), int(rng.integers(4, 12))
    write(small, price, (left, top, 62, top + int(rng.integers(11, 19))), ink, face="medium", align=0.9)
    for y in (5, 9, 13, 26, 29):
        cv2.line(small, (3, y), (int(rng.integers(10, 24)), y), (90, 90, 96), 1)
    side = (max(round(x1) - round(x0), 2), max(round(y1) - round(y0), 2))
    canvas.fill(x0, y0, x1, y1, cv2.resize(small, side, interpolation=cv2.INTER_AREA).astype(np.float32))
    canvas.fill(x0, y1, x1, y1 + max(1.5 * view.scale, 1), np.zeros(3, np.float32) + 40)


def upright(canvas: Canvas, view: LensProjection, x: float, wide: float, colour: np.ndarray) -> None:
    """A post between two bays, over the whole height."""
    x0, x1 = view.at(x - wide / 2, 0)[0], view.at(x + wide / 2, 0)[0]
    ramp = np.array([0.6, 1.0, 1.08, 0.95, 0.55], np.float32)
    across = cv2.resize(ramp[None, :], (max(round(x1) - round(x0), 2), 8))[:, :, None]
    canvas.fill(x0, 0, x1, canvas.labels.shape[0], np.minimum(colour * across, 250))


def crate_front(
    canvas: Canvas,
    view: LensProjection,
    box: tuple[float, float, float, float],
    colour: np.ndarray,
    kind: str,
    rng: np.random.Generator,
) -> None:
    """The front of a crate, tray or carton (x0, y0, x1, y1 in mm); kind "crate", "carton" or "print"."""
    (x0, y0), (x1, y1) = view.at(box[0], box[1]), view.at(box[2], box[3])
    tall, wide = max(round(y1) - round(y0), 3), max(round(x1) - round(x0), 3)
    front = np.empty((tall, wide, 3), np.float32)
    front[:] = colour * np.linspace(1.05, 0.8, tall, dtype=np.float32)[:, None, None]
    front *= 1 + 0.05 * smooth_noise(rng, tall, wide, 3, 5)[:, :, None]
    if kind == "crate":
        step = max(wide // int(rng.integers(5, 14)), 4)
        for x in range(step // 2, wide - step // 2, step):
            cv2.rectangle(front, (x, tall // 3), (x + step // 2, tall * 3 // 4), (colour * 0.35).tolist(), -1)
        front[: max(tall // 8, 1)] *= 1.25
    elif kind == "wicker":
        front *= _weave(tall, wide, view.scale)[:, :, None]
    elif kind == "print":
        text = np.ascontiguousarray(np.clip(front, 0, 255).astype(np.uint8))
        words = ("FRESH", "Original", "SUPER", "Nova", "Best", "BIO", "Classic", "Gold")
        ink = hsv(rng.random(), rng.uniform(0, 1), rng.choice([0.15, 0.95]))
        for x in range(0, wide, max(int(tall * rng.uniform(2, 5)), 12)):
            write(
                text, str(rng.choice(words)), (x + 2, tall // 5, min(x + int(tall * 2), wide - 1), tall * 4 // 5), ink
            )
        front = text.astype(np.float32)
    canvas.fill(x0, y0, x1, y1, np.clip(front, 0, 250))
    canvas.fill(x0, y0, x0 + max(1.5 * view.scale, 1), y1, colour * 0.5)


def _weave(height: int, width: int, scale: float) -> np.ndarray:
    """Brightness of woven willow: rods that run over and under each other, about 9 mm apart."""
    turn = np.float32(np.pi / max(9 * scale, 2.0))
    y, x = np.arange(height, dtype=np.float32)[:, None] * turn, np.arange(width, dtype=np.float32)[None, :] * turn / 2
    return 0.62 + 0.38 * np.sin(y) ** 2 * np.abs(np.sin(x + np.floor(y / np.pi) * np.pi / 2))


def wires(canvas: Canvas, view: LensProjection, box: tuple[float, float, float, float], colour: np.ndarray) -> None:
    """A grid of wires before products (a basket's front); too thin to hide them, so labels stay."""
    (x0, y0), (x1, y1) = view.at(box[0], box[1]), view.at(box[2], box[3])
    thick = max(2.5 * view.scale, 1)
    for x in np.arange(x0, x1 + 1, max(45 * view.scale, 6)):
        canvas.fill(x, y0, x + thick, y1, colour, None)
    for y in np.arange(y0, y1 + 1, max(45 * view.scale, 6)):
        canvas.fill(x0, y, x1, y + thick, colour, None)
    canvas.fill(x0, y0 - thick, x1, y0 + 2 * thick, colour * 0.9)


def pallet(canvas: Canvas, view: LensProjection, x0: float, y0: float, x1: float, rng: np.random.Generator) -> None:
    """The front of a wooden pallet, 144 mm high, with dark mouths between its blocks."""
    wood = np.array(hsv(0.09, rng.uniform(0.25, 0.5), rng.uniform(0.5, 0.85)), np.float32)
    left, top = view.at(x0, y0)
    right, bottom = view.at(x1, y0 + 144)
    canvas.fill(left, top, right, bottom, wood * 0.15)
    for low, high in ((0, 0.17), (0.83, 1.0)):
        canvas.fill(left, top + low * (bottom - top), right, top + high * (bottom - top), wood)
    for share in (0.0, 0.44, 0.88):
        x = left + share * (right - left)
        canvas.fill(
            x, top + 0.17 * (bottom - top), x + 0.12 * (right - left), bottom - 0.17 * (bottom - top), wood * 0.8
        )


def glass_doors(canvas: Canvas, view: LensProjection, edges: list[float], rng: np.random.Generator) -> None:
    """Fridge doors between the given x (mm): frames, handles, a veil and slanting reflections on the glass."""
    frame = np.array(hsv(0.6, 0.03, rng.choice([0.1, 0.25, 0.7, 0.9])), np.float32)
    height, width = canvas.labels.shape
    veil = smooth_noise(rng, height, width, 2, 7) * 14
    x = np.arange(width, dtype=np.float32)[None, :] + np.arange(height, dtype=np.float32)[:, None] * rng.uniform(
        -0.4, 0.4
    )
    bands = np.clip(np.sin(x / width * rng.uniform(8, 25) + rng.uniform(0, 6)) - 0.55, 0, 1) * rng.uniform(10, 90)
    canvas.picture *= np.float32(rng.uniform(0.8, 0.97))
    canvas.picture += np.maximum(veil + bands, 0)[:, :, None]
    side = rng.random() < 0.5
    for edge in edges:
        upright(canvas, view, edge, float(rng.uniform(35, 80)), frame)
        handle = edge + (70 if side else -70)
        middle = view.inverse(0, height * rng.uniform(0.35, 0.6))[1]
        (x0, y0), (x1, y1) = view.at(handle - 12, middle - 170), view.at(handle + 12, middle + 170)
        canvas.fill(x0 + 4, y0 + 4, x1 + 4, y1 + 4, frame * 0.2)
        canvas.fill(x0, y0, x1, y1, np.minimum(frame * 1.2 + 25, 245))
