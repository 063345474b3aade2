"""What is around products and is none: floor tiles, ceiling and lamps, walls, signs, banners, a hand, a passer-by."""

from __future__ import annotations

import cv2
import numpy as np

from retail_seg.rendering.canvas import IGNORE, Canvas
from retail_seg.rendering.drawing import hsv, smooth_noise, write
from retail_seg.rendering.lens import LensProjection

WORDS = ("SALE", "OFFER", "NEW", "2 FOR 1", "FRESH", "ORGANIC", "DAIRY", "SNACKS", "DRINKS", "Market", "PRICE",
         "TILBUD", "-30%", "SPAR", "weekly deal", "BIO", "-50%")  # fmt: skip


def floor(canvas: Canvas, view: LensProjection, y: float, rng: np.random.Generator) -> None:
    """Tiles that run from the shelf's foot at `y` (mm) towards the camera."""
    height, width = canvas.labels.shape
    top = round(view.at(0, y)[1])
    if top >= height:
        return
    tone = np.array(
        hsv(rng.choice([0.09, 0.1, 0.11, 0.6]), rng.uniform(0.02, 0.22), rng.uniform(0.35, 0.92)), np.float32
    )
    start = max(top, 0)
    canvas.fill(0, start, width, height, tone)
    part = canvas.picture[start:]
    part *= (1 + 0.05 * smooth_noise(rng, part.shape[0], part.shape[1], 5, 7))[:, :, None]
    canvas.dim(0, top, width, height, np.array([0.35, 0.8, 0.95, 1.0, 1.05]))
    if view.eye[1] >= y:
        return
    _joints(canvas, view, y, tone * rng.choice([0.6, 0.75, 1.15]), float(rng.choice([200, 300, 400, 600])), start)


def _joints(canvas: Canvas, view: LensProjection, y: float, ink: np.ndarray, tile: float, start: int) -> None:
    layer = canvas.picture[start:]
    near = -0.8 * view.eye[2]
    colour = tuple(float(c) for c in ink)
    thick = max(round(4 * view.scale), 1)
    left, right = view.eye[0] - 6 * view.eye[2], view.eye[0] + 6 * view.eye[2]

    def line(a: tuple[float, float], b: tuple[float, float]) -> None:
        ends = [
            (round(float(np.clip(x, -9000, 9000))), round(float(np.clip(v, -9000, 9000))) - start) for x, v in (a, b)
        ]
        cv2.line(layer, ends[0], ends[1], colour, thick, cv2.LINE_AA)

    for depth in np.arange(-tile / 2, near, -tile):
        line(view.at(left, y, depth), view.at(right, y, depth))
    for x in np.arange(-8 * tile, 8 * tile, tile) + view.eye[0] // tile * tile:
        line(view.at(x, y, 0), view.at(x, y, near))


def ceiling(
    canvas: Canvas, view: LensProjection, y: float, texture: np.ndarray | None, rng: np.random.Generator
) -> None:
    """Above the bay's top at `y` (mm): a far wall or a room out of focus, lamps, dark pipes."""
    width = canvas.labels.shape[1]
    bottom = round(view.at(0, y)[1])
    if bottom <= 2:
        return
    tone = np.array(hsv(0.6, rng.uniform(0, 0.08), rng.uniform(0.15, 0.9)), np.float32)
    ramp = np.linspace(rng.uniform(0.5, 1.0), 1.0, 8, dtype=np.float32)[:, None, None]
    canvas.fill(0, 0, width, bottom, tone * ramp * np.ones((1, 8, 1), np.float32))
    if texture is not None and rng.random() < 0.5:
        room = cv2.GaussianBlur(texture, (0, 0), 2).astype(np.float32) * rng.uniform(0.5, 1.1)
        canvas.fill(0, 0, width, bottom, room)
    for _ in range(int(rng.integers(0, 6))):
        x, v = rng.uniform(0, width), rng.uniform(0, bottom)
        wide, tall = rng.uniform(0.05, 0.4) * width, rng.uniform(0.02, 0.08) * bottom + 2
        lamp = np.full(3, rng.uniform(225, 280), np.float32)
        canvas.fill(x, v, x + wide, min(v + tall, bottom), lamp if rng.random() < 0.75 else tone * 0.4)
    canvas.picture[:bottom] = cv2.blur(canvas.picture[:bottom], (5, 5))


