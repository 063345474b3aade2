"""What the command `train` shows while it works."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from retail_seg.cli.common import say, write_json_line

if TYPE_CHECKING:
    from retail_seg.runs.record import Record
    from retail_seg.segmentation.annotations import AnnotatedPhoto
    from retail_seg.segmentation.scores import Scores
    from retail_seg.segmentation.training.train import TrainingStep
    from retail_seg.segmentation.training.training_set import TrainingSet
    from retail_seg.segmentation.training.validation import TrainFolds, TrainingSettings

#: Without a terminal, a line of progress comes this often, in seconds.
LINE_EVERY = 30.0
#: Seconds between two lines of --progress-json that hold no score.
RECORD_EVERY = 1.0
#: Trainings of a cross-validation, and photos at the points of a learning curve.
FOLDS = 5
CURVE_SIZES = (5, 10, 20)
#: The scores that people are shown.
SHOWN = ("fg_iou", "f1_50", "f1_75", "exact_count")

#: Given how many folds a cross-validation has: who trains them, None for this process.
FoldsBy = Callable[[int], AbstractContextManager["TrainFolds | None"]]


def nobody_else(folds: int) -> AbstractContextManager[TrainFolds | None]:
    """The FoldsBy of who trains here."""
    return nullcontext()


class ProgressShow:
    """Shows a training: a bar where a person watches a terminal, else a line now and then; scores always.

    `file`, where one is given, gets a JSON line a second for another program to read, and one for every score.
    """

    def __init__(self, file: TextIO | None = None, part: str = "") -> None:
        from tqdm import tqdm

        self.file, self.part, self.written = file, part, 0.0
        self.bar = tqdm(total=100, unit="%", disable=None, leave=False, bar_format="{l_bar}{bar}| {postfix}")
        self.last = 0.0

    def __call__(self, progress: TrainingStep) -> None:
        share = min(progress.share, 1.0)
        self._record(progress, share)
        if progress.score is not None:
            self._line(f"{share:4.0%}  step {progress.step}  F1 at IoU .75 on what was held back {progress.score:.3f}")
        elif self.bar.disable and time.monotonic() - self.last > LINE_EVERY:
            self._line(f"{share:4.0%}  step {progress.step}  loss {progress.loss:.3f}  {progress.seconds:.0f} s")
        if not self.bar.disable:
            self.bar.n = round(100 * share)
            self.bar.set_postfix_str(f"step {progress.step}, loss {progress.loss:.3f}, {progress.seconds:.0f} s")

    def close(self) -> None:
        """Take the bar away."""
        self.bar.close()

    def _record(self, progress: TrainingStep, share: float) -> None:
        if self.file is None or (progress.score is None and time.monotonic() - self.written < RECORD_EVERY):
            return
        self.written = time.monotonic()
        score = progress.score if progress.score is None else round(progress.score, 4)
        write_json_line(self.file, {
            "part": self.part, "phase": progress.phase, "step": progress.step, "loss": round(progress.loss, 4),
            "score": score, "seconds": round(progress.seconds, 1), "share": round(share, 4),
        })  # fmt: skip

    def _line(self, text: str) -> None:
        self.last = time.monotonic()
        self.bar.clear()
        say(text)


def training_set(
    photos: Path | None, annotations: Path | None, photos_list: Path | None, manifest: Path | None
) -> TrainingSet:
    """The photos that the command was given, in one of its two ways."""
    from retail_seg.segmentation.training.training_set import set_of_manifest, set_of_photos

    if manifest is not None:
        if photos or annotations or photos_list:
            raise click.UsageError("--manifest: takes the place of PHOTOS_DIR, --annotations and --photos-list")
        return set_of_manifest(manifest)
    if photos is None or annotations is None:
        raise click.UsageError("give PHOTOS_DIR and --annotations, or --manifest")
    return set_of_photos(photos, annotations, photos_list)


def run_training(
    data: TrainingSet,
    model: Path,
    given: dict[str, Any],
    *,
    cross_validate: bool,
    curve: bool,
    progress_json: Path | None = None,
    folds_by: FoldsBy = nobody_else,
) -> None:
    """Train, after the cross-validation and the learning curve where they are wanted, and say what came of it.

    All of it is one run on record. `folds_by` says who trains the folds of the cross-validation.
    """
    from retail_seg.runs.record import recorded
    from retail_seg.runs.training import data_tags, training_parameters
    from retail_seg.system.interrupts import sigterm_interrupts

    settings = _settings(given)
    checks = {"cross_validate": cross_validate, "curve": curve}
    parameters = training_parameters(settings, model=str(model), **checks)
    with ExitStack() as stack:
        stack.enter_context(sigterm_interrupts())  # whenever it is ended, the record says so
        lines = stack.enter_context(_appended(progress_json)) if progress_json else None
        run = stack.enter_context(recorded("train", _name(model), parameters, say=say, tags=data_tags(data.manifest)))
        extra = _validate(data.annotated, settings, lines, run, folds_by, **checks) if any(checks.values()) else {}
        found = _train(data, model, settings, lines, run)
        run_id = {"run": run.id} if run.id else {}
    write_json_line(sys.stdout, found | extra | run_id)


def _name(model: Path) -> str:
    """What a training is called on record: its model's folder, or the one around it where that is just "model"."""
    path = model.absolute()
    return path.parent.name or path.name if path.name == "model" else path.name


