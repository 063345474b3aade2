"""The shelf photos that come with the project: they read without a complaint, and each has a source and a licence."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from retail_seg.photos.load import load_photo
from retail_seg.segmentation.boxes import IGNORE, IGNORED_CLASS
from retail_seg.segmentation.training.selection import select_annotated

SHELVES = Path(__file__).resolve().parents[2] / "data" / "shelves"
ANNOTATIONS = SHELVES / "annotations.json"
FOLDERS = ("norway", "others", "fridge")


@pytest.fixture(scope="module")
def coco() -> dict[str, Any]:
    return dict(json.loads(ANNOTATIONS.read_text(encoding="utf-8")))


def facings(coco: dict[str, Any]) -> list[dict[str, Any]]:
    return [one for one in coco["annotations"] if not one["iscrowd"]]


def test_there_are_enough_photos_and_facings_of_our_own(coco: dict[str, Any]) -> None:
    own = {one["id"] for one in coco["images"] if not one["file_name"].startswith("fridge/")}
    assert len(own) >= 12 and sum(one["image_id"] in own for one in facings(coco)) >= 600
    fridge = {one["id"] for one in coco["images"]} - own
    assert (len(fridge), sum(one["image_id"] in fridge for one in facings(coco))) == (25, 225)


def test_every_photo_has_a_source_and_a_licence_that_is_stated(coco: dict[str, Any]) -> None:
    licences = {one["id"]: one["name"] for one in coco["licenses"]}
    readme = (SHELVES / "README.md").read_text(encoding="utf-8")
    for image in coco["images"]:
        licence = licences[image["license"]]
        assert licence.startswith("MIT, Copyright (c) ") or licence == "CC0 1.0"
        assert licence.removeprefix("MIT, ") in readme and image["commit"] in readme
        assert re.fullmatch(r"[0-9a-f]{40}", image["commit"]) and "github.com/" in image["source"]
    assert 'THE SOFTWARE IS PROVIDED "AS IS"' in readme


def test_photos_and_entries_are_the_same_and_small(coco: dict[str, Any]) -> None:
    listed = {one["file_name"]: (one["height"], one["width"]) for one in coco["images"]}
    assert set(listed) == {str(path.relative_to(SHELVES)) for path in SHELVES.glob("*/*.jpg")}
    assert max(max(size) for size in listed.values()) <= 1280
    assert sum(path.stat().st_size for path in SHELVES.rglob("*")) < 10 * 2**20
    assert all(load_photo(SHELVES / name, name=name).shape[:2] == size for name, size in listed.items())


def test_boxes_lie_in_their_photos_and_name_products(coco: dict[str, Any]) -> None:
    sizes = {one["id"]: (one["width"], one["height"]) for one in coco["images"]}
    names = {one["id"]: one["name"] for one in coco["categories"]}
    assert len(set(names.values())) == len(names)
    for one in coco["annotations"]:
        x, y, w, h = one["bbox"]
        width, height = sizes[one["image_id"]]
        assert min(x, y) >= 0 and min(w, h) > 2 and x + w <= width + 0.11 and y + h <= height + 0.11
        assert (names[one["category_id"]] == IGNORED_CLASS) == bool(one["iscrowd"]) == bool(one.get("ignore"))


@pytest.mark.parametrize("folder", FOLDERS)
def test_training_and_scoring_read_them_without_a_problem(coco: dict[str, Any], folder: str) -> None:
    found = select_annotated(SHELVES / folder, ANNOTATIONS)
    assert not found.problems
    named = {one["id"]: Path(one["file_name"]) for one in coco["images"]}
    boxes = Counter(named[one["image_id"]].stem for one in facings(coco) if named[one["image_id"]].parts[0] == folder)
    assert {photo.path.stem: len(photo.boxes) for photo in found.annotated} == boxes
    assert folder == "fridge" or all((photo.labels == IGNORE).any() for photo in found.annotated)


def test_what_is_held_out_is_in_no_list_for_training(coco: dict[str, Any]) -> None:
    held_out = {one["file_name"] for one in coco["images"] if one["held_out"]}
    assert held_out == {"norway/IMG_20180105_175637.jpg", "norway/IMG_20180105_175641.jpg", "others/017.jpg"}
    found = select_annotated(SHELVES / "norway", ANNOTATIONS, SHELVES / "norway-train.txt")
    assert len(found.annotated) == 21 and not {f"norway/{one.path.name}" for one in found.annotated} & held_out
