"""Price labels found by shape, and read only as far as they can be."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from rail_helpers import BASE, HEIGHT, LABEL, RAIL, WIDTH, Tag, box_of, shelf

from retail_seg.photos import words
from retail_seg.photos.label_text import LabelText, read_label
from retail_seg.photos.price_labels import Strip, labels_in

FACINGS = (40, 160, 420, 700, 820)
TAGS = (Tag(60, "Beans", "12"), Tag(440, "Cocoa", "249", "00"), Tag(720, "Dates", "7", "50"))
STRIP = Strip(BASE - 20, 0.0, 160)


def corners(*boxes: tuple[int, int, int, int]) -> np.ndarray:
    table = np.array(boxes, float).reshape(-1, 4)
    table[:, 2:] += table[:, :2]
    return table


def overlap(one: tuple[int, int, int, int], two: tuple[int, int, int, int]) -> float:
    wide = min(one[0] + one[2], two[0] + two[2]) - max(one[0], two[0])
    tall = min(one[1] + one[3], two[1] + two[3]) - max(one[1], two[1])
    shared = max(wide, 0) * max(tall, 0)
    return shared / (one[2] * one[3] + two[2] * two[3] - shared)


@pytest.mark.parametrize("turn", [0.0, 2.0])
def test_labels_of_a_rail_are_found_where_they_hang(turn: float) -> None:
    photo = shelf(FACINGS, TAGS)
    lean = np.array([[1, 0, 0], [np.tan(np.radians(turn)), 1, 0]], np.float32)
    photo = cv2.warpAffine(photo, lean, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REPLICATE)
    strip = Strip(STRIP.top, float(lean[1, 0]), STRIP.height)
    found = labels_in(photo, [strip], corners(*map(box_of, FACINGS)))
    assert len(found) == len(TAGS) and {one.strip for one in found} == {0}
    for label, tag in zip(found, TAGS, strict=True):
        there = tag.x, round(RAIL + lean[1, 0] * (tag.x + LABEL[0] / 2)), *LABEL
        assert overlap(label.box, there) > 0.7


def test_a_large_photo_and_a_small_one_show_the_same_labels() -> None:
    photo = shelf(FACINGS, TAGS)
    double = cv2.resize(photo, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
    found = labels_in(double, [Strip(2 * STRIP.top, 0.0, 2 * STRIP.height)], 2 * corners(*map(box_of, FACINGS)))
    assert len(found) == len(TAGS)
    assert all(overlap(one.box, (2 * t.x, 2 * RAIL, 2 * LABEL[0], 2 * LABEL[1])) > 0.7
               for one, t in zip(found, TAGS, strict=True))  # fmt: skip


def test_what_stands_before_a_label_hides_it_and_bare_rails_have_none() -> None:
    assert labels_in(shelf(FACINGS, ()), [STRIP], corners(*map(box_of, FACINGS))) == []
    assert labels_in(shelf(FACINGS, TAGS), [], corners()) == []
    covering = corners((0, RAIL - 60, 300, 200))
    left = labels_in(shelf(FACINGS, TAGS), [STRIP], covering)
    assert len(left) == 2 and all(one.box[0] > 300 for one in left)


@pytest.mark.skipif(not words.available(), reason="needs the extra text")
def test_a_price_is_read_by_the_sizes_of_its_digits() -> None:
    photo = shelf(FACINGS, TAGS)
    found = labels_in(photo, [STRIP], corners(*map(box_of, FACINGS)))
    read = [read_label(photo, one.corners) for one in found]
    assert [one.price for one in read] == [12.9, 249.0, 7.5]
    assert ["Beans" in one.words for one in read] == [True, False, False] and "Cocoa" in read[1].words


@pytest.mark.skipif(not words.available(), reason="needs the extra text")
def test_a_price_whose_digits_do_not_tell_is_not_read() -> None:
    photo = shelf((), ())
    place = np.array([(60, RAIL), (190, RAIL), (190, RAIL + 62), (60, RAIL + 62)], np.float32)
    assert read_label(photo, place) == LabelText()
    cv2.rectangle(photo, (60, RAIL), (190, RAIL + 62), (226, 226, 220), -1)
    cv2.putText(photo, "2490", (72, RAIL + 46), cv2.FONT_HERSHEY_DUPLEX, 1.3, (20, 20, 20), 2, cv2.LINE_AA)
    assert read_label(photo, place).price is None
    cv2.rectangle(photo, (60, RAIL), (190, RAIL + 62), (226, 226, 220), -1)
    cv2.putText(photo, "24.90", (70, RAIL + 44), cv2.FONT_HERSHEY_DUPLEX, 1.1, (20, 20, 20), 2, cv2.LINE_AA)
    assert read_label(photo, place).price == 24.9
