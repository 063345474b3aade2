"""Crops grouped by looks: groups are what was drawn, sisters apart, at any number of crops."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from index import laid_over, sameness
from index.clustering import look_alikes
from index.rerank import agreeing_features, agreeing_places, decode_features, local_features

SIDE = 120


def pack(design: int, mark: int, photo: int) -> np.ndarray:
    """A facing (SIDE, SIDE, 3) of a pack: texture by `design`, a band by `mark`, noise and light by `photo`."""
    rng = np.random.default_rng(design)
    picture = cv2.resize(rng.integers(0, 256, (12, 12, 3), dtype=np.uint8), (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    for _ in range(40):
        x, y, size = (int(value) for value in (*rng.integers(5, SIDE - 5, 2), rng.integers(4, 14)))
        cv2.rectangle(picture, (x, y), (x + size, y + size), rng.integers(0, 256, 3).tolist(), -1)
    if mark:
        colour = ((220, 30, 30), (30, 30, 220))[mark - 1]
        picture[70:100] = colour
        cv2.putText(picture, "AB"[mark - 1] * 4, (10, 95), cv2.FONT_HERSHEY_SIMPLEX, 0.8, (255, 255, 255), 2)
    light = np.random.default_rng(1000 + photo)
    moved = np.roll(picture, tuple(light.integers(-1, 2, 2)), (0, 1)).astype(float) * light.uniform(0.8, 1.2)
    return np.clip(moved + light.normal(0, 4, picture.shape), 0, 255).astype(np.uint8)


def crops_of(pictures: list[np.ndarray]) -> sameness.Crops:
    """Crops whose vectors are their own small grey pictures, which say little of colour."""
    vectors = np.array([cv2.resize(cv2.cvtColor(one, cv2.COLOR_RGB2GRAY), (16, 16)).ravel() for one in pictures], float)
    vectors -= vectors.mean(axis=1, keepdims=True)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    count = len(pictures)
    return sameness.Crops(
        vectors.astype(np.float32),
        [decode_features(local_features(one)) for one in pictures],
        [laid_over.small(one) for one in pictures],
        np.arange(count),
        np.zeros((count, 4)),
    )


def test_packs_are_grouped_by_design_the_largest_group_first() -> None:
    sizes = {3: 6, 1: 4, 2: 2, 4: 1}
    designs = [design for design, size in sizes.items() for _ in range(size)]
    order = np.random.default_rng(0).permutation(len(designs))
    shown = np.array(designs)[order]
    found = look_alikes(crops_of([pack(int(design), 0, at) for at, design in enumerate(shown)]))
    assert [sorted(set(shown[rows].tolist())) for rows in found] == [[3], [1], [2], [4]]
    assert sorted(np.concatenate(found).tolist()) == list(range(len(designs)))
    assert all((np.diff(rows) > 0).all() for rows in found)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_crops_are_no_other_case(count: int) -> None:
    found = look_alikes(crops_of([pack(at, 0, at) for at in range(count)])) if count else []
    assert [rows.tolist() for rows in found] == [[at] for at in range(count)]


def test_the_mark_of_a_sister_shows_once_one_lies_on_the_other() -> None:
    same, sister = (pack(5, 1, 1), pack(5, 1, 2)), (pack(5, 1, 1), pack(5, 2, 3))
    laid = []
    for one, other in (same, sister):
        features = [decode_features(local_features(each)) for each in (one, other)]
        laid.append(laid_over.lay(laid_over.small(one), laid_over.small(other), *features))
    assert laid[1].agreeing > 20, "most of the template agrees, which is why counting alone cannot tell them apart"
    assert laid[1].measures[2] > laid[0].measures[2] + 10  # colour of the parts, upper fifth
    assert laid[0].measures[0] > laid[1].measures[0]  # lines of the parts, lower quartile


def test_places_that_agree_are_those_that_are_counted() -> None:
    one, other = (decode_features(local_features(pack(7, 0, photo))) for photo in (1, 2))
    places, targets = agreeing_places(one, other)
    assert len(places) == len(targets) >= agreeing_features(one, other) > 20  # those of another colour count for less
    assert np.median(np.abs((targets - places) - np.median(targets - places))) < 3  # one shift moves them all


def test_what_is_known_of_pairs_is_carried_over() -> None:
    known = sameness.Pairs(np.array([[0, 1], [2, 5]]), np.array([7, 9]), np.ones((2, laid_over.MEASURES)))
    more = known.extended(np.array([[0, 1], [0, 2], [2, 5]]))
    assert more.agreeing.tolist() == [7, -1, 9]
    assert np.isnan(more.measures[1]).all() and (more.measures[[0, 2]] == 1).all()


def test_near_pairs_name_each_pair_once() -> None:
    vectors = np.linalg.qr(np.random.default_rng(0).normal(size=(9, 9)))[0].astype(np.float32)
    vectors[1] = vectors[0]
    pairs = sameness.near_pairs(vectors, 2)
    assert (pairs[:, 0] < pairs[:, 1]).all() and len(np.unique(pairs, axis=0)) == len(pairs)
    assert [0, 1] in pairs.tolist()
    assert sameness.near_pairs(vectors[:1], 2).shape == (0, 2)
