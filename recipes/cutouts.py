"""Things without their background, from many sources: what the segmenter's pretraining composes scenes of.

Objects on a plain light ground are cut by their distance from it, outlined packs by their polygons; rendered packs and
invented solids (blobs, bottles, bent cylinders, boxes, with shading and a texture) come with an outline of their own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from retail_seg.errors import PhotoError
from retail_seg.photos.load import load_photo
from retail_seg.rendering.packs import random_design, render

#: Longer side of a cut-out in pixels, at most.
MAX_SIDE = 288


def on_plain_ground(picture: np.ndarray) -> np.ndarray | None:
    """Mask (h, w) bool of the one thing on an even light ground; None where that is in doubt.

    The ground's colour is a plane fitted to the picture's rim; what differs from it by more than the rim's own spread
    is the thing.
    """
    height, width = picture.shape[:2]
    lab = cv2.cvtColor(picture, cv2.COLOR_RGB2LAB).astype(np.float32)
    rim = np.ones((height, width), bool)
    edge = max(2, min(height, width) // 40)
    rim[edge:-edge, edge:-edge] = False
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    plane = np.stack([columns / width, rows / height, np.ones_like(rows)], -1)
    x, y = plane[rim], lab[rim]
    even = np.ones(len(x), bool)
    for _ in range(4):
        fit = np.linalg.lstsq(x[even], y[even], rcond=None)[0]
        off = np.abs(y - x @ fit).max(1)
        even = off < max(8.0, 2.5 * float(np.median(off)))
    if even.mean() < 0.75:
        return None
    distance = (np.abs(lab - plane @ fit) * np.array([0.8, 1.6, 1.6], np.float32)).max(-1)
    limit = max(14.0, 3 * float(np.percentile(distance[rim][even], 90)))
    return _one_thing((distance > limit).astype(np.uint8), rim)


def _one_thing(mask: np.ndarray, rim: np.ndarray, solidity: float = 0.7) -> np.ndarray | None:
    """The largest part of a mask, filled, if it is compact, alone and mostly inside the picture."""
    mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    count, parts, stats, _ = cv2.connectedComponentsWithStats(mask)
    if count < 2:
        return None
    areas = stats[1:, cv2.CC_STAT_AREA]
    largest = int(areas.argmax()) + 1
    if not 0.03 * mask.size < areas.max() < 0.85 * mask.size or areas.max() < 0.8 * areas.sum():
        return None
    outline, _ = cv2.findContours((parts == largest).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = np.zeros_like(mask)
    cv2.drawContours(filled, outline, -1, 1, -1)
    hull = cv2.contourArea(cv2.convexHull(outline[0]))
    if filled.sum() < solidity * hull or (filled.astype(bool) & rim).sum() > 0.15 * rim.sum():
        return None
    return filled.astype(bool)


def on_white(picture: np.ndarray) -> np.ndarray | None:
    """Mask (h, w) bool of a thing that fills a picture with pure white around it."""
    white = (picture.min(2) > 236).astype(np.uint8)
    padded = cv2.copyMakeBorder(white, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=1)
    _, parts = cv2.connectedComponents(padded, connectivity=4)
    mask = (parts != parts[0, 0])[1:-1, 1:-1].astype(np.uint8)
    return _one_thing(cv2.erode(mask, np.ones((3, 3), np.uint8)), np.zeros(mask.shape, bool), 0.6)


def read(path: Path) -> np.ndarray:
    """RGB uint8 of a picture file."""
    try:
        return load_photo(path)
    except PhotoError as error:
        raise SystemExit(f"{error}; or download the data again") from None


def rgba_of(picture: np.ndarray, mask: np.ndarray, max_side: int = MAX_SIDE) -> np.ndarray:
    """RGBA uint8 of what the mask covers, trimmed, softened at the edge and shrunk to `max_side`."""
    x, y, w, h = cv2.boundingRect(mask.astype(np.uint8))
    crop = cv2.copyMakeBorder(picture[y : y + h, x : x + w], 2, 2, 2, 2, cv2.BORDER_REPLICATE)
    alpha = np.pad(mask[y : y + h, x : x + w].astype(np.uint8) * 255, 2)
    rgba = np.dstack([crop, cv2.GaussianBlur(alpha, (0, 0), 0.8)])
    k = max_side / max(rgba.shape[:2])
    return cv2.resize(rgba, None, fx=k, fy=k, interpolation=cv2.INTER_AREA) if k < 1 else rgba


def from_grounds(data: Path, rng: np.random.Generator, limit: int) -> Iterator[np.ndarray]:
    """Cut-outs of pictures on plain ground: waste, cutlery, studio pictures, fruit."""
    for folder, pattern, cut, share in (
        ("distil/objects", "trashnet-*", on_plain_ground, 0.2),
        ("distil/objects", "azuresamples-*", on_plain_ground, 0.05),
        ("grocerystore/iconic", "*", on_plain_ground, 0.1),
        ("distil/produce", "fruits360-*", on_white, 0.65),
    ):
        paths = sorted((data / folder).glob(pattern))
        found = 0
        for i in rng.permutation(len(paths)):
            picture = read(paths[i])
            mask = cut(picture)
            if mask is not None:
                found += 1
                yield rgba_of(picture, mask)
            if found >= share * limit:
                break


def from_packs(data: Path, rng: np.random.Generator, limit: int) -> Iterator[np.ndarray]:
    """Cut-outs of outlined packs."""
    annotations = json.loads((data / "packs/annotations.json").read_text(encoding="utf-8"))
    names = {image["id"]: image["file_name"] for image in annotations["images"]}
    for i in rng.permutation(len(annotations["annotations"]))[:limit]:
        outlined = annotations["annotations"][i]
        picture = read(data / "packs/images" / names[outlined["image_id"]])
        mask = np.zeros(picture.shape[:2], np.uint8)
        for ring in outlined["segmentation"]:
            cv2.fillPoly(mask, [np.array(ring, np.float64).reshape(-1, 2).round().astype(np.int32)], 1)
        if mask.sum() > 400:
            yield rgba_of(picture, mask > 0)


def rendered(rng: np.random.Generator, limit: int) -> Iterator[np.ndarray]:
    """Rendered packs, each of another design and from another view."""
    for _ in range(limit):
        yield render(random_design(rng), int(rng.integers(140, MAX_SIDE)), rng)


def invented(textures: list[np.ndarray], rng: np.random.Generator, limit: int, side: int = 224) -> Iterator[np.ndarray]:
    """Solids that never were: a smooth outline, shading as of a rounded body, colours and a borrowed texture.

    Half of them consist of parts of different colour (a cap, a label, a trigger), which are still one thing.
    """
    for _ in range(limit):
        headed = rng.random() < 0.3
        mask = _outline(rng, side * 2 // 3 if headed else side)
        if headed:  # room above and beside
            room = side - mask.shape[0]
            mask = np.pad(mask, ((room, 0), (room // 2, room - room // 2)))
        colours = np.broadcast_to(_colour(rng), (side, side, 3)).copy()
        if rng.random() < 0.5:
            _paint_bands(colours, mask, rng)
        if headed:
            _add_head(colours, mask, rng)
        if rng.random() < 0.1:
            _pierce(mask, rng)
        depth = cv2.distanceTransform(mask, cv2.DIST_L2, 5)
        height = np.sqrt(np.clip(depth / max(float(depth.max()), 1), 0, 1)) * rng.uniform(0.2, 1.0) * depth.max()
        height = cv2.GaussianBlur(height.astype(np.float32), (0, 0), 3)
        slope_y, slope_x = np.gradient(height)
        light = rng.normal(0, 0.5, 2)
        shade = 1 + np.clip(slope_x * light[0] + slope_y * light[1], -0.7, 0.7)
        texture = cv2.resize(textures[rng.integers(len(textures))], (side, side)).astype(np.float32)
        texture = texture - texture.mean((0, 1))
        flat = colours + texture * rng.choice([0.0, 0.15, 0.4, 1.0])
        yield rgba_of(np.clip(flat * shade[:, :, None], 0, 255).astype(np.uint8), mask > 0)


def _paint_bands(colours: np.ndarray, mask: np.ndarray, rng: np.random.Generator) -> None:
    """Other colours over stretches of the thing's height: a cap at an end, a label in the middle."""
    top, bottom = np.flatnonzero(mask.any(1))[[0, -1]]
    for _ in range(rng.integers(1, 4)):
        if rng.random() < 0.5:
            low, high = 0.0, rng.uniform(0.08, 0.35)
            if rng.random() < 0.5:
                low, high = 1 - high, 1.0
        else:
            low, high = np.sort(rng.uniform(0.1, 0.9, 2))
        rows = slice(int(top + low * (bottom - top)), int(top + high * (bottom - top)) + 1)
        colours[rows] = _colour(rng)


