"""What people look at in a store: its products, found and leafed through, with their pictures; it changes nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

from catalogue import history, listing
from retail_seg.photos.load import encode_picture, load_photo

if TYPE_CHECKING:
    from catalogue import Product, Reference
    from catalogue.listing import Entry, Filter
    from retail_seg.matcher import Matcher

#: Longer side, in pixels, of a picture in a list.
THUMBNAIL = 320


def is_empty(matcher: Matcher, *, removed: bool = False) -> bool:
    """Whether a store has no products; with `removed`, whether none was ever taken out either."""
    return not matcher.catalogue.count_products() and not (removed and matcher.catalogue.count_products(removed=True))


def find(matcher: Matcher, wanted: Filter, *, offset: int = 0, limit: int = 25) -> list[Entry]:
    """One page of the products that are wanted, see `catalogue.listing.find`, with their covers."""
    return listing.entries(matcher.catalogue, wanted, offset=offset, limit=limit)


def count(matcher: Matcher, wanted: Filter) -> int:
    """How many products `find` pages through."""
    return listing.count(matcher.catalogue, wanted)


def count_products(matcher: Matcher) -> int:
    """How many products there are."""
    return matcher.catalogue.count_products()


def count_references(matcher: Matcher) -> int:
    """How many reference pictures are in use."""
    return matcher.catalogue.count_references()


def brands(matcher: Matcher) -> list[str]:
    """The brands of the products, for a choice among them."""
    return matcher.catalogue.brands()


def categories(matcher: Matcher) -> list[str]:
    """The categories of the products, for a choice among them."""
    return matcher.catalogue.categories()


def product(matcher: Matcher, sku: str) -> Product | None:
    """The product with this SKU, None where there is none or it has been removed."""
    return matcher.catalogue.find_product(sku)


def existing(matcher: Matcher, sku: str) -> Product:
    """The product with this SKU; raises UnknownProduct."""
    return matcher.catalogue.product(sku)


def entry(matcher: Matcher, sku: str) -> listing.Entry:
    """The product with this SKU, with the number of its references and its cover; raises UnknownProduct."""
    found = existing(matcher, sku)
    cover, number = listing.covers(matcher.catalogue, [sku]).get(sku, (None, 0))
    return listing.Entry(found, number, cover)


def state_of(found: listing.Entry) -> str:
    """A text that differs when a product's fields, or the number of its references, do."""
    return hashlib.sha256(f"{found.product.as_json()} {found.references}".encode()).hexdigest()[:32]


def references(matcher: Matcher, sku: str) -> list[Reference]:
    """The references of a product in use, oldest first."""
    return matcher.catalogue.references(sku)


def names(matcher: Matcher, skus: Iterable[str]) -> dict[str, str]:
    """Names of products by SKU, also of removed ones; SKUs that never were are left out."""
    return matcher.catalogue.names_of(skus)


def owner(matcher: Matcher, reference_id: int) -> str:
    """The SKU of the product that a reference in use belongs to, empty for one that is not in use."""
    return matcher.catalogue.skus_of([reference_id]).get(reference_id, "")


def picture(matcher: Matcher, reference_id: int) -> bytes:
    """A reference's picture as it is kept, JPEG bytes; raises UnknownReference."""
    return matcher.catalogue.reference_picture(reference_id)


def thumbnail(matcher: Matcher, reference_id: int, side: int = THUMBNAIL) -> tuple[bytes, float]:
    """A reference's picture as JPEG bytes, its longer side at most so many pixels, and its width over its height.

    Raises UnknownReference.
    """
    photo = load_photo(matcher.catalogue.reference_picture(reference_id), name="reference", max_side=side)
    return encode_picture(photo), photo.shape[1] / photo.shape[0]


def last_changes(matcher: Matcher, sku: str = "", limit: int = 20) -> list[history.Change]:
    """The latest changes, newest first; of one product where a SKU is given."""
    return history.log(matcher.catalogue, sku=sku, limit=limit)
