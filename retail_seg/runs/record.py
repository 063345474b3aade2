"""A training or a comparison on record: parameters, data, code version, curves, scores, samples and the model.

What is recorded is kept with MLflow, see `tracking`. Nothing in here ever stops a training: where the record cannot be
kept, this is said in one sentence, and the work goes on without it.

>>> with recorded("train", "shop-model", {"minutes": 8}, say=print) as run:
...     result = train(annotated, folder, progress=run.hook(show))
...     run.scores(result.scores, "held-back")
...     run.model(folder)
"""

from __future__ import annotations

import json
import math
import re
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retail_seg.errors import ModelError
from retail_seg.runs import tracking
from retail_seg.segmentation.network.config import RUN
from retail_seg.system.code_version import code_version
from retail_seg.system.files import replace_file

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from retail_seg.segmentation.training.train import ProgressHook, TrainingStep

#: A batch of MLflow holds at most so many values (its REST API, "Log Batch").
BATCH_METRICS, BATCH_PARAMETERS, PARAMETER_LENGTH = 1000, 100, 6000
#: Seconds between two writings of the curve of a training under way.
CURVE_EVERY = 10.0
#: Folder of the model among a run's artifacts.
MODEL = "model"
#: Digits of a run's id that people are shown, and that name it as long as no other begins with them.
SHORT = 8

Say = Callable[[str], None]


@dataclass(frozen=True)
class Origin:
    """The run that made a model: MLflow's id and the name under which it is on record."""

    id: str
    name: str

    @property
    def short(self) -> str:
        """The id as people are shown it."""
        return self.id[:SHORT]

    def write(self, model_folder: Path) -> None:
        """Say in a model's folder which run made it; a copy of the folder says so, too."""
        replace_file(model_folder / RUN, json.dumps(asdict(self), indent=1).encode())


def origin_of(model_folder: Path) -> Origin | None:
    """The run that made the model of a folder, None where none is known; ModelError where the file is damaged."""
    path = model_folder / RUN
    if not path.is_file():
        return None
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return Origin(str(values["id"]), str(values["name"]))
    except (OSError, ValueError, KeyError, TypeError):
        raise ModelError(f"{path}: cannot be read; delete it, the model itself does not need it") from None


class Record:
    """One run. Each method keeps something; none of them raises. `id` is None while nothing is being recorded."""

    def __init__(self, say: Say, client: MlflowClient | None = None, experiment: str = "", id_: str = "") -> None:
        self.say, self._client, self._experiment, self._id = say, client, experiment, id_
        self.name = ""
        self._curve: list[tuple[str, float, int, int]] = []
        self._written = time.monotonic()

    @property
    def id(self) -> str | None:
        """MLflow's id of the run."""
        return self._id if self._client is not None else None

    def hook(self, shown: ProgressHook | None = None, prefix: str = "") -> ProgressHook:
        """A progress hook that keeps the curve (loss and validation score by step), then calls `shown`.

        What has come is written every CURVE_EVERY seconds, so that a training under way can be looked at.
        """

        def keep(progress: TrainingStep) -> None:
            now = int(time.time() * 1000)
            if progress.phase == "train":
                self._point(f"{prefix}loss", progress.loss, now, progress.step)
            if progress.phase == "check" and progress.score is not None:
                self._point(f"{prefix}validation score", progress.score, now, progress.step)
            if shown is not None:
                shown(progress)

        return keep

    def _point(self, key: str, value: float, at: int, step: int) -> None:
        if self._client is not None and math.isfinite(value):
            self._curve.append((key, float(value), at, step))
            if time.monotonic() - self._written > CURVE_EVERY:
                self._write_curve()

    def _write_curve(self) -> None:
        points, self._curve = self._curve, []
        self._write(lambda client: _log_points(client, self._id, points))
        self._written = time.monotonic()

    def curve(self, points: Iterable[tuple[str, float, int]]) -> None:
        """The points (name, value, step) of a training that went on in another process."""
        now = int(time.time() * 1000)
        for name, value, step in points:
            self._point(name, value, now, step)

    def parameters(self, values: Mapping[str, Any]) -> None:
        """What the run was given; a parameter is written once and cannot be changed afterwards."""
        texts = [(_plain(key), str(value)[:PARAMETER_LENGTH]) for key, value in values.items() if value is not None]
        self._write(lambda client: _log_parameters(client, self._id, texts))

    def scores(self, values: Mapping[str, float], group: str = "", step: int = 0) -> None:
        """Numbers that came of it; `group` tells scores of the same name apart ("held-back", "test").

        With steps the same scores make a curve: of a learning curve, the number of photos.
        """
        now = int(time.time() * 1000)
        named = [(_plain(f"{group}/{key}" if group else key), value) for key, value in values.items()]
        points = [(key, float(v), now, step) for key, v in named if isinstance(v, (int, float)) and math.isfinite(v)]
        self._write(lambda client: _log_points(client, self._id, points))

    def tags(self, values: Mapping[str, str]) -> None:
        """Short texts by which a run is found."""
        self._write(lambda client: [client.set_tag(self._id, key, value) for key, value in values.items()])

    def artifact(self, path: Path, folder: str = "") -> None:
        """A file, or what a folder holds, below `folder` of the run's artifacts."""
        log = "log_artifacts" if path.is_dir() else "log_artifact"
        self._write(lambda client: getattr(client, log)(self._id, str(path), folder or None))

    def model(self, model_folder: Path) -> None:
        """The files of a model folder, which from now on names this run; not the checkpoint of a training."""
        self._write(lambda client: Origin(self._id, self.name).write(model_folder))
        parts = [path for path in sorted(model_folder.iterdir()) if path.name != "training"]
        for path in parts:
            self.artifact(path, f"{MODEL}/{path.name}" if path.is_dir() else MODEL)

    def picture(self, name: str, picture: Any) -> None:
        """An RGB uint8 picture (H, W, 3) as `samples/NAME.jpg`."""
        from retail_seg.photos.load import encode_picture

        plain = re.sub(r"[^\w.-]+", "_", name)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"{plain}.jpg"
            path.write_bytes(encode_picture(picture))
            self.artifact(path, "samples")

    @contextmanager
    def child(self, kind: str, name: str, parameters: Mapping[str, Any]) -> Iterator[Record]:
        """A run below this one: a method of a comparison, a fold of a cross-validation."""
        if self._client is None:
            yield Record(self.say)
            return
        run = Record(self.say, self._client, self._experiment)
        with _running(run, kind, name, parameters, {"mlflow.parentRunId": self._id}):
            yield run

    def begin(self, kind: str, name: str, parameters: Mapping[str, Any], tags: Mapping[str, str]) -> None:
        """Make the run; it is seen as running from now on."""
        from retail_seg.people.roles import acting

        self.name = name
        own = {
            "kind": kind, "code version": code_version(), "mlflow.source.name": f"retail-seg {kind}",
            "mlflow.source.type": "LOCAL", "mlflow.user": acting().name,
        }  # fmt: skip

        def create(client: MlflowClient) -> None:
            run = client.create_run(self._experiment, run_name=name, tags={**own, **tags})
            self._id = str(run.info.run_id)

        self._write(create)
        self.parameters(parameters)

    def end(self, status: str) -> None:
        """Write the rest of the curve, and how it ended: FINISHED, FAILED or KILLED."""
        self._write_curve()
        self._write(lambda client: client.set_terminated(self._id, status))

    def _write(self, work: Callable[[MlflowClient], Any]) -> None:
        """Do it; the first failure is said, and ends the recording of this run."""
        if self._client is None:
            return
        try:
            work(self._client)
        except Exception as error:  # noqa: BLE001 - whatever fails in the record, the training must not be lost to it
            self._client = None
            reason = tracking.reason_of(error)
            self.say(f"Note: {tracking.place()}: the record of this run breaks off ({reason}); the work goes on")


