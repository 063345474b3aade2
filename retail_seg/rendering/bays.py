"""A bay of shelves drawn on a canvas: its furniture, what stands in it from back to front, and what hangs before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import cv2
import numpy as np

from retail_seg.rendering import fixtures, surroundings
from retail_seg.rendering.canvas import Canvas
from retail_seg.rendering.facings import SUITS, Front, Piece, Planned, ShelfRow, families_for, plan
from retail_seg.rendering.fixtures import Furniture
from retail_seg.rendering.lens import LensProjection
from retail_seg.rendering.stocking import SpriteLook, Stock, sprite

if TYPE_CHECKING:
    from retail_seg.rendering.shelves import ShelfStyle

#: fixture ► how its rows are filled, and how often
_WAYS: dict[str, dict[str, float]] = {
    "shelf": {"stand": 0.54, "stack": 0.18, "lean": 0.08, "lie": 0.10, "pile": 0.06, "empty": 0.02, "crates": 0.03},
    "chiller": {"stand": 0.5, "stack": 0.2, "lean": 0.12, "pile": 0.12, "empty": 0.06},
    "fridge": {"stand": 0.65, "stack": 0.25, "lean": 0.07, "empty": 0.03},
    "pegs": {"hang": 1.0},
    "produce": {"crates": 0.75, "pile": 0.15, "lean": 0.1},
    "pallet": {"stack": 0.6, "stand": 0.3, "lie": 0.1},
    "basket": {"pile": 0.7, "stand": 0.15, "lean": 0.15},
}


@dataclass(frozen=True, eq=False)
class Placed:
    """A piece and its number on the canvas."""

    number: int
    piece: Piece


def draw_bay(
    canvas: Canvas, view: LensProjection, stock: Stock, style: ShelfStyle, rng: np.random.Generator
) -> list[Placed]:
    """Draw everything on the canvas; what has been placed, in the order of drawing."""
    furniture = style.furniture
    assert furniture is not None, "compose_shelf draws the furniture first"
    rows = rows_of(canvas, view, style, furniture, rng)
    texture = stock.textures[int(rng.integers(len(stock.textures)))] if stock.textures else None
    wall = fixtures.back_wall(canvas.labels.shape, view.scale, furniture, texture, rng)
    theme = _theme(stock, rng)
    placed: list[Placed] = []
    for row in rows:
        fixtures.opening(canvas, view, row.top, row.base, furniture, wall)
        stretches = _stretches(row, stock, style, theme, rng)
        pieces = tuple(piece for stretch in stretches for piece in stretch.pieces)
        fronts = tuple(front for stretch in stretches for front in stretch.fronts)
        placed += _fill(canvas, view, row, Planned(pieces, fronts, row.right, 0), furniture, rng)
    _edges(canvas, view, rows, style, furniture, rng)
    _around(canvas, view, rows, style, texture, rng)
    return placed


def draw_planned(
    canvas: Canvas,
    view: LensProjection,
    rows: Sequence[tuple[ShelfRow, Planned]],
    look: Furniture,
    rng: np.random.Generator,
) -> list[Placed]:
    """Draw rows whose pieces are given, with their boards and rails; what has been placed, in the order of drawing."""
    wall = fixtures.back_wall(canvas.labels.shape, view.scale, look, None, rng)
    placed: list[Placed] = []
    for row, planned in rows:
        fixtures.opening(canvas, view, row.top, row.base, look, wall)
        placed += _fill(canvas, view, row, planned, look, rng)
    for row, _ in rows:
        fixtures.rail(canvas, view, row.base, look, rng)
    return placed


def rows_of(
    canvas: Canvas, view: LensProjection, style: ShelfStyle, look: Furniture, rng: np.random.Generator
) -> list[ShelfRow]:
    """Compartments from the top of the canvas to its bottom, or between the bay's own ends (mm)."""
    height, width = style.size
    left, start = view.inverse(0, 0)
    right, end = view.inverse(canvas.labels.shape[1], canvas.labels.shape[0])
    tall = height / view.scale
    base = end + rng.uniform(0, style.row_mm[0]) if style.floor is None else (style.floor - 0.5) * tall - 120
    low = start - 60 if style.top is None else (style.top - 0.5) * tall
    found: list[tuple[float, float]] = []
    while base > low + 60 and len(found) < 16:
        room = float(rng.uniform(*style.row_mm))
        found.append((base - room, base))
        base -= room + look.rail_mm
    wide = width / view.scale
    if style.left is not None:
        left = max(left, (style.left - 0.5) * wide)
    if style.right is not None:
        right = min(right, (style.right - 0.5) * wide)
    return [ShelfRow(i, top, base, left, right, look.depth_mm) for i, (top, base) in enumerate(reversed(found))]


