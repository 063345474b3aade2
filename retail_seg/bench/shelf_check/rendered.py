"""Made fixtures drawn and photographed by the composer: boxes are true, what they show is for the embedder to tell."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from catalogue import Product
from retail_seg.bench.shelf_check.photographed import DOUBTFUL, VIEWS
from retail_seg.bench.shelf_check.stocked import MISHAPS, STRANGER, MadeProduct, Stocked, made_fixture
from retail_seg.matcher import Matcher
from retail_seg.photos.load import encode_picture
from retail_seg.rendering.facings import Piece, Planned, ShelfRow
from retail_seg.rendering.lens import Camera, Light
from retail_seg.rendering.shelves import Shelf, ShelfStyle, compose_planned
from retail_seg.rendering.stocking import FORMS, SpriteLook, Stock, StockItem, rendered_stock, sprite
from retail_seg.store.enrolment import Upload
from retail_seg.system.files import replace_file

#: Longer side of a photo, and height of a reference picture, in pixels.
SIDE, REFERENCE = 1600, 320
#: Sides from which references are taken (yaw, pitch in degrees).
LOOKS = ((0.0, 0.0), (20.0, 12.0), (-20.0, 0.0))


@dataclass(frozen=True, eq=False)
class Assortment:
    """What the made shop sells and what it does not, with the articles of what it sells."""

    sold: dict[str, StockItem]
    strange: tuple[StockItem, ...]
    articles: tuple[MadeProduct, ...]


@dataclass(frozen=True, eq=False)
class DrawnCheck:
    """A check to be made of files: its circumstances, the photos, the plan, and the truth by (shelf, position)."""

    mishap: str
    view: str
    photos: tuple[Path, ...]
    stocked: Stocked
    truth: dict[tuple[int, int], str]


def made_assortment(seed: int, families: int = 40) -> Assortment:
    """Packs that stand alone, of a made shop, and those of another one."""
    own, other = (_standing(rendered_stock(np.random.default_rng([seed, n]), families)) for n in (1, 2))
    sold = {item.sku: item for family in own for item in family}
    articles = tuple(
        MadeProduct(item.sku, item.size[0], item.size[1], n) for n, family in enumerate(own) for item in family
    )
    return Assortment(sold, tuple(item for family in other for item in family), articles)


def _standing(stock: Stock) -> list[tuple[StockItem, ...]]:
    return [
        family
        for family in stock.families
        if family[0].design is not None
        and not family[0].filling
        and family[0].across * family[0].up == 1
        and family[0].form in FORMS
        and family[0].form != "bar"
        and 40 <= family[0].size[0] <= 220
        and 60 <= family[0].size[1] <= 235
    ]


def make_store(folder: Path, assortment: Assortment) -> None:
    """A store of what is sold, three references each."""
    with Matcher.create(folder) as matcher:
        matcher.enrol_all((Product(sku, sku), _references(item)) for sku, item in assortment.sold.items())
        matcher.reindex()


def _references(item: StockItem) -> list[Upload]:
    found = []
    for n, (yaw, pitch) in enumerate(LOOKS):
        drawn = sprite(item, REFERENCE, SpriteLook(yaw, pitch))
        alpha = drawn[:, :, 3:].astype(np.float32) / 255
        white = (drawn[:, :, :3] * alpha + 255 * (1 - alpha)).astype(np.uint8)
        found.append(Upload(white, name=f"{item.sku} {n}", mask=drawn[:, :, 3] > 127))
    return found


def drawn_checks(folder: Path, assortment: Assortment, number: int, seed: int) -> list[DrawnCheck]:
    """Draw checks with all mishaps in turns, each in all views, which change with every check.

    Photos lie in `folder`, their boxes in `boxes.csv` there.
    """
    rows: list[tuple[str, int, int, int, int]] = []
    checks = []
    for n in range(number):
        rng = np.random.default_rng([seed, n])
        mishap, view = MISHAPS[n % len(MISHAPS)], VIEWS[(n + n // len(MISHAPS)) % len(VIEWS)]
        stocked = made_fixture(assortment.articles, mishap, rng, lengths=bool(rng.random() < 0.5))
        frames = _frames(stocked, view, rng)
        items = _items(stocked, assortment, rng)
        copies = [int(copy) for copy in rng.integers(0, 2, len(items))]
        photos = []
        for k, frame in enumerate(frames):
            shelf = _photo(stocked, items, copies, frame, view, rng)
            path = folder / f"check-{n:03d}-{k}.jpg"
            replace_file(path, encode_picture(shelf.picture, quality=92))
            rows += [(path.name, *box) for box in _boxes(shelf)] or [(path.name, 0, 0, 0, 0)]
            photos.append(path)
        checks.append(DrawnCheck(mishap, view, tuple(photos), stocked, _truth(stocked, frames)))
    with (folder / "boxes.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("image", "x", "y", "w", "h"))
        writer.writerows(row if row[3] else (row[0], "", "", "", "") for row in rows)
    return checks


def _frames(stocked: Stocked, view: str, rng: np.random.Generator) -> list[tuple[float, float]]:
    """Left and right of each photo in mm."""
    wide = stocked.size[0]
    if view == "two photos":
        share = float(rng.uniform(0.6, 0.72))
        return [(-20.0, share * wide), ((1 - share) * wide, wide + 20)]
    if view == "cut off":
        return [(0.3 * wide, wide + 20)] if rng.random() < 0.5 else [(-20.0, 0.7 * wide)]
    return [(-40.0, wide + 40)]


def _items(stocked: Stocked, assortment: Assortment, rng: np.random.Generator) -> list[StockItem]:
    """What is drawn for each front; one stranger for each place."""
    strangers: dict[tuple[int, int], StockItem] = {}
    for front in stocked.fronts:
        if front.sku == STRANGER:
            pick = assortment.strange[int(rng.integers(len(assortment.strange)))]
            strangers.setdefault((front.shelf, front.position), pick)
    return [assortment.sold.get(one.sku) or strangers[one.shelf, one.position] for one in stocked.fronts]


def _photo(
    stocked: Stocked,
    items: Sequence[StockItem],
    copies: Sequence[int],
    frame: tuple[float, float],
    view: str,
    rng: np.random.Generator,
) -> Shelf:
    """A photo of a part of the fixture; `copies` say for each front how it stands, the same in every photo."""
    left, right = frame
    middle = (left + right) / 2, stocked.size[1] / 2
    height = stocked.size[1] + 80
    scale = SIDE / max(right - left, height)
    size = round(height * scale), round((right - left) * scale)
    spread = 2.0 if view == "tilted" else 0.6
    turn = [float(np.clip(rng.normal(0, s * spread), -14, 14)) for s in (4, 3, 1.2)]
    camera = Camera(
        turn[0],
        turn[1],
        turn[2],
        float(rng.uniform(0.85, 1.1)),
        0.0,
        (right - left) * (1.06 if view == "tilted" else 1.0),
    )
    light = Light(exposure=float(rng.uniform(0.9, 1.2)), blur=float(rng.uniform(0, 0.8)), noise=2.0, quality=88)
    rows = []
    for shelf, base in sorted(stocked.bases.items()):
        board = ShelfRow(
            shelf - 1, base - 265 - middle[1], base - middle[1], left - middle[0], right - middle[0], 380.0
        )
        pieces = tuple(
            Piece(front.sku or "?", item, None, (front.left + front.right) / 2 - middle[0], front.bottom - middle[1],
                  float(rng.uniform(2, 14)), front.right - front.left, front.bottom - front.top, shelf - 1, n,
                  copy=copies[n])
            for n, (front, item) in enumerate(zip(stocked.fronts, items, strict=True))
            if front.shelf == shelf
        )  # fmt: skip
        rows.append((board, Planned(pieces, (), right, 0)))
    return compose_planned(rows, replace(ShelfStyle(), size=size, camera=camera, light=light), rng)


def _boxes(shelf: Shelf) -> list[tuple[int, int, int, int]]:
    from scipy.ndimage import find_objects

    found = [place for place in find_objects(np.maximum(shelf.labels, 0)) if place is not None]
    return [(x.start, y.start, x.stop - x.start, y.stop - y.start) for y, x in found]


def _truth(stocked: Stocked, frames: Sequence[tuple[float, float]]) -> dict[tuple[int, int], str]:
    """The status of each place as the photos can show it; places that they cut are left out."""
    found: dict[tuple[int, int], str] = {}
    for key, status in stocked.truth.items():
        x0, x1 = stocked.edges[key]
        seen = max((min(x1, right) - max(x0, left)) / (x1 - x0) for left, right in frames)
        if seen >= DOUBTFUL[1]:
            found[key] = status
        elif seen <= DOUBTFUL[0]:
            found[key] = "unseen"
    if any(status == "unseen" for status in found.values()):
        return {key: status for key, status in found.items() if status != "misplaced"}
    return found