def _add_head(colours: np.ndarray, mask: np.ndarray, rng: np.random.Generator) -> None:
    """A neck with a head across it and a trigger, on top of the thing: what a spray bottle has."""
    ys, xs = np.nonzero(mask)
    top, middle, wide = int(ys.min()), float(xs[ys < ys.min() + 6].mean()), float(np.ptp(xs))
    long = float(np.clip(wide * rng.uniform(0.6, 1.6), 30, 100))
    thick, neck = long * rng.uniform(0.15, 0.4), rng.uniform(4, 28)
    at = top - neck
    away = rng.choice([-1.0, 1.0])
    head = np.zeros_like(mask)
    cv2.rectangle(head, _point(middle - thick * 0.4, at), _point(middle + thick * 0.4, top + 8), 1, -1)
    ends = np.array([[-0.35, 0], [0.65, rng.uniform(-0.15, 0.15)]]) * long * np.array([away, 1])
    cv2.line(head, _point(*(ends[0] + (middle, at))), _point(*(ends[1] + (middle, at))), 1, max(int(thick), 2))
    if rng.random() < 0.7:
        lever = ends[1] * 0.5 + (middle, at)
        tip = lever + np.array([away * rng.uniform(0, 0.2), rng.uniform(0.3, 0.8)]) * long
        cv2.line(head, _point(*lever), _point(*tip), 1, max(int(thick * rng.uniform(0.3, 0.6)), 2))
    if rng.random() < 0.7:
        colours[head > 0] = _colour(rng)
    mask |= head