def _train(
    data: TrainingSet, model: Path, settings: TrainingSettings, lines: TextIO | None, run: Record
) -> dict[str, Any]:
    """The model's own training: its result as JSON, with the scores on the photos for tests where there are some."""
    from retail_seg.runs.training import keep_training
    from retail_seg.segmentation.segmenter import MANIFEST
    from retail_seg.segmentation.training.manifest import write_manifest
    from retail_seg.segmentation.training.train import train

    length = f"{settings.steps} steps" if settings.steps else f"{settings.minutes:g} minutes at most"
    say(f"Training on {len(data.annotated)} photos, {length}")
    with _shown(lines, "training") as show:
        options = {**vars(settings), "hold_back": data.hold_back}
        result = train(data.annotated, model, progress=run.hook(show), **options)
    used = data.manifest.with_held_back(result.held_back)
    write_manifest(used, model / MANIFEST, relative=False)
    early = ", stopped early: it no longer improved" if result.stopped_early else ""
    say(f"{model}: trained in {result.seconds:.0f} s, {result.steps} steps{early}")
    scored = {"held-back photos": result.scores, "composed scenes": result.scene_scores}
    tests = _tested(data, model, run)
    for name, scores in {**scored, "photos for tests": tests}.items():
        if scores:
            say(f"Scores on {name}: " + ", ".join(f"{key} {scores[key]:.3f}" for key in SHOWN))
    keep_training(run, result, used, [*data.tested, *data.annotated])
    return result.to_json() | {"data": used.fingerprint} | ({"test_scores": tests} if tests else {})


def _tested(data: TrainingSet, model: Path, run: Record) -> dict[str, float]:
    from retail_seg.segmentation.training.validation import score_model

    if not data.tested:
        return {}
    scores: dict[str, float] = score_model(model, data.tested).rounded()
    run.scores(scores, "test")
    return scores


def _settings(given: dict[str, Any]) -> TrainingSettings:
    """How to train, from what the command was given."""
    from retail_seg.segmentation.network.config import UNET, config_of
    from retail_seg.segmentation.segmenter import shipped_architecture
    from retail_seg.segmentation.training.train import DEFAULT_MINUTES, Recipe
    from retail_seg.segmentation.training.validation import TrainingSettings

    start, named = given["start"], given.get("architecture")
    other = named or UNET
    scratch = start is not None and start.lower() == "none"
    fresh = named is not None and named != shipped_architecture()
    if fresh and start is not None and not scratch:
        raise click.UsageError(f"--start {start}: a model has its own architecture; leave out --architecture")
    return TrainingSettings(
        minutes=given["minutes"] or DEFAULT_MINUTES, seed=given["seed"], steps=given["steps"],
        start=None if start is None or scratch else Path(start), from_scratch=scratch or fresh,
        recipe=None if other == UNET else Recipe(config=config_of(other)),
    )  # fmt: skip


