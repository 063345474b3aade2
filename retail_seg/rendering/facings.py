"""What stands where on one board: runs of facings some deep, stacked, leaning, lying, hung, in trays, in heaps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from retail_seg.rendering.stocking import Stock, StockItem

WAYS = ("stand", "stack", "lie", "lean", "pile", "hang", "crates", "empty")


@dataclass(frozen=True)
class ShelfRow:
    """One compartment in mm: `number` from the top (0), the underside of the board above, the board itself, its ends.

    `first` is the position of its first facing: a board may be filled in several stretches.
    """

    number: int
    top: float
    base: float
    left: float
    right: float
    depth: float
    first: int = 0


@dataclass(frozen=True, eq=False)
class Piece:
    """One copy of a product (or one fruit) in its place: middle of its foot (x, y) and depth in mm, its size in mm.

    `position` counts facings along the row, `layer` from the front to the back, `level` from the board up;
    `turned` is in quarters, `roll` in degrees, `copy` picks one of the product's looks.
    """

    sku: str
    product: StockItem | None
    picture: np.ndarray | None
    x: float
    y: float
    depth: float
    width: float
    height: float
    row: int
    position: int
    layer: int = 0
    level: int = 0
    roll: float = 0.0
    turned: int = 0
    copy: int = 0
    tone: float = 1.0


@dataclass(frozen=True)
class Front:
    """A tray's, crate's or carton's front before the products: box in mm (x0, y0, x1, y1), RGB, kind, depth in mm."""

    box: tuple[float, float, float, float]
    colour: tuple[float, float, float]
    kind: str
    depth: float = 0.0


@dataclass(frozen=True)
class Planned:
    """The pieces of one stretch of a row, what hides their feet, where it ends (mm), and the next position."""

    pieces: tuple[Piece, ...]
    fronts: tuple[Front, ...]
    end: float
    next_position: int


@dataclass(frozen=True)
class Habit:
    """How a shop fills its boards: shares 0–1 of gaps, trays and missing fronts, mean length of a run (facings)."""

    gaps: float = 0.06
    trays: float = 0.12
    missing: float = 0.08
    run: float = 3.0
    loose: float = 1.0


def plan(way: str, stock: Stock, families: Sequence[tuple[StockItem, ...]], row: ShelfRow, habit: Habit,
         rng: np.random.Generator) -> Planned:  # fmt: skip
    """Fill a row in one of WAYS from the given families, which follow each other from left to right."""
    if way == "empty":
        return Planned((), (), row.right, row.first + 1)
    if way == "crates":
        return _crates(stock, row, rng)
    if way == "pile":
        return _piles(families, row, rng)
    return _shelved(way, families, row, habit, rng)


def _shelved(
    way: str, families: Sequence[tuple[StockItem, ...]], row: ShelfRow, habit: Habit, rng: np.random.Generator
) -> Planned:
    pieces: list[Piece] = []
    fronts: list[Front] = []
    x, position = row.left, row.first
    backs = float(rng.exponential(18))
    while x < row.right:
        family = families[int(rng.integers(len(families)))]
        start = int(rng.integers(len(family)))
        for product in (*family[start:], *family[:start]):
            if x >= row.right:
                break
            if rng.random() < habit.gaps:
                x += rng.uniform(30, 260)
            run = _run(way, product, x, position, row, habit, backs, rng)
            if run is None:
                continue
            made, x_end, columns = run
            if rng.random() < habit.trays and way in ("stand", "stack"):
                fronts.append(_tray(made, x, x_end, row, rng))
            pieces += made
            x, position = x_end + max(rng.normal(1, 4), 0), position + columns
            if rng.random() < 0.25:
                break
        x += 1.0
    return Planned(tuple(pieces), tuple(fronts), x, position)


