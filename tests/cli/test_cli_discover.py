"""The command `discover`: lists and photos in, one JSON line a cluster out."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import pytest

from catalogue import Product
from retail_seg.cli import main
from retail_seg.demo.shelf_demo import REFERENCES, SCANNED
from retail_seg.matcher import Matcher
from retail_seg.photos import words
from retail_seg.store.enrolment import Upload

SHELF = Path(str(files("retail_seg") / "demo" / "shelf"))


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Call `retail-seg` with arguments: exit code, stdout, stderr."""

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["retail-seg", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            main()
        return int(stopped.value.code or 0), *capsys.readouterr()

    return call


@pytest.fixture(scope="module")
def listed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A list of the labelled boxes of both photos of the demo's shelf, one row of it broken, and the labels."""
    coco = json.loads((SHELF / "annotations.json").read_text(encoding="utf-8"))
    names = {one["id"]: one["name"] for one in coco["categories"]}
    images = {one["id"]: one["file_name"] for one in coco["images"]}
    rows = [one for one in coco["annotations"] if not one["iscrowd"]]
    path = tmp_path_factory.mktemp("list") / "facings.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "x", "y", "w", "h"])
        for one in rows:
            writer.writerow([SHELF / images[one["image_id"]], *one["bbox"]])
        writer.writerow([SHELF / REFERENCES, 90_000, 0, 50, 50])
    return path, [names[one["category_id"]] for one in rows]


def test_a_list_is_grouped_by_its_row_numbers(run: Run, listed: tuple[Path, list[str]], tmp_path: Path) -> None:
    path, labels = listed
    Matcher.create(tmp_path / "store").close()
    out = tmp_path / "clusters.jsonl"
    code, _, said = run("discover", path, "--store", tmp_path / "store", "--json", out)
    assert code == 1 and "outside the picture" in said  # the broken row stops no other
    lines = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert sorted(item for line in lines for item in line["items"]) == list(range(len(labels)))
    assert [line["cluster"] for line in lines] == list(range(1, len(lines) + 1))
    assert all(line["size"] == len(line["items"]) and line["proposal"] is None for line in lines)
    several = [line["items"] for line in lines if line["size"] > 1]
    assert sum(map(len, several)) > 0.35 * len(labels)
    right = sum(max(map([labels[at] for at in items].count, labels)) for items in several)
    assert right >= 0.95 * sum(map(len, several))


def test_photos_are_grouped_by_image_and_box_with_proposals(run: Run, tmp_path: Path) -> None:
    photo = SHELF / SCANNED
    with Matcher.create(tmp_path / "store") as matcher:
        matcher.enrol(Product("BIX", "Bixit"), [Upload(str(photo), box=(0.0, 0.5, 0.3, 0.8))])
    code, out, said = run("discover", photo, "--store", tmp_path / "store")
    assert code == 0, said
    lines = [json.loads(line) for line in out.splitlines()]
    items = [item for line in lines for item in line["items"]]
    assert {item["image"] for item in items} == {str(photo)} and all(len(item["box"]) == 4 for item in items)
    offered = [line["proposal"] for line in lines if line["proposal"]]
    assert all(one["sku"] == "BIX" and 0.2 <= one["probability"] <= 1 for one in offered)


def test_lists_and_photos_together_are_refused(run: Run, listed: tuple[Path, list[str]], tmp_path: Path) -> None:
    code, _, said = run("discover", listed[0], SHELF / SCANNED, "--store", tmp_path / "store")
    assert code == 2 and "not both" in said


@pytest.mark.skipif(not words.available(), reason="needs the extra text")
def test_clusters_are_held_against_a_list_of_names(run: Run, tmp_path: Path) -> None:
    Matcher.create(tmp_path / "store").close()
    names = tmp_path / "names.csv"
    names.write_text("name,gtin\nBerthas Maestro 150 g,\nSalami,\n", encoding="utf-8")
    code, out, said = run("discover", SHELF / SCANNED, "--store", tmp_path / "store", "--names", names)
    assert code == 0, said
    lines = [json.loads(line) for line in out.splitlines()]
    (offered,) = [line for line in lines if line["names"]]
    assert offered["proposal"] == {
        "sku": offered["names"][0]["sku"],
        "name": "Berthas Maestro 150 g",
        "probability": None,
    }
    assert "erthas" in offered["names"][0]["evidence"] and offered["read"].startswith("reads: ")
