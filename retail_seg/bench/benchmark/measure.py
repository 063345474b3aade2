"""What every measurement shares: times taken in turns, rows with the goal beside them, and the machine's name."""

from __future__ import annotations

import ctypes
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from retail_seg.bench.benchmark.meters import Beside
from retail_seg.system.threads import cores

#: What a processor has to say about fast matrix products, in the words of /proc/cpuinfo.
_FLAGS = ("amx_tile", "amx_bf16", "amx_int8", "avx512_bf16", "avx512_vnni", "avx_vnni", "avx512f", "avx2")
_PACKAGES = ("torch", "torchvision", "openvino", "faiss-cpu", "numpy", "opencv-python-headless",
             "segmentation-models-pytorch")  # fmt: skip


@dataclass(frozen=True)
class Reading:
    """One line of a table: what was measured, this program's figure, the peer's, and the goal.

    `ratio` is how many times faster than the peer; `reached` None where there is no goal or nothing to compare with.
    """

    name: str
    ours: str
    peer: str = ""
    ratio: float | None = None
    goal: str = ""
    reached: bool | None = None


@dataclass(frozen=True)
class Section:
    """What one stage's measurement found: a table, remarks for people, and the numbers for the JSON line."""

    title: str
    rows: Sequence[Reading]
    notes: Sequence[str] = ()
    data: Mapping[str, Any] = field(default_factory=dict)

    def table(self) -> str:
        """The rows under a heading, with the remarks below."""
        lines = [self.title, f"  {'':44} {'this':>13} {'peer':>13} {'ratio':>7}  goal"]
        for row in self.rows:
            ratio = "" if row.ratio is None else f"{row.ratio:7.2f}"
            verdict = {True: "reached", False: "MISSED", None: ""}[row.reached]
            lines.append(f"  {row.name:44} {row.ours:>13} {row.peer:>13} {ratio:>7}  {row.goal:22} {verdict}".rstrip())
        return "\n".join([*lines, *(f"  {note}" for note in self.notes)])

    def to_dict(self) -> dict[str, Any]:
        """The numbers, rounded, and which goals were reached."""
        goals = {row.name: row.reached for row in self.rows if row.reached is not None}
        return rounded({**self.data, "goals": goals})


def faster(name: str, ours: float, peer: float, goal: float | None = None, *, per: int = 1) -> Reading:
    """A row of two times in seconds, shown in milliseconds for each of `per` things."""
    ratio = peer / ours
    said = "" if goal is None else f">= {goal:g} x"
    reached = None if goal is None else ratio >= goal
    return Reading(name, milliseconds(ours / per), milliseconds(peer / per), ratio, said, reached)


def milliseconds(seconds: float) -> str:
    """A time for people."""
    return f"{1000 * seconds:.1f} ms" if seconds < 10 else f"{seconds:.1f} s"


def timed(work: Callable[[], Any]) -> float:
    """Seconds that one call takes."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


class TurnTimes(dict[str, float]):
    """Median seconds of each work by name; `spread` holds the quartiles and the median, for the JSON line.

    `beside` is how many cores other work kept busy meanwhile, where that is known.
    """

    def __init__(self, times: Mapping[str, Sequence[float]], beside: float | None = None) -> None:
        self.beside = beside
        super().__init__({name: float(np.median(taken)) for name, taken in times.items()})
        self.spread = {name: np.quantile(taken, (0.25, 0.5, 0.75)).tolist() for name, taken in times.items()}


def in_turns(works: Mapping[str, Callable[[], Any]], rounds: int) -> TurnTimes:
    """Median seconds of each work; they take turns, so that whatever else the machine does falls on all of them.

    Each runs once before, unmeasured: what is built on a first call is no part of the time.
    """
    for work in works.values():
        work()
    times: dict[str, list[float]] = {name: [] for name in works}
    with Beside() as others:
        for _ in range(rounds):
            for name, work in works.items():
                times[name].append(timed(work))
    return TurnTimes(times, others.cores)


def use_all_cores() -> None:
    """Let PyTorch and FAISS, the peers, use every core, whatever the environment says: the program does, too."""
    import faiss
    import torch

    torch.set_num_threads(cores())
    faiss.omp_set_num_threads(cores())


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    model, flags = processor()
    versions = {}
    for name in _PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "not installed"
    return {
        "cpu": model,
        "flags": flags,
        "cores": cores(),
        "load_before": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "versions": versions,
    }


def processor() -> tuple[str, list[str]]:
    """The processor's name and which of the instructions for fast matrix products it has."""
    path = Path("/proc/cpuinfo")
    if not path.exists():
        return platform.processor() or platform.machine(), []
    lines = path.read_text().splitlines()
    halves = [line.partition(":") for line in reversed(lines)]
    pairs = {name.strip(): value.strip() for name, _, value in halves}
    has = set(pairs.get("flags", pairs.get("Features", "")).split())
    return pairs.get("model name", platform.machine()), [flag for flag in _FLAGS if flag in has]


def multiplies_bfloat16() -> bool:
    """Whether the processor has instructions that multiply bfloat16 (AMX or AVX512-BF16)."""
    return bool({"amx_bf16", "avx512_bf16"} & set(processor()[1]))


def machine_line(about: Mapping[str, Any]) -> str:
    """`machine()` in one line for people."""
    flags = ", ".join(about["flags"]) or "no fast matrix instructions known"
    versions = ", ".join(f"{name} {number}" for name, number in about["versions"].items())
    return f"{about['cpu']}, {about['cores']} cores ({flags}); Python {about['python']}, {versions}"


def memory_mb(line: str = "RssAnon") -> float:
    """Resident memory of this process in MB (2^20 bytes), what is mapped from files not counted; 0 if not known.

    `line` is another of Linux's /proc/self/status: "VmHWM" is the most that was resident, mapped files among it.
    """
    path = Path("/proc/self/status")
    if not path.exists():
        return 0.0
    found = [text for text in path.read_text().splitlines() if text.startswith(f"{line}:")]
    return int(found[0].split()[1]) / 1024 if found else 0.0


def give_memory_back() -> None:
    """Hand what was freed back to the system, where the C library can (glibc): else it counts as held."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim:
        trim(0)


def rounded(value: Any) -> Any:
    """The value with every float in it rounded to four digits behind the point."""
    if isinstance(value, (float, np.floating)):
        return round(float(value), 4)
    if isinstance(value, dict):
        return {name: rounded(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(one) for one in value]
    return value
