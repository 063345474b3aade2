"""What the command `train` shows while it works."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from retail_seg.cli.common import say, write_json_line

if TYPE_CHECKING:
    from retail_seg.segmentation.annotations import AnnotatedPhoto
    from retail_seg.segmentation.scores import Scores
    from retail_seg.segmentation.training import Progress

#: Without a terminal, a line of progress comes this often, in seconds.
LINE_EVERY = 30.0
#: Seconds between two lines of --progress-json that hold no score.
RECORD_EVERY = 1.0
#: Trainings of a cross-validation, and photos at the points of a learning curve.
FOLDS = 5
CURVE_SIZES = (5, 10, 20)
#: The scores that people are shown.
SHOWN = ("fg_iou", "f1_50", "f1_75", "exact_count")


class ProgressShow:
    """Shows a training: a bar where a person watches a terminal, else a line now and then; scores always.

    `file`, where one is given, gets a JSON line a second for another program to read, and one for every score.
    """

    def __init__(self, file: TextIO | None = None, part: str = "") -> None:
        from tqdm import tqdm

        self.file, self.part, self.written = file, part, 0.0
        self.bar = tqdm(total=100, unit="%", disable=None, leave=False, bar_format="{l_bar}{bar}| {postfix}")
        self.last = 0.0

    def __call__(self, progress: Progress) -> None:
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

    def _record(self, progress: Progress, share: float) -> None:
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


def run_training(
    annotated: Sequence[AnnotatedPhoto],
    model: Path,
    settings: dict[str, Any],
    *,
    cross_validate: bool,
    curve: bool,
    progress_json: Path | None = None,
) -> None:
    """Train, after the cross-validation and the learning curve where they are wanted, and say what came of it."""
    with ExitStack() as files:
        recorded = files.enter_context(_appended(progress_json)) if progress_json else None
        _run(annotated, model, settings, recorded, cross_validate=cross_validate, curve=curve)


def _run(
    annotated: Sequence[AnnotatedPhoto],
    model: Path,
    settings: dict[str, Any],
    recorded: TextIO | None,
    *,
    cross_validate: bool,
    curve: bool,
) -> None:
    from retail_seg.segmentation.training import DEFAULT_MINUTES, train

    options = _options(settings, DEFAULT_MINUTES)
    extra: dict[str, Any] = {}
    if (cross_validate or curve) and options["from_scratch"]:
        raise click.UsageError("--start none: cannot be cross-validated; leave out --cross-validate and --curve")
    if cross_validate or curve:
        extra = _validate(annotated, options, recorded, cross_validate=cross_validate, curve=curve)
    length = f"{options['steps']} steps" if options["steps"] else f"{options['minutes']:g} minutes at most"
    say(f"Training on {len(annotated)} photos, {length}")
    with _shown(recorded, "training") as show:
        result = train(annotated, model, progress=show, **options)
    early = ", stopped early: it no longer improved" if result.stopped_early else ""
    say(f"{model}: trained in {result.seconds:.0f} s, {result.steps} steps{early}")
    for name, scores in (("held-back photos", result.scores), ("composed scenes", result.scene_scores)):
        if scores:
            shown = ", ".join(f"{key} {scores[key]:.3f}" for key in SHOWN)
            say(f"Scores on {name}: {shown}")
    write_json_line(sys.stdout, result.to_json() | extra)


def _options(settings: dict[str, Any], default_minutes: float) -> dict[str, Any]:
    """Arguments of `train` from what the command was given."""
    start = settings["start"]
    scratch = start is not None and start.lower() == "none"
    return {
        "minutes": settings["minutes"] or default_minutes,
        "seed": settings["seed"],
        "steps": settings["steps"],
        "start": None if start is None or scratch else Path(start),
        "from_scratch": scratch,
    }


def _validate(
    annotated: Sequence[AnnotatedPhoto],
    options: dict[str, Any],
    recorded: TextIO | None,
    *,
    cross_validate: bool,
    curve: bool,
) -> dict[str, Any]:
    """Cross-validation and learning curve; how long they can take is said first."""
    from retail_seg.segmentation import validation

    count = len(annotated)
    folds = min(FOLDS, count)
    sizes = {min(size, count - max(1, count // 5)) for size in CURVE_SIZES}
    trainings = cross_validate * folds + curve * len(sizes)
    limit = validation.planned_minutes(trainings, options["minutes"])
    say(f"{trainings} trainings before the model's own: {limit:.0f} minutes at most")
    shared = {key: options[key] for key in ("minutes", "seed", "start", "steps")}
    found: dict[str, Any] = {}
    with _shown(recorded, f"fold 1 of {folds}" if cross_validate else "learning curve") as show:
        if cross_validate:
            shared["announce"] = lambda k, s: _fold_done(show, k + 1, folds, s)
            result = validation.cross_validate(annotated, folds=folds, progress=show, **shared)
            found["cross_validation"] = {"folds": folds, "mean": result.mean(), "spread": result.spread()}
            for key, mean in result.mean().items():
                say(f"cross-validated {key}: {mean:.3f} ± {result.spread()[key]:.3f}")
        if curve:
            show.part = "learning curve"
            shared["announce"] = lambda n, s: say(_line(f"{n} photos", s))
            line = validation.learning_curve(annotated, sizes=CURVE_SIZES, progress=show, **shared)
            points = [{"trained_on": n} | s.rounded() for n, s in zip(line.sizes, line.scores, strict=True)]
            found["curve"] = {"points": points, "tested_on": line.tested_on, "advice": line.advice}
            say(line.advice)
    return found


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
def _shown(recorded: TextIO | None, part: str) -> Iterator[ProgressShow]:
    show = ProgressShow(recorded, part)
    try:
        yield show
    finally:
        show.close()


def _line(name: str, scores: Scores) -> str:
    values = scores.rounded()
    return f"{name}: " + ", ".join(f"{key} {values[key]:.3f}" for key in SHOWN)
