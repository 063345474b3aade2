"""Files that appear whole or not at all, and locks between processes."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_file(path: Path, *, private: bool = False) -> Iterator[Path]:
    """A temporary path beside `path` to write to; it takes `path`'s place when the block ends without an error.

    A `private` one can be read by its owner alone.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(handle)
    try:
        yield Path(name)
        os.chmod(name, 0o600 if private else 0o666 & ~_umask())
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def replace_file(path: Path, data: bytes, *, private: bool = False) -> None:
    """Write `data` at `path` in one step."""
    with whole_file(path, private=private) as temporary:
        temporary.write_bytes(data)


@contextmanager
def locked(path: Path, *, wait: bool = True, shared: bool = False) -> Iterator[int]:
    """Hold the lock file `path` against other threads and processes; yields its file descriptor.

    Without `wait`, BlockingIOError where somebody holds it; `shared` holders do not keep each other out. A process
    that inherits the descriptor holds the lock on.
    """
    import fcntl

    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))
        yield file.fileno()


def _umask() -> int:
    value = os.umask(0)
    os.umask(value)
    return value