def _stretches(
    row: ShelfRow, stock: Stock, style: ShelfStyle, theme: list[int], rng: np.random.Generator
) -> list[Planned]:
    """A row filled from left to right in stretches of half a metre to two, each in a way of its own."""
    found: list[Planned] = []
    x, position, way = row.left - float(rng.uniform(0, 120)), 0, ""
    while x < row.right:
        if not way or rng.random() < 0.5:
            way = _way(style.fixture, rng)
        end = min(x + float(rng.uniform(500, 2000)) * (0.35 if way == "empty" else 1), row.right)
        stretch = replace(row, left=x, right=end, first=position)
        families = families_for(way, stock, theme, row.base - row.top, rng) if way in SUITS else []
        planned = plan(way, stock, families, stretch, style.habit, rng)
        found.append(planned)
        x, position = max(planned.end, x + 20), planned.next_position
    return found


def _theme(stock: Stock, rng: np.random.Generator) -> list[int]:
    """Families of one or two forms, few enough that brands come back on other boards."""
    forms = [family[0].form for family in stock.families]
    wanted = {str(form) for form in rng.choice(sorted(set(forms)), int(rng.integers(1, 3)))}
    fitting = [i for i, form in enumerate(forms) if form in wanted or rng.random() < 0.1]
    count = int(rng.integers(4, 15))
    return [int(i) for i in rng.permutation(fitting)[:count]]


def _way(fixture: str, rng: np.random.Generator) -> str:
    ways = _WAYS[fixture]
    share = np.array(list(ways.values()))
    return str(rng.choice(list(ways), p=share / share.sum()))


def _fill(
    canvas: Canvas, view: LensProjection, row: ShelfRow, planned: Planned, look: Furniture, rng: np.random.Generator
) -> list[Placed]:
    """Lay a row's pieces from the farthest to the nearest, then its fronts; nothing shows above the board over it."""
    top = max(round(view.at(0, row.top)[1]), 0)
    if top >= canvas.labels.shape[0]:
        return []
    below = Canvas(canvas.picture[top:], canvas.labels[top:], canvas.areas)
    inner = LensProjection(view.scale, view.eye, (view.origin[0], view.origin[1] - top))
    placed = []
    for piece in sorted(planned.pieces, key=lambda one: (-round(one.depth / 25), one.level, -abs(one.x - view.eye[0]))):
        laid = _lay(below, inner, piece, look)
        if laid is not None:
            placed.append(Placed(laid, piece))
    base = view.at(0, row.base)[1]
    canvas.dim(0, top, canvas.labels.shape[1], top + 0.5 * (base - top), np.array([0.35 + 0.55 * look.shade, 0.9, 1.0]))
    for front in planned.fronts:
        _lay_front(canvas, view, front, rng)
    return placed


def _lay(canvas: Canvas, view: LensProjection, piece: Piece, look: Furniture) -> int | None:
    x, foot = view.at(piece.x, piece.y, piece.depth)
    shrink = view.scale * view.shrink(piece.depth)
    tall, wide = piece.height * shrink, piece.width * shrink
    if x + wide < 0 or x - wide > canvas.labels.shape[1] or foot - 1.5 * tall > canvas.labels.shape[0] or foot < 0:
        return None
    picture = _portrait(piece, view, tall)
    dark = (0.68 + 0.25 * look.shade) ** (piece.depth / 130) * piece.tone
    lit = picture.copy()
    lit[:, :, :3] = cv2.convertScaleAbs(picture[:, :, :3], alpha=float(dark))
    return canvas.put(lit, round(x - lit.shape[1] / 2), round(foot - lit.shape[0]), contact=0.45)


def _portrait(piece: Piece, view: LensProjection, tall: float) -> np.ndarray:
    """RGBA of a piece from the camera's side, `tall` pixels high before it is rolled."""
    if piece.picture is not None:
        side = max(round(tall), 5)
        return np.rot90(cv2.resize(piece.picture, (side, side), interpolation=cv2.INTER_AREA), piece.turned)
    assert piece.product is not None
    away = view.eye[2]
    pitch = float(np.degrees(np.arctan2(piece.y - piece.height * 0.8 - view.eye[1], away)))
    yaw = float(np.degrees(np.arctan2(view.eye[0] - piece.x, away))) * 0.6
    look = SpriteLook(float(np.clip(yaw, -28, 28)), float(np.clip(pitch, 0, 32)), piece.copy)
    if piece.turned % 2:
        wide = piece.width * tall / piece.height
        picture = np.ascontiguousarray(np.rot90(sprite(piece.product, wide, SpriteLook(copy=piece.copy)), piece.turned))
    else:
        picture = sprite(piece.product, tall, look, piece.height * view.scale)
    return _rolled(picture, piece.roll) if abs(piece.roll) > 0.4 else picture


