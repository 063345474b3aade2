"""Photos of full shop shelves whose truth is known: which product stands where, and which pixels show it.

    rng = np.random.default_rng(3)
    stock = rendered_stock(rng)                        # families of look-alikes, fruit, bags, packs in film
    shelf = compose_shelf(stock, random_style(rng), rng)
    shelf.picture                                      # RGB uint8 (H, W, 3)
    shelf.labels                                       # int32 (H, W): 0 ground, -1 ignore, else the id of a facing
    shelf.facings                                      # facings[i] has id i + 1: SKU, row, position, layer, level

Ids run row by row from the top and in a row from left to right. What stands behind another is an instance when at least
a third of it is seen, else its pixels are to be ignored. Floor, ceiling, signs, tags, crates and hands are ground.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from retail_seg.rendering.bays import Placed, draw_bay, draw_planned
from retail_seg.rendering.canvas import IGNORE, Canvas, shares_seen
from retail_seg.rendering.facings import Habit, Planned, ShelfRow
from retail_seg.rendering.fixtures import Furniture, random_furniture
from retail_seg.rendering.lens import Camera, LensProjection, Light, aim, develop, jpeg, photograph, photograph_labels
from retail_seg.rendering.stocking import Stock

#: What is photographed: open shelves, a chiller, a fridge behind glass, pegs, fruit, goods on pallets, wire baskets.
FIXTURES = ("shelf", "chiller", "fridge", "pegs", "produce", "pallet", "basket")
#: A product of which less than this share is seen is ignored.
SHARE_SEEN = 1 / 3
#: Share of its own size that a product must show where the photo's edge cuts it.
SHARE_IN_PHOTO = 0.1
#: Fewer pixels than this say nothing about a product.
FEWEST_PIXELS = 60


@dataclass(frozen=True)
class ShelfStyle:
    """One photo's circumstances: its size (height, width), the fixture (one of FIXTURES), heights of rows in mm, where
    the bay ends (shares of the photo, None: beyond it), and its camera, light, furniture and habits.
    """

    size: tuple[int, int] = (900, 1200)
    fixture: str = "shelf"
    row_mm: tuple[float, float] = (220.0, 340.0)
    floor: float | None = None
    top: float | None = None
    left: float | None = None
    right: float | None = None
    camera: Camera = field(default_factory=Camera)
    light: Light = field(default_factory=Light)
    furniture: Furniture | None = None
    habit: Habit = field(default_factory=Habit)
    signs: int = 0
    hand: bool = False
    passer_by: bool = False


@dataclass(frozen=True)
class Facing:
    """What an id stands for. `position` counts facings along its `row` from the left, `layer` what stands behind from
    the front, `level` what is stacked from the board; `seen` is the share of it that nothing covers.
    """

    sku: str
    row: int
    position: int
    layer: int
    level: int
    seen: float


@dataclass(frozen=True, eq=False)
class Shelf:
    """A photo RGB uint8 (H, W, 3), labels int32 (H, W) with ids 1…n and -1 for ignore, facings[i] of id i + 1."""

    picture: np.ndarray
    labels: np.ndarray
    facings: tuple[Facing, ...]


def compose_shelf(stock: Stock, style: ShelfStyle, rng: np.random.Generator) -> Shelf:
    """Fill a bay from the stock and take its photo. The same arguments and state of `rng` give the same shelf.

    Raises ValueError for an unknown fixture.
    """
    if style.fixture not in FIXTURES:
        raise ValueError(f"fixture {style.fixture!r} is not drawn; choose one of {', '.join(FIXTURES)}")
    furniture = style.furniture or random_furniture(rng)
    full = replace(style, furniture=furniture)
    return _photographed(full, furniture, lambda canvas, view: draw_bay(canvas, view, stock, full, rng), rng)


def compose_planned(rows: Sequence[tuple[ShelfRow, Planned]], style: ShelfStyle, rng: np.random.Generator) -> Shelf:
    """The photo of rows whose pieces are given, in mm from the middle of the photo; with furniture and camera alone."""
    furniture = style.furniture or random_furniture(rng)
    return _photographed(style, furniture, lambda canvas, view: draw_planned(canvas, view, rows, furniture, rng), rng)


def _photographed(
    style: ShelfStyle,
    furniture: Furniture,
    draw: Callable[[Canvas, LensProjection], list[Placed]],
    rng: np.random.Generator,
) -> Shelf:
    map_x, map_y, view, size = aim(style.camera, style.size)
    canvas = Canvas.blank(*size, np.array(furniture.wall, np.float32))
    placed = draw(canvas, view)
    labels, facings = told_apart(canvas, placed, photograph_labels(canvas.labels, (map_x, map_y)))
    picture = develop(photograph(canvas.picture, (map_x, map_y)), style.light, rng)
    return Shelf(jpeg(picture, style.light.quality), labels, facings)


def told_apart(canvas: Canvas, placed: list[Placed], seen_by_lens: np.ndarray) -> tuple[np.ndarray, tuple[Facing, ...]]:
    """Labels of the photo with ids in reading order, and what they stand for; too little seen becomes IGNORE."""
    shares = shares_seen(canvas)
    pixels = np.bincount(np.maximum(seen_by_lens, 0).ravel(), minlength=len(canvas.areas) + 1)[1:]
    enough = (shares >= SHARE_SEEN) & (pixels >= np.maximum(FEWEST_PIXELS, SHARE_IN_PHOTO * np.array(canvas.areas)))
    order = sorted(
        (one for one in placed if enough[one.number - 1]),
        key=lambda one: (one.piece.row, one.piece.position, one.piece.layer, one.piece.level, one.number),
    )
    ids = np.full(len(canvas.areas) + 2, IGNORE, np.int32)  # the last place is what -1 points at
    ids[0] = 0
    for number, one in enumerate(order, start=1):
        ids[one.number] = number
    facings = tuple(
        Facing(one.piece.sku, one.piece.row, one.piece.position, one.piece.layer, one.piece.level,
               round(float(min(shares[one.number - 1], 1)), 3))
        for one in order
    )  # fmt: skip
    return ids[seen_by_lens], facings


def random_style(rng: np.random.Generator, longer_side: int = 1200) -> ShelfStyle:
    """Circumstances as phones meet them in shops; from four products near by to a whole bay with two hundred."""
    fixture = str(rng.choice(FIXTURES, p=[0.45, 0.13, 0.1, 0.09, 0.1, 0.05, 0.08]))
    height, width = _size(rng, longer_side)
    across = float(np.exp(rng.normal(np.log(1400), 0.46)).clip(330, 2600)) * width / longer_side
    if fixture == "produce":
        across = min(across, 1250.0)  # a whole bay of heaps would be a thousand fruits
    far = across / width * longer_side > 1000
    row = float(rng.uniform(170, 380)) if fixture != "produce" else float(rng.uniform(300, 480))
    ends = rng.random(4) < (0.45 if far else 0.12)
    return ShelfStyle(
        size=(height, width),
        fixture=fixture,
        row_mm=(row * 0.8, row * 1.2),
        floor=float(rng.uniform(0.68, 0.97)) if ends[0] and rng.random() < 0.9 else None,
        top=float(rng.uniform(0.03, 0.25)) if ends[1] and rng.random() < 0.7 else None,
        left=float(rng.uniform(-0.02, 0.2)) if ends[2] and rng.random() < 0.5 else None,
        right=float(rng.uniform(0.8, 1.02)) if ends[3] and rng.random() < 0.5 else None,
        camera=_camera(rng, across),
        light=_light(rng),
        furniture=random_furniture(rng, None if fixture in ("shelf", "pegs", "pallet") else fixture == "fridge"),
        habit=_habit(rng),
        signs=int(rng.choice([0, 0, 0, 0, 1, 2])),
        hand=bool(rng.random() < 0.05),
        passer_by=bool(rng.random() < 0.04),
    )


def _size(rng: np.random.Generator, longer_side: int) -> tuple[int, int]:
    short = round(longer_side * float(rng.choice([0.75, 0.75, 0.5625, 1.0])))
    return (longer_side, short) if rng.random() < 0.5 else (short, longer_side)


def _camera(rng: np.random.Generator, across: float) -> Camera:
    steep = rng.random() < 0.3
    spread = 14.0 if steep else 4.5
    return Camera(
        yaw=float(np.clip(rng.normal(0, spread), -30, 30)),
        pitch=float(np.clip(rng.normal(6, spread), -18, 30)),
        roll=float(np.clip(rng.normal(0, 2.2), -9, 9)),
        focal=float(rng.uniform(0.75, 1.15)),
        bend=float(rng.uniform(0.02, 0.16)) if rng.random() < 0.35 else 0.0,
        width_mm=across,
    )


def _light(rng: np.random.Generator) -> Light:
    warm, green = rng.normal(0.03, 0.06), rng.normal(0, 0.02)
    return Light(
        exposure=float(np.exp(rng.normal(0.05, 0.22))),
        cast=(float(1 + warm), float(1 + green), float(1 - warm)),
        uneven=float(abs(rng.normal(0, 0.1))),
        corners=float(rng.uniform(0.1, 0.5)) if rng.random() < 0.35 else 0.0,
        glare=float(rng.uniform(40, 190)) if rng.random() < 0.13 else 0.0,
        blur=float(rng.uniform(0.3, 1.9)) if rng.random() < 0.6 else 0.0,
        shake=float(rng.uniform(2, 7)) if rng.random() < 0.12 else 0.0,
        noise=float(abs(rng.normal(1.5, 3))),
        contrast=float(rng.uniform(0.75, 1.15)),
        colour=float(rng.uniform(0.55, 1.05)),
        quality=int(rng.integers(45, 96)),
    )


def _habit(rng: np.random.Generator) -> Habit:
    empty = rng.random() < 0.15
    return Habit(
        gaps=float(rng.uniform(0.15, 0.4)) if empty else float(rng.uniform(0.0, 0.03)),
        trays=float(rng.choice([0.0, 0.08, 0.4])),
        missing=float(rng.uniform(0.2, 0.5)) if empty else float(rng.uniform(0.0, 0.08)),
        run=float(rng.uniform(1.3, 4.5)),
        loose=float(np.exp(rng.normal(0, 0.4))),
    )
