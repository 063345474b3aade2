"""Photos of two bright discs on a dark ground: what small segmenters are trained on in the tests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from unittest import mock

import cv2
import numpy as np
import torch

from retail_seg.segmentation.annotations import AnnotatedPhoto
from retail_seg.segmentation.network import torch_network
from retail_seg.segmentation.segmenter import SegmenterConfig
from retail_seg.segmentation.training import fitting
from retail_seg.segmentation.training.synthesis import SceneStyle
from retail_seg.segmentation.training.train import Recipe, train

#: How a small network is trained on such photos in a second.
TINY = Recipe(
    batch=2, canvas=(64, 64), evaluations=3, composed_checks=2, tuning_scenes=2, style=SceneStyle(things=(1, 3)),
    config=SegmenterConfig(widths=(8, 16, 16), block=2, side=64), rate_fresh=1e-2,
)  # fmt: skip


def train_alike(annotated: Sequence[AnnotatedPhoto], folder: Path, *, recipe: Recipe = TINY, steps: int = 200) -> Path:
    """A small model in `folder` whose results can be asserted: they depend on no load and hardly on the processor.

    In float32 and on one thread, whose order of summation is always the same. After 60 steps a model stands where the
    last bits of a sum decide whether it finds anything; after 200 it found the discs at an IoU of 0.9 and more for
    every seed, with bfloat16 and without, on one thread and on two, with AMX and with ONEDNN_MAX_CPU_ISA=AVX2.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with (
            mock.patch.object(fitting, "fast_bfloat16", return_value=False),
            mock.patch.object(torch_network, "fast_bfloat16", return_value=False),
        ):
            train(annotated, folder, steps=steps, from_scratch=True, recipe=recipe)
    finally:
        torch.set_num_threads(threads)
    return folder


def two_discs(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A photo (96, 128, 3) uint8 and its ids (96, 128) uint8."""
    picture = np.full((96, 128, 3), 40, np.uint8) + rng.integers(0, 10, (96, 128, 3), np.uint8)
    labels = np.zeros((96, 128), np.uint8)
    for value, x in ((1, 32), (2, 92)):
        centre, radius = (x + int(rng.integers(-6, 7)), 48), int(rng.integers(14, 22))
        cv2.circle(picture, centre, radius, tuple(int(c) for c in rng.integers(120, 255, 3)), -1)
        cv2.circle(labels, centre, radius, value, -1)
    return picture, labels


def annotated_discs(folder: Path, count: int) -> list[AnnotatedPhoto]:
    """Photos in `folder` with their labels."""
    rng = np.random.default_rng(0)
    found = []
    for i in range(count):
        picture, labels = two_discs(rng)
        path = folder / f"photo{i}.png"
        cv2.imwrite(str(path), picture)
        found.append(AnnotatedPhoto(path.stem, path, labels.astype(np.int32)))
    return found


def write_discs(folder: Path, count: int, *, seed: int = 0, prefix: str = "p") -> tuple[Path, Path]:
    """Photos in `folder`/photos and their ids in `folder`/masks, p0.png and so on; returns both folders."""
    rng = np.random.default_rng(seed)
    photos, masks = folder / "photos", folder / "masks"
    for path in (photos, masks):
        path.mkdir(parents=True)
    for i in range(count):
        picture, labels = two_discs(rng)
        cv2.imwrite(str(photos / f"{prefix}{i}.png"), picture)
        cv2.imwrite(str(masks / f"{prefix}{i}.png"), labels)
    return photos, masks
