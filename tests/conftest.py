"""Shared by several test modules: an annotation set, and the demo, run once whatever number of processes tests."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from retail_seg.system.files import locked

if TYPE_CHECKING:
    from retail_seg.teaching import Teaching
    from retail_seg.teaching.editor import Editor

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


@pytest.fixture
def teaching(tmp_path: Path) -> Teaching:
    """An empty annotation set."""
    from retail_seg.teaching import Teaching

    return Teaching(tmp_path / "store")


@pytest.fixture
def editor(teaching: Teaching, disc_model: Path) -> Editor:
    """The tools over `teaching`, with the tiny model."""
    from retail_seg.segmentation.segmenter import Segmenter
    from retail_seg.teaching.editor import Editor

    loaded = Segmenter.load(disc_model)
    return Editor(teaching, lambda: loaded)
