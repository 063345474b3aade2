"""Staged pictures for retail-vgg: one thing as a studio shows it, on white, and as a shop does, single or heaped up.

What a catalogue holds is often a studio picture and what a photo shows is a shelf; pairs of the two are few where
labels are few, so cut-outs of unlabelled pictures are put on white and into scenes.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from functools import partial

import cv2
import numpy as np
from cutouts import on_plain_ground, on_white, rgba_of
from retail_vgg_pictures import Picture, render_families

#: Longer side of a cut-out, and side of a scene, in pixels.
THING, SCENE = 160, 224
#: Where cut-outs come from, the ground they are cut from, and how much of the number wanted each gives.
_SOURCES: dict[str, tuple[Callable[[np.ndarray], np.ndarray | None], float]] = {
    "objects": (on_plain_ground, 0.7),
    "produce": (on_white, 0.3),
}


Made = tuple[list[list[list[Picture]]], list[list[Picture]]]


def invent(pictures: list[Picture], families: int, things: int, seed: int, processes: int) -> Made:
    """Families of rendered packs (flavours of three views each) and staged things (three pictures each).

    Each of the processes renders its share with a seed of its own and stages other pictures than the others.
    """
    share = partial(_share, pictures, families // processes, things // processes, seed, processes)
    if processes == 1:
        return share(0)
    context = multiprocessing.get_context("fork")  # the pictures are shared, not sent
    _Shared.share = share
    with context.Pool(processes) as pool:
        parts = pool.map(_shared, range(processes))
    return [family for made, _ in parts for family in made], [thing for _, staged in parts for thing in staged]


class _Shared:
    """What forked processes find here."""

    share: Callable[[int], Made]


def _shared(part: int) -> Made:
    return _Shared.share(part)


def _share(pictures: list[Picture], families: int, things: int, seed: int, parts: int, part: int) -> Made:
    rng = np.random.default_rng([seed, part])
    grounds = [p.pixels for p in pictures if p.group == "backgrounds"]
    grounds += [p.pixels for p in pictures if p.group == "produce"][:1500]
    mine = [p for at, p in enumerate(pictures) if at % parts == part]
    return render_families(families, rng, grounds), stage(mine, things, rng, grounds)


def stage(
    pictures: list[Picture], count: int, rng: np.random.Generator, grounds: list[np.ndarray]
) -> list[list[Picture]]:
    """For each of about `count` things its studio picture and two scenes of it."""
    staged = []
    for group, (cut, share) in _SOURCES.items():
        found = 0
        some = [picture.pixels for picture in pictures if picture.group == group]
        for at in rng.permutation(len(some)):
            mask = cut(some[at])
            if mask is not None:
                thing = rgba_of(some[at], mask, THING)
                staged.append([_studio(thing, rng), *(_scene(thing, rng, grounds) for _ in range(2))])
                found += 1
            if found >= share * count:
                break
    return staged


def _studio(thing: np.ndarray, rng: np.random.Generator) -> Picture:
    """The thing alone on white."""
    side = int(max(thing.shape[:2]) * rng.uniform(1.02, 1.25))
    ground = np.full((side, side, 3), 255, np.uint8)
    _paste(ground, thing, side / 2, side / 2)
    return Picture(ground, "staged", (0, 0, side, side))


def _scene(thing: np.ndarray, rng: np.random.Generator, grounds: list[np.ndarray]) -> Picture:
    """One of it, a row, or a heap, turned and scaled each for itself, on a borrowed ground."""
    ground = cv2.resize(grounds[rng.integers(len(grounds))], (SCENE, SCENE))
    count = int(rng.choice([1, 3, 6, 14], p=[0.35, 0.25, 0.2, 0.2]))
    size = SCENE * {1: 0.8, 3: 0.6, 6: 0.48, 14: 0.36}[count]
    loose = 180 if rng.random() < 0.5 else 12
    for at in range(count):
        copy = _turned(thing, size * rng.uniform(0.85, 1.15), rng.normal(0, loose))
        copy[:, :, :3] = np.clip(copy[:, :, :3] * np.exp(rng.normal(0, 0.15)), 0, 255)
        middle = SCENE / 2 if at == count - 1 else rng.uniform(0, SCENE)
        _paste(ground, copy, middle + rng.normal(0, 10), SCENE / 2 + rng.normal(0, 10 + 6 * count))
    return Picture(ground, "staged", (0, 0, SCENE, SCENE))


def _turned(thing: np.ndarray, size: float, degrees: float) -> np.ndarray:
    height, width = thing.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, size / max(height, width))
    cos, sin = abs(turn[0, 0]), abs(turn[0, 1])
    out = int(width * cos + height * sin) + 1, int(width * sin + height * cos) + 1
    turn[:, 2] += out[0] / 2 - width / 2, out[1] / 2 - height / 2
    return cv2.warpAffine(thing, turn, out, flags=cv2.INTER_AREA)


def _paste(ground: np.ndarray, thing: np.ndarray, x: float, y: float) -> None:
    """Lay an RGBA thing over the ground with its middle at (x, y); what runs out of it is cut off."""
    height, width = thing.shape[:2]
    left, top = int(x - width / 2), int(y - height / 2)
    x0, y0, x1, y1 = max(left, 0), max(top, 0), min(left + width, ground.shape[1]), min(top + height, ground.shape[0])
    if x1 <= x0 or y1 <= y0:
        return
    part = thing[y0 - top : y1 - top, x0 - left : x1 - left]
    cover = part[:, :, 3:].astype(np.float32) / 255
    ground[y0:y1, x0:x1] = ground[y0:y1, x0:x1] * (1 - cover) + part[:, :, :3] * cover
