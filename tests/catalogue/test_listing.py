"""Leafing through a catalogue: search and filters at once, pages, covers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from catalogue import Catalogue, NewReference, Product, listing
from catalogue.listing import Filter

MILK = Product("10", "Milk 1 l", "Alp", "Dairy", "4006381333931")
PRODUCTS = [
    MILK,
    Product("20", "Chocolate milk", "Alp", "Drinks"),
    Product("milk", "Rice drink", "Soy", "Drinks"),
    Product("40", "50%_off \\ cheese", "Soy", "Dairy"),
]


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[Catalogue]:
    with Catalogue.create(tmp_path / "catalogue.db", embedder="e", dim=1) as made:
        for product in PRODUCTS:
            made.put_product(product)
        made.enrol("10", [reference("a"), reference("b")])
        made.enrol("20", [reference("c")])
        yield made


def reference(mark: str) -> NewReference:
    return NewReference(mark.encode(), mark, b"\0\0\x80\x3f", 1, "e")


def skus(catalogue: Catalogue, **wanted: object) -> list[str]:
    asked = Filter(**wanted)  # type: ignore[arg-type]
    found = [entry.product.sku for entry in listing.entries(catalogue, asked)]
    assert listing.count(catalogue, asked) == len(found)
    return found


def test_all_filters_hold_at_once(catalogue: Catalogue) -> None:
    assert skus(catalogue) == ["10", "20", "40", "milk"]
    assert skus(catalogue, brand="Alp") == ["10", "20"]
    assert skus(catalogue, brand="Alp", category="Drinks") == ["20"]
    assert skus(catalogue, pictures="none") == ["40", "milk"]
    assert skus(catalogue, pictures="one") == ["20"]
    assert skus(catalogue, text="milk", category="Drinks", pictures="none") == ["milk"]
    assert skus(catalogue, text="milk", brand="nobody") == []


def test_an_exact_sku_or_gtin_leads_and_words_may_be_begun(catalogue: Catalogue) -> None:
    assert skus(catalogue, text="milk")[0] == "milk" and set(skus(catalogue, text="milk")) == {"10", "20", "milk"}
    assert skus(catalogue, text="choc mi") == ["20"]
    assert skus(catalogue, text="4006381333931") == ["10"]
    assert skus(catalogue, text='" OR *') == []
    assert skus(catalogue, text="milk", category="Drinks") == ["milk", "20"]
    whole = skus(catalogue, text="milk")
    pages = [listing.find(catalogue, Filter("milk"), offset=at, limit=1) for at in range(4)]
    assert [[product.sku for product in page] for page in pages] == [[sku] for sku in whole] + [[]]


@pytest.mark.parametrize("text", ["%", "_", "\\", "off"])
def test_removed_products_are_searched_and_nothing_typed_is_a_wildcard(catalogue: Catalogue, text: str) -> None:
    for product in PRODUCTS:
        catalogue.remove_product(product.sku)
    assert skus(catalogue) == [] and skus(catalogue, removed=True) == ["10", "20", "40", "milk"]
    assert skus(catalogue, removed=True, text=text) == ["40"]
    assert skus(catalogue, removed=True, brand="Alp", text="choc milk") == ["20"]


def test_pages_follow_each_other_and_know_their_covers(catalogue: Catalogue) -> None:
    pages = [listing.entries(catalogue, Filter(), offset=offset, limit=2) for offset in (0, 2, 4)]
    assert [[entry.product.sku for entry in page] for page in pages] == [["10", "20"], ["40", "milk"], []]
    first, second = pages[0]
    ids = [found.id for found in catalogue.references("10")]
    assert (first.product, first.references, first.cover) == (catalogue.product("10"), 2, ids[0])
    assert (second.references, pages[1][0].references, pages[1][0].cover) == (1, 0, None)
    catalogue.remove_references([ids[0]])
    assert listing.entries(catalogue, Filter(), limit=1)[0].cover == ids[1]
    assert [(id_, views) for id_, _, views in listing.vectors(catalogue, "10")] == [(ids[1], 1)]
    assert listing.vectors(catalogue, "40") == []
