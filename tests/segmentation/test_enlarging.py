"""Instances in windows against one picture of the strongest shares, and their masks against one picture of labels."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from scipy.ndimage import find_objects

from retail_seg.segmentation.instances.enlarging import _share, enlarged
from retail_seg.segmentation.instances.instances import Instances


def crowd(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Working labels of ellipses that cover each other, one number left out, and a mask of another size."""
    rng = np.random.default_rng(seed)
    labels = np.zeros((60, 80), np.int32)
    for value in (1, 2, 3, 5, 6, 7, 8, 9):
        centre, axes = rng.integers(0, (80, 60)), rng.integers(4, 22, 2)
        cv2.ellipse(labels, centre.tolist(), axes.tolist(), float(rng.uniform(0, 180)), 0, 360, value, -1)
    mask = cv2.resize(cv2.GaussianBlur((labels > 0).astype(np.float32), (0, 0), 1.5), (317, 233)) > 0.4
    mask[:, 150:170] = False
    return labels, mask


def painted(labels: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Of each pixel of the mask the label whose share is the largest, the first of equal ones."""
    best, large = np.zeros(mask.shape, np.uint8), np.zeros(mask.shape, np.int32)
    for value, place in enumerate(find_objects(labels), 1):
        if place is not None:
            share, window = _share(labels, value, place, mask.shape[1], mask.shape[0])
            large[window][(share > best[window]) & mask[window]] = value
            np.maximum(best[window], share, out=best[window])
    return large


@pytest.mark.parametrize("seed", range(6))
def test_a_pixel_goes_to_the_strongest_as_in_one_picture(seed: int) -> None:
    labels, mask = crowd(seed)
    expected = painted(labels, mask)
    there = np.unique(expected[expected > 0])
    found = enlarged(labels, mask, np.arange(1, 10, dtype=np.float32) / 10)
    plain = Instances.from_labels(expected)
    np.testing.assert_array_equal(found.labels, plain.labels)
    np.testing.assert_array_equal(found.boxes, plain.boxes)
    assert found.areas.tolist() == plain.areas.tolist() and found.shape == mask.shape
    assert found.confidence.tolist() == pytest.approx((there / 10).tolist())


def test_what_has_no_pixel_left_is_no_instance() -> None:
    labels = np.zeros((20, 30), np.int32)
    labels[2:8, 2:8], labels[10:18, 15:25] = 1, 2
    mask = np.zeros((40, 60), bool)
    mask[20:, :] = True
    found = enlarged(labels, mask, np.array([0.3, 0.7], np.float32))
    assert len(found) == 1 and found.confidence.tolist() == pytest.approx([0.7])
    assert len(enlarged(labels * 0, mask, np.zeros(0, np.float32))) == 0


def test_labels_are_painted_from_masks_and_masks_cut_from_labels() -> None:
    labels = np.array([[0, 7, 7, 0], [3, 7, 0, 3], [3, 3, 3, 3]], np.int32)
    found = Instances.from_labels(labels)
    assert found.labels.tolist() == [[0, 2, 2, 0], [1, 2, 0, 1], [1, 1, 1, 1]]
    assert found.mask(1).tolist() == [[True, True], [True, False]]
    assert found.areas.tolist() == [int(mask.sum()) for mask in found.masks] == [6, 3]
