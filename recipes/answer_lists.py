"""Shelf photos with named boxes, drawn sister families, and lists ► lists of labelled crops that a store is asked with.

A list is what `retail-seg evaluate retrieval` takes: a CSV with columns image,label[,x,y,w,h]. Crops are written beside
it as PNG, so that what the weights were learned from can be looked at and scored by that command.
"""

from __future__ import annotations

import csv
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from index.photographed import as_photographed
from retail_seg.errors import PhotoError
from retail_seg.photos.load import shrink
from retail_seg.rendering.designs import ProductDesign, random_design
from retail_seg.rendering.packs import render
from retail_seg.rendering.views import View, random_view
from retail_seg.rendering.words import FLAVOURS
from retail_seg.store.crop_lists import LabelledCrop, load_crops, read_labelled_crops

#: Longer side, in pixels, of a product on a photo of a shelf, and of a reference that was cut from one.
SHELF_SIDE, REFERENCE_SIDE = 83, 110
#: Queries of one product: a heap of tomatoes is not to outweigh a shelf.
MOST_QUERIES = 6
#: Categories of data/shelves that name no product.
NAMELESS = ("product", "ignore")

_FAMILIES, _SISTERS, _FULL = 36, (2, 4), 4
_QUERIES_DRAWN = 3


@dataclass(frozen=True)
class Lists:
    """A store's lists: the gallery and the queries."""

    gallery: Path
    queries: Path

    @classmethod
    def within(cls, folder: Path) -> Lists:
        """Where they lie in a folder of their own."""
        return cls(folder / "gallery.csv", folder / "queries.csv")

    @property
    def there(self) -> bool:
        """Whether both have been written."""
        return self.gallery.is_file() and self.queries.is_file()


def shelf_lists(folder: Path, references: int, out: Path) -> Lists:
    """Facings of the named products of data/shelves (the fridge has eight products only, and is left out): at most
    `references` of each, the queries from other photos where there are some, else from the same photo.
    """
    lists = Lists.within(out)
    if lists.there:
        return lists
    by_name = defaultdict(list)
    for name, photo, box in _facings(folder / "annotations.json"):
        by_name[name].append((photo, box))
    rng = np.random.default_rng(references)
    gallery, queries = [], []
    for name in sorted(by_name):
        mine, others = _parted([by_name[name][at] for at in rng.permutation(len(by_name[name]))], references)
        gallery += [LabelledCrop(folder / photo, name, box, 0) for photo, box in mine]
        queries += [LabelledCrop(folder / photo, name, box, 0) for photo, box in others[:MOST_QUERIES]]
    return _written(lists, _cut(gallery, REFERENCE_SIDE), _cut(queries, SHELF_SIDE))


def family_lists(references: int, out: Path) -> Lists:
    """Drawn families of two to four sisters that share their layout and differ in a flavour: its words, mostly its
    colour. One reference is a studio picture, four are that and three photos; queries are photos of a shelf.
    """
    lists = Lists.within(out)
    if lists.there:
        return lists
    rng = np.random.default_rng(77)
    designs = [design for _ in range(_FAMILIES) for design in _family(rng)]
    gallery, queries = [], []
    for number, design in enumerate(designs):
        photos = [_shot(design, random_view(rng, 0.6), rng) for _ in range(_FULL - 1)]
        pictures = [_shot(design, View(), None), *photos]
        gallery += [(f"drawn-{number:03d}", picture) for picture in pictures[:references]]
        for _ in range(_QUERIES_DRAWN):
            seen = _shot(design, random_view(rng, 0.8), rng)
            shown, _ = as_photographed(seen, None, int(rng.integers(1 << 30)), pictures[int(rng.integers(_FULL))])
            queries.append((f"drawn-{number:03d}", shown))
    return _written(lists, gallery, queries)


def shrunk_lists(given: Lists, out: Path, most: int) -> Lists:
    """Lists of other pictures: the gallery as it is, and at most `most` of the queries as small as on a shelf."""
    lists = Lists.within(out)
    if lists.there:
        return lists
    rows = sample(read_labelled_crops(given.queries), most)
    return _written(lists, _cut(read_labelled_crops(given.gallery), 1024), _cut(rows, SHELF_SIDE))


