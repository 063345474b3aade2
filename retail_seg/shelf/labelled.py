"""Price labels of checked photos: found on the rails, read, tied to what stands above them, and what is wrong.

What cannot be read is said to be unread. Which product a label is of is told by its code, else by its words, else by
the place that it hangs at; a price is held against the list only where that is certain enough.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from typing import TYPE_CHECKING

import numpy as np

from catalogue import Catalogue, listing
from catalogue.gtin import gtins_in
from retail_seg.photos import label_text
from retail_seg.photos.label_text import LabelText, read_label
from retail_seg.photos.price_labels import PriceLabel, Strip, labels_in
from retail_seg.shelf.causes import ProductStock, explained
from retail_seg.shelf.rails import Rail, rails_of_plan, rails_of_rows
from retail_seg.shelf.results import CheckResult, Finding, PhotoArea, PixelBox, PositionStatus, RailLabel
from retail_seg.shelf.seeing import sights_of
from retail_seg.store.scanning import Scanned

if TYPE_CHECKING:
    from retail_seg.matcher import Matcher

#: How sure it is which product a label is of: told by its code, by its words, by what it hangs at.
BY_CODE, BY_WORDS, BY_PLACE = 0.98, 0.9, 0.7
#: Words name a product that so much of its name's letters are in, and so much more than of any other's.
NAMED, LEADS = 0.6, 0.15
#: Words of two sources are the same from this likeness on; shorter ones are not looked at.
ALIKE, SHORTEST = 0.8, 3
#: A facing that is likely what it is taken for; a place is free whose part above the label is covered less than this.
LIKELY, FREE = 0.5, 0.1
#: Nothing stands above a label, as far as a segmenter can tell that misses things.
NOTHING_THERE = 0.6
#: A product lacks its label where of at least so many other places of its shelf this share has one.
OTHERS, LABELLED = 3, 0.75
#: Prices are the same that differ by less than this.
CENT = 0.005


@dataclass(frozen=True, eq=False)
class _Hanging:
    """A label at its rail: where it is in the photo's own pixels, and what was read of it."""

    rail: Rail
    area: PhotoArea
    text: LabelText

    @property
    def middle(self) -> float:
        return self.area.box[0] + self.area.box[2] / 2


def with_labels(
    matcher: Matcher, scanned: Sequence[Scanned], result: CheckResult, stock: Mapping[str, ProductStock] | None = None
) -> CheckResult:
    """The check with the price labels of its photos, and findings about them; `stock` tells prices by the list.

    Without a plan the rows of each photo are its shelves.
    """
    prices = {sku: one.price for sku, one in (stock or {}).items() if one.price is not None}
    names = _Names(matcher.catalogue, {one.sku: one.name for one in result.positions})
    sights = sights_of([one.report for one in scanned])
    labels: list[RailLabel] = []
    findings: list[Finding] = []
    for n, one in enumerate(scanned):
        rails = rails_of_plan(result, n) or rails_of_rows(sights[n])
        boxes = [line.box for line in one.report.instances]
        for rail, hanging in _hanging(one, rails, n, boxes).items():
            told = [_told(label, hanging, boxes, names, prices) for label in hanging]
            labels += [replace(label, id=len(labels) + k) for k, (label, _) in enumerate(told, 1)]
            findings += [_finding(label, sure, result) for label, sure in told if label.status not in ("ok", "unread")]
            findings += _unlabelled(rail, hanging)
    every = (*result.findings, *_once(findings, labels))
    notes = (*result.notes, *_notes(labels, prices))
    return explained(replace(result, labels=tuple(labels), findings=every, notes=notes), stock)


def _hanging(
    scanned: Scanned, rails: Sequence[Rail], photo: int, boxes: Sequence[PixelBox]
) -> dict[Rail, list[_Hanging]]:
    """The labels of each rail of a photo, from the left, read."""
    picture, (width, _) = scanned.seen.picture, scanned.seen.size
    scale = picture.shape[1] / width
    strips = [Strip(one.strip.top * scale, one.strip.slope, one.strip.height * scale) for one in rails]
    corners = np.array(boxes, float).reshape(-1, 4) * scale
    corners[:, 2:] += corners[:, :2]
    found: dict[Rail, list[_Hanging]] = {rail: [] for rail in rails}
    for label in labels_in(picture, strips, corners):
        rail = rails[label.strip]
        found[rail].append(_Hanging(rail, _area(label, photo, scale), read_label(picture, label.corners)))
    return found