def _fit(product: StockItem, way: str, room: float, rng: np.random.Generator) -> tuple[float, float, float, int, int]:
    """Width, height, depth (mm), quarter turns and levels of a product in a compartment `room` mm high."""
    wide, tall, deep = product.size
    turned = 0
    if way == "lie" and product.form != "bar" and product.form != "round":
        wide, tall, turned = tall, wide, 1
    scale = float(np.clip(room * rng.uniform(0.7, 0.97) / tall, 0.8, 1.5))
    if tall * scale > room * 0.97:
        scale = room * 0.97 / tall
    wide, tall, deep = wide * scale, tall * scale, deep * scale
    most = int(room * 0.97 // (tall * 0.97))
    stacked = way in ("stack", "lie") or product.form == "bar"
    stacked = stacked or (way == "stand" and product.form != "bag" and rng.random() < 0.6)
    levels = min(most, int(rng.integers(2, 7))) if stacked and most > 1 else 1
    return wide, tall, deep, turned, levels


def _run(way: str, product: StockItem, x: float, position: int, row: ShelfRow, habit: Habit, backs: float,
         rng: np.random.Generator) -> tuple[list[Piece], float, int] | None:  # fmt: skip
    """One to twelve columns of one product from x on; its pieces, where it ends, how many columns it has."""
    room = row.base - row.top
    wide, tall, deep, turned, levels = _fit(product, way, room, rng)
    if tall < 0.12 * room or wide < 15:
        return None
    columns = int(np.clip(1 + rng.geometric(1 / habit.run) - (rng.random() < 0.3), 1, 12))
    if product.form == "bar" or wide > 220:
        columns = min(columns, 3)
    gap = rng.uniform(-0.04, 0.02) if product.form == "bag" else float(np.clip(rng.normal(0.008, 0.02), -0.005, 0.08))
    setback = backs + float(rng.exponential(12))
    step = max(deep * rng.uniform(1.0, 1.12), 30)
    layers = int(np.clip((row.depth * rng.uniform(0.5, 0.95) - setback) / step, 2, 5))
    ragged = rng.random() < 0.35
    pieces = []
    for column in range(columns):
        gone = int(rng.integers(1, 3)) if rng.random() < habit.missing * (2.5 if ragged else 1) else 0
        here = levels if not ragged else max(1, levels - int(rng.integers(0, 2)))
        for layer in range(gone, max(layers, gone + 1)):
            for level in range(here if layer == gone else max(here - int(rng.integers(0, 2)), 1)):
                piece = _placed(way, product, (wide, tall, deep), rng, habit.loose)
                pieces.append(
                    _at(piece, x + wide * (1 + gap) * (column + 0.5), row.base - level * tall * 0.985,
                        setback + layer * step, row.number, position + column, layer - gone, level, turned)
                )  # fmt: skip
    return pieces, x + wide * (1 + gap) * columns, columns


_Loose = tuple[StockItem, float, float, float, float, float, int, float]


def _placed(
    way: str, product: StockItem, size: tuple[float, float, float], rng: np.random.Generator, loose: float
) -> _Loose:
    """A copy as it was put down: product, width, height, shift sideways and in depth (mm), roll, copy, tone."""
    wide, tall, _ = size
    roll = {"box": 0.5, "round": 0.35, "bag": 2.5, "bar": 0.8}[product.form] * loose
    lean = 0.0
    if way == "lean":
        roll, lean = roll + 4, float(rng.choice([-1, 1])) * rng.uniform(0, 10)
    if rng.random() < 0.03:
        roll *= 5
    copy = int(rng.integers(0, 3 if product.form == "round" else 2))
    shift = 0.015 if product.form != "bag" else 0.05
    return (
        product, wide, tall, float(rng.normal(0, shift * wide * loose)), float(abs(rng.normal(0, 7 * loose))),
        float(np.clip(rng.normal(lean, roll), -40, 40)), copy, float(rng.normal(1.0, 0.04)),
    )  # fmt: skip


def _at(
    loose: _Loose, x: float, y: float, depth: float, row: int, position: int, layer: int, level: int, turned: int
) -> Piece:
    product, wide, tall, side, back, roll, copy, tone = loose
    return Piece(product.sku, product, None, x + side, y, depth + back, wide, tall, row, position, layer, level, roll,
                 turned, copy, tone)  # fmt: skip


def _tray(pieces: Sequence[Piece], x0: float, x1: float, row: ShelfRow, rng: np.random.Generator) -> Front:
    """A shelf-ready carton's cut front over the feet of a run."""
    tall = max(piece.height for piece in pieces)
    kind = str(rng.choice(["carton", "print", "print"]))
    colour = np.array([176, 140, 100]) * rng.uniform(0.7, 1.15)
    if rng.random() < 0.65:
        colour = rng.uniform(20, 245, 3)
    return Front((x0 - 4, row.base - tall * rng.uniform(0.1, 0.32), x1 + 2, row.base), _rgb(colour), kind)


def _rgb(colour: np.ndarray) -> tuple[float, float, float]:
    red, green, blue = np.clip(colour, 0, 250)
    return float(red), float(green), float(blue)


def _crates(stock: Stock, row: ShelfRow, rng: np.random.Generator) -> Planned:
    """Crates side by side, each heaped with one kind of fruit."""
    pieces: list[Piece] = []
    fronts: list[Front] = []
    x, position = row.left, row.first
    colour = _rgb(np.array([[20, 22, 24], [30, 90, 50], [40, 70, 130], [150, 118, 80]][rng.integers(4)]) * 1.0)
    front = float(rng.uniform(0.12, 0.3)) * (row.base - row.top)
    spread = (row.right - row.left) / 1000
    across = float(np.clip(rng.uniform(260, 520) * max(spread, 0.8), 220, 800))
    while x < row.right:
        kind = int(rng.integers(len(stock.fruit)))
        size = float(rng.uniform(58, 92)) * float(np.clip(spread / 1.1, 1.0, 2.2))
        if rng.random() < 0.93:
            box = (x, x + across, row.base - front * 0.9)
            pieces += _heap(stock.fruit[kind], f"fruit-{kind}", size, box, row, position, rng)
        fronts.append(Front((x - 2, row.base - front, x + across + 2, row.base), colour, "crate"))
        x, position = x + across + rng.uniform(2, 25), position + 1
    return Planned(tuple(pieces), tuple(fronts), x, position)


def _heap(kind: Sequence[np.ndarray], sku: str, size: float, box: tuple[float, float, float], row: ShelfRow,
          position: int, rng: np.random.Generator) -> list[Piece]:  # fmt: skip
    """Fruit that lies in rows which rise to the back, each a bit out of line."""
    left, right, foot = box
    deep = min(row.depth, 330.0)
    slope = (foot - row.top - size) / deep * rng.uniform(0.45, 0.95)
    pieces = []
    for layer, depth in enumerate(np.arange(0, deep, size * 0.66)):
        full = foot - depth * slope + size * 0.45
        if full - size < row.top:
            break
        for x in np.arange(left + size * 0.45 + (layer % 2) * size * 0.4, right - size * 0.3, size * 0.88):
            tall = size * float(rng.uniform(0.88, 1.1))
            pieces.append(
                Piece(sku, None, kind[int(rng.integers(len(kind)))], x + rng.normal(0, size * 0.09),
                      full + rng.normal(0, size * 0.1), depth + rng.normal(0, size * 0.05), tall, tall, row.number,
                      position, layer, 0, 0.0, int(rng.integers(4)), 0, float(rng.normal(1, 0.06)))
            )  # fmt: skip
    return pieces


def _piles(families: Sequence[tuple[StockItem, ...]], row: ShelfRow, rng: np.random.Generator) -> Planned:
    """Bags thrown into display cartons, wicker baskets or simply on the board, one kind or one family in each."""
    pieces: list[Piece] = []
    fronts: list[Front] = []
    x, position = row.left, row.first
    kind = str(rng.choice(["print", "carton", "wicker", "none"], p=[0.4, 0.15, 0.25, 0.2]))
    across = float(rng.uniform(330, 750))
    tall = 0.0 if kind == "none" else float(rng.uniform(0.2, 0.5)) * (row.base - row.top)
    colour = (
        _rgb(rng.uniform(20, 245, 3)) if kind == "print" else _rgb(np.array([150, 112, 72]) * rng.uniform(0.4, 1.1))
    )
    while x < row.right:
        family = families[int(rng.integers(len(families)))]
        thrown = family if rng.random() < 0.4 else (family[int(rng.integers(len(family)))],)
        pieces += _thrown(thrown, (x, x + across, row.base - tall * 0.95), row, position, rng)
        if tall:
            fronts.append(Front((x - 3, row.base - tall, x + across + 3, row.base), colour, kind))
        x, position = x + across + rng.uniform(3, 40), position + 1
    return Planned(tuple(pieces), tuple(fronts), x, position)


def _thrown(
    products: Sequence[StockItem],
    box: tuple[float, float, float],
    row: ShelfRow,
    position: int,
    rng: np.random.Generator,
) -> list[Piece]:
    """Copies that lie over each other in any direction, in rows that rise to the back."""
    left, right, foot = box
    wide, tall, _ = products[0].size
    scale = float(np.clip((row.base - row.top) * 0.55 / tall, 0.5, 1.15))
    wide, tall = wide * scale, tall * scale
    deep = min(row.depth, 320.0)
    slope = max(foot - row.top - tall * 0.8, 0.0) / deep * rng.uniform(0.5, 1.0)
    pieces = []
    for layer, depth in enumerate(np.arange(8.0, deep, max(tall * 0.42, 45.0))):
        for x in np.arange(left + wide * (0.4 + 0.3 * (layer % 2)), right - wide * 0.2, wide * rng.uniform(0.62, 0.85)):
            product = products[int(rng.integers(len(products)))]
            pieces.append(
                Piece(product.sku, product, None, x + rng.normal(0, wide * 0.08),
                      foot - depth * slope + tall * rng.uniform(0.2, 0.4), depth + abs(rng.normal(0, 9)), wide, tall,
                      row.number, position, layer, 0, float(np.clip(rng.normal(0, 20), -60, 60)), 0,
                      int(rng.integers(2)), float(rng.normal(1, 0.05)))
            )  # fmt: skip
    return pieces


#: way ► what may be put so
SUITS: dict[str, Callable[[StockItem], bool]] = {
    "stand": lambda product: product.form != "bar",
    "stack": lambda product: product.form in ("box", "bar") or product.size[1] < 110,
    "lie": lambda product: product.form in ("box", "bag", "bar"),
    "lean": lambda product: product.form in ("bag", "box"),
    "pile": lambda product: product.form == "bag",
    "hang": lambda product: product.form == "bag",
}


def families_for(
    way: str, stock: Stock, theme: Sequence[int], room: float, rng: np.random.Generator
) -> list[tuple[StockItem, ...]]:
    """One to four families that may be put that way and fill a compartment `room` mm high.

    Those of the theme (indices of stock.families) come first, else any that suits.
    """
    suits = SUITS[way]

    def fills(family: tuple[StockItem, ...]) -> bool:
        tall = family[0].size[0 if way == "lie" and family[0].form == "box" else 1]
        levels = max(int(room // tall), 1)
        return 0.62 * room < tall * levels * (1.4 if levels == 1 else 1.0) and tall < 1.2 * room

    wanted = [stock.families[i] for i in theme if suits(stock.families[i][0]) and fills(stock.families[i])]
    if len(wanted) < 2:
        fitting = [family for family in stock.families if suits(family[0])]
        fitting = [family for family in fitting if fills(family)] or fitting
        wanted += [fitting[int(i)] for i in rng.integers(0, len(fitting), 3)]
    most = min(len(wanted), int(rng.integers(1, 5)))
    return [wanted[int(i)] for i in rng.permutation(len(wanted))[:most]]
