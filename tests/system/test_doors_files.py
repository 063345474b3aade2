"""Files and locks: rights come from the kernel, no process-wide mask is touched, Windows gets a sentence."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from index.vectors import VectorIndex
from retail_seg.errors import LabelledCropsError, MissingExtraError
from retail_seg.segmentation.formats import box_csv
from retail_seg.store.crop_lists import read_labelled_crops
from retail_seg.system import files
from retail_seg.system.files import locked, replace_file


@pytest.fixture(params=[0o022, 0o027, 0o077, 0o002])
def umask(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A mask that the process has, and that nobody may change: another thread's file would get other rights."""
    before, change = os.umask(request.param), os.umask
    monkeypatch.setattr(os, "umask", lambda mask: pytest.fail("the mask of the whole process was changed"))
    yield request.param
    change(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_files_rights_are_those_that_the_mask_leaves(tmp_path: Path, umask: int) -> None:
    replace_file(tmp_path / "open.txt", b"1")
    replace_file(tmp_path / "secret.txt", b"2", private=True)
    assert mode(tmp_path / "open.txt") == 0o666 & ~umask
    assert mode(tmp_path / "secret.txt") == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["open.txt", "secret.txt"]


def test_a_snapshots_rights_are_those_that_the_mask_leaves(tmp_path: Path, umask: int) -> None:
    index = VectorIndex(4, "flat", "tag")
    index.add(np.arange(3), np.eye(4, dtype=np.float32)[:3])
    index.save(tmp_path / "index.faiss", 1)
    assert mode(tmp_path / "index.faiss") == 0o666 & ~umask
    assert [path.name for path in tmp_path.iterdir()] == ["index.faiss"]


def test_a_private_file_is_never_open_to_others_while_it_is_written(tmp_path: Path) -> None:
    from retail_seg.system.files import whole_file

    with whole_file(tmp_path / "users.json", private=True) as temporary:
        assert mode(temporary) == 0o600
        temporary.write_bytes(b"1")


def test_a_system_without_file_locks_is_told_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fcntl", None)
    with pytest.raises(MissingExtraError, match=r"Windows: .* under WSL"), locked(tmp_path / "lock"):
        pytest.fail("nothing was locked")


def test_a_list_without_line_ends_is_a_sentence_and_is_not_read_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "MAX_LINE", 1000)
    path = tmp_path / "list.csv"
    path.write_text("image,label\na.jpg," + "x" * 2000 + "\n")
    with pytest.raises(LabelledCropsError, match="line 2 is longer than 1,000 characters"):
        read_labelled_crops(path)
    found = list(box_csv.read(_boxes(tmp_path, "image,label,x,y,w,h\n" + "y" * 2000)))
    assert len(found) == 1 and "longer than 1,000" in str(found[0])
    path.write_text("image,label\n" + "a.jpg,A\n" * 500)
    assert len(read_labelled_crops(path)) == 500, "lines, not files, are bounded"


def _boxes(folder: Path, text: str) -> Path:
    (folder / "boxes.csv").write_text(text)
    return folder
