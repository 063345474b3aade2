"""Composed shelves: their ids say what is seen, in reading order, and are the same for the same seed."""

from __future__ import annotations

import csv
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from retail_seg.rendering.bays import Placed
from retail_seg.rendering.canvas import IGNORE, Canvas, shares_seen
from retail_seg.rendering.facings import Piece
from retail_seg.rendering.fixtures import rail, random_furniture
from retail_seg.rendering.lens import Camera, LensProjection, aim
from retail_seg.rendering.shelves import (
    FEWEST_PIXELS,
    FIXTURES,
    Shelf,
    ShelfStyle,
    compose_shelf,
    random_style,
    told_apart,
)
from retail_seg.rendering.stocking import SpriteLook, Stock, rendered_stock, sprite

SIZE = (360, 480)


@pytest.fixture(scope="module")
def stock() -> Stock:
    return rendered_stock(np.random.default_rng(2), families=10)


@pytest.fixture(scope="module", params=FIXTURES)
def shelf(request: pytest.FixtureRequest, stock: Stock) -> Shelf:
    style = ShelfStyle(SIZE, request.param, camera=Camera(yaw=12, pitch=8, bend=0.05, width_mm=1100))
    return compose_shelf(stock, style, np.random.default_rng(4))


def test_every_id_is_seen_and_stands_for_a_facing(shelf: Shelf) -> None:
    ids, pixels = np.unique(shelf.labels[shelf.labels > 0], return_counts=True)
    assert ids.tolist() == list(range(1, len(shelf.facings) + 1))
    assert len(ids) >= 4
    assert pixels.min() >= FEWEST_PIXELS
    assert shelf.picture.shape == (*SIZE, 3) and shelf.picture.dtype == np.uint8
    assert shelf.labels.shape == SIZE and shelf.labels.min() >= IGNORE


def test_ids_run_down_the_rows_and_along_them(shelf: Shelf) -> None:
    places = [(one.row, one.position, one.layer, one.level) for one in shelf.facings]
    assert places == sorted(places)
    assert len({one.row for one in shelf.facings}) > 1
    assert all(1 / 3 <= one.seen <= 1 for one in shelf.facings)


def middles(shelf: Shelf) -> np.ndarray:
    """Middle (y, x) of every id in pixels."""
    return np.array([np.argwhere(shelf.labels == i + 1).mean(0) for i in range(len(shelf.facings))])


def test_rows_lie_below_each_other_and_positions_run_to_the_right(stock: Stock) -> None:
    style = ShelfStyle((600, 600), camera=Camera(width_mm=1300))
    shelf = compose_shelf(stock, style, np.random.default_rng(9))
    places = np.array([(one.row, one.position) for one in shelf.facings])
    where = middles(shelf)
    heights = [where[places[:, 0] == row, 0].mean() for row in np.unique(places[:, 0])]
    assert heights == sorted(heights)
    for row in np.unique(places[:, 0]):
        inside = places[:, 0] == row
        columns = [where[inside & (places[:, 1] == column), 1].mean() for column in np.unique(places[inside, 1])]
        steps = np.diff(columns)
        assert (steps > -15).all(), "a facing stands left of the one before it"


def test_same_seed_same_shelf(stock: Stock) -> None:
    style = replace(random_style(np.random.default_rng(1)), size=SIZE)
    first, second = (compose_shelf(stock, style, np.random.default_rng(6)) for _ in range(2))
    assert np.array_equal(first.picture, second.picture)
    assert np.array_equal(first.labels, second.labels)
    assert first.facings == second.facings
    other = compose_shelf(stock, style, np.random.default_rng(7))
    assert not np.array_equal(first.labels, other.labels)


def square(side: int) -> np.ndarray:
    return np.full((side, side, 4), 255, np.uint8)


def piece(number: int, layer: int) -> Piece:
    return Piece(f"P{number}", None, None, 0, 0, 0, 1, 1, row=0, position=0, layer=layer)


