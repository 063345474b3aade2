"""Studio pictures: what stands on a white ground, and how it would look before another one."""

from __future__ import annotations

import cv2
import numpy as np

_WHITE = 236  # least of the three channels of what counts as white ground
_EDGE = 0.8  # share of the picture's edge that is white in a studio picture
_LEAST, _MOST = 0.12, 0.94  # share of the picture that the thing takes
_FULL = 0.45  # share of its bounding box that a thing fills: print on a white pack fills less
_PART = (0.4, 0.9)  # of the other picture, the share of its sides that is seen behind the thing
_BLUR = 1 / 120  # of the longer side: what lies behind is a little out of focus
_DIM = (0.4, 1.0)  # the light that reaches what lies behind


def is_studio(crop: np.ndarray, mask: np.ndarray | None) -> bool:
    """Whether a picture RGB uint8 (h, w, 3) without a mask shows its thing on a white ground."""
    return mask is None and cut_out(crop) is not None


def cut_out(crop: np.ndarray) -> np.ndarray | None:
    """What a picture RGB uint8 (h, w, 3) shows on a white ground, bool (h, w); None where it is no such picture."""
    white = crop.min(axis=2) >= _WHITE
    if np.concatenate([white[0], white[-1], white[:, 0], white[:, -1]]).mean() < _EDGE:
        return None
    padded = cv2.copyMakeBorder(white.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=1)
    _, parts = cv2.connectedComponents(padded, connectivity=4)
    thing = (parts != parts[0, 0])[1:-1, 1:-1].astype(np.uint8)
    thing = cv2.morphologyEx(thing, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    if not _LEAST <= thing.mean() <= _MOST:
        return None
    _, _, width, height = cv2.boundingRect(thing)
    return thing.astype(bool) if thing.sum() >= _FULL * width * height else None


def before(crop: np.ndarray, thing: np.ndarray, other: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What `thing` bool (h, w) covers of a crop RGB uint8 (h, w, 3), cut to it, before a part of another picture."""
    x, y, width, height = cv2.boundingRect(thing.astype(np.uint8))
    seen, alpha = crop[y : y + height, x : x + width], thing[y : y + height, x : x + width].astype(np.float32)
    share = rng.uniform(*_PART)
    rows, columns = max(round(other.shape[0] * share), 1), max(round(other.shape[1] * share), 1)
    top, left = int(rng.integers(0, other.shape[0] - rows + 1)), int(rng.integers(0, other.shape[1] - columns + 1))
    behind = cv2.resize(other[top : top + rows, left : left + columns], (width, height), interpolation=cv2.INTER_LINEAR)
    behind = cv2.GaussianBlur(behind, (0, 0), max(max(width, height) * _BLUR, 0.5))
    cover = cv2.GaussianBlur(alpha, (0, 0), 1.0)[..., None]
    return (seen * cover + behind * rng.uniform(*_DIM) * (1 - cover)).clip(0, 255).astype(np.uint8)
