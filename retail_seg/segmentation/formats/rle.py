"""COCO's run lengths: masks as counts of zeros and ones down the columns, plain or packed into text.

The packing is the one of `rleToString` in the COCO API (cocodataset/cocoapi, common/maskApi.c): from the fourth run
on, the difference to the run two before it, in groups of five bits, least first, as characters from "0" on.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from retail_seg.errors import AnnotationError

#: Bits of the longest packed run.
MAX_SHIFT = 60


def mask_to_runs(mask: np.ndarray) -> list[int]:
    """Run lengths of a mask (H, W) bool in column order, beginning with the zeros (which may be none)."""
    flat = np.asarray(mask, bool).ravel(order="F")
    changes = np.flatnonzero(np.diff(np.concatenate([[False], flat])))
    return [int(n) for n in np.diff(np.concatenate([[0], changes, [flat.size]]))]


def runs_to_mask(runs: Sequence[int], height: int, width: int) -> np.ndarray:
    """Mask (H, W) bool of run lengths; AnnotationError where they do not fill the picture exactly."""
    if any(not 0 <= run <= height * width for run in runs) or sum(runs) != height * width:  # Python's do not wrap round
        raise AnnotationError(f"has run lengths that do not fill {width} × {height} pixels")
    lengths = np.asarray(runs, np.int64)
    values = np.arange(len(lengths)) % 2 == 1
    return np.repeat(values, lengths).reshape((height, width), order="F")


def pack_runs(runs: Sequence[int]) -> str:
    """Run lengths as COCO's compressed text."""
    text = []
    for i, run in enumerate(runs):
        x = run - runs[i - 2] if i > 2 else run
        more = True
        while more:
            bits = x & 0x1F
            x >>= 5
            more = x != (-1 if bits & 0x10 else 0)
            text.append(chr((bits | 0x20 if more else bits) + 48))
    return "".join(text)


def unpack_runs(text: str) -> list[int]:
    """Run lengths of COCO's compressed text; AnnotationError where the text is not such."""
    runs: list[int] = []
    x = shift = 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64:
            raise AnnotationError(f"has compressed run lengths with the character {character!r}")
        x |= (bits & 0x1F) << shift
        shift += 5
        if shift > MAX_SHIFT:
            raise AnnotationError("has compressed run lengths that are longer than any picture")
        if bits & 0x20:
            continue
        if bits & 0x10:
            x -= 1 << shift
        runs.append(x + runs[-2] if len(runs) > 2 else x)
        x = shift = 0
    if shift:
        raise AnnotationError("has compressed run lengths that are cut off")
    return runs
