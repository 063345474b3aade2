"""Where snapshots lie, whatever fsspec reads: a folder, S3, http; every failure is one sentence with the address."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from retail_seg.chain.packing import Chunk, unwrapped, unwrapped_as, wrapped
from retail_seg.errors import ChainError, MissingExtraError
from retail_seg.system.files import replace_file

T = TypeVar("T")

#: The one file that changes: it names the snapshot of today.
HEAD = "head.json"
#: A head is smaller than this, in bytes.
_HEAD_BYTES = 2**16
#: Chunks that are fetched or laid down at once.
_LANES = 8
#: Seconds until an address counts as one where nothing listens, and until an answer counts as broken off.
_CONNECT, _SILENCE = 15, 60


class Remote:
    """A place for snapshots: its head, and chunks under their names. Nothing is opened before it is asked for."""

    def __init__(self, address: str | Path) -> None:
        self.address = str(address)
        self._fs, self._base = self._asked(lambda: _opened(self.address))

    @property
    def place(self) -> str:
        """The address as it is however it was written."""
        return str(self._fs.unstrip_protocol(self._base))

    def head(self) -> bytes | None:
        """What the head says, None where nothing was ever published; raises ChainError."""
        return self._read(HEAD, _HEAD_BYTES)

    def write_head(self, data: bytes) -> None:
        """Say which snapshot is today's, in one step; raises ChainError."""
        self._write(HEAD, data)

    def chunk(self, chunk: Chunk) -> bytes:
        """The bytes of a chunk, which are these or none; raises ChainError."""
        stored = self._read(_place(chunk), chunk.size + chunk.size // 100 + 1024)
        if stored is None:
            raise ChainError(f"{self.address}: chunk {chunk.name[:12]} is missing there")
        try:
            return unwrapped(stored, chunk)
        except ChainError as error:
            raise ChainError(f"{self.address}: {error}") from None

    def chunks(self, wanted: Iterable[Chunk]) -> Iterator[tuple[Chunk, bytes]]:
        """The bytes of many chunks, some fetched at once, in their order; raises ChainError at the first that fails."""
        todo = iter(wanted)
        with ThreadPoolExecutor(_LANES) as pool:
            while batch := list(islice(todo, _LANES)):
                yield from zip(batch, pool.map(self.chunk, batch), strict=True)

    def put(self, chunk: Chunk, data: bytes, there: dict[str, int]) -> int:
        """Lay a chunk down, unless it is `there` (stored bytes by name) whole; returns how many bytes went."""
        stored = wrapped(data)
        if there.get(chunk.name) == len(stored):
            return 0
        self._write(_place(chunk), stored)
        return len(stored)

    def stored(self) -> dict[str, int]:
        """Name and stored bytes of every chunk that lies there; raises ChainError."""
        return self._listed("chunks")

    def named(self, name: str, stored: int) -> bytes:
        """The bytes of a chunk of which only the name is known, and how many it has there; raises ChainError."""
        data = self._read(f"chunks/{name[:2]}/{name}", stored)
        if data is None:
            raise ChainError(f"{self.address}: chunk {name[:12]} is missing there")
        return unwrapped_as(data, name)

    def remove(self, names: Sequence[str]) -> None:
        """Take chunks away, some at once; one that is gone is no error. Raises ChainError."""
        with ThreadPoolExecutor(_LANES) as pool:
            for _ in pool.map(self._remove, names):
                pass

    def _remove(self, name: str) -> None:
        self._asked(lambda: self._fs.rm_file(f"{self._base}/chunks/{name[:2]}/{name}"), missing=None)

    def note(self, name: str, most: int) -> bytes | None:
        """A file of the publisher's own, of at most so many bytes, None where there is none; raises ChainError."""
        return self._read(name, most)

    def write_note(self, name: str, data: bytes) -> None:
        """Write a file of the publisher's own in one step; raises ChainError."""
        self._write(name, data)

    def contributions(self) -> dict[str, int]:
        """Name and bytes of every contribution that shops have laid down; raises ChainError."""
        return self._listed("contributions")

    def contribution(self, name: str, most: int) -> bytes | None:
        """The bytes of a contribution, at most so many, None where it is gone; raises ChainError."""
        return self._read(f"contributions/{name}", most)

    def contribute(self, chunk: Chunk, data: bytes) -> None:
        """Lay a contribution down; raises ChainError."""
        self._write(f"contributions/{chunk.name}", data)

    def _listed(self, folder: str) -> dict[str, int]:
        found = self._asked(lambda: self._fs.find(f"{self._base}/{folder}", detail=True), missing={})
        return {path.rsplit("/", 1)[-1]: int(about["size"] or 0) for path, about in found.items()}

    def _read(self, name: str, most: int) -> bytes | None:
        """A file of at most so many bytes, None where there is none; raises ChainError."""
        data = self._asked(lambda: self._start(f"{self._base}/{name}", most + 1), missing=None)
        if data is not None and len(data) > most:
            raise ChainError(
                f"{self.address}: {name} has more than {most:,} bytes and is none of ours; nothing was used"
            )
        return data

    def _start(self, path: str, most: int) -> bytes:
        """The first bytes of a file: a server that sends on and on is not listened to."""
        if "http" not in self._fs.protocol:
            return bytes(self._fs.cat_file(path, start=0, end=most))
        from fsspec.asyn import sync

        return bytes(sync(self._fs.loop, _first_bytes, self._fs, path, most))

    def _write(self, name: str, data: bytes) -> None:
        path = f"{self._base}/{name}"
        if self._fs.protocol in ("file", ("file", "local")):  # whole or not at all, as object stores do it anyway
            self._asked(lambda: replace_file(Path(path), data))
        else:
            self._asked(lambda: self._fs.pipe_file(path, data))

    def _asked(self, ask: Callable[[], T], **otherwise: Any) -> T:
        """What comes of asking; `missing` where that is given and nothing is there."""
        try:
            return ask()
        except MissingExtraError:
            raise
        except FileNotFoundError as error:
            if "missing" in otherwise:
                return otherwise["missing"]
            raise self._unreachable(error) from None
        except Exception as error:  # noqa: BLE001 - every file system of fsspec has errors of its own
            raise self._unreachable(error) from None

    def _unreachable(self, error: Exception) -> ChainError:
        reason = getattr(error, "strerror", None) or (str(error).splitlines() or [""])[0] or type(error).__name__
        return ChainError(f"{self.address}: cannot be reached or used ({reason}); check the address, line and rights")


async def _first_bytes(fs: Any, url: str, most: int) -> bytes:
    """The first bytes of what is at a URL; fsspec's own `cat_file` reads to the end of whatever comes."""
    read = bytearray()
    session = await fs.set_session()
    async with session.get(fs.encode_url(url)) as answer:
        if answer.status == 404:
            raise FileNotFoundError(url)
        answer.raise_for_status()
        while len(read) < most and (data := await answer.content.read(most - len(read))):
            read += data
    return bytes(read)


def _place(chunk: Chunk) -> str:
    return f"chunks/{chunk.name[:2]}/{chunk.name}"


def _opened(address: str) -> tuple[Any, str]:
    try:
        import fsspec
        from fsspec.core import url_to_fs
    except ImportError:
        raise MissingExtraError("snapshots need fsspec; install it with `pip install retail-seg[chain]`") from None

    protocol = fsspec.utils.get_protocol(address)
    try:
        fs, base = url_to_fs(address, skip_instance_cache=True, use_listings_cache=False, **_options(protocol))
    except ImportError as error:  # fsspec knows the protocol, and its package is not there
        which = "s3" if protocol.startswith("s3") else "chain"
        raise MissingExtraError(f"{address}: {error}; run `pip install retail-seg[{which}]`") from None
    return fs, str(base).rstrip("/")


def _options(protocol: str) -> dict[str, Any]:
    """How long an address is waited for."""
    if protocol in ("http", "https"):
        import aiohttp

        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT, sock_read=_SILENCE)
        return {"client_kwargs": {"timeout": timeout}}
    if protocol in ("s3", "s3a"):
        return {"config_kwargs": {"connect_timeout": _CONNECT, "read_timeout": _SILENCE}}
    return {}
