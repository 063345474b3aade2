"""The demo's little shop: sixteen products, three families of look-alikes among them, and two that it does not sell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from retail_seg.rendering.designs import ProductDesign, random_design, random_palette
from retail_seg.rendering.packs import View, render
from retail_seg.rendering.scenes import Scene, compose
from retail_seg.rendering.words import FLAVOURS

#: (SKU, kind, shelf, brand, name, flavours that look alike, weight, seed of the layout)
_ARTICLES: tuple[tuple[str, str, str, str, str, tuple[str, ...], str, int], ...] = (
    ("LEM", "drink can", "soda", "Solvita", "Lemonade", ("Orange", "Lime", "Cherry"), "330 ml", 4),
    ("JAM", "jar", "spread", "Marisol", "Jam", ("Strawberry", "Blueberry"), "340 g", 5),
    ("CRI", "pillow bag", "crisps", "Brizo", "Crisps", ("Paprika", "Sea Salt", "Sour Cream"), "150 g", 6),
    ("OIL", "bottle", "oil", "Valdora", "Olive Oil", ("Olive",), "500 ml", 8),
    ("MIL", "gable carton", "milk", "Helney", "Milk", ("Whole",), "1 L", 7),
    ("GRA", "carton", "cereal", "Norvita", "Granola", ("Honey",), "375 g", 3),
    ("TUN", "flat can", "fish", "Sanzo", "Tuna Chunks", ("In Oil",), "160 g", 0),
    ("YOG", "cup", "yoghurt", "Frada", "Yoghurt", ("Peach",), "150 g", 11),
    ("CHO", "bar", "bar", "Kalbo", "Chocolate", ("Hazelnut",), "100 g", 14),
    ("COF", "pouch", "coffee", "Corvio", "Coffee", ("Arabica",), "250 g", 18),
    ("KET", "squeeze bottle", "sauce", "Elda", "Ketchup", ("Classic",), "500 ml", 9),
)
_STRANGERS = (
    ("", "food can", "tinned", "Don Fenavio", "Soup", ("Tomato",), "400 g", 2),
    ("", "carton", "tea", "Dalinda", "Tea", ("Mint",), "25 x 2 g", 8),
)

#: (ground, SKUs of what lies or stands on it; "?" is a product that the shop does not sell), in the order of the photos
_PHOTOS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("cloth", ("LEM-ORANGE", "LEM-LIME", "LEM-LIME", "CHO-HAZELNUT", "JAM-STRAWBERRY", "TUN-IN-OIL", "KET-CLASSIC",
               "?")),
    ("fridge", ("MIL-WHOLE", "MIL-WHOLE", "YOG-PEACH", "LEM-ORANGE", "LEM-LIME", "LEM-CHERRY", "KET-CLASSIC", "?",
                "TUN-IN-OIL", "YOG-PEACH")),
    ("paper", ("CRI-PAPRIKA", "CRI-SOUR-CREAM", "COF-ARABICA", "JAM-BLUEBERRY", "JAM-STRAWBERRY", "OIL-OLIVE", "?")),
    ("stone", ("CRI-SEA-SALT", "GRA-HONEY", "MIL-WHOLE", "YOG-PEACH", "LEM-CHERRY", "CHO-HAZELNUT", "JAM-BLUEBERRY",
               "OIL-OLIVE")),
)  # fmt: skip


@dataclass(frozen=True)
class Article:
    """A product of the demo shop: its SKU (empty for one that the shop does not sell) and its looks."""

    sku: str
    design: ProductDesign


@dataclass(frozen=True, eq=False)
class DemoPhoto:
    """A demo photo with its truth: how many of each SKU it shows, and how many that the shop does not sell."""

    name: str
    scene: Scene
    expected: Counter[str]
    strangers: int


def articles() -> list[Article]:
    """What the shop sells."""
    return [article for row in _ARTICLES for article in _article(*row)]


def references(article: Article) -> list[tuple[np.ndarray, np.ndarray]]:
    """Four studio pictures of a product, RGB uint8 (h, w, 3) on white, each with its mask (h, w) bool."""
    looks = (View(), View(yaw=24, light=0.5), View(yaw=-24, pitch=14), View(pitch=3, light=0.3, contrast=0.3))
    pictures = []
    for number, look in enumerate(looks):
        rgba = render(article.design, 360, view=replace(look, folds=1000 * article.design.seed + number))
        alpha = rgba[:, :, 3:].astype(np.float32) / 255
        white = (rgba[:, :, :3] * alpha + 255 * (1 - alpha) + 0.5).astype(np.uint8)
        pictures.append((white, rgba[:, :, 3] > 127))
    return pictures


def demo_photos(count: int, size: tuple[int, int] = (960, 1280)) -> list[DemoPhoto]:
    """The first `count` demo photos; after the four that are laid out by hand, further ones are drawn at random."""
    return [_photo(number, size) for number in range(count)]


def _article(
    prefix: str, kind: str, line: str, brand: str, name: str, flavours: Sequence[str], weight: str, seed: int
) -> list[Article]:
    size = random_design(np.random.default_rng(seed), kind).size
    palette = random_palette(np.random.default_rng(seed), FLAVOURS[flavours[0]][0])
    first = ProductDesign(kind, line, brand, name, flavours[0], weight, palette, seed, size)
    found = []
    for flavour in flavours:
        design = replace(first, flavour=flavour, palette=(*palette[:4], FLAVOURS[flavour][0]))
        sku = f"{prefix}-{flavour.upper().replace(' ', '-')}" if prefix else ""
        found.append(Article(sku, design))
    return found


def _photo(number: int, size: tuple[int, int]) -> DemoPhoto:
    rng = np.random.default_rng([21, number])
    sold = {article.sku: article.design for article in articles()}
    strangers = [article.design for row in _STRANGERS for article in _article(*row)]
    ground, wanted = _PHOTOS[number % len(_PHOTOS)]
    if number >= len(_PHOTOS):
        wanted = (*(str(sku) for sku in rng.choice(list(sold), 7)), "?")
    designs = [sold[sku] if sku in sold else strangers[number % len(strangers)] for sku in wanted]
    scene = compose(designs, rng, size=size, ground=ground, touching=0.5, strength=0.4)
    skus = {design: sku for sku, design in sold.items()}
    shown = Counter(skus.get(design, "") for design in scene.designs)
    unknown = shown.pop("", 0)
    return DemoPhoto(f"demo-{number + 1}-{ground}", scene, shown, unknown)
