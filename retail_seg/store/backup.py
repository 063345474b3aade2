"""The whole store in one file: its catalogue, its own models, and what people annotated; and back from it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from catalogue import backup
from retail_seg.errors import StoreError
from retail_seg.people.roles import require
from retail_seg.store.active_model import PREVIOUS, SEGMENTER, settle
from retail_seg.store.following import CHAIN
from retail_seg.system.files import replace_file

if TYPE_CHECKING:
    from catalogue import Catalogue

#: The folders of a store that belong to a backup. Not among them: `users.json`, whose hashes stay on this computer, and
#: the index and the last health report, which are made again.
FOLDERS = (SEGMENTER, PREVIOUS, "teaching", CHAIN)
#: Folders in these that mean something to running processes only.
_PASSING = ("teaching/locks", f"{CHAIN}/locks")


def back_up(catalogue: Catalogue, file: Path) -> Path:
    """Copy a store to a new file while others go on using it; raises BackupError.

    The catalogue is copied as it is at one moment. Each other file is copied whole, after it: photos that are annotated
    meanwhile may be older or newer by some strokes.
    """
    require("manager")
    settle(catalogue.path.parent)
    return backup.backup(catalogue, file, _files(catalogue.path.parent))


def bring_back(file: Path, store: Path) -> None:
    """Make a store of a backup in a new or empty folder; raises StoreError, BackupError, CatalogueVersionError."""
    require("manager")
    from retail_seg.store.opening import CATALOGUE

    if store.exists() and (not store.is_dir() or any(store.iterdir())):
        raise StoreError(f"{store}: is not empty; restore into a new folder with --store")
    with backup.restore(file, store / CATALOGUE) as catalogue:
        for name, data in backup.take_attachments(catalogue):
            if name.endswith("/"):
                (store / name).mkdir(parents=True, exist_ok=True)
            else:
                replace_file(store / name, data)


def _files(store: Path) -> Iterator[tuple[str, bytes]]:
    """(name, content) of every file to copy, one in memory at a time; an empty folder as a name with a slash."""
    for folder in FOLDERS:
        for path in [store / folder, *sorted((store / folder).rglob("*"))]:
            name = path.relative_to(store).as_posix()
            if name.startswith(_PASSING) or path.name.startswith("."):  # hidden: a file that is being written
                continue
            if path.is_dir():
                if not any(path.iterdir()):
                    yield f"{name}/", b""
                continue
            try:
                data = path.read_bytes()
            except FileNotFoundError:  # taken back or deleted since it was listed
                continue
            yield name, data
