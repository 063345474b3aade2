"""Edges closed to outlines and filled to regions: Sobel across, along and both, Laplace, Canny."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from retail_seg.segmentation.classical.steps import fill_holes, opening


def sobel_horizontal(photo: np.ndarray, level: float = 1.0, gap: int = 6) -> np.ndarray:
    """Mask from edges that run across the photo, stronger than `level` of Otsu's threshold; gaps of 2 × `gap` close."""
    from skimage.filters import sobel_h

    return _regions(photo, lambda grey: np.abs(sobel_h(grey)), level, gap)


def sobel_vertical(photo: np.ndarray, level: float = 1.0, gap: int = 6) -> np.ndarray:
    """Mask from edges that run up and down the photo, see `sobel_horizontal`."""
    from skimage.filters import sobel_v

    return _regions(photo, lambda grey: np.abs(sobel_v(grey)), level, gap)


def sobel(photo: np.ndarray, level: float = 1.0, gap: int = 6) -> np.ndarray:
    """Mask from the magnitude of the gradient, see `sobel_horizontal`."""
    from skimage.filters import sobel as magnitude

    return _regions(photo, magnitude, level, gap)


def laplace(photo: np.ndarray, level: float = 1.0, gap: int = 6, sigma: float = 2.0) -> np.ndarray:
    """Mask from the zero crossings of the second derivative, blurred by `sigma` (Marr and Hildreth, 1980).

    A crossing counts where the derivative changes by more than `level` of Otsu's threshold of all such changes.
    """
    from scipy.ndimage import gaussian_laplace
    from skimage.filters import threshold_otsu

    grey = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    bend = gaussian_laplace(grey, sigma)
    near = np.ones((3, 3), np.uint8)
    low, high = cv2.erode(bend, near), cv2.dilate(bend, near)
    crossing = (low < 0) & (high > 0)
    if not crossing.any():
        return crossing
    change = high - low
    return _filled(crossing & (change > level * threshold_otsu(change[crossing])), gap)


def canny(photo: np.ndarray, sigma: float = 2.0, high: float = 0.9, gap: int = 6) -> np.ndarray:
    """Mask from Canny's edges (1986); `high` is the quantile of the gradient above which an edge begins."""
    from skimage.feature import canny as edges_of

    grey = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    found = edges_of(grey, sigma=sigma, low_threshold=high - 0.1, high_threshold=high, use_quantiles=True)
    return _filled(found, gap)


def _regions(photo: np.ndarray, strength: Callable[[np.ndarray], np.ndarray], level: float, gap: int) -> np.ndarray:
    """Edges stronger than `level` times Otsu's threshold of their strength, closed and filled."""
    from skimage.filters import threshold_otsu

    grey = cv2.GaussianBlur(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY), (0, 0), 1.0)
    edges = strength(grey.astype(np.float32) / 255)
    return _filled(edges > level * threshold_otsu(edges), gap)


def _filled(edges: np.ndarray, gap: int) -> np.ndarray:
    """Regions that edges enclose once they are `gap` pixels thicker; lines that enclose nothing go."""
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * gap + 1, 2 * gap + 1))
    thick = cv2.dilate(edges.astype(np.uint8), disc) > 0
    return opening(cv2.erode(fill_holes(thick).astype(np.uint8), disc) > 0, 3)
