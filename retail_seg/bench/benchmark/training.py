"""Few-shot training beside smp.Unet given the same time, on the same photos, scored on photos neither has seen."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from retail_seg.bench.benchmark.measure import Reading, Section
from retail_seg.bench.comparison.job import Result
from retail_seg.bench.comparison.runner import job_of, run_all
from retail_seg.photos.load import encode_picture
from retail_seg.rendering.packs import random_design
from retail_seg.rendering.scenes import compose
from retail_seg.segmentation.annotations import AnnotatedPhoto

OURS, PEER = "retail-seg", "smp-unet"
NOTES = (
    "Peer: smp.Unet (ResNet-18) from random weights, the same composed scenes, the same way to instances.",
    "Minutes and work are the processor's time over its threads: the wall's where nothing else runs.",
)


def benchmark_training(
    work: Path, *, minutes: float = 8.0, photos: int = 20, tests: int = 12, steps: int | None = None
) -> Section:
    """Train both for `minutes` each (or `steps`) on rendered scenes in which packs touch."""
    scenes = rendered_scenes(work, photos + tests)
    train, held = scenes[:-tests], scenes[-tests:]
    job = job_of(work / "training", train, [("kept back", held)], minutes=minutes, steps=steps)
    results: dict[str, Result] = {}
    passed: dict[str, float] = {}
    said = []
    for method in (OURS, PEER):
        begun = time.perf_counter()
        compared = run_all(job, [method], lambda *_: None)
        results |= {one.method: one for one in compared.results}
        passed |= {one.method: time.perf_counter() - begun for one in compared.results}
        said += [f"{name}: {sentence}" for name, sentence in compared.left_out.items()]
    length = f"{steps} steps" if steps else f"{minutes:g} minutes"
    scores = {name: one.scores["kept back"] for name, one in results.items()}
    spent = {name: one.train_seconds for name, one in results.items()}
    return Section(
        f"Few-shot training: {len(train)} photos, {length} each, {len(held)} photos kept back",
        _rows(results, passed),
        [*said, *NOTES],
        {"minutes": minutes, "steps": steps, "photos": len(train), "scores": scores, "work": spent, "seconds": passed},
    )


def _rows(results: dict[str, Result], passed: dict[str, float]) -> list[Reading]:
    scores = (("F1 at IoU 0.5", "f1_50"), ("F1 at IoU 0.75", "f1_75"), ("exact count", "exact_count"),
              ("foreground IoU", "fg_iou"))  # fmt: skip
    rows = []
    for name, key in scores:
        ours, peer = (_score(results.get(method), key) for method in (OURS, PEER))
        rows.append(Reading(name, _text(ours), _text(peer)))
    for name, seconds in (
        ("work of the training", {name: one.train_seconds for name, one in results.items()}),
        ("time that passed, with start and test", passed),
    ):
        ours_s, peer_s = (f"{seconds[method]:.0f} s" if method in seconds else "-" for method in (OURS, PEER))
        rows.append(Reading(name, ours_s, peer_s))
    return rows


def _score(result: Result | None, key: str) -> float | None:
    return None if result is None else float(result.scores["kept back"][key])


def _text(score: float | None) -> str:
    return "-" if score is None else f"{score:.3f}"


def rendered_scenes(work: Path, count: int) -> list[AnnotatedPhoto]:
    """Scenes of 1280 × 960 with four to nine packs, half of them touching, written to `work`/scenes."""
    folder = work / "scenes"
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for number in range(count):
        rng = np.random.default_rng([31, number])
        packs = [random_design(np.random.default_rng([32, number, i])) for i in range(int(rng.integers(4, 10)))]
        scene = compose(packs, rng, size=(960, 1280), touching=0.5)
        path = folder / f"scene-{number:02d}.jpg"
        path.write_bytes(encode_picture(scene.photo))
        found.append(AnnotatedPhoto(path.stem, path, scene.labels))
    return found
