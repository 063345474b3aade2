"""Time of segmentation: one photo to instances, beside smp.Unet with connected components and Mask R-CNN."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from retail_seg.bench.benchmark import peers
from retail_seg.bench.benchmark.measure import Reading, Section, faster, in_turns, use_all_cores
from retail_seg.bench.benchmark.synthetic import made_photo
from retail_seg.errors import MissingExtraError
from retail_seg.photos.load import find_photos, load_photo
from retail_seg.store.networks import load_segmenter

SIZE = (1280, 960)


def benchmark_segmentation(folder: Path | None = None, rounds: int = 5) -> Section:
    """A rendered photo of 1280 × 960 with 12 packs, or the first own one brought to that size, to instances."""
    use_all_cores()
    made = made_photo(12, 1.2288)
    photo = made.photo if folder is None else _own(folder)
    segmenter = load_segmenter()
    works: dict[str, Callable[[], Any]] = {"ours": lambda: segmenter.segment(photo)}
    notes: list[str] = []
    try:
        unet = peers.smp_segment(peers.smp_unet())
        works["smp"] = lambda: unet(photo)
    except MissingExtraError as error:
        notes.append(f"{error}.")
    rcnn = peers.mask_rcnn()
    works["mask_rcnn"] = lambda: rcnn(photo)
    taken = in_turns(works, rounds)
    found = len(segmenter.segment(photo))
    seen = f"{found} instances found" + (f", {len(made.skus)} packs are there" if folder is None else "")
    notes.append(f"{seen}. The peers' weights are random, so their masks are not compared.")
    if not peers.has_compiled_operators():
        notes.append("torchvision's compiled operators are missing here: Mask R-CNN runs its Python ones, and slower.")
    return Section(
        f"Segmentation of a photo of {SIZE[0]} x {SIZE[1]} to instances",
        _rows(taken),
        notes,
        {"seconds": taken, "spread": taken.spread, "instances": found},
    )


def _own(folder: Path) -> np.ndarray:
    return np.asarray(cv2.resize(load_photo(find_photos(folder)[0]), SIZE, interpolation=cv2.INTER_AREA))


def _rows(taken: dict[str, float]) -> Sequence[Reading]:
    ours = taken["ours"]
    rows = []
    if "smp" in taken:
        rows.append(faster("beside smp.Unet (ResNet-18), components", ours, taken["smp"], 8.0))
    rows.append(faster("beside Mask R-CNN (ResNet-50 FPN)", ours, taken["mask_rcnn"], 15.0))
    rows.append(Reading("photos a second", f"{1 / ours:.1f}", goal=">= 5", reached=1 / ours >= 5))
    return rows