def sign(canvas: Canvas, box: tuple[float, float, float, float], rng: np.random.Generator, lines: int = 1) -> None:
    """A printed board or banner in the given box (canvas pixels x0, y0, x1, y1): fields of colour and words."""
    wide, tall = max(round(box[2] - box[0]), 8), max(round(box[3] - box[1]), 8)
    ground = hsv(rng.choice([0.0, 0.15, 0.6, 0.33, 0.08]), rng.choice([0.05, 0.85]), rng.uniform(0.75, 1.0))
    card = np.empty((tall, wide, 3), np.uint8)
    card[:] = ground
    other = hsv(rng.choice([0.0, 0.0, 0.15, 0.4, 0.62]), 0.9, rng.uniform(0.6, 0.95))
    if rng.random() < 0.6:
        card[: tall // int(rng.integers(3, 6))] = other
    ink = (20, 20, 24) if sum(ground) > 380 else (245, 245, 240)
    count = lines + int(tall > 0.5 * wide)
    step = tall // count
    for i in range(count):
        field = (wide // 12, step * i + step // 6, wide - wide // 12, step * (i + 1) - step // 6)
        face = str(rng.choice(["bold", "black", "plain"]))
        write(card, str(rng.choice(WORDS)), field, other if rng.random() < 0.4 else ink, face=face)
    canvas.fill(*box, card.astype(np.float32) * rng.uniform(0.8, 1.02))


def neighbour(canvas: Canvas, x0: float, x1: float, texture: np.ndarray | None, rng: np.random.Generator) -> None:
    """Beside the bay, from pixel column x0 to x1: a wall, a dark aisle, a room, or other shelves out of focus."""
    height, width = canvas.labels.shape
    left, right = max(round(x0), 0), min(round(x1), width)
    if right - left < 3:
        return
    choice = rng.choice(["wall", "room", "shelves", "shelves"])
    number = 0
    if choice == "shelves":
        across = min(max((right - left) * 2, 64), width)
        start = int(rng.integers(0, width - across + 1))
        part = cv2.flip(canvas.picture[:, start : start + across], 1)
        soft = cv2.GaussianBlur(cv2.resize(part, (right - left, height)), (0, 0), rng.uniform(1.5, 5))
        part = np.asarray(soft * rng.uniform(0.35, 0.9), np.float32)
        number = IGNORE
    elif choice == "room" and texture is not None:
        part = cv2.resize(texture, (right - left, height)).astype(np.float32) * rng.uniform(0.4, 1.0)
    else:
        part = np.empty((height, right - left, 3), np.float32)
        part[:] = hsv(rng.random(), rng.uniform(0, 0.3), rng.uniform(0.1, 0.9))
        part = part * np.linspace(rng.uniform(0.5, 1), 1, right - left, dtype=np.float32)[None, :, None]
    canvas.picture[:, left:right] = part
    canvas.labels[:, left:right] = number
    edge = left if left > 0 else right - max(width // 80, 3)
    canvas.fill(edge, 0, edge + max(width // 80, 3), height, part.mean((0, 1)) * rng.choice([0.4, 1.4]))


def hand(canvas: Canvas, rng: np.random.Generator) -> None:
    """An arm in a sleeve that reaches in from below or a side, its fingers spread a little."""
    height, width = canvas.labels.shape
    tip = np.array([rng.uniform(0.25, 0.75) * width, rng.uniform(0.35, 0.75) * height])
    start = np.array([rng.choice([-0.1, 1.1, rng.uniform(0.2, 0.8)]) * width, 1.15 * height])
    along = (tip - start) / np.linalg.norm(tip - start)
    palm = 0.055 * max(height, width) * rng.uniform(0.8, 1.5)
    layer = np.zeros((height, width, 4), np.uint8)
    skin = tuple(int(c) for c in np.array([224, 172, 138]) * rng.uniform(0.35, 1.08))
    cloth = hsv(rng.random(), rng.uniform(0, 0.7), rng.uniform(0.1, 0.8))
    wrist = tip - along * palm * 1.6
    _limb(layer, start, wrist, palm * 1.5, (*cloth, 255))
    _limb(layer, wrist, tip - along * palm * 0.4, palm * 1.05, (*skin, 255))
    for angle, long in ((-1.15, 1.1), (-0.4, 1.9), (-0.12, 2.1), (0.16, 2.0), (0.45, 1.6)):
        way = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) @ along
        _limb(layer, tip - along * palm * 0.5, tip + way * palm * long * 0.7, palm * 0.27, (*skin, 255))
    shade = cv2.GaussianBlur(layer[:, :, 3], (0, 0), palm * 0.14).astype(np.float32) / 255
    layer[:, :, :3] = np.clip(layer[:, :, :3] * (0.45 + 0.65 * shade)[:, :, None], 0, 255)
    layer[:, :, 3] = cv2.GaussianBlur(layer[:, :, 3], (0, 0), 1.0)
    canvas.lay(layer, 0, 0)


def passer_by(canvas: Canvas, rng: np.random.Generator) -> None:
    """A person's back or side, out of focus, cut by the picture's edge."""
    height, width = canvas.labels.shape
    x = width * (rng.uniform(-0.02, 0.12) if rng.random() < 0.5 else rng.uniform(0.88, 1.02))
    head = height * rng.uniform(0.05, 0.09)
    top = height * rng.uniform(0.1, 0.4)
    layer = np.zeros((height, width, 4), np.uint8)
    coat, hair = hsv(rng.random(), rng.uniform(0, 0.8), rng.uniform(0.08, 0.7)), hsv(0.07, 0.5, rng.uniform(0.05, 0.6))
    axes = (int(head * 2.2), int(height * 0.55))
    cv2.ellipse(layer, (int(x), int(top + head * 1.5 + axes[1])), axes, 0, 0, 360, (*coat, 255), -1)
    cv2.ellipse(layer, (int(x), int(top + head * 0.6)), (int(head * 0.78), int(head)), 0, 0, 360, (*hair, 255), -1)
    layer = np.asarray(cv2.GaussianBlur(layer, (0, 0), max(head * 0.06, 1)), np.uint8)
    folds = 1 + 0.25 * smooth_noise(rng, height, width, 9, 9)
    layer[:, :, :3] = np.clip(layer[:, :, :3] * folds[:, :, None], 0, 255)
    canvas.lay(layer, 0, 0)


def _limb(layer: np.ndarray, a: np.ndarray, b: np.ndarray, thick: float, colour: tuple[int, ...]) -> None:
    ends = [(round(float(p[0])), round(float(p[1]))) for p in (a, b)]
    cv2.line(layer, ends[0], ends[1], colour, max(round(thick), 1), cv2.LINE_AA)
