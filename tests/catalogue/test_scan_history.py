"""What people change in scans is kept with their names and can be taken back, in an order that loses nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from catalogue import Catalogue, Product, scan_history, scans
from catalogue.errors import UndoError
from catalogue.history import log


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[Catalogue]:
    with Catalogue.create(tmp_path / "catalogue.db", embedder="e", dim=1) as made:
        yield made


def instance(number: int, sku: str) -> scans.NewInstance:
    return scans.NewInstance(number, (0, 0, 3, 4), 10, [], sku, "known" if sku else "unknown", 0.5, [], b"crop")


def kept(catalogue: Catalogue, image: str = "shelf.jpg", by: str = "ann") -> int:
    new = scans.NewScan(image, 64, 48, "m", "e", 1, [instance(1, "A"), instance(2, "")], thumbnail=image.encode())
    return scans.save(catalogue, new, by=by)


def seen(catalogue: Catalogue, scan: int) -> list[tuple[int, str, str, str]]:
    return [(i.number, i.sku, i.decision, i.decided_by) for i in scans.instances(catalogue, scan)]


def test_a_decision_is_taken_back_to_what_stood_before(catalogue: Catalogue) -> None:
    scan = kept(catalogue)
    before = seen(catalogue, scan)
    change = scans.decide(catalogue, scan, [1, 2], "B", "corrected", by="bob", references=[7])
    (entry,) = scan_history.changes(catalogue, scan)
    assert (entry.id, entry.by, entry.action, entry.sku, entry.numbers, entry.references) == (
        change, "bob", "corrected", "B", [1, 2], [7],
    )  # fmt: skip
    scan_history.undo(catalogue, change, by="eve")
    assert seen(catalogue, scan) == before
    assert scan_history.change(catalogue, change).undone_by == "eve"
    with pytest.raises(UndoError, match="taken back already"):
        scan_history.undo(catalogue, change, by="eve")


def test_a_split_is_taken_back_and_its_numbers_are_not_given_again(catalogue: Catalogue) -> None:
    scan = kept(catalogue)
    split = scans.replace_instances(catalogue, scan, [1], [instance(3, "A"), instance(4, "C")], by="bob")
    assert [row[0] for row in seen(catalogue, scan)] == [2, 3, 4]
    assert scans.counts(catalogue, scan) == {"": 1, "A": 1, "C": 1}
    assert scans.crop(catalogue, scan, 1) == (b"crop", None)
    scan_history.undo(catalogue, split, by="bob")
    assert [row[0] for row in seen(catalogue, scan)] == [1, 2] and scans.next_number(catalogue, scan) == 5


def test_a_later_change_of_the_same_instance_is_undone_first(catalogue: Catalogue) -> None:
    scan = kept(catalogue)
    first = scans.decide(catalogue, scan, [1], "B", "corrected", by="bob")
    other = scans.decide(catalogue, scan, [2], "C", "corrected", by="bob")
    gone = scans.replace_instances(catalogue, scan, [1], [], by="bob", action="deleted")
    with pytest.raises(UndoError, match="instance 1 of scan 1 was changed again"):
        scan_history.undo(catalogue, first, by="bob")
    scan_history.undo(catalogue, gone, by="bob")
    scan_history.undo(catalogue, first, by="bob")
    assert seen(catalogue, scan) == [(1, "A", "known", ""), (2, "C", "corrected", "bob")]
    assert [entry.id for entry in scan_history.changes(catalogue, scan)] == [gone, other, first]


def test_scans_are_found_by_photo_person_and_product(catalogue: Catalogue) -> None:
    catalogue.put_product(Product("A", "Cola 100 %"))
    first, second = kept(catalogue, "aisle_1.jpg"), kept(catalogue, "fridge.jpg", by="bob")
    scans.decide(catalogue, second, [1], "", "unknown", by="bob")
    wanted = {"aisle": [first], "bob": [second], "cola": [first], "cola bob": [], "": [second, first], "%": [first],
              "e_1": [first], "e_f": []}  # fmt: skip
    assert {text: [scan.id for scan in scans.latest(catalogue, text)] for text in wanted} == wanted
    assert {text: scans.count(catalogue, text) for text in wanted} == {k: len(v) for k, v in wanted.items()}
    assert scans.thumbnails(catalogue, [first, second]) == {first: b"aisle_1.jpg", second: b"fridge.jpg"}
    answers = scans.answers(catalogue, [first, second, 99])
    assert [[bool(sku) for _, sku, *_ in answers[scan]] for scan in (first, second, 99)] == [
        [True, False],
        [False, False],
        [],
    ]


def test_a_deleted_scan_takes_its_changes_along_and_stands_in_the_log(catalogue: Catalogue) -> None:
    scan = kept(catalogue)
    change = scans.decide(catalogue, scan, [1], "B", "corrected", by="bob")
    scans.remove(catalogue, scan, by="eve")
    assert scans.thumbnails(catalogue, [scan]) == {}
    with pytest.raises(UndoError, match="no change"):
        scan_history.change(catalogue, change)
    assert [(entry.by, entry.action) for entry in log(catalogue)] == [("eve", f"delete scan {scan}")]
