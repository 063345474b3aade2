"""Training pictures of retail-vgg: what they show, which are held back, and random views of them."""

from __future__ import annotations

import csv
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from index.convolutional import IMAGENET_MEAN
from retail_seg.errors import PhotoError
from retail_seg.photos.load import load_photo
from retail_seg.rendering.packs import ProductDesign, random_design, render, variant

#: Views are drawn at the teacher's size; the student's smaller picture is made from the same view.
VIEW = 224
LONG_SIDE = 320
UNLABELLED = ("produce", "objects", "products", "backgrounds")


@dataclass(frozen=True)
class Picture:
    """A picture (h, w, 3) RGB uint8, its product's box x, y, w, h and outline, its label, and why it is held back."""

    pixels: np.ndarray
    group: str
    box: tuple[float, float, float, float]
    label: str | None = None
    mask: np.ndarray | None = None
    held_back: bool = False


def load_pictures(data: Path) -> list[Picture]:
    """Everything there is to train on under `data`: distil/, grocerystore/ and packs/ of the shared data folder.

    For a run that is measured, a third of the labels and part of the other photos are marked `held_back`: every
    third product, the photos of grocerystore's val list (another series) and four in ten query photos of packs.
    """
    return [*_unlabelled(data / "distil"), *_groceries(data / "grocerystore"), *_packs(data)]


def split_labels(labels: list[str]) -> set[str]:
    """The labels that a measured run never sees: every third by number, so that families are cut through."""
    return set(sorted(labels, key=int)[1::3])


def _unlabelled(folder: Path) -> Iterator[Picture]:
    for group in UNLABELLED:
        for path in sorted((folder / group).glob("*.jpg")):
            yield _whole(_read(path, 160), group)


def _groceries(folder: Path) -> Iterator[Picture]:
    classes = _rows(folder / "classes.csv")
    unseen = split_labels([row["fine"] for row in classes])
    for part in ("train", "val"):
        for row in _rows(folder / f"{part}.csv"):
            label = row["fine"]
            held = label in unseen or part == "val"
            yield _whole(_read(folder / row["image"], LONG_SIDE), "grocery", "d" + label, held)
    for row in classes:
        yield _whole(_read(folder / row["iconic"], LONG_SIDE), "iconic", "d" + row["fine"], row["fine"] in unseen)


def _packs(data: Path) -> Iterator[Picture]:
    truth = json.loads((data / "packs" / "annotations.json").read_text())
    names = {image["id"]: Path(image["file_name"]).name for image in truth["images"]}
    unseen = split_labels(sorted({str(item["category_id"]) for item in truth["annotations"]}))
    queries = {name for name in names.values() if zlib.crc32(f"../packs/images/{name}".encode()) % 10 < 4}
    for item in truth["annotations"]:
        name, label = names[item["image_id"]], str(item["category_id"])
        photo = _read(data / "packs" / "images" / name, 10_000)
        picture = _cut(photo, item["bbox"], item["segmentation"])
        if picture is not None:
            yield replace(picture, label="p" + label, held_back=label in unseen or name in queries)


def _cut(photo: np.ndarray, box: list[float], polygons: list[list[float]], margin: float = 0.15) -> Picture | None:
    outline = np.zeros(photo.shape[:2], np.uint8)
    for polygon in polygons:
        cv2.fillPoly(outline, [np.round(np.array(polygon).reshape(-1, 2)).astype(np.int32)], (1,))
    x, y, w, h = box
    left, top = int(max(0, x - margin * w)), int(max(0, y - margin * h))
    crop = photo[top : int(y + h * (1 + margin)), left : int(x + w * (1 + margin))]
    if min(crop.shape[:2]) < 12:
        return None
    small = shrink(crop, LONG_SIDE)
    k = small.shape[1] / crop.shape[1]
    mask = cv2.resize(
        outline[top : top + crop.shape[0], left : left + crop.shape[1]],
        small.shape[1::-1],
        interpolation=cv2.INTER_NEAREST,
    )
    inner = ((x - left) * k, (y - top) * k, w * k, h * k)
    return Picture(np.ascontiguousarray(small), "packs", inner, mask=mask if mask.any() else None)


def render_families(count: int, rng: np.random.Generator, grounds: list[np.ndarray]) -> list[list[list[Picture]]]:
    """Rendered packs: families of two look-alike flavours, each the plain front and two views in a scene."""
    families = []
    for _ in range(count):
        design = random_design(rng)
        families.append(
            [[_rendered(d, rng, grounds, view) for view in range(3)] for d in (design, variant(design, rng))]
        )
    return families


def _rendered(design: ProductDesign, rng: np.random.Generator, grounds: list[np.ndarray], view: int) -> Picture:
    layer = render(design, int(rng.integers(150, 230)), rng) if view else render(design, 200)
    h, w = layer.shape[:2]
    height, width, top, left = int(h * 1.24), int(w * 1.24), int(h * 0.12), int(w * 0.12)
    if view and rng.random() < 0.7:
        ground = cv2.resize(grounds[rng.integers(len(grounds))], (width, height))
    else:
        ground = np.full((height, width, 3), rng.integers(200, 256), np.uint8)
    cover = layer[:, :, 3:].astype(np.float32) / 255
    place = (slice(top, top + h), slice(left, left + w))
    ground[place] = ground[place] * (1 - cover) + layer[:, :, :3] * cover
    mask = np.zeros((height, width), np.uint8)
    mask[place] = cover[:, :, 0] > 0.5
    small = shrink(ground, 240)
    k = small.shape[0] / height
    mask = cv2.resize(mask, small.shape[1::-1], interpolation=cv2.INTER_NEAREST)
    return Picture(small, "rendered", (left * k, top * k, w * k, h * k), mask=mask)


