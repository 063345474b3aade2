"""Zips from outside: what they unfold to altogether and how many files they hold is bounded, whatever they state."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path

import pytest

from catalogue import sources
from catalogue.errors import ImportFileError, PictureRefused
from catalogue.importing import read_file
from catalogue.sources import ZipSource
from retail_seg.errors import AnnotationError
from retail_seg.products import uploads
from retail_seg.products.uploads import UploadRefused
from retail_seg.teaching import Teaching
from retail_seg.teaching.imports import import_annotations


def packed(members: dict[str, bytes], kind: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", kind) as zip_:
        for name, data in members.items():
            zip_.writestr(name, data)
    return out.getvalue()


def many(count: int, size: int = 2**20) -> bytes:
    """A small zip of members each of which is small enough to be packed as well as it likes."""
    return packed({f"{i}.png": bytes(size) for i in range(count)})


def test_annotations_that_unfold_to_too_much_write_nothing(
    teaching: Teaching, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = many(1100)
    assert len(data) < 2 * 2**20
    written: list[Path] = []
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    whole = Path.write_bytes
    monkeypatch.setattr(Path, "write_bytes", lambda path, given: (written.append(path), whole(path, given))[1])
    with pytest.raises(AnnotationError, match=r"unfolds to more than 1,024 MB, the most that a zip of 1 MB may"):
        import_annotations(teaching, data)
    assert [path.name for path in written] == ["annotations.zip"]


def test_an_import_that_unfolds_to_too_much_is_refused_when_it_is_received() -> None:
    with pytest.raises(UploadRefused, match=r"goods\.zip: unfolds to more than 1,024 MB"):
        uploads.receive("goods.zip", io.BytesIO(many(1100)))


def test_the_command_is_under_the_same_limit(tmp_path: Path) -> None:
    path = tmp_path / "goods.zip"
    path.write_bytes(many(1100))
    with pytest.raises(ImportFileError, match="unfolds to more than"):
        read_file(path)


def test_a_large_zip_may_unfold_to_more_than_a_small_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "FREE_TOTAL_BYTES", 1000)
    path = tmp_path / "goods.zip"
    path.write_bytes(packed({f"{i}.png": bytes(range(256)) * 40 for i in range(10)}, zipfile.ZIP_STORED))
    assert len(ZipSource(path).names()) == 10


def test_what_is_read_twice_is_counted_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "FREE_TOTAL_BYTES", 1500)
    monkeypatch.setattr(sources, "TOTAL_RATIO", 0)
    path = tmp_path / "goods.zip"
    path.write_bytes(packed({"a.png": bytes(1000)}))
    source = ZipSource(path)
    assert [len(source.read("a.png")) for _ in range(5)] == [1000] * 5


def test_a_size_that_is_stated_too_small_gains_nothing(tmp_path: Path) -> None:
    data = packed({"a.png": bytes(2**20)})
    size = struct.pack("<I", 2**20)
    assert data.count(size) == 2  # before the member, and in the directory at the end
    path = tmp_path / "liar.zip"
    path.write_bytes(data.replace(size, struct.pack("<I", 100)))
    with pytest.raises(PictureRefused, match="damaged"):
        ZipSource(path).read("a.png")


def test_more_than_was_stated_is_counted_as_it_unfolds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Should Python ever give more of a member than its directory states, the limit holds all the same."""
    monkeypatch.setattr(sources, "FREE_TOTAL_BYTES", 7000)
    monkeypatch.setattr(sources, "TOTAL_RATIO", 0)
    path = tmp_path / "liar.zip"
    path.write_bytes(packed({f"{i}.png": bytes(1000) for i in range(4)}))
    source = ZipSource(path)
    monkeypatch.setattr(source._zip, "open", lambda info: io.BytesIO(bytes(3000)))
    source.read("0.png")
    source.read("1.png")
    with pytest.raises(PictureRefused, match="unfolds to more than"):
        source.read("2.png")


def test_a_list_of_files_that_is_too_long_is_never_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = packed({f"{i:05}.png": b"" for i in range(3000)})
    monkeypatch.setattr(sources, "MAX_DIRECTORY_BYTES", 100_000)
    monkeypatch.setattr(zipfile, "ZipInfo", lambda *_: pytest.fail("an entry was read"))
    path = tmp_path / "files.zip"
    path.write_bytes(data)
    with pytest.raises(ImportFileError, match="its list of files is longer than"):
        ZipSource(path)
    with pytest.raises(UploadRefused, match="its list of files is longer than"):
        uploads.receive("files.zip", io.BytesIO(data))


def test_an_honest_zip_is_read_as_before(tmp_path: Path) -> None:
    path = tmp_path / "goods.zip"
    path.write_bytes(packed({"products.csv": b"sku,name\n1,Cola\n", "1/a.png": b"picture"}))
    found = read_file(path)
    assert [one.sku for one in found.wanted] == ["1"] and found.source.read("1/a.png") == b"picture"
