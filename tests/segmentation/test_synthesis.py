from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from retail_seg.segmentation.training.synthesis import (
    CutOut,
    SceneSource,
    SceneStyle,
    compose,
    cut_out,
    paint_out,
    source_of,
)

COLOURS = ((220, 30, 30), (30, 200, 40), (40, 60, 230))
STYLE = SceneStyle(real=0.0, on_photo=0.0, touching=1.0, overlapping=0.0, things=(3, 6), light=0.0)


def disc(colour: tuple[int, int, int], side: int = 96) -> CutOut:
    rgba = np.zeros((side, side, 4), np.uint8)
    rgba[:, :, :3] = colour
    cv2.circle(rgba, (side // 2, side // 2), side // 2 - 3, (*colour, 255), -1)
    return CutOut.from_rgba(rgba)


@pytest.fixture
def source() -> SceneSource:
    return SceneSource(tuple(disc(c) for c in COLOURS), (np.full((300, 300, 3), 90, np.uint8),))


def annotated_photo() -> tuple[np.ndarray, np.ndarray]:
    photo = np.full((240, 320, 3), (60, 70, 80), np.uint8)
    labels = np.zeros((240, 320), np.int32)
    for value, (x, y, colour) in enumerate(((80, 90, COLOURS[0]), (220, 150, COLOURS[1])), 1):
        cv2.circle(photo, (x, y), 40, colour, -1)
        cv2.circle(labels, (x, y), 40, value, -1)
    return photo, labels


def contacts(labels: np.ndarray) -> list[int]:
    """For each instance the number of others within two pixels."""
    found = []
    for value in np.unique(labels)[1:]:
        near = cv2.dilate((labels == value).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
        found.append(len(set(np.unique(labels[near])) - {0, value}))
    return found


def test_the_same_seed_gives_the_same_scene(source: SceneSource) -> None:
    style = SceneStyle(real=0, on_photo=0)
    first, second = (compose(source, style, (160, 128), np.random.default_rng(5)) for _ in range(2))
    other = compose(source, style, (160, 128), np.random.default_rng(6))
    assert np.array_equal(first[0], second[0]) and np.array_equal(first[1], second[1])
    assert first[0].shape == (128, 160, 3) and first[0].dtype == np.uint8 and first[1].shape == (128, 160)
    assert not np.array_equal(first[0], other[0])


def test_things_touch_without_covering_one_another(source: SceneSource) -> None:
    touched, areas = [], []
    for seed in range(12):
        _, labels = compose(source, replace(STYLE, scale=(0.6, 0.6)), (256, 256), np.random.default_rng(seed))
        touched += [n > 0 for n in contacts(labels)]
        inner = [np.count_nonzero(labels == v) for v in np.unique(labels)[1:]]
        areas += [max(inner) / min(inner)]
    assert np.mean(touched) > 0.8
    assert np.median(areas) < 1.3  # equal discs stay equal: nothing is hidden


def test_overlap_stays_below_its_limit(source: SceneSource) -> None:
    style = replace(STYLE, touching=0.0, overlapping=1.0, scale=(0.6, 0.6), max_overlap=0.15, things=(2, 2))
    shares = []
    for seed in range(20):
        _, labels = compose(source, style, (256, 256), np.random.default_rng(seed))
        areas = [np.count_nonzero(labels == v) for v in np.unique(labels)[1:]]
        if len(areas) == 2:
            shares.append(min(areas) / max(areas))
    assert len(shares) > 10 and min(shares) > 0.75 and min(shares) < 0.97


def test_labels_lie_where_the_things_were_pasted(source: SceneSource) -> None:
    for seed in range(6):
        picture, labels = compose(source, STYLE, (256, 256), np.random.default_rng(seed))
        inner = cv2.erode((labels > 0).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
        colourful = picture.astype(int).max(2) - picture.astype(int).min(2)
        assert np.mean(colourful[inner] > 40) > 0.97
        assert np.mean(colourful[cv2.dilate((labels > 0).astype(np.uint8), np.ones((5, 5))) == 0] > 40) < 0.02


def test_real_views_keep_photo_and_labels_together() -> None:
    source = source_of(*annotated_photo())
    for seed in range(8):
        picture, labels = compose(source, replace(STYLE, real=1.0), (160, 160), np.random.default_rng(seed))
        colourful = (picture.astype(int).max(2) - picture.astype(int).min(2)) > 60
        assert np.mean(colourful == (labels > 0)) > 0.97


def test_cut_outs_hold_one_thing_each_and_backgrounds_none() -> None:
    photo, labels = annotated_photo()
    cutouts = cut_out(photo, labels)
    assert len(cutouts) == 2
    for cutout, colour in zip(cutouts, COLOURS, strict=False):
        rgba = cutout.levels[0]
        assert np.abs(rgba[rgba[:, :, 3] > 250][:, :3].mean(0) - colour).max() < 5
        assert len(cutout.levels) >= 2 and cutout.levels[1].shape[0] == rgba.shape[0] // 2
    empty = paint_out(photo, labels)
    assert np.abs(empty.astype(int) - (60, 70, 80)).max() < 12
