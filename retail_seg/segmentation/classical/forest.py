"""A random forest on pixel features: learned, but not a network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np

from retail_seg.errors import MissingExtraError

#: Pixels of each photo that the forest learns from, half of them things, and its size.
PIXELS, TREES, DEPTH = 3000, 40, 14


def features(photo: np.ndarray) -> np.ndarray:
    """Colour, gradient and texture at three scales of every pixel of a photo: (h, w, f) float32."""
    from skimage.feature import multiscale_basic_features

    lab = cv2.cvtColor(photo, cv2.COLOR_RGB2LAB)
    found = multiscale_basic_features(lab, channel_axis=2, sigma_min=1, sigma_max=8, num_sigma=3, workers=1)
    return np.asarray(found, np.float32)


def fit_forest(samples: Sequence[tuple[np.ndarray, np.ndarray]]) -> Callable[..., np.ndarray]:
    """A function photo ► mask that a forest has learned from photos and their labels (h, w) int32.

    Its knob `sure` is the share of trees that have to agree. Raises MissingExtraError without scikit-learn.
    """
    forest = _classifier()
    rng = np.random.default_rng(0)
    rows, truths = [], []
    for photo, labels in samples:
        at = _balanced(labels.ravel() > 0, rng)
        rows.append(features(photo).reshape(labels.size, -1)[at])
        truths.append(labels.ravel()[at] > 0)
    forest.fit(np.concatenate(rows), np.concatenate(truths))

    def find(photo: np.ndarray, sure: float = 0.5) -> np.ndarray:
        likely = forest.predict_proba(features(photo).reshape(photo.shape[0] * photo.shape[1], -1))
        thing = likely[:, list(forest.classes_).index(True)] if True in forest.classes_ else np.zeros(len(likely))
        return np.asarray(thing.reshape(photo.shape[:2]) > sure)

    return find


def _classifier() -> Any:
    try:
        from sklearn.ensemble import RandomForestClassifier
    except ImportError:
        raise MissingExtraError(
            'the random forest needs scikit-learn, which is not installed: pip install "retail-seg[compare]"'
        ) from None
    return RandomForestClassifier(TREES, max_depth=DEPTH, random_state=0, n_jobs=1)


def _balanced(things: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Indices of PIXELS pixels at most, as many of things as of ground where there are enough."""
    kinds = [np.flatnonzero(things), np.flatnonzero(~things)]
    return np.concatenate([rng.permutation(kind)[: PIXELS // 2] for kind in kinds])
