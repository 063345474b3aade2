"""Reports in a folder: whole parts or none, and the list of what is done is the parts themselves."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest

from retail_seg.errors import FleetError, PhotoError
from retail_seg.fleet import results as module
from retail_seg.fleet.results import Digests, Results, failures
from retail_seg.fleet.sources import PhotoAddress, listed, read
from retail_seg.report import Report

VERSIONS: dict[str, str | int] = {"version": "1", "segmenter": "s:1", "embedder": "e:1", "revision": 3}


def photo(number: int, shop: str = "1") -> PhotoAddress:
    return PhotoAddress(f"/photos/shop={shop}/day=2026-11-26/{number}.jpg", f"10-{number}")


def digest(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def line(number: int) -> dict[str, object]:
    return Report(photo(number).address, 8, 8, (), VERSIONS).to_dict()


@pytest.mark.parametrize("form", module.FORMS)
def test_a_run_that_is_killed_keeps_whole_parts_and_the_next_one_knows_them(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LINES", 2)
    child = os.fork()
    if child == 0:  # killed with one line that waits, and a failure cut off amid its line
        kept = Results(tmp_path, form, "store")
        kept.__enter__()
        for number in range(5):
            kept.add(photo(number), line(number), digest(number))
        kept.fail(photo(8), "is no photo")
        with (tmp_path / module.FAILED).open("ab") as file:
            file.write(b"/photos/9.jpg,10")
        os._exit(0)
    os.waitpid(child, 0)
    with Results(tmp_path, form, "store") as kept:
        assert [number for number in range(9) if kept.is_known(photo(number))] == [0, 1, 2, 3, 8]
        assert len(kept.done) == 4 and digest(3) in kept.done and digest(4) not in kept.done
        assert not kept.add(photo(77), line(77), digest(3)), "the same photo at another address"
        assert kept.add(photo(4), line(4), digest(4)) and not kept.add(photo(5), line(5), digest(4))
        assert not kept.is_known(PhotoAddress(photo(0).address, "11-0")), "a photo that has changed"
    assert failures(tmp_path) == [(photo(8).address, "10-8", "is no photo")]
    parts = list((tmp_path / "shop=1" / "day=2026-11-26").glob("part-*"))
    assert len(parts) == 3 and not list(tmp_path.rglob(".part*"))


def test_failed_photos_are_tried_again_when_asked(tmp_path: Path) -> None:
    with Results(tmp_path, "jsonl", "store") as kept:
        kept.fail(photo(1), "took\nlonger, than")
    assert failures(tmp_path) == [(photo(1).address, "10-1", "took longer, than")]
    with Results(tmp_path, "jsonl", "store", again=True) as kept:
        assert not kept.is_known(photo(1))


def test_a_folder_of_another_run_store_or_format_is_refused(tmp_path: Path) -> None:
    with Results(tmp_path, "jsonl", "store"), pytest.raises(FleetError, match="another run"):
        Results(tmp_path, "jsonl", "store").__enter__()
    for form, store in (("parquet", "store"), ("jsonl", "other")):
        with pytest.raises(FleetError, match="another store or format"):
            Results(tmp_path, form, store).__enter__()
    with Results(tmp_path, "jsonl", "store"):  # what was refused holds no lock
        pass


def test_a_damaged_part_is_named(tmp_path: Path) -> None:
    with Results(tmp_path, "parquet", "store") as kept:
        kept.add(photo(1), line(1), digest(1))
    (part,) = tmp_path.rglob("part-*.parquet")
    part.write_bytes(part.read_bytes()[:-9])
    with pytest.raises(FleetError, match=r"part-.*cannot be read .*move it away"):
        Results(tmp_path, "parquet", "store").__enter__()


def test_a_full_disk_is_one_sentence_and_loses_no_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Results(tmp_path, "jsonl", "store").__enter__()
    kept.add(photo(1), line(1), digest(1))
    kept.flush()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    kept.add(photo(2), line(2), digest(2))
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(FleetError, match="No space left on device"):
        kept.__exit__(None)
    monkeypatch.undo()
    with Results(tmp_path, "jsonl", "store") as kept:
        assert kept.is_known(photo(1)) and not kept.is_known(photo(2))
    assert not list(tmp_path.rglob(".part*"))


def test_digests_are_found_and_nothing_else() -> None:
    inside = [digest(number) for number in range(500)]
    found = Digests([*inside, "ff" * 8 + "00" * 24, "ff" * 8 + "01" * 24])
    assert len(found) == 502 and all(one in found for one in inside) and "ff" * 8 + "01" * 24 in found
    assert not any(digest(number) in found for number in range(500, 900)) and "ff" * 32 not in found
    assert digest(1) not in Digests([]) and found.pairs.dtype == np.uint64


def test_photos_are_listed_from_folders_lists_and_addresses(tmp_path: Path) -> None:
    below = tmp_path / "photos" / "shop=1"
    below.mkdir(parents=True)
    for name in ("b.jpg", "a.PNG", "c.txt"):
        (below / name).write_bytes(name.encode())
    names = [Path(one.address).name for one in listed([str(tmp_path / "photos")])]
    assert names == ["a.PNG", "b.jpg"]
    (tmp_path / "list.txt").write_text("photos/shop=1/b.jpg\n\nphotos/shop=1\n")
    assert listed([str(tmp_path / "list.txt")]) == listed([str(tmp_path / "photos")])
    remote = listed([f"file://{tmp_path}/photos"])
    assert [one.partition for one in remote] == [("shop=1",)] * 2
    assert [read(one.address) for one in remote] == [b"a.PNG", b"b.jpg"]


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("nowhere.jpg", "no such file"), ("empty", "holds no photos"), ("empty.txt", "names no photos"),
        ("memory://nothing/here", "cannot be read"), ("nothing-known://a", "cannot be opened"),
    ],
)  # fmt: skip
def test_sources_that_hold_nothing_are_one_sentence(source: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty.txt").touch()
    with pytest.raises(PhotoError, match=says):
        listed([source if "://" in source else str(tmp_path / source)])
