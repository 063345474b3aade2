#!/usr/bin/env python3
"""Compose photos of full shop shelves with the truth of every facing, to train and to measure on.

    python recipes/compose_shelves.py --data DIR --out OUT --count 400 --seed 1

DIR holds `packs`, `grocerystore/iconic` and `distil` (the README's chapter on data names their sources); without --data
everything is rendered. OUT gets NAME.jpg, NAME.png (16-bit ids, 65535 is to be ignored) and NAME.csv (id, SKU, row,
position, layer, level, share seen). A picture that is there already is not made again.
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from cutouts import on_plain_ground, on_white, read, rgba_of

from retail_seg.rendering.canvas import IGNORE
from retail_seg.rendering.shelves import Shelf, compose_shelf, random_style
from retail_seg.rendering.stocking import Stock, rendered_stock

#: Pictures that share one stock: designs come back, so that most sprites are drawn already.
PER_STOCK = 100
IGNORED = 65535
#: Names of studio pictures of packs; the other studio pictures show fruit and vegetables.
PACKED = ("Milk", "Juice", "Yoghurt", "Soyghurt", "Oatghurt", "Tropicana", "Yoggi")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", type=Path, help="folder with packs, grocerystore and distil; without it, all rendered"
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--side", type=int, default=1200, help="longer side of a picture in pixels")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    sources = Sources(folder_of(options.data)) if options.data else None
    started, made, stock, block = time.monotonic(), 0, None, -1
    for number in range(options.count):
        name = f"shelf-{options.seed:03d}-{number:04d}"
        if (options.out / f"{name}.png").is_file():
            continue
        if stock is None or number // PER_STOCK != block:
            block = number // PER_STOCK
            stock = new_stock(sources, np.random.default_rng([options.seed, block, 101]))
        rng = np.random.default_rng([options.seed, number])
        write(options.out, name, compose_shelf(stock, random_style(rng, options.side), rng))
        made += 1
        if made % 20 == 0:
            each = (time.monotonic() - started) / made
            print(f"{number + 1} of {options.count}, {each:.2f} s each", flush=True)


def folder_of(data: Path) -> Path:
    """The folder that holds `packs`: the one given, or `data` in it."""
    for folder in (data, data / "data"):
        if (folder / "packs/annotations.json").is_file():
            return folder
    raise SystemExit(f"{data}: no packs/annotations.json in it; give the folder with packs, grocerystore and distil")


def write(folder: Path, name: str, shelf: Shelf) -> None:
    """The photo, its truth, and last the ids: where they are, the picture is finished."""
    with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["id", "sku", "row", "position", "layer", "level", "seen"])
        for number, one in enumerate(shelf.facings, start=1):
            rows.writerow([number, one.sku, one.row, one.position, one.layer, one.level, one.seen])
    cv2.imwrite(str(folder / f"{name}.jpg"), shelf.picture[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])
    ids = np.where(shelf.labels == IGNORE, IGNORED, shelf.labels).astype(np.uint16)
    fresh = folder / f".{name}.new.png"
    cv2.imwrite(str(fresh), ids)
    fresh.replace(folder / f"{name}.png")


class Sources:
    """Where photographed things are found; they are read when a stock needs them."""

    def __init__(self, data: Path) -> None:
        self.outlined = outlined_packs(data)
        self.studio = [*studio_packs(data)]
        self.fruit = [*fruit_kinds(data), *studio_fruit(data)]
        self.textures = sorted((data / "distil/backgrounds").glob("*"))
        self.photos = sorted(path for path in (data / "distil/produce").glob("*") if "fruits360" not in path.name)
        print(f"{len(self.outlined)} outlined packs, {len(self.fruit)} kinds of fruit", flush=True)

    def packs(self, rng: np.random.Generator, count: int) -> list[np.ndarray]:
        """So many cut-outs, one in twelve of them a studio picture."""
        found = [self.studio[int(i)] for i in rng.integers(0, len(self.studio), count // 12)]
        for i in rng.permutation(len(self.outlined)):
            if len(found) >= count:
                break
            pack = cut_pack(*self.outlined[i])
            if pack is not None:
                lies = pack.shape[1] > 1.1 * pack.shape[0] and rng.random() < 0.7
                found.append(np.ascontiguousarray(np.rot90(pack)) if lies else pack)
        return found


def new_stock(sources: Sources | None, rng: np.random.Generator) -> Stock:
    """A shop with new designs; of the photographed things another selection each time."""
    if sources is None:
        return rendered_stock(rng, families=70)
    fruit = [sources.fruit[i] for i in rng.permutation(len(sources.fruit))[:14]]
    textures = [read(sources.textures[i]) for i in rng.permutation(len(sources.textures))[:30]]
    photos = [read(sources.photos[i]) for i in rng.permutation(len(sources.photos))[:60]]
    return rendered_stock(rng, 64, sources.packs(rng, 32), fruit, textures, photos)


def outlined_packs(data: Path) -> list[tuple[Path, list[np.ndarray]]]:
    """Picture and outlines (each (n, 2) int32) of every outlined pack."""
    annotations = json.loads((data / "packs/annotations.json").read_text(encoding="utf-8"))
    names = {image["id"]: image["file_name"] for image in annotations["images"]}
    return [
        (
            data / "packs/images" / names[one["image_id"]],
            [np.array(ring, np.float64).reshape(-1, 2).round().astype(np.int32) for ring in one["segmentation"]],
        )
        for one in annotations["annotations"]
    ]


def cut_pack(path: Path, rings: list[np.ndarray]) -> np.ndarray | None:
    """RGBA of an outlined pack, set upright by its narrowest rectangle; None where it is small or dark."""
    picture = read(path)
    mask = np.zeros(picture.shape[:2], np.uint8)
    cv2.fillPoly(mask, rings, 255)
    return set_upright(picture, mask)


def set_upright(picture: np.ndarray, mask: np.ndarray) -> np.ndarray | None:
    """RGBA of what the mask covers, turned so that its narrowest rectangle stands straight; None if small or dark."""
    ys, xs = np.nonzero(mask)
    if len(ys) < 90 * 90 or picture[ys, xs].mean() < 55:
        return None
    (x, y), (wide, tall), angle = cv2.minAreaRect(np.column_stack([xs, ys]).astype(np.float32))
    if angle > 45:
        wide, tall, angle = tall, wide, angle - 90
    if min(wide, tall) < 70 or mask.astype(bool).sum() < 0.72 * wide * tall:
        return None
    matrix = cv2.getRotationMatrix2D((x, y), angle, 1.0)
    matrix[:, 2] += wide / 2 - x, tall / 2 - y
    size = (int(wide) + 1, int(tall) + 1)
    turned = cv2.warpAffine(picture, matrix, size, flags=cv2.INTER_LINEAR)
    return rgba_of(turned, cv2.warpAffine(mask, matrix, size) > 127, 420)


def studio_packs(data: Path) -> Iterator[np.ndarray]:
    """Packs on a studio's white ground."""
    for path in sorted((data / "grocerystore/iconic").glob("*")):
        if any(word in path.stem for word in PACKED):
            picture = read(path)
            mask = on_plain_ground(picture)
            if mask is not None:
                yield rgba_of(picture, mask)


