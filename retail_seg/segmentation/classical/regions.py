"""Methods that see the whole photo: k-means on colour, watershed from markers, GrabCut."""

from __future__ import annotations

import cv2
import numpy as np

from retail_seg.segmentation.classical.steps import parts, rim
from retail_seg.segmentation.classical.thresholds import channel_of, otsu

#: A colour that fills more than this share of the rim belongs to the ground.
RIM_SHARE = 0.2


def kmeans(photo: np.ndarray, k: int = 3) -> np.ndarray:
    """Mask of all colours but the rim's, of `k` colours found by k-means in Lab (a sample of pixels, three starts)."""
    lab = cv2.cvtColor(photo, cv2.COLOR_RGB2LAB).reshape(-1, 3).astype(np.float32)
    sample = lab[np.random.default_rng(0).integers(len(lab), size=min(len(lab), 8000))]
    cv2.setRNGSeed(0)
    stop = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 30, 0.5)
    _, _, centres = cv2.kmeans(sample, k, np.empty(0, np.int32), stop, 3, cv2.KMEANS_PP_CENTERS)
    away = ((lab[:, None] - centres[None]) ** 2).sum(2)
    which = away.argmin(1).reshape(photo.shape[:2])
    share = np.bincount(which[rim(which.shape)], minlength=k) / rim(which.shape).sum()
    ground = np.flatnonzero((share > RIM_SHARE) | (share == share.max()))
    return ~np.isin(which, ground)


def watershed_from_markers(
    photo: np.ndarray, channel: str = "ground", sure: float = 0.5, apart: float = 0.02
) -> np.ndarray:
    """Instances (h, w) int32: the gradient flooded from the middle of things and from the sure ground.

    A marker is a peak of the distance to the edge of Otsu's mask: at least `apart` of the longer side away from the
    next one, joined with those it reaches above `sure` of its height.
    """
    from skimage.feature import peak_local_max
    from skimage.filters import sobel
    from skimage.segmentation import watershed

    mask = otsu(photo, channel)
    far = cv2.GaussianBlur(cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5), (0, 0), 2.0)
    whole = parts(mask)
    step = max(2, round(apart * max(mask.shape)))
    cores = parts(_high_places(far, whole, sure))
    for row, column in peak_local_max(far, min_distance=step, labels=whole, exclude_border=False):
        if not cores[row, column]:
            cores[row, column] = cores.max() + 1
    ground = cv2.dilate(mask.astype(np.uint8), np.ones((2 * step + 1,) * 2, np.uint8)) == 0
    markers = np.where(ground, int(cores.max()) + 1, cores)
    flooded = watershed(sobel(cv2.GaussianBlur(channel_of(photo, channel), (0, 0), 1.0)), markers)
    return np.where(flooded > cores.max(), 0, flooded).astype(np.int32)


def _high_places(far: np.ndarray, whole: np.ndarray, sure: float) -> np.ndarray:
    """Where the distance is above `sure` of the highest in the same part."""
    highest = np.zeros(int(whole.max()) + 1, np.float32)
    np.maximum.at(highest, whole.ravel(), far.ravel())
    return np.asarray((whole > 0) & (far > sure * highest[whole]))


def grabcut(photo: np.ndarray, rounds: int = 3, margin: float = 0.03) -> np.ndarray:
    """Mask by graph cuts of two colour models (Rother et al., GrabCut, 2004), begun from Otsu's mask.

    The rim, `margin` of the longer side wide, is sure ground. Works at half size: a graph cut is slow.
    """
    small = cv2.resize(photo, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    likely = otsu(small, "ground")
    state = np.where(likely, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    width = max(1, round(margin * max(small.shape)))
    border = np.ones(state.shape, bool)
    border[width:-width, width:-width] = False
    state[border] = cv2.GC_BGD
    if not (state == cv2.GC_PR_FGD).any():
        return np.zeros(photo.shape[:2], bool)
    cv2.setRNGSeed(0)
    unused = (0, 0, 1, 1)  # a rectangle counts only where there is no mask to begin from
    cv2.grabCut(
        small[:, :, ::-1].copy(), state, unused, np.zeros((1, 65)), np.zeros((1, 65)), rounds, cv2.GC_INIT_WITH_MASK
    )
    mask = ((state == cv2.GC_FGD) | (state == cv2.GC_PR_FGD)).astype(np.float32)
    return cv2.resize(mask, photo.shape[1::-1], interpolation=cv2.INTER_LINEAR) > 0.5
