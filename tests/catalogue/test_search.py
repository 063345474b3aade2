"""Search on a real full-text table, by what people type."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from catalogue import Catalogue, Product, history
from catalogue.listing import count_search, search


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[Catalogue]:
    with Catalogue.create(tmp_path / "catalogue.db", embedder="e", dim=4) as made:
        for product in (
            Product("MILK-1", "Crème fraîche 30 %", "Älpler", "Dairy", "4006381333931"),
            Product("MILK-10", "Whole milk", "Älpler", "Dairy", "036000291452"),
            Product("JUICE", "Cream soda", "Fizz", "Drinks / milk free", ""),
            Product("W-9", "Grapes", "", "Fruit", "2177777777775"),
        ):
            made.put_product(product)
        yield made


def found(catalogue: Catalogue, text: str) -> list[str]:
    skus = [product.sku for product in search(catalogue, text)]
    assert count_search(catalogue, text) == len(skus)
    return skus


@pytest.mark.parametrize(
    ("text", "skus"),
    [
        ("creme", ["MILK-1"]),
        ("CRÈME fra", ["MILK-1"]),
        ("cre", ["JUICE", "MILK-1"]),
        ("alpler whole", ["MILK-10"]),
        ("alpler grapes", []),
        ("4006381333931", ["MILK-1"]),
        ("04006381333931", ["MILK-1"]),
        ("40063", ["MILK-1"]),
        ("0360", ["MILK-10"]),
        ("360002", ["MILK-10"]),
        ("21777", ["W-9"]),
        ("fruit", ["W-9"]),
        ("nothing", []),
        ("", []),
        ("-", []),
        ('mil" OR (', []),
        ("NEAR", []),
    ],
)
def test_words_prefixes_accents_and_numbers(catalogue: Catalogue, text: str, skus: list[str]) -> None:
    assert sorted(found(catalogue, text)) == skus


def test_an_exact_sku_leads(catalogue: Catalogue) -> None:
    assert found(catalogue, "MILK-1") == ["MILK-1", "MILK-10"]
    assert found(catalogue, "milk")[-1] == "JUICE", "a word in the category says least"
    assert [product.sku for product in search(catalogue, "MILK-1", limit=1, offset=1)] == ["MILK-10"]


def test_the_search_follows_changes(catalogue: Catalogue) -> None:
    catalogue.put_product(Product("MILK-10", "Skimmed"))
    assert found(catalogue, "whole") == [] and found(catalogue, "skim") == ["MILK-10"]
    catalogue.remove_product("MILK-10")
    assert found(catalogue, "skim") == []
    history.restore_product(catalogue, "MILK-10")
    assert found(catalogue, "skim") == ["MILK-10"]


def test_a_word_that_everything_has_still_pages_through_everything(
    catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("catalogue.listing.RANKED", 5)
    for number in range(30):
        catalogue.put_product(Product(f"BIS-{number:02d}", "Biscuit"))
    pages = [[product.sku for product in search(catalogue, "bisc", limit=8, offset=start)] for start in range(0, 32, 8)]
    assert [len(page) for page in pages] == [8, 8, 8, 6] and count_search(catalogue, "bisc") == 30
    assert {sku for page in pages for sku in page} == {f"BIS-{number:02d}" for number in range(30)}
