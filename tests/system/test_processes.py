"""Work in a Python of its own: what it tells is heard, what is none of it passes, and its end takes all it started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from retail_seg.system.processes import ask_to_end, command, end, environment, json_lines, lines_of, start
from retail_seg.system.progress import CANCELLED, DONE, Progress

ROOT = Path(__file__).resolve().parents[2]


def child(script: str, log: Path) -> subprocess.Popen[str]:
    with log.open("w") as file:
        return start([sys.executable, "-P", "-c", script], file)


def gone(pid: int) -> bool:
    """Whether a process has ended; one that nobody has waited for yet has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_what_a_child_tells_is_heard_and_what_a_library_prints_is_not(tmp_path: Path) -> None:
    script = """
import sys
from retail_seg.system.processes import tell
print("a library"); print("[1, 2]"); print('{"half": ')
tell(0.25, "learning"); tell(1, "testing")
sys.exit("said at last")
"""
    process = child(script, tmp_path / "log.txt")
    with lines_of(process) as lines:
        assert list(lines) == [{"share": 0.25, "text": "learning"}, {"share": 1, "text": "testing"}]
    assert process.returncode == 1 and (tmp_path / "log.txt").read_text() == "said at last\n"


def test_an_error_while_listening_ends_the_child(tmp_path: Path) -> None:
    process = child("import time\nprint('{\"share\": 0}', flush=True)\ntime.sleep(600)", tmp_path / "log.txt")
    with pytest.raises(KeyboardInterrupt), lines_of(process) as lines:
        next(lines)
        raise KeyboardInterrupt
    assert process.returncode == -signal.SIGTERM


def test_who_does_not_end_when_asked_is_killed_with_what_it_started(tmp_path: Path) -> None:
    script = """
import json, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
inner = subprocess.Popen([sys.executable, "-P", "-c", "import time; time.sleep(600)"])
print(json.dumps({"inner": inner.pid}), flush=True)
time.sleep(600)
"""
    process = child(script, tmp_path / "log.txt")
    with lines_of(process) as lines:
        inner = next(lines)["inner"]
        assert not gone(inner)
        end(process, patience=0.05)
    assert process.returncode == -signal.SIGKILL
    while not gone(inner):  # the kernel takes a moment
        time.sleep(0.01)


def test_a_process_that_has_ended_is_asked_in_vain(tmp_path: Path) -> None:
    process = child("", tmp_path / "log.txt")
    process.communicate()
    ask_to_end(process.pid)
    end(process)
    assert process.returncode == 0


def test_a_child_finds_this_program_and_what_it_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "elsewhere")
    found = environment(RETAIL_SEG_USER="ann")
    assert found["PYTHONPATH"].split(os.pathsep) == [str(ROOT), "elsewhere"] and found["RETAIL_SEG_USER"] == "ann"
    monkeypatch.delenv("PYTHONPATH")
    assert environment()["PYTHONPATH"] == str(ROOT)


def test_a_call_behind_other_work_is_the_same_call(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = command("retail_seg", "train")
    assert plain == [sys.executable, "-P", "-m", "retail_seg", "train"]
    assert command("retail_seg", "train", behind=True)[-5:] == plain
    monkeypatch.setenv("PATH", "")
    assert command("retail_seg", "train", behind=True) == plain


def test_lines_of_a_file_are_read_while_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "progress.jsonl"
    assert json_lines(path) == []
    path.write_text('{"step": 1}\nnoise\n{"step": 2}\n{"ste')
    assert json_lines(path) == [{"step": 1}, {"step": 2}]


def test_progress_says_how_it_ended() -> None:
    half = Progress().at(0.5, "reading").at(0.6)
    assert (half.running, half.share, half.text) == (True, 0.6, "reading")
    assert half.ended(DONE) == Progress(DONE, 1.0, "reading")
    assert half.ended(CANCELLED, "by ann") == Progress(CANCELLED, 0.6, "reading", "by ann")
