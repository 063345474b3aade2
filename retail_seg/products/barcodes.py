"""Barcodes of products: what pictures say about a GTIN, and the search by a picture of a barcode."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from catalogue import listing
from catalogue.gtin import Remark, gtins_in, printed, remark_on
from retail_seg.photos.codes import MISSING, available, codes_of
from retail_seg.photos.load import PhotoSource, load_photo

if TYPE_CHECKING:
    from retail_seg.matcher import Matcher

__all__ = ["MISSING", "available", "gtins_on", "number_on", "remark"]


def remark(matcher: Matcher, sku: str, pictures: Iterable[Sequence[str]]) -> Remark | None:
    """What is to be said where pictures of a product show these GTINs (14 digits) each; None where all is well."""
    product = matcher.catalogue.find_product(sku)
    if product is None:
        return None

    def owners(gtin: str) -> list[str]:
        return [other for other in listing.skus_with_gtin(matcher.catalogue, gtin) if other != sku]

    return remark_on(product.gtin, pictures, owners)


def gtins_on(matcher: Matcher, reference_id: int) -> tuple[str, ...]:
    """The GTINs (14 digits) that a reference shows in the size in which it is kept; raises UnknownReference."""
    if not available():
        return ()
    picture = load_photo(matcher.catalogue.reference_picture(reference_id), name="reference")
    return gtins_in(code.text for code in codes_of(picture))


def number_on(photo: PhotoSource, name: str) -> str:
    """What to search for a product by: the digits of the GTIN that a photo shows, else the text of its first code.

    Empty where no code can be read. Raises PhotoError for a photo that cannot be read.
    """
    texts = [code.text for code in codes_of(load_photo(photo, name=name), thorough=True)]
    return next(map(printed, gtins_in(texts)), texts[0] if texts else "")
