"""Pre- and post-processing, each a step of its own: noise removal, opening, closing, holes, small parts, separation."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import cv2
import numpy as np
from scipy.ndimage import binary_fill_holes

#: Share of the picture's longer side that counts as its rim.
RIM = 0.03


@dataclass(frozen=True)
class Steps:
    """What is done before and after a method; lengths are pixels of the working picture.

    noise    radius of the median filter over the picture, 0: none
    opening  radius: bridges and specks thinner than twice this go
    closing  radius: gaps narrower than twice this close
    holes    whether enclosed holes are filled
    split    depth of a waist, as a share of the part's largest radius, at which a part is cut in two; 0: never
    min_area smallest part that stays, as a share of the picture
    """

    noise: int = 1
    opening: int = 2
    closing: int = 2
    holes: bool = True
    split: float = 0.0
    min_area: float = 2e-3

    def to_json(self) -> dict[str, float | bool]:
        return asdict(self)


def remove_noise(photo: np.ndarray, radius: int) -> np.ndarray:
    """The photo through a median filter of `radius` pixels (0: as it is)."""
    return cv2.medianBlur(photo, 2 * radius + 1) if radius else photo


def opening(mask: np.ndarray, radius: int) -> np.ndarray:
    """The mask without what is thinner than a disc of `radius`."""
    return _morph(mask, cv2.MORPH_OPEN, radius)


def closing(mask: np.ndarray, radius: int) -> np.ndarray:
    """The mask with gaps closed into which no disc of `radius` fits."""
    return _morph(mask, cv2.MORPH_CLOSE, radius)


def fill_holes(mask: np.ndarray) -> np.ndarray:
    """The mask with every enclosed hole filled."""
    return np.asarray(binary_fill_holes(mask))


def remove_small(labels: np.ndarray, min_area: float) -> np.ndarray:
    """Labels (h, w) int32 without parts smaller than `min_area` of the picture, numbered 1..n anew."""
    keep = np.bincount(labels.ravel()) >= max(min_area * labels.size, 1)
    keep[0] = False
    return np.where(keep, np.cumsum(keep), 0).astype(np.int32)[labels]


def parts(mask: np.ndarray) -> np.ndarray:
    """Connected parts of a mask, (h, w) int32."""
    _, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4, ltype=cv2.CV_32S)
    return np.asarray(labels, np.int32)


def split_at_waists(mask: np.ndarray, depth: float) -> np.ndarray:
    """Parts (h, w) int32, cut by a watershed of the distance to the edge where a waist is deep enough.

    A peak of the distance map counts when it stands at least `depth` of the part's highest peak above the saddle to a
    higher one (Soille, Morphological Image Analysis, 2003, "h-maxima").
    """
    from skimage.morphology import h_maxima
    from skimage.segmentation import watershed

    whole = parts(mask)
    if depth <= 0 or not mask.any():
        return whole
    relative = _relative_distance(mask, whole)
    half = cv2.resize(relative, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)  # four times faster
    peaks = parts(h_maxima(np.round(half * 100).astype(np.int32), max(round(depth * 100), 1)) > 0)
    peaks = cv2.resize(peaks.astype(np.float32), mask.shape[::-1], interpolation=cv2.INTER_NEAREST).astype(np.int32)
    reached = np.zeros(int(whole.max()) + 1, bool)
    reached[whole[peaks > 0]] = True
    # What is thinner than the half size shows stays one part.
    peaks = np.where(mask, np.where(reached[whole], peaks, peaks.max() + whole), 0)
    return np.asarray(watershed(-relative, peaks, mask=mask), np.int32)


def _relative_distance(mask: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Distance to the edge (h, w) float32 as a share of the largest in the same part."""
    far = cv2.GaussianBlur(cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5), (0, 0), 1.0) * mask
    highest = np.zeros(int(whole.max()) + 1, np.float32)
    np.maximum.at(highest, whole.ravel(), far.ravel())
    return np.where(mask, far / np.maximum(highest[whole], 1e-6), 0).astype(np.float32)


def tidy(found: np.ndarray, steps: Steps) -> np.ndarray:
    """What a method found (mask or instances) ► instances (h, w) int32 after the steps that follow a method.

    Instances that a method told apart itself are only cleaned, not cut again.
    """
    mask = closing(opening(found > 0, steps.opening), steps.closing)
    mask = fill_holes(mask) if steps.holes else mask
    if found.dtype == bool:
        return remove_small(split_at_waists(mask, steps.split), steps.min_area)
    from skimage.segmentation import expand_labels

    near = expand_labels(np.where(mask, found, 0), max(mask.shape))
    return remove_small(np.where(mask, near, 0).astype(np.int32), steps.min_area)


def rim(shape: tuple[int, ...]) -> np.ndarray:
    """The rim (h, w) bool of a picture of this shape, where the ground is looked for."""
    width = max(2, round(RIM * max(shape[:2])))
    outer = np.ones(shape[:2], bool)
    outer[width:-width, width:-width] = False
    return outer


def things_of(bright: np.ndarray) -> np.ndarray:
    """The side (h, w) bool of a two-sided division that is not the ground: the ground fills most of the rim."""
    return ~bright if bright[rim(bright.shape)].mean() > 0.5 else bright


def _morph(mask: np.ndarray, operation: int, radius: int) -> np.ndarray:
    if radius <= 0:
        return mask
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    pad = radius + 1  # what reaches the border of the picture goes on behind it
    larger = cv2.copyMakeBorder(mask.astype(np.uint8), pad, pad, pad, pad, cv2.BORDER_REPLICATE)
    return cv2.morphologyEx(larger, operation, disc)[pad:-pad, pad:-pad] > 0
