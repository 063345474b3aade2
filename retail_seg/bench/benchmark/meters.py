"""Meters beside the clock: what else the machine did meanwhile, and the energy that its processors took."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

#: Where Linux shows the counters of RAPL (running average power limit), a folder for each domain.
POWERCAP = Path("/sys/class/powercap")
_STAT = Path("/proc/stat")


class Beside:
    """How many cores other processes kept busy while the block ran: `cores`, None where the system does not tell.

    The time in which a hypervisor gave the machine's cores to others counts, too.
    """

    cores: float | None = None

    def __enter__(self) -> Beside:
        self._begun = time.perf_counter(), _own(), _busy()
        return self

    def __exit__(self, *_: object) -> None:
        began, own, busy = self._begun
        now = _busy()
        if busy is not None and now is not None:
            passed = max(time.perf_counter() - began, 1e-9)
            self.cores = max(now - busy - (_own() - own), 0.0) / passed


def _own() -> float:
    """Seconds of processor time of this process and of the children that it has waited for."""
    taken = os.times()
    return taken.user + taken.system + taken.children_user + taken.children_system


def _busy() -> float | None:
    """Seconds that all cores together have worked since the start: user, nice, system, interrupts, stolen."""
    if not _STAT.exists():
        return None
    user, nice, system, _, _, irq, softirq, steal = map(int, _STAT.read_text().split(None, 9)[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def joules(work: Callable[[], Any], folder: Path = POWERCAP) -> float | None:
    """Energy that all processor packages take while the work runs; None where it is not readable.

    Counters of RAPL (Intel, AMD) in microjoules, which begin anew at `max_energy_range_uj`: some 40 minutes at 100 W,
    so that the work must be shorter. What else the machine does is in it.
    """
    packages = _packages(folder)
    before = [_counted(one) for one in packages]
    work()
    after = [_counted(one) for one in packages]
    if not packages or None in before + after:
        return None
    spent = 0
    for one, begun, now in zip(packages, before, after, strict=True):
        assert begun is not None and now is not None
        spent += now - begun if now >= begun else now - begun + int((one / "max_energy_range_uj").read_text())
    return spent / 1e6


def _packages(folder: Path) -> list[Path]:
    """The domains of whole processors: not their parts (intel-rapl:0:0), nor the board's sum ("psys")."""
    domains = [one for one in sorted(folder.glob("intel-rapl:*")) if one.name.count(":") == 1]
    return [one for one in domains if (one / "name").read_text().startswith("package")]


def _counted(package: Path) -> int | None:
    try:
        return int((package / "energy_uj").read_text())
    except OSError:  # the kernel lets root alone read it, and a container often has none
        return None


def energy_words(spent: float | None, times: int) -> str:
    """The energy of one of `times` runs, or that it cannot be read here."""
    if spent is None:
        return f"Energy: not readable here (no counters of RAPL that this process may read in {POWERCAP})."
    return f"Energy: {spent / times:.1f} J each, of all processor packages (RAPL), with whatever else they did."


def beside_words(cores: float | None) -> str:
    """Whether other work ran meanwhile, for who reads the figures."""
    if cores is None:
        return "What else the machine did meanwhile is not known here."
    return f"Other work kept {cores:.1f} cores busy meanwhile" + (": times are too long." if cores >= 0.2 else ".")
