"""Labelled photos ► scores of segmentation, as one JSON of numbers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from retail_seg.photos.load import load_photo
from retail_seg.segmentation.annotations import AnnotatedPhoto
from retail_seg.segmentation.instances.instances import Instances
from retail_seg.segmentation.scores import PhotoScore, Scores, combine, score_photo

#: Anything that takes photos apart: a Segmenter's `segment`, or another method to hold it against.
SegmentFunction = Callable[[np.ndarray], Instances]


@dataclass(frozen=True)
class PhotoResult:
    """Score of one photo, the seconds from its pixels to its instances, and how many of its instances are boxes."""

    name: str
    score: PhotoScore
    seconds: float
    boxes: int = 0


@dataclass(frozen=True)
class SegmentationResult:
    """Scores of each photo, and of all of them."""

    photos: tuple[PhotoResult, ...]

    @property
    def scores(self) -> Scores:
        """Scores over all photos."""
        return combine(photo.score for photo in self.photos)

    @property
    def by_boxes(self) -> int:
        """How many of the true instances are boxes, and matched by the box around what was found."""
        return sum(photo.boxes for photo in self.photos)

    def to_dict(self) -> dict[str, Any]:
        """Scores and the median time per photo (the first one also warms the network up)."""
        seconds = float(np.median([photo.seconds for photo in self.photos])) if self.photos else 0.0
        return {**self.scores.rounded(), "seconds_per_photo": round(seconds, 4), "by_boxes": self.by_boxes}

    def table(self) -> str:
        """A line a photo, then the scores, for people."""
        width = max([len(photo.name) for photo in self.photos] + [5])
        lines = [f"{'photo':{width}}  true  found  fg IoU  F1 .5  F1 .75     s"]
        for photo in self.photos:
            one = combine([photo.score])
            counts = f"{photo.score.n_true:4}  {photo.score.n_pred:5}"
            values = f"{one.fg_iou:6.3f}  {one.f1_50:5.3f}  {one.f1_75:6.3f}  {photo.seconds:4.2f}"
            lines.append(f"{photo.name:{width}}  {counts}  {values}")
        lines += [f"{name:{width}}  {value:.4f}" for name, value in self.scores.rounded().items() if name != "photos"]
        if self.by_boxes:
            total = sum(photo.score.n_true for photo in self.photos)
            lines.append(
                f"{self.by_boxes} of the {total} true instances are boxes: they are matched by the boxes around what "
                "was found, and fg_iou and dice take all of a box for product"
            )
        return "\n".join(lines)


def evaluate_segmentation(segment: SegmentFunction, annotated: Iterable[AnnotatedPhoto]) -> SegmentationResult:
    """Score `segment` on annotated photos, at the photos' own size. Raises PhotoError for one that cannot be read."""
    return SegmentationResult(tuple(_one(segment, photo) for photo in annotated))


def _one(segment: SegmentFunction, photo: AnnotatedPhoto) -> PhotoResult:
    pixels = load_photo(photo.path)
    begun = time.perf_counter()
    found = segment(pixels)
    seconds = time.perf_counter() - begun
    return PhotoResult(photo.name, score_photo(photo.labels, found.labels, photo.boxes), seconds, len(photo.boxes))
