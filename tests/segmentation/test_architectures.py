from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from itertools import count
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from click.testing import CliRunner

from retail_seg.cli import cli
from retail_seg.errors import ModelError
from retail_seg.segmentation.annotations import AnnotatedPhoto
from retail_seg.segmentation.ensemble import ensemble_of
from retail_seg.segmentation.formats.instance_png import write_ids
from retail_seg.segmentation.instances.grouping import Thresholds, group
from retail_seg.segmentation.network.architectures import ARCHITECTURES, build, compiles, learns_labels
from retail_seg.segmentation.network.config import MOBILE, TRAINABLE, SegmenterConfig
from retail_seg.segmentation.network.config import config_of as usual
from retail_seg.segmentation.network.detection import maps_of_detections
from retail_seg.segmentation.network.torchvision_ops import nms, roi_align
from retail_seg.segmentation.segmenter import Segmenter, maps_of
from retail_seg.segmentation.training.synthesis import SceneStyle
from retail_seg.segmentation.training.train import Recipe, train

#: Those that want segmentation_models_pytorch.
SMP = ("smp-unet", "fcn", "deeplabv3")
SINGLE = [name for name in ARCHITECTURES if name != "ensemble"]


def config_of(architecture: str, side: int = 64) -> SegmenterConfig:
    if architecture in SMP and find_spec("segmentation_models_pytorch") is None:
        pytest.skip("the extra 'compare' is not installed")
    return SegmenterConfig(widths=(8, 8, 16), block=1, side=side, architecture=architecture)


def two_discs(folder: Path, number: int) -> list[AnnotatedPhoto]:
    found = []
    for i in range(number):
        picture, labels = np.full((64, 96, 3), 40, np.uint8), np.zeros((64, 96), np.int32)
        for value, x in ((1, 24), (2, 70)):
            cv2.circle(picture, (x, 32), 14 + i, (220, 180, 60 * value), -1)
            cv2.circle(labels, (x, 32), 14 + i, value, -1)
        path = folder / f"photo{i}.png"
        cv2.imwrite(str(path), picture)
        found.append(AnnotatedPhoto(path.stem, path, labels))
    return found


@pytest.mark.parametrize("name", SINGLE)
def test_each_learns_and_comes_back_from_its_folder(name: str, tmp_path: Path) -> None:
    config = config_of(name)
    recipe = Recipe(batch=2, canvas=(64, 64), evaluations=1, composed_checks=1, tuning_scenes=1,
                    style=SceneStyle(things=(1, 2)), config=config)  # fmt: skip
    folder = tmp_path / "model"
    losses: list[float] = []
    result = train(
        two_discs(tmp_path, 3),
        folder,
        steps=2,
        from_scratch=True,
        recipe=recipe,
        progress=lambda report: losses.append(report.loss),
    )
    assert result.steps == 2 and np.isfinite(losses).all()
    assert json.loads((folder / "config.json").read_text()).get("architecture", "unet") == name
    photo = np.random.default_rng(0).integers(0, 255, (50, 70, 3), np.uint8)
    first, again = Segmenter.load(folder), Segmenter.load(folder)
    assert first.config == config and first.fingerprint == again.fingerprint
    maps = first.maps(photo)
    assert maps.foreground.shape == (46, 64)
    np.testing.assert_array_equal(maps.foreground, again.maps(photo).foreground)
    assert first.segment(photo).labels.shape == (50, 70)


@pytest.mark.parametrize("name", [name for name in SINGLE if name != "mask-rcnn"])
def test_the_dense_ones_predict_five_maps_of_the_pictures_size(name: str) -> None:
    config = config_of(name)
    net = build(config).eval()
    assert 64 % config.stride == 0 and not learns_labels(config)
    with torch.inference_mode():
        assert net(torch.zeros(2, 4, 64, 96)).shape == (2, 5, 64, 96)


def test_a_configuration_without_an_architecture_is_the_packages_own() -> None:
    plain = SegmenterConfig()
    assert "architecture" not in plain.to_json() and plain.stride == 64 and compiles(plain)
    assert SegmenterConfig.from_json(plain.to_json()) == plain
    other = SegmenterConfig(architecture="fcn", members=(plain,))
    assert SegmenterConfig.from_json(json.loads(json.dumps(other.to_json()))) == other


def test_the_names_that_train_offers_are_the_architectures() -> None:
    assert (*TRAINABLE, MOBILE, "ensemble") == tuple(ARCHITECTURES)
    assert [usual(name).architecture for name in TRAINABLE] == list(TRAINABLE)
    assert usual("unet") == SegmenterConfig() and usual("segnet").block == 1


def test_another_network_is_trained_by_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETAIL_SEG_RUNS", str(tmp_path / "runs"))
    (tmp_path / "photos").mkdir()
    (tmp_path / "masks").mkdir()
    for one in two_discs(tmp_path / "photos", 3):
        write_ids(tmp_path / "masks" / f"{one.name}.png", one.labels)
    words = ["train", str(tmp_path / "photos"), "--annotations", str(tmp_path / "masks"), "--steps", "1",
             "--model", str(tmp_path / "model"), "--architecture", "segnet"]  # fmt: skip
    refused = CliRunner().invoke(cli, [*words, "--start", "some-model"], standalone_mode=False)
    assert "a model has its own architecture" in str(refused.exception)
    monkeypatch.setattr("retail_seg.segmentation.network.config.config_of", lambda name: config_of(name))
    tiny = partial(Recipe, canvas=(64, 64), composed_checks=1, tuning_scenes=1)
    monkeypatch.setattr("retail_seg.segmentation.training.train.Recipe", tiny)
    called = CliRunner().invoke(cli, words, standalone_mode=False)
    assert called.exception is None, called.output
    model = Segmenter.load(tmp_path / "model")
    assert model.config.architecture == "segnet"
    assert "| Network | SegNet" in (tmp_path / "model" / "README.md").read_text()


