"""Shared by several test modules: an annotation set, and the demo, run once whatever number of processes tests."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from retail_seg.system.files import locked

if TYPE_CHECKING:
    from api_helpers import Api

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


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Networks that tests compile are kept for one process and one run; what the person has compiled is copied in.

    Fetched weights stay where they are: tests only read them.
    """
    from index import runtime, weights

    folder = tmp_path_factory.mktemp("cache")
    if runtime.cache_folder().is_dir():
        try:
            shutil.copytree(runtime.cache_folder(), folder / "compiled", ignore=shutil.ignore_patterns("tmp*"))
        except shutil.Error:  # somebody is just writing there, and half an entry is none: everything is compiled anew
            shutil.rmtree(folder / "compiled")
    if weights.cache_folder().is_dir():
        (folder / "weights").symlink_to(weights.cache_folder().absolute())
    os.environ["RETAIL_SEG_CACHE"] = str(folder)
    return folder


@pytest.fixture(scope="session")
def milvus_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A server of Milvus for all tests: two of them take each other's ports. Who kills it starts it again."""
    from milvus_server import started

    server = started(tmp_path_factory.mktemp("milvus"))
    yield server
    server.stop()


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
    """The folder of a tiny model that knows discs on a dark ground; trained once, for all test processes."""
    from teaching_helpers import tiny_model

    made = made_once(tmp_path_factory, "disc-model", lambda folder: tiny_model(folder) and None)
    return shutil.copytree(made / "model", tmp_path_factory.mktemp("disc-model") / "model")


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


@pytest.fixture(scope="session")
def api_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small store of rendered products; copy it before you open it."""
    from api_helpers import small_store

    return made_once(tmp_path_factory, "api-store", lambda folder: small_store(folder / "store") and None) / "store"


@pytest.fixture
def small(api_store: Path, tmp_path: Path) -> Path:
    """A copy of that store for one test."""
    return shutil.copytree(api_store, tmp_path / "store")


@pytest.fixture(scope="module")
def api(api_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """A server on a copy of that store, for a module."""
    from api_helpers import served, tokens_for

    folder = shutil.copytree(api_store, tmp_path_factory.mktemp("api") / "store")
    with served(folder, tokens_for(folder)) as found:
        yield found
