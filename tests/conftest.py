"""Shared by several test modules: the demo, run once for the whole session."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def demo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the demo ran with one photo: `store` and `out`. Copy what you want to change."""
    from retail_seg.demo import run_demo

    folder = tmp_path_factory.mktemp("demo")
    run_demo(folder / "store", folder / "out", photos=1, say=lambda line: None)
    return folder