def _area(label: PriceLabel, photo: int, scale: float) -> PhotoArea:
    x, y, w, h = (round(value / scale) for value in label.box)
    return PhotoArea(photo, (x, y, w, h))


def _told(
    label: _Hanging, beside: Sequence[_Hanging], boxes: Sequence[PixelBox], names: _Names, prices: Mapping[str, float]
) -> tuple[RailLabel, float]:
    """A label with what is to be said of it, and how sure that is."""
    place = label.rail.place_at(label.middle, label.area.box[2] / 2)
    sku, sure = names.of(label.text)
    if not sku:
        sku, sure = _above(label, place)
    number = place.position if place is not None else 0 if label.rail.places else beside.index(label) + 1
    text = label.text
    made = RailLabel(
        0, label.area, label.rail.shelf, number, "ok", sku, names.name(sku), text.codes, text.words, text.price,
        prices.get(sku),
    )  # fmt: skip
    if (text.price is not None or text.codes) and _bare(label, place, boxes):  # print on a pack has neither
        return replace(made, status="no product"), NOTHING_THERE
    if not (text.codes or text.words or text.price is not None):
        return replace(made, status="unread"), sure
    if made.price is None or made.listed is None or abs(made.price - made.listed) < CENT:
        return made, sure
    if sure < BY_WORDS and _price_of_a_neighbour(made.price, label, prices):
        return replace(made, sku="", name="", listed=None), 0.0
    return replace(made, status="price differs"), sure


def _above(label: _Hanging, place: PositionStatus | None) -> tuple[str, float]:
    """The product that stands, or should stand, above a label."""
    if place is not None:
        return place.sku, BY_PLACE
    row = label.rail.row
    if row is None or not len(row):
        return "", 0.0
    at = int(np.abs(row.middle - label.middle).argmin())
    chances = row.chances[at]
    best = max(sorted(chances), key=lambda sku: chances[sku], default="")
    inside = row.boxes[at, 0] <= label.middle <= row.boxes[at, 2]
    return (best, BY_PLACE * chances[best]) if best and inside and chances[best] >= LIKELY else ("", 0.0)


def _bare(label: _Hanging, place: PositionStatus | None, boxes: Sequence[PixelBox]) -> bool:
    """Whether nothing stands above a label; of a place of the plan the plan's own finding says so."""
    if place is not None:
        return False
    x, _, w, _ = label.area.box
    row = label.rail.row
    if row is not None and len(row):
        left, right = float(row.boxes[:, 0].min()), float(row.boxes[:, 2].max())
        if not left - 1.5 * w <= label.middle <= right + 1.5 * w:
            return False  # beyond what is known of the row
    base = label.rail.line(label.middle)
    area = x - w / 4, base - 0.8 * label.rail.tall, 1.5 * w, 0.8 * label.rail.tall
    return area[1] >= 0 and _covered(area, boxes) < FREE


def _covered(area: tuple[float, float, float, float], boxes: Sequence[PixelBox]) -> float:
    """The share of an area that boxes cover, as far as they do not lie on each other."""
    x, y, w, h = area
    whole = 0.0
    for x2, y2, w2, h2 in boxes:
        wide, tall = min(x + w, x2 + w2) - max(x, x2), min(y + h, y2 + h2) - max(y, y2)
        whole += max(wide, 0.0) * max(tall, 0.0)
    return whole / max(w * h, 1e-6)


def _price_of_a_neighbour(price: float, label: _Hanging, prices: Mapping[str, float]) -> bool:
    """Whether a label says what the list has for a place beside its own: it may well hang there for that one."""
    near = [
        one for one, box in label.rail.places if abs(box[0] + box[2] / 2 - label.middle) <= box[2] + label.area.box[2]
    ]
    return any(abs(prices[one.sku] - price) < CENT for one in near if one.sku in prices)


def _finding(label: RailLabel, sure: float, result: CheckResult) -> Finding:
    fixture = ", ".join(result.fixtures)
    assert label.status in ("no product", "price differs"), label.status
    differs = label.status == "price differs"
    return Finding(
        label.status, fixture, label.shelf, label.position, label.sku, sure,
        label.name or ("" if label.sku else " ".join(label.words)), areas=(label.area,),
        price=label.price if differs else None, listed=label.listed if differs else None,
    )  # fmt: skip


