"""Chunks that lie in a store: fetched and not yet taken over, or kept for the way back."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from pathlib import Path

from retail_seg.chain.packing import Chunk
from retail_seg.chain.remote import Remote
from retail_seg.errors import ChainError
from retail_seg.system.files import replace_file

#: Bytes that are left free on a disk.
SPARE = 64 * 2**20


class Chunks:
    """A folder of chunks under their names; what cannot be read whole counts as not there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, chunk: Chunk) -> bytes | None:
        """The bytes of a chunk, checked; None where they do not lie here, or lie here damaged."""
        try:
            return chunk.check((self._folder / chunk.name).read_bytes())
        except (FileNotFoundError, ChainError):
            return None

    def need(self, chunk: Chunk) -> bytes:
        """The bytes of a chunk that was fetched; raises ChainError where somebody took or changed it since."""
        data = self.get(chunk)
        if data is None:
            raise ChainError(f"{self._folder}: chunk {chunk.name[:12]} was taken away meanwhile; follow again")
        return data

    def put(self, chunk: Chunk, data: bytes) -> None:
        """Keep a chunk; raises ChainError where there is no room."""
        try:
            replace_file(self._folder / chunk.name, data)
        except OSError as error:
            raise no_room(self._folder, error) from None

    def fetch(self, wanted: Iterable[Chunk], remote: Callable[[], Remote], on_chunk: Callable[[int, int], None]) -> int:
        """Fetch the chunks that do not lie here; returns how many bytes these are. Raises ChainError.

        They count twice in the room that is asked for: as chunks, and as the rows that are made of them.
        """
        missing = [chunk for chunk in dict.fromkeys(wanted) if self.get(chunk) is None]
        total, done = sum(chunk.size for chunk in missing), 0
        if not missing:
            return 0
        self._folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(self._folder).free
        if free < 2 * total + SPARE:
            raise ChainError(
                f"{self._folder}: {(2 * total + SPARE) / 1e6:,.0f} MB are needed and {free / 1e6:,.0f} MB are free; "
                "make room and follow again; the store is as it was"
            )
        for chunk, data in remote().chunks(missing):
            self.put(chunk, data)
            done += chunk.size
            on_chunk(done, total)
        return total

    def keep_only(self, chunks: Collection[Chunk]) -> None:
        """Take all other chunks away; what cannot be is tried again the next time."""
        names = {chunk.name for chunk in chunks}
        with suppress(OSError):
            for path in self._folder.iterdir():
                if path.name not in names:
                    path.unlink(missing_ok=True)


def no_room(where: Path, error: Exception) -> ChainError:
    """What a person reads when something cannot be written."""
    reason = getattr(error, "strerror", None) or error
    return ChainError(f"{where}: cannot be written ({reason}); make room or mend the rights; the store is as it was")