def studio_fruit(data: Path) -> Iterator[list[np.ndarray]]:
    """Fruit and vegetables on a studio's white ground, each a kind of its own: as it is and mirrored, squared."""
    for path in sorted((data / "grocerystore/iconic").glob("*")):
        if any(word in path.stem for word in PACKED):
            continue
        picture = read(path)
        mask = on_plain_ground(picture)
        if mask is not None:
            cut = rgba_of(picture, mask)
            if (cut[:, :, 3] > 127).sum() < 0.5 * max(cut.shape[:2]) ** 2:
                continue  # too long to lie in a heap in any direction
            side = max(cut.shape[:2])
            down, across = side - cut.shape[0], side - cut.shape[1]
            square = np.pad(cut, ((down // 2, down - down // 2), (across // 2, across - across // 2), (0, 0)))
            yield [square, np.ascontiguousarray(square[:, ::-1])]


def fruit_kinds(data: Path, kinds: int = 44) -> list[list[np.ndarray]]:
    """Fruit on white, gathered into kinds by colour: of a seed fruit the fourteen of most similar colours."""
    found = []
    for path in sorted((data / "distil/produce").glob("fruits360-*")):
        picture = read(path)
        mask = on_white(picture)
        if mask is not None and mask.mean() > 0.45:
            found.append(cv2.resize(rgba_of(picture, mask), (100, 100), interpolation=cv2.INTER_AREA))
    looks = np.array([_colours(fruit) for fruit in found])
    rng = np.random.default_rng(5)
    gathered = []
    for seed in rng.permutation(len(found))[:kinds]:
        nearest = np.argsort(np.abs(looks - looks[seed]).sum(1))[:14]
        gathered.append([found[i] for i in nearest])
    return gathered


def _colours(fruit: np.ndarray) -> np.ndarray:
    lab = cv2.cvtColor(fruit[:, :, :3], cv2.COLOR_RGB2LAB)[fruit[:, :, 3] > 200].astype(np.float32)
    return np.concatenate([lab.mean(0), lab.std(0)])


if __name__ == "__main__":
    main()
