"""Time of embedding: VGG-16 compiled beside VGG-16 eager on the same crops, and the embedder that ships."""

from __future__ import annotations

import numpy as np

from index import runtime
from index.errors import IndexingError
from index.runtime import MIN_COSINE, MIN_COSINE_INT8
from retail_seg.bench.benchmark import peers
from retail_seg.bench.benchmark.measure import (
    Reading,
    Section,
    faster,
    in_turns,
    milliseconds,
    multiplies_bfloat16,
    use_all_cores,
)
from retail_seg.bench.benchmark.synthetic import MadePhoto, made_photo
from retail_seg.store.networks import load_embedder

BATCH = 32


def crops_of(photo: MadePhoto) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Crop and mask of every pack of a photo."""
    from retail_seg.segmentation.instances.instances import Instances

    instances = Instances.from_labels(photo.labels)
    cuts = [instances.crop(photo.photo, i) for i in range(len(instances))]
    return [crop for crop, _ in cuts], [mask for _, mask in cuts]


def benchmark_embedding(rounds: int = 5) -> Section:
    """Vectors of 32 crops: compiled and eager VGG-16 of the same weights, and retail-vgg."""
    use_all_cores()
    crops, masks = (found[:BATCH] for found in crops_of(made_photo(BATCH, 4.0)))
    module = peers.vgg16()
    pictures = _squeezed(crops)
    votes = np.ones((BATCH, 1, 224, 224), np.float32)
    works = {"eager": lambda: peers.vgg16_vectors(module, crops)}
    cosines: dict[str, float] = {}
    precision, notes = "", []
    if runtime.available():
        compiled, precision = runtime.compiled_as(
            lambda: module, [pictures, votes], "benchmark vgg16 seed 0", dynamic=[[0], [0]]
        )
        works["compiled"] = lambda: compiled(_squeezed(crops), votes)
        exact = peers.vgg16_vectors(module, crops)
        cosines[precision] = runtime.worst_cosine(exact, compiled(pictures, votes))
        try:
            small = runtime.compiled(
                lambda: module, [pictures, votes], "benchmark vgg16 seed 0", dynamic=[[0], [0]], precision="int8"
            )
            works["int8"] = lambda: small(_squeezed(crops), votes)
            cosines["int8"] = runtime.worst_cosine(exact, small(pictures, votes))
        except IndexingError as error:
            notes.append(f"{error}.")
    shipped = load_embedder()
    works["shipped"] = lambda: shipped.embed(crops, masks)
    taken = in_turns(works, rounds)
    return Section(
        "Embedding, 32 crops of uint8 pixels to vectors, a crop",
        _rows(taken, cosines, precision),
        [*notes, *_notes(taken, precision)],
        {"seconds": taken, "spread": taken.spread, "cosine": cosines, "precision": precision, "crops": BATCH},
    )


def _squeezed(crops: list[np.ndarray]) -> np.ndarray:
    import cv2

    from index.convolutional import IMAGENET_MEAN, IMAGENET_STD

    squeezed = np.stack([cv2.resize(crop, (224, 224), interpolation=cv2.INTER_AREA) for crop in crops])
    pictures = (squeezed.astype(np.float32) / 255 - IMAGENET_MEAN) / IMAGENET_STD
    return np.ascontiguousarray(pictures.transpose(0, 3, 1, 2), np.float32)


def _rows(taken: dict[str, float], cosines: dict[str, float], precision: str) -> list[Reading]:
    rows = []
    if "compiled" in taken:
        goal = 8.0 if multiplies_bfloat16() else 2.5
        rows.append(faster(f"VGG-16 at 224 px, {precision}", taken["compiled"], taken["eager"], goal, per=BATCH))
        if "int8" in taken:
            rows.append(faster("VGG-16 at 224 px, int8 (opt-in)", taken["int8"], taken["eager"], per=BATCH))
        for name, cosine in cosines.items():
            least = MIN_COSINE_INT8 if name == "int8" else MIN_COSINE
            rows.append(Reading(f"cosine of {name} to float32, worst crop", f"{cosine:.5f}", goal=f">= {least}",
                            reached=cosine >= least))  # fmt: skip
    rows.append(faster("retail-vgg beside VGG-16 eager", taken["shipped"], taken["eager"], 40.0, per=BATCH))
    return rows


def _notes(taken: dict[str, float], precision: str) -> list[str]:
    """What the processor allows: no runtime makes a matrix product faster than the processor multiplies."""
    from retail_seg.bench.benchmark.floors import VGG16_GFLOP, matrix_rates

    if not precision:
        return ["OpenVINO is not installed: both run on PyTorch."]
    rates = matrix_rates()
    eager = VGG16_GFLOP * BATCH / taken["eager"]
    least = VGG16_GFLOP * BATCH / rates[precision]
    return [
        f"VGG-16 is {VGG16_GFLOP:.1f} GFLOP a crop. This machine multiplies {rates['f32']:.0f} GFLOP/s in f32 and "
        f"{rates.get('bf16', 0):.0f} in bf16; eager reaches {eager:.0f}.",
        f"At its full {precision} rate it takes {milliseconds(least / BATCH)} a crop: {taken['eager'] / least:.1f} "
        "times eager is the most that this precision can give here.",
    ]
