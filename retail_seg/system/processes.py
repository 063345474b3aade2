"""Work in a Python of its own: it imports this very program, tells how far it is in lines of JSON, and can be ended."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

#: Seconds that a process has to lay down what it has when it is asked to end.
PATIENCE = 60.0
#: The folder in which this program's packages lie.
_HOME = str(Path(__file__).resolve().parents[2])


def command(module: str, *arguments: str, behind: bool = False) -> list[str]:
    """The call of `python -m module`; `behind` other work of the machine where the system has `nice`.

    -P: a catalogue.py in the working directory must not stand in for ours.
    """
    nice = shutil.which("nice") if behind else None
    return [*([nice, "-n", "5"] if nice else []), sys.executable, "-P", "-m", module, *arguments]


def environment(**more: str) -> dict[str, str]:
    """This process's environment for a child that imports this very program, wherever it was called, and `more`."""
    paths = os.pathsep.join(filter(None, [_HOME, os.environ.get("PYTHONPATH", "")]))
    return os.environ | {"PYTHONPATH": paths} | more


def start(
    words: Sequence[str], log: IO[Any], *, out: IO[Any] | None = None, inherits: Sequence[int] = (), **more: str
) -> subprocess.Popen[str]:
    """Start `words` (see `command`) in a group of its own, which outlives this process; nothing waits for its end.

    What it says goes to `log`, its lines of JSON to `out`, to a pipe where that is None. It holds the file descriptors
    `inherits`, and finds `more` in its environment.
    """
    return subprocess.Popen(
        words, stdin=subprocess.DEVNULL, stdout=out or subprocess.PIPE, stderr=log, text=True, errors="replace",
        pass_fds=inherits, start_new_session=True, env=environment(**more),
    )  # fmt: skip


@contextmanager
def lines_of(process: subprocess.Popen[str]) -> Iterator[Iterator[dict[str, Any]]]:
    """The lines of JSON that a process writes to its pipe, as they come; it has ended when the block has."""
    assert process.stdout is not None
    try:
        yield (values for line in process.stdout if (values := json_line(line)))
        process.wait()
    finally:
        end(process)
        process.stdout.close()


def tell(share: float, text: str) -> None:
    """Say on stdout how much is done (0 to 1) and at what: for the work itself, heard by `lines_of`."""
    print(json.dumps({"share": round(share, 3), "text": text}), flush=True)


def json_line(line: str) -> dict[str, Any]:
    """The object that a line holds; empty for what is none: a library prints, or the line is being written still."""
    try:
        values = json.loads(line)
    except ValueError:
        return {}
    return values if isinstance(values, dict) else {}


def json_lines(path: Path) -> list[dict[str, Any]]:
    """The whole lines of JSON of a file that may still be written to; none where there is no file."""
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return [values for line in lines if (values := json_line(line))]


def ask_to_end(pid: int) -> None:
    """Ask a process, which may have ended, to lay down what it has and end; this returns at once."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)


def end(process: subprocess.Popen[str], patience: float = PATIENCE) -> None:
    """End a process: it is asked to, and after so many seconds killed with all that it started."""
    if process.poll() is not None:
        return
    ask_to_end(process.pid)
    try:
        process.wait(patience)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
