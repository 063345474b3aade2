"""Where an import's files lie: a folder or a zip, read without ever leaving it or unfolding a bomb."""

from __future__ import annotations

import os
import re
import unicodedata
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from catalogue.errors import ImportFileError, PictureRefused

MAX_PICTURE_BYTES = 64 * 2**20
#: A zip member that unfolds to more than so many times its packed size is not read (pictures hardly shrink at all).
MAX_RATIO = 200
#: Small members may be packed better than that: an icon of one colour, a short text.
RATIO_FREE_BYTES = 2**20
#: A zip may unfold to so many times its own size, or to so much where that is more; to the last at most.
TOTAL_RATIO = 20
FREE_TOTAL_BYTES = 2**30
MAX_TOTAL_BYTES = 64 * 2**30
#: A zip's list of files is not read where it takes more (some 600,000 of them): each becomes a Python object.
MAX_DIRECTORY_BYTES = 64 * 2**20
#: Where `zipfile` puts the size of the list of files.
_DIRECTORY_SIZE = 5
TABLE_SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson")
PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".heic", ".heif")


class Source(ABC):
    """A tree of files, named by relative paths with forward slashes."""

    @abstractmethod
    def names(self) -> list[str]:
        """All files, sorted; hidden ones are left out."""

    @abstractmethod
    def open(self, name: str) -> BinaryIO:
        """A table's bytes, for reading it from the beginning; raises ImportFileError."""

    @abstractmethod
    def read(self, name: str) -> bytes:
        """A picture's bytes; raises PictureRefused for a name that leaves the tree, is missing, or is too large."""

    def close(self) -> None:  # noqa: B027 - a folder holds nothing open
        """Give back what is held open; nothing is read from now on."""


class FolderSource(Source):
    """A folder; nothing outside it is read, not by `..`, an absolute path or a link."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()

    def names(self) -> list[str]:
        """All files, sorted; links to folders are not followed."""
        found = []
        for folder, folders, files in os.walk(self._root):
            folders[:] = sorted(name for name in folders if not _hidden(name))
            found += [(Path(folder) / name).relative_to(self._root).as_posix() for name in files if not _hidden(name)]
        return sorted(found)

    def open(self, name: str) -> BinaryIO:
        """The table's file."""
        try:
            return (self._root / name).open("rb")
        except OSError as error:
            raise ImportFileError(f"{name}: cannot be read ({error.strerror}); check the path") from None

    def read(self, name: str) -> bytes:
        """The picture's file."""
        try:
            path = (self._root / relative_name(name)).resolve(strict=True)
            if not path.is_relative_to(self._root):
                raise PictureRefused("is a link that leaves the import folder; put the picture itself there")
            if not path.is_file():
                raise PictureRefused("is no file; give a picture")
            with path.open("rb") as file:
                return _limited(file.read(MAX_PICTURE_BYTES + 1))
        except FileNotFoundError:
            raise PictureRefused("no such file in the import folder; check the path") from None
        except (OSError, RuntimeError) as error:  # RuntimeError: a ring of links
            raise PictureRefused(f"cannot be read ({getattr(error, 'strerror', None) or error})") from None


class ZipSource(Source):
    """A zip; members are read one by one into memory, never unpacked to disk.

    Raises ImportFileError for one that unfolds to more than `most` bytes altogether (without it, by its own size).
    """

    def __init__(self, path: Path, most: int | None = None) -> None:
        self._zip = open_zip(path)
        self._path = path
        self._size = path.stat().st_size
        self._most = min(max(FREE_TOTAL_BYTES, TOTAL_RATIO * self._size), MAX_TOTAL_BYTES if most is None else most)
        self._members = {_composed(i.filename): i for i in self._zip.infolist() if not i.is_dir()}
        self._unfolded = 0
        self._read: set[str] = set()
        if sum(info.file_size for info in self._members.values()) > self._most:
            self.close()
            raise ImportFileError(f"{path}: {self._too_much()}")

    def close(self) -> None:
        """Give the file back; nothing can be read from now on."""
        self._zip.close()

    def names(self) -> list[str]:
        """All members but hidden ones and those with unsafe names, sorted."""
        return sorted(name for name in self._members if _is_relative(name) and not _hidden_path(name))

    def open(self, name: str) -> BinaryIO:
        """The table's bytes as they unfold."""
        info = self._members[name]
        if reason := _bomb(info):
            raise ImportFileError(f"{self._path}: {name} {reason}")
        try:
            return self._zip.open(info)  # type: ignore[return-value]
        except (RuntimeError, NotImplementedError, zipfile.BadZipFile) as error:
            raise ImportFileError(f"{self._path}: {name} cannot be unpacked ({error}); pack it again") from None

    def read(self, name: str) -> bytes:
        """The picture's bytes."""
        info = self._members.get(_composed(relative_name(name)))
        if info is None:
            raise PictureRefused("no such file in the zip; check the path")
        if (info.external_attr >> 16) & 0o170000 == 0o120000:
            raise PictureRefused("is a link; put the picture itself into the zip")
        if reason := _bomb(info):
            raise PictureRefused(reason)
        try:
            with self._zip.open(info) as file:
                data = file.read(MAX_PICTURE_BYTES + 1)
        except (RuntimeError, NotImplementedError) as error:  # a password, or a method that Python does not know
            raise PictureRefused(f"cannot be unpacked ({error}); pack the zip again without a password") from None
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
            raise PictureRefused(f"is damaged in the zip ({error}); pack it again") from None
        self._count(info.filename, len(data))
        return _limited(data)

    def _count(self, name: str, size: int) -> None:
        """Add what came of a member to what came of all, once, however often it is read; sizes stated may be wrong."""
        if name not in self._read:
            self._read.add(name)
            self._unfolded += size
        if self._unfolded > self._most:
            raise PictureRefused(f"the zip {self._too_much()}")

    def _too_much(self) -> str:
        most, size = self._most >> 20, max(self._size >> 20, 1)
        return f"unfolds to more than {most:,} MB, the most that a zip of {size:,} MB may; pack fewer files"