def _unlabelled(rail: Rail, hanging: Sequence[_Hanging]) -> list[Finding]:
    """Products of a shelf that have no label, where nearly all others of it have one: the finder's own share of misses
    is known by them.
    """
    stocked = [(one, box) for one, box in rail.places if one.status in ("ok", "low")]
    middles = [label.middle for label in hanging]
    play = 0.3 * float(np.median([label.area.box[2] for label in hanging])) if hanging else 0.0
    has = [any(box[0] - play <= x <= box[0] + box[2] + play for x in middles) for _, box in stocked]
    found = []
    for n, (one, box) in enumerate(stocked):
        others = [value for k, value in enumerate(has) if k != n]
        if has[n] or len(others) < OTHERS or sum(others) < LABELLED * len(others):
            continue
        areas = tuple(area for area in one.areas if area.box == box)
        share = sum(others) / len(others)
        sure = share * one.probability
        found.append(Finding("no label", one.fixture, one.shelf, one.position, one.sku, sure, one.name, areas=areas))
    return found


def _once(findings: Iterable[Finding], labels: Sequence[RailLabel]) -> list[Finding]:
    """Each finding once, the surest of several photos; no label is missing that another photo shows."""
    shown = {(one.shelf, one.position) for one in labels}
    best: dict[str, Finding] = {}
    for one in findings:
        if one.kind == "no label" and (one.shelf, one.position) in shown:
            continue
        if one.key not in best or best[one.key].probability < one.probability:
            best[one.key] = one
    return list(best.values())


def _notes(labels: Sequence[RailLabel], prices: Mapping[str, float]) -> list[str]:
    """What is to be said of labels as a whole."""
    if not label_text.available():
        return ["price labels are found but cannot be read here; install the extras text and codes"]
    unread = sum(label.price is None for label in labels)
    notes = []
    if not labels:
        notes.append("no price label was found in the photos")
    elif unread:
        notes.append(f"the prices of {unread} of {len(labels)} price labels could not be read; go nearer for those")
    if labels and not prices:
        notes.append("prices were not compared: give a list with sku and price")
    return notes


class _Names:
    """Products by what labels say: their GTIN, or words of their name."""

    def __init__(self, catalogue: Catalogue, planned: Mapping[str, str]) -> None:
        self._catalogue = catalogue
        self._names = dict(planned)
        self._planned = bool(planned)

    def name(self, sku: str) -> str:
        """A product's name, empty for an unknown one."""
        if sku and sku not in self._names:
            self._names |= self._catalogue.names_of([sku])
        return self._names.get(sku, "")

    def of(self, text: LabelText) -> tuple[str, float]:
        """The product that a label is of by its own words, and how sure that is; ("", 0) where they do not tell."""
        for gtin in gtins_in(text.codes):
            owners = listing.skus_with_gtin(self._catalogue, gtin)
            if len(owners) == 1:
                return owners[0], BY_CODE
        words = _tokens(" ".join(text.words))
        known = self._names if self._planned else self._searched(words)
        scores = sorted(((_likeness(_tokens(name), words), sku) for sku, name in known.items() if name), reverse=True)
        second = scores[1][0] if len(scores) > 1 else 0.0
        if scores and scores[0][0] >= NAMED and scores[0][0] - second >= LEADS:
            return scores[0][1], BY_WORDS
        return "", 0.0

    def _searched(self, words: Sequence[str]) -> dict[str, str]:
        found = (listing.search(self._catalogue, word) for word in words if len(word) >= SHORTEST)
        return {product.sku: product.name for some in found for product in some}


def _tokens(text: str) -> list[str]:
    """Words of a text in small letters without marks, letters of one word together."""
    plain = unicodedata.normalize("NFKD", text.casefold().replace("æ", "ae").replace("ø", "o"))
    return [word for word in re.findall(r"[^\W_]+", "".join(c for c in plain if not unicodedata.combining(c)))
            if len(word) >= SHORTEST]  # fmt: skip


def _likeness(name: Sequence[str], words: Sequence[str]) -> float:
    """The share of a name's letters whose words stand on a label, as they are or nearly."""
    whole = sum(map(len, name))
    there = [one for one in name if any(SequenceMatcher(None, one, word).ratio() >= ALIKE for word in words)]
    return sum(map(len, there)) / whole if whole else 0.0
