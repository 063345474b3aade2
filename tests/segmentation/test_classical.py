from __future__ import annotations

from importlib.util import find_spec

import cv2
import numpy as np
import pytest

from retail_seg.segmentation.classical import METHODS, Method, TunedMethod, tune_method
from retail_seg.segmentation.classical.methods import SIDE, at_working_size
from retail_seg.segmentation.classical.regions import kmeans, watershed_from_markers
from retail_seg.segmentation.classical.steps import (
    Steps,
    closing,
    fill_holes,
    opening,
    parts,
    remove_noise,
    remove_small,
    split_at_waists,
    things_of,
    tidy,
)
from retail_seg.segmentation.classical.thresholds import channel_of, multi_otsu
from retail_seg.segmentation.scores import score


def scene(seed: int = 0, ground: tuple[int, int, int] = (30, 34, 48)) -> tuple[np.ndarray, np.ndarray]:
    """Three coloured discs apart on a plain ground with a little noise: photo and labels of 180 × 240 pixels."""
    rng = np.random.default_rng(seed)
    photo, labels = np.full((180, 240, 3), ground, np.uint8), np.zeros((180, 240), np.int32)
    for value, (x, y) in enumerate(((50, 60), (130, 110), (200, 50)), 1):
        colour = ((230, 120, 60), (220, 210, 90), (200, 90, 140))[value - 1]
        cv2.circle(photo, (x, y), 22 + seed % 3, colour, -1)
        cv2.circle(labels, (x, y), 22 + seed % 3, value, -1)
    return cv2.add(photo, rng.integers(0, 6, photo.shape, np.uint8)), labels


def knobs_of(method: Method) -> dict[str, object]:
    """The method's gentlest settings for a picture as small as the scene."""
    wanted = {
        "channel": "grey",
        "window": 1.5,
        "offset": -8.0,
        "gap": 4,
        "level": 0.4,
        "sigma": 2.0,
        "k": 4,
        "sure": 0.5,
        "apart": 0.1,
        "high": 0.93,
    }
    return {name: wanted.get(name, values[0]) if wanted.get(name) in values else values[0]
            for name, values in method.knobs.items()}  # fmt: skip


@pytest.mark.parametrize("name", [name for name in METHODS if name not in ("sobel-h", "sobel-v", "forest")])
def test_each_finds_three_discs_apart(name: str) -> None:
    photo, labels = scene()
    method = METHODS[name]
    assert method.find is not None
    found = tidy(method.find(photo, **knobs_of(method)), Steps(noise=0))
    result = score([(labels, found)])
    assert result.exact_count == 1 and result.f1_50 == 1 and result.fg_iou > 0.75


@pytest.mark.parametrize("name", ["sobel-h", "sobel-v"])
def test_edges_of_one_direction_find_the_discs_roughly(name: str) -> None:
    photo, labels = scene()
    find = METHODS[name].find
    assert find is not None
    assert score([(labels, tidy(find(photo, level=0.4, gap=8), Steps()))]).fg_iou > 0.8


def test_light_grounds_are_grounds_as_well() -> None:
    photo, labels = scene(ground=(235, 235, 230))
    for name in ("mean", "otsu", "k-means", "histogram"):
        find = METHODS[name].find
        assert find is not None
        knobs = {"channel": "saturation"} if "channel" in METHODS[name].knobs else {"k": 3}
        assert score([(labels, tidy(find(photo, **knobs), Steps()))]).fg_iou > 0.75, name
    assert things_of(np.ones((20, 20), bool)).sum() == 0


def test_watershed_tells_touching_discs_apart_and_a_threshold_does_not() -> None:
    photo, labels = np.full((160, 240, 3), 30, np.uint8), np.zeros((160, 240), np.int32)
    for value, x in ((1, 80), (2, 149)):
        cv2.circle(photo, (x, 80), 35, (230, 160, 40), -1)
        cv2.circle(labels, (x, 80), 35, value, -1)
    flooded = watershed_from_markers(photo, channel="grey", sure=0.7, apart=0.1)
    assert score([(labels, tidy(flooded, Steps()))]).f1_75 == 1
    mask = kmeans(photo, k=2)
    assert tidy(mask, Steps(split=0.0)).max() == 1
    assert score([(labels, tidy(mask, Steps(split=0.2)))]).f1_75 == 1


def test_a_flat_photo_holds_nothing() -> None:
    flat = np.full((60, 80, 3), 128, np.uint8)
    for name, method in METHODS.items():
        if method.find is not None:
            found = tidy(method.find(flat, **{key: values[0] for key, values in method.knobs.items()}), Steps())
            assert found.max() == 0, name
    assert not multi_otsu(flat).any()


