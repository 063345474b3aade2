"""Which candidates become instances: the tree of joined regions, what its nodes look like, and the best cut."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from retail_seg.errors import ModelError
from retail_seg.segmentation.instances.candidates import MEASURES, _medians, inside_of
from retail_seg.segmentation.instances.grouping import Maps, Thresholds, candidates, group, measured
from retail_seg.segmentation.instances.merge_tree import grow
from retail_seg.segmentation.instances.wholeness import Wholeness
from retail_seg.segmentation.segmenter import SHIPPED, WHOLENESS, Segmenter
from retail_seg.segmentation.training.targets import target_maps


def row_of_three() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs, evidence and lengths of regions 1-2-3 in a row: 1 and 2 are hardly divided, 2 and 3 clearly."""
    return np.array([[1, 2], [2, 3]]), np.array([0.1, 0.8]), np.array([10.0, 10.0])


def tree_of(value: dict[int, float]) -> Wholeness:
    """Trees that give a candidate a value by how surely it was divided inside (`inner`), up to each limit."""
    limits = sorted(value)
    feature, limit, lower, upper, leaf = [], [], [], [], []
    for i, at in enumerate(limits):
        feature += [MEASURES.index("inner"), -1]
        limit += [at, 0.0]
        lower += [2 * i + 1, 0]
        upper += [2 * i + 2, 0]
        leaf += [0.0, value[at]]
    feature, limit, lower, upper, leaf = [*feature, -1], [*limit, 0], [*lower, 0], [*upper, 0], [*leaf, 0.0]
    return Wholeness(
        np.array(feature, np.int16), np.array(limit, np.float32), np.array(lower, np.int32),
        np.array(upper, np.int32), np.array(leaf, np.float32), np.array([0], np.int32), 0.0,
    )  # fmt: skip


def maps_of_halves(evidence: float) -> Maps:
    """One thing of 40 × 20 pixels in two regions, whose border has this boundary probability."""
    labels = np.zeros((48, 64), np.int32)
    labels[10:30, 8:28], labels[10:30, 28:48] = 1, 2
    foreground, distance, boundary, x, y = target_maps(labels)
    return Maps(foreground, distance, np.minimum(boundary, evidence).astype(np.float32), x, y)


def test_neighbours_join_in_the_order_of_their_evidence() -> None:
    tree = grow(3, *row_of_three())
    assert tree.children.tolist() == [[-1, -1]] * 3 + [[0, 1], [2, 3]]
    assert tree.parents.tolist() == [3, 3, 4, 4, -1]
    assert tree.inner.tolist() == [0, 0, 0, 0.1, 0.8]
    assert tree.next.tolist() == [0.1, 0.1, 0.8, 0.8, 1]
    assert tree.outer.tolist() == [0.1, 0.1, 0.8, 0.8, 1]
    assert tree.contact.tolist() == [10, 20, 10, 10, 0]
    assert tree.summed(np.array([1.0, 2.0, 4.0])).tolist() == [1, 2, 4, 3, 7]


def test_evidence_towards_a_third_is_the_mean_along_the_whole_line() -> None:
    pairs = np.array([[1, 2], [1, 3], [2, 3]])
    tree = grow(3, pairs, np.array([0.1, 0.4, 0.7]), np.array([5.0, 10.0, 20.0]))
    assert tree.next[2] == pytest.approx((0.4 * 10 + 0.7 * 20) / 30)


def test_what_is_surely_divided_or_does_not_touch_is_never_joined() -> None:
    assert len(grow(3, np.array([[1, 2]]), np.array([0.99]), np.array([4.0])).children) == 3
    alone = grow(1, np.zeros((0, 2), np.int64), np.zeros(0), np.zeros(0))
    assert alone.best_cut(np.array([0.2])).tolist() == [0]


@pytest.mark.parametrize(
    ("gain", "chosen"),
    [
        ([0.3, 0.3, 0.3, 0.2, 0.1], [0, 1, 2]),
        ([0.1, 0.1, 0.3, 0.5, 0.1], [2, 3]),
        ([0.1, 0.1, 0.1, 0.1, 0.9], [4]),
        ([-0.1, 0.2, -0.3, 0.1, -0.5], [1]),
        ([-0.1, -0.2, -0.3, -0.1, -0.5], []),
    ],
)
def test_the_best_cut_has_the_highest_sum_and_nothing_twice(gain: list[float], chosen: list[int]) -> None:
    tree = grow(3, *row_of_three())
    assert tree.best_cut(np.array(gain)).tolist() == chosen


