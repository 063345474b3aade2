"""Facings vote: which crops of a photo are neighbours, and what their evidence comes to together."""

from __future__ import annotations

import numpy as np
import pytest

from index.facings import MOST, NEW, beside, links, pooled

BOXES = np.array([[0, 0, 40, 100], [44, 2, 40, 98], [90, 0, 38, 104], [0, 120, 40, 100], [400, 0, 40, 100]], float)


def test_boxes_beside_and_above_each_other() -> None:
    found = beside(BOXES)
    assert found[0, 1] and found[1, 2] and found[0, 3]
    assert not found[0, 2]  # one stands between them
    assert not found[2, 3] and not found[2, 4]
    assert not beside(np.array([[0, 0, 40, 100], [44, 0, 40, 160]], float))[0, 1]  # another size


def test_neighbours_that_look_alike_are_linked() -> None:
    same, other = np.array([1.0, 0.0]), np.array([0.6, 0.8])
    found = links(np.stack([same, same, other, same, same]), BOXES)
    assert found[0, 1] == found[1, 0] == found[0, 3] == pytest.approx(MOST, abs=0.01)
    assert found[1, 2] < 0.01
    assert found[0, 4] == found[0, 2] == found[0, 0] == 0
    assert links(np.empty((0, 2)), np.empty((0, 4))).shape == (0, 0)


def linked(count: int, same: float) -> np.ndarray:
    return np.where(np.eye(count, dtype=bool), 0.0, same)


def test_one_neighbour_by_hand() -> None:
    given = np.array([[0.6, 0.3, 0.1], [0.8, 0.1, 0.1]])
    found = pooled(np.array([[1, 2], [1, 2]]), given, linked(2, 0.9))
    said = given[0] * (0.9 * given[1] + 0.1 / 3) ** NEW
    np.testing.assert_allclose(found.probabilities[0], said / said.sum())
    assert found.owners.tolist() == [1, 2] and not found.odd.any()
    assert (found.probabilities[:, 0] > given[:, 0]).all()


def test_what_is_not_linked_says_nothing_and_rows_sum_to_one() -> None:
    owners = np.array([[5, 9], [7, -1]])
    given = np.array([[0.9, 0.05, 0.05], [0.6, 0.0, 0.4]])
    found = pooled(owners, given, linked(2, 0.0))
    assert found.owners.tolist() == [5, 7, 9]
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1)
    assert found.probabilities[0, 0] == pytest.approx(0.9, abs=0.01)
    assert found.probabilities[1, 1] == pytest.approx(0.6, abs=0.01)


def test_an_odd_one_is_marked_and_keeps_its_answer() -> None:
    owners = np.tile([5, 9], (3, 1))
    given = np.array([[0.9, 0.05, 0.05], [0.9, 0.05, 0.05], [0.3, 0.65, 0.05]])
    found = pooled(owners, given, linked(3, 0.95))
    assert found.odd.tolist() == [False, False, True]
    np.testing.assert_allclose(found.probabilities[2], given[2])


def test_a_photo_without_crops() -> None:
    found = pooled(np.empty((0, 2), int), np.empty((0, 3)), np.empty((0, 0)))
    assert found.probabilities.shape == (0, 1) and found.odd.tolist() == []
