"""Where photos come from: files, folders with all that lies below them, lists, and whatever fsspec reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retail_seg.errors import MissingExtraError, PhotoError
from retail_seg.photos.load import MAX_BYTES, SUFFIXES, read_photo

#: The ending of a list: a text file of addresses, one a line, paths relative to it.
LIST = ".txt"


@dataclass(frozen=True)
class PhotoAddress:
    """A photo by its address, and what shows that it has changed: size and time, or the store's own mark."""

    address: str
    stamp: str

    @property
    def partition(self) -> tuple[str, ...]:
        """The folders of its address that say whose it is, such as `shop=12` and `day=2026-11-26`."""
        return tuple(part for part in self.address.split("/")[:-1] if part.count("=") == 1 and part[0] != "=")


def listed(sources: Sequence[str]) -> list[PhotoAddress]:
    """All photos of some files, folders, lists (.txt) and addresses of fsspec, each once, by address.

    Raises PhotoError for a source that is not there or holds no photos.
    """
    found = {photo.address: photo for source in sources for photo in _listed(source)}
    return [found[address] for address in sorted(found)]


def _listed(source: str) -> Iterator[PhotoAddress]:
    if "://" in source:
        yield from _remote(source)
        return
    path = Path(source)
    if path.is_dir():
        yield from _folder(path)
    elif path.suffix.lower() == LIST:
        yield from _list(path)
    elif path.is_file():
        yield _local(path)
    else:
        raise PhotoError(f"{source}: no such file or folder; check the path")


def _folder(folder: Path) -> Iterator[PhotoAddress]:
    count = 0
    for path in folder.rglob("*"):
        if path.suffix.lower() in SUFFIXES and path.is_file():
            count += 1
            yield _local(path)
    if not count:
        raise PhotoError(f"{folder}: holds no photos ({', '.join(SUFFIXES)}); give the folder that holds them")


def _local(path: Path) -> PhotoAddress:
    about = path.stat()
    return PhotoAddress(str(path.absolute()), f"{about.st_size}-{about.st_mtime_ns}")


def _list(path: Path) -> Iterator[PhotoAddress]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise PhotoError(f"{path}: cannot be read as a list of photos ({error}); write one address a line") from None
    named = [line.strip() for line in lines if line.strip()]
    if not named:
        raise PhotoError(f"{path}: names no photos; write one address a line")
    for one in named:
        yield from _listed(one if "://" in one else str(path.parent / one))


def _remote(address: str) -> Iterator[PhotoAddress]:
    fs, base = opened(address)
    try:
        about = fs.info(base)
        files = fs.find(base, detail=True) if about["type"] == "directory" else {base: about}
    except Exception as error:  # noqa: BLE001 - every file system of fsspec has errors of its own
        raise PhotoError(f"{address}: cannot be read ({_reason(error)}); check the address, line and rights") from None
    photos = {name: about for name, about in files.items() if name.lower().endswith(SUFFIXES)}
    if not photos:
        raise PhotoError(f"{address}: holds no photos ({', '.join(SUFFIXES)}); give the folder that holds them")
    for name, about in photos.items():
        mark = next(
            (str(about[key]) for key in ("ETag", "etag", "LastModified", "mtime", "created") if key in about), ""
        )
        yield PhotoAddress(str(fs.unstrip_protocol(name)), f"{about.get('size') or 0}-{mark}")


def read(address: str) -> bytes:
    """The bytes of a photo, wherever it lies; raises PhotoError."""
    if "://" not in address:
        return read_photo(address, None)[0]
    fs, base = opened(address)
    try:
        data = bytes(fs.cat_file(base, start=0, end=MAX_BYTES + 1))
    except Exception as error:  # noqa: BLE001 - as above
        raise PhotoError(f"{address}: cannot be read ({_reason(error)}); check the address, line and rights") from None
    if len(data) > MAX_BYTES:
        raise PhotoError(f"{address}: is larger than {MAX_BYTES // 2**20} MB; save it smaller")
    return data


def opened(address: str) -> tuple[Any, str]:
    """fsspec's file system of an address, and the path in it; raises MissingExtraError and PhotoError."""
    try:
        from fsspec.core import url_to_fs
    except ImportError:
        raise MissingExtraError("addresses need fsspec; install it with `pip install retail-seg[chain]`") from None
    try:
        fs, base = url_to_fs(address)
    except (ImportError, ValueError) as error:
        raise PhotoError(f"{address}: cannot be opened ({error})") from None
    return fs, str(base)


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or (str(error).splitlines() or [""])[0] or type(error).__name__
