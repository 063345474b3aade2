"""Closer looks at photos of many small things, and networks run in tiles."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import cv2
import numpy as np
import pytest
from test_segmenter import tiny

from retail_seg.segmentation.instances import zoom
from retail_seg.segmentation.instances.grouping import Thresholds
from retail_seg.segmentation.instances.zoom import RIM, TILE, FirstLook, closer_side, in_tiles, tile_spans
from retail_seg.segmentation.scores import score
from retail_seg.segmentation.segmenter import Segmenter
from retail_seg.segmentation.training.targets import target_maps
from retail_seg.segmentation.training.tuning import HeldSample, typical_size


class BrightThings:
    """A network that sees what is bright and at least `least` pixels wide; `shapes` are the pictures it was shown."""

    def __init__(self, least: int) -> None:
        self.kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (least, least))
        self.shapes: list[tuple[int, ...]] = []

    def __call__(self, pictures: np.ndarray) -> np.ndarray:
        self.shapes.append(pictures.shape[2:])
        seen = cv2.morphologyEx((pictures[0, 0] > 0).astype(np.uint8), cv2.MORPH_OPEN, self.kernel)
        _, labels = cv2.connectedComponents(seen, connectivity=4, ltype=cv2.CV_32S)
        maps = target_maps(labels)
        maps[:3] = np.log(np.clip(maps[:3], 0.01, 0.99) / np.clip(1 - maps[:3], 0.01, 0.99))
        return maps[None]


def bright(labels: np.ndarray) -> np.ndarray:
    return np.repeat(np.where(labels > 0, 230, 20).astype(np.uint8)[:, :, None], 3, axis=2)


def grid(height: int, width: int, pitch: int, diameter: int) -> np.ndarray:
    """Labels of discs apart from each other."""
    labels = np.zeros((height, width), np.int32)
    places = ((x, y) for y in range(pitch // 2, height, pitch) for x in range(pitch // 2, width, pitch))
    for value, place in enumerate(places, 1):
        cv2.circle(labels, place, diameter // 2, value, -1)
    return labels


def seeing(least: int) -> tuple[Segmenter, BrightThings]:
    """A segmenter whose own side is 128."""
    segmenter, network = tiny(side=128), BrightThings(least)
    segmenter.replace_network(network)
    return segmenter, network


@pytest.mark.parametrize("least", [3, 9])
def test_a_crowded_large_photo_is_looked_at_closer(least: int) -> None:
    """Discs of 7 pixels at the usual side: seen and too small, or not seen at all."""
    labels = grid(1024, 1024, 100, 60)
    segmenter, network = seeing(least)
    found = segmenter.segment(bright(labels))
    assert len(network.shapes) == 2 and max(network.shapes[0]) == 128 < max(network.shapes[1]) <= 512
    assert len(found) == labels.max() == 100
    once = segmenter.segment(bright(labels), 128)
    assert score([(labels, once.labels)]).f1_90 < 0.9 < score([(labels, found.labels)]).f1_90


def test_one_tiny_find_leads_to_the_many_that_were_too_small_to_be_seen() -> None:
    labels = grid(2048, 2048, 110, 60)
    cv2.circle(labels, (55, 55), 60, 1, -1)  # one of 7 pixels at the usual side, 360 of less than 4
    segmenter, network = seeing(5)
    found = segmenter.segment(bright(labels))
    assert [max(shape) for shape in network.shapes] == [128, 256]  # of one find only twice as close
    assert len(found) == labels.max() == 361


@pytest.mark.parametrize("shape", [(200, 3000), (3000, 200)])
def test_a_long_narrow_photo_keeps_its_things(shape: tuple[int, int]) -> None:
    labels = grid(*shape, 200, 120)
    segmenter, _ = seeing(3)
    found = segmenter.segment(bright(labels))
    assert len(found) == 15 and score([(labels, found.labels)]).f1_75 == 1


def test_usual_photos_are_looked_at_once() -> None:
    segmenter, network = seeing(3)
    photo = bright(grid(1024, 1024, 256, 160))
    assert len(segmenter.segment(photo)) == 16 and len(network.shapes) == 1
    assert np.array_equal(segmenter.segment(photo).labels, segmenter.segment(photo, 128).labels)


def test_a_photo_without_more_pixels_is_looked_at_once() -> None:
    segmenter, network = seeing(3)
    segmenter.segment(bright(grid(128, 128, 12, 7)))
    assert len(network.shapes) == 1


def test_an_empty_photo_is_looked_at_twice_and_stays_empty() -> None:
    segmenter, network = seeing(3)
    assert len(segmenter.segment(np.full((1000, 800, 3), 20, np.uint8))) == 0
    assert [max(shape) for shape in network.shapes] == [128, 256]


def test_a_given_side_or_a_threshold_of_none_is_one_look() -> None:
    photo = bright(grid(1024, 1024, 100, 60))
    segmenter, network = seeing(3)
    segmenter.segment(photo, 300)
    assert [max(shape) for shape in network.shapes] == [304]  # 300 to a multiple of the stride
    segmenter.thresholds = replace(segmenter.thresholds, small=0.0)
    segmenter.segment(photo)
    assert [max(shape) for shape in network.shapes] == [304, 128]


def test_the_rule() -> None:
    many, tiny_ones = np.full(20, 0.04), np.full(20, 0.001)
    assert closer_side(FirstLook(640, many), 4000, 0.075) == 2004  # 1.67 x .075 / .04: the size that was trained on
    assert closer_side(FirstLook(640, many), 1500, 0.075) == 1500  # never more than the photo has
    assert closer_side(FirstLook(640, tiny_ones), 9000, 0.075) == 2560  # never more than 4 times
    assert closer_side(FirstLook(640, many[:5]), 4000, 0.075) == 1280  # of few finds only twice
    assert closer_side(FirstLook(640, many), 700, 0.075) is None  # not worth it
    assert closer_side(FirstLook(640, np.full(20, 0.101)), 4000, 0.075) is None
    assert closer_side(FirstLook(640, np.full(20, 0.099)), 4000, 0.075) == 810
    mixed = np.array([0.03] * 12 + [0.45] * 8)  # large things beside small ones would fall apart
    assert closer_side(FirstLook(640, mixed), 4000, 0.075) is None
    assert closer_side(FirstLook(640, np.zeros(0)), 4000, 0.075) == 1280


def test_a_third_of_pairs_merged_hardly_changes_what_is_chosen() -> None:
    """150 things, of which the first look sees 100 alone and 50 as 25 pairs, each of twice the area."""
    seen = np.concatenate([np.full(100, 0.03), np.full(25, 0.03 * 2**0.5)])
    alone = closer_side(FirstLook(640, np.full(150, 0.03)), 9000, 0.05)
    assert closer_side(FirstLook(640, seen), 9000, 0.05) == alone == 1781


@pytest.mark.parametrize("pitch", [90, 110, 130, 160, 200])
def test_at_most_two_looks_and_the_second_at_the_size_that_was_trained_on(pitch: int) -> None:
    segmenter, network = seeing(3)
    labels = grid(2000, 2000, pitch, round(0.6 * pitch))
    found = segmenter.segment(bright(labels))
    assert len(network.shapes) == 2 and len(found) == labels.max()
    worked = max(network.shapes[1]) / 128
    size = 0.6 * pitch / 2000 * worked  # as a share of the model's own side
    assert size == pytest.approx(1.67 * segmenter.thresholds.small, rel=0.2) or worked == 4


def test_what_is_large_enough_in_pixels_stays_so_at_a_larger_side() -> None:
    usual = Thresholds(min_area=4e-4)
    assert usual.at(2.0).min_area == 1e-4 and usual.at(0.5) == usual.at(1.0) == usual


def test_the_size_of_small_follows_what_was_trained_on() -> None:
    maps = np.zeros((100, 200), np.float32)
    labels = grid(100, 200, 50, 20)
    assert typical_size([HeldSample(maps, labels)]) == pytest.approx(0.1, rel=0.05)  # type: ignore[arg-type]
    assert typical_size([HeldSample(maps, np.zeros((9, 9), np.int32))]) == float("inf")  # type: ignore[arg-type]


@pytest.mark.parametrize("stride", [1, 16, 64])
@pytest.mark.parametrize("length", [64, 1536, 1600, 2560, 9984])
def test_tiles_cover_a_side_once(length: int, stride: int) -> None:
    spans = tile_spans(length, stride)
    assert len({end - begin for begin, end, _, _ in spans}) == 1
    assert all(0 <= begin <= first < last <= end <= length for begin, end, first, last in spans)
    assert all(begin % stride == 0 and end - begin <= TILE for begin, end, _, _ in spans)
    assert [first for _, _, first, _ in spans] == [0, *(last for *_, last in spans)][:-1] and spans[-1][3] == length
    assert all(a[1] - a[3] >= RIM and b[2] - b[0] >= RIM for a, b in pairwise(spans))


def test_tiles_give_what_the_whole_picture_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zoom, "TILE", 128)
    monkeypatch.setattr(zoom, "RIM", 16)
    picture = np.random.default_rng(0).random((4, 320, 208), np.float32)
    shapes = []

    def network(pictures: np.ndarray) -> np.ndarray:
        shapes.append(pictures.shape)
        return cv2.blur(pictures[0].transpose(1, 2, 0), (15, 15)).transpose(2, 0, 1)[None]

    assert np.allclose(in_tiles(network, picture, 16), network(picture[None])[0], atol=1e-6)
    assert len(shapes) > 6 and len(set(shapes)) == 2 and max(shapes[0][2:]) <= 128


def test_nothing_is_cut_at_a_tiles_border(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zoom, "TILE", 160)
    monkeypatch.setattr(zoom, "RIM", 32)
    labels = np.zeros((600, 800), np.int32)
    cv2.rectangle(labels, (20, 40), (780, 90), 1, -1)  # across all tiles
    cv2.circle(labels, (400, 300), 60, 2, -1)  # where four tiles meet
    cv2.circle(labels, (200, 480), 30, 3, -1)
    segmenter, network = seeing(3)
    found = segmenter.segment(bright(labels), 800)
    assert len(network.shapes) > 8
    scored = score([(labels, found.labels)])
    assert len(found) == 3 and scored.f1_90 == 1 and scored.fg_iou > 0.95
