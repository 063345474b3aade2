"""Made fixtures: a plan, what really stands there after some mishaps, and what a check should say of each place.

Lengths are in mm, y from the top. Nothing is drawn here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from catalogue.plan_records import Plan, Position
from retail_seg.shelf.results import Status

#: What can happen to a shelf, each a scenario of its own.
MISHAPS = ("none", "swaps", "gaps", "low", "wrong", "strangers", "moved", "all")
#: Widths of fixtures in mm, and their numbers of shelves (the last is none).
WIDE, SHELVES = (700, 2200), (2, 8)
#: SKU of what the catalogue does not know.
STRANGER = ""


@dataclass(frozen=True)
class MadeProduct:
    """A product of the made shop: its SKU, size in mm, and the family whose members look alike."""

    sku: str
    width: float
    height: float
    family: int


@dataclass(frozen=True)
class MadeFacing:
    """A facing that really stands there: its product's SKU (STRANGER for none of the shop), and its box in mm.

    `shelf` and `position` name the place of the plan that it stands in.
    """

    sku: str
    left: float
    top: float
    right: float
    bottom: float
    shelf: int
    position: int


@dataclass(frozen=True)
class Stocked:
    """A made fixture: its plan, with the places' edges in mm, what stands there, and the truth by (shelf, position).

    size   width and height in mm
    bases  y of the boards by shelf
    """

    plan: Plan
    edges: dict[tuple[int, int], tuple[float, float]]
    fronts: tuple[MadeFacing, ...]
    truth: dict[tuple[int, int], Status]
    size: tuple[float, float]
    bases: dict[int, float]


def made_shop(rng: np.random.Generator, products: int = 120) -> tuple[MadeProduct, ...]:
    """Products in families of up to six look-alikes of one size."""
    found: list[MadeProduct] = []
    family = 0
    while len(found) < products:
        wide, tall = float(rng.uniform(45, 190)), float(rng.uniform(70, 225))
        for _ in range(int(rng.integers(1, 7))):
            found.append(MadeProduct(f"P{len(found):03d}", wide, tall, family))
        family += 1
    return tuple(found[:products])


def made_fixture(shop: Sequence[MadeProduct], mishap: str, rng: np.random.Generator, lengths: bool) -> Stocked:
    """A fixture with one of MISHAPS; with `lengths` its plan says x, y and width."""
    positions, edges, bases, size = _planned(shop, rng, lengths)
    of = {one.sku: one for one in shop}
    stands = {one.key[1:]: (one.sku, one.facings) for one in positions}
    truth: dict[tuple[int, int], Status] = dict.fromkeys(stands, "ok")
    kinds = MISHAPS[1:-1] if mishap == "all" else (mishap,)
    for kind in kinds:
        _happen(kind, positions, stands, truth, shop, rng, once=mishap == "all")
    fronts = _fronts(positions, stands, edges, of, bases, rng)
    return Stocked(Plan("made", positions), edges, fronts, truth, size, bases)


def _planned(
    shop: Sequence[MadeProduct], rng: np.random.Generator, lengths: bool
) -> tuple[tuple[Position, ...], dict[tuple[int, int], tuple[float, float]], dict[int, float], tuple[float, float]]:
    """A plan that fills its shelves; products come back on other shelves now and then, look-alikes stand together."""
    wide = float(rng.uniform(*WIDE))
    shelves = int(rng.integers(*SHELVES))
    found: list[Position] = []
    edges: dict[tuple[int, int], tuple[float, float]] = {}
    bases: dict[int, float] = {}
    y = 0.0
    before: list[MadeProduct] = []
    order = [int(i) for i in rng.permutation(max(one.family for one in shop) + 1)]
    queue = [one for family in order for one in shop if one.family == family]
    for shelf in range(1, shelves + 1):
        y += float(rng.uniform(265, 330))
        bases[shelf] = y
        x, number, misses = float(rng.uniform(0, 15)), 0, 0
        while misses < 6:
            again = [one for one in before if rng.random() < 0.5]
            article = again[0] if again and rng.random() < 0.12 else queue[0]
            facings = int(rng.choice([1, 2, 3, 4, 6], p=[0.3, 0.32, 0.2, 0.12, 0.06]))
            width = facings * article.width * 1.03
            if x + width > wide:
                misses += 1
                continue
            if article is queue[0]:
                queue = [*queue[1:], queue[0]]
            if number and found[-1].sku == article.sku:
                misses += 1
                continue
            number += 1
            before.append(article)
            least = int(rng.integers(1, facings + 1))
            place = (round(x, 1), round(y - article.height, 1), round(width, 1)) if lengths else (None, None, None)
            found.append(
                Position("made", shelf, number, article.sku, facings, least, place[0], y if lengths else None, place[2])
            )
            edges[shelf, number] = x, x + width
            x += width + float(rng.uniform(0, 12))
    return tuple(found), edges, bases, (wide, y + 40)


def _happen(
    kind: str,
    positions: Sequence[Position],
    stands: dict[tuple[int, int], tuple[str, int]],
    truth: dict[tuple[int, int], Status],
    shop: Sequence[MadeProduct],
    rng: np.random.Generator,
    once: bool,
) -> None:
    """One mishap at some places that are still well, up to a seventh of them, or `once`."""
    planned = {one.sku for one in positions}
    repeated = {one.sku for one in positions if sum(other.sku == one.sku for other in positions) > 1}
    well = [one for one in positions if truth[one.key[1:]] == "ok"]
    if kind in ("swaps", "moved"):
        well = [one for one in well if one.sku not in repeated]
    if kind == "low":
        well = [one for one in well if one.min_facings > 1]
    number = 1 if once else int(rng.integers(1, max(len(well) // 7, 2) + 1))
    number *= 2 if kind in ("swaps", "moved") else 1
    some = [well[int(i)] for i in rng.permutation(len(well))[:number]]
    for n, one in enumerate(some):
        key = one.key[1:]
        if truth[key] != "ok":
            continue
        if kind == "gaps":
            stands[key], truth[key] = (one.sku, 0), "empty"
        elif kind == "low":
            stands[key], truth[key] = (one.sku, int(rng.integers(1, one.min_facings))), "low"
        elif kind == "wrong":
            others = [other.sku for other in shop if other.sku not in planned]
            stands[key], truth[key] = (str(rng.choice(others)), one.facings), "wrong"
        elif kind == "strangers":
            stands[key], truth[key] = (STRANGER, one.facings), "unknown"
        elif kind in ("swaps", "moved"):
            other = next((two for two in some[n + 1 :] if truth[two.key[1:]] == "ok" and two.sku != one.sku), None)
            if other is None:
                continue
            if kind == "moved" and one.shelf == other.shelf and abs(one.position - other.position) == 1:
                continue  # a product beside its place that is empty is not out of place
            _exchange(kind, one, other, stands, truth)


def _exchange(
    kind: str,
    one: Position,
    other: Position,
    stands: dict[tuple[int, int], tuple[str, int]],
    truth: dict[tuple[int, int], Status],
) -> None:
    """Two places changed, or one product stands in another's place, whose own product is sold out."""
    mine, its = one.key[1:], other.key[1:]
    if kind == "swaps":
        stands[mine], stands[its] = (other.sku, one.facings), (one.sku, other.facings)
        truth[mine] = truth[its] = "misplaced"
        return
    stands[mine], stands[its] = (one.sku, 0), (one.sku, other.facings)
    truth[mine], truth[its] = "misplaced", "wrong"


def _fronts(
    positions: Sequence[Position],
    stands: dict[tuple[int, int], tuple[str, int]],
    edges: dict[tuple[int, int], tuple[float, float]],
    of: dict[str, MadeProduct],
    bases: dict[int, float],
    rng: np.random.Generator,
) -> tuple[MadeFacing, ...]:
    """Facings as they stand: in their places, shoved to the right where what is wider than its place needs room."""
    found: list[MadeFacing] = []
    pushed = dict.fromkeys(bases, 0.0)
    for one in positions:
        sku, number = stands[one.key[1:]]
        article = of.get(sku) or replace(of[one.sku], sku=STRANGER)
        left, right = edges[one.key[1:]]
        fits = max(int((right - left) / article.width + 0.15), 1)
        own = sku == one.sku
        number = number if own else min(max(number, 1), fits)
        x = max(left, pushed[one.shelf])
        step = article.width * (1.03 if own and number == one.facings else float(rng.uniform(1.0, 1.05)))
        for k in range(number):
            base = bases[one.shelf]
            box = x + k * step, base - article.height, x + k * step + article.width, base
            found.append(MadeFacing(article.sku, *box, one.shelf, one.position))
            pushed[one.shelf] = box[2]
    return tuple(found)