def test_the_best_cut_is_the_best_of_all(many: int = 200) -> None:
    rng = np.random.default_rng(0)
    for _ in range(many):
        leaves = int(rng.integers(2, 7))
        pairs = np.array([(a, b) for a in range(1, leaves) for b in range(a + 1, leaves + 1) if rng.random() < 0.7])
        pairs = pairs.reshape(-1, 2)
        tree = grow(leaves, pairs, rng.random(len(pairs)), rng.integers(1, 9, len(pairs)).astype(float))
        gain = rng.normal(size=len(tree.children))

        def best(node: int, tree=tree, gain=gain) -> float:
            apart = sum(best(child) for child in tree.children[node]) if tree.children[node, 0] >= 0 else 0.0
            return max(float(gain[node]), apart)

        roots = np.flatnonzero(tree.parents < 0)
        chosen = tree.best_cut(gain)
        assert gain[chosen].sum() == pytest.approx(sum(best(int(root)) for root in roots))
        owners = tree.owners(chosen)
        assert sorted(set(owners) - {0}) == list(range(1, len(chosen) + 1)) and owners[0] == 0


def test_candidates_are_measured_by_shape_and_not_by_size_in_pixels() -> None:
    looks = []
    for scale in (1, 3):
        maps = Maps(*(np.kron(m, np.ones((scale, scale), np.float32)) for m in vars(maps_of_halves(0.9)).values()))
        maps = replace(maps, offset_x=maps.offset_x * scale, offset_y=maps.offset_y * scale)
        labels = np.zeros(maps.foreground.shape, np.int32)
        labels[10 * scale : 30 * scale, 8 * scale : 28 * scale] = 1
        labels[10 * scale : 30 * scale, 28 * scale : 48 * scale] = 2
        tree, look = measured(labels, maps, Thresholds())
        assert len(look) == 3 and tree.leaves == 2
        looks.append(dict(zip(MEASURES, look.T, strict=True)))
    small, large = looks
    for name in ("rectangular", "box_fill", "spread", "off_centre", "elongation", "against_typical", "tall", "crowd"):
        assert np.allclose(small[name], large[name], atol=0.06), name
    assert small["crowd"] == pytest.approx(np.log1p(2))  # by thresholds they are two
    assert small["rectangular"][2] == pytest.approx(1, abs=0.01)  # both halves together are a rectangle
    assert small["spread"][2] > 3 * small["spread"][0]  # and point to two centres
    assert small["largest_part"].tolist() == [1, 1, 0.5]
    assert small["against_typical"][2] == pytest.approx(np.log(2), abs=0.01)


def test_the_worth_of_candidates_decides_and_is_the_confidence() -> None:
    pieces, whole = tree_of({0.05: 0.9, 0.97: 0.6}), tree_of({0.05: 0.5, 0.97: 0.95})
    for wholeness, count, sure in ((pieces, 2, 0.9), (whole, 1, 0.95)):
        labels, confidence = group(maps_of_halves(0.9), Thresholds(min_confidence=0.4), wholeness)
        assert labels.max() == count
        assert confidence == pytest.approx([sure] * count)
    assert group(maps_of_halves(0.9), Thresholds(min_confidence=0.96), whole)[0].max() == 0


def test_what_lies_across_a_thing_leaves_it_whole_as_a_candidate() -> None:
    labels = np.zeros((60, 60), np.int32)
    labels[10:50, 10:50] = 1
    foreground, distance, boundary, x, y = target_maps(labels)
    foreground[28:33] = 0
    maps = Maps(foreground, distance, boundary * 0, x, y)
    tree, look = measured((np.arange(60)[:, None] > 30) * labels + labels * (foreground > 0), maps, Thresholds())
    assert look[:, MEASURES.index("crowd")] == pytest.approx(np.log1p(1))  # by thresholds it is one
    assert len(tree.children) == 3


