"""Looking after a store: its health from pixels and vectors, scans that are kept, and kept scans matched again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from catalogue import health, scans
from catalogue.health import Health, Limits, Look, Neighbour, Progress
from index import Ranker
from retail_seg import advice
from retail_seg.enrolment import decode_kept
from retail_seg.gallery import PORTION, RANKER, stack
from retail_seg.photos import encode_picture, shrink

if TYPE_CHECKING:
    from catalogue import Catalogue
    from retail_seg.matcher import Matcher
    from retail_seg.report import Report, ReportLine
    from retail_seg.segmentation.instances import Instances

#: Longer side, in pixels, at which sharpness is measured.
SHARPNESS_SIDE = 512
#: Sharp phone photos of packs and fruit measure 0.25 to 0.65; blurred by 4 pixels at 1024 they stay below 0.24.
MIN_SHARPNESS = 0.24
#: Outlined packs in 426 phone photos: what stays below 0.20 cannot be read (2 in 100), from 0.24 on it can.
MIN_BRIGHTNESS = 0.20
#: Longer side, in pixels, of a scan's picture in a list.
THUMBNAIL_SIDE = 256
#: Thumbnails of one picture, saved anew, differ by less than this on average (of 255).
SAME_DIFFERENCE = 6.0
LIMITS = Limits(sharpness=MIN_SHARPNESS, brightness=MIN_BRIGHTNESS)


def check_health(catalogue: Catalogue, *, progress: Progress = lambda items, total: items) -> Health:
    """The catalogue's health: pictures are looked at once and remembered, references and looks compared with others.

    `progress` wraps three loops: over pictures, blocks of references, and pairs of pictures that may be the same.
    """
    for _ in progress(health.measure(catalogue, look), health.unmeasured(catalogue)):
        pass
    near = neighbours(catalogue, progress)
    return health.report(catalogue, near, LIMITS, same_picture, progress=progress)


def neighbours(catalogue: Catalogue, progress: Progress = lambda items, total: items) -> list[Neighbour]:
    """For each reference in use its nearest sibling and its nearest reference of another product, by cosine.

    The vectors are those that searches use (projected, the first view of each reference). In catalogues of more than
    `index.neighbours.EXACT_BELOW` references the other product's is found approximately.
    """
    from index.neighbours import nearest_siblings, nearest_strangers

    ids, vectors = _projected(catalogue)
    owners_by_id = catalogue.skus_of(int(i) for i in ids)
    owners = np.unique([owners_by_id.get(int(i), "") for i in ids], return_inverse=True)[1]
    siblings = nearest_siblings(vectors, owners)
    scores, rows = nearest_strangers(vectors, owners, progress)
    return [
        Neighbour(
            int(id_),
            float(sibling) if np.isfinite(sibling) else None,
            int(ids[row]) if row >= 0 else None,
            float(score) if row >= 0 else -1.0,
        )
        for id_, sibling, score, row in zip(ids, siblings, scores, rows, strict=True)
    ]


def _projected(catalogue: Catalogue) -> tuple[np.ndarray, np.ndarray]:
    """Ids (n,) of the references in use and their first views (n, dim) float32 as searches compare them."""
    learned = catalogue.get_setting(RANKER)
    ranker = Ranker.from_bytes(learned.encode()) if learned else None
    rows = catalogue.iter_vectors()
    parts: list[tuple[np.ndarray, np.ndarray]] = [(np.zeros(0, np.int64), np.zeros((0, catalogue.dim), np.float32))]
    while batch := [(id_, vectors[: catalogue.dim * 4], 1) for id_, vectors, _ in islice(rows, PORTION)]:
        ids, raw = stack(batch, catalogue.dim)
        parts.append((ids, ranker.project(raw) if ranker else raw))
    ids, vectors = (np.concatenate(part) for part in zip(*parts[1:] or parts, strict=True))
    return ids, vectors


def look(picture: bytes, mask: bytes | None) -> Look:
    """What a kept reference's pixels say: its perceptual hash, sharpness and brightness, and how much of a side it
    runs out of.
    """
    photo, product = decode_kept(picture, mask)
    grey = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)
    cut = cut_off(photo) if mask is None else 0.0
    return Look(perceptual_hash(grey), sharpness(grey), cut, brightness(grey, product))


def perceptual_hash(grey: np.ndarray) -> int:
    """64 bits of a picture's coarse shapes (H, W) uint8: the signs of its lowest 8 × 8 cosine terms about their median.

    Source: E. Klinger and D. Starkweather, pHash, 2010.
    """
    small = cv2.resize(grey, (32, 32), interpolation=cv2.INTER_AREA).astype(np.float32)
    terms = np.asarray(cv2.dct(small))[:8, :8].ravel()
    bits = terms > np.median(terms[1:])
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def sharpness(grey: np.ndarray) -> float:
    """The share of a picture's grey steps (H, W) uint8 that one more blur takes away, 0 to 1, the lesser of both axes.

    Measured at SHARPNESS_SIDE; see `advice.sharpness`.
    """
    return advice.sharpness(grey, SHARPNESS_SIDE)


def brightness(grey: np.ndarray, mask: np.ndarray | None = None) -> float:
    """How bright the bright parts of a picture (H, W) uint8 are, 0 to 1: of 64 × 64 means the one that 5 in 100 exceed.

    A black pack in good light has its highlights and its print; in the dark nothing is bright. With a `mask` (H, W)
    bool only the product counts.
    """
    small = cv2.resize(grey, (64, 64), interpolation=cv2.INTER_AREA)
    if mask is not None:
        inside = cv2.resize(mask.astype(np.float32), (64, 64), interpolation=cv2.INTER_AREA) > 0.99
        small = small[inside] if inside.any() else small
    return float(np.percentile(small, 95)) / 255


def cut_off(photo: np.ndarray) -> float:
    """How much of one side (0 to 1) a product on a plain ground runs out of the picture (H, W, 3) uint8.

    Where three sides show one plain colour, the share of the fourth that does not; 0 where the ground is not plain,
    for then nothing tells the product from it.
    """
    small = cv2.resize(photo, (64, 64), interpolation=cv2.INTER_AREA).astype(np.float32)
    sides = [small[0], small[-1], small[:, 0], small[:, -1]]
    worst = 0.0
    for i, side in enumerate(sides):
        ground = np.concatenate([other[2:-2] for j, other in enumerate(sides) if j != i])
        colour = np.median(ground, axis=0)
        plain = np.abs(ground - colour).max(axis=1) < 24
        if plain.mean() > 0.95:
            worst = max(worst, float((np.abs(side - colour).max(axis=1) > 40).mean()))
    return worst


def same_picture(one: bytes, two: bytes) -> bool:
    """Whether two kept references show the same picture: shape and colours agree in a thumbnail."""
    first, second = (decode_kept(picture, None)[0] for picture in (one, two))
    if abs(np.log(first.shape[0] / first.shape[1] * second.shape[1] / second.shape[0])) > 0.1:
        return False
    small = [cv2.resize(p, (32, 32), interpolation=cv2.INTER_AREA).astype(np.float32) for p in (first, second)]
    return float(np.abs(small[0] - small[1]).mean()) < SAME_DIFFERENCE


# -- scans


def keep(
    matcher: Matcher,
    photo: np.ndarray,
    instances: Instances,
    report: Report,
    *,
    data: bytes | None = None,
    path: str = "",
    by: str = "",
    details: Mapping[str, Any] | None = None,
    vectors: np.ndarray | None = None,
) -> int:
    """Keep a scan that was made, with its crops as they were matched; returns its number.

    `vectors` (n, dim) float32 are those of its instances, by which look-alikes are found; without them they are
    embedded when they are first asked for. `details` are the caller's own JSON-able values, kept beside what the
    instances' rows have no column for.
    """
    from retail_seg.scanning import MARGIN

    cuts = [instances.crop(photo, i, MARGIN) for i in range(len(instances))]
    kept = [b""] * len(cuts) if vectors is None else [np.asarray(v, np.float32).tobytes() for v in vectors]
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
        details={"version": versions.get("version", ""), "lines": _lines(report), **(details or {})},
        thumbnail=encode_picture(shrink(photo, THUMBNAIL_SIDE), quality=80),
    )
    return scans.save(matcher.catalogue, scan, by=by)


def _lines(report: Report) -> dict[str, list[Any]]:
    """Confidence of the segmenter, suspicion of a merge and margin of each instance, by its number."""
    return {
        str(line.id): [round(line.confidence, 4), line.merged, round(line.identification.margin, 4)]
        for line in report.instances
    }


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


@dataclass(frozen=True)
class Replay:
    """A kept scan matched against today's catalogue: the counts that change, and the instances that do.

    `counts` holds (SKU, then, now), the unknown ones under the empty SKU; `instances` (number, SKU then, SKU now).
    """

    scan: int
    image: str
    revision_then: int
    revision_now: int
    counts: list[tuple[str, int, int]]
    instances: list[tuple[int, str, str]]


def replay(matcher: Matcher, scan_id: int) -> Replay:
    """Match the crops of a kept scan again; nothing is written. Raises UnknownScan."""
    scan = scans.load(matcher.catalogue, scan_id)
    then = scans.instances(matcher.catalogue, scan_id)
    cuts = [decode_kept(crop, mask) for _, crop, mask, _ in scans.crops(matcher.catalogue, scan_id)]
    found = matcher.match([crop for crop, _ in cuts], masks=[mask for _, mask in cuts])
    now = [identification.sku or "" for identification in found]
    before, after = Counter(instance.sku for instance in then), Counter(now)
    return Replay(
        scan.id,
        scan.image,
        scan.revision,
        matcher.revision,
        [(sku, before[sku], after[sku]) for sku in sorted(before | after) if before[sku] != after[sku]],
        [(i.number, i.sku, sku) for i, sku in zip(then, now, strict=True) if i.sku != sku],
    )


def _png(picture: np.ndarray) -> bytes:
    return cv2.imencode(".png", picture)[1].tobytes()


def as_rows(report: Health) -> Sequence[tuple[str, str]]:
    """(heading, line) of everything that a report finds, in the order of its fields."""
    rows: list[tuple[str, str]] = []
    rows += [("no picture", sku) for sku in report.without_reference]
    rows += [("one picture", sku) for sku in report.with_one_reference]
    pairs = (("same picture", report.doubles), ("easily confused", report.confusable))
    for heading, found in pairs:
        rows += [
            (heading, f"{p.sku} (reference {p.reference_id}) and {p.other_sku} ({p.other_id}): {p.score:.2f}")
            for p in found
        ]
    for heading, poor in (("misleading", report.unlike_siblings), ("poor picture", report.poor_pictures)):
        rows += [(heading, f"{p.sku}: reference {p.reference_id} {p.reason}") for p in poor]
    rows += [("would gain most", f"{gain.sku} {gain.reason}") for gain in report.gain_most]
    return rows
