"""Files that appear whole or not at all, and locks between processes."""

from __future__ import annotations

import csv
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from retail_seg.errors import MissingExtraError

#: Longer lines of a list, in characters, are not read: a file without line ends would fill the memory.
MAX_LINE = 1_000_000


@contextmanager
def whole_file(path: Path, *, private: bool = False) -> Iterator[Path]:
    """A temporary path beside `path` to write to; it takes `path`'s place when the block ends without an error.

    A `private` one can be read by its owner alone.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    # Made with the rights that it is to have, less what the kernel's mask takes: to ask for the mask is to change it
    # for a moment, in every thread. O_EXCL follows no link that somebody laid there.
    os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600 if private else 0o666))
    try:
        yield temporary
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def replace_file(path: Path, data: bytes, *, private: bool = False) -> None:
    """Write `data` at `path` in one step."""
    with whole_file(path, private=private) as temporary:
        temporary.write_bytes(data)


def bounded_lines(file: TextIO) -> Iterator[str]:
    """The lines of a text file for a CSV reader; raises csv.Error at one that is longer than MAX_LINE."""
    number = 0
    while line := file.readline(MAX_LINE + 1):
        number += 1
        if len(line) > MAX_LINE:
            raise csv.Error(f"line {number} is longer than {MAX_LINE:,} characters")
        yield line


@contextmanager
def locked(path: Path, *, wait: bool = True, shared: bool = False) -> Iterator[int]:
    """Hold the lock file `path` against other threads and processes; yields its file descriptor.

    Without `wait`, BlockingIOError where somebody holds it; `shared` holders do not keep each other out. A process
    that inherits the descriptor holds the lock on. MissingExtraError on a system that has no such locks.
    """
    try:
        import fcntl
    except ImportError:
        raise MissingExtraError(
            "retail-seg does not run on Windows: its locks between processes are those of Unix; run it under WSL"
        ) from None

    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))
        yield file.fileno()
