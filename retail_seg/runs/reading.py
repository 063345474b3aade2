"""Reading the record: which trainings and comparisons there were, what they were given, and what came of them.

What is written is in `record`, where it is kept in `tracking`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retail_seg.errors import RecordError
from retail_seg.runs import tracking
from retail_seg.runs.record import MODEL, SHORT, Origin

if TYPE_CHECKING:
    from mlflow import MlflowClient

#: The score by which a list shows how good a run was: the first of these that it has.
HEADLINE = ("test/f1_75", "held-back/f1_75", "f1_75", "scenes/f1_75")
#: Tags of MLflow itself are no news to a reader.
_OWN_TAGS = "mlflow."


@dataclass(frozen=True)
class Run:
    """One run: `kind` is "train", "compare" or what a comparison's part is; `parent` is the id of the run it is of.

    `state` is running, finished, failed or killed; `began` is in UTC. Parameters are texts, scores the last values.
    """

    id: str
    name: str
    kind: str
    state: str
    began: str
    seconds: float | None
    by: str
    parameters: dict[str, str]
    scores: dict[str, float]
    tags: dict[str, str]
    parent: str | None

    @property
    def headline(self) -> tuple[str, float] | None:
        """Name and value of the score that a list shows."""
        return next(((key, self.scores[key]) for key in HEADLINE if key in self.scores), None)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class RunComparison:
    """What differs between runs: (name, a value a run) for parameters and tags, and all scores side by side.

    A value is None where a run has none of that name.
    """

    runs: tuple[Run, ...]
    parameters: tuple[tuple[str, tuple[str | None, ...]], ...]
    scores: tuple[tuple[str, tuple[float | None, ...]], ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "runs": [{"id": run.id, "name": run.name} for run in self.runs],
            "parameters": dict(self.parameters),
            "scores": dict(self.scores),
        }


class Runs:
    """The record, open for reading; raises RecordError where it cannot be reached, MissingExtraError without it."""

    def __init__(self) -> None:
        self._client, self._experiment = tracking.reachable()

    def all(self, *, kind: str = "", parts: bool = False, limit: int = 50) -> list[Run]:
        """The latest runs, newest first: of one kind with `kind`; `parts` lists those below another run as well."""
        with _reading():
            conditions = [f"tags.kind = '{kind}'"] if re.fullmatch(r"\w+", kind) else []
            found = self._search(" and ".join(conditions), limit if parts else None)
            return [run for run in found if parts or run.parent is None][:limit]

    def parts_of(self, run: Run) -> list[Run]:
        """The runs below a run, oldest first."""
        with _reading():
            return self._search(f"tags.mlflow.parentRunId = '{run.id}'", None)[::-1]

    def find(self, name: str) -> Run:
        """The run with this id, or the only one whose id begins so, or the newest of this name, or `latest`.

        Raises RecordError where there is none or an id is not clear.
        """
        with _reading():
            found = self._search("", None)
        begun = [run for run in found if len(name) >= 4 and run.id.startswith(name.lower())]
        if len(begun) > 1:
            ids = ", ".join(run.id[: len(name) + 4] for run in begun[:3])
            raise RecordError(f"{name}: several runs begin so ({ids}); give more digits")
        whole = [run for run in found if run.parent is None]
        named = [run for run in found if run.name == name] or (whole if name == "latest" else [])
        if not begun and not named:
            raise RecordError(f"{name}: no such run in {tracking.place()}; see `retail-seg runs`")
        return (begun or named)[0]

    @contextmanager
    def model_folder(self, run: Run) -> Iterator[Path]:
        """The model folder of a run, fetched where the record is on a server; RecordError where it has none."""
        import tempfile

        with tempfile.TemporaryDirectory() as folder:
            with _reading():
                if not self._client.list_artifacts(run.id, MODEL):
                    raise RecordError(f"{run.name} ({run.id[:SHORT]}): keeps no model; choose a run that trained one")
                path = Path(self._client.download_artifacts(run.id, MODEL, folder))
                Origin(run.id, run.name).write(path)
            yield path

    def artifacts(self, run: Run, below: str = "") -> list[str]:
        """Paths of everything that a run keeps, in order."""
        with _reading():
            return sorted(_walk(self._client, run.id, below))

    def _search(self, condition: str, limit: int | None) -> list[Run]:
        """Runs of the experiment, newest first."""
        found: list[Run] = []
        token: str | None = None
        while True:
            page = self._client.search_runs(
                [self._experiment], filter_string=condition, max_results=min(limit or 1000, 1000), page_token=token,
                order_by=["attributes.start_time DESC"],
            )  # fmt: skip
            found += [_run(one) for one in page]
            token = page.token
            if not token or (limit and len(found) >= limit):
                return found


def compare(runs: Sequence[Run]) -> RunComparison:
    """Parameters (with data and code version) that are not the same in all runs, and every score of any of them."""
    given = [{**run.parameters, **{key: run.tags[key] for key in ("data", "code version") if key in run.tags}}
             for run in runs]  # fmt: skip
    keys = dict.fromkeys(key for values in given for key in values)
    rows = [(key, tuple(values.get(key) for values in given)) for key in keys]
    names = dict.fromkeys(key for run in runs for key in run.scores)
    return RunComparison(
        tuple(runs),
        tuple((key, row) for key, row in rows if len(set(row)) > 1),
        tuple((key, tuple(run.scores.get(key) for run in runs)) for key in sorted(names)),
    )


@contextmanager
def _reading() -> Iterator[None]:
    """What MLflow raises while it is read becomes one sentence."""
    try:
        yield
    except RecordError:
        raise
    except Exception as error:  # noqa: BLE001 - MLflow, SQLAlchemy, requests, the disk: all mean the record is not readable
        raise RecordError(f"{tracking.place()}: cannot be read ({tracking.reason_of(error)})") from None


def _run(found: Any) -> Run:
    info, data = found.info, found.data
    ended = info.end_time
    tags = {key: value for key, value in data.tags.items() if not key.startswith(_OWN_TAGS)}
    return Run(
        id=info.run_id,
        name=info.run_name or "",
        kind=tags.pop("kind", ""),
        state=str(info.status).lower(),
        began=datetime.fromtimestamp(info.start_time / 1000, UTC).isoformat(timespec="seconds"),
        seconds=round((ended - info.start_time) / 1000, 1) if ended else None,
        by=data.tags.get("mlflow.user", ""),
        parameters=dict(sorted(data.params.items())),
        scores={key: round(value, 4) for key, value in sorted(data.metrics.items())},
        tags=tags,
        parent=data.tags.get("mlflow.parentRunId"),
    )


def _walk(client: MlflowClient, run: str, below: str) -> Iterator[str]:
    for part in client.list_artifacts(run, below or None):
        if part.is_dir:
            yield from _walk(client, run, part.path)
        else:
            yield part.path
