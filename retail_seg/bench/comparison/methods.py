"""Every method of the bench by its name: what it is, and what makes it ready to take photos apart."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from retail_seg.bench.comparison.job import MODEL, ComparisonError, ComparisonJob, Result, keep_progress, read_result
from retail_seg.segmentation.instances.instances import Instances
from retail_seg.segmentation.training.manifest import file_hash
from retail_seg.system.files import whole_file
from retail_seg.system.progress import OnProgress
from retail_seg.system.settings import settings
from retail_seg.system.threads import cores

if TYPE_CHECKING:
    from retail_seg.segmentation.instances.grouping import Thresholds
    from retail_seg.segmentation.segmenter import Segmenter
    from retail_seg.segmentation.training.train import Recipe

CLASSICAL, LEARNED = "classical", "learned"
#: Classical methods are tuned on so many photos and composed scenes at most, for this share of the minutes.
TUNED_ON, SCENES, TUNING_SHARE = 8, 4, 0.35
#: An ensemble averages so many of the trained models, the best on what was held back from their training.
MEMBERS = 3


@dataclass(frozen=True)
class Ready:
    """A method that can work: its function, what was chosen, and what it scored where it was chosen."""

    segment: Callable[[np.ndarray], Instances]
    knobs: int
    settings: dict[str, Any] = field(default_factory=dict)
    validation: float | None = None
    note: str = ""
    parameters: int = 0
    #: Work of a training with that of the processes in which it was interrupted.
    seconds: float = 0.0


#: Makes a method ready: the job, the folder that the method may write to, and who wants to know how far it is.
Prepare = Callable[[ComparisonJob, Path, OnProgress], Ready]
#: Fingerprints of the models that a method begins with; what is learned from the job's photos alone begins with none.
Models = Callable[[ComparisonJob], Sequence[str]]


def _no_models(job: ComparisonJob) -> Sequence[str]:
    return ()


@dataclass(frozen=True)
class BenchMethod:
    """A method of the bench: its title, a sentence for newcomers, and what makes it ready."""

    name: str
    title: str
    text: str
    kind: str
    prepare: Prepare
    models: Models = _no_models

    def key(self, job: ComparisonJob) -> str:
        """What a result of this method must carry to be one of this job, with the models that are there now."""
        return job.key_with(self.models(job))

    def result(self, job: ComparisonJob) -> Result | None:
        """The finished result in the method's folder; None where there is none that still holds."""
        return read_result(job.method_folder(self.name), self.key(job))


def working_seconds() -> float:
    """Seconds of work of this process, of each of its threads' cores: what else the machine does is not counted."""
    return time.process_time() / threads()


def threads() -> int:
    """Threads that a method computes with: OMP_NUM_THREADS where it is set, else a core each."""
    return settings().threads or cores()


def all_methods() -> dict[str, BenchMethod]:
    """Every method by its name, in the order in which they are run and shown where nothing else orders them."""
    return {method.name: method for method in (*_classical_methods(), *_learned_methods())}


# -- classical --------------------------------------------------------------------------------------------------

_CLASSICAL_TEXTS = {
    "mean": "Everything on the other side of the mean brightness than the rim of the photo.",
    "otsu": "The one threshold that parts the histogram into the two most uniform halves.",
    "multi-otsu": "Several such thresholds at once; the class that fills the rim is the ground.",
    "local": "Each pixel against the mean of its surroundings: forgives light that changes across the photo.",
    "histogram": "The ground is the highest hill of the histogram; all else is things.",
    "k-means": "Colours are sorted into k heaps; the heaps of the rim are the ground.",
    "sobel-h": "Edges that run across, closed to outlines and filled.",
    "sobel-v": "Edges that run up and down, closed to outlines and filled.",
    "sobel": "Edges of any direction, closed to outlines and filled.",
    "laplace": "Where brightness bends most, closed to outlines and filled.",
    "canny": "Thin edges, weak ones only where they continue strong ones, closed to outlines and filled.",
    "watershed": "Floods the edges from markers in the middle of things; tells touching things apart by itself.",
    "grabcut": "Two models of colour, for things and ground, and the cheapest cut between them, repeated.",
    "forest": "Many small decision trees vote on each pixel from its colour and texture nearby.",
}