def test_trees_walk_to_the_sum_of_their_leaves(tmp_path: Path) -> None:
    trees = tree_of({0.2: 0.25, 0.5: 0.75})
    look = np.zeros((3, len(MEASURES)), np.float32)
    look[:, MEASURES.index("inner")] = 0.1, 0.4, 0.9
    assert trees(look).tolist() == [0.25, 0.75, 0.0]
    save_file(trees.arrays(), tmp_path / "trees.safetensors")
    assert Wholeness.load(tmp_path / "trees.safetensors")(look).tolist() == [0.25, 0.75, 0.0]
    assert trees(np.zeros((0, len(MEASURES)), np.float32)).shape == (0,)


def test_a_model_keeps_its_wholeness_and_says_so_in_its_fingerprint(tmp_path: Path) -> None:
    model = Segmenter.load()
    assert model.wholeness is not None
    model.save(tmp_path / "copy", "# card\n")
    copy = Segmenter.load(tmp_path / "copy")
    assert copy.fingerprint == model.fingerprint
    copy.wholeness, copy._fingerprint = None, ""
    assert copy.fingerprint != model.fingerprint


@pytest.mark.parametrize("damage", ["an array less", "a circle", "noise"])
def test_damaged_trees_are_one_sentence(tmp_path: Path, damage: str) -> None:
    shutil.copytree(SHIPPED, tmp_path / "model")
    path = tmp_path / "model" / WHOLENESS
    arrays = load_file(path)
    if damage == "noise":
        path.write_bytes(b"noise")
    elif damage == "a circle":
        save_file({**arrays, "lower": np.zeros_like(arrays["lower"])}, path)
    else:
        save_file({name: array for name, array in arrays.items() if name != "limit"}, path)
    with pytest.raises(ModelError, match="cannot be read as a model"):
        Segmenter.load(tmp_path / "model")


def test_regions_without_wholeness_go_by_thresholds() -> None:
    maps = maps_of_halves(0.9)
    assert group(maps, Thresholds())[0].max() == 2
    regions = (maps.foreground > 0.5).astype(np.int32)
    some = candidates(regions, maps, Thresholds(), tree_of({1.0: 0.7}))
    assert json.loads(json.dumps(some.choose(0.4)[1].tolist())) == [pytest.approx(0.7)]


def test_sums_over_regions_are_those_of_their_pixels() -> None:
    rng = np.random.default_rng(5)
    coarse = rng.permutation(np.arange(48)).reshape(6, 8).astype(np.int32)  # 0 is the ground
    regions = np.kron(coarse, np.ones((9, 7), np.int32))
    regions[20:23] = 0
    foreground, distance, offset_x, offset_y = rng.random((4, *regions.shape), np.float32)
    found = inside_of(regions, foreground, distance, offset_x, offset_y)
    y, x = np.indices(regions.shape).astype(float)
    to_x, to_y = x + offset_x, y + offset_y
    pixels = (x, y, x * x, y * y, x * y, foreground, distance, to_x, to_y, to_x * to_x + to_y * to_y)
    for region in range(1, 48):
        here = regions == region
        assert found.areas[region - 1] == here.sum()
        assert found.sums[region - 1] == pytest.approx([float(values[here].sum()) for values in pixels], rel=1e-5)
        assert found.deepest[region - 1] == distance[here].max()
        weight = distance[here] + 0.01
        assert found.weights[region - 1] == pytest.approx(weight.sum(), rel=1e-5)
        sums = [(to_x[here] * weight).sum(), (to_y[here] * weight).sum()]
        assert found.centres[region - 1] == pytest.approx(sums, rel=1e-5)


def test_nothing_has_no_sums() -> None:
    empty = np.zeros((5, 6), np.float32)
    assert inside_of(np.zeros((5, 6), np.int32), empty, empty, empty, empty).sums.shape == (0, 10)


def test_medians_are_those_of_numpy() -> None:
    rng = np.random.default_rng(2)
    values, chosen = rng.integers(0, 9, (30, 2)).astype(float), rng.random((40, 30)) < 0.3
    chosen[:, 4] |= ~chosen.any(1)
    np.testing.assert_array_equal(_medians(chosen, values), [np.median(values[row], axis=0) for row in chosen])
