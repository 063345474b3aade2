"""Scores on label images small enough to count by hand."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from retail_seg.errors import AnnotationError
from retail_seg.segmentation.boxes import IGNORE
from retail_seg.segmentation.scores import THRESHOLDS, combine, match_instances, pair_iou, score, score_photo


def row(*values: int) -> np.ndarray:
    return np.array([values], np.int32)


def test_pair_iou_counts_pixels() -> None:
    iou = pair_iou(row(1, 1, 1, 0, 2, 2), row(5, 5, 0, 0, 5, 9))
    assert iou.tolist() == [[2 / 4, 0.0], [1 / 4, 1 / 2]]


def test_perfect_prediction_scores_one() -> None:
    true = row(0, 1, 1, 2, 2, 0)
    got = score([(true, true * 7)])
    assert (got.fg_iou, got.dice, got.f1_50, got.f1_75, got.f1_90) == (1, 1, 1, 1, 1)
    assert (got.ap, got.pq, got.exact_count, got.count_error, got.photos) == (1, 1, 1, 0, 1)


def test_hand_counted_scores() -> None:
    """Truth: two instances of 4 pixels. Found: one with IoU .75, one with none, one touching the other with .25."""
    true = row(1, 1, 1, 1, 0, 0, 2, 2, 2, 2)
    pred = row(1, 1, 1, 0, 3, 0, 2, 0, 0, 0)
    got = score([(true, pred)])
    assert got.fg_iou == pytest.approx(4 / 9)
    assert got.dice == pytest.approx(2 * 4 / (8 + 5))
    assert got.f1_50 == pytest.approx(2 * 1 / (2 + 3))
    assert got.f1_75 == pytest.approx(2 / 5)
    assert got.f1_90 == 0
    assert got.ap == pytest.approx((6 * (1 / 4)) / 10)  # .50 to .75 hit one of four, .80 to .95 none
    assert got.pq == pytest.approx(0.75 / 2.5)
    assert (got.exact_count, got.count_error) == (0, 1)


def test_merging_and_splitting_cost() -> None:
    two, one = row(1, 1, 1, 2, 2, 2), row(1, 1, 1, 1, 1, 1)
    assert score([(two, one)]).f1_50 == pytest.approx(2 / 3)
    assert score([(one, two)]).f1_75 == 0


def test_photos_add_up_by_instances_and_average_by_photo() -> None:
    good, empty = row(1, 1, 0, 2), row(0, 0, 0, 0)
    got = combine([score_photo(good, good), score_photo(good, empty), score_photo(empty, row(1, 0, 0, 0))])
    assert got.f1_50 == pytest.approx(2 * 2 / (4 + 3))
    assert got.fg_iou == pytest.approx(1 / 3)
    assert got.exact_count == pytest.approx(1 / 3)
    assert got.count_error == pytest.approx((0 + 2 + 1) / 3)
    assert got.photos == 3


def test_matching_takes_the_best_total_not_the_first() -> None:
    iou = np.array([[0.9, 0.8], [0.85, 0.0]])
    rows, columns = match_instances(iou, 0.5)
    assert list(zip(rows, columns, strict=True)) == [(0, 1), (1, 0)]


def test_no_photos_and_no_instances() -> None:
    assert score([]).photos == 0
    nothing = score([(row(0, 0), row(0, 0))])
    assert (nothing.exact_count, nothing.f1_50, nothing.count_error) == (1, 0, 0)


def test_sizes_must_agree() -> None:
    with pytest.raises(AnnotationError, match="differ in shape"):
        score_photo(row(1, 1), row(1, 1, 0))


def test_agrees_with_the_reference_scorer() -> None:
    tool = Path(__file__).parents[3] / "shared/tools/score_instances.py"
    if not tool.exists():
        pytest.skip("../shared/tools/score_instances.py is not here")
    spec = importlib.util.spec_from_file_location("score_instances", tool)
    assert spec is not None and spec.loader is not None
    reference = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(reference)
    rng = np.random.default_rng(3)
    true = [np.kron(rng.integers(0, 6, (8, 8)), np.ones((5, 5), int)) for _ in range(4)]
    pred = [np.where(rng.random(t.shape) < 0.12, rng.integers(0, 7, t.shape), t) for t in true]
    ours = score(zip(true, pred, strict=True)).rounded()
    theirs = reference.scores(list(zip(true, pred, strict=True)))
    assert {name: ours[name] for name in theirs} == pytest.approx(theirs, abs=1e-4)


def test_boxes_are_matched_by_the_box_around_what_was_found() -> None:
    true, found = np.zeros((20, 40), np.int32), np.zeros((20, 40), np.int32)
    true[2:18, 2:18], true[2:18, 22:38] = 5, 9
    yy, xx = np.mgrid[:20, :40]
    found[(yy - 9.5) ** 2 + (xx - 9.5) ** 2 < 64] = 1  # a disc that reaches the four sides of the first box
    found[2:18, 22:38] = 2
    assert combine([score_photo(true, found)]).f1_90 == 0.5
    assert combine([score_photo(true, found, {5: (2, 2, 16, 16)})]).f1_90 == 1


def test_what_is_to_be_ignored_counts_neither_way() -> None:
    true, found = np.zeros((20, 40), np.int32), np.zeros((20, 40), np.int32)
    true[2:18, 2:18], true[:, 20:] = 1, IGNORE
    found[2:18, 2:24], found[2:18, 26:38] = 1, 2
    one = score_photo(true, found)
    assert (one.n_true, one.n_pred, one.hits[THRESHOLDS.index(0.85)]) == (1, 1, 1)
    assert one.fg_iou == pytest.approx(256 / 288)
