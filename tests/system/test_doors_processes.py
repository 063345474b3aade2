"""Child processes import the program that started them, not what lies in the folder where it was started."""

from __future__ import annotations

import ast
import os
import subprocess
from pathlib import Path

import pytest

from retail_seg.bench.benchmark import starting
from retail_seg.teaching import trainings

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("catalogue.py", "index.py", "retail_seg.py", "json.py")


@pytest.fixture
def poisoned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with modules of our names that leave a mark when they are imported."""
    folder, mark = tmp_path / "downloads", tmp_path / "mark"
    folder.mkdir()
    for name in NAMES:
        (folder / name).write_text(f"open({str(mark)!r}, 'a').write({name!r})\nraise SystemExit('poisoned')\n")
    monkeypatch.chdir(folder)
    return mark


@pytest.fixture
def command() -> list[str]:
    run = trainings.Training("20260101-000000", "", "", (), (), 1.0, None, 0, False, "")
    return trainings._command(run, Path("nowhere"), Path("photos"))


def test_a_training_imports_nothing_of_the_working_directory(poisoned: Path, command: list[str]) -> None:
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    start = command[: command.index("retail_seg") + 1]
    done = subprocess.run([*start, "--help"], env=os.environ | {"PYTHONPATH": paths}, capture_output=True, check=False)
    assert not poisoned.exists(), "a module of the working directory was imported"
    assert done.returncode == 0 and b"train" in done.stdout


def test_a_measured_start_does_not_either(poisoned: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    starting._retail_seg("--help")
    assert not poisoned.exists()


def test_every_child_python_is_started_without_the_working_directory() -> None:
    for path in (ROOT / "retail_seg").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.List):
                continue
            words = [ast.unparse(word) for word in node.elts]
            if "sys.executable" in words:
                after = words[words.index("sys.executable") + 1]
                assert after == "'-P'", f"{path}:{node.lineno}: sys.executable without -P"
