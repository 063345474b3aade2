"""A training that begins on its own when enough photos were corrected, and waits for somebody to switch to its model.

    STORE/teaching/automatic.json    whether it is on, and the photos that such trainings have begun with

It is one of the store's trainings like those that people start: one at a time, a process of its own. One that broke
off with the machine is gone on with once, by whoever opens the page next.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from retail_seg.errors import TrainingError
from retail_seg.people.roles import require
from retail_seg.system.files import replace_file
from retail_seg.system.progress import DONE, FAILED
from retail_seg.teaching.annotation_set import DONE as ANNOTATED
from retail_seg.teaching.annotation_set import Teaching
from retail_seg.teaching.trainings import MINUTES, Training, Trainings

#: So many photos that no training has had, finished by people, begin one.
ENOUGH = 5
#: What people said of a model that such a training made.
SWITCHED, KEPT = "switched", "kept"


def is_on(teaching: Teaching) -> bool:
    """Whether trainings begin on their own; they do until somebody turns it off."""
    return bool(_read(teaching).get("on", True))


def turn(teaching: Teaching, on: bool) -> None:
    """Turn it on or off, for everybody; only a manager may."""
    require("manager")
    _write(teaching, on=on)


def corrected(trainings: Trainings) -> list[str]:
    """Ids of the finished photos that no training has had yet, neither to learn from nor to compare on."""
    had = {id_ for run in trainings.all() for id_ in (*run.photos, *run.held)}
    had |= set(_read(trainings.teaching).get("begun", ()))
    return [photo.id for photo in trainings.teaching.photos() if photo.state == ANNOTATED and photo.id not in had]


def start_if_due(trainings: Trainings, minutes: float = MINUTES, steps: int | None = None) -> Training | None:
    """Begin a training where one is due, or go on with one that broke off; None where nothing is to be done.

    Returns at once. Raises NotAllowed for a viewer.
    """
    require("staff")
    if not is_on(trainings.teaching) or trainings.running():
        return None
    broken, fresh = _broken_off(trainings), corrected(trainings)
    if broken is None and len(fresh) < ENOUGH:
        return None
    try:
        if broken is not None:
            return trainings.resume(broken.id)
        begun = trainings.start(minutes=minutes, steps=steps, automatic=True)
    except TrainingError:
        if trainings.running():  # somebody else's page was faster
            return None
        raise
    _write(trainings.teaching, begun=[*_read(trainings.teaching).get("begun", ()), *fresh])
    return begun


def waiting(trainings: Trainings) -> Training | None:
    """The newest training, where it began on its own, has ended well, and nobody has said what to do with its model."""
    newest = next(iter(trainings.all()), None)
    if newest is None or not newest.automatic or newest.decided:
        return None
    return newest if trainings.progress(newest.id).state == DONE else None


def _broken_off(trainings: Trainings) -> Training | None:
    newest = next(iter(trainings.all()), None)
    if newest is None or not newest.automatic or newest.resumed or newest.decided:
        return None
    return newest if trainings.progress(newest.id).state == FAILED else None


def _path(teaching: Teaching) -> Path:
    return teaching.folder / "automatic.json"


def _read(teaching: Teaching) -> dict[str, Any]:
    path = _path(teaching)
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}


def _write(teaching: Teaching, **values: Any) -> None:
    replace_file(_path(teaching), json.dumps(_read(teaching) | values).encode())
