"""Training sets by their content: made, split, moved, and noticed to have changed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from retail_seg.errors import ManifestError
from retail_seg.photos.load import find_photos
from retail_seg.segmentation.annotations import convert, load_annotations
from retail_seg.segmentation.training.manifest import (
    Manifest,
    held_back,
    labels_hash,
    manifest_of,
    open_manifest,
    read_manifest,
    split,
    write_manifest,
)

COUNT = 10


@pytest.fixture
def world(tmp_path: Path) -> Path:
    """photos/ with ten photos of a square, masks/ with their instances."""
    folder = tmp_path / "world"
    for name in ("photos", "masks"):
        (folder / name).mkdir(parents=True)
    for i in range(COUNT):
        labels = np.zeros((40, 60), np.uint8)
        labels[5 + i : 25 + i, 10:40] = 1
        cv2.imwrite(str(folder / "photos" / f"p{i}.png"), np.dstack([labels * 200 + i] * 3))
        cv2.imwrite(str(folder / "masks" / f"p{i}.png"), labels)
    return folder


def made(world: Path, annotations: str = "masks") -> Manifest:
    annotated, problems = load_annotations(find_photos(world / "photos"), world / annotations)
    assert problems == []
    return manifest_of(annotated, world / annotations)


def test_written_and_read_it_is_the_same(world: Path) -> None:
    manifest = split(made(world), test_share=0.2, seed=3)
    write_manifest(manifest, world / "set.json")
    found = read_manifest(world / "set.json")
    assert (found.entries, found.annotations, found.fingerprint) == (
        manifest.entries, manifest.annotations, manifest.fingerprint
    )  # fmt: skip
    assert found.counts() == {"train": 7, "held-back": 1, "test": 2}
    annotated = open_manifest(found)
    assert [a.path for a in annotated] == found.photos() and annotated[3].ids == [1]
    assert "world" not in (world / "set.json").read_text(encoding="utf-8")


def test_a_set_can_be_moved_but_not_what_a_model_folder_says(world: Path, tmp_path: Path) -> None:
    write_manifest(made(world), world / "set.json")
    write_manifest(made(world), world / "fixed.json", relative=False)
    shutil.copy(world / "fixed.json", tmp_path / "copy.json")
    assert len(open_manifest(read_manifest(tmp_path / "copy.json"))) == COUNT
    world.rename(tmp_path / "moved")
    moved = read_manifest(tmp_path / "moved" / "set.json")
    assert len(open_manifest(moved)) == COUNT and moved.photos()[0] == tmp_path / "moved" / "photos" / "p0.png"


def test_the_split_follows_the_seed_and_leaves_something_to_train_on(world: Path) -> None:
    manifest = made(world)
    one, same, other = (split(manifest, test_share=0.3, seed=seed) for seed in (1, 1, 2))
    assert one == same != other
    assert not set(one.photos("test")) & set(one.photos("train", "held-back"))
    assert split(manifest).counts() == {"train": 8, "held-back": 2, "test": 0}
    for share in (-0.1, 0.01, 0.99, 1.0):
        with pytest.raises(ManifestError, match="test share"):
            split(manifest, test_share=share)


def test_held_back_are_a_fifth_at_most_four() -> None:
    assert [len(held_back(n, 0)) for n in (1, 4, 5, 9, 10, 19, 20, 100)] == [0, 0, 1, 1, 2, 3, 4, 4]
    assert held_back(20, 1) == held_back(20, 1) != held_back(20, 2)


def test_the_fingerprint_follows_content_not_format_or_order(world: Path) -> None:
    manifest = made(world)
    convert(find_photos(world / "photos"), world / "masks", "coco", world / "coco")
    turned = Manifest(manifest.annotations, manifest.entries[::-1])
    assert made(world, "coco").fingerprint == manifest.fingerprint == turned.fingerprint
    assert split(manifest).fingerprint != manifest.fingerprint
    fewer = Manifest(manifest.annotations, manifest.entries[1:])
    assert fewer.fingerprint != manifest.fingerprint


def test_the_hash_of_ids_is_that_of_their_values_and_shape() -> None:
    ids = np.arange(12, dtype=np.int32).reshape(3, 4)
    assert labels_hash(ids) == labels_hash(ids.astype(np.uint16)) == labels_hash(np.asfortranarray(ids))
    assert labels_hash(ids) != labels_hash(ids.reshape(4, 3)) != labels_hash(ids.reshape(4, 3) + 1)


def change_photo(world: Path) -> None:
    path = world / "photos" / "p3.png"
    path.write_bytes(path.read_bytes() + b" ")


def change_annotation(world: Path) -> None:
    mask = np.zeros((40, 60), np.uint8)
    mask[:9, :9] = 1
    cv2.imwrite(str(world / "masks" / "p4.png"), mask)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (change_photo, r"p3\.png has changed"),
        (change_annotation, r"p4\.png has another annotation"),
        (lambda world: (world / "photos" / "p1.png").unlink(), r"p1\.png is missing"),
        (lambda world: (world / "masks" / "p2.png").unlink(), r"p2\.png is no longer annotated"),
        (lambda world: shutil.rmtree(world / "masks"), r"masks is missing"),
    ],
)
def test_what_changed_is_named(world: Path, change: Callable[[Path], None], named: str) -> None:
    write_manifest(made(world), world / "set.json")
    change(world)
    with pytest.raises(ManifestError, match=named) as caught:
        open_manifest(read_manifest(world / "set.json"))
    assert str(caught.value).startswith(str(world / "set.json")) and "\n" not in str(caught.value)


def test_many_faults_are_counted(world: Path) -> None:
    manifest = made(world)
    for path in find_photos(world / "photos"):
        path.unlink()
    with pytest.raises(ManifestError, match=r"p4\.png is missing and 5 more; bring them back"):
        open_manifest(manifest)


def test_a_file_that_is_no_manifest_is_said(world: Path) -> None:
    write_manifest(made(world), world / "set.json")
    values = json.loads((world / "set.json").read_text(encoding="utf-8"))
    for wrong, named in (
        ([], "no manifest of format 1"),
        (values | {"format": 2}, "no manifest of format 1"),
        ({"format": 1}, "damaged"),
        (values | {"photos": [values["photos"][0] | {"split": "dev"}]}, "split 'dev'"),
    ):
        (world / "wrong.json").write_text(json.dumps(wrong), encoding="utf-8")
        with pytest.raises(ManifestError, match=named):
            read_manifest(world / "wrong.json")
    (world / "wrong.json").write_text("{", encoding="utf-8")
    for path, named in ((world / "wrong.json", "damaged"), (world / "none.json", "cannot be read")):
        with pytest.raises(ManifestError, match=named):
            read_manifest(path)
    with pytest.raises(ManifestError, match="cannot be written"):
        write_manifest(made(world), world / "photos" / "p0.png" / "set.json")


def test_what_a_training_held_back_is_written_down(world: Path) -> None:
    manifest = split(made(world), test_share=0.2)
    free = [path.stem for path in manifest.photos("train", "held-back")]
    after = manifest.with_held_back(free[:3])
    assert [path.stem for path in after.photos("held-back")] == free[:3]
    assert after.photos("test") == manifest.photos("test")
