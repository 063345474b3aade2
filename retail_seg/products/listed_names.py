"""A list of names and GTINs without pictures held against groups of facings, by what is printed on them.

The list is the products of the store that have no picture yet, or a file; what is read on a facing is kept, and each
is read once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from catalogue import Product, facing_prints, groups, listing
from catalogue.errors import UnknownColumns
from catalogue.groups import FacingPlace, Group
from catalogue.gtin import gtins_in
from catalogue.importing import read_file
from catalogue.listing import Filter
from index.clustering import unwatched
from index.sameness import OnPairs
from retail_seg.errors import PhotoError
from retail_seg.people.roles import require
from retail_seg.photos import codes, words
from retail_seg.photos.load import shrink
from retail_seg.products.printed import NameList, NameOffer, Printed, assigned
from retail_seg.scans import review
from retail_seg.store.crop_lists import LabelledCrop, load_crops

if TYPE_CHECKING:
    from retail_seg.matcher import Matcher

#: So many facings of a group are read, the largest ones: 0.1 s each of one core.
READ = 3
#: Longer side, in pixels, of a facing as it is read.
READ_SIDE = 512
#: Names of a store's list that are held against groups.
MOST_NAMES = 50_000


@dataclass(frozen=True)
class GroupNames:
    """What was read on a group's facings, and the names of the list that it may be (equal ones; mostly one or none)."""

    printed: Printed
    offers: tuple[NameOffer, ...]

    def to_dict(self) -> dict[str, Any]:
        """As plain values."""
        names = [
            {"sku": one.product.sku, "name": one.product.name, "gtin": one.product.gtin, "evidence": one.text}
            for one in self.offers
        ]
        return {"read": self.printed.text, "names": names}


def readable() -> bool:
    """Whether words or barcodes can be read."""
    return words.available() or codes.available()


def missing() -> str:
    """What cannot be read here, and how to have it, as one sentence; empty where words and barcodes can be."""
    return "; ".join(reader.MISSING for reader in (words, codes) if not reader.available())


def printed_on(picture: np.ndarray) -> Printed:
    """What can be read on a crop, RGB uint8 (h, w, 3)."""
    gtins = gtins_in(code.text for code in codes.codes_of(picture))  # before it shrinks: bars are thin
    found = words.words_of(shrink(picture, READ_SIDE))
    return Printed(tuple((word.text, word.score) for word in found), gtins)


# -- a store's groups and its products without pictures


def count_names(matcher: Matcher) -> int:
    """How many products of the store have no picture: the list that groups are held against."""
    return listing.count(matcher.catalogue, Filter(pictures="none"))


def count_unread(matcher: Matcher) -> int:
    """How many facings are still to be read; 0 where nothing is installed that reads, or there is no list."""
    if not readable() or not count_names(matcher):
        return 0
    return len(_unread(matcher))


def read_groups(matcher: Matcher, on_facings: OnPairs = unwatched) -> int:
    """Read what is printed on the largest facings of all groups that wait for a name, the largest groups first.

    Each is kept at once; returns how many were read.
    """
    require("staff")
    waiting = _unread(matcher)
    for place in on_facings(waiting, len(waiting)):
        read = printed_on(review.crop_of(matcher, *place)[0])
        facing_prints.keep(matcher.catalogue, place, read.words, read.gtins)
    return len(waiting)


def names_of_groups(matcher: Matcher) -> dict[int, GroupNames]:
    """Group ► what was read on it and the names that it may be, of the groups on which something was read.

    A name is proposed for one group, or for those whose evidence is as good as the best.
    """
    known = facing_prints.known(matcher.catalogue)
    read: dict[int, Printed] = {}
    for one in groups.groups(matcher.catalogue) if known else ():
        together = Printed.together(Printed(*known[place]) for place in one.places if place in known)
        if together.words or together.gtins:
            read[one.id] = together
    names = _names(matcher, {gtin for one in read.values() for gtin in one.gtins})
    offers = assigned([names.fitting(one) for one in read.values()])
    return {id_: GroupNames(printed, tuple(found)) for (id_, printed), found in zip(read.items(), offers, strict=True)}


def _names(matcher: Matcher, gtins: Iterable[str]) -> NameList:
    """The products without pictures, and those that have a GTIN which was read."""
    products = {one.sku: one for one in listing.find(matcher.catalogue, Filter(pictures="none"), limit=MOST_NAMES)}
    for sku in {sku for gtin in gtins for sku in listing.skus_with_gtin(matcher.catalogue, gtin)}:
        products[sku] = matcher.catalogue.product(sku)
    return NameList(list(products.values()))


def _unread(matcher: Matcher) -> list[FacingPlace]:
    known, areas = facing_prints.known(matcher.catalogue), facing_prints.areas(matcher.catalogue)
    wanted = [place for one in groups.groups(matcher.catalogue) for place in _largest(one, areas)]
    return [place for place in wanted if place not in known]


def _largest(group: Group, areas: dict[FacingPlace, int]) -> list[FacingPlace]:
    return sorted(group.places, key=lambda place: -areas.get(place, 0))[:READ]


# -- clusters of a script, and a file


def names_of_file(path: Path) -> tuple[NameList, list[str]]:
    """The products of a list, whether it has pictures or not, and a sentence for each line that was left out.

    Columns that are not ours are taken as they are proposed; where none has numbers of its own in every line, products
    are known by their GTINs or names. Raises ImportFileError.
    """
    try:
        found = read_file(path)
    except UnknownColumns as unknown:
        own = [unknown.proposed[key] for key in ("sku", "gtin", "name") if key in unknown.proposed]
        if not unknown.proposed.keys() & {"name", "gtin"}:
            raise
        read = [read_file(path, unknown.proposed | {"sku": column}) for column in dict.fromkeys(own)]
        found = max(read, key=lambda each: len(each.wanted))
    names = NameList([Product(one.sku).with_fields(one.fields) for one in found.wanted])
    return names, [str(one) for one in found.refused]


def names_of_store(matcher: Matcher) -> NameList:
    """The products of a store that have no picture."""
    return _names(matcher, ())


def names_of_clusters(
    names: NameList, clusters: Sequence[Sequence[LabelledCrop]], on_facings: OnPairs = unwatched
) -> list[GroupNames]:
    """As `names_of_groups`, for clusters of pictures or boxes; a picture that is gone meanwhile says nothing."""
    wanted = [(at, row) for at, rows in enumerate(clusters) for row in sorted(rows, key=lambda row: -_area(row))[:READ]]
    wanted.sort(key=lambda each: str(each[1].path))  # a photo is decoded once
    read: list[list[Printed]] = [[] for _ in clusters]
    for number, crop in on_facings(load_crops([row for _, row in wanted], words.READ_SIDE), len(wanted)):
        if not isinstance(crop, PhotoError):
            read[wanted[number][0]].append(printed_on(crop))
    together = [Printed.together(each) for each in read]
    offers = assigned([names.fitting(one) for one in together])
    return [GroupNames(printed, tuple(found)) for printed, found in zip(together, offers, strict=True)]


def _area(row: LabelledCrop) -> int:
    return row.box[2] * row.box[3] if row.box else 0
