"""Scores on held-back samples, and the thresholds that do best on them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from retail_seg.segmentation.boxes import IGNORE
from retail_seg.segmentation.instances.grouping import Candidates, Maps, Thresholds, candidates, group, select, split
from retail_seg.segmentation.instances.wholeness import Wholeness
from retail_seg.segmentation.instances.zoom import FirstLook
from retail_seg.segmentation.scores import score
from retail_seg.segmentation.segmenter import Segmenter
from retail_seg.segmentation.training.fitting import Sample

#: Values that are tried for each threshold, one after the other.
GRID: dict[str, tuple[float, ...]] = {
    "merge": (0.3, 0.4, 0.5, 0.6, 0.7, 0.8),
    "join": (0.0, 0.15, 0.25, 0.4, 0.6),
    "min_area": (1e-4, 2e-4, 4e-4, 8e-4, 1.6e-3),
    "min_confidence": (0.3, 0.4, 0.5, 0.6, 0.7, 0.8),
    "sliver": (0.0, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4),
}
#: The same where wholeness is learned: all that is left to tune is what an instance must be worth.
WORTHS = (0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55)
FOREGROUND = (0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65)
#: A threshold leaves its default only for a gain in score larger than this: with some forty samples, three scenes
#: whose counts turn right are worth .03; what was tuned for less did worse than the default on photos not seen.
WORTH = 0.03
#: The same for the foreground's IoU, which is a mean over many pixels.
WORTH_FOREGROUND = 0.002
#: A photo's things are small where they are so many times smaller than those that the network was trained on.
SMALLER = 0.6


@dataclass(frozen=True)
class HeldSample:
    """A held-back sample with what the network says about it at working size; labels (h, w) int32 of that size."""

    maps: Maps
    labels: np.ndarray


def look_at(segmenter: Segmenter, samples: Sequence[Sample]) -> list[HeldSample]:
    """The network's maps of samples (RGB uint8, labels int32) of working size; what they ignore counts as ground."""
    return [_seen(segmenter.maps(picture), labels) for picture, labels in samples]


def _seen(maps: Maps, labels: np.ndarray) -> HeldSample:
    if (labels == IGNORE).any():
        maps = replace(maps, foreground=np.where(labels == IGNORE, 0, maps.foreground))
    return HeldSample(maps, np.maximum(labels, 0))


def tune(
    held: Sequence[HeldSample],
    start: Thresholds,
    seconds: float = 60.0,
    clock: Callable[[], float] = time.monotonic,
    wholeness: Wholeness | None = None,
) -> Thresholds:
    """The thresholds that score best on `held`, searched one after the other from `start` while `seconds` last.

    A network that learned small things needs no closer look at them: `small` follows the sizes in `held`.
    """
    end = clock() + seconds
    start = replace(start, small=min(start.small, SMALLER * typical_size(held)))
    overlap = {value: foreground_iou(held, value) for value in FOREGROUND}
    best_value = max(overlap, key=lambda value: overlap[value])
    if overlap[best_value] > overlap.get(start.foreground, 0.0) + WORTH_FOREGROUND:
        start = replace(start, foreground=best_value)
    regions = [split(h.maps, start.foreground) for h in held]
    if wholeness is not None:
        return _tuned_worth(held, regions, start, wholeness)
    best, best_score = start, quality(held, regions, start)
    for name, values in GRID.items():
        if clock() > end:
            break
        tried = {value: quality(held, regions, replace(best, **{name: value})) for value in values}
        value = max(tried, key=lambda v: tried[v])
        if tried[value] > best_score + WORTH:
            level = [v for v in values if tried[v] > tried[value] - 1e-9]
            best, best_score = replace(best, **{name: level[len(level) // 2]}), tried[value]
    return best


def _tuned_worth(
    held: Sequence[HeldSample], regions: Sequence[np.ndarray], start: Thresholds, wholeness: Wholeness
) -> Thresholds:
    """The start with the worth of an instance that scores best; its candidates are looked at once."""
    some = [candidates(r, h.maps, start, wholeness) if r.any() else None for h, r in zip(held, regions, strict=True)]
    tried = {
        value: _quality(held, [_chosen(c, r, value) for c, r in zip(some, regions, strict=True)]) for value in WORTHS
    }
    before = tried.get(start.min_confidence, 0.0)
    value = max(tried, key=lambda v: tried[v])
    return replace(start, min_confidence=value) if tried[value] > before + WORTH else start


def _chosen(candidates: Candidates | None, regions: np.ndarray, worth: float) -> np.ndarray:
    return candidates.choose(worth)[0] if candidates is not None else regions


def typical_size(held: Sequence[HeldSample]) -> float:
    """Median diameter of the instances of samples, as a share of the working side; infinite without any."""
    sizes = [FirstLook.at(max(h.labels.shape), np.maximum(h.labels, 0)).diameters for h in held]
    return float(np.median(np.concatenate(sizes))) if any(len(one) for one in sizes) else float("inf")


def foreground_iou(held: Sequence[HeldSample], limit: float) -> float:
    """Mean IoU of foreground over samples."""
    values = []
    for h in held:
        a, b = (h.maps.foreground > limit) & (h.labels != IGNORE), h.labels > 0
        values.append((a & b).sum() / max(int((a | b).sum()), 1))
    return float(np.mean(values)) if values else 0.0


def quality(held: Sequence[HeldSample], regions: Sequence[np.ndarray], thresholds: Thresholds) -> float:
    """What tuning raises: mean of F1 at IoU .5 and .75 and of the share of samples with the exact count."""
    return _quality(held, [select(r, h.maps, thresholds)[0] for h, r in zip(held, regions, strict=True)])


def _quality(held: Sequence[HeldSample], found: Sequence[np.ndarray]) -> float:
    s = score((h.labels, labels) for h, labels in zip(held, found, strict=True))
    return (s.f1_50 + s.f1_75 + s.exact_count) / 3


def score_held(
    held: Sequence[HeldSample], thresholds: Thresholds, wholeness: Wholeness | None = None
) -> dict[str, float]:
    """Scores at working size of held-back samples, see scores.Scores."""
    return dict(score((h.labels, group(h.maps, thresholds, wholeness)[0]) for h in held).rounded())
