"""Peak memory of this process, and setting the peak back, where the system tells."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import sys
from pathlib import Path

_STATUS, _REFS = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def peak_mb() -> float:
    """Most memory that this process has held since the peak was set back, in MiB (0 where the system does not say)."""
    if _STATUS.is_file():
        lines = dict(line.split(":", 1) for line in _STATUS.read_text().splitlines() if ":" in line)
        return int(lines["VmHWM"].split()[0]) / 1024
    try:
        import resource
    except ImportError:  # not on Windows
        return 0.0
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used / 2**20 if sys.platform == "darwin" else used / 1024


def reset_peak() -> None:
    """Give unused memory back and begin a new peak, on Linux; elsewhere the peak stays the process's."""
    gc.collect()
    if not _REFS.is_file():
        return
    with contextlib.suppress(OSError, AttributeError):  # another C library keeps what it has
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    with contextlib.suppress(OSError):  # a container may forbid it: the peak stays the process's
        _REFS.write_text("5")  # proc(5), clear_refs: resets the peak of the resident set
