"""The most memory that a process holds: while a block runs, or in a process that scans one photo and ends."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from retail_seg.bench.benchmark.measure import memory_mb
from retail_seg.system.processes import environment

#: argv is the store and the photo.
_SCAN = """
import json, sys
from retail_seg.bench.benchmark.measure import memory_mb
from retail_seg.bench.benchmark.peak import Peak
from retail_seg.matcher import Matcher

with Peak() as peak, Matcher.open(sys.argv[1]) as matcher:
    matcher.scan(sys.argv[2])
print(json.dumps({"own": peak.most, "resident": memory_mb("VmHWM")}))
"""


@dataclass(frozen=True)
class MostHeld:
    """MB (2^20 bytes) that a process held at most: `own` without what is mapped from files, `resident` with it."""

    own: float
    resident: float


def most_held(store: Path, photo: bytes) -> MostHeld:
    """Open a store and scan one photo in a process of its own."""
    with tempfile.NamedTemporaryFile(suffix=".jpg") as file:
        file.write(photo)
        file.flush()
        words = [sys.executable, "-P", "-c", _SCAN, str(store), file.name]
        done = subprocess.run(words, capture_output=True, text=True, check=True, env=environment())
    return MostHeld(**json.loads(done.stdout))


class Peak:
    """The most memory that this process holds while the block runs, looked at every few milliseconds."""

    def __init__(self) -> None:
        self.most = memory_mb()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def _watch(self) -> None:
        while not self._done.is_set():
            self.most = max(self.most, memory_mb())
            time.sleep(0.005)

    def __enter__(self) -> Peak:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
