"""Barcodes of products: said and proposed where pictures are added, searched for by a picture, on a real store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from barcodes import barcode, on_pack
from crash_workers import FINGERPRINTS, Patches

from catalogue import Catalogue, Product
from catalogue.listing import Filter
from retail_seg.errors import PhotoError
from retail_seg.matcher import Matcher
from retail_seg.photos import codes
from retail_seg.photos.load import encode_picture
from retail_seg.products import barcodes, browsing, editing
from retail_seg.store.opening import CATALOGUE

GTIN = "04006381333931"


@pytest.fixture
def matcher(tmp_path: Path) -> Iterator[Matcher]:
    embedder = Patches(FINGERPRINTS[0])
    catalogue = Catalogue.create(tmp_path / CATALOGUE, embedder=embedder.fingerprint, dim=embedder.dim)
    with Matcher(tmp_path, catalogue, embedder) as made:
        editing.add_product(made, Product("A", "Pens"))
        editing.add_product(made, Product("B", "Soup", gtin="96385074"))
        yield made


def pack(digits: str = "4006381333931", size: tuple[int, int] = (420, 420)) -> bytes:
    return encode_picture(on_pack(barcode(digits), at=(60, 200), size=size))


def test_an_added_picture_proposes_the_gtin_that_it_shows(matcher: Matcher) -> None:
    (added,) = editing.add_pictures(matcher, "A", [("back.jpg", pack())])
    assert added.reference_id is not None and added.gtins == (GTIN,)
    remark = barcodes.remark(matcher, "A", [added.gtins])
    assert remark is not None and remark.proposed == GTIN
    assert barcodes.gtins_on(matcher, added.reference_id) == (GTIN,)
    product = matcher.catalogue.product("A")
    editing.change_product(matcher, product, product.with_fields({"gtin": remark.proposed}))
    assert barcodes.remark(matcher, "A", [added.gtins]) is None


def test_one_that_contradicts_is_said(matcher: Matcher) -> None:
    (added,) = editing.add_pictures(matcher, "B", [("back.jpg", pack())])
    remark = barcodes.remark(matcher, "B", [added.gtins])
    assert remark is not None and "96385074" in remark.text and "4006381333931" in remark.text and not remark.proposed
    (other,) = editing.add_pictures(matcher, "A", [("back.jpg", pack("96385074"))])
    told = barcodes.remark(matcher, "A", [other.gtins])
    assert told is not None and "the GTIN of B" in told.text


def test_a_barcode_is_read_before_a_large_photo_is_shrunk(matcher: Matcher) -> None:
    (added,) = editing.add_pictures(matcher, "A", [("back.jpg", pack(size=(1900, 1900)))])
    assert added.gtins == (GTIN,)


def test_a_picture_of_a_barcode_finds_its_product(matcher: Matcher) -> None:
    number = barcodes.number_on(pack("96385074"), "taken.jpg")
    assert number == "96385074"
    assert [entry.product.sku for entry in browsing.find(matcher, Filter(number))] == ["B"]
    label = encode_picture(on_pack(barcode("SKU-77", "Code128"), at=(20, 200)))
    assert barcodes.number_on(label, "label.jpg") == "SKU-77"
    assert barcodes.number_on(encode_picture(on_pack(barcode("96385074"), at=(60, 200))[:150]), "above.jpg") == ""
    with pytest.raises(PhotoError, match=r"taken\.jpg"):
        barcodes.number_on(b"no picture", "taken.jpg")


def test_without_the_extra_pictures_are_added_as_before(matcher: Matcher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codes, "PACKAGE", "zxing_that_is_not_there")
    (added,) = editing.add_pictures(matcher, "A", [("back.jpg", pack())])
    assert added.reference_id is not None and added.gtins == ()
    assert barcodes.remark(matcher, "A", [added.gtins]) is None and barcodes.number_on(pack(), "x") == ""
