"""Products and references on a real SQLite file: what goes in comes out, and indexes learn of every change."""

from __future__ import annotations

import sqlite3
import threading
from array import array
from collections.abc import Iterator
from pathlib import Path

import pytest

from catalogue import Catalogue, CatalogueError, NewReference, Product, UnknownProduct, UnknownReference

DIM = 4


def vectors(*rows: float) -> bytes:
    """One row of DIM float32 values per number."""
    return b"".join(array("f", [value] * DIM).tobytes() for value in rows)


def reference(mark: str, *, views: int = 1, embedder: str = "e1") -> NewReference:
    """A reference whose bytes all follow from `mark`."""
    return NewReference(
        picture=f"jpeg {mark}".encode(),
        content_hash=f"hash {mark}",
        vectors=vectors(*range(1, views + 1)),
        views=views,
        embedder=embedder,
        mask=f"png {mark}".encode(),
        features=f"features {mark}".encode(),
        source=f"{mark}.jpg",
        width=40,
        height=30,
    )


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[Catalogue]:
    with Catalogue.create(tmp_path / "catalogue.db", embedder="e1", dim=DIM) as made:
        yield made


MILK = Product("A1", "Milk 1 l", "Alp", "Dairy", "04006381333931", {"fat": "3.5 %"})


def test_a_product_and_its_references_come_back(catalogue: Catalogue) -> None:
    ids = catalogue.enrol(MILK, [reference("front", views=2), reference("back")])
    assert catalogue.product("A1") == MILK
    front, back = catalogue.references("A1")
    assert [front.id, back.id] == ids
    assert (front.views, front.embedder, front.source, front.width, front.height) == (2, "e1", "front.jpg", 40, 30)
    assert catalogue.reference_picture(ids[0]) == b"jpeg front"
    assert catalogue.reference_mask(ids[1]) == b"png back"
    assert catalogue.reference_features(ids) == {ids[0]: b"features front", ids[1]: b"features back"}
    assert catalogue.skus_of([*ids, 999]) == {ids[0]: "A1", ids[1]: "A1"}
    assert catalogue.names_of(["A1", "none"]) == {"A1": "Milk 1 l"}
    assert (catalogue.count_products(), catalogue.count_references()) == (1, 2)


def test_a_picture_that_the_product_has_is_not_stored_again(catalogue: Catalogue) -> None:
    first = catalogue.enrol(MILK, [reference("front")])
    revision = catalogue.revision
    assert catalogue.enrol(MILK, [reference("front"), reference("front")]) == first * 2
    assert catalogue.revision == revision
    assert catalogue.count_references() == 1


def test_an_enrolment_that_fails_leaves_nothing(catalogue: Catalogue) -> None:
    bad = reference("bad", embedder="other")
    with pytest.raises(CatalogueError, match="other"):
        catalogue.enrol(MILK, [reference("front"), bad])
    short = NewReference(b"", "h", vectors(1), 2, "e1")
    with pytest.raises(CatalogueError, match="2 vectors of 4"):
        catalogue.enrol(MILK, [reference("front"), short])
    with pytest.raises(sqlite3.IntegrityError):
        catalogue.enrol(MILK, [reference("front"), NewReference(b"", "h2", vectors(1), 1, "e1", source=None)])  # type: ignore[arg-type]
    assert (catalogue.count_products(), catalogue.count_references(), catalogue.revision) == (0, 0, 0)


def test_unknown_products_and_references_are_refused_by_name(catalogue: Catalogue) -> None:
    with pytest.raises(UnknownProduct, match="A9"):
        catalogue.product("A9")
    with pytest.raises(UnknownReference, match="77"):
        catalogue.reference_picture(77)
    with pytest.raises(UnknownReference, match="77"):
        catalogue.remove_references([77])
    with pytest.raises(CatalogueError, match="no SKU"):
        catalogue.put_product(Product(" \n"))


def follow(catalogue: Catalogue, index: dict[int, bytes], revision: int) -> int:
    """What an index does to catch up."""
    changes = catalogue.changes_since(revision)
    for id_ in changes.removed:
        index.pop(id_, None)
    for id_, data, _views in changes.added:
        assert id_ not in index, "an id that is in the index must be removed before it is added again"
        index[id_] = data
    return changes.revision


def truth(catalogue: Catalogue) -> dict[int, bytes]:
    return {id_: data for id_, data, _ in catalogue.iter_vectors()}


def test_an_index_that_follows_the_changes_holds_what_the_catalogue_holds(catalogue: Catalogue) -> None:
    index: dict[int, bytes] = {}
    late: dict[int, bytes] = {}
    ids = catalogue.enrol(MILK, [reference("a"), reference("b"), reference("c")])
    seen = follow(catalogue, index, 0)
    catalogue.remove_references(ids[:1])
    seen = follow(catalogue, index, seen)
    assert index == truth(catalogue) and set(index) == set(ids[1:])
    catalogue.remove_product("A1")
    catalogue.enrol(Product("B1"), [reference("a")])
    seen = follow(catalogue, index, seen)
    assert index == truth(catalogue) and len(index) == 1
    catalogue.set_vectors([(max(index), vectors(9), 1, None)], "e1")
    follow(catalogue, index, seen)
    follow(catalogue, late, 0)
    assert index == late == truth(catalogue) == {max(index): vectors(9)}


