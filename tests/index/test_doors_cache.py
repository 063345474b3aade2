"""The cache of compiled networks keeps those that were used last, and no more."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from torch import nn

from index import runtime

X = np.ones((2, 3), np.float32)
openvino = pytest.importorskip("openvino")


def made(folder: Path, name: str) -> runtime.Call:
    return runtime.compiled(lambda: nn.Linear(3, 2), [X], name, dynamic=[[0]], precision="f32", folder=folder)


def never() -> nn.Module:
    raise AssertionError("it is kept, and need not be built")


def kept(folder: Path) -> list[Path]:
    return [place for place in folder.iterdir() if (place / "network.xml").is_file()]


def test_the_networks_used_last_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "KEPT", 3, raising=False)
    first = made(tmp_path, "0")
    answer = first(X)
    for number in range(1, 6):
        made(tmp_path, str(number))
        for age, place in enumerate(sorted(kept(tmp_path), key=lambda place: place.stat().st_mtime_ns, reverse=True)):
            os.utime(place, (1e9 - age, 1e9 - age))  # all of this takes less than a file system's tick
        runtime.compiled(never, [X], "0", dynamic=[[0]], precision="f32", folder=tmp_path)  # used again and again
    assert len(kept(tmp_path)) == 3 and {path.name for path in tmp_path.iterdir()} == {p.name for p in kept(tmp_path)}
    np.testing.assert_array_equal(first(X), answer)
    runtime.compiled(never, [X], "5", dynamic=[[0]], precision="f32", folder=tmp_path)


def test_one_that_another_process_deletes_in_this_moment_is_built_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(tmp_path, "a")
    (place,) = kept(tmp_path)
    usual, calls = runtime._open, []

    def deleted_meanwhile(path: Path, *rest: object) -> runtime.Call:
        calls.append(path)
        if len(calls) == 1:
            for file in place.glob("network.*"):
                file.unlink()
            place.joinpath("precision.json").unlink()
            for left in (place / "blobs").glob("*"):
                left.unlink()
            (place / "blobs").rmdir()
            place.rmdir()
        return usual(path, *rest)

    monkeypatch.setattr(runtime, "_open", deleted_meanwhile)
    assert made(tmp_path, "a")(X).shape == (2, 2) and len(calls) == 2


def test_what_is_no_compiled_network_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "KEPT", 1, raising=False)
    (tmp_path / "notes").mkdir()
    made(tmp_path, "a")
    made(tmp_path, "b")
    assert len(kept(tmp_path)) == 1 and (tmp_path / "notes").is_dir()
