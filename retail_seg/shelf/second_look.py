"""A second look at places that seem to lack facings: a segmenter misses things, and what it missed may be recognised.

Each facing's part of such a place is cut out, in the proportions of the product's references, and matched by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from catalogue import Catalogue
from retail_seg.report import Identification, Report, ReportLine
from retail_seg.shelf.results import CheckResult, PixelBox, PositionStatus
from retail_seg.store.scanning import Scanned, placed

if TYPE_CHECKING:
    from retail_seg.matcher import Matcher

#: Part of a facing's width that something else may cover; what is covered more is not looked at.
COVERED = 0.35
#: The product is there from this chance on, where it is the first candidate; beside others of its own, from this one.
THERE, BESIDE = 0.4, 0.05
#: Parts of places that are looked at in one check, the fullest shelf has no more.
MOST = 200
#: What is so many times as wide as a facing may be several in one.
MERGED = 1.5
#: Proportions of a product of which nothing is known, height by width.
TALL = 1.6


def looked_again(matcher: Matcher, scanned: Sequence[Scanned], result: CheckResult, top: int) -> list[Report] | None:
    """The photos' reports with what the segmenter missed in places of the plan, None where nothing was missed."""
    parts = _parts(matcher.catalogue, result)[:MOST]
    crops = [_cut(scanned[photo], box) for photo, box, _, _ in parts]
    kept = [(part, crop) for part, crop in zip(parts, crops, strict=True) if min(crop.shape[:2]) >= 8]
    found = matcher.match([crop for _, crop in kept], top=top)
    new: dict[int, list[tuple[PixelBox, Identification]]] = {}
    for ((photo, box, sku, enough), _), told in zip(kept, found, strict=True):
        if told.matches and told.matches[0].sku == sku and told.matches[0].probability >= enough:
            new.setdefault(photo, []).append((box, told))
    if not new:
        return None
    return [_with(one.report, new.get(photo, [])) for photo, one in enumerate(scanned)]


def _parts(catalogue: Catalogue, result: CheckResult) -> list[tuple[int, PixelBox, str, float]]:
    """(photo, box, SKU, chance that is enough) of each facing that may be missing, where a photo shows its part."""
    boxes: dict[int, list[PixelBox]] = {}
    for one in result.instances:
        boxes.setdefault(one.area.photo, []).append(one.area.box)
    found = []
    for position in result.positions:
        if position.status not in ("empty", "low"):
            continue
        tall = _proportions(catalogue, position.sku)
        for area in position.areas:
            parts = [one for one in _facings(position, area.box, tall) if _free(one, boxes.get(area.photo, []))]
            enough = THERE if position.status == "empty" else BESIDE
            found += [(area.photo, part, position.sku, enough) for part in parts]
    return found


def _facings(position: PositionStatus, area: PixelBox, tall: float) -> list[PixelBox]:
    """The parts of a place that its facings take, standing on its lower edge."""
    x, y, w, h = area
    wide = w / position.facings
    high = min(wide * tall, 1.4 * h)
    top = max(round(y + h - high), 0)
    return [(round(x + n * wide), top, round(wide), round(y + h) - top) for n in range(position.facings)]


def _free(part: PixelBox, boxes: Sequence[PixelBox]) -> bool:
    """Whether nothing that was found covers much of a part, but for what is so wide that it may be several in one."""
    x, y, w, h = part
    for x2, y2, w2, h2 in boxes:
        if w2 > MERGED * w:
            continue
        shared = min(x + w, x2 + w2) - max(x, x2)
        if shared > COVERED * min(w, w2) and min(y + h, y2 + h2) - max(y, y2) > 0.2 * min(h, h2):
            return False
    return True


def _proportions(catalogue: Catalogue, sku: str) -> float:
    """Height by width of a product's first reference."""
    references = catalogue.references(sku)
    return references[0].height / max(references[0].width, 1) if references else TALL


def _cut(scanned: Scanned, box: PixelBox) -> np.ndarray:
    """A part of a photo as it was decoded, RGB uint8."""
    picture, (width, height) = scanned.seen.picture, scanned.seen.size
    scale = np.array([picture.shape[1] / width, picture.shape[0] / height])
    (x0, y0), (x1, y1) = (np.round(np.array(corner) * scale).astype(int) for corner in
                          ((box[0], box[1]), (box[0] + box[2], box[1] + box[3])))  # fmt: skip
    return np.ascontiguousarray(picture[max(y0, 0) : max(y1, 0), max(x0, 0) : max(x1, 0)])


def _with(report: Report, found: Sequence[tuple[PixelBox, Identification]]) -> Report:
    """The report with what was found besides, behind its own instances."""
    first = max((line.id for line in report.instances), default=0) + 1
    lines = [
        ReportLine(first + n, box, box[2] * box[3], _corners(box), 0.0, False, told)
        for n, (box, told) in enumerate(found)
    ]
    return replace(report, instances=placed([*report.instances, *lines]))


def _corners(box: PixelBox) -> tuple[tuple[int, int], ...]:
    x, y, w, h = box
    return (x, y), (x + w, y), (x + w, y + h), (x, y + h)
