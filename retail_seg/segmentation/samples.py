"""Annotated photos ► samples at working size: a picture RGB uint8 (h, w, 3) and its labels int32 (h, w)."""

from __future__ import annotations

import numpy as np

from retail_seg.photos.load import load_photo
from retail_seg.segmentation.annotations import AnnotatedPhoto
from retail_seg.segmentation.segmenter import resized, working_size
from retail_seg.segmentation.training.targets import shrink_labels

#: RGB uint8 (h, w, 3) and labels (h, w) int32 of the same size.
Sample = tuple[np.ndarray, np.ndarray]


def at_working_size(annotated: AnnotatedPhoto, side: float) -> Sample:
    """Photo and labels with the longer side `side`, the labels by majority."""
    return resized_sample((load_photo(annotated.path), annotated.labels), int(side))


def resized_sample(sample: Sample, side: int) -> Sample:
    """The sample with its longer side `side`, the labels by majority."""
    picture, labels = sample
    height, width = working_size(labels.shape[0], labels.shape[1], side)
    return resized(picture, width, height), shrink_labels(labels, width, height)
