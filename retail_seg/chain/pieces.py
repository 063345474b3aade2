"""Pieces that lie in a store: fetched and not yet taken over, or kept for the way back."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from pathlib import Path

from retail_seg.chain.packing import Piece
from retail_seg.chain.remote import Remote
from retail_seg.errors import ChainError
from retail_seg.system.files import replace_file

#: Bytes that are left free on a disk.
SPARE = 64 * 2**20


class Pieces:
    """A folder of pieces under their names; what cannot be read whole counts as not there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, piece: Piece) -> bytes | None:
        """The bytes of a piece, checked; None where they do not lie here, or lie here damaged."""
        try:
            return piece.check((self._folder / piece.name).read_bytes())
        except (FileNotFoundError, ChainError):
            return None

    def need(self, piece: Piece) -> bytes:
        """The bytes of a piece that was fetched; raises ChainError where somebody took or changed it since."""
        data = self.get(piece)
        if data is None:
            raise ChainError(f"{self._folder}: piece {piece.name[:12]} was taken away meanwhile; follow again")
        return data

    def put(self, piece: Piece, data: bytes) -> None:
        """Keep a piece; raises ChainError where there is no room."""
        try:
            replace_file(self._folder / piece.name, data)
        except OSError as error:
            raise no_room(self._folder, error) from None

    def fetch(self, wanted: Iterable[Piece], remote: Callable[[], Remote], on_piece: Callable[[int, int], None]) -> int:
        """Fetch the pieces that do not lie here; returns how many bytes these are. Raises ChainError.

        They count twice in the room that is asked for: as pieces, and as the rows that are made of them.
        """
        missing = [piece for piece in dict.fromkeys(wanted) if self.get(piece) is None]
        total, done = sum(piece.size for piece in missing), 0
        if not missing:
            return 0
        self._folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(self._folder).free
        if free < 2 * total + SPARE:
            raise ChainError(
                f"{self._folder}: {(2 * total + SPARE) / 1e6:,.0f} MB are needed and {free / 1e6:,.0f} MB are free; "
                "make room and follow again; the store is as it was"
            )
        for piece, data in remote().pieces(missing):
            self.put(piece, data)
            done += piece.size
            on_piece(done, total)
        return total

    def keep_only(self, pieces: Collection[Piece]) -> None:
        """Take all other pieces away; what cannot be is tried again the next time."""
        names = {piece.name for piece in pieces}
        with suppress(OSError):
            for path in self._folder.iterdir():
                if path.name not in names:
                    path.unlink(missing_ok=True)


def no_room(where: Path, error: Exception) -> ChainError:
    """What a person reads when something cannot be written."""
    reason = getattr(error, "strerror", None) or error
    return ChainError(f"{where}: cannot be written ({reason}); make room or mend the rights; the store is as it was")
