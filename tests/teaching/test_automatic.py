"""Trainings that begin on their own: after five photos, one at a time, once more after they broke off."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

import pytest
from teaching_helpers import jpeg, masks_zip

from retail_seg.people.roles import NotAllowed, Person, acting_as
from retail_seg.runs.record import origin_of
from retail_seg.system.progress import DONE, FAILED
from retail_seg.teaching import Teaching, automatic
from retail_seg.teaching.imports import import_annotations
from retail_seg.teaching.trainings import Trainings


@pytest.fixture
def runs(teaching: Teaching, disc_model: Path, monkeypatch: pytest.MonkeyPatch) -> Trainings:
    """The trainings of a set without photos; they begin with the discs' model."""
    found = Trainings(teaching)
    monkeypatch.setattr(found, "start", partial(found.start, start=disc_model))
    return found


def ended(runs: Trainings, id_: str) -> str:
    end = time.monotonic() + 300
    while runs.running():
        assert time.monotonic() < end, (runs.path(id_) / "log.txt").read_text()
        time.sleep(0.1)
    return runs.progress(id_).state


def test_five_finished_photos_begin_one_training_and_without_the_extra_it_says_once_how_to_get_the_record(
    runs: Trainings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['mlflow'] = None\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))  # of the training's own process
    import_annotations(runs.teaching, masks_zip(range(4)))
    assert automatic.start_if_due(runs, steps=2) is None and len(automatic.corrected(runs)) == 4
    import_annotations(runs.teaching, masks_zip(range(5)))
    with acting_as(Person("stan", "staff")):
        run = automatic.start_if_due(runs, steps=2)
    assert run is not None and run.automatic and run.by == "stan" and (len(run.photos), len(run.held)) == (4, 1)
    assert automatic.start_if_due(runs, steps=2) is None  # while it runs
    again = Trainings(Teaching(runs.teaching.store))  # as after a restart of the app
    assert ended(again, run.id) == DONE and automatic.waiting(again) == again.get(run.id)
    assert automatic.corrected(again) == [] and automatic.start_if_due(again, steps=2) is None
    progress = again.progress(run.id)
    assert progress.on_record == "" and origin_of(again.model(run.id)) is None
    assert len(progress.notes) == 1 and "not put on record" in progress.notes[0] and "[record]" in progress.notes[0]
    with acting_as(Person("stan", "staff")), pytest.raises(NotAllowed):
        again.decide(run.id, automatic.KEPT)
    again.decide(run.id, automatic.KEPT)
    assert automatic.waiting(again) is None
    again.remove(run.id)
    assert automatic.corrected(again) == []  # a training that was deleted does not begin anew


def test_it_is_turned_off_by_a_manager(runs: Trainings) -> None:
    import_annotations(runs.teaching, masks_zip(range(5)))
    with acting_as(Person("stan", "staff")), pytest.raises(NotAllowed):
        automatic.turn(runs.teaching, False)
    automatic.turn(runs.teaching, False)
    assert automatic.start_if_due(runs, steps=2) is None and len(automatic.corrected(runs)) == 5
    automatic.turn(runs.teaching, True)
    assert automatic.is_on(Teaching(runs.teaching.store))


def test_it_never_runs_beside_another(runs: Trainings, monkeypatch: pytest.MonkeyPatch) -> None:
    import_annotations(runs.teaching, masks_zip(range(5)))
    other = runs.start(minutes=5, steps=100_000)
    import_annotations(runs.teaching, masks_zip(range(20, 25)))
    assert automatic.start_if_due(runs, steps=2) is None
    looked = iter([None, other])  # the other begins after the first look
    monkeypatch.setattr(runs, "running", lambda: next(looked, other))
    assert automatic.start_if_due(runs, steps=2) is None
    monkeypatch.undo()
    runs.cancel(other.id)
    ended(runs, other.id)
    assert len(runs.all()) == 1 and len(automatic.corrected(runs)) == 5


def test_one_that_broke_off_says_why_and_is_gone_on_with_once(runs: Trainings, tmp_path: Path) -> None:
    import_annotations(runs.teaching, masks_zip(range(5)))
    runs.start = partial(runs.start.func, start=tmp_path / "nowhere")  # type: ignore[attr-defined, method-assign]
    run = automatic.start_if_due(runs, steps=2)
    assert run is not None and ended(runs, run.id) == FAILED and automatic.waiting(runs) is None
    assert "holds no config.json" in runs.progress(run.id).error
    again = automatic.start_if_due(runs, steps=2)
    assert again is not None and again.id == run.id and again.resumed == 1
    assert ended(runs, run.id) == FAILED and automatic.start_if_due(runs, steps=2) is None
    runs.teaching.add([("more.jpg", jpeg(40))])
    assert len(runs.all()) == 1
