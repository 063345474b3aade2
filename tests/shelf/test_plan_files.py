"""Plans read from files and written to them; bad lines are told one by one, and the rest goes on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from catalogue.errors import ImportFileError
from catalogue.plan_records import Plan, Position
from retail_seg.errors import PlanError
from retail_seg.shelf import azure
from retail_seg.shelf.plan_files import PlanFile, read_plan, write_csv

HEAD = "fixture,shelf,position,sku,facings,min_facings,x,y,width\n"


def read(tmp_path: Path, text: str | bytes, name: str = "bay.csv", known: set[str] | None = None) -> PlanFile:
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_plan(path, known=known)


def test_a_planogram_is_read_in_reading_order_and_written_as_it_was(tmp_path: Path) -> None:
    found = read(tmp_path, HEAD + "A,2,1,jam,1,1,,,\nA,1,2,cola,3,2,210.5,300,180\nA,1,1,tea,2,1,0,300,210.5\n")
    assert [one.sku for one in found.plan.positions] == ["tea", "cola", "jam"]
    assert found.plan.positions[1] == Position("A", 1, 2, "cola", 3, 2, 210.5, 300.0, 180.0)
    assert not found.problems and not found.notes
    assert read(tmp_path, write_csv(found.plan)).plan == found.plan


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("A,1,1,cola,0,1", "facings is 0"),
        ("A,1,1,cola,-2,1", "facings is -2"),
        ("A,one,1,cola,1,1", "shelf is 'one'"),
        ("A,1,1.5,cola,1,1", "position is 1.5"),
        ("A,1,1,,1,1", "SKU is empty"),
        ("A,1,9,jam,1,1", "is there already"),
        ("A,1,1,cola,1,1,here,0,5", "x is 'here'"),
        ("A,1,1,cola,1,1,0,0,-5", "width is '-5'"),
        ("A,1,1,cola,1,1,0,0,5,6,7", "cells"),
    ],
)
def test_a_bad_line_is_one_sentence_and_the_rest_goes_on(tmp_path: Path, line: str, said: str) -> None:
    found = read(tmp_path, f"{HEAD}A,1,9,tea,1,1\n{line}\nA,2,1,jam,2,1\n")
    assert [one.sku for one in found.plan.positions] == ["tea", "jam"]
    (problem,) = found.problems
    assert "bay.csv, line 3" in problem and said in problem


def test_what_can_be_used_all_the_same_is_noted(tmp_path: Path) -> None:
    text = "Shelf;Position;SKU;Facings;Min_Facings\n1;1;Käse;2;5\n3;1;tea;1;0\n".encode("cp1252")
    found = read(tmp_path, text, known={"tea"})
    assert [(one.fixture, one.sku, one.min_facings) for one in found.plan.positions] == [
        ("bay", "Käse", 2),
        ("bay", "tea", 1),
    ]
    told = "\n".join(found.notes)
    for said in ("Windows-1252", "min_facings 5 is more than the 2", "shelf 2 of fixture bay", "SKU Käse is not in"):
        assert said in told
    assert not found.problems


def test_a_list_has_no_places(tmp_path: Path) -> None:
    found = read(tmp_path, "sku,min_facings\ncola,2\njam,\ncola,1\n")
    assert found.plan.kind == "list"
    assert [(one.shelf, one.sku, one.min_facings) for one in found.plan.positions] == [(0, "cola", 2), (0, "jam", 1)]
    assert "line 4: SKU cola is in the list already" in found.problems[0]
    assert read(tmp_path, write_csv(found.plan)).plan == found.plan


@pytest.mark.parametrize(
    ("text", "name", "said"),
    [
        ("name,shelf\nx,1\n", "bay.csv", "no column sku"),
        ("sku,shelf\nx,1\n", "bay.csv", "not position"),
        (HEAD + "A,1,1,cola,0,1\n", "bay.csv", "no position that can be used"),
        ("{", "bay.json", "is not JSON"),
        ("[1, 2]", "bay.json", "no planogram of Azure's"),
        ('{"planogram": {"products": [], "positions": []}}', "bay.json", "no position"),
    ],
)
def test_a_file_that_is_no_plan_is_refused(tmp_path: Path, text: str, name: str, said: str) -> None:
    with pytest.raises(PlanError, match=said):
        read(tmp_path, text, name)


def test_a_file_that_is_not_there_or_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="cannot be read"):
        read_plan(tmp_path / "none.csv")
    with pytest.raises(ImportFileError, match="no text table"):
        read(tmp_path, b"\x89PNG\0\0\0")


#: As the service's documentation has it: two boards, one of them in two parts, a product of two positions.
AZURE = {
    "planogram": {
        "width": 100.0, "height": 50.0,
        "products": [{"id": "cola", "name": "Cola", "w": 10, "h": 20}, {"id": "jam", "name": "Jam", "w": 8, "h": 9}],
        "fixtures": [{"id": "low", "w": 100, "h": 2, "x": 0, "y": 48}, {"id": "top", "w": 50, "h": 2, "x": 0, "y": 20},
                     {"id": "side", "w": 50, "h": 2, "x": 50, "y": 20.5}],
        "positions": [{"id": "p1", "productId": "jam", "fixtureId": "side", "x": 60, "y": 11},
                      {"id": "p2", "productId": "cola", "fixtureId": "top", "x": 0, "y": 0},
                      {"id": "p3", "productId": "cola", "fixtureId": "low", "x": 30, "y": 28},
                      {"id": "p4", "productId": "tea", "fixtureId": "low", "x": 40, "y": 28},
                      {"id": "p5", "productId": "jam", "fixtureId": "none", "x": 40, "y": 28},
                      {"id": "p6", "productId": "jam", "fixtureId": "low", "x": None, "y": 28}],
    }
}  # fmt: skip


def test_azures_planogram_is_read_board_by_board(tmp_path: Path) -> None:
    found = read(tmp_path, json.dumps(AZURE), "bay.json")
    assert [(*one.key, one.sku, one.x, one.width) for one in found.plan.positions] == [
        ("bay", 1, 1, "cola", 0.0, 10.0), ("bay", 1, 2, "jam", 60.0, 8.0), ("bay", 2, 1, "cola", 30.0, 10.0),
    ]  # fmt: skip
    assert [said in problem for said, problem in zip(("tea", "none", "x is None"), found.problems, strict=True)] == [
        True
    ] * 3


def test_what_is_written_for_azure_is_read_as_the_same_places(tmp_path: Path) -> None:
    plan = Plan(
        "bay", (Position("bay", 1, 1, "cola", 3, 3), Position("bay", 1, 2, "jam"), Position("bay", 2, 1, "cola", 2, 2))
    )
    text = azure.write(plan, {"cola": "Cola"})
    inner = json.loads(text)["planogram"]
    assert len(inner["positions"]) == 6 and inner["products"][0] == {
        "id": "cola",
        "name": "Cola",
        "w": 100.0,
        "h": 200.0,
    }
    assert {one["fixtureId"] for one in inner["positions"]} == {one["id"] for one in inner["fixtures"]}
    back = read(tmp_path, text, "bay.json").plan
    assert [(one.key, one.sku, one.facings) for one in back.positions] == [
        (one.key, one.sku, one.facings) for one in plan.positions
    ]
    with pytest.raises(PlanError, match="export it as CSV"):
        azure.write(Plan("list", (Position("list", 0, 1, "cola"),), "list"), {})
