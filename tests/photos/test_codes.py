"""Barcodes on pictures: drawn by the library that reads them, laid askew, coloured, and where it is not installed."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from barcodes import barcode, on_pack

from retail_seg.photos import codes


@pytest.mark.parametrize("digits", ["4006381333931", "96385074"])
def test_a_barcode_on_a_pack_is_read_with_its_place(digits: str) -> None:
    picture = on_pack(barcode(digits), at=(60, 200))
    (found,) = codes.codes_of(picture)
    assert found.text == digits
    x, y, w, h = found.box
    assert 60 <= x < 120 and 200 <= y < 260 and w > h > 20


def test_it_may_lie_on_its_side_or_be_turned_a_little() -> None:
    picture = on_pack(barcode("4006381333931"), at=(60, 200))
    turned = cv2.getRotationMatrix2D((picture.shape[1] / 2, picture.shape[0] / 2), 12, 1)
    askew = cv2.warpAffine(picture, turned, picture.shape[1::-1], borderValue=(180, 40, 30))
    for one in (cv2.rotate(picture, cv2.ROTATE_90_CLOCKWISE), askew):
        assert [code.text for code in codes.codes_of(one)] == ["4006381333931"]


def test_bars_of_the_colours_that_printers_use_are_seen() -> None:
    dark = barcode("4006381333931") < 128
    for bars, ground in (((0, 0, 0), (255, 220, 40)), ((0, 90, 40), (255, 255, 255)), ((20, 30, 120), (255, 140, 130))):
        drawn = np.where(dark, np.uint8(bars), np.uint8(ground))
        assert [code.text for code in codes.codes_of(drawn)] == ["4006381333931"]


def test_codes_of_other_kinds_are_read_when_they_are_asked_for() -> None:
    picture = on_pack(barcode("https://id.gs1.org/01/04006381333931", "QRCode"), at=(60, 60))
    assert codes.codes_of(picture) == []
    assert [code.kind for code in codes.codes_of(picture, thorough=True)] == ["QRCode"]


def test_a_picture_without_codes_has_none() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (200, 300, 3), np.uint8)
    assert codes.codes_of(noise, thorough=True) == []


def test_without_the_extra_nothing_is_read_and_the_sentence_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(codes, "PACKAGE", "zxing_that_is_not_there")
    assert not codes.available()
    assert codes.codes_of(on_pack(barcode("4006381333931"), at=(60, 200))) == []
    assert "retail-seg[codes]" in codes.MISSING


def test_a_thorough_look_reads_a_code_at_any_angle_and_says_where_it_is() -> None:
    picture = on_pack(barcode("4006381333931"), at=(60, 200))
    middle = np.array([picture.shape[1] / 2, picture.shape[0] / 2])
    turned = cv2.getRotationMatrix2D(middle.tolist(), 45, 1)
    askew = cv2.warpAffine(picture, turned, picture.shape[1::-1], borderValue=(180, 40, 30))
    assert codes.codes_of(askew) == []
    (found,) = codes.codes_of(askew, thorough=True)
    assert found.text == "4006381333931"
    (level,) = codes.codes_of(picture)
    x, y, w, h = level.box
    expected = turned @ [x + w / 2, y + h / 2, 1]
    x, y, w, h = found.box
    assert np.hypot(*(expected - [x + w / 2, y + h / 2])) < 12
