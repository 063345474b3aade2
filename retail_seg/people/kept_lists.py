"""Lists of who may get in, each a JSON file in the store that is read anew when it changes and replaced as a whole."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from retail_seg.people.roles import AccountError
from retail_seg.system.files import replace_file

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")
_FORM = 1


@dataclass(frozen=True)
class KeptList(Generic[T]):
    """A list of dataclasses of one `kind`, kept in the store's `file` under the name `what`.

    `check` raises ValueError for an entry that is none, `order` sorts them, and `damaged` says what a file that cannot
    be read means for people.
    """

    file: str
    what: str
    kind: Callable[..., T]
    check: Callable[[T], None]
    order: Callable[[T], str]
    damaged: str

    def read(self, store: Path) -> list[T]:
        """The entries in their order, none where there is no file; raises AccountError for a damaged one."""
        path = Path(store) / self.file
        try:
            found = path.stat()
        except FileNotFoundError:
            return []
        return list(_read(self, path, (found.st_ino, found.st_mtime_ns, found.st_size)))

    def write(self, store: Path, entries: Sequence[T]) -> None:
        """Put these in the place of those before, readable for the store's owner alone."""
        data: dict[str, Any] = {"form": _FORM, self.what: [asdict(one) for one in entries]}
        text = json.dumps(data, indent=1, ensure_ascii=False)
        replace_file(Path(store) / self.file, text.encode(), private=True)
        _read.cache_clear()


@lru_cache(maxsize=16)
def _read(kept: KeptList[T], path: Path, stamp: tuple[int, int, int]) -> tuple[T, ...]:
    try:
        entries = tuple(kept.kind(**one) for one in json.loads(path.read_bytes())[kept.what])
        for one in entries:
            kept.check(one)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise AccountError(
            f"{path}: cannot be read as a list of {kept.what} ({error}); {kept.damaged} until it is mended or restored"
        ) from None
    return tuple(sorted(entries, key=kept.order))
