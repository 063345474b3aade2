"""A pool of Ray's actors on a cluster of three nodes: each task answered once, or given up with the reason."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ray", reason="Ray is not installed: pip install retail-seg[ray]")

from ray_workers import Words

from retail_seg.errors import FleetError
from retail_seg.fleet.cluster import entered
from retail_seg.fleet.pool import Care, GivenUp, Pool, TaskDone


def worked(ray: Any, plan: object, words: list[str], **care: Any) -> tuple[list[str], dict[str, str]]:
    """Answers, sorted, and the reasons for what was given up."""
    with Pool[str](ray, Words, str(plan), 2, care=Care(**care)) as pool:
        found = list(pool.run(words))
    assert Counter(one.task for one in found) == Counter(words)
    answers = sorted(one.value for one in found if isinstance(one, TaskDone))
    return answers, {one.task: one.reason for one in found if isinstance(one, GivenUp)}


def test_every_task_is_answered_once(ray: Any, tmp_path: Path) -> None:
    words = [f"w{n}" for n in range(40)]
    assert worked(ray, tmp_path, words) == (sorted(word.upper() for word in words), {})
    assert all((tmp_path / word).read_text() == "." for word in words)


def test_a_task_that_ends_its_worker_is_tried_twice_and_then_given_up(ray: Any, tmp_path: Path) -> None:
    answers, given_up = worked(ray, tmp_path, ["a", "die", "b", "die once", "c", "d"])
    assert answers == ["A", "B", "C", "D", "DIE ONCE"]
    assert list(given_up) == ["die"] and "ended 2 workers" in given_up["die"]
    # One more where it waited behind another, whose answer it cut off.
    assert len((tmp_path / "die").read_text()) in (2, 3) and len((tmp_path / "die once").read_text()) in (2, 3)


def test_a_task_that_takes_too_long_is_given_up_and_the_others_go_on(ray: Any, tmp_path: Path) -> None:
    answers, given_up = worked(ray, tmp_path, ["a", "sleep", "b", "c"], limit=3.0)
    assert answers == ["A", "B", "C"] and given_up == {"sleep": "took longer than 3 s"}


def test_what_a_task_raises_is_its_reason(ray: Any, tmp_path: Path) -> None:
    answers, given_up = worked(ray, tmp_path, ["bad", "a", "wrong"])
    assert answers == ["A"] and given_up["bad"] == "bad: is no photo"
    assert "the program failed: ZeroDivisionError: by nothing" in given_up["wrong"]


def test_workers_that_cannot_come_up_end_the_run_with_the_reason(ray: Any) -> None:
    with pytest.raises(FleetError, match="holds no store"):
        worked(ray, "no store", ["a"])
    with pytest.raises(FleetError, match=r"do not come up .*No module named"):
        worked(ray, "no program", ["a"])


def test_a_pool_without_cores_says_so(ray: Any, tmp_path: Path) -> None:
    with pytest.raises(FleetError, match="no worker has come up in 1 s; the cluster has 2 cores"):
        list(Pool[str](ray, Words, str(tmp_path), 1, cpus=64, care=Care(wait=1)).run(["a"]))


@pytest.mark.parametrize(
    ("address", "says"), [("127.0.0.1:1", "no Ray listens there"), ("nowhere", "HOST:PORT"), ("a:99999", "no Ray")]
)
def test_an_address_where_nothing_listens_is_one_sentence(address: str, says: str, monkeypatch: Any) -> None:
    import ray

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with pytest.raises(FleetError, match=says), entered(address, None):
        pass