def _rolled(picture: np.ndarray, degrees: float) -> np.ndarray:
    """The sprite leaned by some degrees, on a canvas that holds all of it."""
    rows, columns = picture.shape[:2]
    matrix = cv2.getRotationMatrix2D((columns / 2, rows / 2), degrees, 1.0)
    cos, sin = abs(matrix[0, 0]), abs(matrix[0, 1])
    size = int(rows * sin + columns * cos) + 1, int(rows * cos + columns * sin) + 1
    matrix[:, 2] += (size[0] - columns) / 2, (size[1] - rows) / 2
    return np.asarray(cv2.warpAffine(picture, matrix, size, flags=cv2.INTER_LINEAR))


def _lay_front(canvas: Canvas, view: LensProjection, front: Front, rng: np.random.Generator) -> None:
    fixtures.crate_front(canvas, view, front.box, np.array(front.colour, np.float32), front.kind, rng)


def _edges(
    canvas: Canvas,
    view: LensProjection,
    rows: list[ShelfRow],
    style: ShelfStyle,
    look: Furniture,
    rng: np.random.Generator,
) -> None:
    """Everything on the front plane: rails with their tags, posts between bays, wires, pallets, doors."""
    if not rows:
        return
    left, right = rows[0].left, rows[0].right
    for row in rows:
        if style.fixture == "pegs":
            continue
        if style.fixture == "pallet" and row is rows[-1]:
            for x in np.arange(left, right, 1220.0):
                fixtures.pallet(canvas, view, x, row.base, x + 1200, rng)
            continue
        fixtures.rail(canvas, view, row.base, look, rng)
        if style.fixture == "basket" and rng.random() < 0.4:
            box = (left, row.base - 0.45 * (row.base - row.top), right, row.base)
            fixtures.wires(canvas, view, box, np.array(look.rail, np.float32) * 0.8 + 30)
    bay = float(rng.choice([900, 1000, 1250, 1330]))
    edges = list(np.arange(rng.uniform(left, left + bay), right, bay))
    if style.fixture == "fridge" and rng.random() < 0.75:
        fixtures.glass_doors(canvas, view, edges, rng)
    elif rng.random() < 0.25:
        for x in edges:
            fixtures.upright(canvas, view, x, float(rng.uniform(18, 40)), np.array(look.rail, np.float32) * 0.85)


def _around(
    canvas: Canvas,
    view: LensProjection,
    rows: list[ShelfRow],
    style: ShelfStyle,
    texture: np.ndarray | None,
    rng: np.random.Generator,
) -> None:
    """What lies beyond the bay, and what hangs or reaches before it."""
    width = canvas.labels.shape[1]
    if rows and style.floor is not None:
        look = style.furniture
        assert look is not None
        foot = rows[-1].base + look.rail_mm
        (_, y0), (_, y1) = view.at(0, foot), view.at(0, foot + 120)
        canvas.fill(0, y0, width, y1, np.array(look.rail, np.float32) * rng.uniform(0.15, 0.7))
        surroundings.floor(canvas, view, foot + 120 - look.rail_mm, rng)
    if rows and style.top is not None:
        surroundings.ceiling(canvas, view, rows[0].top, texture, rng)
        if rng.random() < 0.5:
            y0, y1 = view.at(0, rows[0].top - rng.uniform(60, 200))[1], view.at(0, rows[0].top)[1]
            surroundings.sign(canvas, (0.1 * width, y0, rng.uniform(0.4, 0.95) * width, y1), rng)
    if rows and style.left is not None:
        surroundings.neighbour(canvas, 0, view.at(rows[0].left, 0)[0], texture, rng)
    if rows and style.right is not None:
        surroundings.neighbour(canvas, view.at(rows[0].right, 0)[0], width, texture, rng)
    for _ in range(style.signs if rows else 0):
        _hang_sign(canvas, view, rows[int(rng.integers(len(rows)))], rng)
    if style.passer_by:
        surroundings.passer_by(canvas, rng)
    if style.hand:
        surroundings.hand(canvas, rng)


def _hang_sign(canvas: Canvas, view: LensProjection, row: ShelfRow, rng: np.random.Generator) -> None:
    """A banner on a price rail, or a small card that sticks out above it."""
    wide = min(rng.uniform(60, 480), 0.35 * (row.right - row.left) * rng.uniform(0.3, 1))
    tall = wide * rng.uniform(0.25, 0.8)
    x = rng.uniform(row.left, max(row.right - wide, row.left + 1))
    y = row.base - rng.uniform(0, 0.5) * tall
    (x0, y0), (x1, y1) = view.at(x, y), view.at(x + wide, y + tall)
    surroundings.sign(canvas, (x0, y0, x1, y1), rng, int(rng.integers(1, 3)))
