"""Scans on a real file: what was seen comes back, decisions and edits hold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from catalogue import Catalogue, scans
from catalogue.errors import UnknownScan


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[Catalogue]:
    with Catalogue.create(tmp_path / "catalogue.db", embedder="e", dim=1) as made:
        yield made


def instance(number: int, sku: str) -> scans.NewInstance:
    matches = [{"sku": sku, "name": "Té", "score": 0.5, "reference_id": number}]
    box = (number, 2, 3, 4)
    crop = f"crop {number}".encode()
    return scans.NewInstance(number, box, 10, [[[0, 0], [1, 1]]], sku, "known", 0.75, matches, crop, b"vec", b"mask")


SCAN = scans.NewScan(
    "shelf.jpg", 640, 480, "unet-1", "e", 3, [instance(1, "A"), instance(2, "A"), instance(3, "")], photo=b"photo"
)


def test_a_scan_comes_back(catalogue: Catalogue) -> None:
    number = scans.save(catalogue, replace(SCAN, details={"warnings": ["tilted"]}), by="ann")
    scan = scans.load(catalogue, number)
    assert (scan.image, scan.width, scan.height, scan.model, scan.revision) == ("shelf.jpg", 640, 480, "unet-1", 3)
    assert (scan.by, scan.details) == ("ann", {"warnings": ["tilted"]})
    first = scans.instances(catalogue, number)[0]
    assert (first.box, first.polygon, first.sku, first.probability) == ((1, 2, 3, 4), [[[0, 0], [1, 1]]], "A", 0.75)
    assert first.matches[0]["name"] == "Té"
    assert scans.counts(catalogue, number) == {"": 1, "A": 2}
    assert scans.photo(catalogue, number) == b"photo"
    assert list(scans.crops(catalogue, number))[2] == (3, b"crop 3", b"mask", b"vec")


def test_pages_of_scans(catalogue: Catalogue) -> None:
    numbers = [scans.save(catalogue, SCAN) for _ in range(3)]
    assert [scan.id for scan in scans.latest(catalogue, limit=2)] == numbers[:0:-1]
    assert [scan.id for scan in scans.latest(catalogue, offset=2)] == numbers[:1]
    scans.remove(catalogue, numbers[1])
    assert scans.count(catalogue) == 2 and scans.instances(catalogue, numbers[1]) == []
    with pytest.raises(UnknownScan, match="no scan 2"):
        scans.photo(catalogue, numbers[1])


def test_one_fix_for_many_facings_is_all_or_nothing(catalogue: Catalogue) -> None:
    number = scans.save(catalogue, SCAN)
    scans.decide(catalogue, number, [1, 3], "B", "confirmed", by="bob")
    fixed = scans.instances(catalogue, number)
    assert [(i.sku, i.decision, i.decided_by) for i in fixed] == [
        ("B", "confirmed", "bob"),
        ("A", "known", ""),
        ("B", "confirmed", "bob"),
    ]
    with pytest.raises(UnknownScan, match="no instance 9"):
        scans.decide(catalogue, number, [2, 9], "C", "confirmed", by="bob")
    assert scans.counts(catalogue, number) == {"A": 1, "B": 2}


def test_a_merged_instance_is_split(catalogue: Catalogue) -> None:
    number = scans.save(catalogue, SCAN)
    scans.replace_instances(catalogue, number, [2], [instance(4, "A"), instance(5, "C")])
    assert [i.number for i in scans.instances(catalogue, number)] == [1, 3, 4, 5]
