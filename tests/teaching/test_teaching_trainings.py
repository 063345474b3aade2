"""Real (tiny) trainings on the annotation set, each a process of its own; comparison; which photo next."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from teaching_helpers import jpeg, masks_zip

from retail_seg import __version__
from retail_seg.errors import ModelError, TrainingError
from retail_seg.people.roles import Person, acting_as
from retail_seg.photos.load import encode_picture
from retail_seg.runs.reading import Runs
from retail_seg.runs.record import Origin, origin_of
from retail_seg.segmentation.segmenter import Segmenter
from retail_seg.segmentation.training.manifest import read_manifest
from retail_seg.system.progress import CANCELLED, DONE, RUNNING
from retail_seg.teaching import Teaching
from retail_seg.teaching.imports import import_annotations
from retail_seg.teaching.judging import compare, kept_comparison, known_suggestions, overlay, suggest
from retail_seg.teaching.trainings import Training, Trainings, choose_held, curve, longest, why_not


def waited(runs: Trainings, id_: str, until: Callable[[], bool], seconds: float = 300) -> None:
    """Wait for a run of its own process."""
    end = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < end, (runs.path(id_) / "log.txt").read_text()
        time.sleep(0.2)


@pytest.fixture
def annotated(teaching: Teaching) -> Teaching:
    """Five finished photos, of which one is held back."""
    import_annotations(teaching, masks_zip(range(5)))
    return teaching


@pytest.fixture
def runs(annotated: Teaching) -> Iterator[Trainings]:
    """The trainings of the five photos; none outlives the test."""
    runs = Trainings(annotated)
    yield runs
    if run := runs.running():
        runs.cancel(run.id)
        waited(runs, run.id, lambda: runs.running() is None)


class TestRuns:
    def test_a_training_of_its_own_process_is_found_again_and_compared(self, runs: Trainings, disc_model: Path) -> None:
        with acting_as(Person("Ada", "staff")):
            run = runs.start(minutes=5, steps=2, start=disc_model)
        assert run.by == "Ada" and len(run.photos) == 4 and len(run.held) == 1 and run.pid
        again = Trainings(Teaching(runs.teaching.store))  # as after a restart of the app
        found = again.running()
        assert found is not None and found.id == run.id and again.progress(run.id).state == RUNNING
        with pytest.raises(TrainingError, match="under way"):
            again.start(minutes=5, steps=2)
        with pytest.raises(TrainingError, match="cancel it first"):
            again.remove(run.id)
        with pytest.raises(ModelError, match="made no model"):
            again.model(run.id)
        waited(again, run.id, lambda: again.running() is None)
        done = again.progress(run.id)
        assert done.state == DONE and done.error == "" and done.text == "training"
        assert done.result is not None and done.result["steps"] == 2 and len(done.result["photos"]) == 4
        losses, scores = curve(done.lines, "training")
        assert losses.shape[1] == 2 and len(losses) >= 1 and scores.shape[1] == 2
        self.on_record(again, run)
        self.compared(again, run.id, run.held[0], disc_model)
        again.remove(run.id)
        assert again.all() == [] and again.held_back(again.teaching.photos()) == run.held  # still never trained on

    def on_record(self, runs: Trainings, run: Training) -> None:
        """As a training of the command line is, under the name of who started it."""
        progress, record = runs.progress(run.id), Runs()
        found = record.find(run.id)
        assert (found.id, found.kind, found.state, found.by) == (progress.on_record, "train", "finished", "Ada")
        assert found.parameters["steps"] == "2" and found.parameters["start"] == run.start
        assert found.tags["photos"] == "4 train" and found.tags["code version"].startswith(__version__)
        assert found.scores["steps"] == 2 and "scenes/f1_75" in found.scores and "loss" in found.scores
        kept = record.artifacts(found)
        assert {"manifest.json", "model/weights.safetensors"} < set(kept) and any("samples/" in path for path in kept)
        assert read_manifest(runs.model(run.id) / "manifest.json").fingerprint == found.tags["data"]
        assert origin_of(runs.model(run.id)) == Origin(found.id, run.id) and progress.notes == ()

    def compared(self, runs: Trainings, id_: str, held: str, disc_model: Path) -> None:
        in_use = Segmenter.load(disc_model)
        found = compare(runs, id_, in_use, Segmenter.load)
        assert [line.photo for line in found.photos] == [held] and found.photos[0].true == 2
        assert 0 <= found.new["f1_75"] <= 1 and found.in_use["fg_iou"] > 0.5 and "photos kept" in found.advice
        assert kept_comparison(runs, id_, in_use.fingerprint) == found
        assert kept_comparison(runs, id_, "another") is None
        for side in ("in-use", "new"):
            with Image.open(overlay(runs, id_, held, side)) as picture:
                assert picture.size == (256, 192)
        with pytest.raises(TrainingError):
            overlay(runs, id_, "../../run", "new")

    def test_cancelled_it_leaves_a_checkpoint_and_is_resumed(self, runs: Trainings, disc_model: Path) -> None:
        run = runs.start(minutes=5, steps=100_000, start=disc_model)
        waited(runs, run.id, lambda: len(runs.progress(run.id).lines) >= 2)
        runs.cancel(run.id)
        waited(runs, run.id, lambda: runs.running() is None)
        stopped = runs.progress(run.id)
        assert stopped.state == CANCELLED and "resumed" in stopped.error
        assert (runs.path(run.id) / "model" / "training" / "checkpoint.pt").is_file()
        assert Runs().find(run.id).state == "killed"
        steps = stopped.lines[-1]["step"]
        runs.resume(run.id)
        waited(runs, run.id, lambda: len(runs.progress(run.id).lines) > len(stopped.lines))
        assert runs.progress(run.id).state == RUNNING
        assert runs.progress(run.id).lines[len(stopped.lines)]["step"] >= steps  # not from the beginning

    def test_too_few_photos(self, teaching: Teaching) -> None:
        import_annotations(teaching, masks_zip(range(2)))
        with pytest.raises(TrainingError, match="needs 3 finished photos to train on, there are 2"):
            Trainings(teaching).start(minutes=1)
        assert Trainings(teaching).all() == [] and Trainings(teaching).running() is None
        assert why_not(3, False) == "" and "Cross-validation needs 4" in why_not(3, True)
        assert longest(8, 4, False) == 8 and longest(8, 4, True) == 8 + 4 * 8.5
        with pytest.raises(TrainingError):
            Trainings(teaching).get("../../about")

    def test_photos_once_held_back_stay_held_back(self) -> None:
        ids = [f"{i:x}" for i in range(12)]
        assert choose_held(ids[:3], [], []) == ()
        assert choose_held(ids[:4], [], []) == ("0",)
        assert choose_held(ids[:10], ["7"], []) == ("7", "0")
        assert choose_held(ids[:10], ["7"], ids[:9]) == ("7", "9")  # one that was never trained on
        assert len(choose_held(ids, ids, [])) == 9  # three are left to train on


class TestSuggest:
    def test_the_least_sure_first_and_kept_for_the_model(self, annotated: Teaching, disc_model: Path) -> None:
        loaded = Segmenter.load(disc_model)
        assert suggest(annotated, loaded) == []
        noise = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8).repeat(4, 0).repeat(4, 1)
        ids = annotated.add([("plain.jpg", jpeg(50)), ("noise.jpg", encode_picture(noise))]).ids
        found = suggest(annotated, loaded)
        assert [one.photo.id for one in found] == [ids[1], ids[0]]
        assert found[0].uncertainty > found[1].uncertainty
        assert known_suggestions(annotated, loaded.fingerprint) == found
        assert known_suggestions(annotated, "another") == []
