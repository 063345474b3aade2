"""What came out unknown in kept scans ► groups of look-alikes ► products: named once, corrected in every scan.

Naming a group is one step: its clearest and most different crops become references, and all its facings are corrected,
or nothing is. Every step is kept, can be taken back, and holds for everybody at work on the same store.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from catalogue import Product, groups, listing, scan_history, scans
from catalogue.errors import GtinError, UnknownGroup
from catalogue.groups import FacingPlace, Group, GroupChange
from catalogue.gtin import normal_gtin
from catalogue.mapping import plain
from index.clustering import look_alikes, unwatched
from index.sameness import OnPairs
from index.views import upright
from retail_seg.errors import RetailSegError
from retail_seg.people.roles import require
from retail_seg.photos.load import encode_picture, shrink
from retail_seg.photos.quality import sharpness
from retail_seg.products.discovery import ASKED, Offer, Unnamed, as_compared, compared_as, proposed
from retail_seg.scans import corrections, review
from retail_seg.store.embedding import embed_views
from retail_seg.store.enrolment import decode_kept

if TYPE_CHECKING:
    from retail_seg.matcher import Matcher

#: So many facings are grouped at once, those of the newest scans: three minutes of one core.
MAX_FACINGS = 5000
#: Mean log-odds from which on groups are one, see `look_alikes`: lower than in a file, for a person sees a stranger at
#: once, and takes it out with two clicks, where each group more is another name to type.
EVEN = 1.2
#: Crops that become references of a product.
MAX_REFERENCES = corrections.MAX_REFERENCES
#: Longer side, in pixels, at which the sharpness of crops is compared.
_SHARP_SIDE = 192


class NamingError(RetailSegError):
    """A group cannot be named like that."""


@dataclass(frozen=True)
class Named:
    """A group that became a product: the step, the product, its facings and in how many scans they stand."""

    change: GroupChange
    product: Product
    facings: int
    scans: int


# -- grouping


def count_unnamed(matcher: Matcher) -> tuple[int, int]:
    """How many facings of kept scans nobody has named, and how many of them are in no group yet."""
    return groups.count_waiting(matcher.catalogue)


def group_unknown(matcher: Matcher, on_pairs: OnPairs = unwatched) -> int:
    """Group the facings of all kept scans that nobody has named, the newest MAX_FACINGS of them; returns how many.

    Groups that a person arranged stay as they are, and take in what looks like them.
    """
    by = require("staff")
    waiting = groups.waiting(matcher.catalogue, MAX_FACINGS)
    if not waiting:
        return 0
    views = [upright(*decode_kept(one.crop, one.mask)) for one in waiting]
    facings = [
        Unnamed(one.place, one.place[0], one.box, as_compared(view)) for one, view in zip(waiting, views, strict=True)
    ]
    current = _embedder(matcher)
    vectors = np.zeros((len(waiting), matcher.embedder.dim), np.float32)
    fresh = [at for at, one in enumerate(waiting) if not one.vector or one.embedder != current]
    for at, one in enumerate(waiting):
        if one.vector and one.embedder == current:
            vectors[at] = np.frombuffer(one.vector, np.float32)
    vectors[fresh] = embed_views(matcher.embedder, [views[at] for at in fresh])
    found = look_alikes(compared_as(facings, vectors), on_pairs, EVEN)
    groups.regroup(matcher.catalogue, [[waiting[at].place for at in rows.tolist()] for rows in found], by=by)
    return len(waiting)


def open_groups(matcher: Matcher) -> list[Group]:
    """The groups that wait for a name, the largest first."""
    return groups.groups(matcher.catalogue, groups.OPEN)


def later_groups(matcher: Matcher) -> list[Group]:
    """The groups that were put off."""
    return groups.groups(matcher.catalogue, groups.LATER)


def small_crop(matcher: Matcher, place: FacingPlace, height: int) -> bytes:
    """The crop of a facing as JPEG bytes, at most so many pixels high and twice as wide."""
    crop = review.crop_of(matcher, *place)[0]
    factor = min(1.0, height / crop.shape[0], 2 * height / crop.shape[1])
    return encode_picture(shrink(crop, max(8, round(factor * max(crop.shape[:2])))), quality=85)


def where(matcher: Matcher, group: Group) -> list[tuple[int, str, str]]:
    """(scan, photo, when) of each scan that a group's facings stand in, newest first."""
    found = [scans.load(matcher.catalogue, scan) for scan in sorted({scan for scan, _ in group.places}, reverse=True)]
    return [(one.id, one.image, one.at) for one in found]


