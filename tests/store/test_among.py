"""Only what can be there: categories, brands and lists of SKUs with weights; every bad one is a sentence."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from catalogue import Catalogue, Product
from retail_seg.errors import StoreError
from retail_seg.store.among import among_of, choice_again, choice_in_words, kept_choice

PRODUCTS = (
    Product("1", "Cola", "Fizz", "Soda"),
    Product("2", "Lime", "Fizz", "soda"),
    Product("3", "Tea", "Leaf", "Tea"),
    Product("4,5", "Mate"),
)


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[Catalogue]:
    with Catalogue.create(tmp_path / "catalogue.db", embedder="e", dim=4) as made:
        for product in PRODUCTS:
            made.enrol(product, [])
        yield made


def listed(tmp_path: Path, text: str) -> str:
    path = tmp_path / "list.csv"
    path.write_bytes(text.encode())
    return str(path)


def test_categories_brands_and_lists_add_up(catalogue: Catalogue, tmp_path: Path) -> None:
    assert among_of(catalogue, []) is None
    assert among_of(catalogue, ["category=SODA"]) == {"1": 1.0, "2": 1.0}
    assert among_of(catalogue, ["brand=leaf"]) == {"3": 1.0}
    path = listed(tmp_path, '\ufeffSKU,weight\r\n1,0.5\r\n\r\n"4,5", 3\r\n3,0\r\n2\r\n')
    assert among_of(catalogue, [path]) == {"1": 0.5, "4,5": 3.0, "3": 0.0, "2": 1.0}
    assert among_of(catalogue, [path, "brand=Fizz"]) == {"1": 1.0, "4,5": 3.0, "3": 0.0, "2": 1.0}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "names no SKU"),
        ("sku\n", "names no SKU"),
        ("1\n77\n78\n", "the store has no product 77, 78; correct the list"),
        ("1,often\n", "line 1: 'often' is no weight"),
        ("1\n2,-1\n", "line 2: '-1' is no weight"),
        ("1,nan\n", "'nan' is no weight"),
        ("1,0\n", "no product is left"),
    ],
)
def test_a_bad_list_is_a_sentence(catalogue: Catalogue, tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(StoreError, match=sentence):
        among_of(catalogue, [listed(tmp_path, text)])


def test_what_names_nothing_is_a_sentence(catalogue: Catalogue, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no product has this category; there are "):
        among_of(catalogue, ["category=bread"])
    with pytest.raises(StoreError, match="no product has this brand; there are Fizz, Leaf"):
        among_of(catalogue, ["brand="])
    for text in ("colour=red", str(tmp_path), "nowhere.csv"):
        with pytest.raises(StoreError, match="is no file; give category=NAME"):
            among_of(catalogue, [text])
    (tmp_path / "picture.jpg").write_bytes(b"\xff\xd8\xff\xe0\x00")
    with pytest.raises(StoreError, match="is no list of SKUs"):
        among_of(catalogue, [str(tmp_path / "picture.jpg")])


def test_a_removed_product_cannot_be_there(catalogue: Catalogue, tmp_path: Path) -> None:
    catalogue.remove_product("3")
    with pytest.raises(StoreError, match="has no product 3"):
        among_of(catalogue, [listed(tmp_path, "3\n")])


def test_what_could_be_there_is_asked_again_as_it_was_kept(catalogue: Catalogue, tmp_path: Path) -> None:
    def again(*wanted: str) -> tuple[dict[str, float] | None, str]:
        kept = json.loads(json.dumps(kept_choice(wanted, among_of(catalogue, wanted))))
        found = choice_again(catalogue, kept)
        return None if found is None else dict(found), choice_in_words(kept)

    assert again() == (None, "")
    path = listed(tmp_path, "1,0.5\n3,0\n2\n")
    both = among_of(catalogue, ["brand=fizz", "category=tea"]), "brand fizz or category tea"
    assert again("brand=fizz", "category=tea") == both
    assert again(path) == ({"1": 0.5, "2": 1.0}, "a list of 2 products")
    kept = kept_choice([path, "brand=Leaf"], among_of(catalogue, [path, "brand=Leaf"]))
    by_name = kept_choice(["brand=Fizz"], among_of(catalogue, ["brand=Fizz"]))
    Path(path).unlink()
    catalogue.enrol(Product("5", "Orange", "Fizz"), [])
    catalogue.remove_product("1")
    assert choice_again(catalogue, kept) == {"2": 1.0, "3": 1.0}, "a list is kept with the scan, what is gone is gone"
    assert choice_again(catalogue, by_name) == {"2": 1.0, "5": 1.0}, "a brand is asked for by its name"
    for sku in ("2", "3"):
        catalogue.remove_product(sku)
    with pytest.raises(StoreError, match="scan it again"):
        choice_again(catalogue, kept)


def test_an_sku_can_be_named_and_files_can_be_forbidden(catalogue: Catalogue, tmp_path: Path) -> None:
    assert among_of(catalogue, ["sku= 4,5", "brand=leaf"]) == {"4,5": 1.0, "3": 1.0}
    with pytest.raises(StoreError, match="no product 9"):
        among_of(catalogue, ["sku=9"])
    path = listed(tmp_path, "1\n")
    assert among_of(catalogue, [path]) == {"1": 1.0}
    with pytest.raises(StoreError, match="names no products"):
        among_of(catalogue, [path], files=False)
