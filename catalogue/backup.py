"""A whole store in one file, taken while others read and write; and back into an empty store."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from uuid import uuid4

from catalogue import database, migrations
from catalogue.errors import BackupError, CatalogueError, PictureRefused
from catalogue.sources import relative_name
from catalogue.sqlite import Database
from catalogue.store import Catalogue


def backup(catalogue: Catalogue, target: str | Path, attach: Iterable[tuple[str, bytes]] = ()) -> Path:
    """Write the catalogue, as it is at one moment, to a new file and check it; raises BackupError.

    `attach` gives other files of the store, (relative name, content), one at a time; a name that ends with a slash is
    an empty folder. The file appears only when it is complete.
    """
    target = Path(target)
    if target.exists():
        raise BackupError(f"{target}: exists already; choose a new name for the backup")
    if not target.parent.is_dir():
        raise BackupError(f"{target.parent}: no such folder; make it first")
    try:
        database.copy_into(catalogue.db, target, attach)
    except (OSError, sqlite3.OperationalError) as error:
        target.with_name(target.name + ".part").unlink(missing_ok=True)
        raise BackupError(f"{target}: cannot be written ({error}); check the disk") from None
    with closing(sqlite3.connect(target)) as copy:
        damage = integrity(Database(copy))
    if damage:
        raise BackupError(f"{target}: the copy is damaged ({damage[0]}); check the disk and run it again")
    return target


def restore(source: str | Path, target: str | Path) -> Catalogue:
    """Make a catalogue at `target` (which must not exist) from a backup, bring it forward and open it.

    Raises BackupError where there is a store already or the backup is damaged, CatalogueVersionError where it was
    written by a newer version; nothing is left at `target` then.
    """
    source, target = Path(source), Path(target)
    if not source.is_file():
        raise BackupError(f"{source}: no such backup; check the path")
    if target.exists():
        raise BackupError(f"{target}: holds a store already; restore into an empty one")
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".restoring")
    try:
        _copy(source, part)
        part.rename(target)
    finally:
        part.unlink(missing_ok=True)
    return Catalogue.open(target)


def take_attachments(catalogue: Catalogue) -> Iterator[tuple[str, bytes]]:
    """The files that came with a restored backup, (relative name, content), one at a time as `backup` got them.

    When the last was taken they are dropped from the catalogue, and the room that they took is given back.
    """
    names = [row[0] for row in catalogue.db.execute("SELECT name FROM attachments ORDER BY name").fetchall()]
    try:
        safe = [relative_name(name) + "/" * name.endswith("/") for name in names]
    except PictureRefused:
        raise BackupError("the backup holds files that would lie outside of the store; it is not one of ours") from None
    for name, wanted in zip(names, safe, strict=True):
        yield wanted, catalogue.db.execute("SELECT data FROM attachments WHERE name = ?", [name]).fetchone()[0]
    with catalogue.change() as db:
        db.execute("DELETE FROM attachments")
    if names:
        catalogue.db.conn.execute("VACUUM")


def integrity(db: Database) -> list[str]:
    """What SQLite finds wrong with the file and with its links between rows; empty when all is well."""
    found = [str(row[0]) for row in db.execute("PRAGMA integrity_check").fetchall() if row[0] != "ok"]
    return found + [f"a row of {row[0]} points nowhere" for row in db.execute("PRAGMA foreign_key_check").fetchall()]


def _copy(source: Path, part: Path) -> None:
    part.unlink(missing_ok=True)
    # Read-only: a backup on a stick stays as it is, whatever happens here.
    with closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)) as origin:
        try:
            version = migrations.version_of(Database(origin), source)
            if version == 0:
                raise BackupError(f"{source}: is empty; give a file that `retail-seg backup` wrote")
            with closing(database.connect(part).conn) as copy:
                origin.backup(copy)
                _make_own(Database(copy), source, version)
        except sqlite3.DatabaseError as error:
            raise database.unreadable(source, error) from None


def _make_own(db: Database, source: Path, version: int) -> None:
    if damage := integrity(db):
        raise BackupError(f"{source}: is damaged ({damage[0]}); use another backup")
    db.conn.execute("BEGIN IMMEDIATE")
    migrations.run_steps(db, version)
    # An index file of the original store must never be taken for one of this store.
    db.execute("UPDATE settings SET value = ? WHERE key = 'identity'", [uuid4().hex])
    db.conn.execute("COMMIT")
    if db.conn.execute("PRAGMA journal_mode = WAL").fetchone()[0] != "wal":
        raise CatalogueError(f"{source}: cannot be restored to a network folder; use a local disk")
