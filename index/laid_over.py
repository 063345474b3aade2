"""Two crops laid on each other, and what differs then: sisters share a template, so that most of their features agree.

What tells them apart is a part of the picture: a fruit, a band of another colour, a word. One crop is warped onto the
other by the features that agree, light and cast are taken out, and the two are compared part by part: how alike the
lines of a part are (normalised correlation, at the best of small shifts) and how far its colour is off.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from index.rerank import FEATURE_SIDE, LocalFeatures, agreeing_places

#: Pixels of the square that a crop is squeezed to, and parts of a side.
SIDE, PARTS = 64, 8
#: Numbers that say how two crops differ once they lie on each other; see `Laid`.
MEASURES = 5

_SHIFT = 2  # pixels by which a part may be off after the warp
_FEWEST = 4  # agreeing features from which on they say how one crop lies on the other
_STIFF = (90.0, 90.0, 0.5)  # features' worth (squared pixels) that the plain box speaks with against them
_COVERED = 0.8  # share of a part's pixels that both crops have
_LEAST_PARTS = 12
_FLAT = 2.0  # units of L* by which a part's pixels vary at least, to have lines


@dataclass(frozen=True)
class Small:
    """A crop as it is compared: CIELAB float32 (SIDE, SIDE, 3), slightly blurred, and what brings places of its local
    features to its pixels, float (2,).
    """

    lab: np.ndarray
    scale: np.ndarray


@dataclass(frozen=True)
class Laid:
    """How two crops differ once one lies on the other.

    agreeing  features that follow one similarity
    measures  (MEASURES,) lower quartile and median of the parts' correlation; upper fifth and median of the parts'
              distance in colour; median distance in lightness, each after the cast is taken out
    """

    agreeing: int
    measures: np.ndarray


def small(crop: np.ndarray) -> Small:
    """An RGB uint8 crop (h, w, 3) as `lay` compares it."""
    height, width = crop.shape[:2]
    squeezed = cv2.resize(crop, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    blurred = cv2.GaussianBlur(squeezed, (0, 0), 0.7).astype(np.float32) / 255
    factor = FEATURE_SIDE / max(height, width)
    sides = np.array([max(8, round(width * factor)), max(8, round(height * factor))])
    return Small(cv2.cvtColor(blurred, cv2.COLOR_RGB2LAB), SIDE / sides)


def lay(one: Small, other: Small, features: LocalFeatures, others: LocalFeatures) -> Laid:
    """Lay `other` on `one` by their local features, or box on box where too few of those agree."""
    places, targets = agreeing_places(features, others)
    warp = np.eye(2, 3)
    if len(places) >= _FEWEST:
        warp = _affine(_points(places, one.scale), _points(targets, other.scale))
    return Laid(len(places), _differences(one.lab, other.lab, warp))


def _points(places: np.ndarray, scale: np.ndarray) -> np.ndarray:
    return np.stack([places.real, places.imag], 1).astype(float) * scale


def _affine(points: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """The affine map (2, 3) that brings points (n, 2) to targets, by least squares shrunk towards the box's own."""
    centre = np.full(2, SIDE / 2)
    rows = np.c_[points - centre, np.ones(len(points))]
    stiff = np.diag(_STIFF)
    found = np.linalg.solve(rows.T @ rows + stiff, rows.T @ (targets - centre) + stiff @ np.eye(3, 2))
    turn, shift = found[:2].T, found[2] + centre
    return np.c_[turn, shift - turn @ centre]


def _differences(one: np.ndarray, other: np.ndarray, warp: np.ndarray) -> np.ndarray:
    """The measures (MEASURES,) of `Laid`; NaN where too little of one is covered by the other."""
    size, flags = (SIDE, SIDE), cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    moved = cv2.warpAffine(other, warp, size, flags=flags, borderMode=cv2.BORDER_CONSTANT, borderValue=(-999, 0, 0))
    there = moved[..., 0] >= 0
    covered = _means(there.astype(np.float32)) >= _COVERED
    if covered.sum() < _LEAST_PARTS:
        return np.full(MEASURES, np.nan)
    moved = moved - np.median((moved - one)[there], axis=0)
    moved[~there] = one[~there]
    off = np.abs(_means(one) - _means(moved))[covered]
    colour = np.hypot(off[:, 1], off[:, 2])
    alike = _correlation(one[..., 0], moved[..., 0])
    alike = alike[covered & np.isfinite(alike)]
    lines = np.quantile(alike, [0.25, 0.5]) if len(alike) else np.full(2, 0.5)
    return np.array([*lines, *np.quantile(colour, [0.8, 0.5]), np.median(off[:, 0])])


def _means(values: np.ndarray) -> np.ndarray:
    """Means of the parts (PARTS, PARTS, …) of a square (SIDE, SIDE, …)."""
    return cv2.resize(values, (PARTS, PARTS), interpolation=cv2.INTER_AREA)


def _correlation(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Normalised correlation (PARTS, PARTS) of parts, at the best of small shifts; NaN where a part has no lines."""
    level = np.kron(_means(one), np.ones((SIDE // PARTS, SIDE // PARTS), np.float32))
    flat = one - level
    own = _means(flat * flat)
    padded = cv2.copyMakeBorder(other, _SHIFT, _SHIFT, _SHIFT, _SHIFT, cv2.BORDER_REPLICATE)
    best = np.full((PARTS, PARTS), -1.0, np.float32)
    for down in range(2 * _SHIFT + 1):
        for across in range(2 * _SHIFT + 1):
            shifted = padded[down : down + SIDE, across : across + SIDE]
            mean = _means(shifted)
            spread = np.maximum(_means(shifted * shifted) - mean * mean, 1e-3)
            best = np.maximum(best, _means(flat * shifted) / np.sqrt(spread * np.maximum(own, 1e-3)))
    return np.where(own >= _FLAT**2, best, np.nan)
