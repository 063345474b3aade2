"""Nothing acknowledged is lost and nothing is half done: real processes killed at random moments, and many at once."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from crash_workers import FINGERPRINTS, Patches, open_matcher, picture, states

from catalogue import Catalogue, Product
from catalogue.backup import integrity
from retail_seg.matcher import Matcher
from retail_seg.store.opening import CATALOGUE

OPERATIONS = ("enrol", "remove", "bring_in", "reindex", "save")
KILLS = 40


@pytest.fixture(scope="module")
def workers() -> Iterator[subprocess.Popen[str]]:
    """The program that forks workers."""
    root = Path(__file__).resolve().parents[1]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root.parent), str(root)]), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(root / "crash_workers.py")]
    with subprocess.Popen(command, stdin=-1, stdout=-1, text=True, env=environment) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()


def start(workers: subprocess.Popen[str], store: Path, log: Path, operation: str, seed: int) -> int:
    assert workers.stdin is not None and workers.stdout is not None
    workers.stdin.write(f"{store} {log} {operation} {seed}\n")
    workers.stdin.flush()
    return int(workers.stdout.readline())


def kill(pid: int) -> None:
    """Kill a worker and wait until it is gone: a commit that it had begun may reach the disk until then."""
    os.kill(pid, signal.SIGKILL)
    with suppress(ProcessLookupError):
        while True:
            os.kill(pid, 0)
            time.sleep(0.001)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    folder = tmp_path / "store"
    embedder = Patches(FINGERPRINTS[0])
    catalogue = Catalogue.create(folder / CATALOGUE, embedder=embedder.fingerprint, dim=embedder.dim)
    with Matcher(folder, catalogue, embedder) as matcher:
        for number in range(6):
            matcher.enrol(Product(f"first-{number}"), [picture(f"first-{number} {n}") for n in range(2)])
        matcher.reindex()
    return folder


def lines(log: Path) -> list[tuple[str, dict[str, list[str] | None]]]:
    if not log.exists():
        return []
    return [json.loads(line) for line in log.read_text().splitlines(keepends=True) if line.endswith("\n")]


def acknowledged_something(log: Path) -> bool:
    return any(word == "done" for word, _ in lines(log))


def check_store(store: Path) -> dict[str, list[str]]:
    """SQLite is sound, every reference has its vectors, and the index finds each by them; returns what there is."""
    with open_matcher(store) as matcher:
        assert integrity(matcher.catalogue.db) == []
        vectors = list(matcher.catalogue.iter_vectors())
        assert len(vectors) == matcher.catalogue.count_references()
        state = matcher._gallery.current()
        ids = [id_ for id_, _, _ in vectors]
        assert state.index.ids().tolist() == ids
        raw = np.concatenate([np.frombuffer(data, np.float32)[: matcher.embedder.dim][None] for _, data, _ in vectors])
        scores, found = state.index.search(state.ranker.project(raw), 1)
        assert found[:, 0].tolist() == ids and (scores[:, 0] > 0.999).all()
        return states(matcher.catalogue)


def check_against(before: dict[str, list[str]], log: Path, now: dict[str, list[str]]) -> tuple[int, int]:
    """What was acknowledged is there; what was only begun is there or not. Returns (acknowledged, begun only)."""
    expected: dict[str, list[str] | None] = dict(before)
    begun: dict[str, list[str] | None] = {}
    done = 0
    for word, after in lines(log):
        if word == "begin":
            begun.update(after)
        else:
            expected.update(after)
            done += 1
            for sku in after:
                begun.pop(sku, None)
    for sku in {*expected, *now, *begun}:
        allowed = [expected.get(sku)]
        if sku in begun:
            allowed.append(begun[sku])
        assert now.get(sku) in allowed, f"{sku} is {now.get(sku)}, not one of {allowed}"
    return done, len(begun)


def test_a_store_outlives_kills_at_random_moments(workers: subprocess.Popen[str], store: Path, tmp_path: Path) -> None:
    rng = random.Random(11)
    acknowledged = dict.fromkeys(OPERATIONS, 0)
    embedders = set()
    before = check_store(store)
    for number in range(KILLS):
        operation = OPERATIONS[number % len(OPERATIONS)]
        log = tmp_path / f"{number}.log"
        pid = start(workers, store, log, operation, number)
        # Every third worker may die while it still opens the store; the others have acknowledged something.
        if number % 3:
            wait_until(partial(acknowledged_something, log))
        time.sleep(rng.random() * 0.08)
        kill(pid)
        now = check_store(store)
        done, _ = check_against(before, log, now)
        acknowledged[operation] += done
        before = now
        with Catalogue.open(store / CATALOGUE) as catalogue:
            embedders.add(catalogue.embedder)
    assert all(count >= KILLS // len(OPERATIONS) // 2 for count in acknowledged.values()), acknowledged
    assert embedders == set(FINGERPRINTS)


def test_two_write_and_two_read_one_store(workers: subprocess.Popen[str], store: Path, tmp_path: Path) -> None:
    before = check_store(store)
    writing = [tmp_path / f"writer-{n}.log" for n in range(2)]
    reading = [tmp_path / f"reader-{n}.log" for n in range(2)]
    pids = [start(workers, store, log, "enrol", 1000 + n) for n, log in enumerate(writing)]
    wait_for_lines(writing, 2)
    pids += [start(workers, store, log, "read", 2000 + n) for n, log in enumerate(reading)]
    wait_for_lines(reading, 25)
    wait_for_lines(writing, 40)
    for pid in pids:
        kill(pid)
    found = [line for log in reading for line in lines(log)]
    assert [line for line in found if line[0] != "found"] == []
    assert len({sku for _, after in found for sku in after}) > 5, "the readers followed the writers"
    both = tmp_path / "both.log"
    both.write_text("".join(log.read_text() for log in writing))
    done, _ = check_against(before, both, check_store(store))
    assert done >= 38


def wait_for_lines(logs: list[Path], count: int) -> None:
    wait_until(lambda: all(len(lines(log)) >= count for log in logs))


def wait_until(happened: Callable[[], bool]) -> None:
    """Wait for a worker; one that has died of an error would be waited for in vain."""
    for _ in range(30_000):
        if happened():
            return
        time.sleep(0.004)
    raise AssertionError("a worker does not work; its traceback stands in the output")
