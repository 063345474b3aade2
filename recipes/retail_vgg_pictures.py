"""Training pictures of retail-vgg: what they show, which are held back, and how they travel as one file."""

from __future__ import annotations

import csv
import json
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from retail_seg.errors import PhotoError
from retail_seg.photos.load import load_photo
from retail_seg.rendering.packs import ProductDesign, random_design, render, variant

LONG_SIDE = 320
#: Real shelves with boxes and the names of the products.
SHELVES = Path(__file__).parents[1] / "data" / "shelves"
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
    """Everything there is to train on: distil/, grocerystore/ and packs/ under `data`, and this project's shelves.

    For a run that is measured, a third of the labels and part of the other photos are marked `held_back`: every
    third product, the photos of grocerystore's val list (another series), four in ten query photos of packs and the
    shelves that never trained a network of ours.
    """
    found = [*_unlabelled(data / "distil"), *_groceries(data / "grocerystore"), *_packs(data), *_shelves(SHELVES)]
    return [replace(picture, pixels=np.ascontiguousarray(picture.pixels)) for picture in found]


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


def _shelves(folder: Path) -> Iterator[Picture]:
    """Facings whose product is named, with a little of what stands around them."""
    truth = json.loads((folder / "annotations.json").read_text())
    images = {image["id"]: image for image in truth["images"]}
    nameless = {kind["id"] for kind in truth["categories"] if kind["name"] in ("product", "ignore")}
    named = [item for item in truth["annotations"] if item["category_id"] not in nameless]
    unseen = split_labels(sorted({str(item["category_id"]) for item in named}))
    for item in named:
        image, label = images[item["image_id"]], str(item["category_id"])
        picture = _cut(_read(folder / image["file_name"], 10_000), item["bbox"], [])
        if picture is not None:
            held = label in unseen or image["held_out"]
            yield replace(picture, group="shelf", label="s" + label, held_back=held)


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


def save_pictures(pictures: list[Picture], path: Path, side: int = 256, quality: int = 75) -> None:
    """Write pictures, at most `side` pixels long, to one file of WebP, to train where the folders are not."""
    with zipfile.ZipFile(path, "w") as file:
        facts = []
        for at, picture in enumerate(pictures):
            small = shrink(picture.pixels, side)
            k = small.shape[1] / picture.pixels.shape[1]
            file.writestr(f"{at}.webp", _webp(small[:, :, ::-1], quality))
            if picture.mask is not None:
                mask = cv2.resize(picture.mask, small.shape[1::-1], interpolation=cv2.INTER_NEAREST)
                file.writestr(f"{at}.png", cv2.imencode(".png", mask)[1].tobytes())
            box = [each * k for each in picture.box]
            facts.append([picture.group, box, picture.label, picture.mask is not None, picture.held_back])
        file.writestr("pictures.json", json.dumps(facts))


def read_pictures(path: Path) -> list[Picture]:
    """The pictures that `save_pictures` wrote."""
    with zipfile.ZipFile(path) as file:
        pictures = []
        for at, (group, box, label, masked, held) in enumerate(json.loads(file.read("pictures.json"))):
            pixels = cv2.imdecode(np.frombuffer(file.read(f"{at}.webp"), np.uint8), cv2.IMREAD_COLOR_RGB)
            flat = cv2.IMREAD_GRAYSCALE
            mask = cv2.imdecode(np.frombuffer(file.read(f"{at}.png"), np.uint8), flat) if masked else None
            pictures.append(Picture(pixels, group, tuple(box), label, mask, held))
    return pictures


def _webp(bgr: np.ndarray, quality: int) -> bytes:
    return cv2.imencode(".webp", bgr, [cv2.IMWRITE_WEBP_QUALITY, quality])[1].tobytes()
