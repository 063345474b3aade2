"""What a product looks like, as a value: kind of pack, words, colours and the seed of its layout."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from retail_seg.rendering.drawing import BLACK, WHITE, Colour, hsv, readable_on
from retail_seg.rendering.words import FLAVOURS, LINES, random_brand

#: kind ► typical (width, height, depth) in millimetres, of which a design has one, each a little varied
SIZES: dict[str, tuple[tuple[int, int, int], ...]] = {
    "drink can": ((66, 115, 66), (53, 134, 53), (66, 168, 66)),
    "food can": ((74, 110, 74), (84, 116, 84), (66, 88, 66), (99, 119, 99)),
    "flat can": ((85, 38, 85), (85, 52, 85), (99, 60, 99)),
    "bottle": ((66, 230, 66), (74, 290, 74), (62, 205, 62), (80, 255, 80)),
    "squeeze bottle": ((76, 190, 50), (66, 170, 48), (88, 220, 60)),
    "jar": ((74, 100, 74), (68, 128, 68), (84, 92, 84)),
    "cup": ((75, 88, 75), (95, 106, 95), (95, 62, 95)),
    "carton": ((140, 200, 50), (90, 130, 60), (190, 275, 62), (64, 165, 40), (150, 90, 60), (120, 80, 78)),
    "gable carton": ((72, 235, 72), (92, 190, 72), (70, 150, 60)),
    "pouch": ((130, 190, 40), (110, 220, 50), (150, 210, 50), (95, 130, 20)),
    "pillow bag": ((160, 240, 50), (130, 200, 40), (190, 280, 60), (110, 250, 50)),
    "bar": ((180, 55, 14), (150, 40, 20), (170, 80, 10), (220, 66, 40)),
    "tube": ((52, 160, 34), (60, 190, 40)),
}
KINDS = tuple(SIZES)


@dataclass(frozen=True)
class ProductDesign:
    """One product, hashable: everything that its render depends on beside the view.

    `palette` holds ground, second, accent, ink and flavour colour (RGB 0–255); `size` is width, height and depth in
    millimetres; `line` the shelf it belongs to (a key of words.LINES); `seed` decides layout, shape and typefaces.
    """

    kind: str
    line: str
    brand: str
    name: str
    flavour: str
    weight: str
    palette: tuple[Colour, Colour, Colour, Colour, Colour]
    seed: int
    size: tuple[float, float, float]

    @property
    def title(self) -> str:
        """How a shelf label calls it: brand, name, flavour, weight."""
        return f"{self.brand} {self.name} {self.flavour} {self.weight}"


def random_design(rng: np.random.Generator, kind: str | None = None) -> ProductDesign:
    """A new product; `kind` (one of KINDS) fixes the pack. Raises ValueError for an unknown kind."""
    if kind is None:
        kind = str(rng.choice(KINDS))
    if kind not in SIZES:
        raise ValueError(f"kind {kind!r} is not rendered; choose one of {', '.join(KINDS)}")
    line = str(rng.choice([name for name, line in LINES.items() if kind in line.kinds]))
    shelf = LINES[line]
    flavour = str(rng.choice(shelf.flavours))
    width, height, depth = SIZES[kind][rng.integers(len(SIZES[kind]))]
    wide, tall = rng.uniform(0.93, 1.07, 2)
    return ProductDesign(
        kind=kind,
        line=line,
        brand=random_brand(rng),
        name=str(rng.choice(shelf.names)),
        flavour=flavour,
        weight=str(rng.choice(shelf.weights)),
        palette=random_palette(rng, FLAVOURS[flavour][0]),
        seed=int(rng.integers(2**31)),
        size=(float(width * wide), float(height * tall), float(depth * wide)),
    )


def variant(design: ProductDesign, rng: np.random.Generator) -> ProductDesign:
    """A look-alike: the same pack and layout in another flavour of its line (other word, colour and motif)."""
    others = [flavour for flavour in LINES[design.line].flavours if flavour != design.flavour]
    flavour = str(rng.choice(others))
    return replace(design, flavour=flavour, palette=(*design.palette[:4], FLAVOURS[flavour][0]))


def random_palette(rng: np.random.Generator, flavour: Colour) -> tuple[Colour, Colour, Colour, Colour, Colour]:
    """Ground, second, accent, ink and flavour colour as packs wear them: strong grounds, white, dark, kraft, pastel."""
    hue = rng.random()
    style = rng.choice(["strong", "white", "dark", "kraft", "pastel", "flavour"], p=[0.42, 0.17, 0.13, 0.05, 0.13, 0.1])
    if style == "white":
        ground = WHITE
    elif style == "dark":
        ground = hsv(hue, rng.uniform(0.2, 0.9), rng.uniform(0.08, 0.3))
    elif style == "kraft":
        ground = hsv(0.09, rng.uniform(0.3, 0.45), rng.uniform(0.65, 0.82))
    elif style == "pastel":
        ground = hsv(hue, rng.uniform(0.12, 0.35), rng.uniform(0.85, 0.98))
    elif style == "flavour":
        ground = flavour
    else:
        ground = hsv(hue, rng.uniform(0.7, 1.0), rng.uniform(0.5, 0.95))
    turn = rng.choice([0.0, 0.08, -0.08, 0.33, 0.5, 0.58])
    second = hsv(hue + turn, rng.uniform(0.55, 1.0), rng.uniform(0.3, 0.95)) if rng.random() < 0.75 else WHITE
    accent = hsv(hue + rng.choice([0.5, 0.42, 0.15, -0.15, 0.33]), rng.uniform(0.7, 1.0), rng.uniform(0.6, 1.0))
    if rng.random() < 0.2:
        accent = (206, 172, 88)  # gold print
    ink = readable_on(ground, second if rng.random() < 0.5 else accent, BLACK if rng.random() < 0.5 else WHITE)
    return ground, second, accent, ink, flavour
