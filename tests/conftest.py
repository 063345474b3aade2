"""Shared by several test modules: the demo, run once for the whole session, whatever number of processes tests."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from retail_seg.files import locked

# An error of the program is raised in a test, not shown as a sentence.
os.environ["RETAIL_SEG_DEBUG"] = "1"
os.environ.pop("MLFLOW_TRACKING_URI", None)
if "PYTEST_XDIST_WORKER" in os.environ:  # processes side by side share the cores among them
    os.environ.setdefault("OMP_NUM_THREADS", "1")


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

    def make(folder: Path) -> None:
        run_demo(folder / "store", folder / "out", photos=1, say=lambda line: None)

    return shutil.copytree(made_once(tmp_path_factory, "demo", make), tmp_path_factory.mktemp("own") / "demo")


def pytest_sessionfinish() -> None:
    """Wait for the threads of the pages: one that Python ends amid compiled code takes the whole process down."""
    for thread in threading.enumerate():
        if thread.name.startswith("ScriptRunner"):
            thread.join(30)


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """A folder that one of the test processes fills and all of them copy; nobody opens a store in it."""
    base = factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / f"shared-{name}"
    with locked(folder / "making.lock"):
        if not (folder / "whole").exists():
            make(folder)
            (folder / "whole").touch()
    return folder


@pytest.fixture(scope="session")
def disc_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny model that knows discs on a dark ground."""
    from teaching_helpers import tiny_model

    return tiny_model(tmp_path_factory.mktemp("disc-model"))
