"""Only what can be there: categories, brands and lists of SKUs with weights; every bad one is a sentence."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from catalogue import Catalogue, Product
from retail_seg.errors import StoreError
from retail_seg.store.among import among_of

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


def test_an_sku_can_be_named_and_files_can_be_forbidden(catalogue: Catalogue, tmp_path: Path) -> None:
    assert among_of(catalogue, ["sku= 4,5", "brand=leaf"]) == {"4,5": 1.0, "3": 1.0}
    with pytest.raises(StoreError, match="no product 9"):
        among_of(catalogue, ["sku=9"])
    path = listed(tmp_path, "1\n")
    assert among_of(catalogue, [path]) == {"1": 1.0}
    with pytest.raises(StoreError, match="names no products"):
        among_of(catalogue, [path], files=False)
