"""The network with a pretrained encoder: its weights, what learns and what stays, compiled, and what is ignored."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.numpy import save_file

from index import runtime
from retail_seg.errors import ModelError
from retail_seg.segmentation.boxes import IGNORE
from retail_seg.segmentation.instances.grouping import Thresholds
from retail_seg.segmentation.network.architectures import build
from retail_seg.segmentation.network.config import MOBILE, SegmenterConfig, config_of
from retail_seg.segmentation.network.encoder import Encoder, Replaced, encoder_weights, published_weights
from retail_seg.segmentation.network.mobile import MobileUNet
from retail_seg.segmentation.network.mobile_shapes import BLOCKS, REPLACED, TAPS, mobile_shapes, published_shapes
from retail_seg.segmentation.segmenter import CONFIG, WEIGHTS, Segmenter
from retail_seg.segmentation.training.fitting import Fit, loss_of, to_tensors
from retail_seg.store.networks import accelerate_segmenter

TINY = SegmenterConfig((16, 16, 16), 4, 128, (0.5,) * 3, (0.5,) * 3, MOBILE, "mobilenet_v2")


def net() -> MobileUNet:
    torch.manual_seed(0)
    made = build(TINY)
    assert isinstance(made, MobileUNet)
    return made


def sample(ignored: bool = False) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    picture = rng.integers(0, 256, (64, 96, 3), np.uint8)
    labels = np.zeros((64, 96), np.int32)
    labels[10:30, 10:40], labels[10:30, 40:70] = 1, 2
    if ignored:
        labels[40:60, 20:90] = IGNORE
    return picture, labels


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A made MobileNetV2 file: every convolution followed by a batch normalisation with statistics of its own."""
    rng = np.random.default_rng(0)
    tensors = {}
    for number in range(BLOCKS):
        for key, shape in published_shapes(number).items():
            if key.endswith(".weight"):
                stem, _, at = key.removesuffix(".weight").rpartition(".")
                tensors[key] = rng.normal(0, 1 / np.sqrt(np.prod(shape[1:])), shape).astype(np.float16)
                norm = f"{stem}.{int(at) + 1}"
                for name, low, high in (
                    ("weight", 0.5, 2),
                    ("bias", -1, 1),
                    ("running_mean", -1, 1),
                    ("running_var", 0.5, 2),
                ):
                    tensors[f"{norm}.{name}"] = rng.uniform(low, high, shape[0]).astype(np.float16)
    tensors["classifier.1.bias"] = np.zeros(1000, np.float16)
    path = tmp_path_factory.mktemp("published") / "mobilenet.safetensors"
    save_file(tensors, path)
    return path


