"""Changes by people: new products, fields, merged doubles and moved pictures, each of which can be taken back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from catalogue import Catalogue, NewReference, Product, UnknownProduct, UnknownReference, editing, history
from catalogue.errors import EditConflict


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[Catalogue]:
    with Catalogue.create(tmp_path / "catalogue.db", embedder="e", dim=1) as made:
        made.enrol(Product("A", "Milk"), [reference("a"), reference("shared")])
        made.enrol(Product("B", "Milk 1 l", "Alp", gtin="4006381333931"), [reference("b"), reference("shared")])
        yield made


def reference(mark: str) -> NewReference:
    return NewReference(mark.encode(), mark, b"\0\0\x80\x3f", 1, "e", features=b"f", source=mark)


def state(catalogue: Catalogue) -> dict[str, tuple[Product, set[str]]]:
    return {p.sku: (p, {r.source for r in catalogue.references(p.sku)}) for p in catalogue.products()}


def test_a_new_product_has_a_sku_of_its_own(catalogue: Catalogue) -> None:
    assert editing.add(catalogue, Product(" C ", "Tea"), by="ann") == Product("C", "Tea")
    with pytest.raises(EditConflict, match="SKU A is another product's already"):
        editing.add(catalogue, Product("A"))
    catalogue.remove_product("C")
    assert editing.add(catalogue, Product("C")).sku == "C"


def test_fields_are_written_only_where_nobody_was_faster(catalogue: Catalogue) -> None:
    seen = catalogue.product("A")
    assert editing.revise(catalogue, seen, Product("A", "Whole milk"), by="ann")
    with pytest.raises(EditConflict, match="has been changed by ann since"):
        editing.revise(catalogue, seen, Product("A", "Skimmed milk"), by="bob")
    now = catalogue.product("A")
    assert now.name == "Whole milk" and not editing.revise(catalogue, now, now)


def test_merged_products_are_one_and_come_apart_again(catalogue: Catalogue) -> None:
    before, revision = state(catalogue), catalogue.revision
    changes = editing.merge(catalogue, "A", "B", by="ann")
    assert state(catalogue) == {
        "A": (Product("A", "Milk", "Alp", gtin="04006381333931"), {"a", "b", "shared"}),
    }
    found = catalogue.changes_since(revision)
    assert len(found.removed) == 2 and len(found.added) == 1 and found.added[0][1] == b"\0\0\x80\x3f"
    new = found.added[0][0]
    assert catalogue.reference_picture(new) == b"b" and catalogue.reference_features([new]) == {new: b"f"}
    assert [change.by for change in history.log(catalogue, limit=2)] == ["ann", "ann"]
    for number in changes:
        history.undo(catalogue, number)
    assert state(catalogue) == before


def test_pictures_move_to_another_product_and_back(catalogue: Catalogue) -> None:
    before = state(catalogue)
    b, shared = (reference.id for reference in catalogue.references("B"))
    changes = editing.move(catalogue, [b, shared], "A", by="ann")
    assert {sku: marks for sku, (_, marks) in state(catalogue).items()} == {"A": {"a", "b", "shared"}, "B": set()}
    for number in changes:
        history.undo(catalogue, number)
    assert state(catalogue) == before
    assert editing.move(catalogue, [b], "B") == [] and state(catalogue) == before


def test_what_is_not_there_is_refused_and_nothing_changes(catalogue: Catalogue) -> None:
    before = state(catalogue)
    with pytest.raises(UnknownProduct):
        editing.merge(catalogue, "A", "nobody")
    with pytest.raises(EditConflict, match="itself"):
        editing.merge(catalogue, "A", "A")
    with pytest.raises(UnknownReference):
        editing.move(catalogue, [1, 999], "B")
    with pytest.raises(UnknownProduct):
        editing.move(catalogue, [1], "nobody")
    assert state(catalogue) == before