def _classical_methods() -> list[BenchMethod]:
    from retail_seg.segmentation.classical import METHODS

    return [
        BenchMethod(name, one.title, _CLASSICAL_TEXTS[name], CLASSICAL, _tuned(name)) for name, one in METHODS.items()
    ]


def _tuned(name: str) -> Prepare:
    def prepare(job: ComparisonJob, folder: Path, on_progress: OnProgress) -> Ready:
        from retail_seg.segmentation.classical import METHODS, tune_method
        from retail_seg.segmentation.classical.tuning import STEPS

        samples = tuning_samples(job)
        found: list[float] = []

        def tell(share: float, best: float) -> None:
            found.append(best)
            on_progress(share, "tuning")

        tuned = tune_method(METHODS[name], samples, 60 * TUNING_SHARE * job.minutes, tell, working_seconds)
        settings = {**tuned.knobs, **tuned.steps.to_json()}
        return Ready(tuned.segment, len(METHODS[name].knobs) + len(STEPS), settings, max(found, default=None))

    return prepare


def tuning_samples(job: ComparisonJob) -> list[tuple[np.ndarray, np.ndarray]]:
    """Photos of the training set, and scenes composed of them in which things touch, at the classical working size.

    The first method that asks composes them and keeps them for the others.
    """
    from retail_seg.photos.load import load_photo
    from retail_seg.segmentation.classical.methods import at_working_size
    from retail_seg.segmentation.training.targets import shrink_labels

    kept = job.folder / "data" / f"tuning-{job.key}.npz"
    if kept.is_file():
        with np.load(kept) as arrays:
            return [(arrays[f"photo{i}"], arrays[f"labels{i}"]) for i in range(len(arrays.files) // 2)]
    annotated = job.train.read()
    chosen = [annotated[i] for i in spread(len(annotated), TUNED_ON)]
    photos = [(load_photo(one.path), one.labels) for one in chosen]
    samples = []
    for photo, labels in photos:
        small = at_working_size(photo)
        samples.append((small, shrink_labels(labels, small.shape[1], small.shape[0])))
    samples += _scenes(photos, job.seed)
    with whole_file(kept) as path, path.open("wb") as file:
        named: dict[str, Any] = {f"photo{i}": photo for i, (photo, _) in enumerate(samples)}
        named |= {f"labels{i}": labels for i, (_, labels) in enumerate(samples)}
        np.savez_compressed(file, **named)
    return samples


def _scenes(photos: Sequence[tuple[np.ndarray, np.ndarray]], seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Composed scenes of things that touch: what learned methods see in training, classical ones are tuned on, too."""
    import cv2

    from retail_seg.segmentation.classical.methods import SIDE
    from retail_seg.segmentation.segmenter import working_size
    from retail_seg.segmentation.training.synthesis import OVERSAMPLING, SceneStyle, compose, joined, source_of
    from retail_seg.segmentation.training.targets import shrink_labels

    sources = []
    for photo, labels in photos:
        height, width = working_size(photo.shape[0], photo.shape[1], int(SIDE * OVERSAMPLING))
        large = cv2.resize(photo, (width, height), interpolation=cv2.INTER_AREA)
        sources.append(source_of(large, shrink_labels(labels, width, height)))
    style = SceneStyle(real=0.0, on_photo=0.0, touching=0.5, overlapping=0.5, light=0.3, things=(3, 8))
    rng = np.random.default_rng((seed, 6))
    return [compose(joined(sources), style, (SIDE * 3 // 4, SIDE), rng) for _ in range(SCENES)]


def spread(total: int, most: int) -> list[int]:
    """At most `most` indices of 0..total-1, evenly spread."""
    return sorted({int(i) for i in np.linspace(0, total - 1, min(total, most)).round()})


# -- learned ----------------------------------------------------------------------------------------------------


def _learned_methods() -> list[BenchMethod]:
    fresh = "Trained from random weights on the same photos and composed scenes."
    return [
        _learned("retail-seg-shipped", "retail-seg, as shipped",
                 "This package's U-Net as it comes, without one photo of yours.", _shipped, _shipped_model),
        _learned("retail-seg", "retail-seg, trained", "This package's U-Net, fine-tuned: what the command train gives.",
                 _trained("unet", start=True), _shipped_model),
        _learned("retail-seg-scratch", "retail-seg, from nothing", "The same network and training without the shipped "
                 "weights: what knowing many scenes beforehand is worth.", _trained("unet")),
        _learned("unet", "U-Net", f"The classic at full resolution. {fresh}",
                 _trained("unet", widths=(16, 32, 64, 128), block=1)),
        _learned("smp-unet", "U-Net with ResNet-18", f"segmentation_models_pytorch's U-Net. {fresh}",
                 _trained("smp-unet")),
        _learned("fcn", "FCN-8s with ResNet-18", f"Coarse scores at three strides, added up and enlarged. {fresh}",
                 _trained("fcn")),
        _learned("segnet", "SegNet", f"Remembers where its pooling took values from, and skips nothing over. {fresh}",
                 _trained("segnet")),
        _learned("deeplabv3", "DeepLab v3 with ResNet-18", f"Looks wide with atrous convolutions. {fresh}",
                 _trained("deeplabv3")),
        _learned("mask-rcnn", "Mask R-CNN with ResNet-18", f"Finds boxes first, then a mask in each. {fresh}",
                 _trained("mask-rcnn")),
        _learned("ensemble", "Ensemble", f"The mean of the {MEMBERS} trained models above that did best on what was "
                 "held back.", _ensemble, _member_models),
    ]  # fmt: skip


def _learned(name: str, title: str, text: str, prepare: Prepare, models: Models = _no_models) -> BenchMethod:
    return BenchMethod(name, title, text, LEARNED, prepare, models)


def recipe_of(architecture: str, start: bool, **shape: Any) -> Recipe:
    """How a learned method is trained: the fine-tuned one as `retail-seg train` does, the others on smaller samples.

    In the few minutes of a comparison on a processor, more steps on less are worth more than large batches.
    """
    from retail_seg.segmentation.network.config import config_of
    from retail_seg.segmentation.training.train import Recipe

    config = replace(config_of(architecture), **shape)
    if start:
        return Recipe(config=config, evaluations=3)
    return Recipe(config=config, batch=2, canvas=(320, 320), evaluations=1, composed_checks=4, tuning_scenes=4)


def _trained(architecture: str, start: bool = False, **shape: Any) -> Prepare:
    def prepare(job: ComparisonJob, folder: Path, on_progress: OnProgress) -> Ready:
        from retail_seg.segmentation.network.architectures import build
        from retail_seg.segmentation.training.train import TrainingStep, train

        steps = itertools.count()

        def tell(progress: TrainingStep) -> None:
            on_progress(min(progress.share, 1.0), "training")
            keep_progress(folder, progress, begin=next(steps) == 0)

        recipe = recipe_of(architecture, start, **shape)
        build(recipe.config)  # what its library takes to be imported is no part of its minutes
        result = train(
            job.train.read(), folder / MODEL, minutes=job.minutes, seed=job.seed, steps=job.steps,
            from_scratch=not start, recipe=recipe, progress=tell, clock=working_seconds,
        )  # fmt: skip
        known = [scores["f1_75"] for scores in (result.scores, result.scene_scores) if scores]
        settings = {"steps": result.steps, **result.thresholds}
        return replace(_ready(folder / MODEL, 1, settings, float(np.mean(known))), seconds=result.seconds)

    return prepare


def _shipped(job: ComparisonJob, folder: Path, on_progress: OnProgress) -> Ready:
    from retail_seg.segmentation.segmenter import SHIPPED

    return _ready(SHIPPED, 0, {}, None)


def _ready(model: Path, knobs: int, settings: dict[str, Any], validation: float | None, note: str = "") -> Ready:
    """A model folder as a user would run it: compiled where it can be."""
    from retail_seg.store.networks import load_segmenter

    return Ready(load_segmenter(model).segment, knobs, settings, validation, note, weights_in(model))


def weights_in(model: Path) -> int:
    """How many numbers the weights file of a model folder holds."""
    from safetensors import safe_open

    from retail_seg.segmentation.segmenter import WEIGHTS

    with safe_open(str(model / WEIGHTS), "np") as file:
        return int(sum(np.prod(file.get_slice(key).get_shape()) for key in file.keys()))  # noqa: SIM118 - no dictionary


def _shipped_model(job: ComparisonJob) -> list[str]:
    from retail_seg.segmentation.segmenter import SHIPPED, WEIGHTS

    return [file_hash(SHIPPED / WEIGHTS)]


def _member_models(job: ComparisonJob) -> list[str]:
    from retail_seg.segmentation.segmenter import WEIGHTS

    return [file_hash(job.method_folder(name) / MODEL / WEIGHTS) for name in members_of(job)]


def _ensemble(job: ComparisonJob, folder: Path, on_progress: OnProgress) -> Ready:
    from retail_seg.segmentation.ensemble import ensemble_of
    from retail_seg.segmentation.segmenter import Segmenter

    names = members_of(job)
    if len(names) < 2:
        raise ComparisonError(
            f"the ensemble needs two trained models, and {len(names)} of this comparison is there; "
            "add some to --methods, retail-seg and smp-unet for instance"
        )
    models = [Segmenter.load(job.method_folder(name) / MODEL) for name in names]
    model = ensemble_of(models)
    model.thresholds, validation = _tuned_thresholds(model, job, on_progress)
    model.save(folder / MODEL, f"# Ensemble\n\nThe mean of the probabilities of {', '.join(names)}.\n")
    settings = {"members": list(names), **model.thresholds.to_json()}
    return _ready(folder / MODEL, 2, settings, validation, f"Averages {', '.join(names)}.")


def members_of(job: ComparisonJob) -> list[str]:
    """The trained methods whose models an ensemble averages, the best of this comparison on held-back photos first.

    Mask R-CNN is none of them: its maps are drawn from detections and are no probabilities to average.
    """
    from retail_seg.segmentation.segmenter import WEIGHTS

    found = []
    for name, method in all_methods().items():
        able = method.kind == LEARNED and name not in ("ensemble", "mask-rcnn")
        trained = able and (job.method_folder(name) / MODEL / WEIGHTS).is_file()
        result = method.result(job) if trained else None
        if result is not None and result.validation is not None:
            found.append((-result.validation, name))
    return [name for _, name in sorted(found)[:MEMBERS]]


def _tuned_thresholds(model: Segmenter, job: ComparisonJob, on_progress: OnProgress) -> tuple[Thresholds, float]:
    """Thresholds tuned on the classical methods' samples, and F1 at IoU .75 there."""
    import cv2

    from retail_seg.segmentation.segmenter import resized, working_size
    from retail_seg.segmentation.training.tuning import look_at, score_held, tune

    held = []
    samples = tuning_samples(job)
    for done, sample in enumerate(samples, 1):
        picture, labels = sample
        height, width = working_size(labels.shape[0], labels.shape[1], model.config.side)
        large = resized(picture, width, height)
        ids = cv2.resize(labels.astype(np.float32), (width, height), interpolation=cv2.INTER_NEAREST).astype(np.int32)
        held += look_at(model, [(large, ids)])
        on_progress(0.7 * done / len(samples), "tuning")
    best = tune(held, model.thresholds, 60 * TUNING_SHARE * job.minutes, working_seconds, model.wholeness)
    return best, score_held(held, best, model.wholeness)["f1_75"]
