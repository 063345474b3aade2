"""Shared by several test modules: the demo, run once for the whole session."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# An error of the program is raised in a test, not shown as a sentence.
os.environ["RETAIL_SEG_DEBUG"] = "1"
os.environ.pop("MLFLOW_TRACKING_URI", None)


@pytest.fixture(scope="session", autouse=True)
def runs_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trainings of the tests go on a record of their own, never on that of the person who runs them."""
    folder = tmp_path_factory.mktemp("runs")
    os.environ["RETAIL_SEG_RUNS"] = str(folder)
    return folder


@pytest.fixture(scope="session")
def demo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the demo ran with one photo: `store` and `out`. Copy what you want to change."""
    from retail_seg.demo import run_demo

    folder = tmp_path_factory.mktemp("demo")
    run_demo(folder / "store", folder / "out", photos=1, say=lambda line: None)
    return folder


@pytest.fixture(scope="session")
def disc_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny model that knows discs on a dark ground."""
    from teaching_helpers import tiny_model

    return tiny_model(tmp_path_factory.mktemp("disc-model"))
