from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from retail_seg.errors import ModelError
from retail_seg.segmentation.instances.grouping import Thresholds
from retail_seg.segmentation.network.config import OFFSET_UNIT
from retail_seg.segmentation.network.unet import UNet
from retail_seg.segmentation.scores import score
from retail_seg.segmentation.segmenter import Segmenter, SegmenterConfig
from retail_seg.segmentation.training.targets import target_maps


def tiny(side: int = 64) -> Segmenter:
    torch.manual_seed(3)
    config = SegmenterConfig(widths=(8, 8, 8), block=2, side=side)
    return Segmenter(config, Thresholds(merge=0.3), UNet(config.unet), "tiny")


def discs(height: int, width: int) -> np.ndarray:
    labels = np.zeros((height, width), np.int32)
    radius = min(height, width) // 5
    cv2.circle(labels, (width // 4, height // 2), radius, 1, -1)
    cv2.circle(labels, (width // 4 + 2 * radius, height // 2), radius, 2, -1)
    return labels


class Oracle:
    """A network that knows the labels of its one photo (the shape of a compiled network that is put in its place)."""

    def __init__(self, labels: np.ndarray) -> None:
        self.labels, self.seen = labels, (0, 0, 0, 0)

    def __call__(self, pictures: np.ndarray) -> np.ndarray:
        self.seen = pictures.shape
        assert pictures.dtype == np.float32
        height, width = pictures.shape[2:]
        scale = max(self.labels.shape) / 128
        size = (round(self.labels.shape[1] / scale), round(self.labels.shape[0] / scale))
        small = cv2.resize(self.labels.astype(np.float32), size, interpolation=cv2.INTER_NEAREST).astype(np.int32)
        labels = np.zeros((height, width), np.int32)
        labels[: size[1], : size[0]] = small
        maps = target_maps(labels)
        maps[:3] = np.log(np.clip(maps[:3], 0.01, 0.99) / np.clip(1 - maps[:3], 0.01, 0.99))
        maps[3:] /= OFFSET_UNIT
        return maps[None]


@pytest.mark.parametrize("shape", [(480, 640), (333, 517), (700, 400), (50, 64)])
def test_instances_come_back_in_the_photos_own_pixels(shape: tuple[int, int]) -> None:
    labels = discs(*shape)
    segmenter = tiny(side=128)
    oracle = Oracle(labels)
    segmenter.replace_network(oracle)
    found = segmenter.segment(np.zeros((*shape, 3), np.uint8))
    assert found.labels.shape == shape and len(found) == 2
    scored = score([(labels, found.labels)])
    assert scored.fg_iou > 0.93 and scored.f1_75 == 1
    assert oracle.seen[2] % segmenter.config.unet.stride == 0 and oracle.seen[3] % segmenter.config.unet.stride == 0


@pytest.mark.parametrize("shape", [(1, 1), (3, 500), (500, 3), (97, 131), (64, 64), (2000, 1500)])
def test_any_size_and_aspect_is_taken(shape: tuple[int, int]) -> None:
    photo = np.random.default_rng(0).integers(0, 255, (*shape, 3), np.uint8)
    found = tiny().segment(photo)
    assert found.labels.shape == shape and found.labels.dtype == np.int32
    assert len(found) == found.labels.max() == len(found.confidence)
    assert ((found.confidence >= 0) & (found.confidence <= 1)).all()
    assert (found.areas > 0).all()


def test_a_model_folder_gives_the_same_model_back(tmp_path: Path) -> None:
    model = tiny()
    model.save(tmp_path / "model", "# card\n")
    assert sorted(p.name for p in (tmp_path / "model").iterdir()) == [
        "README.md",
        "config.json",
        "thresholds.json",
        "weights.safetensors",
    ]
    again, third = Segmenter.load(tmp_path / "model"), Segmenter.load(tmp_path / "model")
    photo = np.random.default_rng(1).integers(0, 255, (60, 80, 3), np.uint8)
    assert np.array_equal(again.segment(photo).labels, third.segment(photo).labels)
    assert again.fingerprint == model.fingerprint and again.name == "tiny" and again.thresholds == model.thresholds
    assert again.config == model.config
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


def test_the_fingerprint_follows_weights_and_thresholds() -> None:
    model, other = tiny(), tiny()
    assert model.fingerprint == other.fingerprint
    with torch.no_grad():
        other.net.head.bias += 1
    changed = Segmenter(model.config, Thresholds(merge=0.31), model.net)
    assert len({model.fingerprint, tiny().fingerprint, changed.fingerprint}) == 2
    assert Segmenter(other.config, other.thresholds, other.net).fingerprint != model.fingerprint


@pytest.mark.parametrize("missing", ["config.json", "thresholds.json", "weights.safetensors"])
def test_an_incomplete_folder_is_named(tmp_path: Path, missing: str) -> None:
    tiny().save(tmp_path / "model", "card")
    (tmp_path / "model" / missing).unlink()
    with pytest.raises(ModelError, match=missing):
        Segmenter.load(tmp_path / "model")


def test_damaged_or_foreign_files_are_one_clear_error(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    tiny().save(folder, "card")
    good = (folder / "weights.safetensors").read_bytes()
    (folder / "weights.safetensors").write_bytes(good[: len(good) // 2])
    with pytest.raises(ModelError, match=r"^[^\n]*cannot be read as a model[^\n]*$"):
        Segmenter.load(folder)
    (folder / "weights.safetensors").write_bytes(good)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "widths": [8, 8]}))
    with pytest.raises(ModelError, match=r"^[^\n]*cannot be read as a model[^\n]*$"):
        Segmenter.load(folder)
    (folder / "config.json").write_text(json.dumps({**config, "format": 99}))
    with pytest.raises(ModelError, match="another format"):
        Segmenter.load(folder)


def test_other_files_are_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "holiday.jpg").write_bytes(b"x")
    with pytest.raises(ModelError, match=r"holiday\.jpg"):
        tiny().save(tmp_path / "photos", "card")
    assert [p.name for p in (tmp_path / "photos").iterdir()] == ["holiday.jpg"]
    with pytest.raises(ModelError, match="is a file"):
        tiny().save(tmp_path / "photos" / "holiday.jpg", "card")


def test_a_failed_save_leaves_the_old_model(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    tiny().save(folder, "first")
    with pytest.raises(TypeError):
        tiny().save(folder, 7)  # type: ignore[arg-type]
    assert (folder / "README.md").read_text() == "first"
    assert [p.name for p in tmp_path.iterdir()] == ["model"]
    tiny().save(folder, "second")
    assert (folder / "README.md").read_text() == "second"


def test_uncertainty_is_lowest_for_a_sure_network() -> None:
    labels = discs(96, 128)
    sure, unsure = tiny(side=128), tiny(side=128)
    sure.replace_network(Oracle(labels))
    unsure.replace_network(lambda pictures: np.zeros((1, 5, *pictures.shape[2:]), np.float32))
    photo = np.zeros((96, 128, 3), np.uint8)
    assert 0 <= sure.uncertainty(photo) < 0.3 < 0.9 < unsure.uncertainty(photo)


def test_the_shipped_model_counts_things_on_a_plain_ground() -> None:
    """Three plain things, two of which touch, on a grey table: no annotation, no training."""
    rng = np.random.default_rng(0)
    photo = np.full((480, 640, 3), (150, 146, 140), np.float32) + rng.normal(0, 3, (480, 640, 1))
    truth = np.zeros((480, 640), np.int32)
    for value, (x, y, radius, colour) in enumerate(
        ((160, 200, 70, (200, 60, 40)), (300, 200, 70, (70, 140, 60)), (480, 330, 60, (220, 190, 60))), 1
    ):
        cv2.circle(truth, (x, y), radius, value, -1)
        shade = 1.1 - 0.5 * np.hypot(*(np.indices((480, 640)) - np.array([y, x])[:, None, None])) / radius
        photo = np.where((truth == value)[..., None], np.array(colour) * shade[..., None], photo)
    picture = cv2.GaussianBlur(np.clip(photo, 0, 255).astype(np.uint8), (0, 0), 0.8)
    found = Segmenter.load().segment(picture)
    scored = score([(truth, found.labels)])
    assert len(found) == 3 and scored.f1_75 == 1 and scored.fg_iou > 0.9
