"""How good a training will be, and whether more photos would help: cross-validation and the learning curve."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from retail_seg.errors import TrainingError
from retail_seg.photos.load import load_photo
from retail_seg.segmentation.annotations import AnnotatedPhoto
from retail_seg.segmentation.scores import Scores, combine, score_photo
from retail_seg.segmentation.segmenter import Segmenter
from retail_seg.segmentation.training.train import DEFAULT_MINUTES, MIN_PHOTOS, ProgressHook, Recipe, train

#: The scores of which a spread is worth reading.
REPORTED = ("fg_iou", "f1_50", "f1_75", "f1_90", "exact_count")
#: More photos are said to help while the last enlargement gained at least this much F1 at IoU .75.
WORTH = 0.01


#: Called with the number of a fold, or of the photos trained on, and the scores.
Announce = Callable[[int, Scores], None]


@dataclass(frozen=True)
class TrainingSettings:
    """How each training goes about it, as `training.train` takes it: nothing that belongs to one set of photos."""

    minutes: float = DEFAULT_MINUTES
    seed: int = 0
    start: Path | None = None
    from_scratch: bool = False
    steps: int | None = None
    recipe: Recipe | None = None


@dataclass(frozen=True)
class Fold:
    """One training of a cross-validation: which photos it is trained and tested on, by their places among all."""

    number: int
    kept: tuple[int, ...]
    tested: tuple[int, ...]


#: Trains folds of annotated photos elsewhere; gives each that has ended with its scores, in any order.
TrainFolds = Callable[[Sequence[AnnotatedPhoto], TrainingSettings, Sequence[Fold]], Iterable[tuple[Fold, Scores]]]


@dataclass(frozen=True)
class CrossValidation:
    """Scores of each fold, on photos that its model never saw, and their mean and spread (standard deviation)."""

    folds: tuple[Scores, ...]

    def mean(self) -> dict[str, float]:
        return {key: round(float(np.mean([getattr(f, key) for f in self.folds])), 4) for key in REPORTED}

    def spread(self) -> dict[str, float]:
        return {key: round(float(np.std([getattr(f, key) for f in self.folds], ddof=1)), 4) for key in REPORTED}


@dataclass(frozen=True)
class LearningCurve:
    """Scores on the same held-out photos after training on more and more photos."""

    sizes: tuple[int, ...]
    scores: tuple[Scores, ...]
    tested_on: tuple[str, ...]

    @property
    def gain(self) -> float:
        """What the last enlargement added to F1 at IoU .75."""
        return self.scores[-1].f1_75 - self.scores[-2].f1_75 if len(self.scores) > 1 else 0.0

    @property
    def advice(self) -> str:
        """One sentence: whether more photos would help."""
        if len(self.scores) < 2:
            return "One point makes no curve: annotate more photos to learn whether more would help."
        step = f"from {self.sizes[-2]} to {self.sizes[-1]} photos F1 at IoU .75 changed by {self.gain:+.3f}"
        if self.gain >= WORTH:
            return f"More photos would probably help: {step}."
        return f"More photos like these would hardly help: {step}."


def planned_minutes(trainings: int, minutes: float) -> float:
    """The longest that `trainings` trainings of `minutes` each can take, scoring included; say it before you start."""
    return trainings * (minutes + 0.5)


def cross_validate(
    annotated: Sequence[AnnotatedPhoto],
    settings: TrainingSettings,
    *,
    folds: int = 5,
    progress: ProgressHook | None = None,
    announce: Announce | None = None,
    elsewhere: TrainFolds | None = None,
) -> CrossValidation:
    """Trains `folds` times, each time without another part of the photos, and scores on that part.

    `announce` is called with the number of each fold and its scores, as it ends. What trains `elsewhere` tells no
    `progress`. Raises TrainingError where a fold would leave fewer photos than training needs.
    """
    if not 2 <= folds <= len(annotated) or len(annotated) - -(-len(annotated) // folds) < MIN_PHOTOS:
        raise TrainingError(f"{len(annotated)} photos cannot make {folds} folds; annotate more or ask for fewer folds")
    order = np.random.default_rng((settings.seed, 3)).permutation(len(annotated))
    parts = [tuple(sorted(int(i) for i in order[k::folds])) for k in range(folds)]
    every = range(len(annotated))
    wanted = [Fold(k, tuple(i for i in every if i not in part), part) for k, part in enumerate(parts)]

    def here() -> Iterator[tuple[Fold, Scores]]:
        for fold in wanted:
            kept, tested = ([annotated[i] for i in some] for some in (fold.kept, fold.tested))
            yield fold, train_and_score(kept, tested, settings, progress)

    found: dict[int, Scores] = {}
    for fold, scores in elsewhere(annotated, settings, wanted) if elsewhere else here():
        found[fold.number] = scores
        if announce:
            announce(fold.number, scores)
    return CrossValidation(tuple(found[k] for k in range(folds)))


def learning_curve(
    annotated: Sequence[AnnotatedPhoto],
    settings: TrainingSettings,
    *,
    sizes: Sequence[int] = (5, 10, 20),
    progress: ProgressHook | None = None,
    announce: Announce | None = None,
) -> LearningCurve:
    """Trains on the first 5, 10, 20 … of the photos (in an order drawn from the seed) and scores on a fifth left out.

    `announce` is called with the number of photos at each point and its scores. Sizes that the photos do not reach
    become one last point with all that are left. Raises TrainingError where there are fewer than MIN_PHOTOS beside the
    fifth that is left out.
    """
    order = [int(i) for i in np.random.default_rng((settings.seed, 4)).permutation(len(annotated))]
    tested = [annotated[i] for i in order[: max(1, len(order) // 5)]]
    rest = [annotated[i] for i in order[len(tested) :]]
    if len(rest) < MIN_PHOTOS:
        raise TrainingError(f"{len(annotated)} photos make no learning curve; annotate at least {MIN_PHOTOS + 1}")
    usable = tuple(sorted({min(size, len(rest)) for size in sizes if size >= MIN_PHOTOS} or {len(rest)}))
    found = []
    for size in usable:
        found.append(train_and_score(rest[:size], tested, settings, progress))
        if announce:
            announce(size, found[-1])
    return LearningCurve(usable, tuple(found), tuple(a.name for a in tested))


def score_model(folder: Path, tested: Sequence[AnnotatedPhoto]) -> Scores:
    """Scores of the model in `folder` on annotated photos, at their own size; raises ModelError."""
    model = Segmenter.load(folder)
    return combine(score_photo(a.labels, model.segment(load_photo(a.path)).labels, a.boxes) for a in tested)


def train_and_score(
    kept: Sequence[AnnotatedPhoto],
    tested: Sequence[AnnotatedPhoto],
    settings: TrainingSettings,
    progress: ProgressHook | None = None,
) -> Scores:
    """Train a model that is not kept, and score it on other photos; raises TrainingError."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model"
        train(kept, path, **vars(settings), progress=progress)
        return score_model(path, tested)
