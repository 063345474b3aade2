"""What a composed shop sells: products in families of look-alikes, and a picture of each from any side.

A product is a rendered design, a cut-out of a photo, several of a kind in film, or loose things in a bag of film.
Fruit lies loose in kinds. Everything is drawn once per look and kept for the process.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import cv2
import numpy as np

from retail_seg.rendering.designs import ProductDesign, random_design, variant
from retail_seg.rendering.packs import render
from retail_seg.rendering.views import View
from retail_seg.rendering.wrapping import bag_of, multipack, print_photo

#: how a product behaves on a shelf ► the kinds of pack that do
FORMS: dict[str, tuple[str, ...]] = {
    "box": ("carton", "gable carton"),
    "round": ("drink can", "food can", "flat can", "bottle", "squeeze bottle", "jar", "cup", "tube"),
    "bag": ("pouch", "pillow bag"),
    "bar": ("bar",),
}
#: heights in pixels at which sprites are drawn and kept; whatever is asked for is scaled down from the next one
_HEIGHTS = (104, 192, 352, 640)


@dataclass(frozen=True, eq=False)
class StockItem:
    """One product: `sku`, how it behaves (a key of FORMS), its (width, height, depth) in mm, and what it is drawn from.

    `design` alone is a rendered pack, on which a `photo` (RGB uint8) may be printed; with `across` × `up` it is that
    many of them in film; `picture` (RGBA uint8) is a cut-out; `filling` (RGBA uint8 pictures) lies in a bag of film, on
    which `design` is the printed label.
    """

    sku: str
    form: str
    size: tuple[float, float, float]
    design: ProductDesign | None = None
    picture: np.ndarray | None = None
    across: int = 1
    up: int = 1
    filling: tuple[np.ndarray, ...] = ()
    photo: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class SpriteLook:
    """From where a product is seen (degrees), and which copy it is."""

    yaw: float = 0.0
    pitch: float = 4.0
    copy: int = 0


@dataclass(frozen=True, eq=False)
class Stock:
    """Families of products that stand beside each other, kinds of loose fruit (RGBA), textures for walls (RGB)."""

    families: tuple[tuple[StockItem, ...], ...]
    fruit: tuple[tuple[np.ndarray, ...], ...]
    textures: tuple[np.ndarray, ...] = ()

    @property
    def products(self) -> tuple[StockItem, ...]:
        """All of them, family by family."""
        return tuple(product for family in self.families for product in family)


def rendered_stock(
    rng: np.random.Generator,
    families: int = 60,
    cutouts: Sequence[np.ndarray] = (),
    fruit: Sequence[Sequence[np.ndarray]] = (),
    textures: Sequence[np.ndarray] = (),
    photos: Sequence[np.ndarray] = (),
) -> Stock:
    """A shop of new designs, with the given cut-outs (RGBA, each a product) and kinds of fruit where there are any.

    Without fruit of photos it is drawn. `photos` (RGB uint8, of food) are printed on packs and fill bags.
    """
    kinds = tuple(tuple(kind) for kind in fruit) or tuple(drawn_fruit(rng) for _ in range(6))
    filled = [*kinds, *((np.dstack([photo, np.full(photo.shape[:2], 255, np.uint8)]),) for photo in photos)]
    found = [_family(rng, number, photos) for number in range(families)]
    found += [_film_family(rng, number, filled) for number in range(families // 9)]
    found += [(_cutout(picture, number, rng),) for number, picture in enumerate(cutouts)]
    return Stock(tuple(found), kinds, tuple(textures))


def _family(rng: np.random.Generator, number: int, photos: Sequence[np.ndarray]) -> tuple[StockItem, ...]:
    """A design and up to five sisters of other flavours; some with photos on them, or in film by the four or six."""
    form = str(rng.choice(list(FORMS), p=[0.32, 0.38, 0.22, 0.08]))
    first = random_design(rng, str(rng.choice(FORMS[form])))
    designs = [first]
    for _ in range(int(rng.integers(0, 6))):
        sister = variant(first, rng)
        if sister not in designs:
            designs.append(sister)
    across, up = 1, 1
    if form in ("round", "box") and first.kind not in ("tube", "gable carton") and rng.random() < 0.13:
        across, up = int(rng.integers(2, 5)), int(rng.choice([1, 1, 2]))
    wide, tall, deep = first.size
    size = (wide * across * 0.98, tall * up * 0.98, deep)
    printed: list[np.ndarray | None] = [None] * len(designs)
    if len(photos) and rng.random() < 0.45:
        printed = [photos[int(rng.integers(len(photos)))] for _ in designs]
    return tuple(
        StockItem(f"R{number:03d}-{i}", form if across * up == 1 else "box", size, design, None, across, up, (), photo)
        for i, (design, photo) in enumerate(zip(designs, printed, strict=True))
    )


def _film_family(
    rng: np.random.Generator, number: int, kinds: Sequence[tuple[np.ndarray, ...]]
) -> tuple[StockItem, ...]:
    """Bags of film with fruit in them, one or two fillings under one label."""
    label = random_design(rng, "pouch")
    wide, tall = rng.uniform(170, 260), rng.uniform(190, 300)
    found = []
    for i in range(int(rng.integers(1, 3))):
        filling = kinds[int(rng.integers(len(kinds)))]
        found.append(StockItem(f"F{number:03d}-{i}", "bag", (wide, tall, 90.0), label, filling=filling))
    return tuple(found)


def _cutout(picture: np.ndarray, number: int, rng: np.random.Generator) -> StockItem:
    """A photographed pack, of a size that its shape suggests."""
    tall, wide = picture.shape[:2]
    height = rng.uniform(150, 260) if tall > 1.15 * wide else rng.uniform(80, 170)
    if tall < 0.75 * wide:
        height = rng.uniform(60, 120)
    return StockItem(f"C{number:03d}", "box", (height * wide / tall, height, height * 0.4), picture=picture)


def drawn_fruit(rng: np.random.Generator, side: int = 96) -> tuple[np.ndarray, ...]:
    """Six round things of one colour (RGBA uint8), shaded and speckled: fruit where no photo of it is at hand."""
    colour = np.array(random_design(rng).palette[4], np.float32)
    squeeze = rng.uniform(0.75, 1.2)
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j].astype(np.float32)
    found = []
    for _ in range(6):
        wide, tall = 0.93, 0.93 / max(squeeze, 1.02) * float(rng.uniform(0.92, 1.05))
        radius = np.sqrt((x / wide) ** 2 + (y / min(tall, 0.95)) ** 2)
        depth = np.sqrt(np.clip(1 - radius**2, 0, 1))
        lit = 0.35 + 0.65 * np.clip(0.75 * depth - 0.35 * x * 0.5 - 0.5 * y, 0, 1)
        noise = cv2.resize(rng.normal(0, 12, (12, 12, 3)).astype(np.float32), (side, side))
        shiny = 90 * np.exp(-((x + 0.3) ** 2 + (y + 0.42) ** 2) / 0.03)
        body = (colour + noise) * lit[:, :, None] + shiny[:, :, None]
        alpha = np.clip((1 - radius) * side / 2, 0, 1) * 255
        found.append(np.dstack([np.clip(body, 0, 255), alpha]).astype(np.uint8))
    return tuple(found)


def sprite(product: StockItem, height: float, look: SpriteLook, full: float = 0.0) -> np.ndarray:
    """The product as RGBA uint8 (h, w, 4), about `height` pixels tall (at least 8); not to be written to.

    `full` is the height in pixels at which its nearest copy is seen: what stands behind is drawn from the same sprite.
    """
    wanted = max(round(height), 8)
    size = next((each for each in _HEIGHTS if each >= 0.8 * max(full, wanted)), _HEIGHTS[-1])
    if product.form == "bar":
        size = max(size // 2, 56)
    if wanted > 60:
        wanted = wanted // 2 * 2  # so that neighbours share what is kept
    return _scaled(product, wanted, size, round(look.yaw / 10) * 10, round(look.pitch / 12) * 12, look.copy)


@lru_cache(maxsize=1500)
def _scaled(product: StockItem, wanted: int, size: int, yaw: int, pitch: int, copy: int) -> np.ndarray:
    kept = _drawn(product, size, yaw, pitch, copy)
    scale = wanted / kept.shape[0]
    columns = max(round(kept.shape[1] * scale), 4)
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return cv2.resize(kept, (columns, wanted), interpolation=way)


@lru_cache(maxsize=4000)
def _drawn(product: StockItem, height: int, yaw: int, pitch: int, copy: int) -> np.ndarray:
    side = 0.45 if product.sku[-1] in "02468" else -0.45
    view = View(yaw=float(yaw), pitch=float(np.clip(pitch, 0, 32)), light=side, height=0.85, folds=copy + 1)
    if product.filling:
        return bag_of(product.filling, product.design, product.size, height, copy)
    if product.design is None:
        assert product.picture is not None
        scale = height / product.picture.shape[0]
        size = (max(round(product.picture.shape[1] * scale), 4), height)
        return cv2.resize(product.picture, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    if product.across * product.up == 1:
        return _seen(product.design, height, view, copy, product.photo)
    each = max(height // product.up, 24)
    packs = [_seen(product.design, each, replace(view, folds=i), i, product.photo) for i in range(3)]
    return multipack(packs, product.across, product.up, copy)


def _seen(design: ProductDesign, height: int, view: View, copy: int, photo: np.ndarray | None) -> np.ndarray:
    """A round pack stands turned about its axis as it was put down, a box nearly straight."""
    rng = np.random.default_rng([design.seed, copy, 17])
    spread = 2.0 if design.kind in FORMS["box"] else 11.0 if design.kind in FORMS["round"] else 4.0
    turned = replace(view, yaw=view.yaw + float(rng.normal(0, spread)) * (copy > 0))
    pack = render(design, max(height, 16), view=turned)
    return pack if photo is None else print_photo(pack, photo, design.seed, -turned.yaw / 160)
