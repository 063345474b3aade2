"""What a training puts on record, whoever started it: see `record` for where it goes."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retail_seg.segmentation.training.manifest import HELD_BACK, SPLITS, TEST, Manifest, write_manifest

if TYPE_CHECKING:
    import numpy as np

    from retail_seg.runs.record import Record
    from retail_seg.segmentation.annotations import AnnotatedPhoto
    from retail_seg.segmentation.training.train import TrainingResult
    from retail_seg.segmentation.training.validation import TrainingSettings

#: Photos of which a sample is kept, and the longer side of a sample in pixels.
SAMPLES, SAMPLE_SIDE = 4, 900


def data_tags(manifest: Manifest) -> dict[str, str]:
    """By which a run names its data: the manifest's fingerprint and how many photos there are for what."""
    counts = ", ".join(f"{count} {name}" for name, count in manifest.counts().items() if count)
    return {"data": manifest.fingerprint, "photos": counts, "manifest": manifest.name}


def training_parameters(settings: TrainingSettings, **more: Any) -> dict[str, Any]:
    """Every knob of a training by name, those of its recipe too."""
    from retail_seg.segmentation.training.train import Recipe

    given = {key: getattr(settings, key) for key in ("minutes", "seed", "steps")}
    start = "nothing" if settings.from_scratch else str(settings.start or "the shipped model")
    knobs = dict(_flat({"recipe": asdict(settings.recipe or Recipe())}))
    if not settings.from_scratch:  # the network is that of the model it starts from
        knobs = {key: value for key, value in knobs.items() if not key.startswith("recipe.config.")}
    return {**given, "start": start, **more, **knobs}


def keep_training(run: Record, result: TrainingResult, manifest: Manifest, annotated: Sequence[AnnotatedPhoto]) -> None:
    """Put what a training came to on record: scores, thresholds, data, the model's folder and sample overlays.

    `manifest` is the one used, with what was held back; `annotated` the photos of which samples may be taken.
    """
    if run.id is None:
        return
    run.parameters({"started from": result.start, "held back": ", ".join(result.held_back) or "none"})
    run.scores(result.scores, "held-back")
    run.scores(result.scene_scores, "scenes")
    run.scores(result.thresholds, "thresholds")
    run.scores({"seconds": result.seconds, "steps": result.steps, "instances": result.instances})
    run.tags({**data_tags(manifest), "stopped early": "yes" if result.stopped_early else "no"})
    keep_manifest(run, manifest)
    run.model(result.folder)
    for name, picture in sample_overlays(result.folder, manifest, annotated):
        run.picture(name, picture)


def keep_manifest(run: Record, manifest: Manifest) -> None:
    """The manifest as the artifact `manifest.json`, with absolute paths."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "manifest.json"
        write_manifest(manifest, path, relative=False)
        run.artifact(path)


def sample_overlays(
    model_folder: Path, manifest: Manifest, annotated: Sequence[AnnotatedPhoto]
) -> list[tuple[str, np.ndarray]]:
    """Name and picture of some photos with what was annotated on the left, what the model finds on the right.

    Photos for tests come first, then those held back, then those trained on. Pictures are RGB uint8 (h, w, 3).
    """
    from retail_seg.photos.load import load_photo
    from retail_seg.store.networks import load_segmenter

    kinds = {entry.photo: entry.split for entry in manifest.entries}
    order = {TEST: 0, HELD_BACK: 1}
    chosen = sorted(annotated, key=lambda one: order.get(kinds.get(one.path.absolute(), ""), len(SPLITS)))[:SAMPLES]
    model = load_segmenter(model_folder)
    found = []
    for one in chosen:
        photo = load_photo(one.path)
        kind = kinds.get(one.path.absolute(), "train")
        found.append((f"{kind}-{one.name}", side_by_side(photo, one.labels, model.segment(photo).labels)))
    return found


def side_by_side(photo: np.ndarray, true: np.ndarray, found: np.ndarray) -> np.ndarray:
    """The photo (H, W, 3) uint8 twice, outlined by the ids (H, W) of the truth and by those found."""
    import cv2
    import numpy as np

    height, width = photo.shape[:2]
    scale = min(1.0, SAMPLE_SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(photo, size, interpolation=cv2.INTER_AREA)
    halves = []
    for labels in (true, found):
        ids = cv2.resize(labels.astype(np.float32), size, interpolation=cv2.INTER_NEAREST).astype(np.int32)
        halves.append(_outlined(small, ids))
    return np.hstack([halves[0], np.full((size[1], 8, 3), 255, np.uint8), halves[1]])


def _outlined(photo: np.ndarray, labels: np.ndarray) -> np.ndarray:
    import cv2
    import numpy as np

    from retail_seg.photos.draw import PALETTE

    canvas = photo.copy()
    for number, id_ in enumerate(int(i) for i in np.unique(labels) if i > 0):
        contours, _ = cv2.findContours((labels == id_).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(canvas, contours, -1, (255, 255, 255), 4, cv2.LINE_AA)
        cv2.drawContours(canvas, contours, -1, PALETTE[number % len(PALETTE)], 2, cv2.LINE_AA)
    return canvas


def _flat(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Nested settings with dotted names."""
    found: list[tuple[str, Any]] = []
    for key, value in values.items():
        name = f"{prefix}{key}"
        found += _flat(value, f"{name}.") if isinstance(value, Mapping) else [(name, value)]
    return found