def nearest_groups(matcher: Matcher, group: Group, others: Sequence[Group], count: int = 4) -> list[Group]:
    """Of other groups those that look most like one, by the mean of their facings' vectors."""
    known = groups.vectors(matcher.catalogue)
    current = _embedder(matcher)

    def mean(places: Sequence[FacingPlace]) -> np.ndarray:
        kept = [np.frombuffer(known[at][0], np.float32) for at in places if at in known and known[at][1] == current]
        kept = [vector for vector in kept if len(vector) == matcher.embedder.dim]
        return np.mean(kept, axis=0) if kept else np.zeros(matcher.embedder.dim, np.float32)

    own = mean(group.places)
    scored = [(float(own @ mean(one.places)), one) for one in others if one.id != group.id]
    return [one for _, one in sorted(scored, key=lambda each: -each[0])[:count]]


def proposal(matcher: Matcher, places: Sequence[FacingPlace]) -> Offer | None:
    """The product of the catalogue that facings of a group may be, None where it is probably none of it."""
    views = [upright(*review.crop_of(matcher, *place)) for place in places[:ASKED]]
    return proposed(matcher, views)


# -- arranging


def merge(matcher: Matcher, into: int, others: Sequence[int]) -> GroupChange:
    """Make one group of several, which keeps the number `into`; raises UnknownGroup where one is gone."""
    by = require("staff")
    known = [groups.group(matcher.catalogue, id_) for id_ in (into, *others)]
    wanted: dict[int, Sequence[FacingPlace]] = dict.fromkeys(others, ())
    wanted[into] = [place for one in known for place in one.places]
    return groups.arrange(matcher.catalogue, wanted, action="merged", by=by)


def take_out(matcher: Matcher, group_id: int, places: Sequence[FacingPlace], *, together: bool = True) -> GroupChange:
    """Take facings out of a group: `together` as a group of their own, else each alone."""
    by = require("staff")
    one = groups.group(matcher.catalogue, group_id)
    gone = set(places)
    if not gone or gone >= set(one.places):
        raise NamingError("tick some of the facings, not all of them")
    rest = [place for place in one.places if place not in gone]
    taken = sorted(gone)
    fresh = [taken] if together else [[place] for place in taken]
    return groups.arrange(
        matcher.catalogue, {group_id: rest}, fresh, action="split" if together else "taken out", by=by
    )


def put_off(matcher: Matcher, ids: Sequence[int]) -> GroupChange:
    """Put groups off for later."""
    return groups.put_off(matcher.catalogue, ids, groups.LATER, by=require("staff"))


def take_up(matcher: Matcher, ids: Sequence[int]) -> GroupChange:
    """Take groups up again that were put off."""
    return groups.put_off(matcher.catalogue, ids, groups.OPEN, by=require("staff"))


# -- naming


def typed_product(matcher: Matcher, text: str) -> tuple[Product | None, list[Product]]:
    """What a typed name, SKU or GTIN means: the product that has just this, else None and what comes near it."""
    text = text.strip()
    hits = listing.search(matcher.catalogue, text, limit=8) if text else []
    same = [one for one in hits if text.casefold() in (one.sku.casefold(), one.name.casefold()) or _is_gtin(one, text)]
    return (same[0] if len(same) == 1 else None), hits


def new_product(matcher: Matcher, text: str) -> Product:
    """A product that is not there yet, of a typed name: a free SKU is made of it; of a GTIN, that number."""
    text = " ".join(text.split())
    try:
        gtin = normal_gtin(text)
    except GtinError:
        return Product(_free_sku(matcher, text), text)
    return Product(gtin.lstrip("0"), f"GTIN {gtin.lstrip('0')}", gtin=gtin)


