"""Embedders: checks and batches of the base class, the shipped retail-vgg, its folder, masks and colours."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from index.colour import LENGTH, colour_histogram
from index.embedder import Embedder, unit_rows
from index.errors import EmbedderError, WeightsError
from index.opening import open_embedder
from index.retail_vgg import SHIPPED, RetailVGG, save_model
from index.torch_modules import RetailVGGNet, gem


class Corner(Embedder):
    """Written by hand: the vector of a crop is its top left pixel."""

    name, dim, fingerprint, batch_size = "corner", 3, "0" * 16, 2

    def __init__(self) -> None:
        self.batches: list[int] = []

    def _embed_batch(self, crops: list[np.ndarray], masks: list[np.ndarray | None]) -> np.ndarray:
        self.batches.append(len(crops))
        return np.array([crop[0, 0] for crop in crops], np.float32)


def pack(colour: tuple[int, int, int], seed: int = 0, size: tuple[int, int] = (120, 90)) -> np.ndarray:
    """A plain pack: a field of one colour with a pale label and some bars on it."""
    rng = np.random.default_rng(seed)
    picture = np.full((*size, 3), colour, np.uint8)
    h, w = size
    cv2.rectangle(picture, (w // 6, h // 4), (w * 5 // 6, h // 2), (240, 235, 220), -1)
    for _ in range(6):
        x, y = int(rng.integers(0, w - 12)), int(rng.integers(h // 2, h - 8))
        cv2.rectangle(picture, (x, y), (x + 10, y + 4), tuple(int(v) for v in rng.integers(0, 256, 3)), -1)
    return picture


@pytest.fixture(scope="module")
def shipped() -> RetailVGG:
    return RetailVGG.load()


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    layers = [["conv", 8, 3, 2, 1], ["pool"], ["conv", 4, 1, 1, 0], ["conv", 12, 3, 1, 1]]
    blocks = [[6, 1.0], [4, 0.5]]
    config = {"size": 32, "layers": layers, "taps": [1, 3], "blocks": blocks, "colour_weight": 0.5}
    colours = np.eye(LENGTH, 16, dtype=np.float32)
    save_model(tmp_path / "tiny", RetailVGGNet(layers, [1, 3], blocks), colours, config)
    return tmp_path / "tiny"


def test_batches_keep_the_order_and_give_unit_vectors() -> None:
    embedder = Corner()
    crops = [np.full((5 + i, 4, 3), [i + 1, 0, 2], np.uint8) for i in range(5)]
    vectors = embedder.embed(crops)
    assert embedder.batches == [2, 2, 1]
    np.testing.assert_allclose(vectors, unit_rows(np.array([[i + 1, 0, 2] for i in range(5)], np.float32)))
    assert vectors.dtype == np.float32


def test_no_crops_give_no_vectors() -> None:
    assert Corner().embed([]).shape == (0, 3)


def test_progress_is_told_of_every_batch() -> None:
    seen = []

    def progress(batches):
        for batch in batches:
            seen.append(batch)
            yield batch

    Corner().embed([np.ones((4, 4, 3), np.uint8)] * 5, progress=progress)
    assert seen == [0, 2, 4]


@pytest.mark.parametrize(
    ("crop", "sentence"),
    [
        (np.zeros((8, 8), np.uint8), "crop 0 is uint8"),
        (np.zeros((8, 8, 4), np.uint8), "crop 0 is uint8"),
        (np.zeros((8, 8, 3), np.float32), "crop 0 is float32"),
        (np.zeros((8, 3, 3), np.uint8), "3 × 8 pixels"),
        ("a.jpg", "crop 0 is str"),
    ],
)
def test_what_cannot_be_embedded_is_named(crop, sentence: str) -> None:
    with pytest.raises(EmbedderError, match=sentence):
        Corner().embed([crop])


def test_masks_must_fit_their_crops() -> None:
    crop = np.zeros((8, 9, 3), np.uint8)
    with pytest.raises(EmbedderError, match="mask 0 is"):
        Corner().embed([crop], [np.ones((9, 8), bool)])
    with pytest.raises(EmbedderError, match="1 crops were given with 2 masks"):
        Corner().embed([crop], [None, None])


def test_a_network_that_gives_nan_is_refused(tiny: Path) -> None:
    embedder = RetailVGG.load(tiny)
    embedder.network = lambda pictures, votes: np.full((len(pictures), 10), np.nan, np.float32)
    with pytest.raises(EmbedderError, match="not finite"):
        embedder.embed([pack((200, 0, 0))])


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(EmbedderError, match=r"'resnet'.*retail-vgg, vgg16"):
        open_embedder("resnet")


def test_the_shipped_embedder_opens_by_name_and_fits_the_repository(shipped: RetailVGG) -> None:
    embedder = open_embedder()
    assert embedder.name == "retail-vgg"
    assert embedder.fingerprint == shipped.fingerprint
    assert embedder.dim <= 512
    assert (SHIPPED / "weights.safetensors").stat().st_size <= 20_000_000
    assert "Licence" in (SHIPPED / "README.md").read_text()


def test_a_vector_does_not_depend_on_its_batch(shipped: RetailVGG) -> None:
    crops = [pack((200, 30, 30)), pack((20, 90, 200), 1, (60, 200)), pack((10, 160, 60), 2, (33, 21))]
    together = shipped.embed(crops)
    alone = np.concatenate([shipped.embed([crop]) for crop in crops])
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_one_pack_under_other_light_stays_nearer_than_another_flavour(shipped: RetailVGG) -> None:
    first, flavour = pack((190, 40, 40), 1), pack((60, 160, 60), 1)
    tilt = cv2.getRotationMatrix2D((45, 60), 6, 1.0)
    turned = cv2.warpAffine(first, tilt, (90, 120), borderMode=cv2.BORDER_REPLICATE)
    darker = cv2.GaussianBlur((turned * 0.8).astype(np.uint8), (3, 3), 0)
    query, same, other = shipped.embed([darker, first, flavour])
    assert query @ same > query @ other


def test_background_outside_the_mask_does_not_vote(shipped: RetailVGG) -> None:
    product, mask = pack((190, 40, 40)), np.zeros((160, 150), bool)
    mask[20:140, 30:120] = True
    scenes = []
    for shade in (10, 245):
        scene = np.full((160, 150, 3), shade, np.uint8)
        scene[20:140, 30:120] = product
        scenes.append(scene)
    with_mask, without = shipped.embed(scenes, [mask, mask]), shipped.embed(scenes)
    assert with_mask[0] @ with_mask[1] > 0.95
    assert with_mask[0] @ with_mask[1] > without[0] @ without[1]


def test_empty_and_full_masks_mean_the_whole_crop(shipped: RetailVGG) -> None:
    crop = pack((190, 40, 40))
    plain = shipped.embed([crop])
    for mask in (np.zeros(crop.shape[:2], bool), np.ones(crop.shape[:2], bool)):
        np.testing.assert_array_equal(shipped.embed([crop], [mask]), plain)


def test_a_folder_opens_again_to_the_same_vectors(tiny: Path) -> None:
    crops = [pack((200, 30, 30)), pack((20, 90, 200), 1)]
    first, second = RetailVGG.load(tiny), open_embedder("retail-vgg", tiny)
    assert first.dim == 26
    assert first.fingerprint == second.fingerprint
    np.testing.assert_array_equal(first.embed(crops), second.embed(crops))
    config = json.loads((tiny / "config.json").read_text())
    (tiny / "config.json").write_text(json.dumps({**config, "colour_weight": 0.25}))
    assert RetailVGG.load(tiny).fingerprint != first.fingerprint


def test_the_network_is_one_replaceable_callable(tiny: Path) -> None:
    embedder = RetailVGG.load(tiny)
    crops = [pack((200, 30, 30)), pack((20, 90, 200), 1)]
    expected, inner, seen = embedder.embed(crops), embedder.network, []

    def replaced(pictures: np.ndarray, votes: np.ndarray) -> np.ndarray:
        seen.append((pictures.shape, votes.shape, pictures.dtype))
        return inner(pictures, votes)

    embedder.network = replaced
    np.testing.assert_array_equal(embedder.embed(crops), expected)
    assert seen == [((2, 3, 32, 32), (2, 1, 32, 32), np.float32)]


@pytest.mark.parametrize("damage", ["weights", "config", "missing", "other"])
def test_a_damaged_folder_is_one_sentence(tiny: Path, tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "damaged"
    shutil.copytree(tiny, folder)
    if damage == "weights":
        (folder / "weights.safetensors").write_bytes(b"cut off")
    elif damage == "config":
        (folder / "config.json").write_text("{")
    elif damage == "missing":
        (folder / "config.json").unlink()
    else:
        shutil.copy(SHIPPED / "weights.safetensors", folder)
    with pytest.raises(WeightsError, match="damaged") as caught:
        RetailVGG.load(folder)
    assert "\n" not in str(caught.value)


def test_votes_decide_what_is_pooled() -> None:
    maps = torch.zeros(1, 1, 2, 2)
    maps[0, 0, :, 0], maps[0, 0, :, 1] = 3.0, 4.0
    left = torch.zeros(1, 1, 4, 4)
    left[..., :2] = 1
    assert gem(maps, left).item() == pytest.approx(3.0, abs=1e-3)
    assert gem(maps, torch.ones(1, 1, 4, 4)).item() == pytest.approx(np.sqrt(12.5), abs=1e-3)
    assert gem(maps, torch.ones(1, 1, 4, 4), 1.0).item() == pytest.approx(3.5, abs=1e-3)


def test_colours_are_a_unit_histogram_that_reads_the_mask() -> None:
    crop = np.zeros((40, 40, 3), np.uint8)
    crop[:, :20], crop[:, 20:] = (200, 30, 30), (30, 30, 200)
    left = np.zeros((40, 40), bool)
    left[:, :20] = True
    red, blue = np.full((40, 40, 3), (200, 30, 30), np.uint8), np.full((40, 40, 3), (30, 30, 200), np.uint8)
    masked = colour_histogram(crop, left)
    assert masked.shape == (LENGTH,)
    assert np.linalg.norm(masked) == pytest.approx(1, abs=1e-5)
    assert masked @ colour_histogram(red) > 0.95
    assert masked @ colour_histogram(blue) < 0.2
