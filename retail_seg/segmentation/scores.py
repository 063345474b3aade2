"""Scores of predicted instances against the truth: pure functions of integer label images.

Instances are matched one to one by the Hungarian method, at each IoU threshold for itself. Foreground IoU and Dice
are means over photos; F1, AP and PQ count over all instances of all photos (as StarDist's `matching` does for a
data set; PQ: Kirillov et al., Panoptic Segmentation, 2019). Pixels to be ignored count neither way, and a prediction
that lies mostly there is not counted. A true instance that is but a box is matched by the box around the prediction.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from retail_seg.errors import AnnotationError
from retail_seg.segmentation.boxes import Box, box_iou, without_ignored
from retail_seg.segmentation.instances.instances import Instances, dense_labels

#: IoU thresholds over which AP is the mean.
THRESHOLDS = tuple(round(0.5 + 0.05 * i, 2) for i in range(10))


@dataclass(frozen=True)
class PhotoScore:
    """One photo's share: sums, so that photos can be scored apart and added up.

    `hits` counts the matched pairs at each of THRESHOLDS; `quality` is the sum of their IoU at .5.
    """

    fg_iou: float
    dice: float
    n_true: int
    n_pred: int
    hits: tuple[int, ...]
    quality: float


@dataclass(frozen=True)
class Scores:
    """Scores over photos, each in [0, 1] except `count_error` (mean absolute difference of counts per photo)."""

    fg_iou: float
    dice: float
    f1_50: float
    f1_75: float
    f1_90: float
    ap: float
    pq: float
    exact_count: float
    count_error: float
    photos: int

    def rounded(self) -> dict[str, float | int]:
        """The values by name, to four places."""
        return {name: round(value, 4) for name, value in vars(self).items()}


def pair_iou(true: np.ndarray, pred: np.ndarray) -> np.ndarray:
    """IoU of every pair of instances, (n_true, n_pred) float64, of two label images (H, W), 0 = background.

    Rows and columns follow ascending ids. Raises AnnotationError where the sizes differ.
    """
    if true.shape != pred.shape:
        raise AnnotationError(f"label images differ in shape: {true.shape} and {pred.shape}; give the same photo's")
    true_ids, true_at = dense_labels(true)
    pred_ids, pred_at = dense_labels(pred)
    n_true, n_pred = int((true_ids != 0).sum()) + 1, int((pred_ids != 0).sum()) + 1
    inter = np.bincount((true_at * n_pred + pred_at).ravel(), minlength=n_true * n_pred).reshape(n_true, n_pred)
    union = inter.sum(1, keepdims=True) + inter.sum(0, keepdims=True) - inter
    return (inter / np.maximum(union, 1))[1:, 1:]


def match_instances(iou: np.ndarray, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the pairs with at least `threshold` IoU, one to one, of an IoU table (n_true, n_pred)."""
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(-np.where(iou >= threshold, iou, 0))
    good = iou[rows, columns] >= threshold
    return rows[good], columns[good]


def score_photo(true: np.ndarray, pred: np.ndarray, boxes: Mapping[int, Box] | None = None) -> PhotoScore:
    """Score of one photo's label images (H, W); `boxes` are the true instances, by id, that are but boxes."""
    true, pred = without_ignored(true, pred)
    iou = pair_iou(true, pred)
    if boxes:
        _match_boxes(iou, true, pred, boxes)
    a, b = true > 0, pred > 0
    both, either = int((a & b).sum()), int((a | b).sum())
    matched = [match_instances(iou, threshold) for threshold in THRESHOLDS]
    return PhotoScore(
        fg_iou=both / max(either, 1),
        dice=2 * both / max(either + both, 1),
        n_true=iou.shape[0],
        n_pred=iou.shape[1],
        hits=tuple(len(rows) for rows, _ in matched),
        quality=float(iou[matched[0]].sum()),
    )


def _match_boxes(iou: np.ndarray, true: np.ndarray, pred: np.ndarray, boxes: Mapping[int, Box]) -> None:
    """Put the IoU of boxes into the rows of the instances that are boxes."""
    values = dense_labels(true)[0]
    rows = [i for i, number in enumerate(values[values != 0].tolist()) if number in boxes]
    given = np.array([boxes[int(values[values != 0][i])] for i in rows], np.float64).reshape(-1, 4)
    iou[rows] = box_iou(given, Instances.from_labels(pred).boxes.astype(np.float64))


def combine(scored: Iterable[PhotoScore]) -> Scores:
    """Scores over photos; all zero where there are none."""
    photos = list(scored)
    n_true, n_pred = sum(p.n_true for p in photos), sum(p.n_pred for p in photos)
    hits = [sum(p.hits[i] for p in photos) for i in range(len(THRESHOLDS))]
    f1 = {t: 2 * n / max(n_true + n_pred, 1) for t, n in zip(THRESHOLDS, hits, strict=True)}
    count = max(len(photos), 1)
    return Scores(
        fg_iou=sum(p.fg_iou for p in photos) / count,
        dice=sum(p.dice for p in photos) / count,
        f1_50=f1[0.5],
        f1_75=f1[0.75],
        f1_90=f1[0.9],
        ap=sum(n / max(n_true + n_pred - n, 1) for n in hits) / len(THRESHOLDS),
        pq=sum(p.quality for p in photos) / max((n_true + n_pred) / 2, 1),
        exact_count=sum(p.n_true == p.n_pred for p in photos) / count,
        count_error=sum(abs(p.n_true - p.n_pred) for p in photos) / count,
        photos=len(photos),
    )


def score(pairs: Iterable[tuple[np.ndarray, np.ndarray]]) -> Scores:
    """Scores of (true, predicted) label images, each pair of one size."""
    return combine(score_photo(true, pred) for true, pred in pairs)