def name_group(matcher: Matcher, group_id: int, product: Product) -> Named:
    """Say what a group's facings are, in all scans, and make the clearest of them references; in one step.

    A product that is not in the catalogue is added, which only a manager may; the fields of one that is there stay.
    Raises UnknownGroup where somebody was faster, NotAllowed, PhotoError.
    """
    by = require("staff")
    product = product.cleaned()
    there = matcher.catalogue.find_product(product.sku)
    if there is None:
        require("manager")
    one = groups.group(matcher.catalogue, group_id)
    chosen = clearest(matcher, one)
    uploads = [upload for scan, number in chosen for upload in corrections.uploads(matcher, scan, [number])]
    learned = matcher.embedded(product.sku, uploads)
    action = "corrected" if there else "new product"
    with matcher.catalogue.change():  # the product, its references and all scans, or nothing
        if groups.group(matcher.catalogue, group_id).places != one.places:
            raise UnknownGroup("somebody has changed this group meanwhile; look at it again")
        known = {reference.id for reference in matcher.catalogue.references(product.sku)} if there else set()
        ids = matcher.catalogue.enrol(there.sku if there else product, learned, by=by)
        made = [id_ for id_ in ids if id_ not in known]
        done = [
            scans.decide(matcher.catalogue, scan, [n for s, n in one.places if s == scan], product.sku, action, by=by)
            for scan in sorted({scan for scan, _ in one.places})
        ]
        change = groups.named(
            matcher.catalogue, one, product.sku, action, scan_changes=done, references=made, by=by
        )  # fmt: skip
    matcher.refresh()
    return Named(change, there or product, len(one.places), len(done))


def clearest(matcher: Matcher, group: Group) -> list[FacingPlace]:
    """The facings of a group that show it best and most differently, at most MAX_REFERENCES.

    Each next one has the best product of clearness (sharpness times the root of its size) and of how far it is from
    those that were taken, by the cosine of their vectors.
    """
    require("staff")
    views = [upright(*review.crop_of(matcher, *place)) for place in group.places]
    vectors = embed_views(matcher.embedder, views)
    clear = np.array([_clearness(crop) for crop, _ in views])
    chosen = [int(clear.argmax())]
    while len(chosen) < min(MAX_REFERENCES, len(views)):
        far = 1 - (vectors @ vectors[chosen].T).max(axis=1)
        gain = clear * (0.05 + np.maximum(far, 0))
        gain[chosen] = -1
        chosen.append(int(gain.argmax()))
    return [group.places[at] for at in chosen]


def last_step(matcher: Matcher) -> GroupChange | None:
    """The newest step that was not taken back."""
    return groups.last_change(matcher.catalogue)


def undo(matcher: Matcher, number: int) -> GroupChange:
    """Take a step back whole: groups, the facings in all scans, references, and a product that was made of it.

    Raises UndoError where something later rests on it; nothing is changed then.
    """
    by = require("staff")
    entry = groups.change(matcher.catalogue, number)
    if entry.action == "new product":
        require("manager")
    with matcher.catalogue.change():  # all of it, or nothing
        groups.undo(matcher.catalogue, number, by=by)
        for change in reversed(entry.scan_changes):
            scan_history.undo(matcher.catalogue, change, by=by)
        if entry.action == "new product":
            corrections.take_product_out(matcher, entry.sku, entry.references)
        elif entry.references:
            matcher.catalogue.remove_references(entry.references, by=by)
    matcher.refresh()
    return entry


def _embedder(matcher: Matcher) -> str:
    return f"{matcher.embedder.name}:{matcher.embedder.fingerprint}"


def _clearness(picture: np.ndarray) -> float:
    height, width = picture.shape[:2]
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    return sharpness(grey, _SHARP_SIDE) * float(np.sqrt(height * width))


def _is_gtin(product: Product, text: str) -> bool:
    digits = re.sub(r"[\s-]", "", text)
    return bool(product.gtin) and digits.isdecimal() and product.gtin.lstrip("0") == digits.lstrip("0")


def _free_sku(matcher: Matcher, name: str) -> str:
    """A SKU made of a name's letters and digits, with a number where it is taken."""
    base = re.sub(r"[^a-z0-9]+", "-", plain(name)).strip("-").upper()[:40] or "PRODUCT"
    sku, number = base, 2
    while matcher.catalogue.find_product(sku) is not None:
        sku, number = f"{base}-{number}", number + 1
    return sku
