"""Energy by made-up counters, and other work by what this process itself does not do."""

from __future__ import annotations

from pathlib import Path

import pytest

from retail_seg.bench.benchmark import meters
from retail_seg.bench.benchmark.meters import Beside, beside_words, energy_words, joules


def domain(folder: Path, number: str, name: str, energy: int) -> Path:
    """A domain of RAPL as the kernel shows it."""
    made = folder / f"intel-rapl:{number}"
    made.mkdir()
    for file, said in (("name", name), ("energy_uj", energy), ("max_energy_range_uj", 1_000_000_000)):
        (made / file).write_text(f"{said}\n")
    return made


def test_packages_are_added_and_counters_may_begin_anew(tmp_path: Path) -> None:
    first, second = domain(tmp_path, "0", "package-0", 5_000_000), domain(tmp_path, "1", "package-1", 999_000_000)
    part, board = domain(tmp_path, "0:0", "core", 0), domain(tmp_path, "2", "psys", 0)

    def work() -> None:
        (first / "energy_uj").write_text("12000000\n")  # 7 J
        (second / "energy_uj").write_text("2000000\n")  # 3 J, across the counter's end
        for other in (part, board):
            (other / "energy_uj").write_text("900000000\n")

    assert joules(work, tmp_path) == pytest.approx(10.0)
    assert "Energy: 5.0 J each" in energy_words(10.0, 2)


def test_without_counters_the_work_is_done_and_no_energy_said(tmp_path: Path) -> None:
    done = []
    assert joules(lambda: done.append(1), tmp_path / "none") is None
    unreadable = domain(tmp_path, "0", "package-0", 1)
    (unreadable / "energy_uj").unlink()
    (unreadable / "energy_uj").mkdir()  # root may read any file, a folder nobody
    assert joules(lambda: done.append(2), tmp_path) is None
    assert done == [1, 2] and "not readable here" in energy_words(None, 3)


def test_other_work_is_what_the_machine_did_and_this_process_did_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stat = tmp_path / "stat"
    monkeypatch.setattr(meters, "_STAT", stat)
    monkeypatch.setattr(meters.os, "sysconf", lambda name: 100)
    monkeypatch.setattr(meters, "_own", iter([1.0, 3.0]).__next__)
    monkeypatch.setattr(meters.time, "perf_counter", iter([10.0, 14.0]).__next__)
    stat.write_text("cpu  100 0 100 5000 70 0 0 0 0 0\ncpu0 1 1\n")
    with Beside() as beside:
        stat.write_text("cpu  500 0 300 5100 90 0 0 200 0 0\ncpu0 1 1\n")  # 8 s of all, 2 of them this process's
    assert beside.cores == pytest.approx(1.5)
    assert "1.5 cores busy meanwhile: times are too long" in beside_words(beside.cores)
    assert beside_words(0.04) == "Other work kept 0.0 cores busy meanwhile."


def test_a_system_that_does_not_tell_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meters, "_STAT", tmp_path / "none")
    with Beside() as beside:
        pass
    assert beside.cores is None and "not known" in beside_words(beside.cores)
