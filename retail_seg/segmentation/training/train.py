"""Few annotated photos ► a trained segmenter in a model folder, within a stated number of minutes."""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import nn

from retail_seg.errors import TrainingError
from retail_seg.segmentation.annotations import AnnotatedPhoto
from retail_seg.segmentation.instances.grouping import Thresholds
from retail_seg.segmentation.instances.wholeness import LEAST_WORTH, Wholeness
from retail_seg.segmentation.network.architectures import build
from retail_seg.segmentation.network.config import UNET
from retail_seg.segmentation.samples import at_working_size, resized_sample
from retail_seg.segmentation.segmenter import (
    SHIPPED,
    WEIGHTS,
    Segmenter,
    SegmenterConfig,
    check_model_folder,
)
from retail_seg.segmentation.training.cards import training_card
from retail_seg.segmentation.training.fitting import Fit, Sample, cosine, to_tensors
from retail_seg.segmentation.training.manifest import held_back, labels_hash
from retail_seg.segmentation.training.synthesis import OVERSAMPLING, SceneSource, SceneStyle, compose, joined, source_of
from retail_seg.segmentation.training.tuning import look_at, score_held, tune
from retail_seg.system.interrupts import sigterm_interrupts

MIN_PHOTOS = 3
DEFAULT_MINUTES = 9.5
#: Share of the time after which the held-back photos have done their duty and are trained on as well.
ALL_PHOTOS_FROM = 0.7


@dataclass(frozen=True)
class Recipe:
    """How training goes about it. `canvas` is the size of a training sample (w, h) in working pixels.

    `composed_checks` scenes are looked at in every evaluation, `tuning_scenes` once, to tune and to score on. A model's
    pretrained encoder keeps its first `frozen` blocks; the others learn at `encoder_rate` times the learning rate. All
    of a box is product: leaving its corners, or what GrabCut finds to be shelf, out of the loss measured worse.
    """

    batch: int = 4
    canvas: tuple[int, int] = (448, 448)
    rate_fresh: float = 2e-3
    rate_pretrained: float = 1.5e-3
    evaluations: int = 8
    patience: int = 4
    composed_checks: int = 12
    tuning_scenes: int = 32
    frozen: int = 7
    encoder_rate: float = 0.3
    style: SceneStyle = field(default_factory=SceneStyle)
    config: SegmenterConfig = field(default_factory=SegmenterConfig)


@dataclass(frozen=True)
class TrainingStep:
    """One report of a training under way; `score` is None where nothing was evaluated, seconds are of this training."""

    phase: str
    step: int
    loss: float
    score: float | None
    seconds: float
    share: float


@dataclass(frozen=True)
class TrainingResult:
    """What a training came to; `scores` are of `held_back` photos and scenes composed of them, at working size.

    The scores were taken before the held-back photos were trained on in the last part of the training.
    """

    folder: Path
    scores: dict[str, float]
    scene_scores: dict[str, float]
    thresholds: dict[str, float]
    seconds: float
    steps: int
    photos: tuple[str, ...]
    held_back: tuple[str, ...]
    instances: int
    stopped_early: bool
    start: str
    seed: int

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "folder": str(self.folder)}


ProgressHook = Callable[[TrainingStep], None]


