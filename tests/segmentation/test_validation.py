"""Cross-validation and the learning curve, with a small network that trains in seconds."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import pytest
from discs import TINY, annotated_discs

from retail_seg.errors import TrainingError
from retail_seg.segmentation.annotations import AnnotatedPhoto
from retail_seg.segmentation.scores import Scores
from retail_seg.segmentation.training.validation import (
    LearningCurve,
    TrainingSettings,
    cross_validate,
    learning_curve,
    planned_minutes,
    score_model,
)


@pytest.fixture(scope="module")
def annotated(tmp_path_factory: pytest.TempPathFactory) -> list[AnnotatedPhoto]:
    """Eight photos of two bright discs on a dark ground, with their labels."""
    return annotated_discs(tmp_path_factory.mktemp("photos"), 8)


@pytest.fixture(scope="module")
def start(disc_model: Path) -> Path:
    """A model of discs like these: what trainings go on from."""
    return disc_model


def test_cross_validation(annotated: list[AnnotatedPhoto], start: Path) -> None:
    announced: list[int] = []
    settings = TrainingSettings(minutes=1, steps=2, start=start, recipe=TINY)
    crossed = cross_validate(annotated, settings, folds=2, announce=lambda k, _: announced.append(k))
    assert announced == [0, 1] and [f.photos for f in crossed.folds] == [4, 4]
    assert crossed.mean()["fg_iou"] > 0.4 and crossed.spread()["fg_iou"] >= 0


def test_learning_curve(annotated: list[AnnotatedPhoto], start: Path) -> None:
    settings = TrainingSettings(minutes=1, steps=2, start=start, recipe=TINY)
    curve = learning_curve(annotated, settings, sizes=(3, 5, 20))
    assert curve.sizes == (3, 5, 7) and len(curve.tested_on) == 1 and len(curve.scores) == 3
    assert f"{curve.gain:+.3f}" in curve.advice


def test_from_scratch_and_the_seed_reach_each_training(annotated: list[AnnotatedPhoto], start: Path) -> None:
    scratch = TrainingSettings(minutes=1, steps=2, from_scratch=True, recipe=TINY)
    fresh = cross_validate(annotated[:6], scratch, folds=2)
    going_on = cross_validate(annotated[:6], replace(scratch, from_scratch=False, start=start), folds=2)
    assert fresh.mean()["fg_iou"] < 0.4 < going_on.mean()["fg_iou"]
    with pytest.raises(FrozenInstanceError):
        scratch.seed = 1  # type: ignore[misc]


def test_a_model_is_scored_on_photos_of_their_own_size(annotated: list[AnnotatedPhoto], start: Path) -> None:
    scores = score_model(start, annotated[:3])
    assert scores.photos == 3 and scores.fg_iou > 0.7


def test_plans_and_refusals(annotated: list[AnnotatedPhoto]) -> None:
    assert planned_minutes(5, 2.0) == 12.5
    with pytest.raises(TrainingError, match="folds"):
        cross_validate(annotated[:3], TrainingSettings(minutes=1), folds=3)
    with pytest.raises(TrainingError, match="learning curve"):
        learning_curve(annotated[:3], TrainingSettings(minutes=1))


def test_the_advice_follows_the_last_gain() -> None:
    better = [scores_with(v) for v in (0.5, 0.8)]
    assert "would probably help" in LearningCurve((5, 10), tuple(better), ("a",)).advice
    assert "hardly help" in LearningCurve((5, 10), tuple(better[::-1]), ("a",)).advice
    assert LearningCurve((5,), (better[0],), ()).advice.startswith("One point")


def scores_with(f1: float) -> Scores:
    return Scores(0.9, 0.9, f1, f1, f1, f1, f1, 0.5, 0.5, 4)