def open_zip(path: Path) -> zipfile.ZipFile:
    """A zip whose list of files was read; raises ImportFileError where it is none or lists too many."""
    try:
        with path.open("rb") as file:
            # Python's own reading of the end of a zip, as ZipFile will do it: its list is bounded before it is read.
            end = zipfile._EndRecData(file)  # type: ignore[attr-defined]
        if end is not None and end[_DIRECTORY_SIZE] > MAX_DIRECTORY_BYTES:
            limit = f"{MAX_DIRECTORY_BYTES / 2**20:.3g} MB"
            raise ImportFileError(f"{path}: its list of files is longer than {limit}; split it")
        return zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile, NotImplementedError) as error:
        raise ImportFileError(f"{path}: is no zip that can be read ({error}); pack it again") from None


def open_source(path: Path) -> tuple[Source, str | None]:
    """The tree that a path stands for and its table's name, None where folders of pictures stand for products.

    Raises ImportFileError where there is nothing to import or more than one table to choose from.
    """
    if path.is_dir():
        source: Source = FolderSource(path)
    elif not path.is_file():
        raise ImportFileError(f"{path}: no such file or folder; check the path")
    elif zipfile.is_zipfile(path) or path.suffix.lower() == ".zip":
        source = ZipSource(path)
    else:
        return FolderSource(path.parent), path.name
    return source, _find_table(source.names(), path)


def _find_table(names: list[str], path: Path) -> str | None:
    tables = [name for name in names if name.lower().endswith(TABLE_SUFFIXES)]
    if tables:
        top = min(name.count("/") for name in tables)
        tables = [name for name in tables if name.count("/") == top]
        named = [name for name in tables if name.lower().endswith("products.csv")]
        if len(tables) > 1 and len(named) != 1:
            raise ImportFileError(f"{path}: holds several tables ({', '.join(tables[:4])}); keep one or give it alone")
        return (named or tables)[0]
    if not any(name.lower().endswith(PICTURE_SUFFIXES) for name in names):
        raise ImportFileError(f"{path}: holds neither a table ({', '.join(TABLE_SUFFIXES)}) nor folders of pictures")
    return None


def relative_name(name: str) -> str:
    """The name with forward slashes; raises PictureRefused where it is absolute or leads upwards."""
    name = name.strip().replace("\\", "/")
    if not name or "\0" in name:
        raise PictureRefused("is no path; give a picture's path relative to the table")
    if name.startswith("/") or re.match(r"[A-Za-z]:|file:", name, re.IGNORECASE):
        raise PictureRefused("is an absolute path; give it relative to the table")
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise PictureRefused("leaves the import folder; put the picture beside the table")
    return "/".join(parts)


def folders_of_pictures(source: Source) -> Iterator[tuple[str, list[str]]]:
    """(SKU, picture names) of a tree in which each folder with pictures is a product, by folder name."""
    folders: dict[str, list[str]] = {}
    for name in source.names():
        folder, _, _file = name.rpartition("/")
        if folder and name.lower().endswith(PICTURE_SUFFIXES):
            folders.setdefault(folder.rpartition("/")[2], []).append(name)
    yield from sorted(folders.items())


def _limited(data: bytes) -> bytes:
    if len(data) > MAX_PICTURE_BYTES:
        raise PictureRefused(f"is larger than {MAX_PICTURE_BYTES >> 20} MB; save it smaller")
    return data


def _bomb(info: zipfile.ZipInfo) -> str:
    if info.file_size > max(RATIO_FREE_BYTES, MAX_RATIO * info.compress_size):
        return f"unfolds to {info.file_size / max(1, info.compress_size):.0f} times its size, as a zip bomb does"
    return ""


def _is_relative(name: str) -> bool:
    try:
        return relative_name(name) == name
    except PictureRefused:
        return False


def _composed(name: str) -> str:
    # macOS packs decomposed names; tables written elsewhere name them composed
    return unicodedata.normalize("NFC", name.replace("\\", "/"))


def _hidden(name: str) -> bool:
    return name.startswith(".") or name in ("__MACOSX", "Thumbs.db")


def _hidden_path(name: str) -> bool:
    return any(_hidden(part) for part in name.split("/"))
