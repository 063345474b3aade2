"""Folds and methods done beside each other by workers of Ray: what one process after the other would have said."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from discs import TINY, annotated_discs, write_discs

pytest.importorskip("ray", reason="Ray is not installed: pip install retail-seg[ray]")

from retail_seg.bench.comparison.job import ComparisonJob
from retail_seg.bench.comparison.on_ray import methods_on_ray
from retail_seg.bench.comparison.runner import job_of, run_all
from retail_seg.errors import FleetError, TrainingError
from retail_seg.fleet.cluster import shared_out
from retail_seg.fleet.folds import folds_on_ray
from retail_seg.segmentation.annotations import AnnotatedPhoto, load_annotations
from retail_seg.segmentation.scores import Scores
from retail_seg.segmentation.training.validation import TrainingSettings, cross_validate


@pytest.fixture(scope="module")
def annotated(tmp_path_factory: pytest.TempPathFactory) -> list[AnnotatedPhoto]:
    """Six photos of two discs."""
    return annotated_discs(tmp_path_factory.mktemp("photos"), 6)


@pytest.fixture
def job(tmp_path: Path) -> ComparisonJob:
    photos, masks = write_discs(tmp_path, 5)
    some = load_annotations(sorted(photos.iterdir()), masks)[0]
    return job_of(tmp_path / "out", some[:3], [("held out", some[3:])], minutes=0.05)


def test_folds_score_what_they_score_in_one_process(
    ray: Any, annotated: list[AnnotatedPhoto], disc_model: Path
) -> None:
    settings = TrainingSettings(minutes=1, steps=2, start=disc_model, seed=3, recipe=TINY)
    told: dict[int, Scores] = {}
    with folds_on_ray(2, workers=2) as elsewhere:
        found = cross_validate(annotated, settings, folds=2, announce=told.__setitem__, elsewhere=elsewhere)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as the workers do, of which each has one core of two
    try:
        alone = cross_validate(annotated, settings, folds=2)
    finally:
        torch.set_num_threads(threads)
    assert found == alone and tuple(told[k] for k in (0, 1)) == found.folds
    assert found.mean()["fg_iou"] > 0.4 and found.folds[0] != found.folds[1]


def test_a_fold_that_cannot_be_trained_and_photos_that_are_others_are_said(
    ray: Any, annotated: list[AnnotatedPhoto], monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = [replace(one, labels=one.labels * 0) for one in annotated]
    settings = TrainingSettings(minutes=1, steps=1, from_scratch=True, recipe=TINY)
    with folds_on_ray(2, workers=1) as elsewhere:
        with pytest.raises(TrainingError, match=r"fold \d: .*training needs at least 3"):
            cross_validate(empty, settings, folds=2, elsewhere=elsewhere)
        monkeypatch.setattr("retail_seg.fleet.folds._hash", lambda path: "another")
        with pytest.raises(FleetError, match="a worker finds no such photo there, or another"):
            cross_validate(annotated, settings, folds=2, elsewhere=elsewhere)


def test_methods_get_the_scores_of_one_after_the_other_and_the_ensemble_comes_last(
    ray: Any, job: ComparisonJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    methods, ended = ["ensemble", "retail-seg-shipped", "mean"], list[str]()
    with methods_on_ray(len(methods), workers=2) as do:
        found = run_all(
            job, methods, print, lambda result, _: ended.append(result.method), lambda name, _: ended.append(name), do
        )
    assert sorted(ended[:2]) == sorted(methods[1:]) and ended[2] == "ensemble"
    assert "needs two trained models, and 0 of this comparison" in found.left_out["ensemble"]
    assert "2 methods beside each other, 1 cores each" in do.machine and "1 thread a method" in do.machine
    alone = replace(job, folder=tmp_path / "alone")
    shutil.copytree(job.folder / "data", alone.folder / "data")
    alone.write()
    (own,) = run_all(alone, methods[1:2], print).results
    assert {one.method: one.scores for one in found.results}[own.method] == own.scores and own.quality > 0
    again = run_all(job, methods[1:], print, do=lambda job, names, show: pytest.fail(f"{names} again") if names else ())
    assert again.results == found.results


def test_a_worker_that_finds_another_comparison_is_refused(ray: Any, job: ComparisonJob) -> None:
    other = replace(job, seed=1)
    with methods_on_ray(1, workers=1) as do, pytest.raises(FleetError, match="a worker finds another comparison there"):
        list(do(other, ["retail-seg-shipped"], print))
    (job.folder / "job.json").unlink()
    with methods_on_ray(1, workers=1) as do, pytest.raises(FleetError, match=r"cannot read it .* all machines see"):
        list(do(job, ["retail-seg-shipped"], print))


@pytest.mark.parametrize(
    ("nodes", "tasks", "workers", "shared"),
    [([2], 5, None, (2, 1)), ([8], 5, None, (5, 1)), ([8, 8], 5, None, (5, 2)), ([8], 5, 2, (2, 4)),
     ([2], 1, 4, (1, 2)), ([2], 3, 3, (3, 1)), ([0, 4], 2, None, (2, 2))],
)  # fmt: skip
def test_cores_are_shared_out_among_workers(
    nodes: list[int], tasks: int, workers: int | None, shared: tuple[int, int]
) -> None:
    class Cluster:
        def nodes(self) -> list[dict[str, Any]]:
            dead = {"Alive": False, "Resources": {"CPU": 64.0}}
            return [dead, *({"Alive": True, "Resources": {"CPU": float(cores)} if cores else {}} for cores in nodes)]

    assert shared_out(Cluster(), tasks, workers) == shared
