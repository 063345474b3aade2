"""Open sets of shelf photos with boxes, as the pretraining recipe reads them."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from retail_seg.errors import AnnotationError
from retail_seg.segmentation.boxes import IGNORE

RECIPE = Path(__file__).resolve().parents[2] / "recipes" / "shelves.py"


@pytest.fixture(scope="module")
def shelves() -> ModuleType:
    spec = importlib.util.spec_from_file_location("recipe_shelves", RECIPE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def write_set(folder: Path, photos: Path, name: str) -> None:
    photos.mkdir(parents=True, exist_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (200, 100), (90, 120, 60)).save(photos / f"{name}.jpg")
    listed = [
        {"id": 1, "image_id": 1, "category_id": 1, "bbox": [20, 20, 40, 60], "segmentation": []},
        {"id": 2, "image_id": 1, "category_id": 1, "bbox": [120, 0, 80, 100], "segmentation": [], "iscrowd": 1},
    ]
    data = {"images": [{"id": 1, "file_name": f"{name}.jpg"}], "annotations": listed, "categories": []}
    (folder / "_annotations.coco.json").write_text(json.dumps(data))


def test_photos_beside_their_boxes(shelves: ModuleType, tmp_path: Path) -> None:
    write_set(tmp_path, tmp_path / "images", "a")
    ((picture, labels),) = shelves.load_boxes_folder(tmp_path, 100)
    assert picture.shape == (50, 100, 3) and labels.shape == (50, 100)
    assert set(np.unique(labels)) == {IGNORE, 0, 1}
    assert (labels[:, 60:] == IGNORE).all() and (labels == 1).sum() == 20 * 30


def test_splits_each_with_its_own_photos(shelves: ModuleType, tmp_path: Path) -> None:
    for split in ("train", "valid"):
        write_set(tmp_path / split, tmp_path / split, split)
    assert [one.name for one in shelves.annotated_photos(tmp_path)] == ["train", "valid"]


def test_a_folder_without_boxes(shelves: ModuleType, tmp_path: Path) -> None:
    Image.new("RGB", (20, 10)).save(tmp_path / "a.png")
    with pytest.raises(AnnotationError, match="holds no photo with boxes"):
        list(shelves.load_boxes_folder(tmp_path, 100))


def test_a_set_becomes_ready_pictures_once(shelves: ModuleType, tmp_path: Path) -> None:
    write_set(tmp_path / "set", tmp_path / "set", "a")
    out = shelves.as_scenes(tmp_path / "set", tmp_path / "out", 100)
    ids = np.asarray(Image.open(out / "00000.png"))
    assert set(np.unique(ids)) == {0, 1, 65535} and ids.shape == (50, 100)
    (out / "00000.jpg").write_bytes(b"mine")
    assert shelves.as_scenes(tmp_path / "set", out, 100) == out and (out / "00000.jpg").read_bytes() == b"mine"
