"""Advice on photos: good ones pass, each fault is named with what to do; on real photos where they are at hand."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from retail_seg.photos.load import load_photo
from retail_seg.photos.quality import check_crops, check_photo, glare, sharpness, tilt
from retail_seg.rendering.assortment import demo_photos

PHOTOS = Path(__file__).resolve().parents[3] / "shared" / "data"


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    return demo_photos(1)[0].scene.photo


def shelf(angle: float = 0.0) -> np.ndarray:
    """Packs in rows on boards, turned clockwise by some degrees."""
    picture = np.full((960, 1280, 3), (150, 140, 120), np.uint8)
    for row in range(3):
        cv2.rectangle(picture, (0, 300 * row + 260), (1279, 300 * row + 290), (90, 70, 50), -1)
        for column in range(9):
            left = 20 + 140 * column
            colour = (40 + 20 * column, 200 - 20 * column, 60 + 50 * row)
            cv2.rectangle(picture, (left, 300 * row + 40), (left + 100, 300 * row + 259), colour, -1)
    turn = cv2.getRotationMatrix2D((640, 480), -angle, 1.5)
    return cv2.warpAffine(picture, turn, (1280, 960), flags=cv2.INTER_AREA)


def test_a_good_photo_needs_no_advice(photo: np.ndarray) -> None:
    assert check_photo(photo) == []
    assert check_photo(shelf()) == []


def test_a_blurred_photo_is_named(photo: np.ndarray) -> None:
    (advice,) = check_photo(cv2.GaussianBlur(photo, (0, 0), 6))
    assert advice.kind == "blur" and "hold still" in advice.text and 0 < advice.value < 0.4


def test_light_is_glare_and_white_print_is_none(photo: np.ndarray) -> None:
    rows, columns = np.mgrid[: photo.shape[0], : photo.shape[1]]
    spot = 500 * np.exp(-((rows - 400) ** 2 + (columns - 600) ** 2) / (2 * 60**2))
    lit = np.clip(photo + spot[..., None], 0, 255).astype(np.uint8)
    (advice,) = check_photo(lit)
    assert advice.kind == "glare" and "shade" in advice.text
    printed = photo.copy()
    printed[300:500, 500:800] = 255
    assert glare(printed) == 0.0


@pytest.mark.parametrize("angle", [-20.0, -9.0, 9.0, 20.0])
def test_a_tilted_shelf_is_measured_and_the_way_back_named(angle: float) -> None:
    (advice,) = check_photo(shelf(angle))
    assert advice.kind == "tilt" and advice.value == pytest.approx(angle, abs=1.5)
    assert ("right" if angle > 0 else "left") in advice.text


def test_without_lines_there_is_no_tilt() -> None:
    assert tilt(np.full((480, 640, 3), 128, np.uint8)) == 0.0


def test_a_small_photo_and_small_products_are_named(photo: np.ndarray) -> None:
    small = cv2.resize(photo, (400, 300), interpolation=cv2.INTER_AREA)
    assert "small" in [advice.kind for advice in check_photo(small)]
    assert check_crops(np.array([[0, 0, 60, 20], [5, 5, 100, 90]])) == []
    (advice,) = check_crops(np.array([[0, 0, 30, 47], [5, 5, 100, 90]]))
    assert "1 product is too small" in advice.text and "closer" in advice.text
    assert check_crops(np.zeros((0, 4), np.int32)) == []


def test_tiny_and_plain_pictures_are_measured_without_error() -> None:
    for picture in (np.zeros((1, 1, 3), np.uint8), np.full((700, 3, 3), 255, np.uint8)):
        assert all(advice.text for advice in check_photo(picture))
    assert sharpness(np.full((9, 9), 7, np.uint8), 1024) == 0.0


@pytest.mark.skipif(not PHOTOS.is_dir(), reason="the photos of ../shared are not here")
@pytest.mark.parametrize("folder", ["cloth", "packs"])
def test_most_real_photos_pass_and_worse_ones_do_not(folder: str) -> None:
    found = sorted((PHOTOS / folder / "images").iterdir())
    photos = [load_photo(path) for path in found[:: max(len(found) // 12, 1)][:12]]
    assert sum(bool(check_photo(photo)) for photo in photos) <= 2
    worse = [cv2.GaussianBlur(photo, (0, 0), 6 * max(photo.shape[:2]) / 1024) for photo in photos]
    assert sum("blur" in [advice.kind for advice in check_photo(photo)] for photo in worse) >= 9