def test_changes_can_be_taken_in_portions(catalogue: Catalogue) -> None:
    for number in range(7):
        catalogue.enrol(Product(f"P{number}"), [reference(f"{number}a"), reference(f"{number}b")])
    catalogue.remove_references([1, 4])
    catalogue.set_vectors([(2, vectors(8), 1, None), (9, vectors(9), 1, None)], "e1")
    index: dict[int, bytes] = {}
    seen, calls = 0, 0
    while seen < catalogue.revision:
        changes = catalogue.changes_since(seen, limit=3)
        assert len(changes.added) <= 4 and changes.revision > seen
        for id_ in changes.removed:
            index.pop(id_, None)
        index.update({id_: data for id_, data, _ in changes.added})
        seen, calls = changes.revision, calls + 1
    assert index == truth(catalogue) and calls > 3


def test_ids_are_never_given_again(catalogue: Catalogue) -> None:
    (first,) = catalogue.enrol(MILK, [reference("a")])
    catalogue.remove_references([first])
    (second,) = catalogue.enrol(MILK, [reference("a")])
    assert second > first
    assert catalogue.remove_references([first, second]) == [second]


def test_a_reindex_is_resumed_and_switches_at_once(catalogue: Catalogue) -> None:
    ids = catalogue.enrol(MILK, [reference("a"), reference("b"), reference("c")])
    catalogue.remove_references(ids[2:])
    pictures = [(i, f"jpeg {mark}".encode()) for i, mark in zip(ids, "abc", strict=True)]
    assert [row[:2] for row in catalogue.pending_reindex("e2")] == pictures
    catalogue.set_vectors([(ids[0], b"\0" * 8, 1, b"f")], "e2")
    assert [row[0] for row in catalogue.pending_reindex("e2")] == ids[1:]
    assert truth(catalogue)[ids[0]] == vectors(1)
    with pytest.raises(CatalogueError, match="2 references"):
        catalogue.set_embedder("e2", 2)
    catalogue.set_vectors([(i, b"\0" * 8, 1, None) for i in ids[1:]], "e2")
    with pytest.raises(CatalogueError, match="3 values"):
        catalogue.set_embedder("e2", 3)
    before = catalogue.revision
    with pytest.raises(CatalogueError, match="dim"):
        catalogue.set_embedder("e2", 2, settings={"learned": "x", "dim": "3"})
    assert (catalogue.embedder, catalogue.get_setting("learned")) == ("e1", None)
    catalogue.set_embedder("e2", 2, settings={"learned": ""})
    assert catalogue.get_setting("learned") == ""
    assert (catalogue.embedder, catalogue.dim) == ("e2", 2)
    assert catalogue.changes_since(before).embedder == "e2" and catalogue.revision > before
    assert truth(catalogue) == {ids[0]: b"\0" * 8, ids[1]: b"\0" * 8}
    assert catalogue.reference_features(ids) == {ids[0]: b"f"}


def test_pages_and_settings(catalogue: Catalogue) -> None:
    for number in range(7):
        catalogue.put_product(Product(f"S{number}", brand="x" if number % 2 else "y"))
    assert [p.sku for p in catalogue.products(2, 3)] == ["S2", "S3", "S4"]
    assert [p.sku for p in catalogue.products(brand="x")] == ["S1", "S3", "S5"]
    assert (catalogue.brands(), catalogue.categories()) == (["x", "y"], [])
    catalogue.remove_product("S3")
    assert catalogue.count_products(brand="x") == 2
    assert [p.sku for p in catalogue.products(removed=True)] == ["S3"]
    assert catalogue.get_setting("segmenter") is None
    catalogue.set_setting("segmenter", "default")
    assert catalogue.get_setting("segmenter") == "default"
    with pytest.raises(CatalogueError, match="revision"):
        catalogue.set_setting("revision", "0")


def test_threads_write_side_by_side(catalogue: Catalogue) -> None:
    def work(name: str) -> None:
        for number in range(10):
            catalogue.enrol(Product(f"{name}{number}"), [reference(f"{name}{number}")])

    threads = [threading.Thread(target=work, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (catalogue.count_products(), catalogue.count_references(), catalogue.revision) == (30, 30, 30)


def test_create_open_and_close(tmp_path: Path) -> None:
    path = tmp_path / "new" / "catalogue.db"
    with pytest.raises(CatalogueError, match="init"):
        Catalogue.open(path)
    with Catalogue.create(path, embedder="e1", dim=DIM) as made:
        made.enrol(MILK, [reference("a")])
        identity = made.identity
    with pytest.raises(CatalogueError, match="holds a catalogue already"):
        Catalogue.create(path, embedder="e1", dim=DIM)
    with pytest.raises(CatalogueError, match="closed"):
        made.product("A1")
    with Catalogue.open(path) as again:
        assert again.product("A1") == MILK
        assert (again.embedder, again.dim, again.identity) == ("e1", DIM, identity)
