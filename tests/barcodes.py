"""Barcodes for tests, drawn by the library that reads them."""

from __future__ import annotations

import cv2
import numpy as np
import zxingcpp


def barcode(text: str, kind: str = "") -> np.ndarray:
    """RGB uint8 (h, w, 3) of a code in its white field; without a kind an EAN or UPC of as many digits."""
    kind = kind or {8: "EAN8", 12: "UPCA", 13: "EAN13"}[len(text)]
    drawn = np.asarray(zxingcpp.create_barcode(text, getattr(zxingcpp.BarcodeFormat, kind)).to_image(scale=2))
    framed = cv2.copyMakeBorder(drawn, 20, 20, 20, 20, cv2.BORDER_CONSTANT, value=255)
    return np.repeat(framed[..., None], 3, axis=2)


def on_pack(code: np.ndarray, at: tuple[int, int], size: tuple[int, int] = (420, 420)) -> np.ndarray:
    """A red pack (h, w, 3) uint8 with stripes, on which a code stands at x, y."""
    pack = np.full((*size, 3), (180, 40, 30), np.uint8)
    pack[20:50, ::7] = (240, 230, 90)
    x, y = at
    pack[y : y + code.shape[0], x : x + code.shape[1]] = code
    return pack
