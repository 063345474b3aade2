"""Tables whose columns are called otherwise, and pictures that belong to rows by their file names."""

from __future__ import annotations

from pathlib import Path

import pytest

from catalogue.errors import UnknownColumns
from catalogue.importing import read_file
from catalogue.mapping import owners, propose, shape

TABLE = """Artikel-Nr;Bezeichnung;EAN;Warengruppe;Lieferant
1001;Cola 0,33 l;4006381333931;Getränke;A
1002;Erdbeer Konfitüre;7038010001185;Aufstrich;B
"""


def test_columns_are_proposed_by_their_names() -> None:
    assert propose(["Artikel-Nr", "Bezeichnung", "EAN", "Warengruppe", "Lieferant"], []) == {
        "sku": "Artikel-Nr", "name": "Bezeichnung", "gtin": "EAN", "category": "Warengruppe",
    }  # fmt: skip


def test_columns_without_a_known_name_are_proposed_by_what_stands_in_them() -> None:
    rows = [
        {"a": f"X{n}", "b": f"Jam of {fruit}", "c": code, "d": "shelf", "e": f"{n}.jpg"}
        for n, (fruit, code) in enumerate([("plum", "4006381333931"), ("pear", "7038010001185"), ("lime", "96385074")])
    ]
    assert propose(list("abcde"), rows) == {"sku": "a", "name": "b", "gtin": "c", "image": "e"}
    assert propose(["c"], rows) == {"gtin": "c", "sku": "c"}


def test_a_table_of_unknown_columns_asks_and_is_read_as_it_is_told(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text(TABLE, encoding="utf-8")
    with pytest.raises(UnknownColumns, match="no known format") as asked:
        read_file(path)
    assert asked.value.samples["EAN"] == ["4006381333931", "7038010001185"]
    found = read_file(path, asked.value.proposed)
    assert [one.sku for one in found.wanted] == ["1001", "1002"]
    assert found.wanted[0].fields["name"] == "Cola 0,33 l" and found.wanted[0].fields["Lieferant"] == "A"
    assert shape(asked.value.columns) == shape(reversed(asked.value.columns)) != shape(["sku"])


def test_pictures_belong_to_the_row_that_their_name_begins_with() -> None:
    products = [("1001", "Cola", "4006381333931"), ("1001-B", "Cola Zero", ""), ("7", "Kiwi", ""), ("8", "Kiwi", "")]
    found = owners(
        ["a/1001_front.jpg", "1001-b.png", "IMG 04006381333931 x.jpg", "cola zero 2.jpg", "COLA.jpg", "kiwi.jpg",
         "10012.jpg"], products,
    )  # fmt: skip
    assert found == {
        "a/1001_front.jpg": "1001", "1001-b.png": "1001-B", "IMG 04006381333931 x.jpg": "1001",
        "cola zero 2.jpg": "1001-B", "COLA.jpg": "1001",
    }  # fmt: skip


def test_a_folder_of_pictures_beside_a_table_is_matched_and_said(tmp_path: Path) -> None:
    (tmp_path / "products.csv").write_text("sku,name\nA1,Plum jam\nB2,Lime\n", encoding="utf-8")
    for name in ("A1-front.jpg", "plum jam back.jpg", "other.jpg"):
        (tmp_path / name).write_bytes(b"x")
    found = read_file(tmp_path)
    assert [[picture.name for _, picture in one.pictures] for one in found.wanted] == [
        ["A1-front.jpg", "plum jam back.jpg"], []
    ]  # fmt: skip
    assert "2 pictures matched to rows by their file names, 1 match none" in found.notes
