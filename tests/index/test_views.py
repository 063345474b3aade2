"""Views: a masked thing is turned upright whatever way it lay; what has no axis or no mask stays as it is."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from index.views import reference_views, upright


def lying(degrees: float) -> tuple[np.ndarray, np.ndarray]:
    """A 40 × 120 bar, red at one end and blue at the other, turned by so many degrees, cut to its box."""
    canvas = np.zeros((200, 200, 3), np.uint8)
    canvas[40:100, 80:120] = (200, 30, 30)
    canvas[100:160, 80:120] = (30, 30, 200)
    turn = cv2.getRotationMatrix2D((100, 100), degrees, 1.0)
    turned = cv2.warpAffine(canvas, turn, (200, 200), flags=cv2.INTER_NEAREST)
    mask = turned.any(axis=2)
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return turned[box], mask[box]


@pytest.mark.parametrize("degrees", [0, 20, 45, 90, -70, 135, 180])
def test_a_lying_bar_stands_up(degrees: float) -> None:
    crop, mask = upright(*lying(degrees))
    assert mask is not None and mask.shape == crop.shape[:2]
    assert abs(crop.shape[0] - 120) <= 3 and abs(crop.shape[1] - 40) <= 3
    assert mask.mean() > 0.9
    ends = {tuple(int(v > 100) for v in crop[row, 20]) for row in (15, -15)}
    assert ends == {(1, 0, 0), (0, 0, 1)}


@pytest.mark.parametrize("degrees", [30, 90, 200])
def test_one_of_the_two_views_is_the_reference_itself(degrees: float) -> None:
    query, _ = upright(*lying(degrees))
    views = reference_views(*lying(0))
    assert len(views) == 2
    sized = [cv2.resize(view, query.shape[1::-1]).astype(int) for view, _ in views]
    assert min(abs(view - query).mean() for view in sized) < 12


def test_round_things_and_whole_pictures_stay() -> None:
    disc = np.zeros((50, 50), np.uint8)
    cv2.circle(disc, (25, 25), 24, 1, -1)
    crop = np.zeros((50, 50, 3), np.uint8)
    assert upright(crop, disc.astype(bool))[0] is crop
    assert upright(crop, None) == (crop, None)
    assert reference_views(crop) == [(crop, None)]


def test_known_outlines_turn_a_crop_as_its_mask_does() -> None:
    crop, mask = lying(30.0)
    outlines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    for found, expected in zip(upright(crop, mask, outlines), upright(crop, mask), strict=True):
        np.testing.assert_array_equal(found, expected)