def train(
    annotated: Sequence[AnnotatedPhoto],
    folder: Path,
    *,
    minutes: float = DEFAULT_MINUTES,
    seed: int = 0,
    start: Path | None = None,
    from_scratch: bool = False,
    steps: int | None = None,
    hold_back: bool | Collection[Path] = True,
    recipe: Recipe | None = None,
    progress: ProgressHook | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> TrainingResult:
    """Trains a segmenter on annotated photos and writes it to `folder`; never takes longer than `minutes`.

    Starts from the model in `start` (None: the shipped one; `from_scratch`: none). With `steps` the amount of work is
    fixed and the result is the same for the same `seed` on the same machine; with the clock alone the number of steps
    depends on the machine's load. `hold_back` says whether photos are held back to score and to tune on (a fifth, drawn
    by the seed), or which ones (their paths). An interrupted call (KeyboardInterrupt, SIGTERM) leaves a checkpoint in
    `folder`/training, and the same call goes on from there.

    `clock` tells the seconds that count: the process's own, for instance, in place of the wall's, make trainings on a
    busy machine comparable.

    Raises TrainingError for too few photos or settings out of range, ModelError where `folder` holds other files.
    """
    begun = clock()
    recipe = recipe or Recipe()
    folder = Path(folder)
    _check(annotated, minutes, steps)
    check_model_folder(folder)
    with sigterm_interrupts():
        run = _Run(annotated, folder, recipe, seed, clock, minutes * 60, steps, progress or (lambda _: None))
        run.begun = begun
        run.prepare(start, from_scratch, hold_back)
        run.go()
        return run.finish()


def _check(annotated: Sequence[AnnotatedPhoto], minutes: float, steps: int | None) -> None:
    usable = [a for a in annotated if (a.labels > 0).any()]
    if len(usable) < MIN_PHOTOS:
        raise TrainingError(
            f"{len(usable)} annotated photos with instances: training needs at least {MIN_PHOTOS}; annotate more"
        )
    if not 0.05 <= minutes <= 24 * 60:
        raise TrainingError(f"{minutes} minutes: give between 0.05 and 1440")
    if steps is not None and steps < 1:
        raise TrainingError(f"{steps} steps: give at least 1")


@contextlib.contextmanager
def _opencv_on_one_thread() -> Iterator[None]:
    """Scenes are composed beside the network's own threads; OpenCV's would only be in their way."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


class _Run:
    """One training from its photos to its model folder."""

    def __init__(
        self,
        annotated: Sequence[AnnotatedPhoto],
        folder: Path,
        recipe: Recipe,
        seed: int,
        clock: Callable[[], float],
        seconds: float,
        steps: int | None,
        progress: ProgressHook,
    ) -> None:
        self.annotated = [a for a in annotated if (a.labels > 0).any()]
        self.folder, self.recipe, self.seed, self.progress = folder, recipe, seed, progress
        self.clock, self.begun, self.limit, self.steps = clock, clock(), seconds, steps
        self.config = recipe.config
        self.thresholds = Thresholds()
        self.wholeness: Wholeness | None = None
        self.scores: dict[str, float] = {}
        self.scene_scores: dict[str, float] = {}
        self.history: list[float] = []
        self.evaluation_seconds = 0.0
        self.tuned = self.stopped_early = False
        self.stop_at: float | None = None

    # -- before ----------------------------------------------------------------------------------------------

    def prepare(self, start: Path | None, from_scratch: bool, hold_back: bool | Collection[Path]) -> None:
        torch.manual_seed(self.seed)
        net = self._starting_net(start, from_scratch)
        if self.start == "nothing":
            self.fit = Fit(self.config, net, self.recipe.rate_fresh)
        else:
            frozen, slower = self.recipe.frozen, self.recipe.encoder_rate
            self.fit = Fit(self.config, net, self.recipe.rate_pretrained, frozen=frozen, encoder_rate=slower)
        samples = [at_working_size(a, self.config.side * OVERSAMPLING) for a in self.annotated]
        self.held = self._held_back(hold_back)
        checked = self.held or list(range(len(samples)))
        sources = [source_of(*one) for one in samples]
        self.everything = joined(sources)
        self.source = joined([s for i, s in enumerate(sources) if i not in self.held])
        self.checks = [resized_sample(samples[i], self.config.side) for i in checked]
        self.scenes = self._compose_checks(joined([sources[i] for i in checked]))
        self._resume()

    def _starting_net(self, start: Path | None, from_scratch: bool) -> nn.Module:
        self.start = "nothing"
        shipped = self.config.architecture == UNET and (SHIPPED / WEIGHTS).is_file()
        if from_scratch or (start is None and not shipped):
            return build(self.config)
        model = Segmenter.load(start)
        self.start = f"{model.name} {model.fingerprint}"
        self.config, self.wholeness = model.config, model.wholeness
        if self.wholeness:
            self.thresholds = Thresholds(min_confidence=LEAST_WORTH)
        return model.net

    def _held_back(self, wanted: bool | Collection[Path]) -> list[int]:
        """Indices of the photos held back; TrainingError where too few are left to train on."""
        if isinstance(wanted, bool):
            return held_back(len(self.annotated), self.seed) if wanted else []
        found = [i for i, a in enumerate(self.annotated) if a.path in wanted]
        if len(self.annotated) - len(found) < MIN_PHOTOS:
            raise TrainingError(f"{len(found)} of {len(self.annotated)} photos held back leave fewer than {MIN_PHOTOS}")
        return found

    def _compose_checks(self, source: SceneSource) -> list[Sample]:
        """Scenes of the held-back things, on which separation is checked: the photos may hold nothing that touches."""
        side = self.config.side
        style = replace(
            self.recipe.style, real=0.0, on_photo=0.0, touching=0.5, overlapping=0.5, light=0.3, things=(3, 9)
        )
        rng = np.random.default_rng((self.seed, 1))
        return [compose(source, style, (side * 3 // 4, side), rng) for _ in range(self.recipe.tuning_scenes)]

    # -- during ----------------------------------------------------------------------------------------------

    @property
    def seconds(self) -> float:
        return self.clock() - self.begun

    def share(self) -> float:
        """How much of the training is done, 0..1; the time that the last evaluation will take is set aside."""
        if self.steps is not None:
            done = self.fit.steps / self.steps
        else:
            reserve = min(3.0 + 0.02 * self.limit + 1.5 * self.evaluation_seconds, 0.4 * self.limit)
            done = self.seconds / max(self.limit - reserve, 1e-3)
        if self.stop_at is not None:  # the rest of the schedule in a quarter of the time spent so far
            done = self.stop_at + (done - self.stop_at) * (1 - self.stop_at) / (0.25 * self.stop_at)
        return done

    def go(self) -> None:
        """Steps until the time or the steps are spent; lays down a checkpoint when interrupted."""
        saved = self.seconds
        with ThreadPoolExecutor(1) as ahead, _opencv_on_one_thread():
            try:
                batch = ahead.submit(self._batch, self.fit.steps, self.source)
                while (share := self.share()) < 1:
                    pictures, targets = batch.result()
                    source = self.everything if share > ALL_PHOTOS_FROM else self.source
                    batch = ahead.submit(self._batch, self.fit.steps + 1, source)
                    loss = self.fit.step(pictures, targets, cosine(share))
                    self.progress(TrainingStep("train", self.fit.steps, loss, None, self.seconds, share))
                    self._evaluate_when_due(share, loss)
                    if self.seconds - saved > 60:
                        self._checkpoint()
                        saved = self.seconds
            except KeyboardInterrupt:
                self._checkpoint()
                raise

    def _batch(self, step: int, source: SceneSource) -> tuple[torch.Tensor, torch.Tensor]:
        rngs = (np.random.default_rng((self.seed, step, i)) for i in range(self.recipe.batch))
        samples = [compose(source, self.recipe.style, self.recipe.canvas, rng) for rng in rngs]
        return to_tensors(samples, self.config)

    def _evaluate_when_due(self, share: float, loss: float) -> None:
        due = (len(self.history) + 1) / self.recipe.evaluations
        if share >= ALL_PHOTOS_FROM and not self.tuned:
            self._tune()
        elif share >= due and not self.tuned:
            self._evaluate(loss, share)

    def _evaluate(self, loss: float, share: float) -> None:
        """Scores the averaged weights on the held-back photos and scenes; ends early where nothing has improved."""
        before = self.clock()
        model = self._model()
        photos, scenes = look_at(model, self.checks), look_at(model, self.scenes[: self.recipe.composed_checks])
        value = 0.5 * sum(score_held(seen, self.thresholds, self.wholeness)["f1_75"] for seen in (photos, scenes))
        self.history.append(value)
        self.evaluation_seconds = max(self.evaluation_seconds, self.clock() - before)
        self.progress(TrainingStep("check", self.fit.steps, loss, value, self.seconds, share))
        recent, older = self.history[-self.recipe.patience :], self.history[: -self.recipe.patience]
        if older and share > 0.4 and max(recent) < max(older) + 0.001 and self.stop_at is None:
            self.stop_at, self.stopped_early = share, True

    def _tune(self) -> None:
        """Thresholds and final scores, on held-back photos that the network has not seen so far."""
        before = self.clock()
        model = self._model()
        photos, scenes = look_at(model, self.checks), look_at(model, self.scenes)
        # A fixed amount of work is done to its end, so that its result hangs on no clock.
        seconds = min(60.0, 0.06 * self.limit) if self.steps is None else float("inf")
        self.thresholds = tune([*photos, *scenes], self.thresholds, seconds, self.clock, self.wholeness)
        self.scores = score_held(photos, self.thresholds, self.wholeness) if self.held else {}
        self.scene_scores = score_held(scenes, self.thresholds, self.wholeness)
        self.tuned = True
        self.progress(TrainingStep("tune", self.fit.steps, 0.0, self.scene_scores["f1_75"], self.seconds, self.share()))
        self.evaluation_seconds = max(self.evaluation_seconds, 0.3 * (self.clock() - before))

    def _model(self) -> Segmenter:
        return Segmenter(self.config, self.thresholds, self.fit.average, self.folder.name, self.wholeness)

    # -- interrupted and resumed -----------------------------------------------------------------------------

    @property
    def _checkpoint_path(self) -> Path:
        return self.folder / "training" / "checkpoint.pt"

    def _key(self) -> str:
        """Changes with anything that makes a checkpoint another training's."""
        names = [(a.name, labels_hash(a.labels, a.boxes)) for a in self.annotated]
        key = [names, self.seed, self.start, asdict(self.recipe), self.steps, self.held]
        return hashlib.sha256(json.dumps(key, default=str).encode()).hexdigest()

    def _checkpoint(self) -> None:
        self._checkpoint_path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._checkpoint_path.with_suffix(".new")
        state = {
            "key": self._key(),
            "fit": self.fit.state(),
            "seconds": self.seconds,
            "history": self.history,
            "tuned": self.tuned,
            "thresholds": self.thresholds.to_json(),
            "scores": self.scores,
            "scene_scores": self.scene_scores,
            "stop_at": self.stop_at,
        }
        torch.save(state, fresh)
        fresh.replace(self._checkpoint_path)

    def _resume(self) -> None:
        if not self._checkpoint_path.is_file():
            return
        saved = torch.load(self._checkpoint_path, weights_only=True)
        if saved["key"] != self._key():
            return
        self.fit.restore(saved["fit"])
        self.begun -= min(saved["seconds"], 0.95 * self.limit)
        self.history, self.tuned, self.stop_at = saved["history"], saved["tuned"], saved["stop_at"]
        self.scores, self.scene_scores = saved["scores"], saved["scene_scores"]
        self.thresholds = Thresholds(**saved["thresholds"])
        self.stopped_early = self.stop_at is not None

    # -- after -----------------------------------------------------------------------------------------------

    def finish(self) -> TrainingResult:
        if not self.tuned:
            self._tune()
        result = TrainingResult(
            folder=self.folder,
            scores=self.scores,
            scene_scores=self.scene_scores,
            thresholds=self.thresholds.to_json(),
            seconds=round(self.seconds, 1),
            steps=self.fit.steps,
            photos=tuple(a.name for a in self.annotated),
            held_back=tuple(self.annotated[i].name for i in self.held),
            instances=sum(len(a.ids) for a in self.annotated),
            stopped_early=self.stopped_early,
            start=self.start,
            seed=self.seed,
        )
        self._model().save(self.folder, training_card(result.to_json(), self.config))
        return result
