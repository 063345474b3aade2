"""The log of changes, and taking changes back, with what an index would see."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from catalogue import Catalogue, NewReference, Product, history
from catalogue.errors import UndoError


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[Catalogue]:
    with Catalogue.create(tmp_path / "catalogue.db", embedder="e", dim=1) as made:
        yield made


def reference(mark: str) -> NewReference:
    return NewReference(mark.encode(), f"hash {mark}", b"\0\0\x80\x3f", 1, "e")


def live(catalogue: Catalogue) -> list[int]:
    return [row[0] for row in catalogue.iter_vectors()]


def test_every_change_is_kept_with_before_and_after(catalogue: Catalogue) -> None:
    ids = catalogue.enrol(Product("A", "Tea", attributes={"bags": "20"}), [reference("1"), reference("2")], by="ann")
    catalogue.put_product(Product("A", "Green tea", attributes={"origin": "Japan"}), by="bob")
    catalogue.put_product(Product("A", "Green tea", attributes={"origin": "Japan"}), by="nobody, for nothing changes")
    catalogue.remove_references(ids[:1], by="cyd")
    catalogue.remove_product("A", by="dan")
    lines = history.log(catalogue)
    assert [(line.by, line.action) for line in reversed(lines)] == [
        ("ann", "enrol"),
        ("bob", "product"),
        ("cyd", "remove references"),
        ("dan", "remove product"),
    ]
    removal, thinning, edit, first = lines
    assert first.before is None and first.after == Product("A", "Tea", attributes={"bags": "20"})
    assert first.added == ids and thinning.removed == ids[:1] and removal.removed == ids[1:]
    assert edit.fields() == [("name", "Tea", "Green tea"), ("bags", "20", ""), ("origin", "", "Japan")]
    assert removal.after is None and removal.at >= first.at
    assert history.log(catalogue, limit=1, before=edit.id) == [first]
    assert history.log(catalogue, sku="B") == []


def test_a_bad_reference_taken_back_is_out_and_can_return(catalogue: Catalogue) -> None:
    (good,) = catalogue.enrol(Product("A"), [reference("good")])
    (bad,) = catalogue.enrol(Product("A"), [reference("bad")])
    seen = catalogue.revision
    taken = history.undo(catalogue, 2, by="ann")
    assert live(catalogue) == [good] and catalogue.changes_since(seen).removed == [bad]
    assert (taken.by, taken.undoes, history.change(catalogue, 2).undone_by) == ("ann", 2, taken.id)
    with pytest.raises(UndoError, match=f"taken back by change {taken.id}"):
        history.undo(catalogue, 2)
    history.undo(catalogue, taken.id)
    assert live(catalogue) == [good, bad]
    history.undo(catalogue, 2)
    assert live(catalogue) == [good]


def test_an_edit_is_taken_back_field_by_field(catalogue: Catalogue) -> None:
    catalogue.put_product(Product("A", "Tea", "Leaf"))
    catalogue.put_product(Product("A", "Green tea", "Leaf", attributes={"bags": "20"}))
    catalogue.put_product(Product("A", "Green tea", "Twig", attributes={"bags": "20"}))
    history.undo(catalogue, 2)
    assert catalogue.product("A") == Product("A", "Tea", "Twig"), "a later change of another field stays"
    catalogue.put_product(Product("A", "Black tea", "Twig"))
    with pytest.raises(UndoError, match="name of A has changed again since; undo change 5"):
        history.undo(catalogue, 4)
    assert catalogue.product("A") == Product("A", "Black tea", "Twig")


def test_a_removed_product_comes_back_with_what_went_with_it(catalogue: Catalogue) -> None:
    ids = catalogue.enrol(Product("A", "Tea"), [reference("1"), reference("2"), reference("3")])
    catalogue.remove_references(ids[:1])
    catalogue.remove_product("A")
    assert live(catalogue) == [] and catalogue.count_products() == 0
    history.restore_product(catalogue, "A", by="ann")
    assert live(catalogue) == ids[1:] and catalogue.product("A").name == "Tea"
    with pytest.raises(UndoError, match="nothing to bring back"):
        history.restore_product(catalogue, "A")
    with pytest.raises(UndoError, match="never was"):
        history.restore_product(catalogue, "B")


def test_a_product_taken_back_goes_only_as_it_came(catalogue: Catalogue) -> None:
    catalogue.enrol(Product("A"), [reference("1")])
    catalogue.enrol(Product("A"), [reference("2")])
    with pytest.raises(UndoError, match="undo change 2 first"):
        history.undo(catalogue, 1)
    history.undo(catalogue, 2)
    history.undo(catalogue, 1)
    assert catalogue.count_products() == 0 and live(catalogue) == []
    history.restore_product(catalogue, "A")
    assert live(catalogue) == [1]


def test_a_picture_that_was_uploaded_again_does_not_return_twice(catalogue: Catalogue) -> None:
    ids = catalogue.enrol(Product("A"), [reference("1"), reference("2")])
    catalogue.remove_references(ids)
    (again,) = catalogue.enrol(Product("A"), [reference("1")])
    history.undo(catalogue, 2)
    assert live(catalogue) == [ids[1], again]


def test_what_cannot_be_undone_says_why(catalogue: Catalogue) -> None:
    with pytest.raises(UndoError, match="no change 7"):
        history.undo(catalogue, 7)
    (old,) = catalogue.enrol(Product("A"), [reference("1")])
    catalogue.set_vectors([(old, b"\0" * 8, 1, None)], "e2")
    catalogue.set_embedder("e2", 2)
    with pytest.raises(UndoError, match="reindex"):
        history.undo(catalogue, 2)
    catalogue.remove_product("A")
    with pytest.raises(UndoError, match="bring it back first"):
        history.undo(catalogue, 1)
    catalogue.put_product(Product("A"))
    with pytest.raises(UndoError, match="added again"):
        history.undo(catalogue, 3)


def test_a_reference_removed_before_a_reindex_returns_with_the_new_vectors(catalogue: Catalogue) -> None:
    (old,) = catalogue.enrol(Product("A"), [reference("1")])
    catalogue.remove_references([old])
    catalogue.set_vectors([(id_, b"\0" * 8, 1, None) for id_, _, _ in catalogue.pending_reindex("e2")], "e2")
    catalogue.set_embedder("e2", 2)
    history.undo(catalogue, 2)
    assert list(catalogue.iter_vectors()) == [(old, b"\0" * 8, 1)]
