"""vgg16 from a local file with torchvision's key names, and what a wrong file is told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from index.errors import WeightsError
from index.vgg import KEPT, VGG16, VGG16Net, read_convolutions
from index.weights import cache_folder
from retail_seg.segmentation.network.torchvision_ops import import_torchvision

SHARED = Path(__file__).parents[3] / "shared" / "weights" / "vgg19_conv1_1-conv3_4_fp16.safetensors"


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return VGG16Net().state_dict()


@pytest.fixture
def crops() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (40, 60, 3), np.uint8), rng.integers(0, 256, (80, 30, 3), np.uint8)]


def test_pth_and_safetensors_give_one_network(state, crops, tmp_path):
    classifier = {"classifier.0.weight": torch.zeros(2, 2)}
    torch.save({**state, **classifier}, tmp_path / "all.pth")
    save_file({key: value.half().contiguous() for key, value in state.items()}, tmp_path / "conv.safetensors")
    first, second = VGG16.load(tmp_path / "all.pth"), VGG16.load(tmp_path / "conv.safetensors")
    assert first.fingerprint == second.fingerprint
    vectors = first.embed(crops)
    assert vectors.shape == (2, first.dim) == (2, 512)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(vectors, second.embed(crops), atol=1e-6)


def test_the_network_is_torchvisions(state):
    """The same convolutions as torchvision's own model: one forward of both agrees."""
    torchvision = import_torchvision()
    theirs = torchvision.models.vgg.make_layers(torchvision.models.vgg.cfgs["D"]).eval()
    theirs.load_state_dict({key.removeprefix("features."): value for key, value in state.items()})
    ours = VGG16Net().eval()
    ours.load_state_dict(state)
    picture = torch.randn(1, 3, 32, 32)
    with torch.inference_mode():
        torch.testing.assert_close(theirs[:-1](picture), ours.features(picture))


def test_other_weights_fingerprint_otherwise(state, tmp_path):
    torch.save(state, tmp_path / "a.pth")
    torch.save({**state, "features.0.bias": state["features.0.bias"] + 1}, tmp_path / "b.pth")
    assert VGG16.load(tmp_path / "a.pth").fingerprint != VGG16.load(tmp_path / "b.pth").fingerprint


def test_a_network_that_is_another_is_named(state, tmp_path):
    torch.save({key: value for key, value in state.items() if key != "features.28.weight"}, tmp_path / "short.pth")
    with pytest.raises(WeightsError, match=r"short\.pth: is not torchvision's VGG-16 \(features\.28\.weight"):
        VGG16.load(tmp_path / "short.pth")


@pytest.mark.parametrize("content", [b"", b"<html>sign in</html>", b"PK\x03\x04 cut off"])
@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
def test_a_damaged_file_is_one_sentence(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(WeightsError, match=rf"{name}: cannot be read as weights") as caught:
        VGG16.load(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_one_sentence(tmp_path):
    with pytest.raises(WeightsError, match="no such file"):
        VGG16.load(tmp_path / "none.pth")


def test_the_cache_is_used_when_it_holds_the_convolutions(state, tmp_path, monkeypatch):
    monkeypatch.setenv("RETAIL_SEG_CACHE", str(tmp_path))
    cache_folder().mkdir(parents=True)
    save_file({key: value.half().contiguous() for key, value in state.items()}, cache_folder() / KEPT)
    assert VGG16.load().dim == 512


def test_real_vgg_weights_have_these_key_names():
    if not SHARED.is_file():
        pytest.skip(f"{SHARED.name} is not on this machine")
    real = read_convolutions(SHARED)
    ours = VGG16Net().state_dict()
    # VGG19 and VGG16 agree up to the third convolution of the third block.
    common = [key for key in real if int(key.split(".")[1]) <= 14]
    assert len(common) == 14
    assert all(ours[key].shape == real[key].shape for key in common)
