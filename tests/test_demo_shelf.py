"""The demo of a real shelf: its photos and truth, its store on the true boxes, the whole of it as a user runs it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from catalogue import scans
from retail_seg.cli import cli
from retail_seg.demo import MARKER, run_demo, run_shelf_demo
from retail_seg.demo.making import open_store
from retail_seg.demo.shelf_demo import ANNOTATIONS, REFERENCES, SCANNED, DemoShelf, load_shelf, shelf_rows
from retail_seg.errors import StoreError
from retail_seg.matcher import Matcher
from retail_seg.photos.load import load_photo
from retail_seg.segmentation.instances.instances import Instances

FOLDER = files("retail_seg") / "demo" / "shelf"


@pytest.fixture(scope="module")
def shelf() -> DemoShelf:
    return load_shelf()


@pytest.fixture(scope="module")
def coco() -> dict[str, Any]:
    return dict(json.loads((FOLDER / ANNOTATIONS).read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def store(shelf: DemoShelf, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of the shelf's products."""
    folder = tmp_path_factory.mktemp("shelf") / "store"
    open_store(folder, shelf.sold, "shelf", lambda line: None).close()
    return folder


@pytest.fixture
def matcher(store: Path) -> Iterator[Matcher]:
    with Matcher.open(store) as opened:
        yield opened


def true_boxes(coco: dict[str, Any], photo: str) -> list[dict[str, Any]]:
    image = next(one["id"] for one in coco["images"] if one["file_name"] == photo)
    return [one for one in coco["annotations"] if one["image_id"] == image and not one["iscrowd"]]


def test_the_package_holds_two_photos_with_their_licence(coco: dict[str, Any], shelf: DemoShelf) -> None:
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert "Copyright (c) 2019 Innovation Garage" in readme and 'THE SOFTWARE IS PROVIDED "AS IS"' in readme
    for image, data in ((REFERENCES, shelf.references), (SCANNED, shelf.scanned)):
        entry = next(one for one in coco["images"] if one["file_name"] == image)
        assert load_photo(data, name=image).shape[:2] == (entry["height"], entry["width"])
    assert len(shelf.references) + len(shelf.scanned) < 2**20


def test_every_product_has_one_to_four_crops_and_the_truth_adds_up(coco: dict[str, Any], shelf: DemoShelf) -> None:
    assert len(shelf.sold) == 11 and len({product.sku for product, _ in shelf.sold}) == 11
    assert all(1 <= len(pictures) <= 4 for _, pictures in shelf.sold)
    assert set(shelf.expected) < {product.sku for product, _ in shelf.sold}
    assert shelf.expected.total() + shelf.strangers == len(true_boxes(coco, SCANNED)) == 38
    assert not any(one.get("reference") for one in true_boxes(coco, SCANNED))


def test_on_true_boxes_nearly_all_is_named_and_no_stranger_is(
    coco: dict[str, Any], shelf: DemoShelf, matcher: Matcher
) -> None:
    skus = {one["id"]: one.get("sku") for one in coco["categories"]}
    boxes = sorted(true_boxes(coco, SCANNED), key=lambda one: -one["area"])
    photo = load_photo(shelf.scanned, name=SCANNED)
    labels = np.zeros(photo.shape[:2], np.int32)
    for number, one in enumerate(boxes, 1):
        x, y, w, h = (round(v) for v in one["bbox"])
        labels[y : y + h, x : x + w] = number
    report = matcher.report(photo, Instances.from_labels(labels), SCANNED)
    pairs = [(skus[one["category_id"]], line.sku) for one, line in zip(boxes, report.instances, strict=True)]
    assert all(found is None for true, found in pairs if true is None)
    # One pack is seen from its end alone, of which the store has no picture.
    assert sum(found not in (None, true) for true, found in pairs) <= 1
    rows = shelf_rows(shelf, report)
    assert (
        sum(found is not None and found == true for true, found in pairs) >= 20
        and rows[-1].expected == shelf.strangers == 8
    )
    assert {row.sku: row.found for row in rows if row.sku and row.found} == report.counts
    # No board is mixed with another. That of the Oreos, which lie deeper, comes out as a row of its own.
    rows_on: dict[int, set[int]] = {}
    for one, line in zip(boxes, report.instances, strict=True):
        rows_on.setdefault(one["row"], set()).add(line.row)
    assert max(rows_on[1]) < min(rows_on[2]) and max(rows_on[2]) < min(rows_on[3])


def test_it_runs_again_on_its_store_and_keeps_the_scan_once(store: Path, tmp_path: Path) -> None:
    said: list[str] = []
    for _ in range(2):
        result = run_shelf_demo(store, tmp_path / "out", say=said.append)
    assert any("0 reference pictures added" in line for line in said)
    (line,) = (tmp_path / "out" / "report.jsonl").read_text(encoding="utf-8").splitlines()
    report = json.loads(line)
    assert report["image"] == SCANNED and report["instances"] and report["counts"] == result.reports[0].counts
    for folder in ("photos", "overlays"):
        assert [path.name for path in (tmp_path / "out" / folder).iterdir()] == [SCANNED]
    assert (tmp_path / "out" / "counts.csv").read_text(encoding="utf-8").startswith("image,sku,name,count")
    assert result.expected == 30
    with Matcher.open(store) as opened:
        assert [scan.image for scan in scans.latest(opened.catalogue)] == [SCANNED]


def test_a_store_of_the_other_demo_is_left_alone(store: Path, demo_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="the other demo's products"):
        run_shelf_demo(demo_folder / "store", tmp_path / "out")
    with pytest.raises(StoreError, match="the other demo's products"):
        run_demo(store, tmp_path / "out", photos=1)
    old = tmp_path / "old"
    old.mkdir()
    (old / MARKER).write_text('{"made_by": "retail-seg demo"}', encoding="utf-8")  # as the first version wrote it
    with pytest.raises(StoreError, match="delete it first"):
        run_shelf_demo(old, tmp_path / "out")
    (old / MARKER).write_text("{", encoding="utf-8")
    with pytest.raises(StoreError, match="cannot be read"):
        run_shelf_demo(old, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_number_of_photos_belongs_to_the_rendered_demo(tmp_path: Path) -> None:
    words = ["demo", "--photos", "2", "--store", str(tmp_path / "store"), "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 2 and "--rendered" in done.output and not (tmp_path / "store").exists()
