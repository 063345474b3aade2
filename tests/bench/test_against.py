"""Two runs of the benchmark side by side."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from retail_seg.bench.benchmark.against import compared, read_run
from retail_seg.bench.benchmark.measure import in_turns
from retail_seg.cli import cli
from retail_seg.errors import RetailSegError


def run(cpu: str = "a", **spread: list[float]) -> dict[str, Any]:
    return {"machine": {"cpu": cpu}, "scan": {"spread": spread}}


def test_only_what_differs_beyond_both_spreads_is_slower_or_faster() -> None:
    before = run(
        same=[1.0, 1.1, 1.2], slow=[1.0, 1.1, 1.2], quick=[1.0, 1.1, 1.2], little=[1.0, 1.0, 1.0], gone=[1, 1, 1]
    )
    now = run(
        same=[1.1, 1.3, 1.5], slow=[1.3, 1.4, 1.5], quick=[0.5, 0.6, 0.7], little=[1.03, 1.03, 1.03], new=[1, 1, 1]
    )
    found = compared(before, now)
    assert [(row.name, row.goal) for row in found.rows] == [
        ("scan: same", "as before"), ("scan: slow", "slower"), ("scan: quick", "faster"), ("scan: little", "as before")
    ]  # fmt: skip
    assert found.to_dict()["slower"] == ["scan: slow"]
    assert "Slower beyond noise: scan: slow." in found.table()


def test_another_processor_and_nothing_in_common_are_said() -> None:
    table = compared(run("b", old=[1, 1, 1]), run("a", new=[1, 1, 1])).table()
    assert "another processor (b)" in table and "nothing in common" in table


def test_turns_keep_their_spread() -> None:
    taken = in_turns({"a": lambda: None}, 3)
    low, middle, high = taken.spread["a"]
    assert low <= middle <= high and middle == taken["a"]


def test_a_file_that_is_no_run_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "old.json"
    for text in ("", "{}", "[1]", "no"):
        path.write_text(text)
        with pytest.raises(RetailSegError, match="no JSON line of a run"):
            read_run(path)
    path.write_text(json.dumps(run()) + "\n")
    assert read_run(path)["machine"] == {"cpu": "a"}
    done = CliRunner().invoke(cli, ["benchmark", "--against", str(tmp_path / "missing.json"), "embed"])
    assert isinstance(done.exception, RetailSegError) and "missing.json" in str(done.exception)
