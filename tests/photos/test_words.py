"""Words on pictures: drawn in a real font, small and large, upright and turned, and where the models are missing."""

from __future__ import annotations

import subprocess
import sys

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw

from retail_seg.photos import words
from retail_seg.photos.draw import letters


def label(lines: dict[str, int], size: tuple[int, int] = (300, 220)) -> np.ndarray:
    """A yellow label (h, w, 3) uint8 of a width and height, with lines of these letter heights below each other."""
    image = Image.new("RGB", size, (250, 220, 60))
    pen, y = ImageDraw.Draw(image), 12
    for text, height in lines.items():
        pen.text((14, y), text, font=letters(float(height)), fill=(30, 30, 90))
        y += round(1.5 * height)
    return np.asarray(image)


def texts(picture: np.ndarray, **how: bool) -> list[str]:
    return [word.text for word in words.words_of(picture, **how)]


def test_words_are_read_the_largest_first_with_their_places() -> None:
    picture = label({"fresh from the farm": 16, "Butter": 48, "lightly salted": 26})
    found = words.words_of(picture)
    assert [word.text for word in found] == ["Butter", "lightly", "salted", "fresh", "from", "the", "farm"]
    x, y, w, h = found[0].box
    assert x < 40 and 20 < y < 70 and w > 100 and 30 < h < 90
    assert all(0.5 <= word.score <= 1 for word in found)


def test_letters_with_accents_are_read() -> None:
    assert texts(label({"Crème fraîche": 38, "Müsli": 22})) == ["Crème", "fraîche", "Müsli"]


def test_pictures_of_any_size_and_shape_are_read() -> None:
    picture = label({"Butter": 48, "salted": 30})
    for factor in (0.35, 3.0):
        assert texts(cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)) == [
            "Butter",
            "salted",
        ]
    wide = np.full((40, 2000, 3), 200, np.uint8)
    wide[:, 900:1100] = cv2.resize(label({"Tea": 60}, (200, 100))[:100], (200, 100))[30:70]
    for blank in (wide[:, :800], np.zeros((3, 900, 3), np.uint8), np.full((1, 1, 3), 9, np.uint8)):
        assert texts(blank) == []


def test_a_line_that_reads_upwards_is_laid_level() -> None:
    upwards = cv2.rotate(label({"Butter": 48, "salted": 40}), cv2.ROTATE_90_COUNTERCLOCKWISE)
    assert sorted(texts(upwards)) == ["Butter", "salted"]


def test_the_place_of_a_word_is_that_in_the_whole_picture() -> None:
    tall = np.full((2400, 200, 3), 255, np.uint8)
    tall[1100:1250] = label({"Tea": 60}, (200, 150))
    (word,) = words.words_of(tall)
    assert word.text == "Tea" and 1090 < word.box[1] < 1200


def test_what_is_bounded_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    many = label({f"line{at}": 14 for at in range(10)}, (300, 240))
    assert len(words.words_of(many)) <= words.LINES and len(words.words_of(many, lines=2)) == 2
    shapes: list[tuple[int, ...]] = []
    real = words._network
    monkeypatch.setattr(words, "_network", lambda *shape: shapes.append(shape) or real(*shape))
    for side in (100, 333, 600, 900):
        texts(cv2.resize(many, (side, side)))
        texts(cv2.resize(many, (side, 50)), quick=True)
    assert set(shapes) <= {(0, 320, 320), (0, 640, 640), (1, 48, 160), (1, 48, 320)}


def test_the_package_itself_is_not_imported_so_that_nothing_is_fetched() -> None:
    code = f"""
import sys, numpy as np
from retail_seg.photos.words import words_of
words_of(np.full((40, 80, 3), 255, np.uint8))
assert "{words.PACKAGE}" not in sys.modules and "onnxruntime" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_the_extra_nothing_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(words, "PACKAGE", "reader_that_is_not_there")
    assert not words.available() and words.words_of(label({"Butter": 48})) == []
    assert "retail-seg[text]" in words.MISSING
