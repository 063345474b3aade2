"""One SQLite file, a connection per thread, one transaction per change."""

from __future__ import annotations

import sqlite3
import threading
import weakref
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from catalogue import migrations
from catalogue.errors import CatalogueError, CatalogueVersionError, FollowedError
from catalogue.sqlite import Database

#: How long a writer waits for another process's change, in seconds.
BUSY_SECONDS = 60.0
#: How the message of a guard begins that a store which follows a centre has set, see `catalogue.following`.
GUARD = "followed: "


def now() -> str:
    """The time in UTC, as the catalogue stores it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def inserted(db: Database, sql: str, values: Sequence[Any]) -> int:
    """Run an INSERT of one row; returns the row's number."""
    number = db.execute(sql, values).lastrowid
    assert number is not None
    return int(number)


def connect(path: Path) -> Database:
    """A connection with the settings that the catalogue relies on."""
    # isolation_level None: transactions begin where the code says so, never implicitly.
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA foreign_keys = ON")
    # FULL: what was acknowledged survives a power cut, not only a killed process.
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA cache_size = -16384")
    connection.execute("PRAGMA journal_size_limit = 67108864")
    return Database(connection)


class DatabaseFile:
    """The open file: `db` is the calling thread's connection, `change` and `reading` are transactions on it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._local = threading.local()
        # Weak, so that a finished thread's connection closes with it (a web server makes a thread per request).
        self._open: weakref.WeakSet[Database] = weakref.WeakSet()
        self._lock = threading.Lock()
        self._closed = False

    @property
    def db(self) -> Database:
        """This thread's connection; raises CatalogueError after `close`."""
        if self._closed:
            raise CatalogueError(f"{self.path}: is closed; open the store again")
        found: Database | None = getattr(self._local, "db", None)
        if found is None:
            found = self._local.db = connect(self.path)
            with self._lock:
                self._open.add(found)
        return found

    @contextmanager
    def change(self) -> Iterator[Database]:
        """A write transaction: all of it or, on any exception, nothing of it.

        One within another of the same thread is part of it: its end writes nothing, its exception takes back its own.
        """
        if self.db.conn.in_transaction:
            yield from self._part()
            return
        # IMMEDIATE: the write lock is taken before the first read, so two writers queue instead of failing halfway.
        yield from self._transaction("BEGIN IMMEDIATE")

    @contextmanager
    def reading(self) -> Iterator[Database]:
        """Several reads of one and the same state, whatever other processes commit meanwhile."""
        yield from self._transaction("BEGIN")

    def _part(self) -> Iterator[Database]:
        db = self.db
        db.conn.execute("SAVEPOINT part")
        try:
            yield db
        except BaseException:
            if db.conn.in_transaction:
                db.conn.execute("ROLLBACK TO part")
                db.conn.execute("RELEASE part")
            raise
        db.conn.execute("RELEASE part")

    def _transaction(self, begin: str) -> Iterator[Database]:
        db = self.db
        try:
            db.conn.execute(begin)
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise
            raise CatalogueError(
                f"{self.path}: another process has been writing for {BUSY_SECONDS:.0f} s; try again when it is done"
            ) from None
        try:
            yield db
        except BaseException as error:
            if db.conn.in_transaction:
                db.conn.execute("ROLLBACK")
            if isinstance(error, sqlite3.IntegrityError) and str(error).startswith(GUARD):
                raise FollowedError(
                    f"{self.path.parent}: follows a centre, and {str(error).removeprefix(GUARD)}; change it there, "
                    f"or leave with `retail-seg follow --stop --store {self.path.parent}`"
                ) from None
            raise
        db.conn.execute("COMMIT")

    def close(self) -> None:
        """Close the connections of all threads; a second call does nothing."""
        self._closed = True
        with self._lock:
            for db in list(self._open):
                db.conn.close()
            self._open.clear()


def create(path: Path, settings: dict[str, str]) -> None:
    """Make a new catalogue file; raises CatalogueError where there is one already."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = DatabaseFile(path)
    try:
        if _version(file):
            raise CatalogueError(f"{path}: holds a catalogue already; open it or choose another folder")
        file.db.conn.execute("PRAGMA journal_mode = WAL")
        with file.change() as db:
            if migrations.version_of(db, path):
                raise CatalogueError(f"{path}: another process made a catalogue here just now; open it")
            migrations.run_steps(db, 0)
            for key, value in settings.items():
                db.execute("INSERT INTO settings (key, value) VALUES (?, ?)", [key, value])
    finally:
        file.close()


def open_file(path: Path) -> DatabaseFile:
    """Open a catalogue file, bringing one of an older version forward with a backup left beside it."""
    if not path.is_file():
        raise CatalogueError(f"{path}: no such catalogue; make a store with `retail-seg init`")
    file = DatabaseFile(path)
    try:
        version = _version(file)
        if version == 0:
            raise CatalogueVersionError(f"{path}: is empty; make a store with `retail-seg init`")
        if version < migrations.VERSION:
            _migrate(file, version)
    except BaseException:
        file.close()
        raise
    return file


def _version(file: DatabaseFile) -> int:
    try:
        return migrations.version_of(file.db, file.path)
    except sqlite3.DatabaseError as error:
        raise unreadable(file.path, error) from None


def unreadable(path: Path, error: sqlite3.DatabaseError) -> CatalogueError:
    """What a file that SQLite cannot read is called: another kind of file, a damaged one, or one without access."""
    if "not a database" in str(error):
        return CatalogueVersionError(f"{path}: is no catalogue; give the file of a store")
    if isinstance(error, sqlite3.OperationalError):
        return CatalogueError(f"{path}: cannot be opened ({error}); check the file and its folder")
    return CatalogueError(f"{path}: is damaged ({error}); restore a backup into an empty store")


def _migrate(file: DatabaseFile, version: int) -> None:
    backup = file.path.with_name(f"{file.path.name}.form-{version}.backup")
    if not backup.exists():
        copy_into(file.db, backup)
    with file.change() as db:
        run_from = migrations.version_of(db, file.path)  # another process may have been faster
        migrations.run_steps(db, run_from)


def copy_into(db: Database, target: Path, attach: Iterable[tuple[str, bytes]] = ()) -> None:
    """Copy the whole database, as it is at one moment, to a new file, while others read and write it."""
    part = target.with_name(target.name + ".part")
    part.unlink(missing_ok=True)
    with closing(sqlite3.connect(part)) as copy:
        db.conn.backup(copy)
        for name, data in attach:
            copy.execute("INSERT OR REPLACE INTO attachments (name, data) VALUES (?, ?)", [name, data])
        copy.commit()
        copy.execute("PRAGMA journal_mode = DELETE")
    part.replace(target)
