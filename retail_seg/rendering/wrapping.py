"""Film: shrink-wrapped packs by the four or six, and clear bags through which loose things are seen."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from retail_seg.rendering.designs import ProductDesign
from retail_seg.rendering.drawing import smooth_noise
from retail_seg.rendering.packs import render
from retail_seg.rendering.views import View


def multipack(packs: Sequence[np.ndarray], across: int, up: int, copy: int) -> np.ndarray:
    """Several packs (RGBA uint8) in rows under one film, as one RGBA uint8 sprite."""
    rng = np.random.default_rng([across, up, copy, 23])
    tall, wide = packs[0].shape[:2]
    step_x, step_y = int(wide * 0.97), int(tall * 0.96)
    height, width = step_y * (up - 1) + tall, step_x * (across - 1) + wide
    whole = np.zeros((height, width, 4), np.float32)
    for row in range(up):
        for column in range(across):
            pack = packs[int(rng.integers(len(packs)))]
            _over(whole, pack, column * step_x, row * step_y)
    cover = cv2.morphologyEx(
        (whole[:, :, 3] > 100).astype(np.uint8), cv2.MORPH_CLOSE, np.ones((max(tall // 8, 3), max(wide // 2, 3)))
    )
    bare = (cover > 0) & (whole[:, :, 3] < 100)
    whole[bare] = (*(rng.uniform(30, 90) * np.ones(3)), 255)
    whole[:, :, 3] = np.maximum(whole[:, :, 3], cover * 255.0)
    whole[:, :, :3] = film(whole[:, :, :3], rng, 0.5)
    return np.clip(whole, 0, 255).astype(np.uint8)


def film(picture: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    """What clear film adds to RGB float32: a thin veil, streaks of light along its folds, a few bright glints."""
    height, width = picture.shape[:2]
    veil = rng.uniform(0.02, 0.12) * strength
    lean = smooth_noise(rng, height, width, 4, 5) + 0.6 * smooth_noise(rng, height, width, 11, 13)
    streaks = np.exp(-np.abs(lean) / 0.07) * rng.uniform(40, 110) * strength
    glints = np.clip(smooth_noise(rng, height, width, 9, 9) - 1.35, 0, 1) * 260 * strength
    gate = np.clip(smooth_noise(rng, height, width, 3, 3) * 0.7 + 0.3, 0, 1)
    return picture * (1 - veil) + 235 * veil + ((streaks + glints) * gate)[:, :, None]


def print_photo(pack: np.ndarray, photo: np.ndarray, seed: int, shift: float) -> np.ndarray:
    """The pack (RGBA uint8) with a photo (RGB uint8) printed on a part of its front; the pack's own shading stays.

    `seed` picks place and outline, `shift` moves it sideways (a share of the width), as the front turns.
    """
    rng = np.random.default_rng([seed, 31])
    height, width = pack.shape[:2]
    y0, y1 = np.sort([rng.uniform(0.12, 0.6), rng.uniform(0.6, 0.97)]) * height
    x0, x1 = np.array([rng.uniform(-0.1, 0.3) + shift, rng.uniform(0.7, 1.1) + shift]) * width
    field = np.zeros((height, width), np.uint8)
    corners = (round(float(x0)), round(float(y0))), (round(float(x1)), round(float(y1)))
    if rng.random() < 0.5:
        cv2.rectangle(field, *corners, 255, -1)
    else:
        middle = (corners[0][0] + corners[1][0]) // 2, (corners[0][1] + corners[1][1]) // 2
        axes = max((corners[1][0] - corners[0][0]) // 2, 1), max((corners[1][1] - corners[0][1]) // 2, 1)
        cv2.ellipse(field, middle, axes, 0, 0, 360, 255, -1, cv2.LINE_AA)
    cover = cv2.blur(field, (3, 3)).astype(np.float32) / 255 * (pack[:, :, 3] > 250)
    light = cv2.blur(pack[:, :, :3].max(2).astype(np.float32), (max(width // 3, 3), max(height // 9, 3)))
    light = np.clip(light / max(float(light.mean()), 1), 0.55, 1.35)
    size = corners[1][0] - corners[0][0] + 1, corners[1][1] - corners[0][1] + 1
    shown = np.zeros((height, width, 4), np.float32)
    part = np.dstack([cv2.resize(photo, size, interpolation=cv2.INTER_AREA), np.full(size[::-1], 255, np.uint8)])
    _over(shown, part, *corners[0])
    whole = pack.copy()
    blend = cover[:, :, None]
    whole[:, :, :3] = np.clip(pack[:, :, :3] * (1 - blend) + shown[:, :, :3] * light[:, :, None] * blend, 0, 255)
    return whole


def bag_of(
    filling: Sequence[np.ndarray],
    label: ProductDesign | None,
    size: tuple[float, float, float],
    height: int,
    copy: int,
) -> np.ndarray:
    """A bag of clear film with loose things in it and a printed label, RGBA uint8, `height` pixels tall."""
    rng = np.random.default_rng([copy, len(filling), int(size[0] * 10), 29])
    width = max(round(height * size[0] / size[1]), 12)
    outline = _bag_outline(height, width, rng)
    picture = np.empty((height, width, 3), np.float32)
    picture[:] = rng.uniform(40, 120)
    _fill_bag(picture, filling, size, rng)
    shade = cv2.GaussianBlur(outline, (0, 0), max(width * 0.06, 1))
    picture *= (0.55 + 0.5 * shade)[:, :, None]
    picture = film(picture, rng, 1.0)
    neck = np.clip(1 - np.arange(height, dtype=np.float32) / (height * 0.13), 0, 1)[:, None, None]
    picture += (np.float32(rng.uniform(170, 235)) - picture) * neck * 0.7
    if label is not None:
        _print_on(picture, label, rng)
    return np.dstack([np.clip(picture, 0, 255), outline * 255]).astype(np.uint8)


def _bag_outline(height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """Cover (h, w) float32 0–1 of a sagging bag, gathered or straight at the top."""
    t = np.linspace(0, 1, 40)
    top = rng.uniform(0.25, 0.48)
    half = np.where(t < 0.15, top, top + (0.48 - top) * np.clip((t - 0.15) / rng.uniform(0.1, 0.4), 0, 1) ** 0.7)
    half = half * (1 - np.clip((t - 0.86) / 0.14, 0, 1) ** 2 * rng.uniform(0.1, 0.3))
    left = 0.5 - half + rng.normal(0, 0.008, 40)
    right = 0.5 + half + rng.normal(0, 0.008, 40)
    ring = np.r_[np.c_[left, t], np.c_[right, t][::-1]] * (width - 1, height - 1)
    cover = np.zeros((height, width), np.uint8)
    cv2.fillPoly(cover, [np.round(ring * 8).astype(np.int32)], 255, cv2.LINE_AA, shift=3)
    return cover.astype(np.float32) / 255


def _fill_bag(
    picture: np.ndarray, filling: Sequence[np.ndarray], size: tuple[float, float, float], rng: np.random.Generator
) -> None:
    height, width = picture.shape[:2]
    if len(filling) == 1:  # a photo of what is in it, rather than single things
        picture[:] = cv2.resize(filling[0][:, :, :3], (width, height), interpolation=cv2.INTER_LINEAR)
        return
    each = max(int(height / size[1] * rng.uniform(45, 80)), 6)
    for y in np.arange(0.1 * height, height, each * 0.6):
        for x in np.arange(-each * 0.5, width, each * 0.75):
            turned = cv2.rotate(filling[int(rng.integers(len(filling)))], int(rng.integers(0, 3)))
            side = (max(int(each * rng.uniform(0.9, 1.15)), 4), max(int(each * rng.uniform(0.9, 1.1)), 4))
            part = cv2.resize(turned, side, interpolation=cv2.INTER_AREA).astype(np.float32)
            part[:, :, :3] *= rng.uniform(0.7, 1.1)
            _over(picture, part, int(x + rng.normal(0, each * 0.12)), int(y + rng.normal(0, each * 0.12)))


def _print_on(picture: np.ndarray, label: ProductDesign, rng: np.random.Generator) -> None:
    """A printed field on the bag: the label's pack, cut square, over a part of the front."""
    height, width = picture.shape[:2]
    tall = max(int(height * rng.uniform(0.25, 0.55)), 16)
    pack = render(label, tall, view=View(folds=3))
    inset = max(pack.shape[0] // 12, 1), max(pack.shape[1] // 8, 1)
    cut = pack[inset[0] : -inset[0], inset[1] : -inset[1]]
    field = cv2.resize(cut, (max(int(width * rng.uniform(0.4, 0.75)), 6), cut.shape[0]))
    y = int(height * rng.uniform(0.12, 0.4))
    _over(picture, field, (width - field.shape[1]) // 2, y)


def _over(whole: np.ndarray, part: np.ndarray, x: int, y: int) -> None:
    """Lay RGBA on an RGB or RGBA float32 picture, clipped."""
    height, width = whole.shape[:2]
    x0, y0, x1, y1 = max(x, 0), max(y, 0), min(x + part.shape[1], width), min(y + part.shape[0], height)
    if x0 >= x1 or y0 >= y1:
        return
    cut = part[y0 - y : y1 - y, x0 - x : x1 - x].astype(np.float32)
    cover = cut[:, :, 3:] / 255
    below = whole[y0:y1, x0:x1]
    below[:, :, :3] += (cut[:, :, :3] - below[:, :, :3]) * cover
    if whole.shape[2] == 4:
        below[:, :, 3:] = np.maximum(below[:, :, 3:], cover * 255)
