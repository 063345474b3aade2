"""What people mend in a kept scan: what an instance is, for one or many; new products, splits, deletions; undo."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from catalogue import NewReference, Product, listing, scan_history, scans
from catalogue.errors import UndoError
from index.views import upright
from retail_seg.errors import RetailSegError
from retail_seg.people.roles import require
from retail_seg.photos.words import words_of
from retail_seg.scans import keeping
from retail_seg.scans.review import Review, crop_of, open_review, photo_of
from retail_seg.segmentation.instances.instances import Instances
from retail_seg.segmentation.instances.splitting import parts_by_maps, parts_by_outline, split_at
from retail_seg.store.among import choice_again
from retail_seg.store.embedding import embed_views
from retail_seg.store.enrolment import Upload, decode_kept

if TYPE_CHECKING:
    from retail_seg.matcher import Matcher

#: Cosine of two crops of one photo from which on they are taken for the same product, by embedder. Measured with
#: retail-vgg on all pairs within a photo: on 42 photos of groceries apart (65 pairs of one product, 95 of two) 0.65
#: finds .91 of the pairs at a precision of .98; on 40 scenes of touching and covered ones (91, 789) .62 at .78; on 165
#: photos of packs (2,278, 59) .54 at .99. Projected vectors, which searches use, do worse here (.47 at .88 where the
#: raw ones have .50 at .89). It is a proposal: every look-alike is shown and can be unticked.
ALIKE = {"retail-vgg": 0.65}
#: For other embedders, not measured: rather too few.
ALIKE_OTHERWISE = 0.8
#: From so much below on, look-alikes are shown without a tick (0.50: .97 of the pairs apart at a precision of .89).
MAYBE_BELOW = 0.15
#: A new product gets at most so many of its crops as references, the largest first.
MAX_REFERENCES = 6


class CorrectionError(RetailSegError):
    """A scan cannot be corrected like that."""


@dataclass(frozen=True)
class LookAlike:
    """An instance that resembles the picked one: its number, the cosine of both, whether it is proposed (ticked)."""

    number: int
    score: float
    proposed: bool


# -- what an instance is


def find_products(matcher: Matcher, text: str, limit: int = 20) -> list[Product]:
    """Products by name, SKU or GTIN, best first; none for an empty text."""
    return listing.search(matcher.catalogue, text, limit=limit)


def words_on(matcher: Matcher, scan_id: int, number: int) -> str:
    """What stands on an instance, the largest first, for a new product's name; empty where nothing can be read.

    Raises UnknownScan.
    """
    return " ".join(word.text for word in words_of(crop_of(matcher, scan_id, number)[0]))


def look_alikes(matcher: Matcher, review: Review, number: int) -> list[LookAlike]:
    """The instances of a scan that resemble one of them, most alike first.

    Proposed are those above the threshold that nobody decided and that are not surely another product; the others
    down to MAYBE_BELOW under it are for the person to tick.
    """
    require("staff")
    vectors = vectors_of(matcher, review)
    limit = ALIKE.get(matcher.embedder.name, ALIKE_OTHERWISE)
    own = review.line(number)
    if own is None or number not in vectors:
        return []
    found = []
    for line in review.report.instances:
        if line.id == number or line.id in review.decided:
            continue
        score = float(vectors[number] @ vectors[line.id])
        other = line.sku is not None and line.sku != own.best_sku and review.certainty[line.id] == "sure"
        if score >= limit - MAYBE_BELOW:
            found.append(LookAlike(line.id, score, score >= limit and not other))
    return sorted(found, key=lambda each: -each.score)


def vectors_of(matcher: Matcher, review: Review) -> dict[int, np.ndarray]:
    """The unit vector (dim,) float32 of each instance of a scan, by number; embedded once, then kept with the scan."""
    require("staff")
    current = f"{matcher.embedder.name}:{matcher.embedder.fingerprint}" == review.scan.embedder
    rows = list(scans.crops(matcher.catalogue, review.scan.id))
    found = {n: np.frombuffer(vector, np.float32) for n, _, _, vector in rows if vector and current}
    missing = [(n, *decode_kept(crop, mask)) for n, crop, mask, _ in rows if n not in found]
    if missing:
        views = [upright(crop, mask) for _, crop, mask in missing]
        fresh = embed_views(matcher.embedder, views)
        made = {n: vector for (n, _, _), vector in zip(missing, fresh, strict=True)}
        if current:
            scans.set_vectors(matcher.catalogue, review.scan.id, {n: v.tobytes() for n, v in made.items()})
        found |= made
    return found


def decide(matcher: Matcher, scan_id: int, numbers: Sequence[int], sku: str, *, remember: Iterable[int] = ()) -> int:
    """Say that instances are a product (or, with an empty SKU, none of the catalogue); returns the change's number.

    Agreeing to what was sure or likely confirms it. The crops of the instances in `remember` become references of the
    product: found by every later scan. Raises UnknownProduct, UnknownScan, NotAllowed for a viewer.
    """
    by = require("staff")
    if not numbers:
        raise CorrectionError("no instance is ticked; tick at least one")
    if sku:
        matcher.catalogue.product(sku)
    kept = [n for n in remember if n in numbers] if sku else []
    learned = matcher.embedded(sku, uploads(matcher, scan_id, kept)) if kept else []
    with matcher.catalogue.change():  # the references and the scan, or neither
        before = {line.id: line.best_sku or "" for line in open_review(matcher, scan_id).report.instances}
        agreed = all(before.get(n) == sku for n in numbers)
        action = "unknown" if not sku else "confirmed" if agreed else "corrected"
        references = _enrolled(matcher, sku, learned, by)
        done = scans.decide(matcher.catalogue, scan_id, list(numbers), sku, action, by=by, references=references)
    if learned:
        matcher.refresh()
    return done


def _enrolled(matcher: Matcher, sku: str, learned: list[NewReference], by: str) -> list[int]:
    """The ids of the references that are new to the product."""
    if not learned:
        return []
    known = {reference.id for reference in matcher.catalogue.references(sku)}
    return [id_ for id_ in matcher.catalogue.enrol(sku, learned, by=by) if id_ not in known]


def new_product(matcher: Matcher, scan_id: int, numbers: Sequence[int], product: Product) -> int:
    """Make a product of instances: their crops, the largest first, are its references; returns the change's number.

    Raises CorrectionError where the SKU is taken, NotAllowed for anybody but a manager.
    """
    by = require("manager")
    if not numbers:
        raise CorrectionError("no instance is ticked; tick at least one")
    product = product.cleaned()
    _check_free(matcher, product.sku)
    areas = {i.number: i.area for i in scans.instances(matcher.catalogue, scan_id)}
    largest = sorted(numbers, key=lambda n: -areas.get(n, 0))[:MAX_REFERENCES]
    learned = matcher.embedded(product.sku, uploads(matcher, scan_id, largest))
    with matcher.catalogue.change():  # the product and the scan, or neither
        _check_free(matcher, product.sku)
        ids = matcher.catalogue.enrol(product, learned, by=by)
        done = scans.decide(
            matcher.catalogue, scan_id, list(numbers), product.sku, "new product", by=by, references=ids
        )
    matcher.refresh()
    return done


def _check_free(matcher: Matcher, sku: str) -> None:
    if matcher.catalogue.find_product(sku) is not None:
        raise CorrectionError(f"SKU {sku} is in the catalogue already; choose that product, or give another SKU")


def uploads(matcher: Matcher, scan_id: int, numbers: Sequence[int]) -> list[Upload]:
    """Instances' crops on their way into the catalogue, named by their scan."""
    found = []
    for number in numbers:
        crop, mask = crop_of(matcher, scan_id, number)
        found.append(Upload(crop, f"scan {scan_id} number {number}", mask))
    return found