def random_view(picture: Picture, rng: np.random.Generator, tight: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """A random look at a picture: (VIEW, VIEW, 3) uint8 and its votes (VIEW, VIEW) float32.

    The cut, turn, shear and flip are one affine map; light, gamma and colour cast one table; then blur or lost
    resolution, JPEG blocks and an occluder, each sometimes. Outlined pictures lose their ground in a third of the
    views. `tight` keeps most of the product in view.
    """
    affine = _random_affine(picture.box, rng, 0.65 if tight else 0.3)
    flags = cv2.WARP_INVERSE_MAP | cv2.INTER_LINEAR
    size = (VIEW, VIEW)
    view = cv2.warpAffine(picture.pixels, affine, size, flags=flags, borderMode=cv2.BORDER_REFLECT_101)
    view = _spoil(_relight(view, rng), rng)
    votes = np.ones(size, np.float32)
    if picture.mask is not None and rng.random() < 0.35:
        mask = cv2.warpAffine(picture.mask, affine, size, flags=cv2.WARP_INVERSE_MAP | cv2.INTER_NEAREST)
        if mask.mean() > 0.1:
            votes = mask.astype(np.float32)
            view[mask == 0] = np.array(IMAGENET_MEAN) * 255
    return view, votes


def _random_affine(box: tuple[float, float, float, float], rng: np.random.Generator, least: float) -> np.ndarray:
    """The map (2, 3) from the view to the picture."""
    x, y, w, h = box
    side, stretch = rng.uniform(least, 1.03) ** 0.5, np.exp(rng.uniform(-0.2, 0.2))
    cut = np.array([w * min(side * stretch, 1.1), h * min(side / stretch, 1.1)])
    centre = np.array([x, y]) + (np.array([w, h]) - cut) * rng.uniform(-0.02, 1.02, 2) + cut / 2
    angle = rng.normal(0, 8) if rng.random() < 0.6 else 0.0
    if rng.random() < 0.08:
        angle += rng.choice([90, 180, 270])
    turn = np.deg2rad(angle)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    shear = np.array([[0, rng.normal(0, 0.06)], [rng.normal(0, 0.06), 0]])
    flip = np.diag([-1.0 if rng.random() < 0.5 else 1.0, 1.0])
    linear = (rotation @ flip + shear) @ np.diag(cut / VIEW)
    return np.column_stack([linear, centre - linear @ np.array([VIEW / 2, VIEW / 2])])


def _relight(view: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    gain, gamma, cast = np.exp(rng.normal(0, 0.18)), np.exp(rng.normal(0, 0.18)), np.exp(rng.normal(0, 0.05, 3))
    level = np.linspace(0, 1, 256)[:, None]
    table = np.clip(255 * gain * cast * level**gamma + rng.normal(0, 6), 0, 255).astype(np.uint8)
    view = cv2.LUT(view, table[None])
    if rng.random() < 0.3:
        grey = cv2.cvtColor(view, cv2.COLOR_RGB2GRAY)[:, :, None].repeat(3, 2)
        strength = min(float(np.exp(rng.normal(0, 0.25))), 1.6)
        view = cv2.addWeighted(view, strength, grey, 1 - strength, 0)
    return view


def _spoil(view: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    kind = rng.random()
    if kind < 0.15:
        view = cv2.GaussianBlur(view, (0, 0), rng.uniform(0.5, 2.2))
    elif kind < 0.3:
        k = rng.uniform(0.2, 0.6)
        few = cv2.resize(view, None, fx=k, fy=k, interpolation=cv2.INTER_AREA)
        view = cv2.resize(few, view.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    if rng.random() < 0.1:
        data = cv2.imencode(".jpg", view, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(20, 60))])[1]
        view = cv2.imdecode(data, cv2.IMREAD_COLOR)
    if rng.random() < 0.25:
        h, w = rng.integers(VIEW // 8, int(VIEW / 2.5), 2)
        top, left = rng.integers(0, VIEW - h), rng.integers(0, VIEW - w)
        view[top : top + h, left : left + w] = rng.integers(0, 256, 3 if rng.random() < 0.5 else (h, w, 3))
    return view


def shrink(picture: np.ndarray, side: int) -> np.ndarray:
    """A picture whose longer side is at most `side` pixels."""
    k = side / max(picture.shape[:2])
    if k >= 1:
        return picture
    h, w = picture.shape[:2]
    return cv2.resize(picture, (max(1, round(w * k)), max(1, round(h * k))), interpolation=cv2.INTER_AREA)


def _whole(pixels: np.ndarray, group: str, label: str | None = None, held_back: bool = False) -> Picture:
    h, w = pixels.shape[:2]
    return Picture(pixels, group, (0, 0, w, h), label=label, held_back=held_back)


def _read(path: Path, side: int) -> np.ndarray:
    try:
        return shrink(load_photo(path), side)
    except PhotoError as error:
        raise SystemExit(f"{error}; give --data the folder that holds distil, grocerystore and packs") from None


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))
