"""Rows, positions and facing runs of made-up shelves, whose places are known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from retail_seg.segmentation.instances.rows import Places, shelf_places

Warp = Callable[[np.ndarray], np.ndarray]


def shelf(
    rng: np.random.Generator, rows: int = 5, *, missing: float = 0.0, stacked: float = 0.0, hung: float = 0.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Boxes (n, 4), rows and positions of a level shelf 1,600 wide with boards 40 thick and things of all heights."""
    boxes, row, position = [], [], []
    board = 0.0
    for number in range(1, rows + 1):
        pitch = rng.uniform(170, 330)
        board += pitch + 40
        x, place = rng.uniform(0, 30), 0
        while x < 1500:
            w, h = rng.uniform(45, 120), rng.uniform(0.5, 0.95) * pitch
            if rng.random() >= missing:
                place += 1
                stack = rng.random() < stacked
                h = 0.45 * h if stack else h
                lift = rng.uniform(0, 0.15) * h if rng.random() < hung and not stack else 0.0
                boxes.append((x, board - h - lift, w, h))
                row.append(number), position.append(place)
                if stack:
                    boxes.append((x + rng.uniform(-4, 4), board - 1.9 * h, w, 0.9 * h))
                    row.append(number), position.append(place)
            x += w + rng.uniform(1, 14)
    return np.array(boxes), np.array(row), np.array(position)


def seen(boxes: np.ndarray, warp: Warp) -> np.ndarray:
    """The boxes around what the four corners of each become."""
    x, y, w, h = boxes.T
    corners = np.stack([np.stack([x + dx * w, y + dy * h], 1) for dx in (0, 1) for dy in (0, 1)], 1)
    moved = warp(corners.reshape(-1, 2)).reshape(corners.shape)
    low, high = moved.min(1), moved.max(1)
    return np.concatenate([low, high - low], 1)


def tilted(degrees: float) -> Warp:
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return lambda points: points @ turn.T


def from_the_side(strength: float, tilt: float = 0.0) -> Warp:
    """A camera that looks from the left or right: the far end is smaller, boards converge."""

    def warp(points: np.ndarray) -> np.ndarray:
        u, v = (points[:, 0] - 800) / 800, (points[:, 1] - 700) / 800
        depth = 1 + strength * u
        return tilted(tilt)(np.stack([u / depth, v / depth], 1) * 800 + 900)

    return warp


def bent(amount: float) -> Warp:
    """A wide lens: barrel distortion."""

    def warp(points: np.ndarray) -> np.ndarray:
        centred = (points - (800, 700)) / 1000
        return centred * (1 - amount * (centred**2).sum(1, keepdims=True)) * 1000 + 900

    return warp


WARPS = {
    "level": lambda points: points, "tilted 6": tilted(6), "tilted -12": tilted(-12), "tilted 14": tilted(14),
    "left": from_the_side(0.3), "right, tilted": from_the_side(-0.25, 5), "bent": bent(0.08),
}  # fmt: skip


def check(found: Places, row: np.ndarray, position: np.ndarray) -> None:
    assert found.row.tolist() == row.tolist()
    assert found.position.tolist() == position.tolist()


@pytest.mark.parametrize("warp", WARPS.values(), ids=WARPS)
@pytest.mark.parametrize("seed", range(6))
def test_rows_and_positions_are_exact(warp: Warp, seed: int) -> None:
    boxes, row, position = shelf(np.random.default_rng(seed), rows=2 + seed)
    check(shelf_places(seen(boxes, warp)), row, position)


@pytest.mark.parametrize("warp", WARPS.values(), ids=WARPS)
@pytest.mark.parametrize("seed", range(6))
def test_gaps_hung_things_and_jitter(warp: Warp, seed: int) -> None:
    rng = np.random.default_rng((1, seed))
    boxes, row, position = shelf(rng, rows=2 + seed, missing=0.35, hung=0.2)
    jittered = seen(boxes, warp) + rng.normal(0, 2, boxes.shape)
    check(shelf_places(jittered), row, position)


@pytest.mark.parametrize("warp", [WARPS["level"], WARPS["tilted 6"], WARPS["left"]], ids=["level", "tilted", "left"])
@pytest.mark.parametrize("seed", range(6))
def test_what_is_stacked_shares_row_and_position(warp: Warp, seed: int) -> None:
    boxes, row, position = shelf(np.random.default_rng((2, seed)), rows=4, stacked=0.3)
    check(shelf_places(seen(boxes, warp)), row, position)


def test_the_order_of_the_boxes_does_not_matter() -> None:
    rng = np.random.default_rng(3)
    boxes, _, _ = shelf(rng, missing=0.2, stacked=0.2)
    order = rng.permutation(len(boxes))
    straight, mixed = shelf_places(boxes), shelf_places(boxes[order])
    assert np.array_equal(straight.row[order], mixed.row) and np.array_equal(straight.position[order], mixed.position)


def test_runs_of_one_product() -> None:
    boxes = np.array([[x, y, 40, 90] for y in (0, 150) for x in range(0, 300, 50)])
    products = ["a", "a", "b", "b", "a", None, "a", "b", None, None, "c", "c"]
    found = shelf_places(boxes, products)
    assert found.run.tolist() == [1, 1, 2, 2, 3, 4, 1, 2, 3, 4, 5, 5]
    assert found.facing.tolist() == [1, 2, 1, 2, 1, 1, 1, 1, 1, 1, 1, 2]


def test_a_stack_counts_once_in_its_run() -> None:
    boxes = np.array([[0, 50, 40, 50], [0, 0, 40, 50], [45, 50, 40, 50], [90, 10, 40, 90]])
    found = shelf_places(boxes, ["a", "b", "a", "a"])
    assert found.row.tolist() == [1, 1, 1, 1] and found.position.tolist() == [1, 1, 2, 3]
    assert found.run.tolist() == [1, 1, 1, 1] and found.facing.tolist() == [1, 1, 2, 3]


def test_few_boxes() -> None:
    assert len(shelf_places(np.zeros((0, 4)))) == 0
    one = shelf_places(np.array([[5, 5, 10, 20]]))
    assert (one.row.tolist(), one.position.tolist(), one.run.tolist(), one.facing.tolist()) == ([1], [1], [1], [1])
    two = shelf_places(np.array([[0, 100, 40, 50], [0, 0, 40, 50]]))
    assert two.row.tolist() == [2, 1]