@pytest.mark.parametrize(("shift", "told"), [(12, False), (29, False), (31, True), (60, True)])
def test_what_stands_behind_is_told_from_a_third_on(shift: int, told: bool) -> None:
    canvas = Canvas.blank(100, 260, np.zeros(3))
    behind = canvas.put(square(90), shift, 5)
    front = canvas.put(square(90), 0, 5)
    placed = [Placed(behind, piece(behind, 1)), Placed(front, piece(front, 0))]
    assert shares_seen(canvas)[0] == pytest.approx(shift / 90)
    labels, facings = told_apart(canvas, placed, canvas.labels)
    assert labels[50, 10] == 1
    assert facings[0].sku == f"P{front}"
    expected = 2 if told else IGNORE
    assert (labels[5:95, 90 : 90 + shift] == expected).all()
    assert len(facings) == (2 if told else 1)


def test_nothing_is_left_of_ids_under_a_price_rail() -> None:
    canvas = Canvas.blank(200, 300, np.zeros(3))
    for x in range(0, 300, 60):
        canvas.put(square(60), x, 100)
    view = LensProjection(1.0, (150.0, 100.0, 500.0), (0.0, 0.0))
    furniture = replace(random_furniture(np.random.default_rng(1)), rail_mm=30.0, tags_per_m=12.0)
    rail(canvas, view, 120.0, furniture, np.random.default_rng(1))
    assert not canvas.labels[120:150].any()
    assert canvas.labels[101:119].all()


def test_what_lies_deeper_moves_towards_the_eye() -> None:
    *_, view, size = aim(Camera(width_mm=1000), SIZE)
    assert size[0] >= SIZE[0] and size[1] >= SIZE[1]
    near, far = view.at(300, 200), view.at(300, 200, depth=400)
    middle = view.at(*view.eye[:2])
    assert np.hypot(*np.subtract(far, middle)) < np.hypot(*np.subtract(near, middle))
    assert view.inverse(*near) == pytest.approx((300, 200))


def test_a_straight_look_keeps_the_plane_as_it_is() -> None:
    map_x, map_y, _, _ = aim(Camera(), SIZE)
    steps = np.diff(map_x, axis=1), np.diff(map_y, axis=0)
    assert all(np.allclose(step, 1, atol=1e-3) for step in steps)


def test_an_unknown_fixture_is_named(stock: Stock) -> None:
    with pytest.raises(ValueError, match="'attic' is not drawn; choose one of shelf, chiller"):
        compose_shelf(stock, ShelfStyle(SIZE, "attic"), np.random.default_rng(0))


def test_every_product_has_a_picture_of_the_height_asked_for(stock: Stock) -> None:
    forms = {product.form for product in stock.products}
    assert {"box", "round", "bag"} <= forms
    for family in stock.families:
        picture = sprite(family[0], 58, SpriteLook(yaw=9, pitch=12))
        assert picture.shape[0] == 58 and picture.shape[2] == 4
        assert (picture[:, :, 3] > 127).mean() > 0.3


def test_the_recipe_writes_truth_beside_each_picture_and_goes_on_where_it_stopped(tmp_path: Path) -> None:
    recipe = Path(__file__).parents[2] / "recipes/compose_shelves.py"
    call = [sys.executable, str(recipe), "--out", str(tmp_path), "--count", "2", "--seed", "5", "--side", "320"]
    subprocess.run(call, check=True, capture_output=True)
    first, second = sorted(tmp_path.glob("*.png"))
    ids = cv2.imread(str(first), cv2.IMREAD_UNCHANGED)
    assert ids is not None and ids.dtype == np.uint16
    with first.with_suffix(".csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert sorted({int(i) for i in np.unique(ids)} - {0, 65535}) == [int(row["id"]) for row in rows]
    picture = cv2.imread(str(first.with_suffix(".jpg")))
    assert picture is not None and picture.shape[:2] == ids.shape and max(ids.shape) == 320
    before = second.read_bytes()
    second.unlink()
    first.write_bytes(b"kept")
    subprocess.run(call, check=True, capture_output=True)
    assert first.read_bytes() == b"kept"
    assert second.read_bytes() == before


def test_the_recipe_says_what_is_missing_in_a_folder(tmp_path: Path) -> None:
    recipe = Path(__file__).parents[2] / "recipes/compose_shelves.py"
    call = [sys.executable, str(recipe), "--out", str(tmp_path / "out"), "--data", str(tmp_path)]
    ran = subprocess.run(call, capture_output=True, text=True)
    assert ran.returncode == 1
    assert ran.stderr.strip().endswith("give the folder with packs, grocerystore and distil")
