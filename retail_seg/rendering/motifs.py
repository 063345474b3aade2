"""Pictures as packs carry them: fruit, leaves, nuts, grain, drops, drawn small and shaded, as RGBA sprites."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from retail_seg.rendering.drawing import BLACK, WHITE, Colour, mix, polygon

GREEN: Colour = (64, 132, 44)


def motif(name: str, colour: Colour, pixels: int, rng: np.random.Generator) -> np.ndarray:
    """A square RGBA uint8 sprite (pixels, pixels, 4) of one of MOTIFS in the flavour's colour.

    Raises KeyError for an unknown motif.
    """
    sprite = np.zeros((max(pixels, 8), max(pixels, 8), 4), np.uint8)
    sprite[:, :, :3] = colour
    MOTIFS[name](sprite, colour, rng)
    return sprite


def heap(
    name: str, colour: Colour, height: int, width: int, count: int, rng: np.random.Generator
) -> tuple[np.ndarray, list[tuple[int, int]]]:
    """One sprite and the corners at which `count` of it lie piled in a box of height × width pixels."""
    side = int(min(height, width) * (1.0 if count == 1 else max(1.5 / np.sqrt(count), 0.22)))
    if count == 1:
        return motif(name, colour, side, rng), [((width - side) // 2, (height - side) // 2)]
    spots = rng.random((count, 2)) * [max(width - side, 1), max(height - side, 1)]
    sprite = motif(name, colour, side, rng)
    order = np.argsort(spots[:, 1])
    return sprite, [(int(x), int(y)) for x, y in spots[order]]


def ball(sprite: np.ndarray, x: float, y: float, radius: float, colour: Colour, squash: float = 1.0) -> None:
    """Lay a shaded ball on the sprite: centre and radius as shares of its side; `squash` flattens it."""
    side = sprite.shape[0]
    rows, columns = np.mgrid[0:side, 0:side].astype(np.float32) / side
    dx, dy = (columns - x) / radius, (rows - y) / (radius * squash)
    far = dx * dx + dy * dy
    cover = np.clip((1 - np.sqrt(far)) * radius * side + 0.5, 0, 1)
    light = np.clip(1.12 - 0.6 * np.clip(far, 0, 1) ** 1.2 - 0.22 * (dx + dy), 0.35, 1.25)
    shine = 150 * np.exp(-((dx + 0.35) ** 2 + (dy + 0.4) ** 2) / 0.04)
    body = np.clip(np.array(colour, np.float32) * light[:, :, None] + shine[:, :, None], 0, 255)
    keep = sprite[:, :, :3] + (body - sprite[:, :, :3]) * cover[:, :, None]
    sprite[:, :, :3] = keep.astype(np.uint8)
    sprite[:, :, 3] = np.maximum(sprite[:, :, 3], (cover * 255).astype(np.uint8))


def _disc(sprite: np.ndarray, x: float, y: float, radius: float, colour: Colour) -> None:
    side = sprite.shape[0] * 8
    cv2.circle(sprite, (int(x * side), int(y * side)), int(radius * side), (*colour, 255), -1, cv2.LINE_AA, 3)


def _shape(sprite: np.ndarray, points: list[tuple[float, float]] | np.ndarray, colour: Colour) -> None:
    polygon(sprite, np.asarray(points, np.float32) * sprite.shape[0], (*colour, 255))


def _stroke(sprite: np.ndarray, start: tuple[float, float], end: tuple[float, float], width: float, c: Colour) -> None:
    side = sprite.shape[0]
    first, last = [(int(x * side * 8), int(y * side * 8)) for x, y in (start, end)]
    cv2.line(sprite, first, last, (*c, 255), max(int(width * side), 1), cv2.LINE_AA, 3)


def _blade(sprite: np.ndarray, x: float, y: float, angle: float, length: float, width: float, colour: Colour) -> None:
    """A leaf from (x, y) outwards, with a light half and a rib."""
    t = np.linspace(0, 1, 12)
    bulge = np.sin(np.pi * t) ** 0.8 * width
    along = np.array([np.cos(angle), np.sin(angle)])
    aside = np.array([-along[1], along[0]])
    spine = np.array([x, y]) + np.outer(t * length, along)
    one, other = spine + bulge[:, None] * aside, spine - bulge[:, None] * aside
    _shape(sprite, np.vstack([one, spine[::-1]]), mix(colour, WHITE, 0.18))
    _shape(sprite, np.vstack([other, spine[::-1]]), mix(colour, BLACK, 0.15))
    _stroke(sprite, tuple(spine[0]), tuple(spine[-1]), 0.012, mix(colour, WHITE, 0.45))


def _citrus(sprite: np.ndarray, colour: Colour, rng: np.random.Generator) -> None:
    ball(sprite, 0.38, 0.42, 0.32, colour)
    _blade(sprite, 0.40, 0.14, -0.5, 0.34, 0.08, GREEN)
    _disc(sprite, 0.64, 0.66, 0.29, colour)
    _disc(sprite, 0.64, 0.66, 0.26, mix(colour, WHITE, 0.85))
    for turn in np.arange(8) * np.pi / 4 + rng.random():
        rim = [(0.64 + 0.235 * np.cos(turn + a), 0.66 + 0.235 * np.sin(turn + a)) for a in (0.08, 0.39, 0.7)]
        _shape(sprite, [(0.64 + 0.03 * np.cos(turn + 0.39), 0.66 + 0.03 * np.sin(turn + 0.39)), *rim],
               mix(colour, WHITE, 0.22))  # fmt: skip


def _strawberry(sprite: np.ndarray, colour: Colour, rng: np.random.Generator) -> None:
    for x, y, r in ((0.36, 0.40, 0.24), (0.60, 0.40, 0.24), (0.48, 0.56, 0.27), (0.48, 0.74, 0.15)):
        ball(sprite, x, y, r, colour)
    for x, y in rng.uniform(0.26, 0.72, (22, 2)):
        if sprite[int(y * sprite.shape[0]), int(x * sprite.shape[0]), 3] > 200:
            _disc(sprite, x, y, 0.013, (246, 214, 110))
    for angle in np.linspace(-2.9, -0.2, 6):
        _blade(sprite, 0.48, 0.24, angle + 0.1, 0.24, 0.05, GREEN)


def _cherry(sprite: np.ndarray, colour: Colour, rng: np.random.Generator) -> None:
    for x, y in ((0.30, 0.70), (0.68, 0.64)):
        _stroke(sprite, (x, y - 0.15), (0.56, 0.12), 0.025, mix(GREEN, BLACK, 0.2))
        ball(sprite, x, y, 0.22, colour)
    _blade(sprite, 0.56, 0.12, 0.3, 0.36, 0.09, GREEN)


def _berries(sprite: np.ndarray, colour: Colour, rng: np.random.Generator) -> None:
    _blade(sprite, 0.5, 0.4, -2.2, 0.4, 0.11, GREEN)
    _blade(sprite, 0.5, 0.4, -0.8, 0.38, 0.10, GREEN)
    for x, y in rng.uniform(0.28, 0.72, (9, 2)) * [1, 0.8] + [0, 0.16]:
        ball(sprite, x, y, rng.uniform(0.12, 0.17), mix(colour, WHITE, rng.uniform(0, 0.15)))


def _fruit(sprite: np.ndarray, colour: Colour, rng: np.random.Generator) -> None:
    ball(sprite, 0.5, 0.58, 0.36, colour, rng.uniform(0.86, 1.08))
    _stroke(sprite, (0.5, 0.28), (0.56, 0.10), 0.03, (90, 60, 30))
    _blade(sprite, 0.54, 0.22, -0.3, 0.34, 0.09, GREEN)


def _flower(sprite: np.ndarray, colour: Colour, rng: np.random.Generator) -> None:
    petals = int(rng.integers(5, 11))
    for angle in np.arange(petals) * 2 * np.pi / petals + rng.random():
        _blade(sprite, 0.5, 0.5, angle, 0.44, 0.9 / petals, mix(colour, WHITE, 0.25))
    ball(sprite, 0.5, 0.5, 0.11, mix((240, 180, 40), colour, 0.2))


def _leaves(sprite: np.ndarray, colour: Colour, rng: np.random.Generator) -> None:
    for angle in np.linspace(-2.7, -0.45, int(rng.integers(3, 6))):
        _blade(sprite, 0.5, 0.84, angle, 0.66, 0.11, mix(colour, GREEN, 0.35))


def _squares(sprite: np.ndarray, colour: Colour, rng: np.random.Generator) -> None:
    for row in range(3):
        for column in range(3 - row % 2):
            x, y = 0.1 + column * 0.27 + row * 0.06, 0.2 + row * 0.23
            corners = np.array([(x, y), (x + 0.25, y - 0.04), (x + 0.27, y + 0.17), (x + 0.02, y + 0.21)])
            _shape(sprite, corners, mix(colour, BLACK, 0.25))
            _shape(sprite, (corners - corners.mean(0)) * 0.74 + corners.mean(0) - 0.01, mix(colour, WHITE, 0.14))


def _nuts(sprite: np.ndarray, colour: Colour, rng: np.random.Generator) -> None:
    for x, y, squash in ((0.34, 0.40, 0.75), (0.66, 0.44, 1.1), (0.46, 0.70, 0.7), (0.74, 0.72, 0.85)):
        ball(sprite, x, y, 0.2, mix(colour, WHITE, rng.uniform(0, 0.2)), squash)
        _stroke(sprite, (x - 0.13, y + 0.02), (x + 0.13, y - 0.03), 0.012, mix(colour, BLACK, 0.4))


def _star(sprite: np.ndarray, colour: Colour, rng: np.random.Generator) -> None:
    points = int(rng.integers(5, 17))
    inner = rng.uniform(0.45, 0.85)
    turn = np.arange(2 * points) * np.pi / points - np.pi / 2
    radius = np.where(np.arange(2 * points) % 2, inner * 0.46, 0.46)
    _shape(sprite, np.stack([0.5 + radius * np.cos(turn), 0.5 + radius * np.sin(turn)], 1), colour)
    _disc(sprite, 0.5, 0.5, 0.46 * inner * 0.7, mix(colour, WHITE, 0.3))


def _drop(sprite: np.ndarray, colour: Colour, rng: np.random.Generator) -> None:
    for x, y, r in ((0.42, 0.62, 0.27), (0.76, 0.38, 0.12)):
        _shape(sprite, [(x - r * 0.9, y - r * 0.35), (x, y - r * 2.1), (x + r * 0.9, y - r * 0.35)], colour)
        ball(sprite, x, y, r, mix(colour, WHITE, 0.15))


def _chilli(sprite: np.ndarray, colour: Colour, rng: np.random.Generator) -> None:
    for shift in (0.0, 0.22):
        t = np.linspace(0, 1, 14)
        x, y = 0.2 + 0.62 * t, 0.24 + shift + 0.44 * t**2
        thick = 0.11 * (1 - t) ** 0.6
        _shape(sprite, np.stack([np.r_[x, x[::-1]], np.r_[y - thick, (y + thick)[::-1]]], 1), mix(colour, BLACK, shift))
        _stroke(sprite, (0.3, 0.2 + shift), (0.56, 0.32 + shift), 0.02, mix(colour, WHITE, 0.5))
        _stroke(sprite, (0.2, 0.24 + shift), (0.08, 0.14 + shift), 0.045, GREEN)


def _cheese(sprite: np.ndarray, colour: Colour, rng: np.random.Generator) -> None:
    _shape(sprite, [(0.1, 0.5), (0.86, 0.28), (0.9, 0.5)], mix(colour, WHITE, 0.35))
    _shape(sprite, [(0.1, 0.5), (0.9, 0.5), (0.9, 0.78), (0.1, 0.78)], colour)
    for x in (0.25, 0.48, 0.74):
        _disc(sprite, x, rng.uniform(0.58, 0.7), rng.uniform(0.03, 0.07), mix(colour, BLACK, 0.22))


def _mushroom(sprite: np.ndarray, colour: Colour, rng: np.random.Generator) -> None:
    ball(sprite, 0.5, 0.68, 0.16, (236, 226, 208), 1.5)
    ball(sprite, 0.5, 0.40, 0.36, colour, 0.66)


def _bulb(sprite: np.ndarray, colour: Colour, rng: np.random.Generator) -> None:
    ball(sprite, 0.38, 0.62, 0.26, colour, 1.1)
    ball(sprite, 0.62, 0.62, 0.26, mix(colour, WHITE, 0.3), 1.1)
    ball(sprite, 0.5, 0.62, 0.18, mix(colour, WHITE, 0.15), 1.6)
    _stroke(sprite, (0.5, 0.4), (0.54, 0.12), 0.06, mix(colour, GREEN, 0.3))


def _olives(sprite: np.ndarray, colour: Colour, rng: np.random.Generator) -> None:
    for angle in (-2.6, -0.6, -1.6):
        _blade(sprite, 0.5, 0.42, angle, 0.42, 0.07, mix(GREEN, colour, 0.4))
    ball(sprite, 0.34, 0.62, 0.19, colour, 1.2)
    ball(sprite, 0.64, 0.66, 0.19, mix(colour, BLACK, 0.35), 1.2)


def _fish(sprite: np.ndarray, colour: Colour, rng: np.random.Generator) -> None:
    _shape(sprite, [(0.66, 0.5), (0.96, 0.32), (0.9, 0.5), (0.96, 0.68)], mix(colour, BLACK, 0.2))
    ball(sprite, 0.42, 0.5, 0.36, mix(colour, WHITE, 0.12), 0.5)
    for x in (0.4, 0.5, 0.6):
        _stroke(sprite, (x, 0.36), (x + 0.04, 0.6), 0.012, mix(colour, WHITE, 0.5))
    _disc(sprite, 0.19, 0.46, 0.035, WHITE)
    _disc(sprite, 0.185, 0.46, 0.018, BLACK)


def _grain(sprite: np.ndarray, colour: Colour, rng: np.random.Generator) -> None:
    for lean in (-0.22, 0.0, 0.22):
        foot, head = (0.5, 0.96), (0.5 + lean * 1.5, 0.14)
        _stroke(sprite, foot, head, 0.016, mix(colour, BLACK, 0.25))
        for t in np.linspace(0.4, 1.0, 6):
            x, y = foot[0] + (head[0] - foot[0]) * t, foot[1] + (head[1] - foot[1]) * t
            for aside in (-1, 1):
                _blade(sprite, x, y, -np.pi / 2 + lean + aside * 0.65, 0.13, 0.03, colour)


def _comb(sprite: np.ndarray, colour: Colour, rng: np.random.Generator) -> None:
    turn = np.arange(6) * np.pi / 3 + np.pi / 6
    for row in range(4):
        for column in range(3):
            if rng.random() < 0.85:
                x, y = 0.2 + 0.25 * column + 0.125 * (row % 2), 0.17 + 0.215 * row
                for radius, shade in ((0.135, 0.25), (0.105, -0.25)):
                    tone = mix(colour, BLACK, shade) if shade > 0 else mix(colour, WHITE, -shade * rng.random())
                    _shape(sprite, np.stack([x + radius * np.cos(turn), y + radius * np.sin(turn)], 1), tone)


def _beans(sprite: np.ndarray, colour: Colour, rng: np.random.Generator) -> None:
    for x, y in rng.uniform(0.2, 0.8, (9, 2)):
        tone = mix(colour, WHITE, rng.uniform(0, 0.18))
        ball(sprite, x, y, 0.15, tone, rng.uniform(0.6, 0.8))
        _stroke(sprite, (x - 0.11, y + 0.02), (x + 0.11, y - 0.02), 0.014, mix(tone, BLACK, 0.55))


def _steak(sprite: np.ndarray, colour: Colour, rng: np.random.Generator) -> None:
    ball(sprite, 0.5, 0.66, 0.44, (236, 236, 232), 0.5)
    for x, y in rng.uniform(-1, 1, (14, 2)) * [0.26, 0.09] + [0.5, 0.58]:
        ball(sprite, x, y, rng.uniform(0.07, 0.12), mix(colour, WHITE, rng.uniform(0, 0.25)), 0.8)
    _blade(sprite, 0.5, 0.5, -0.9, 0.24, 0.06, GREEN)


MOTIFS: dict[str, Callable[[np.ndarray, Colour, np.random.Generator], None]] = {
    "citrus": _citrus, "strawberry": _strawberry, "cherry": _cherry, "berries": _berries, "fruit": _fruit,
    "flower": _flower, "leaves": _leaves, "squares": _squares, "nuts": _nuts, "star": _star, "drop": _drop,
    "chilli": _chilli, "cheese": _cheese, "mushroom": _mushroom, "bulb": _bulb, "olives": _olives, "fish": _fish,
    "grain": _grain, "comb": _comb, "beans": _beans, "steak": _steak,
}  # fmt: skip