def test_steps_do_one_thing_each() -> None:
    mask = np.zeros((60, 60), bool)
    mask[10:30, 10:30] = True
    mask[18:22, 18:22] = False
    mask[45:47, 45:47] = True
    mask[19, 30:40] = True
    assert not opening(mask, 2)[45:47, 45:47].any() and not opening(mask, 2)[19, 32:40].any()
    assert closing(mask, 3)[18:22, 18:22].all()
    assert fill_holes(mask)[18:22, 18:22].all() and not mask[20, 20]
    labels = parts(mask)
    assert labels.max() == 2 and remove_small(labels, 0.01).max() == 1
    touching = np.zeros((40, 40), bool)
    touching[0:20, 5:20] = True
    assert opening(touching, 3)[0:16, 5:20].all()  # what reaches the border goes on behind it
    noisy = np.full((20, 20, 3), 90, np.uint8)
    noisy[10, 10] = 255
    assert (remove_noise(noisy, 1) == 90).all() and remove_noise(noisy, 0)[10, 10, 0] == 255
    assert split_at_waists(np.zeros((20, 20), bool), 0.2).max() == 0
    assert split_at_waists(mask[:40, :28], 0.0).max() == 1


def test_thin_things_survive_the_split() -> None:
    mask = np.zeros((80, 80), bool)
    mask[10, 5:70] = True
    cv2.circle(canvas := np.zeros((80, 80), np.uint8), (40, 50), 15, 1, -1)
    assert split_at_waists(mask | (canvas > 0), 0.2).max() == 2


def test_the_ground_channel_is_dark_where_the_rim_s_colour_is() -> None:
    photo, labels = scene()
    away = channel_of(photo, "ground")
    assert away[labels > 0].mean() > 4 * away[labels == 0].mean()


def test_tuning_finds_the_knob_that_matters_and_the_photos_own_size_comes_back() -> None:
    samples = [scene(seed) for seed in range(3)]
    reports: list[tuple[float, float]] = []

    def find(photo: np.ndarray, level: int = 0) -> np.ndarray:
        return things_of(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY) > level)

    method = Method("level", "A fixed level", find, {"level": (5, 80, 250)})
    tuned = tune_method(method, samples, 20, lambda share, best: reports.append((share, best)))
    assert tuned.knobs == {"level": 80}
    assert reports[-1][1] == max(best for _, best in reports) > 0.9 and all(0 < share <= 1 for share, _ in reports)
    photo, labels = scene(4)
    large = cv2.resize(photo, (720, 540), interpolation=cv2.INTER_CUBIC)
    truth = cv2.resize(labels.astype(np.float32), (720, 540), interpolation=cv2.INTER_NEAREST).astype(np.int32)
    found = tuned.segment(large)
    assert at_working_size(large).shape == (360, SIDE, 3)
    assert found.labels.shape == (540, 720) and score([(truth, found.labels)]).f1_75 == 1


def test_tuning_ends_when_its_time_is_over() -> None:
    calls = []

    def find(photo: np.ndarray, level: int = 0) -> np.ndarray:
        calls.append(level)
        return np.zeros(photo.shape[:2], bool)

    tuned = tune_method(Method("slow", "Slow", find, {"level": tuple(range(10))}), [scene()], 0.0)
    assert len(calls) == 2 and tuned.steps == Steps(split=0.2)


@pytest.mark.skipif(find_spec("sklearn") is None, reason="the extra 'compare' is not installed")
def test_the_forest_learns_what_a_threshold_cannot_see() -> None:
    def striped(seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Grey discs on a ground of black and white stripes: as bright as the ground on average."""
        photo = np.zeros((96, 128, 3), np.uint8)
        photo[:, ::4] = photo[:, 1::4] = 220
        labels = np.zeros((96, 128), np.int32)
        for value, x in ((1, 36), (2, 92)):
            cv2.circle(photo, (x, 48), 20 + seed, (110, 110, 110), -1)
            cv2.circle(labels, (x, 48), 20 + seed, value, -1)
        return photo, labels

    method = METHODS["forest"]
    assert method.learn is not None
    find = method.learn([striped(0), striped(2)])
    photo, labels = striped(1)
    found = TunedMethod(method, find, {"sure": 0.5}, Steps(noise=0, opening=2)).labels(photo)
    assert score([(labels, found)]).fg_iou > 0.75
