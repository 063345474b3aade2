"""What people do with products in the app: add, change, give them pictures, tell doubles apart, take it back."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from catalogue import Product, editing, history, listing
from retail_seg.errors import RetailSegError
from retail_seg.people.roles import require
from retail_seg.store.enrolment import Refused, Upload
from retail_seg.store.gallery import stack
from retail_seg.system.progress import OnProgress

if TYPE_CHECKING:
    from retail_seg.matcher import Matcher

#: So many pictures can be added at once.
MAX_PICTURES = 100


class TooManyPictures(RetailSegError):
    """More pictures were given than are taken at once."""


@dataclass(frozen=True)
class AddedPicture:
    """What became of one uploaded picture: the reference that it is now, or why there is none.

    `gtins` are those (14 digits) that barcodes in it hold, `double` says that the product has the picture already.
    """

    name: str
    reference_id: int | None
    reason: str = ""
    gtins: tuple[str, ...] = ()
    double: bool = False


@dataclass(frozen=True)
class Rival:
    """Another product that resembles one, by the pair of their references that resembles most (cosine)."""

    sku: str
    name: str
    score: float
    reference_id: int
    other_id: int


# -- fields


def add_product(matcher: Matcher, product: Product, pictures: Sequence[Upload] = ()) -> Product:
    """Add a product that is new, with its first pictures or without; returns it as it was kept.

    Raises EditConflict for a known SKU, PhotoError for a picture that cannot be used: nothing is written then.
    """
    by = require("manager")
    if not pictures:
        return editing.add(matcher.catalogue, product, by=by)
    sku = product.cleaned().sku
    editing.check_free(matcher.catalogue, sku)
    learned = matcher.embedded(sku, pictures)
    with matcher.catalogue.change():  # the product and its pictures, or neither
        kept = editing.add(matcher.catalogue, product, by=by)
        matcher.catalogue.enrol(kept.sku, learned, by=by)
    matcher.refresh()
    return kept


def change_product(matcher: Matcher, seen: Product, wanted: Product) -> list[int]:
    """Write a product's fields, if it still is as somebody saw it; returns the changes to undo, none for no difference.

    Raises EditConflict where another person has changed it meanwhile.
    """
    written = editing.revise(matcher.catalogue, seen, wanted, by=require("manager"))
    return _latest(matcher, seen.sku) if written else []


def remove(matcher: Matcher, sku: str, references: Sequence[int] | None = None) -> list[int]:
    """Take a product out, or some of its pictures; returns the changes to undo."""
    require("manager")
    matcher.remove(sku, references)
    return _latest(matcher, sku)


def bring_back(matcher: Matcher, sku: str) -> list[int]:
    """Bring a removed product back with its pictures; returns the changes to undo. Raises UndoError."""
    require("manager")
    return [matcher.undelete(sku).id]


def _latest(matcher: Matcher, sku: str) -> list[int]:
    return [change.id for change in history.log(matcher.catalogue, sku=sku, limit=1)]


# -- pictures


def add_pictures(
    matcher: Matcher, sku: str, uploads: Sequence[tuple[str, bytes]], report: OnProgress = lambda share, text: None
) -> list[AddedPicture]:
    """Give a product pictures, (name, bytes of the file) each, all in one change; bad ones are told apart.

    `report` may raise: nothing has been written then. Raises UnknownProduct, and TooManyPictures for too many at once.
    """
    require("manager")
    check_addition(matcher, sku, len(uploads))
    names = [name for name, _ in uploads]

    def on_picture(done: int, total: int) -> None:
        report(0.95 * done / max(total, 1), f"Learning picture {min(done + 1, total)} of {total}")

    found = matcher.enrol_readable(sku, [Upload(data, name) for name, data in uploads], on_picture=on_picture)
    return [
        AddedPicture(name, None, one.reason, double=one.double)
        if isinstance(one, Refused)
        else AddedPicture(name, one.reference_id, gtins=one.gtins)
        for name, one in zip(names, found, strict=True)
    ]


def recognised(
    matcher: Matcher, sku: str, uploads: Sequence[tuple[str, bytes]], added: Sequence[AddedPicture]
) -> list[AddedPicture]:
    """What became of pictures, those that were there already as the references that they are: for work done again."""
    require("manager")
    known = {reference.content_hash: reference.id for reference in matcher.catalogue.references(sku)}
    ids = [known.get(hashlib.sha256(data).hexdigest()) for _, data in uploads]
    pairs = zip(added, ids, strict=True)
    return [one if not one.double or id_ is None else AddedPicture(one.name, id_) for one, id_ in pairs]


def check_addition(matcher: Matcher, sku: str, count: int) -> None:
    """Raise what `add_pictures` would before it reads the first picture."""
    require("manager")
    matcher.catalogue.product(sku)
    if count > MAX_PICTURES:
        raise TooManyPictures(f"{count} pictures are too many at once; add at most {MAX_PICTURES}")


# -- look-alikes


def rivals(matcher: Matcher, sku: str, limit: int = 5) -> list[Rival]:
    """The other products that resemble a product most, the nearest first; none for one without pictures."""
    rows = [(id_, data[: matcher.catalogue.dim * 4], 1) for id_, data, _ in listing.vectors(matcher.catalogue, sku)]
    if not rows:
        return []
    ids, vectors = stack(rows, matcher.catalogue.dim)
    scores, found = matcher.nearest(vectors, limit * 4 + len(rows))
    owners = matcher.catalogue.skus_of(int(i) for i in np.unique(found))
    best: dict[str, tuple[float, int, int]] = {}
    for row, id_ in enumerate(ids):
        for score, other in zip(scores[row], found[row], strict=True):
            owner = owners.get(int(other), sku)
            if owner != sku and float(score) > best.get(owner, (-1.0, 0, 0))[0]:
                best[owner] = (float(score), int(id_), int(other))
    names = matcher.catalogue.names_of(best)
    order = sorted(best, key=lambda owner: -best[owner][0])[:limit]
    return [Rival(owner, names.get(owner, ""), *best[owner]) for owner in order]


def merge(matcher: Matcher, keep: str, drop: str) -> list[int]:
    """Make two products one; returns the changes, in the order to undo them. Raises UnknownProduct."""
    changes = editing.merge(matcher.catalogue, keep, drop, by=require("manager"))
    matcher.refresh()
    return changes


def move(matcher: Matcher, reference_ids: Sequence[int], to: str) -> list[int]:
    """Put pictures under another product; returns the changes, in the order to undo them."""
    changes = editing.move(matcher.catalogue, reference_ids, to, by=require("manager"))
    matcher.refresh()
    return changes


def undo(matcher: Matcher, numbers: Sequence[int]) -> list[int]:
    """Take changes back in this order; returns what undoes this. Raises UndoError at the first that cannot be."""
    require("manager")
    return [matcher.undo(number).id for number in numbers][::-1]


def undoable(change: history.Change) -> bool:
    """Whether a change is worth an undo button: of a product, and not taken back yet."""
    return bool(change.sku) and change.undone_by is None
