"""Scans that were made are kept: photo, report, crops as they were matched, vectors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from catalogue import scans
from retail_seg.people.roles import require
from retail_seg.photos.load import encode_picture, shrink
from retail_seg.scans import privacy

if TYPE_CHECKING:
    from retail_seg.matcher import Matcher
    from retail_seg.report import Report, ReportLine
    from retail_seg.store.scanning import Scanned

#: Longer side, in pixels, of a scan's picture in a list.
THUMBNAIL_SIDE = 256


def keep(
    matcher: Matcher,
    found: Scanned,
    *,
    data: bytes | None = None,
    path: str = "",
    by: str = "",
    details: Mapping[str, Any] | None = None,
) -> int:
    """Keep a scan that was made, with its crops as they were matched and their vectors; returns its number.

    `details` are the caller's own JSON-able values, kept beside what the instances' rows have no column for. Faces are
    blurred, and photos that are too old go, where the store's settings ask for it, see `privacy`.
    """
    require("staff")
    photo, instances, report = found.seen.picture, found.seen.instances, found.report
    photo, data = privacy.as_kept(matcher, photo, data, report.image)
    privacy.forget_old(matcher)
    cuts = [instances.crop(photo, i) for i in range(len(instances))]
    kept = [np.asarray(vector, np.float32).tobytes() for vector in found.vectors]
    versions = report.versions
    scan = scans.NewScan(
        image=report.image,
        width=report.width,
        height=report.height,
        model=str(versions.get("segmenter", "")),
        embedder=str(versions.get("embedder", "")),
        revision=int(versions.get("revision", matcher.revision)),
        instances=[
            kept_instance(line, *cut, vector) for line, cut, vector in zip(report.instances, cuts, kept, strict=True)
        ],
        photo=data,
        path=path,
        details={**_made_by(versions), "lines": _lines(report), **(details or {})},
        thumbnail=encode_picture(shrink(photo, THUMBNAIL_SIDE), quality=80),
    )
    return scans.save(matcher.catalogue, scan, by=by)


def _made_by(versions: Mapping[str, str | int]) -> dict[str, str | int]:
    """What made the report and has no column: the program, and the centre's snapshot where the store follows one."""
    return {name: versions.get(name, "") for name in ("version", "snapshot") if name == "version" or name in versions}


def _lines(report: Report) -> dict[str, list[Any]]:
    """Confidence of the segmenter, suspicion of a merge, margin, certainty, and whether it is an odd one out, of each
    instance, by its number.
    """
    return {str(line.id): _kept_of(line) for line in report.instances}


def _kept_of(line: ReportLine) -> list[Any]:
    one = line.identification
    return [round(line.confidence, 4), line.merged, round(one.margin, 4), one.certainty, one.odd]


def kept_instance(line: ReportLine, crop: np.ndarray, mask: np.ndarray, vector: bytes = b"") -> scans.NewInstance:
    """A line of a report as it is kept, with its crop (h, w, 3) uint8, mask (h, w) bool and vector."""
    return scans.NewInstance(
        line.id,
        line.box,
        line.area,
        [list(point) for point in line.polygon],
        line.sku or "",
        line.decision,
        line.probability,
        [match.to_dict() for match in line.matches],
        _png(cv2.cvtColor(crop, cv2.COLOR_RGB2BGR)),
        vector=vector,
        mask=_png(mask.astype(np.uint8) * 255),
    )


def _png(picture: np.ndarray) -> bytes:
    return cv2.imencode(".png", picture)[1].tobytes()