def _validate(
    annotated: Sequence[AnnotatedPhoto],
    settings: TrainingSettings,
    lines: TextIO | None,
    run: Record,
    folds_by: FoldsBy,
    *,
    cross_validate: bool,
    curve: bool,
) -> dict[str, Any]:
    """Cross-validation and learning curve; how long they can take is said first."""
    from retail_seg.segmentation.training import validation

    count = len(annotated)
    folds = min(FOLDS, count)
    sizes = {min(size, count - max(1, count // 5)) for size in CURVE_SIZES}
    trainings = cross_validate * folds + curve * len(sizes)
    limit = validation.planned_minutes(trainings, settings.minutes)
    say(f"{trainings} trainings before the model's own: {limit:.0f} minutes at most")
    found: dict[str, Any] = {}
    with _shown(lines, f"fold 1 of {folds}" if cross_validate else "learning curve") as show:
        if cross_validate:
            found["cross_validation"] = _cross_validated(annotated, settings, folds, show, run, folds_by)
        if curve:
            show.part = "learning curve"
            found["curve"] = _learning_curve(annotated, settings, show, run)
    return found


def _cross_validated(
    annotated: Sequence[AnnotatedPhoto],
    settings: TrainingSettings,
    folds: int,
    show: ProgressShow,
    run: Record,
    folds_by: FoldsBy,
) -> dict[str, Any]:
    from retail_seg.segmentation.training import validation

    def announce(fold: int, scores: Scores) -> None:
        _fold_done(show, fold + 1, folds, scores)
        run.scores(scores.rounded(), "folds", fold + 1)

    with folds_by(folds) as elsewhere:
        result = validation.cross_validate(
            annotated, settings, folds=folds, progress=show, announce=announce, elsewhere=elsewhere
        )
    mean, spread = result.mean(), result.spread()
    for key, value in mean.items():
        say(f"cross-validated {key}: {value:.3f} ± {spread[key]:.3f}")
    run.scores(mean, "cross-validated")
    run.scores(spread, "cross-validated spread")
    return {"folds": folds, "mean": mean, "spread": spread}


def _learning_curve(
    annotated: Sequence[AnnotatedPhoto], settings: TrainingSettings, show: ProgressShow, run: Record
) -> dict[str, Any]:
    from retail_seg.segmentation.training import validation

    def announce(photos: int, scores: Scores) -> None:
        say(_line(f"{photos} photos", scores))
        run.scores(scores.rounded(), "by photos", photos)

    line = validation.learning_curve(annotated, settings, sizes=CURVE_SIZES, progress=show, announce=announce)
    points = [{"trained_on": n} | s.rounded() for n, s in zip(line.sizes, line.scores, strict=True)]
    say(line.advice)
    return {"points": points, "tested_on": line.tested_on, "advice": line.advice}


def _fold_done(show: ProgressShow, fold: int, folds: int, scores: Scores) -> None:
    say(_line(f"fold {fold}", scores))
    show.part = f"fold {min(fold + 1, folds)} of {folds}"


@contextmanager
def _appended(path: Path) -> Iterator[TextIO]:
    """The file to add lines to: what a resumed training wrote before it was interrupted stays."""
    try:
        file = path.open("a", encoding="utf-8")
    except OSError as error:
        raise click.UsageError(f"{path}: cannot be written ({error.strerror or error}); write elsewhere") from None
    with file:
        yield file


@contextmanager
def _shown(lines: TextIO | None, part: str) -> Iterator[ProgressShow]:
    show = ProgressShow(lines, part)
    try:
        yield show
    finally:
        show.close()


def _line(name: str, scores: Scores) -> str:
    values = scores.rounded()
    return f"{name}: " + ", ".join(f"{key} {values[key]:.3f}" for key in SHOWN)
