"""Thresholds on one channel of the photo: at the mean, Otsu's, several, local, and around the histogram's peak."""

from __future__ import annotations

import cv2
import numpy as np

from retail_seg.segmentation.classical.steps import rim, things_of

#: What a photo can be reduced to before a threshold.
CHANNELS = ("grey", "saturation", "ground")


def channel_of(photo: np.ndarray, channel: str) -> np.ndarray:
    """One channel (h, w) uint8 of a photo.

    grey: lightness. saturation: of HSV. ground: distance of the colour from the median colour of the rim (Lab).
    """
    if channel == "grey":
        return cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)
    if channel == "saturation":
        return np.ascontiguousarray(cv2.cvtColor(photo, cv2.COLOR_RGB2HSV)[:, :, 1])
    assert channel == "ground", channel
    lab = cv2.cvtColor(photo, cv2.COLOR_RGB2LAB).astype(np.float32)
    away = np.linalg.norm(lab - np.median(lab[rim(lab.shape)], axis=0), axis=2)
    return np.clip(away * (255 / max(float(np.quantile(away, 0.995)), 1.0)), 0, 255).astype(np.uint8)


def mean_threshold(photo: np.ndarray, channel: str = "grey") -> np.ndarray:
    """Mask of what lies on the other side of the channel's mean than the rim."""
    values = channel_of(photo, channel)
    return things_of(values > values.mean())


def otsu(photo: np.ndarray, channel: str = "grey") -> np.ndarray:
    """Mask by the threshold that parts the histogram into the two most uniform classes (Otsu, 1979)."""
    from skimage.filters import threshold_otsu

    values = channel_of(photo, channel)
    return things_of(values > threshold_otsu(values))


def multi_otsu(photo: np.ndarray, channel: str = "grey", classes: int = 3) -> np.ndarray:
    """Mask of every class but the rim's, of `classes` classes (Liao et al., 2001)."""
    from skimage.filters import threshold_multiotsu

    values = channel_of(photo, channel)
    if len(np.unique(values)) < classes:
        return np.zeros(values.shape, bool)
    which = np.digitize(values, threshold_multiotsu(values, classes=classes, nbins=64))
    return np.asarray(which != np.bincount(which[rim(which.shape)]).argmax())


def local_threshold(photo: np.ndarray, channel: str = "grey", window: float = 0.5, offset: float = 0.0) -> np.ndarray:
    """Mask by each pixel's own threshold: the mean of a Gaussian window (a share of the longer side) less `offset`."""
    from skimage.filters import threshold_local

    values = channel_of(photo, channel)
    side = 2 * round(window * max(values.shape) / 2) + 1
    return things_of(values > threshold_local(values, max(side, 3), method="gaussian", offset=offset))


def histogram_peak(photo: np.ndarray, channel: str = "grey", smooth: float = 3.0, floor: float = 0.05) -> np.ndarray:
    """Mask of all but the histogram's greatest peak, which is the ground.

    The peak ends on either side where the histogram, smoothed by `smooth` grey values, falls below `floor` of its
    height or rises again.
    """
    values = channel_of(photo, channel)
    histogram = np.bincount(values.ravel(), minlength=256).astype(np.float32)
    curve = cv2.GaussianBlur(histogram[None], (0, 0), smooth, borderType=cv2.BORDER_REPLICATE)[0]
    top = int(curve.argmax())
    low, high = top, top
    while low > 0 and curve[low] > floor * curve[top] and curve[low - 1] <= curve[low]:
        low -= 1
    while high < 255 and curve[high] > floor * curve[top] and curve[high + 1] <= curve[high]:
        high += 1
    return np.asarray((values < low) | (values > high))