@contextmanager
def recorded(
    kind: str, name: str, parameters: Mapping[str, Any], *, say: Say, tags: Mapping[str, str] | None = None
) -> Iterator[Record]:
    """A run of this kind ("train", "compare") from here to the end of the block, with what its Record is given.

    Without the extra `record`, or where the store or server cannot be reached, one sentence is said and the Record
    keeps nothing. What the block raises is passed on; the run then counts as failed, or killed (KeyboardInterrupt).
    """
    run = _connected(say)
    with _running(run, kind, name, parameters, tags or {}):
        yield run


def _connected(say: Say) -> Record:
    if not tracking.available():
        say(f"Note: this run is not put on record; to keep one of every run from now on: {tracking.INSTALL}")
        return Record(say)
    try:
        return Record(say, *tracking.connect())
    except Exception as error:  # noqa: BLE001 - a dead server is no reason not to train
        reason = tracking.reason_of(error)
        say(f"Note: {tracking.place()}: cannot be reached ({reason}); the work goes on without a record")
        return Record(say)


@contextmanager
def _running(
    run: Record, kind: str, name: str, parameters: Mapping[str, Any], tags: Mapping[str, str]
) -> Iterator[None]:
    run.begin(kind, name, parameters, tags)
    status = "FAILED"
    try:
        yield
        status = "FINISHED"
    except KeyboardInterrupt:
        status = "KILLED"
        raise
    finally:
        run.end(status)


def _plain(name: str) -> str:
    """The name with what MLflow allows in names: letters, digits, and `_-. :/`."""
    return re.sub(r"[^/\w.\- :]", "_", name)


def _log_parameters(client: MlflowClient, run: str, values: list[tuple[str, str]]) -> None:
    from mlflow.entities import Param

    for start in range(0, len(values), BATCH_PARAMETERS):
        client.log_batch(run, params=[Param(*pair) for pair in values[start : start + BATCH_PARAMETERS]])


def _log_points(client: MlflowClient, run: str, points: list[tuple[str, float, int, int]]) -> None:
    from mlflow.entities import Metric

    for start in range(0, len(points), BATCH_METRICS):
        client.log_batch(run, metrics=[Metric(*point) for point in points[start : start + BATCH_METRICS]])