# -- what is an instance


def delete(matcher: Matcher, scan_id: int, numbers: Sequence[int]) -> int:
    """Take false instances out of a scan; returns the change's number."""
    require("staff")
    return scans.replace_instances(matcher.catalogue, scan_id, list(numbers), [], by=require("staff"), action="deleted")


def propose_parts(matcher: Matcher, review: Review, number: int) -> np.ndarray:
    """The parts (h, w) int32, 1..n, of an instance's crop that the segmenter's maps, or else its outline, suggest.

    Raises CorrectionError where neither shows a border.
    """
    require("staff")
    _, mask = crop_of(matcher, review.scan.id, number)
    line = review.line(number)
    assert line is not None
    maps = matcher.segmenter.maps(photo_of(matcher, review.scan))
    height, width = maps.foreground.shape
    x, y, w, h = line.box
    x0, y0 = int(x * width / review.scan.width), int(y * height / review.scan.height)
    x1 = max(round((x + w) * width / review.scan.width), x0 + 2)
    y1 = max(round((y + h) * height / review.scan.height), y0 + 2)
    window = np.s_[y0:y1, x0:x1]
    inner = replace(maps, **{name: np.ascontiguousarray(getattr(maps, name)[window]) for name in _maps_of(maps)})
    parts = parts_by_maps(mask, inner, matcher.segmenter.thresholds)
    parts = parts_by_outline(mask) if parts is None else parts
    if parts is None:
        raise CorrectionError(f"number {number} shows no border between products; mark one point on each of them")
    return parts


