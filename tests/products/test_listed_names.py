"""Groups of a store held against its products without pictures: read once, kept, gone with the scan; lists of files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from catalogue import Product, facing_prints, scans
from catalogue.errors import UnknownColumns
from retail_seg.demo.shelf_demo import keep_samples
from retail_seg.matcher import Matcher
from retail_seg.photos import words
from retail_seg.products import from_shelves, listed_names

pytestmark = pytest.mark.skipif(not words.available(), reason="needs the extra text")


@pytest.fixture(scope="module")
def matcher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Matcher]:
    """A store with the sample's scans in groups, and a list of names without pictures."""
    with Matcher.create(tmp_path_factory.mktemp("listed") / "store") as found:
        keep_samples(found, lambda share, text: None)
        from_shelves.group_unknown(found)
        for sku, name in (("M", "Berthas Maestro 150 g"), ("P", "Meiji Hello Panda sjokolade"), ("S", "Salami 100 g")):
            found.catalogue.put_product(Product(sku, name))
        yield found


def test_groups_are_read_once_and_named_by_what_was_read(matcher: Matcher) -> None:
    waiting = listed_names.count_unread(matcher)
    assert 30 < waiting <= 86
    assert listed_names.read_groups(matcher) == waiting and listed_names.count_unread(matcher) == 0
    found = listed_names.names_of_groups(matcher)
    offered = [(one.product.sku, one.text) for group in found.values() for one in group.offers]
    assert {sku for sku, _ in offered} == {"M", "P"}
    assert any("maestro" in text.lower() for sku, text in offered if sku == "M")
    group = next(id_ for id_, one in found.items() if [each.product.sku for each in one.offers] == ["M"])
    from_shelves.name_group(matcher, group, matcher.catalogue.product("M"))
    assert listed_names.count_names(matcher) == 2
    again = [one.product.sku for each in listed_names.names_of_groups(matcher).values() for one in each.offers]
    assert "M" not in again and group not in listed_names.names_of_groups(matcher)


def test_a_barcode_that_was_read_names_also_what_has_pictures(matcher: Matcher) -> None:
    group = from_shelves.open_groups(matcher)[-1]
    facing_prints.keep(matcher.catalogue, group.places[0], [], ["07038010001185"])
    product = matcher.catalogue.product("M").with_fields({"gtin": "7038010001185"})
    matcher.catalogue.put_product(product)
    (offer,) = listed_names.names_of_groups(matcher)[group.id].offers
    assert offer.product.sku == "M" and offer.text == "barcode 7038010001185"


def test_what_was_read_goes_with_its_scan(matcher: Matcher) -> None:
    assert {scan for scan, _ in facing_prints.known(matcher.catalogue)} == {1, 2}
    scans.remove(matcher.catalogue, 2)
    assert {scan for scan, _ in facing_prints.known(matcher.catalogue)} == {1}
    facing_prints.keep(matcher.catalogue, (2, 1), [("late", 0.9)], [])
    assert (2, 1) not in facing_prints.known(matcher.catalogue)


def test_a_list_without_numbers_of_its_own_is_known_by_gtins_or_names(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("name,ean\nBixit,7038010001185\nBallerina,\nWrong,123\n", encoding="utf-8")
    names, left_out = listed_names.names_of_file(path)
    assert len(names) == 2 and len(left_out) == 1 and "123" in left_out[0]
    path.write_text("sku,name\n4,Bixit\n5,Ballerina\n", encoding="utf-8")
    assert len(listed_names.names_of_file(path)[0]) == 2
    path.write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(UnknownColumns):
        listed_names.names_of_file(path)
