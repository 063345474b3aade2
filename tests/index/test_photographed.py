"""References as photos would show them: the same for the same seed, small, and still the product."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from index.photographed import LARGEST, LEAST_SIDE, as_photographed
from index.studio import cut_out


def pack() -> np.ndarray:
    picture = np.full((320, 200, 3), (30, 90, 200), np.uint8)
    cv2.putText(picture, "COLA", (20, 170), cv2.FONT_HERSHEY_SIMPLEX, 2, (255, 255, 255), 6, cv2.LINE_AA)
    return picture


def test_a_seed_is_a_view_and_another_seed_another() -> None:
    one, again, other = (as_photographed(pack(), None, seed)[0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert one.shape != other.shape or (one != other).any()


@pytest.mark.parametrize("seed", range(12))
def test_views_are_small_crops_of_the_same_shape(seed: int) -> None:
    seen, mask = as_photographed(pack(), None, seed, np.zeros((50, 90, 3), np.uint8))
    assert mask is None and seen.dtype == np.uint8
    height, width = seen.shape[:2]
    assert min(height, width) >= LEAST_SIDE and max(height, width) <= LARGEST
    assert height / width == pytest.approx(1.6, rel=0.05)


def test_what_is_small_stays_as_large_as_it_is() -> None:
    assert as_photographed(pack()[:18, :12], None, 3)[0].shape == (18, 12, 3)


def test_a_mask_follows_its_crop_and_nothing_covers_it() -> None:
    mask = np.zeros((320, 200), bool)
    mask[60:260, 40:160] = True
    for seed in range(8):
        seen, outline = as_photographed(pack(), mask, seed)
        assert outline is not None and outline.shape == seen.shape[:2]
        assert outline.mean() == pytest.approx(mask.mean(), abs=0.15)


def test_what_stands_on_white_is_cut_out_and_what_fills_the_picture_is_not() -> None:
    studio = np.full((400, 300, 3), 255, np.uint8)
    studio[40:360, 50:250] = pack()
    studio[100:120, 100:200] = 255  # white print is a part of the pack
    thing = cut_out(studio)
    assert thing is not None and thing[40:360, 50:250].mean() > 0.99 and thing.mean() < 0.56
    assert cut_out(pack()) is None and cut_out(np.full((90, 90, 3), 255, np.uint8)) is None
    carton = np.full((320, 200, 3), 250, np.uint8)
    cv2.putText(carton, "MELK", (20, 170), cv2.FONT_HERSHEY_SIMPLEX, 2, (200, 30, 30), 6, cv2.LINE_AA)
    assert cut_out(carton) is None


def test_a_studio_picture_s_product_stands_before_other_things() -> None:
    studio, green = np.full((400, 300, 3), 255, np.uint8), np.full((50, 90, 3), (20, 160, 40), np.uint8)
    cv2.ellipse(studio, (150, 200), (100, 150), 0, 0, 360, (200, 40, 30), -1)
    views = [as_photographed(studio, None, seed, green)[0].astype(int) for seed in range(20)]
    grounds = [((view[..., 1] > view[..., 0]) & (view[..., 1] > view[..., 2])).mean() for view in views]
    assert min(grounds) > 0.05 and np.mean(grounds) > 0.15  # an ellipse leaves a fifth of its box to the ground


def test_views_differ_in_light() -> None:
    means = [as_photographed(pack(), None, seed)[0].mean() for seed in range(40)]
    assert min(means) < 60 < 110 < max(means)
