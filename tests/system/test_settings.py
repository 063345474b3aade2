"""What the environment says: each variable, what holds without it, and that all of them stand in the table."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import index.settings
from retail_seg.system import settings as told
from retail_seg.system.settings import settings

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def nothing_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in re.findall(r"`([A-Z_]{5,})`", told.__doc__ or ""):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


def test_without_a_word_everything_has_a_place(nothing_said: None, tmp_path: Path) -> None:
    found = settings()
    assert (found.store, found.user, found.precision, found.debug, found.threads) == (
        Path("store"), "", "auto", False, None
    )  # fmt: skip
    assert (found.tracking_uri, found.experiment) == ("", "retail-seg")


def test_what_is_said_counts_at_once(nothing_said: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    said = {
        "RETAIL_SEG_STORE": "shop", "RETAIL_SEG_USER": "ann", "RETAIL_SEG_RUNS": "kept", "RETAIL_SEG_DEBUG": "1",
        "RETAIL_SEG_PRECISION": "int8", "OMP_NUM_THREADS": "3", "MLFLOW_TRACKING_URI": "http://shop",
        "MLFLOW_EXPERIMENT_NAME": "autumn", "RETAIL_SEG_KEY": "signing", "RETAIL_SEG_PASSPHRASE": "secret",
    }  # fmt: skip
    monkeypatch.chdir(tmp_path)
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    assert settings() == told.Settings(
        Path("shop"), "ann", tmp_path / "kept", "int8", True, 3, "http://shop", "autumn", Path("signing"), "secret"
    )  # fmt: skip


@pytest.mark.parametrize("text", ["", "0", "4,2", "many", "-1"])
def test_threads_that_are_no_number_say_nothing(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", text)
    assert settings().threads is None


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="the folders are Linux's")
def test_folders_lie_where_they_always_lay(nothing_said: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert index.settings.cache_folder("compiled") == tmp_path / ".cache" / "retail-seg" / "compiled"
    assert settings().runs == tmp_path / ".local" / "share" / "retail-seg" / "runs"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "c"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "d"))
    assert index.settings.cache_folder("weights") == tmp_path / "c" / "retail-seg" / "weights"
    assert settings().runs == tmp_path / "d" / "retail-seg" / "runs"


def test_every_variable_of_ours_stands_in_the_table() -> None:
    sources = [path for package in ("retail_seg", "index") for path in (ROOT / package).rglob("*.py")]
    named = {name for path in sources for name in re.findall(r"RETAIL_SEG_[A-Z]+", path.read_text(encoding="utf-8"))}
    assert named == set(re.findall(r"RETAIL_SEG_[A-Z]+", told.__doc__ or ""))
