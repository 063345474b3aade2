"""Barcodes on a picture, where the extra `codes` is installed: read by zxing-cpp."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np

#: What reads codes, the extra that installs it, and what to say where it is missing.
PACKAGE, EXTRA = "zxingcpp", "codes"
MISSING = f'barcodes cannot be read here; install what reads them: pip install "retail-seg[{EXTRA}]"'


@dataclass(frozen=True)
class Code:
    """A code's text as it is written in it, its kind as zxing calls it, and its box x, y, w, h in pixels."""

    text: str
    kind: str
    box: tuple[int, int, int, int]


def available() -> bool:
    """Whether codes can be read."""
    return find_spec(PACKAGE) is not None


def codes_of(picture: np.ndarray, *, all_kinds: bool = False) -> list[Code]:
    """The codes on an RGB uint8 picture (h, w, 3), in any direction; none where nothing is installed that reads them.

    Those that are printed on goods (EAN, UPC, DataBar), with `all_kinds` also ITF-14, Code 128, QR and all others,
    which takes four times as long. A million pixels take some 8 ms of one core.
    """
    if not available():
        return []
    import zxingcpp

    kinds = zxingcpp.BarcodeFormat.AllReadable if all_kinds else zxingcpp.BarcodeFormat.AllRetail
    formats = zxingcpp.BarcodeFormats(kinds)
    red = np.ascontiguousarray(picture[..., 0])  # bars of any colour are printed to be told apart in red light
    return [_code(one) for one in zxingcpp.read_barcodes(red, formats=formats, text_mode=zxingcpp.TextMode.Plain)]


def _code(found: object) -> Code:
    corners = [getattr(found.position, name) for name in _CORNERS]  # type: ignore[attr-defined]
    xs, ys = [corner.x for corner in corners], [corner.y for corner in corners]
    box = min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)
    return Code(found.text, found.format.name, box)  # type: ignore[attr-defined]


_CORNERS = ("top_left", "top_right", "bottom_right", "bottom_left")