def test_another_clock_than_the_wall_s_decides_when_a_training_ends(tmp_path: Path) -> None:
    ticks = count()
    recipe = Recipe(batch=2, canvas=(64, 64), evaluations=1, composed_checks=1, tuning_scenes=1,
                    config=config_of("unet"))  # fmt: skip
    result = train(two_discs(tmp_path, 3), tmp_path / "model", minutes=10, from_scratch=True, recipe=recipe,
                   clock=lambda: 20.0 * next(ticks))  # fmt: skip
    assert 0 < result.steps < 40 and result.seconds > 400


def test_an_unknown_architecture_is_said(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"octopus: no such architecture; one of unet"):
        build(SegmenterConfig(architecture="octopus"))
    folder = tmp_path / "model"
    Segmenter(config_of("unet"), Thresholds(), build(config_of("unet")), "m").save(folder, "# card\n")
    values = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**values, "architecture": "segnet"}))
    with pytest.raises(ModelError, match="cannot be read as a model"):
        Segmenter.load(folder)


def test_an_ensemble_averages_probabilities_and_is_a_model_like_the_others(tmp_path: Path) -> None:
    photo = np.random.default_rng(1).integers(0, 255, (64, 64, 3), np.uint8)
    models = []
    for name in ("unet", "segnet"):
        torch.manual_seed(len(name))
        models.append(Segmenter(config_of(name), Thresholds(merge=0.4), build(config_of(name)), name))
    joined = ensemble_of(models)
    assert not compiles(joined.config) and joined.config.stride == 32 and joined.thresholds == Thresholds(merge=0.4)
    mean = np.mean([model.maps(photo).foreground for model in models], axis=0)
    np.testing.assert_allclose(joined.maps(photo).foreground, mean, atol=0.02)
    joined.save(tmp_path / "both", "# card\n")
    loaded = Segmenter.load(tmp_path / "both")
    np.testing.assert_allclose(loaded.maps(photo).foreground, joined.maps(photo).foreground, atol=0.02)
    with pytest.raises(ModelError, match="1 models make no ensemble"):
        ensemble_of(models[:1])
    other = Segmenter(replace(config_of("unet"), mean=(0.1, 0.2, 0.3)), Thresholds(), models[0].net, "other")
    with pytest.raises(ModelError, match="other: works with other colours"):
        ensemble_of([models[0], other])


def test_members_of_an_ensemble_look_at_the_sizes_that_they_were_trained_for() -> None:
    config = config_of("unet")
    net = build(config)
    small = Segmenter(config, Thresholds(), net, "small")
    large = Segmenter(replace(config, side=2 * config.side), Thresholds(), net, "large")
    photo = np.random.default_rng(0).integers(0, 256, (48, config.side, 3), np.uint8)
    both, alone, above = ensemble_of([small, large]).maps(photo), small.maps(photo), large.maps(photo)
    half = cv2.resize(above.foreground, alone.foreground.shape[::-1], interpolation=cv2.INTER_LINEAR)
    np.testing.assert_allclose(both.foreground, (alone.foreground + half) / 2, atol=0.05)
    across = cv2.resize(above.offset_x, alone.offset_x.shape[::-1], interpolation=cv2.INTER_LINEAR) / 2
    np.testing.assert_allclose(both.offset_x, (alone.offset_x + across) / 2, atol=2.0)


def test_detections_become_maps_that_group_to_the_same_instances() -> None:
    masks = np.zeros((3, 64, 64), np.float32)
    masks[0, 10:40, 5:30] = masks[1, 10:40, 31:60] = 0.97
    masks[2, 12:38, 6:30] = 0.9  # the first one again
    maps = maps_of(maps_of_detections(np.array([0.95, 0.9, 0.6], np.float32), masks, (64, 64)))
    labels, confidence = group(maps, Thresholds())
    assert labels.max() == 2 and (confidence > 0.8).all()
    assert (labels[masks[0] > 0.5] == labels[20, 10]).mean() > 0.95
    none = maps_of_detections(np.zeros(0, np.float32), np.zeros((0, 32, 32), np.float32), (32, 32))
    assert group(maps_of(none), Thresholds())[0].max() == 0


def test_suppression_keeps_the_surest_of_overlapping_boxes() -> None:
    boxes = torch.tensor([[0.0, 0, 10, 10], [1, 1, 11, 11], [20, 20, 30, 30], [0, 0, 10, 9]])
    assert nms(boxes, torch.tensor([0.5, 0.9, 0.1, 0.8]), 0.5).tolist() == [1, 2]
    assert nms(torch.zeros(0, 4), torch.zeros(0), 0.5).tolist() == []


def test_roi_align_reads_a_ramp_exactly_and_has_gradients() -> None:
    ramp = torch.arange(16.0).repeat(16, 1)[None, None].requires_grad_()
    boxes = [torch.tensor([[2.0, 2, 10, 10], [4, 0, 6, 12]])]
    found = roi_align(ramp, boxes, (2, 2), 1.0, 2)
    # The middle of the left and the right half of each box, which a ramp's mean is.
    np.testing.assert_allclose(found[:, 0].detach(), [[[4, 8], [4, 8]], [[4.5, 5.5], [4.5, 5.5]]], atol=1e-4)
    found.sum().backward()
    assert ramp.grad is not None and float(ramp.grad.sum()) == pytest.approx(8, abs=1e-3)
    halved = roi_align(ramp.detach(), boxes, 2, 0.5, 2, True)
    np.testing.assert_allclose(halved[0, 0, 0], [1.5, 3.5], atol=1e-4)