def _maps_of(maps: object) -> list[str]:
    return [name for name, value in vars(maps).items() if isinstance(value, np.ndarray)]


def parts_at(matcher: Matcher, scan_id: int, number: int, points: Sequence[tuple[float, float]]) -> np.ndarray:
    """The parts (h, w) int32, 1..n, of an instance's crop around marked points (x, y as shares of the crop's sides)."""
    _, mask = crop_of(matcher, scan_id, number)
    parts = split_at(mask, [(x * mask.shape[1], y * mask.shape[0]) for x, y in points])
    if parts.max() < 2:
        raise CorrectionError("mark one point on each of the products, at least two")
    return parts


def split(matcher: Matcher, review: Review, number: int, parts: np.ndarray) -> int:
    """Put the parts of an instance in its place, each recognised anew; returns the change's number."""
    by = require("staff")
    line = review.line(number)
    if line is None:
        raise CorrectionError(f"scan {review.scan.id} has no instance {number}; reload the scan")
    crop, mask = crop_of(matcher, review.scan.id, number)
    instances = Instances.from_labels(np.where(mask, parts, 0).astype(np.int32))
    if len(instances) < 2 or int(instances.boxes[:, 2:].min()) < 4:
        raise CorrectionError("the parts are too small to be products; mark other points")
    among = choice_again(matcher.catalogue, review.scan.details)
    found = matcher.report(crop, instances, review.scan.image, among=among)
    first = scans.next_number(matcher.catalogue, review.scan.id)
    x, y = line.box[:2]
    new = []
    for i, part in enumerate(found.instances):
        px, py, w, h = part.box
        moved = replace(
            part,
            id=first + i,
            box=(x + px, y + py, w, h),
            polygon=tuple((x + qx, y + qy) for qx, qy in part.polygon),
        )
        new.append(keeping.kept_instance(moved, *instances.crop(crop, i)))
    return scans.replace_instances(matcher.catalogue, review.scan.id, [number], new, by=by, action="split")


# -- undo


def undo(matcher: Matcher, change: int) -> scan_history.ScanChange:
    """Take a correction back, with the references that were made of it; a product made of it is taken out again.

    Raises UndoError where a later change rests on it; NotAllowed for a viewer, and where a product came with it for
    anybody but a manager.
    """
    by = require("staff")
    entry = scan_history.change(matcher.catalogue, change)
    if entry.action == "new product":
        require("manager")
    with matcher.catalogue.change():  # the references and the scan, or neither
        done = scan_history.undo(matcher.catalogue, change, by=by)
        if entry.action == "new product":
            take_product_out(matcher, entry.sku, entry.references)
        elif entry.references:
            matcher.catalogue.remove_references(entry.references, by=by)
    matcher.refresh()
    return done


def take_product_out(matcher: Matcher, sku: str, references: Iterable[int]) -> None:
    """Remove a product that was made of instances, if it still has no pictures but these; raises UndoError otherwise.

    Part of an undo, whose caller has opened the transaction.
    """
    by = require("manager")
    if matcher.catalogue.find_product(sku) is None:
        return
    if {reference.id for reference in matcher.catalogue.references(sku)} - set(references):
        raise UndoError(f"{sku} has got other pictures since; remove it under Products, or take those out first")
    matcher.catalogue.remove_product(sku, by=by)
