"""Where the record of the trainings is kept, and the MLflow client that reads and writes it; needs the extra `record`.

By default a SQLite file and a folder of artifacts on this computer; a tracking server (or any store that MLflow knows)
where MLFLOW_TRACKING_URI names one. MLflow's own usage telemetry is off: nothing leaves the shop unasked.
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from retail_seg.errors import MissingExtraError, RecordError
from retail_seg.system.settings import settings

if TYPE_CHECKING:
    from mlflow import MlflowClient

INSTALL = "`pip install -c constraints.txt '.[record]'`"
#: What MLflow is told in any case: no telemetry, and stdout is for the JSON of our commands.
_ALWAYS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
#: What MLflow is told, unless the environment says otherwise: little talk, and a dead server is given up soon.
_DEFAULTS = {
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
}


def place() -> str:
    """Where the record is, for people: the database file, or the server without any password."""
    uri = settings().tracking_uri
    if not uri:
        return str(settings().runs / "runs.db")
    parts = urlsplit(uri)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def available() -> bool:
    """Whether the extra `record` is installed."""
    from importlib.util import find_spec

    return all(find_spec(name) is not None for name in ("mlflow", "sqlalchemy", "alembic"))


def connect() -> tuple[MlflowClient, str]:
    """A client and the id of the experiment, which is made where it is missing.

    Raises MissingExtraError without the extra; whatever MLflow raises where the store or server cannot be reached.
    """
    if not available():
        raise MissingExtraError(f"The record of trainings needs an extra that is not installed; get it with {INSTALL}")
    os.environ.update(_ALWAYS)
    for key, value in _DEFAULTS.items():
        os.environ.setdefault(key, value)
    for name in ("mlflow", "alembic", "urllib3.connectionpool"):
        logging.getLogger(name).setLevel(logging.ERROR)
    uri = settings().tracking_uri
    if uri:
        return _opened(uri, None)
    from retail_seg.system.files import locked

    folder = settings().runs
    with locked(folder / "opening.lock"):  # who opens it first makes the tables, and nobody may see half of them
        return _opened(f"sqlite:///{folder / 'runs.db'}", (folder / "artifacts").as_uri())


def _opened(uri: str, artifacts: str | None) -> tuple[MlflowClient, str]:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    name = settings().experiment
    known = client.get_experiment_by_name(name)
    return client, str(known.experiment_id if known else client.create_experiment(name, artifact_location=artifacts))


def reachable() -> tuple[MlflowClient, str]:
    """`connect` for who reads the record: RecordError in one sentence where it cannot be reached."""
    try:
        return connect()
    except MissingExtraError:
        raise
    except Exception as error:  # noqa: BLE001 - MLflow, SQLAlchemy, requests: all mean "no record there" to a user
        raise RecordError(f"{place()}: the record of trainings cannot be reached ({reason_of(error)})") from None


def reason_of(error: Any) -> str:
    """The first line of what a library said, without addresses that may hold a password."""
    first = (str(error).strip().splitlines() or [""])[0].strip() or type(error).__name__
    uri = settings().tracking_uri
    return (first.replace(uri, place()) if uri else first)[:200]
