"""The rendered shop: deterministic packs with clean alpha, look-alikes, scenes whose truth is exact."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from retail_seg.rendering.labels import front
from retail_seg.rendering.packs import KINDS, View, random_design, random_view, render, variant
from retail_seg.rendering.scenes import GROUNDS, compose


@pytest.mark.parametrize("kind", KINDS)
def test_a_pack_is_the_same_every_time_and_fills_its_picture(kind: str) -> None:
    design = random_design(np.random.default_rng(3), kind)
    first, second = render(design, 120), render(design, 120)
    assert first.dtype == np.uint8 and first.shape[2] == 4
    assert np.array_equal(first, second)
    assert abs(first.shape[0] - 120) <= 6
    alpha = first[:, :, 3]
    assert alpha[0].any() and alpha[-1].any() and alpha[:, 0].any() and alpha[:, -1].any()
    assert alpha[alpha.shape[0] // 2, alpha.shape[1] // 2] == 255 or design.line == "water"
    assert cv2.connectedComponents((alpha > 127).astype(np.uint8))[0] == 2  # background and one pack


def test_a_label_is_the_same_picture_at_every_resolution() -> None:
    for seed in range(6):
        design = random_design(np.random.default_rng(seed), "carton")
        small = front(design, 120, 180)
        large = cv2.resize(front(design, 480, 720), (120, 180), interpolation=cv2.INTER_AREA)
        assert np.abs(small.astype(float) - large).mean() < 22


def test_a_look_alike_keeps_pack_and_layout_and_changes_its_flavour() -> None:
    rng = np.random.default_rng(5)
    for kind in KINDS:
        design = random_design(rng, kind)
        other = variant(design, rng)
        assert other.flavour != design.flavour
        for field in ("kind", "line", "brand", "name", "weight", "seed", "size"):
            assert getattr(other, field) == getattr(design, field)
        assert other.palette[:4] == design.palette[:4]
        assert other.title != design.title


def test_look_alikes_resemble_each_other_more_than_other_products_do() -> None:
    rng = np.random.default_rng(8)
    nearer = 0
    for _ in range(12):
        design = random_design(rng, "food can")
        look_alike, stranger = variant(design, rng), random_design(rng, "food can")
        label, alike, strange = (front(d, 96, 96).astype(float) for d in (design, look_alike, stranger))
        assert not np.array_equal(label, alike)
        nearer += np.abs(label - alike).mean() < np.abs(label - strange).mean()
    assert nearer >= 11


def test_turning_a_can_moves_its_print_and_a_view_is_drawn_from_the_generator() -> None:
    design = random_design(np.random.default_rng(1), "drink can")
    front_on, turned = render(design, 160, view=View()), render(design, 160, view=View(yaw=40))
    assert front_on.shape == turned.shape
    assert np.abs(front_on[:, :, :3].astype(float) - turned[:, :, :3]).mean() > 5
    drawn = render(design, 160, np.random.default_rng(4))
    assert np.array_equal(drawn, render(design, 160, view=random_view(np.random.default_rng(4))))


def test_hundreds_of_designs_are_all_different() -> None:
    rng = np.random.default_rng(0)
    thumbs = [cv2.resize(render(random_design(rng), 48), (16, 16)).astype(float)[:, :, :3].ravel() for _ in range(150)]
    matrix = np.array(thumbs)
    apart = np.abs(matrix[:, None] - matrix[None]).mean(2) + 1e3 * np.eye(len(matrix))
    assert apart.min() > 4


def test_bad_orders_are_refused_in_words() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="choose one of"):
        random_design(rng, "crate")
    with pytest.raises(ValueError, match="16 pixels"):
        render(random_design(rng), 8)
    with pytest.raises(ValueError, match="one of cloth"):
        compose([random_design(rng)], rng, ground="lawn")
    with pytest.raises(ValueError, match="0 designs"):
        compose([], rng)


@pytest.mark.parametrize("ground", GROUNDS)
def test_a_scene_knows_its_instances(ground: str) -> None:
    rng = np.random.default_rng(11)
    designs = [random_design(rng) for _ in range(4)]
    scene = compose(designs, np.random.default_rng(2), size=(240, 320), ground=ground)
    again = compose(designs, np.random.default_rng(2), size=(240, 320), ground=ground)
    assert np.array_equal(scene.photo, again.photo) and np.array_equal(scene.labels, again.labels)
    assert scene.photo.shape == (240, 320, 3) and scene.photo.dtype == np.uint8
    assert scene.labels.shape == (240, 320) and scene.labels.dtype == np.int32
    assert list(np.unique(scene.labels)) == list(range(len(scene.designs) + 1))
    assert len(scene.designs) >= 3


def test_packs_touch_when_asked_to_and_stay_apart_when_not() -> None:
    rng = np.random.default_rng(7)
    designs = [random_design(rng, kind) for kind in ("food can", "carton", "jar", "pouch")]

    def contacts(touching: float) -> int:
        labels = compose(designs, np.random.default_rng(3), size=(360, 480), ground="cloth", touching=touching).labels
        grown = [cv2.dilate((labels == i).astype(np.uint8), np.ones((5, 5), np.uint8)) for i in range(1, 5)]
        return sum(bool((grown[i] & grown[j]).any()) for i in range(4) for j in range(i))

    assert contacts(0.0) == 0
    assert contacts(1.0) >= 3
