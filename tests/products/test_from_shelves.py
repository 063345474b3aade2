"""Unknown facings of kept scans in groups: named once, corrected everywhere, every step undone by one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from catalogue import Product, groups, scans
from catalogue.errors import UndoError, UnknownGroup
from retail_seg.demo.shelf_demo import keep_samples
from retail_seg.matcher import Matcher
from retail_seg.people.roles import NotAllowed, Person, acting_as
from retail_seg.products import from_shelves


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store without products, with both photos of the demo's shelf as kept scans, grouped."""
    store = tmp_path_factory.mktemp("sample") / "store"
    with Matcher.create(store) as matcher:
        keep_samples(matcher, lambda share, text: None)
        from_shelves.group_unknown(matcher)
    return store


@pytest.fixture
def matcher(sample: Path, tmp_path: Path) -> Iterator[Matcher]:
    import shutil

    with Matcher.open(shutil.copytree(sample, tmp_path / "store")) as found:
        yield found


def places(matcher: Matcher) -> list[tuple[groups.FacingPlace, ...]]:
    return [one.places for one in from_shelves.open_groups(matcher)]


def test_every_unknown_facing_is_in_one_group(matcher: Matcher) -> None:
    found = places(matcher)
    assert sum(map(len, found)) == 86 == from_shelves.count_unnamed(matcher)[0]
    assert from_shelves.count_unnamed(matcher)[1] == 0
    assert len({place for one in found for place in one}) == 86
    assert [len(one) for one in found] == sorted(map(len, found), reverse=True)
    assert len(found) < 60 and len(found[0]) > 2


def test_a_name_corrects_all_scans_and_is_taken_back_whole(matcher: Matcher) -> None:
    before = places(matcher)
    one = next(each for each in from_shelves.open_groups(matcher) if len({scan for scan, _ in each.places}) == 2)
    named = from_shelves.name_group(matcher, one.id, from_shelves.new_product(matcher, "Kjeks med sjokolade"))
    assert (named.facings, named.scans) == (len(one.places), 2)
    sku = named.product.sku
    assert sku == "KJEKS-MED-SJOKOLADE"
    counted = sum(scans.counts(matcher.catalogue, scan).get(sku, 0) for scan in (1, 2))
    assert counted == len(one.places)
    references = matcher.catalogue.references(sku)
    assert 1 <= len(references) <= from_shelves.MAX_REFERENCES
    crop = from_shelves.review.crop_of(matcher, *one.places[0])[0]
    assert matcher.match([crop])[0].matches[0].sku == sku
    from_shelves.undo(matcher, named.change.id)
    assert places(matcher) == before
    assert matcher.catalogue.find_product(sku) is None
    assert scans.counts(matcher.catalogue, 1).get(sku, 0) == 0
    with pytest.raises(UndoError, match="already"):
        from_shelves.undo(matcher, named.change.id)


def test_groups_are_merged_and_split_and_put_off(matcher: Matcher) -> None:
    before = places(matcher)
    first, second, third = from_shelves.open_groups(matcher)[:3]
    merged = from_shelves.merge(matcher, first.id, [second.id])
    assert set(first.places + second.places) in [set(one) for one in places(matcher)]
    split = from_shelves.take_out(matcher, first.id, first.places[:2])
    assert first.places[:2] in places(matcher)
    with pytest.raises(UndoError, match="later step"):
        from_shelves.undo(matcher, merged.id)
    from_shelves.undo(matcher, split.id)
    from_shelves.undo(matcher, merged.id)
    assert places(matcher) == before
    put_off = from_shelves.put_off(matcher, [third.id])
    assert [one.id for one in from_shelves.later_groups(matcher)] == [third.id]
    from_shelves.undo(matcher, put_off.id)
    assert not from_shelves.later_groups(matcher)


def test_what_people_arranged_outlives_a_new_grouping(matcher: Matcher) -> None:
    first, second = from_shelves.open_groups(matcher)[:2]
    from_shelves.merge(matcher, first.id, [second.id])
    off = from_shelves.open_groups(matcher)[-1]
    from_shelves.put_off(matcher, [off.id])
    from_shelves.group_unknown(matcher)
    found = {one.id: one.places for one in from_shelves.open_groups(matcher)}
    assert set(first.places + second.places) <= set(found[first.id])
    assert from_shelves.later_groups(matcher)[0].places[0] == off.places[0]
    assert from_shelves.count_unnamed(matcher) == (86, 0)


def test_two_people_at_once(matcher: Matcher) -> None:
    one = from_shelves.open_groups(matcher)[0]
    with Matcher.open(matcher.folder) as other:
        from_shelves.name_group(other, one.id, Product("A", "Kjeks"))
    with pytest.raises(UnknownGroup, match="reload"):
        from_shelves.name_group(matcher, one.id, Product("B", "Other"))
    assert matcher.catalogue.find_product("B") is None
    assert one.id not in [each.id for each in from_shelves.open_groups(matcher)]


def test_a_name_that_is_there_is_that_product(matcher: Matcher) -> None:
    one, other = from_shelves.open_groups(matcher)[:2]
    from_shelves.name_group(matcher, one.id, Product("4711", "Kjeks", gtin="7038010001185"))
    for text in ("kjeks", "4711", "7038010001185"):
        found, _ = from_shelves.typed_product(matcher, text)
        assert found is not None and found.sku == "4711"
    near, hits = from_shelves.typed_product(matcher, "kje")
    assert near is None and [hit.sku for hit in hits] == ["4711"]
    with acting_as(Person("stan", "staff")):
        from_shelves.name_group(matcher, other.id, matcher.catalogue.product("4711"))
        third = from_shelves.open_groups(matcher)[0]
        with pytest.raises(NotAllowed):
            from_shelves.name_group(matcher, third.id, Product("NEW", "New"))
    assert matcher.catalogue.find_product("NEW") is None
    assert matcher.catalogue.product("4711").name == "Kjeks"


def test_a_facing_that_is_corrected_elsewhere_leaves_its_group(matcher: Matcher) -> None:
    one = from_shelves.open_groups(matcher)[0]
    scan, number = one.places[0]
    scans.decide(matcher.catalogue, scan, [number], "", "unknown", by="ann")
    assert groups.group(matcher.catalogue, one.id).places == one.places[1:]
    assert from_shelves.new_product(matcher, "7038010001185").gtin.endswith("7038010001185")


def test_a_deleted_scan_takes_its_facings_along(matcher: Matcher) -> None:
    one = next(each for each in from_shelves.open_groups(matcher) if len({scan for scan, _ in each.places}) == 2)
    change = from_shelves.put_off(matcher, [one.id])
    scans.remove(matcher.catalogue, 1)
    from_shelves.undo(matcher, change.id)
    assert {scan for each in places(matcher) for scan, _ in each} == {2}
