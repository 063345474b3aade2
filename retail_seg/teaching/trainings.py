"""Trainings of a store's segmenter, each a process of its own that outlives the page, the session and the app.

    STORE/teaching/runs/ID/run.json        what was asked for, by whom, and the process
    STORE/teaching/runs/ID/labels/         the annotations as they were then, so that a resumed training is the same
    STORE/teaching/runs/ID/progress.jsonl  steps, losses and scores, written by `retail-seg train`
    STORE/teaching/runs/ID/result.jsonl    its last line is the result; log.txt is what it said
    STORE/teaching/runs/ID/model/          the model, or the checkpoint of an interrupted training

With the extra `record` it is on record under its ID like any other `retail-seg train`, see `record`.

One at a time: the process holds a lock that it inherits, so it is free in the moment the process ends, however it
ends. Photos that are held back are never trained on, in any run, so models can be compared on them.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from retail_seg.errors import ModelError, TrainingError
from retail_seg.people.roles import require
from retail_seg.segmentation.formats.base import NO_CLASS
from retail_seg.segmentation.formats.instance_png import LABELS, box_cells, write_table
from retail_seg.system.files import locked, replace_file
from retail_seg.system.processes import ask_to_end, command, json_lines, start
from retail_seg.system.progress import CANCELLED, DONE, FAILED, RUNNING, Progress
from retail_seg.teaching.annotation_set import DONE as ANNOTATED
from retail_seg.teaching.annotation_set import TaughtPhoto, Teaching

#: From this many finished photos on, every fifth is held back to compare models on, at most HELD_AT_MOST.
HELD_FROM, HELD_AT_MOST = 4, 12
#: Fewest photos that are trained on, see `training.MIN_PHOTOS`; and fewest of a cross-validation.
FEWEST, FEWEST_FOLDED = 3, 4
#: Minutes that are offered, see `training.DEFAULT_MINUTES`, and trainings of a cross-validation (its import is heavy).
MINUTES, FOLDS = 9.5, 5
_ID = re.compile(r"\d{8}-\d{6}(-\d+)?")


@dataclass(frozen=True)
class Training:
    """A training that was started; `photos` are trained on, `held` are kept for the comparison (ids of photos).

    `automatic` says that it began on its own, `resumed` how often it was gone on with, `decided` what people said of
    its model, see `automatic`.
    """

    id: str
    started: str
    by: str
    photos: tuple[str, ...]
    held: tuple[str, ...]
    minutes: float
    steps: int | None = None
    seed: int = 0
    cross_validate: bool = False
    start: str = ""
    pid: int = 0
    cancelled_by: str = ""
    automatic: bool = False
    resumed: int = 0
    decided: str = ""


@dataclass(frozen=True)
class TrainingProgress(Progress):
    """How far a run is: besides what every work tells, lines of progress.jsonl and the result (TrainingResult as JSON).

    `text` is the part under way: "training", or a fold of the cross-validation. `notes` are sentences about what did
    not stop it: that it is not put on record, and how to have that.
    """

    lines: tuple[dict[str, Any], ...] = ()
    result: dict[str, Any] | None = None
    notes: tuple[str, ...] = ()

    @property
    def on_record(self) -> str:
        """The id under which a finished run is on record, empty where it is not."""
        return str((self.result or {}).get("run", ""))


class Trainings:
    """The trainings of a store; reads everything from its folder each time, so it finds what others started."""

    def __init__(self, teaching: Teaching) -> None:
        self.teaching = teaching
        self.folder = teaching.folder / "runs"
        self._lock = teaching.folder / "locks" / "training"

    def all(self) -> list[Training]:
        """Every run, the newest first."""
        found = sorted(self.folder.glob("*/run.json"), reverse=True)
        return [_read(path) for path in found]

    def get(self, id_: str) -> Training:
        """One run; TrainingError where there is none with this id."""
        path = self.path(id_) / "run.json"
        if not path.is_file():
            raise TrainingError(f"The training {id_} is not known here; choose one of the list")
        return _read(path)

    def path(self, id_: str) -> Path:
        """The folder of a run."""
        if not _ID.fullmatch(id_):
            raise TrainingError("This is no training of this store; choose one of the list")
        return self.folder / id_

    def model(self, id_: str) -> Path:
        """The model that a run made; ModelError where it has made none."""
        path = self.path(id_) / "model"
        if not (path / "weights.safetensors").is_file():
            raise ModelError(f"The training {id_} has made no model; let it end, or resume it")
        return path

    def running(self) -> Training | None:
        """The run whose process is at work, None where there is none."""
        try:
            with locked(self._lock, wait=False, shared=True):
                return None
        except BlockingIOError:  # the process that holds it wrote which run it is
            id_ = self._lock.read_text(encoding="ascii")
            return self.get(id_) if id_ else None

    # -- begin and end ---------------------------------------------------------------------------------------

    def start(
        self,
        *,
        minutes: float,
        steps: int | None = None,
        cross_validate: bool = False,
        start: Path | None = None,
        seed: int = 0,
        automatic: bool = False,
    ) -> Training:
        """Train on the finished photos, less those held back, in a process of its own; returns at once.

        `start` is the model to begin with, None the shipped one. TrainingError for too few photos, or where a training
        is under way.
        """
        by = require("staff")
        done = [photo for photo in self.teaching.photos() if photo.state == ANNOTATED]
        held = self.held_back(done)
        trained = tuple(photo.id for photo in done if photo.id not in held)
        if reason := why_not(len(trained), cross_validate):
            raise TrainingError(reason)
        now = datetime.now(UTC)
        run = Training(
            self._fresh_id(now), now.isoformat(timespec="seconds"), by, trained, held, minutes, steps, seed,
            cross_validate, str(start.resolve()) if start else "", automatic=automatic,
        )  # fmt: skip
        return self._launch(run, new=True)

    def resume(self, id_: str) -> Training:
        """Go on with a training that was cancelled or broke off, from its last checkpoint where it left one."""
        require("staff")
        run = self.get(id_)
        if self.progress(id_).state == DONE:
            raise TrainingError(f"The training {id_} is done; start a new one")
        return self._launch(replace(run, cancelled_by="", resumed=run.resumed + 1), new=False)

    def decide(self, id_: str, what: str) -> None:
        """Keep what a manager said of a training's model, see `automatic`."""
        require("manager")
        self._write(replace(self.get(id_), decided=what))

    def cancel(self, id_: str) -> None:
        """Ask a training's process to end; it leaves a checkpoint. Nothing happens where it has ended.

        Who started it may, and managers.
        """
        by = require("staff")
        run = self.get(id_)
        if run.by != by:
            require("manager")
        if self.progress(id_).state != RUNNING or not run.pid:
            return
        self._write(replace(run, cancelled_by=by or "somebody"))
        ask_to_end(run.pid)

    def remove(self, id_: str) -> None:
        """Delete a run with its model; TrainingError while it is under way. A model in use is a copy and stays."""
        require("staff")
        self.get(id_)
        if self.progress(id_).state == RUNNING:
            raise TrainingError("This training is under way; cancel it first")
        shutil.rmtree(self.path(id_), ignore_errors=True)

    def _launch(self, run: Training, *, new: bool) -> Training:
        for attempt in range(10):  # somebody who only looks whether a training runs holds the lock for a moment
            try:
                with locked(self._lock, wait=False) as lock:
                    if new:
                        self._lay_out(run)
                    self._write(run)
                    self._lock.write_text(run.id, encoding="ascii")
                    run = replace(run, pid=self._process(run, lock).pid)
                    self._write(run)
                    return run
            except BlockingIOError:
                if attempt and self.running():
                    break
                time.sleep(0.05)
        raise TrainingError("A training is under way; wait for its end or cancel it")

    def _process(self, run: Training, lock: int) -> subprocess.Popen[str]:
        folder = self.path(run.id).resolve()
        words = _command(run, folder, self.teaching.photos_folder.resolve())
        with (folder / "result.jsonl").open("wb") as out, (folder / "log.txt").open("ab") as log:
            process = start(words, log, out=out, inherits=(lock,), RETAIL_SEG_USER=run.by)
        threading.Thread(target=process.wait, name=f"training-{run.id}", daemon=True).start()  # leaves no zombie
        return process

    def _lay_out(self, run: Training) -> None:
        """The folder of a new run with a copy of the annotations as they are now."""
        folder = self.path(run.id)
        (folder / "labels").mkdir(parents=True)
        names, boxes = [], []
        for id_ in run.photos:
            photo = self.teaching.photo(id_)
            names.append(self.teaching.path(photo).name)
            shutil.copyfile(self.teaching.labels_path(id_), folder / "labels" / f"{id_}.png")
            boxes += [(names[-1], n, NO_CLASS, *box_cells(box)) for n, box in photo.box_of.items()]
        write_table(folder / "labels" / LABELS, boxes)
        replace_file(folder / "photos.txt", "".join(f"{name}\n" for name in names).encode())
        self._remember_held(run.held)

    def _fresh_id(self, now: datetime) -> str:
        base = f"{now:%Y%m%d-%H%M%S}"
        return next(id_ for id_ in (base, *(f"{base}-{n}" for n in range(2, 1000))) if not self.path(id_).exists())

    def _write(self, run: Training) -> None:
        replace_file(self.path(run.id) / "run.json", json.dumps(asdict(run), indent=1).encode())

    # -- photos held back ------------------------------------------------------------------------------------

    def held_back(self, done: Sequence[TaughtPhoto]) -> tuple[str, ...]:
        """Ids of the finished photos that the next training leaves out; those left out before stay left out."""
        ids = [photo.id for photo in done]
        trained = {id_ for run in self.all() for id_ in run.photos}
        return choose_held(ids, self._held_before(), trained)

    def _held_before(self) -> list[str]:
        path = self.teaching.folder / "held.json"
        return list(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else []

    def _remember_held(self, held: Iterable[str]) -> None:
        known = dict.fromkeys([*self._held_before(), *held])
        replace_file(self.teaching.folder / "held.json", json.dumps(list(known)).encode())

    # -- how far ---------------------------------------------------------------------------------------------

    def progress(self, id_: str) -> TrainingProgress:
        """How far a run is, from its files and the lock."""
        run, folder = self.get(id_), self.path(id_)
        lines = tuple(json_lines(folder / "progress.jsonl"))
        last: dict[str, Any] = lines[-1] if lines else {"share": 0, "part": "starting"}
        found = TrainingProgress(share=float(last["share"]), text=str(last["part"]), lines=lines)
        if (current := self.running()) is not None and current.id == id_:
            return found
        results = [line for line in json_lines(folder / "result.jsonl") if "thresholds" in line]
        if results:
            return replace(found, state=DONE, result=results[-1], notes=_notes(folder / "log.txt"))
        if run.cancelled_by:
            return replace(found, state=CANCELLED, error=f"Cancelled by {run.cancelled_by}; it can be resumed")
        return replace(found, state=FAILED, error=_why(folder / "log.txt"))


def why_not(photos: int, cross_validate: bool) -> str:
    """Why so many photos cannot be trained on, or not be cross-validated; empty where they can."""
    needed = FEWEST_FOLDED if cross_validate else FEWEST
    if photos >= needed:
        return ""
    what = "Cross-validation" if cross_validate else "Training"
    there = f"there {'is' if photos == 1 else 'are'} {photos}"
    return f"{what} needs {needed} finished photos to train on, {there}; annotate more"


def longest(minutes: float, photos: int, cross_validate: bool) -> float:
    """The most minutes that a run can take: its own training, and one for each fold."""
    return minutes + (min(FOLDS, photos) * (minutes + 0.5) if cross_validate else 0)


def curve(lines: Sequence[dict[str, Any]], part: str) -> tuple[np.ndarray, np.ndarray]:
    """Loss and score over the steps of one part of a training: arrays (n, 2) of step and value, the loss smoothed."""
    of_part = [line for line in lines if line["part"] == part]
    losses = [(line["step"], line["loss"]) for line in of_part if line["phase"] == "train"]
    scores = [(line["step"], line["score"]) for line in of_part if line["phase"] == "check"]
    table = np.array(losses, np.float64).reshape(-1, 2)
    for i in range(1, len(table)):
        table[i, 1] = 0.8 * table[i - 1, 1] + 0.2 * table[i, 1]
    return table, np.array(scores, np.float64).reshape(-1, 2)


def choose_held(done: Sequence[str], before: Sequence[str], trained: Iterable[str]) -> tuple[str, ...]:
    """Every fifth of `done`, at least one of HELD_FROM: those of `before` stay, then those that were never trained on.

    Always leaves FEWEST photos to train on.
    """
    if len(done) < HELD_FROM:
        return ()
    wanted = min(max(1, len(done) // 5), HELD_AT_MOST)
    seen = set(trained)
    kept = [id_ for id_ in before if id_ in done]
    others = sorted((id_ for id_ in done if id_ not in kept), key=lambda id_: (id_ in seen, id_))
    chosen = kept + others[: max(0, wanted - len(kept))]
    return tuple(chosen[: len(done) - FEWEST])


def _command(run: Training, folder: Path, photos: Path) -> list[str]:
    """The call of `retail-seg train`, behind the app's own work."""
    options = ["--steps", str(run.steps)] if run.steps else ["--minutes", f"{run.minutes:g}"]
    if run.start:
        options += ["--start", run.start]
    if run.cross_validate:
        options += ["--cross-validate"]
    return command(
        "retail_seg", "train", str(photos),
        "--annotations", str(folder / "labels"), "--photos-list", str(folder / "photos.txt"),
        "--model", str(folder / "model"), "--seed", str(run.seed),
        "--progress-json", str(folder / "progress.jsonl"), *options, behind=True,
    )  # fmt: skip


def _read(path: Path) -> Training:
    values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return Training(**values | {"photos": tuple(values["photos"]), "held": tuple(values["held"])})


def _why(log: Path) -> str:
    """What a failed training said last."""
    errors = _said(log, "Error: ")
    return errors[-1] if errors else "The training broke off before its end; resume it"


def _notes(log: Path) -> tuple[str, ...]:
    """What a training, and those it resumes, remarked; each once."""
    return tuple(dict.fromkeys(_said(log, "Note: ")))


def _said(log: Path, kind: str) -> list[str]:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.is_file() else []
    return [line.removeprefix(kind) for line in lines if line.startswith(kind)]
