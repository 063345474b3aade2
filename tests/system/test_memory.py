from __future__ import annotations

import platform
import subprocess
import sys

import pytest

#: Twelve threads at once make and drop blocks of 4 MB and keep small pieces between them.
CHECK = """
import threading
from retail_seg.system.memory import hand_memory_back, resident_bytes
if {handed}:
    assert hand_memory_back()
before, kept, together = resident_bytes(), [], threading.Barrier(12)
def work():
    together.wait()
    for _ in range(40):
        large = bytearray(b"x") * 2**22
        kept.append(bytearray(b"y") * 3000)
        del large
    together.wait()
for _ in range(3):
    threads = [threading.Thread(target=work) for _ in range(12)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
print(resident_bytes() - before)
"""


def left(handed: bool) -> int:
    """Bytes that a process has left of it."""
    words = [sys.executable, "-c", CHECK.format(handed=handed)]
    return int(subprocess.run(words, capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="speaks of glibc")
def test_what_many_threads_free_goes_back_to_the_system() -> None:
    assert left(handed=True) < left(handed=False)
