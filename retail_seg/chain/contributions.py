"""What shops add goes back to the centre as contributions, which a manager there takes or leaves.

A contribution is one file beside the snapshots, named by its own hash: a product and some references that a shop has
added. Nobody signs it: whoever may write there may contribute, so a centre believes nothing of it. It is small, it is
checked, its pictures are decoded and embedded like any upload, and it changes nothing before a manager has taken it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from typing import TYPE_CHECKING, Any

from catalogue import Product, contributions, following
from catalogue.errors import CatalogueError
from retail_seg.chain.packing import chunk_of, pack, unpack
from retail_seg.chain.remote import Remote
from retail_seg.errors import ChainError
from retail_seg.people.roles import require, sign
from retail_seg.store.enrolment import Refused, Upload
from retail_seg.store.following import followed_by

if TYPE_CHECKING:
    from catalogue import Catalogue
    from retail_seg.matcher import Matcher

#: References of one contribution, and what a contribution may hold at most, in bytes.
PICTURES, LARGEST = 16, 32 * 2**20
#: A shop's own note: up to which of its references it has sent, by address.
_SENT = "contributed"


@dataclass(frozen=True)
class Contribution:
    """What a shop offers: pictures of a product; `new` where the centre has no such product.

    name   of the file, the hash of its bytes
    shop   as it calls itself
    """

    name: str
    shop: str
    product: Product
    pictures: tuple[Upload, ...]
    new: bool = False

    def to_dict(self) -> dict[str, Any]:
        """As the command lists it."""
        return {
            "contribution": self.name[:12],
            "shop": self.shop,
            "sku": self.product.sku,
            "name": self.product.name,
            "new": self.new,
            "pictures": len(self.pictures),
        }


def contribute(catalogue: Catalogue, address: str = "", *, shop: str = "") -> int:
    """Send the references that a shop has added since the last time; returns how many contributions these are.

    Without an address they go where the snapshots come from. Sending them twice is sending them once. Raises ChainError
    for a store that follows nobody; staff may.
    """
    require("staff")
    stands = followed_by(catalogue)
    if stands is None:
        raise ChainError(f"{catalogue.path.parent}: follows nobody; only a shop has a centre to contribute to")
    remote = Remote(address or stands.source)
    noted = json.loads(catalogue.get_setting(_SENT) or "{}")
    ids = list(following.own_references(catalogue, int(noted.get(remote.place, 0))))
    packed = list(_packed(catalogue, ids, shop or catalogue.identity[:12]))
    for data in packed:
        remote.contribute(chunk_of(data), data)
    if ids:
        catalogue.set_setting(_SENT, json.dumps(noted | {remote.place: ids[-1]}))
    return len(packed)


def count_open(catalogue: Catalogue, address: str, *, left: bool = False) -> int:
    """How many contributions wait at an address for a decision (with `left`: were left)."""
    return len(_open(catalogue, Remote(address), left))


def open_contributions(
    catalogue: Catalogue, address: str, *, left: bool = False, start: int = 0, most: int | None = None
) -> Iterator[Contribution | str]:
    """What waits at an address for a decision (with `left`: what was left); a sentence for what is damaged.

    With `most` only so many, from the one at `start` on; the others are not read.
    """
    remote = Remote(address)
    for name, size in islice(_open(catalogue, remote, left), start, None if most is None else start + most):
        data = remote.contribution(name, LARGEST) if size <= LARGEST else None
        found = None if data is None or chunk_of(data).name != name else _read(catalogue, name, data)
        yield (
            found or f"{address}: contribution {name[:12]} is damaged, too large or of another form; it was passed over"
        )


def _open(catalogue: Catalogue, remote: Remote, left: bool) -> list[tuple[str, int]]:
    """Name and bytes of what waits, by name."""
    known, wanted = contributions.decided(catalogue), False if left else None
    return [(name, size) for name, size in sorted(remote.contributions().items()) if known.get(name) is wanted]


def find(catalogue: Catalogue, address: str, name: str) -> Contribution:
    """The contribution whose name begins like that, also one that was left; raises ChainError."""
    for left in (False, True):
        for one in open_contributions(catalogue, address, left=left):
            if isinstance(one, Contribution) and name and one.name.startswith(name):
                return one
    raise ChainError(f"{address}: no contribution {name} waits there; see `retail-seg contributions list {address}`")


def take(matcher: Matcher, contribution: Contribution, *, by: str = "") -> list[Refused]:
    """Give the product its pictures, make it where it is new; returns those that cannot be used.

    What the centre says about a product that it has stays as it is. Only a manager may.
    """
    by = sign("manager", by)
    catalogue, product = matcher.catalogue, contribution.product
    if catalogue.find_product(product.sku) is None:
        catalogue.put_product(product, by=by)
    found = matcher.enrol_readable(product.sku, contribution.pictures, by=by)
    contributions.decide(catalogue, contribution.name, product.sku, True, by=by)
    return [one for one in found if isinstance(one, Refused)]


def leave(catalogue: Catalogue, contribution: Contribution, *, by: str = "") -> None:
    """Decide that a contribution is not wanted; it can be taken later. Only a manager may."""
    by = sign("manager", by)
    contributions.decide(catalogue, contribution.name, contribution.product.sku, False, by=by)


def _packed(catalogue: Catalogue, ids: Sequence[int], shop: str) -> Iterator[bytes]:
    """Own references as contributions, a product and at most PICTURES of them each."""
    owners = catalogue.skus_of(ids)
    for sku, group in groupby(sorted(ids, key=lambda id_: (owners[id_], id_)), key=lambda id_: owners[id_]):
        product, members = catalogue.product(sku), list(group)
        about = {"shop": shop, "sku": sku, **{name: getattr(product, name) for name in _TEXTS}}
        about["attributes"] = dict(product.attributes)
        for at in range(0, len(members), PICTURES):
            yield pack([about, *(_picture(catalogue, id_) for id_ in members[at : at + PICTURES])])


_TEXTS = ("name", "brand", "category", "gtin")


def _picture(catalogue: Catalogue, id_: int) -> dict[str, Any]:
    one = catalogue.reference(id_)
    return {
        "content_hash": one.content_hash,
        "source": one.source,
        "picture": catalogue.reference_picture(id_),
        "mask": catalogue.reference_mask(id_),
    }


def _read(catalogue: Catalogue, name: str, data: bytes) -> Contribution | None:
    """A contribution, None for what is none."""
    try:
        about, *rows = unpack(data)
        texts = {key: str(about[key]) for key in _TEXTS}
        attributes = {str(key): str(value) for key, value in dict(about["attributes"]).items()}
        product = Product(str(about["sku"]), **texts, attributes=attributes).cleaned()
        pictures = tuple(_upload(str(about["shop"]), row) for row in rows[:PICTURES])
        new = catalogue.find_product(product.sku) is None
        return Contribution(name, str(about["shop"])[:80], product, pictures, new)
    except (ChainError, CatalogueError, KeyError, TypeError, ValueError):
        return None


def _upload(shop: str, row: dict[str, Any]) -> Upload:
    hash_ = str(row["content_hash"])
    if len(hash_) != 64 or not isinstance(row["picture"], bytes):
        raise ValueError
    return Upload(row["picture"], f"{row['source']} of {shop}"[:200], row["mask"], hash=hash_, kept=True)