def normalised_convolution(x: torch.Tensor, given: dict[str, torch.Tensor], name: str, stride: int = 1) -> torch.Tensor:
    """The published convolution as it was trained: TensorFlow's padding, then batch normalisation."""
    weight = given[f"{name}.weight"]
    size = weight.shape[-1]
    groups = x.shape[1] // weight.shape[1]
    x = F.pad(x, (0, 1, 0, 1)) if stride == 2 else x
    x = F.conv2d(x, weight, None, stride, size // 2 if stride == 1 else 0, 1, groups)
    stem, _, at = name.rpartition(".")
    gain, shift, mean, spread = (
        given[f"{stem}.{int(at) + 1}.{k}"] for k in ("weight", "bias", "running_mean", "running_var")
    )
    return F.batch_norm(x, mean, spread, gain, shift)


def test_published_weights_give_what_the_published_network_gives(published: Path) -> None:
    from safetensors.torch import load_file

    given = {key: value.float() for key, value in load_file(published).items()}
    blocks = Replaced()
    blocks.load_state_dict({k: v for k, v in published_weights(published).items() if k in blocks.state_dict()})
    pictures = torch.rand(1, 3, 64, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    x = F.relu6(normalised_convolution(pictures, given, "features.0.0", 2))
    x = F.relu6(normalised_convolution(x, given, "features.1.conv.0.0"))
    x = normalised_convolution(x, given, "features.1.conv.1")
    for number, stride in ((2, 2), (3, 1)):
        y = F.relu6(normalised_convolution(x, given, f"features.{number}.conv.0.0"))
        y = F.relu6(normalised_convolution(y, given, f"features.{number}.conv.1.0", stride))
        y = normalised_convolution(y, given, f"features.{number}.conv.2")
        x = y if stride == 2 else x + y
    with torch.no_grad():
        torch.testing.assert_close(blocks(pictures), x, rtol=1e-3, atol=1e-3)
    encoder = Encoder()
    left = encoder.load_state_dict(published_weights(published), strict=False)
    assert all(key.startswith("stem.") for key in left.missing_keys)
    assert all(int(key.split(".")[1]) < REPLACED for key in left.unexpected_keys)


def test_encoder_file_round_trip_and_what_is_wrong_with_another(tmp_path: Path, published: Path) -> None:
    encoder = Encoder()
    save_file({key: value.numpy() for key, value in encoder.state_dict().items()}, tmp_path / "encoder.safetensors")
    for key, value in encoder_weights(tmp_path / "encoder.safetensors").items():
        assert torch.equal(value, encoder.state_dict()[key])
    with pytest.raises(ModelError, match=r"stem\.0\.weight is missing; give what recipes/distil_stem\.py wrote"):
        encoder_weights(published)
    (tmp_path / "text").write_text("no weights")
    with pytest.raises(ModelError, match="cannot be read as safetensors"):
        published_weights(tmp_path / "text")
    save_file({"features.0.0.weight": np.zeros((32, 3, 5, 5), np.float16)}, tmp_path / "other")
    with pytest.raises(ModelError, match=r"features\.0\.0\.weight has the shape \(32, 3, 5, 5\), not \(32, 3, 3, 3\)"):
        published_weights(tmp_path / "other")


def test_shapes_are_known_without_torch() -> None:
    found = {key: tuple(value.shape) for key, value in net().state_dict().items()}
    assert found == mobile_shapes(TINY.widths)
    usual = mobile_shapes(config_of(MOBILE).widths)
    assert 2 * sum(int(np.prod(shape)) for shape in usual.values()) < 12e6  # bytes in half precision
    assert max(TAPS) == BLOCKS - 1


def test_the_first_blocks_stay_and_the_others_learn() -> None:
    fit = Fit(TINY, net(), 1e-2, frozen=7, encoder_rate=0.5)
    before = {key: value.clone() for key, value in fit.net.state_dict().items()}
    fit.step(*to_tensors([sample()], TINY), 1.0)
    assert [group["lr"] for group in fit.optimiser.param_groups] == [1e-2, 5e-3]
    changed = {key for key, value in fit.net.state_dict().items() if not torch.equal(value, before[key])}
    kept = {
        key
        for key in before
        if key.startswith(("encoder.stem.", "encoder.features.4.", "encoder.features.5.", "encoder.features.6."))
    }
    assert kept and not kept & changed
    assert "encoder.features.7.conv.0.0.weight" in changed
    assert "encoder.features.16.conv.2.weight" in changed
    assert {"head.weight", "up.0.0.weight", "context.whole.weight"} <= changed


def test_frozen_altogether_the_encoder_is_the_same_after_a_step() -> None:
    fit = Fit(TINY, net(), 1e-2, frozen=BLOCKS)
    before = {key: value.clone() for key, value in fit.net.state_dict().items()}
    fit.step(*to_tensors([sample()], TINY), 1.0)
    for key, value in fit.net.state_dict().items():
        if key.startswith("encoder."):
            assert torch.equal(value, before[key]), key
    again = Fit(TINY, net(), 1e-2, frozen=BLOCKS)
    again.restore(fit.state())
    assert torch.equal(again.net.head.weight, fit.net.head.weight)


def test_saved_and_loaded_it_gives_the_same_maps(tmp_path: Path) -> None:
    model = Segmenter(TINY, Thresholds(), net(), "tiny")
    photo = np.random.default_rng(0).integers(0, 256, (100, 128, 3), np.uint8)
    model.save(tmp_path / "model", "# card\n")
    again = Segmenter.load(tmp_path / "model")
    assert again.config == TINY
    assert again.fingerprint == model.fingerprint
    mine, theirs = model.maps(photo), again.maps(photo)
    np.testing.assert_allclose(mine.foreground, theirs.foreground, atol=0.01)
    np.testing.assert_allclose(mine.distance, theirs.distance, atol=0.01)
    np.testing.assert_allclose(mine.offset_x, theirs.offset_x, atol=0.3)
    values = json.loads((tmp_path / "model" / CONFIG).read_text())
    values["widths"] = [16, 16, 32]
    (tmp_path / "model" / CONFIG).write_text(json.dumps(values))
    with pytest.raises(ModelError, match="missing, of another shape, or not of this network"):
        Segmenter.load(tmp_path / "model")
    assert (tmp_path / "model" / WEIGHTS).stat().st_size < 12e6


@pytest.mark.skipif(not runtime.available(), reason="OpenVINO is not installed")
def test_compiled_it_gives_what_torch_gives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETAIL_SEG_CACHE", str(tmp_path))
    photo = np.random.default_rng(0).integers(0, 256, (120, 96, 3), np.uint8).repeat(2, 0).repeat(2, 1)
    plain, quick = Segmenter(TINY, Thresholds(), net()), Segmenter(TINY, Thresholds(), net())
    accelerate_segmenter(quick)
    assert quick._network is not plain._network
    for side in (128, 192):
        mine, theirs = plain.maps(photo, side), quick.maps(photo, side)
        np.testing.assert_allclose(mine.foreground, theirs.foreground, atol=0.03)
        np.testing.assert_allclose(mine.distance, theirs.distance, atol=0.03)


def test_what_lies_under_an_ignored_region_changes_neither_loss_nor_gradient() -> None:
    _, targets = to_tensors([sample(ignored=True), sample()], TINY)
    assert targets.shape == (2, 6, 64, 96)
    assert to_tensors([sample()], TINY)[1].shape == (1, 5, 64, 96)
    raw = torch.randn(2, 5, 64, 96, generator=torch.Generator().manual_seed(0), requires_grad=True)
    loss = loss_of(raw, targets)
    (gradient,) = torch.autograd.grad(loss, raw)
    under = torch.from_numpy(sample(ignored=True)[1] == IGNORE)
    assert not gradient[0][:, under].any()
    assert gradient[1][:, under].any()
    other = raw.detach().clone()
    other[0][:, under] = 7.0
    other.requires_grad_()
    changed = loss_of(other, targets)
    assert torch.equal(changed, loss)
    torch.testing.assert_close(torch.autograd.grad(changed, other)[0], gradient)


def test_without_anything_ignored_the_loss_is_the_usual_one() -> None:
    _, targets = to_tensors([sample()], TINY)
    raw = torch.randn(1, 5, 64, 96, generator=torch.Generator().manual_seed(1))
    everything = torch.cat([targets, torch.ones(1, 1, 64, 96)], 1)
    torch.testing.assert_close(loss_of(raw, targets), loss_of(raw, everything))


def test_an_ignored_region_is_no_neighbour() -> None:
    picture, labels = sample()
    labels[30:34, 10:70] = IGNORE  # along the lower edges of both things
    _, targets = to_tensors([(picture, labels)], TINY)
    assert targets[0, 2, 28, 15] == 0
    assert targets[0, 2, 20, 39] == 1
    assert not targets[0, 0, 31, 20]


@pytest.fixture
def scenes(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parents[2] / "recipes"))
    return importlib.import_module("scenes")


def test_samples_of_ready_pictures_keep_labels_with_their_things(tmp_path: Path, scenes: ModuleType) -> None:
    picture, ids = np.full((120, 160, 3), 40, np.uint8), np.zeros((120, 160), np.uint16)
    picture[20:80, 30:70], ids[20:80, 30:70] = 220, 300
    ids[100:, :] = 65535
    cv2.imwrite(str(tmp_path / "one.jpg"), picture)
    cv2.imwrite(str(tmp_path / "one.png"), ids)
    trained, kept = scenes.split_scenes(tmp_path, (96, 64), 160, 20, 40)
    assert len(trained.pictures) == 1
    assert not kept.pictures
    seen = [trained(np.random.default_rng(number)) for number in range(8)]
    for view, labels in seen:
        assert view.shape == (64, 96, 3)
        assert set(np.unique(labels)) <= {IGNORE, 0, 1}
        if 200 < (labels == 1).sum() < 6000 and (labels == 0).sum() > 200:
            assert view[labels == 1].mean() > view[labels == 0].mean() + 30
    assert any((labels == 1).any() for _, labels in seen)
    assert any((labels == IGNORE).any() for _, labels in seen)
    again = trained(np.random.default_rng(0))
    assert np.array_equal(again[1], seen[0][1])


def test_what_is_wrong_with_ready_pictures_is_said(tmp_path: Path, scenes: ModuleType) -> None:
    assert scenes.folder_of(f"{tmp_path}:0.4") == (tmp_path, 0.4)
    for given in (str(tmp_path), f"{tmp_path}:none", f"{tmp_path}:2"):
        with pytest.raises(SystemExit, match="give DIR:SHARE"):
            scenes.folder_of(given)
    with pytest.raises(SystemExit, match=r"holds no NAME\.jpg"):
        scenes.split_scenes(tmp_path, (96, 64), 160, 20, 40)
    cv2.imwrite(str(tmp_path / "one.jpg"), np.zeros((20, 20, 3), np.uint8))
    cv2.imwrite(str(tmp_path / "one.png"), np.zeros((10, 20), np.uint16))
    with pytest.raises(SystemExit, match="give labels of its size"):
        scenes.read_scene(tmp_path / "one.jpg")


def test_ids_are_numbered_anew_and_slivers_ignored(scenes: ModuleType) -> None:
    labels = np.zeros((20, 40), np.int32)
    labels[:, :10], labels[:2, 12:14], labels[:, 30:] = 900, 7, IGNORE
    found = scenes.renumbered(labels)
    assert (found[:, :10] == 1).all()
    assert (found[:2, 12:14] == IGNORE).all()
    assert (found[:, 30:] == IGNORE).all()
    assert not found[5:, 12:30].any()
    assert (scenes.renumbered(np.full((4, 4), IGNORE, np.int32)) == IGNORE).all()
