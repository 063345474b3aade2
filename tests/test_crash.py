"""Nothing acknowledged is lost and nothing is half done: real processes killed at random moments, and many at once."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from crash_workers import FINGERPRINTS, Patches, hash_of, open_matcher, picture, states

from catalogue import Catalogue, Product
from catalogue.backup import integrity
from retail_seg.matcher import CATALOGUE, Matcher
from retail_seg.photos import load_photo

OPERATIONS = ("enrol", "remove", "bring_in", "reindex", "save")
KILLS = 60


@pytest.fixture(scope="module")
def workers() -> Iterator[subprocess.Popen[str]]:
    """The program that forks workers."""
    root = Path(__file__).resolve().parent
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
            while not any(word == "done" for word, _ in lines(log)):
                time.sleep(0.002)
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
    logs = [tmp_path / "one.log", tmp_path / "two.log"]
    before = check_store(store)
    pids = [start(workers, store, log, "enrol", 1000 + n) for n, log in enumerate(logs)]
    failures: list[BaseException] = []

    def read(log: Path) -> None:
        """What a writer has acknowledged is found by the next search of another process."""
        try:
            with open_matcher(store) as matcher:
                for _ in range(25):
                    done = [after for word, after in lines(log) if word == "done"]
                    if not done:
                        time.sleep(0.01)
                        continue
                    (sku,) = done[-1]
                    found = matcher.match([load_photo(picture(f"{sku} 0"))])[0]
                    assert found.matches[0].sku == sku and found.matches[0].score > 0.99
        except BaseException as error:  # noqa: BLE001 - raised again in the test's own thread
            failures.append(error)

    # Each reader follows the writer in the other process with an index of its own.
    readers = [threading.Thread(target=read, args=(log,)) for log in logs]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    while any(len(lines(log)) < 10 for log in logs):
        time.sleep(0.01)
    for pid in pids:
        kill(pid)
    assert failures == []
    now = check_store(store)
    both = tmp_path / "both.log"
    both.write_text("".join(log.read_text() for log in logs))
    done, _ = check_against(before, both, now)
    assert done >= 8
    assert all(now[f"{1000 + n}-1"] for n in range(2)) and hash_of("first-0 0") in now["first-0"]