def sample(rows: Sequence[LabelledCrop], most: int) -> list[LabelledCrop]:
    """At most `most` rows, the same ones every time, in their order."""
    kept = np.random.default_rng(0).permutation(len(rows))[:most]
    return [rows[at] for at in sorted(kept.tolist())]


def _facings(path: Path) -> Iterable[tuple[str, str, tuple[int, int, int, int]]]:
    """Name, photo and box of each facing of a named product."""
    coco = json.loads(path.read_text(encoding="utf-8"))
    photos = {image["id"]: image["file_name"] for image in coco["images"]}
    names = {category["id"]: category["name"] for category in coco["categories"]}
    for one in coco["annotations"]:
        name, photo = names[one["category_id"]], photos[one["image_id"]]
        if name not in NAMELESS and not photo.startswith("fridge"):
            x, y, width, height = (round(value) for value in one["bbox"])
            yield name, photo, (x, y, width, height)


def _parted(facings: list, references: int) -> tuple[list, list]:
    """References and queries: from different photos where the product stands in several."""
    photos = Counter(photo for photo, _ in facings)
    if len(photos) == 1:
        count = min(references, max(1, len(facings) // 2))
        return facings[:count], facings[count:]
    shown = min(photos, key=lambda photo: (photos[photo], photo))
    mine, others = ([one for one in facings if (one[0] == shown) == same] for same in (True, False))
    return mine[:references], others


def _cut(rows: Sequence[LabelledCrop], side: int) -> list[tuple[str, np.ndarray]]:
    """Labels and crops of at most `side`; a picture that cannot be read ends the recipe with its sentence."""
    found = []
    for at, crop in load_crops(rows, 1024):
        if isinstance(crop, PhotoError):
            raise SystemExit(str(crop))
        found.append((rows[at].label, shrink(crop, side)))
    return found


def _written(
    lists: Lists, gallery: Sequence[tuple[str, np.ndarray]], queries: Sequence[tuple[str, np.ndarray]]
) -> Lists:
    for path, crops in ((lists.gallery, gallery), (lists.queries, queries)):
        folder = path.with_suffix("")
        folder.mkdir(parents=True, exist_ok=True)
        for number, (_, crop) in enumerate(crops):
            cv2.imwrite(str(folder / f"{number:05d}.png"), crop[:, :, ::-1])
        with path.open("w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file)
            rows.writerow(["image", "label"])
            rows.writerows([f"{folder.name}/{number:05d}.png", label] for number, (label, _) in enumerate(crops))
    return lists


def _family(rng: np.random.Generator) -> list[ProductDesign]:
    """A design and its sisters; two in five of these differ in their words only."""
    first = random_design(rng)
    others = [str(name) for name in rng.permutation([name for name in FLAVOURS if name != first.flavour])]
    count = int(rng.integers(_SISTERS[0], _SISTERS[1] + 1))
    sisters = [first]
    for name in others[: count - 1]:
        palette = (*first.palette[:4], FLAVOURS[name][0]) if rng.random() < 0.6 else first.palette
        sisters.append(replace(first, flavour=name, palette=palette))
    return sisters


def _shot(design: ProductDesign, view: View, rng: np.random.Generator | None) -> np.ndarray:
    """A picture of a design on white, or with `rng` on a blurred ground of a few colours."""
    rgba = render(design, 260, view=view)
    alpha = rgba[:, :, 3:].astype(np.float32) / 255
    ground = np.full((*rgba.shape[:2], 3), 255, np.uint8)
    if rng is not None:
        spots = rng.integers(0, 256, (6, 6, 3)).astype(np.uint8)
        ground = cv2.resize(cv2.GaussianBlur(spots, (0, 0), 0.8), (rgba.shape[1], rgba.shape[0]))
    return (rgba[:, :, :3] * alpha + ground * (1 - alpha)).clip(0, 255).astype(np.uint8)
