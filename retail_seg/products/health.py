"""What weakens a store's catalogue, from its pixels and vectors: the whole check, and pictures looked at one by one."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING

import cv2
import numpy as np

from catalogue import health
from catalogue.health import Appearance, Health, Limits, Neighbour, Tracked
from index import Ranker
from retail_seg.people.roles import require
from retail_seg.photos.appearance import brightness, cut_off, perceptual_hash, sharpness
from retail_seg.store.enrolment import decode_kept
from retail_seg.store.gallery import PORTION, RANKER, stack

if TYPE_CHECKING:
    from catalogue import Catalogue

#: Sharp phone photos of packs and fruit measure 0.25 to 0.65; blurred by 4 pixels at 1024 they stay below 0.24.
MIN_SHARPNESS = 0.24
#: Outlined packs in 426 phone photos: what stays below 0.20 cannot be read (2 in 100), from 0.24 on it can.
MIN_BRIGHTNESS = 0.20
#: Thumbnails of one picture, saved anew, differ by less than this on average (of 255).
SAME_DIFFERENCE = 6.0
LIMITS = Limits(sharpness=MIN_SHARPNESS, brightness=MIN_BRIGHTNESS)


def check_health(catalogue: Catalogue, *, progress: Tracked = lambda items, total: items) -> Health:
    """The catalogue's health: pictures are looked at once and remembered, references and looks compared with others.

    `progress` wraps three loops: over pictures, blocks of references, and pairs of pictures that may be the same.
    """
    require("staff")
    for _ in progress(health.measure(catalogue, look), health.unmeasured(catalogue)):
        pass
    near = neighbours(catalogue, progress)
    return health.report(catalogue, near, LIMITS, same_picture, progress=progress)


def neighbours(catalogue: Catalogue, progress: Tracked = lambda items, total: items) -> list[Neighbour]:
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


def look(picture: bytes, mask: bytes | None) -> Appearance:
    """What a kept reference's pixels say: its perceptual hash, sharpness and brightness, and how much of a side it
    runs out of.
    """
    photo, product = decode_kept(picture, mask)
    grey = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)
    cut = cut_off(photo) if mask is None else 0.0
    return Appearance(perceptual_hash(grey), sharpness(grey), cut, brightness(grey, product))


def same_picture(one: bytes, two: bytes) -> bool:
    """Whether two kept references show the same picture: shape and colours agree in a thumbnail."""
    first, second = (decode_kept(picture, None)[0] for picture in (one, two))
    if abs(np.log(first.shape[0] / first.shape[1] * second.shape[1] / second.shape[0])) > 0.1:
        return False
    small = [cv2.resize(p, (32, 32), interpolation=cv2.INTER_AREA).astype(np.float32) for p in (first, second)]
    return float(np.abs(small[0] - small[1]).mean()) < SAME_DIFFERENCE


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
