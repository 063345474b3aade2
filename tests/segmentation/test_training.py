from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from discs import TINY, annotated_discs

from retail_seg.errors import ModelError, TrainingError
from retail_seg.photos.load import load_photo
from retail_seg.segmentation.instances.grouping import Maps, Thresholds
from retail_seg.segmentation.scores import score
from retail_seg.segmentation.segmenter import Segmenter
from retail_seg.segmentation.training.targets import target_maps
from retail_seg.segmentation.training.train import TrainingStep, train
from retail_seg.segmentation.training.tuning import HeldSample, foreground_iou, tune


def test_training_writes_a_model_that_has_learned(tmp_path: Path) -> None:
    annotated = annotated_discs(tmp_path, 6)
    reports: list[TrainingStep] = []
    result = train(annotated, tmp_path / "model", steps=200, from_scratch=True, recipe=TINY, progress=reports.append)
    assert result.steps == 200 and len(result.photos) == 6 and len(result.held_back) == 1 and result.instances == 12
    losses = [r.loss for r in reports if r.phase == "train"]
    assert np.mean(losses[-10:]) < 0.7 * np.mean(losses[:5])
    assert [r.score is not None for r in reports if r.phase == "check"] == [True, True]
    assert {p.name for p in (tmp_path / "model").iterdir()} == {
        "README.md",
        "config.json",
        "thresholds.json",
        "weights.safetensors",
    }
    model = Segmenter.load(tmp_path / "model")
    assert score((a.labels, model.segment(load_photo(a.path)).labels) for a in annotated).fg_iou > 0.7
    card = (tmp_path / "model" / "README.md").read_text(encoding="utf-8")
    assert "photo3" in card and "200 steps" in card and f"{result.scores['fg_iou']:.3f}" in card
    assert model.thresholds.to_json() == result.thresholds


def test_the_same_seed_and_steps_give_the_same_model(tmp_path: Path) -> None:
    annotated = annotated_discs(tmp_path, 3)
    prints = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        train(annotated, tmp_path / name, steps=4, seed=seed, from_scratch=True, recipe=TINY)
        prints.append(Segmenter.load(tmp_path / name).fingerprint)
    assert prints[0] == prints[1] != prints[2]


@pytest.mark.parametrize("how", ["keyboard", "sigterm"])
def test_an_interrupted_training_goes_on_where_it_stopped(tmp_path: Path, how: str) -> None:
    annotated, folder = annotated_discs(tmp_path, 3), tmp_path / "model"

    def stop(report: TrainingStep) -> None:
        if report.phase == "train" and report.step == 3:
            if how == "sigterm":
                os.kill(os.getpid(), signal.SIGTERM)
            else:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(annotated, folder, steps=6, from_scratch=True, recipe=TINY, progress=stop)
    assert [p.name for p in folder.iterdir()] == ["training"]
    with pytest.raises(ModelError):
        Segmenter.load(folder)
    steps: list[int] = []
    train(annotated, folder, steps=6, from_scratch=True, recipe=TINY, progress=lambda r: steps.append(r.step))
    assert min(steps) == 4 and max(steps) == 6
    assert not (folder / "training").exists()
    whole = tmp_path / "whole"
    train(annotated, whole, steps=6, from_scratch=True, recipe=TINY)
    assert Segmenter.load(whole).fingerprint == Segmenter.load(folder).fingerprint


def test_another_training_does_not_take_up_the_checkpoint(tmp_path: Path) -> None:
    annotated, folder = annotated_discs(tmp_path, 3), tmp_path / "model"

    def stop(report: TrainingStep) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(annotated, folder, steps=3, from_scratch=True, recipe=TINY, progress=stop)
    steps: list[int] = []
    train(annotated, folder, steps=3, seed=9, from_scratch=True, recipe=TINY, progress=lambda r: steps.append(r.step))
    assert min(steps) == 1


def test_training_goes_on_from_a_model(tmp_path: Path) -> None:
    annotated = annotated_discs(tmp_path, 3)
    train(annotated, tmp_path / "first", steps=3, from_scratch=True, recipe=TINY)
    result = train(annotated, tmp_path / "second", steps=3, start=tmp_path / "first", recipe=TINY)
    assert Segmenter.load(tmp_path / "first").fingerprint in result.start
    assert result.held_back == () and result.scores == {}


def test_the_photos_to_hold_back_can_be_named(tmp_path: Path) -> None:
    annotated = annotated_discs(tmp_path, 5)
    named = [annotated[1].path, annotated[4].path]
    result = train(annotated, tmp_path / "model", steps=2, from_scratch=True, recipe=TINY, hold_back=named)
    assert result.held_back == ("photo1", "photo4") and result.scores
    everything = [a.path for a in annotated]
    with pytest.raises(TrainingError, match="leave fewer than 3"):
        train(annotated, tmp_path / "other", steps=2, from_scratch=True, recipe=TINY, hold_back=everything)


def test_the_clock_ends_a_training(tmp_path: Path) -> None:
    result = train(annotated_discs(tmp_path, 3), tmp_path / "model", minutes=0.05, from_scratch=True, recipe=TINY)
    assert result.steps >= 0 and (tmp_path / "model" / "weights.safetensors").is_file()


def test_early_stopping_shortens_the_rest(tmp_path: Path) -> None:
    recipe = replace(TINY, evaluations=20, patience=2, rate_fresh=1e-9)
    result = train(annotated_discs(tmp_path, 5), tmp_path / "model", steps=60, from_scratch=True, recipe=recipe)
    assert result.stopped_early and result.steps < 60


def test_what_cannot_train_is_said(tmp_path: Path) -> None:
    annotated = annotated_discs(tmp_path, 4)
    empty = [replace(a, labels=np.zeros_like(a.labels)) for a in annotated[:2]]
    with pytest.raises(TrainingError, match="2 annotated photos with instances"):
        train([*annotated[:2], *empty], tmp_path / "model")
    with pytest.raises(TrainingError, match="minutes"):
        train(annotated, tmp_path / "model", minutes=0)
    with pytest.raises(TrainingError, match="0 steps"):
        train(annotated, tmp_path / "model", steps=0)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").touch()
    with pytest.raises(ModelError, match=r"notes\.txt"):
        train(annotated, tmp_path / "full")
    assert not (tmp_path / "model").exists()


def test_thresholds_are_tuned_only_for_a_gain() -> None:
    labels = np.zeros((96, 96), np.int32)
    cv2.circle(labels, (34, 48), 20, 1, -1)
    cv2.circle(labels, (74, 48), 20, 2, -1)
    maps = target_maps(labels)
    good = HeldSample(Maps(*maps), labels)
    assert tune([good], Thresholds()) == Thresholds()
    weak = HeldSample(Maps(maps[0] * 0.42, *maps[1:]), labels)
    tuned = tune([weak], Thresholds())
    assert tuned.foreground < 0.42 and tuned.min_confidence < 0.5
    assert foreground_iou([weak], tuned.foreground) == 1
