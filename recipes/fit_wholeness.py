#!/usr/bin/env python3
"""Learn what a whole thing looks like to a segmenter's network, and write that into its folder.

    python recipes/fit_wholeness.py --model MODEL --scenes SHELVES:1 --scenes REAL:2 --data DIR --things 120

A folder of --scenes (see pretrain_segmenter.py) holds NAME.jpg with NAME.png; the number after the colon is what one of
its candidates weighs. With --data, --things scenes are composed as well. The candidates of every picture are scored by
their IoU with what is really there. Wants scikit-learn (`pip install retail-seg[compare]`); some minutes.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from pretrain_segmenter import CANVAS, SIDE, STYLE, load_source
from safetensors.numpy import save_file
from scenes import read_scene, split_scenes
from sklearn.ensemble import HistGradientBoostingRegressor

from retail_seg.segmentation.boxes import IGNORE
from retail_seg.segmentation.instances.candidates import MEASURES
from retail_seg.segmentation.instances.grouping import measured, split
from retail_seg.segmentation.instances.merge_tree import MergeTree
from retail_seg.segmentation.instances.wholeness import Wholeness
from retail_seg.segmentation.segmenter import WHOLENESS, Segmenter
from retail_seg.segmentation.training.synthesis import compose
from retail_seg.store.networks import accelerate_segmenter

#: A candidate that lies in what nobody has judged by more than this teaches nothing.
UNJUDGED = 0.3
#: What one candidate of a composed scene weighs: a shelf has twenty times as many.
THING = 6.0


def main() -> None:
    options = parsed()
    cv2.setNumThreads(1)
    model = Segmenter.load(options.model)
    model.wholeness = None
    accelerate_segmenter(model)
    looks, worth, weights = [], [], []
    for picture, labels, weight in pictures(options):
        seen = candidates_of(model, picture, labels)
        if seen is not None:
            looks.append(seen[0])
            worth.append(seen[1])
            weights.append(np.full(len(seen[0]), weight))
    x, y = np.concatenate(looks), np.concatenate(worth)
    print(f"{len(looks)} pictures, {len(x)} candidates, worth {y.mean():.3f} on average", flush=True)
    trees = HistGradientBoostingRegressor(
        max_iter=options.trees, learning_rate=0.06, max_leaf_nodes=20, l2_regularization=5, min_samples_leaf=40,
        random_state=0,
    ).fit(x, y, np.concatenate(weights))  # fmt: skip
    wholeness = as_arrays(trees)
    assert np.allclose(wholeness(x[:2000]), np.clip(trees.predict(x[:2000]), 0, 1), atol=1e-4)
    save_file(wholeness.arrays(), options.model / WHOLENESS)
    print(f"{options.model / WHOLENESS}: {len(wholeness.roots)} trees, {len(wholeness.feature)} nodes")


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="model folder; gets the file wholeness.safetensors")
    parser.add_argument(
        "--scenes", action="append", default=[], metavar="DIR:WEIGHT", help="ready pictures; several do"
    )
    parser.add_argument("--most", type=int, default=200, help="pictures of a folder at most, evenly drawn")
    parser.add_argument("--data", type=Path, help="what scenes are composed of, see pretrain_segmenter.py")
    parser.add_argument("--cutouts", type=Path, default=Path("cutouts.npz"), help="where its cut-outs are kept")
    parser.add_argument("--things", type=int, default=120, help="scenes composed")
    parser.add_argument("--trees", type=int, default=250)
    return parser.parse_args()


def pictures(options: argparse.Namespace) -> Iterator[tuple[np.ndarray, np.ndarray, float]]:
    """Picture, labels and weight of everything that is looked at."""
    for given in options.scenes:
        folder, _, weight = given.rpartition(":")
        found = split_scenes(Path(folder), CANVAS, SIDE, 10**9, 0)[0].pictures
        for path in found[:: max(len(found) // options.most, 1)]:
            yield *read_scene(path), float(weight)
    if options.data:
        sources = load_source(options.data, options.cutouts, 0)
        rng = np.random.default_rng((7, 1))
        for number in range(options.things):
            yield *compose(sources[number % 3 == 0], STYLE, (SIDE, SIDE * 3 // 4), rng), THING


def candidates_of(model: Segmenter, picture: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """MEASURES and worth of a picture's judged candidates, at the size at which it would be looked at."""
    side = model.looked_at(picture)
    maps, thresholds = model.maps(picture, side), model.thresholds.at(side / model.config.side)
    regions = split(maps, thresholds.foreground)
    if not regions.any():
        return None
    tree, looks = measured(regions, maps, thresholds)
    height, width = regions.shape
    truth = cv2.resize(labels.astype(np.float32), (width, height), interpolation=cv2.INTER_NEAREST).astype(np.int32)
    best, unjudged = against(tree, regions, truth)
    return looks[unjudged < UNJUDGED], worth_of(best)[unjudged < UNJUDGED]


def against(tree: MergeTree, regions: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Every node's IoU (n,) with the thing that it covers best, and the share of it that nobody has judged (n,)."""
    size = (tree.leaves + 1, int(max(truth.max(), 0)) + 1)
    known = truth != IGNORE
    common = np.bincount(regions[known] * size[1] + truth[known], minlength=size[0] * size[1]).reshape(size)
    common = tree.summed(common[1:].astype(float))
    judged, whole = common.sum(1), np.bincount(truth[truth > 0], minlength=size[1])[1:]
    areas = tree.summed(np.bincount(regions.ravel())[1:].astype(float))
    union = judged[:, None] + whole[None] - common[:, 1:]
    return (common[:, 1:] / np.maximum(union, 1)).max(1, initial=0), 1 - judged / areas


def worth_of(iou: np.ndarray) -> np.ndarray:
    """What a candidate of this IoU is worth: half for passing .5 and half for how well it fits, both without steps."""
    return 0.5 * np.clip((iou - 0.4) / 0.2, 0, 1) + 0.5 * np.clip((iou - 0.6) / 0.3, 0, 1)


def as_arrays(trees: HistGradientBoostingRegressor) -> Wholeness:
    """scikit-learn's trees, all nodes end to end."""
    parts = [one[0].nodes for one in trees._predictors]
    starts = np.cumsum([0, *(len(part) for part in parts)])[:-1]
    nodes = np.concatenate(parts)
    shift = np.repeat(starts, [len(part) for part in parts])
    leaf = nodes["is_leaf"].astype(bool)
    assert len(MEASURES) > nodes["feature_idx"].max()
    return Wholeness(
        feature=np.where(leaf, -1, nodes["feature_idx"]).astype(np.int16),
        limit=nodes["num_threshold"].astype(np.float32),
        lower=np.where(leaf, 0, nodes["left"] + shift).astype(np.int32),
        upper=np.where(leaf, 0, nodes["right"] + shift).astype(np.int32),
        value=np.where(leaf, nodes["value"], 0).astype(np.float32),
        roots=starts.astype(np.int32),
        start=float(trees._baseline_prediction.ravel()[0]),
    )


if __name__ == "__main__":
    main()