def _pierce(mask: np.ndarray, rng: np.random.Generator) -> None:
    """A hole off the middle, as between a can's body and its handle."""
    depth = cv2.distanceTransform(mask, cv2.DIST_L2, 5)
    ys, xs = np.nonzero(depth > 0.6 * depth.max())
    i = rng.integers(len(ys))
    axes = (max(int(depth.max() * rng.uniform(0.2, 0.5)), 2), max(int(depth.max() * rng.uniform(0.2, 0.5)), 2))
    cv2.ellipse(mask, (int(xs[i]), int(ys[i])), axes, float(rng.uniform(0, 180)), 0, 360, 0, -1)


def _point(x: float, y: float) -> tuple[int, int]:
    return round(x), round(y)


def _colour(rng: np.random.Generator) -> np.ndarray:
    hue, saturation, value = rng.uniform(0, 180), 255 * rng.beta(2, 2), 255 * rng.uniform(0.15, 1)
    pixel = np.array([[[hue, saturation, value]]], np.uint8)
    return cv2.cvtColor(pixel, cv2.COLOR_HSV2RGB)[0, 0].astype(np.float32)


def _outline(rng: np.random.Generator, side: int) -> np.ndarray:
    """Mask (side, side) uint8: a body whose half-width changes along a bent axis, or a wobbly ellipse."""
    t = np.linspace(0, 1, 64)
    if rng.random() < 0.35:
        angle = np.linspace(0, 2 * np.pi, 96)
        radius = np.ones(96)
        for k in range(2, 6):
            radius += rng.normal(0, 0.25 / k) * np.cos(k * angle + rng.uniform(0, 2 * np.pi))
        ring = np.stack([np.cos(angle) * rng.uniform(0.5, 1), np.sin(angle)], 1) * np.clip(radius, 0.3, 2)[:, None]
    else:
        aspect = np.exp(rng.uniform(np.log(0.08), np.log(0.5)))
        ends = np.clip(np.minimum(t, 1 - t) / rng.uniform(0.02, 0.3), 0, 1) ** rng.uniform(0.3, 0.8)
        neck = 1 - rng.uniform(0, 0.65) / (1 + np.exp(-(t - rng.uniform(0.55, 0.85)) * rng.choice([15.0, 60.0])))
        taper = 1 - rng.choice([0.0, 0.4, 0.8]) * t
        half = aspect * ends * neck * (taper if rng.random() < 0.5 else 1)
        bend = rng.normal(0, 0.12) * np.sin(np.pi * t)
        ring = np.concatenate([np.stack([bend + half, t], 1), np.stack([bend - half, t], 1)[::-1]])
    low, high = ring.min(0), ring.max(0)
    points = (ring - low) / (high - low).max() * (side - 9) + 4
    mask = np.zeros((side, side), np.uint8)
    cv2.fillPoly(mask, [points.round().astype(np.int32)], 1)
    return mask


def grounds(data: Path, rng: np.random.Generator, limit: int) -> list[np.ndarray]:
    """Empty backgrounds RGB uint8: a quarter textures and rooms, the rest plain with light falling off."""
    paths = sorted((data / "distil/backgrounds").glob("*"))
    found = [read(paths[i]) for i in rng.permutation(len(paths))[: limit // 4]]
    for _ in range(limit - len(found)):
        pixel = np.array([[[rng.uniform(0, 180), 255 * rng.beta(1, 4), 255 * rng.uniform(0.03, 1)]]], np.uint8)
        colour = cv2.cvtColor(pixel, cv2.COLOR_HSV2RGB)[0, 0].astype(np.float32)
        gains = np.exp(rng.normal(0, 0.2, (4, 4, 1)) + rng.normal(0, 0.03, (4, 4, 3))).astype(np.float32)
        plain = cv2.resize(gains, (256, 256), interpolation=cv2.INTER_CUBIC) * colour
        weave = cv2.GaussianBlur(rng.standard_normal((256, 256, 1), np.float32), (0, 0), rng.uniform(0.4, 2))
        plain += weave[:, :, None] * rng.uniform(0, 12)
        found.append(np.clip(plain, 0, 255).astype(np.uint8))
    return found
