"""A watched folder: each photo once, when it is all there, whatever ends a watcher and however many there are."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from api_helpers import picture_of

from retail_seg.errors import PhotoError
from retail_seg.people.roles import NotAllowed, Person, acting_as
from retail_seg.scans.watching import Handled, Watch, WatchError


class Scanning:
    """Stands for the networks: counts how often each photo is scanned."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def __call__(self, paths: Sequence[Path]) -> Iterator[Any]:
        for path in paths:
            data = path.read_bytes()
            if not data.endswith(b"."):
                yield PhotoError(f"{path}: is damaged")
                continue
            self.seen.append(path.name)
            report = SimpleNamespace(to_dict=lambda name=str(path): {"image": name, "counts": {}, "unknown": 0})
            yield SimpleNamespace(report=report)


@pytest.fixture
def scanning() -> Scanning:
    return Scanning()


def watch(folder: Path, scanning: Any, **more: Any) -> Watch:
    return Watch(folder, scanning, folder / "done" / "scans.jsonl", **{"settled": 0.0, "patient": 0.0, **more})


def lines(folder: Path) -> list[dict[str, Any]]:
    found = sorted((folder / "done").glob("scans*.jsonl"))
    return [json.loads(line) for path in found for line in path.read_text().splitlines()]


def done(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "done").iterdir() if path.suffix == ".jpg")


def test_what_comes_is_scanned_once_and_moved(tmp_path: Path, scanning: Scanning) -> None:
    (tmp_path / "a.jpg").write_bytes(b"a.")
    (tmp_path / "notes.txt").write_text("no photo")
    (tmp_path / ".hidden.jpg").write_bytes(b"h.")
    with watch(tmp_path, scanning) as one:
        assert [seen.name for seen in one.round()] == ["a.jpg"]
        assert list(one.round()) == []
        (tmp_path / "a.jpg").write_bytes(b"another.")
        assert [seen.name for seen in one.round()] == ["a.jpg"]
    assert done(tmp_path) == ["a-2.jpg", "a.jpg"] and scanning.seen == ["a.jpg", "a.jpg"]
    assert [line["image"] for line in lines(tmp_path)] == ["a.jpg", "a.jpg"]
    assert len({line["sha256"] for line in lines(tmp_path)}) == 2
    assert (tmp_path / "notes.txt").exists() and (tmp_path / ".hidden.jpg").exists()
    assert list((tmp_path / ".working").iterdir()) == []


def test_a_failed_one_lies_apart_with_its_reason(tmp_path: Path, scanning: Scanning) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"bad")
    with watch(tmp_path, scanning) as one:
        assert list(one.round()) == [Handled("bad.jpg", None, "is damaged")]
    assert (tmp_path / "failed" / "bad.jpg.txt").read_text() == "is damaged\n"
    assert (tmp_path / "failed" / "bad.jpg").read_bytes() == b"bad" and lines(tmp_path) == []


def test_a_photo_that_is_still_coming_waits(tmp_path: Path, scanning: Scanning) -> None:
    path = tmp_path / "slow.jpg"
    with watch(tmp_path, scanning, settled=0.3, patient=60.0) as one:
        path.write_bytes(b"half")
        assert list(one.round()) == [] and path.exists()
        time.sleep(0.4)
        assert list(one.round()) == [] and path.exists(), "it cannot be read yet, and goes back"
        path.write_bytes(b"whole.")
        assert list(one.round()) == []
        time.sleep(0.4)
        assert [seen.name for seen in one.round()] == ["slow.jpg"]
    assert not (tmp_path / "failed" / "slow.jpg").exists()


def test_two_watchers_share_a_folder(tmp_path: Path, scanning: Scanning) -> None:
    for number in range(60):
        (tmp_path / f"{number}.jpg").write_bytes(b"%d." % number)
    told: list[str] = []

    def work() -> None:
        with watch(tmp_path, scanning) as one:
            while any(tmp_path.glob("*.jpg")):
                told.extend(seen.name for seen in one.round())

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(told) == sorted(scanning.seen) == sorted(f"{number}.jpg" for number in range(60))
    assert sorted(line["image"] for line in lines(tmp_path)) == sorted(told) and len(done(tmp_path)) == 60


def test_what_a_killed_watcher_had_is_taken_over(tmp_path: Path, scanning: Scanning) -> None:
    """One killed before its line was written is scanned again, one killed behind it is only moved."""
    for name in ("before.jpg", "behind.jpg"):
        (tmp_path / name).write_bytes(f"{name}.".encode())
    with watch(tmp_path, scanning) as one:
        assert len(list(one.round())) == 2
    gone = tmp_path / ".working" / "0123"
    gone.mkdir()
    for name in ("before.jpg", "behind.jpg"):
        (tmp_path / "done" / name).rename(gone / name)
    kept = [line for line in lines(tmp_path) if line["image"] == "behind.jpg"]
    (tmp_path / "done" / "scans.jsonl").write_text(json.dumps(kept[0]) + "\n" + '{"image": "bef')
    with watch(tmp_path, scanning) as one:
        assert [seen.name for seen in one.round()] == ["before.jpg"]
    assert scanning.seen.count("before.jpg") == 2 and scanning.seen.count("behind.jpg") == 1
    assert done(tmp_path) == ["before.jpg", "behind.jpg"] and list((tmp_path / ".working").iterdir()) == []


def test_what_is_claimed_comes_back_when_a_watcher_ends(tmp_path: Path) -> None:
    def ended(paths: Sequence[Path]) -> Iterator[Any]:
        raise KeyboardInterrupt
        yield

    (tmp_path / "a.jpg").write_bytes(b"a.")
    with pytest.raises(KeyboardInterrupt), watch(tmp_path, ended) as one:
        list(one.round())
    assert (tmp_path / "a.jpg").read_bytes() == b"a."


def test_lines_are_put_aside_when_they_are_many(tmp_path: Path, scanning: Scanning) -> None:
    with watch(tmp_path, scanning, rotated=300) as one:
        for number in range(6):
            (tmp_path / f"{number}.jpg").write_bytes(b"%d." % number)
            list(one.round())
    files = sorted((tmp_path / "done").glob("scans*.jsonl"))
    assert len(files) >= 3 and all(path.stat().st_size <= 300 for path in files) and len(lines(tmp_path)) == 6


def test_who_may_not_scan_may_not_watch(tmp_path: Path, scanning: Scanning) -> None:
    with acting_as(Person("vera", "viewer")), pytest.raises(NotAllowed), watch(tmp_path, scanning):
        pass
    with pytest.raises(WatchError, match="no such folder"):
        watch(tmp_path / "nothing", scanning)


def test_the_command_watches_until_it_is_told_to_end(small: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(picture_of(0))
    (folder / "b.jpg").write_bytes(picture_of(1)[:800])
    os.utime(folder / "b.jpg", (1, 1))
    words = [sys.executable, "-m", "retail_seg", "scan", "--watch", str(folder), "--store", str(small), "--keep"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 120
    while not (folder / "done" / "a.jpg").exists():
        assert time.monotonic() < until and process.poll() is None
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0 and "Traceback" not in err and not out and "a.jpg:" in err
    (line,) = lines(folder)
    assert line["image"] == "a.jpg" and line["scan"] == 1 and line["instances"] is not None
