"""What the environment says to the program: all of it is read here, beside what `index.settings` reads for its package.

| variable                 | says                                                | without it                         |
| ------------------------ | --------------------------------------------------- | ---------------------------------- |
| `RETAIL_SEG_STORE`       | the store that commands work on and the app shows   | `store` in the working directory   |
| `RETAIL_SEG_USER`        | who sits at this computer, for the log              | the name of the login              |
| `RETAIL_SEG_RUNS`        | folder of the record of trainings                   | `retail-seg/runs` of the user's    |
|                          |                                                     | data (`XDG_DATA_HOME`, `~/.local`) |
| `RETAIL_SEG_PRECISION`   | of the embedder: `auto`, `bf16`, `f32`, `int8`      | `auto`                             |
| `RETAIL_SEG_KEY`         | file of the key that signs what is published        | `retail-seg/publish.key` of the    |
|                          |                                                     | user's data                        |
| `RETAIL_SEG_PASSPHRASE`  | the passphrase of that key, where nobody is there   | it is asked                        |
|                          | to be asked                                         |                                    |
| `RETAIL_SEG_DEBUG`       | pages raise what nobody foresaw                     | a sentence                         |
| `RETAIL_SEG_SMTP_PASS`   | password at the mail server that alerts go through  | no login there                     |
| `RETAIL_SEG_CACHE`       | see `index.settings`                                | the user's cache folder            |
| `RETAIL_SEG_DEVICE`      | see `index.settings`                                | a graphics processor if there is   |
| `RETAIL_SEG_MILVUS`      | see `index.settings`                                | no token                           |
| `RETAIL_SEG_THREADS`     | see `index.settings`                                | a core each                        |
| `OMP_NUM_THREADS`        | threads that a method of a comparison computes with | a core each                        |
| `MLFLOW_TRACKING_URI`    | a tracking server instead of the folder             | the folder                         |
| `MLFLOW_EXPERIMENT_NAME` | the experiment's name there                         | `retail-seg`                       |

Programs that are started find this program by `PYTHONPATH`, see `system.processes`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_data_path


@dataclass(frozen=True)
class Settings:
    """The environment at one moment, see the table above; texts are empty where nothing is said."""

    store: Path
    user: str
    runs: Path
    precision: str
    debug: bool
    threads: int | None
    tracking_uri: str
    experiment: str
    key: Path
    passphrase: str
    smtp_pass: str = ""


def settings() -> Settings:
    """What the environment says now."""
    said = os.environ.get
    runs, threads = said("RETAIL_SEG_RUNS"), said("OMP_NUM_THREADS", "")
    data = user_data_path("retail-seg", appauthor=False)
    return Settings(
        store=Path(said("RETAIL_SEG_STORE", "store")),
        user=said("RETAIL_SEG_USER", ""),
        runs=Path(runs).absolute() if runs else data / "runs",
        precision=said("RETAIL_SEG_PRECISION", "auto"),
        debug=bool(said("RETAIL_SEG_DEBUG")),
        threads=int(threads) if threads.isdigit() and int(threads) > 0 else None,
        tracking_uri=said("MLFLOW_TRACKING_URI", ""),
        experiment=said("MLFLOW_EXPERIMENT_NAME") or "retail-seg",
        key=Path(said("RETAIL_SEG_KEY") or data / "publish.key"),
        passphrase=said("RETAIL_SEG_PASSPHRASE", ""),
        smtp_pass=said("RETAIL_SEG_SMTP_PASS", ""),
    )
