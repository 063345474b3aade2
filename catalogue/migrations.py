"""Numbered steps, forward only, that bring a catalogue file to the form that this version reads.

`PRAGMA user_version` holds the number of the last step, `PRAGMA application_id` says that the file is a catalogue.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

from sqlite_utils import Database

from catalogue.errors import CatalogueVersionError

#: "RSEG" as a big-endian integer.
APPLICATION_ID = 0x52534547


def _products_and_references(db: Database) -> None:
    db.execute("CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL)")
    db.execute("""CREATE TABLE products (
        id INTEGER PRIMARY KEY AUTOINCREMENT, sku TEXT NOT NULL UNIQUE, name TEXT NOT NULL, brand TEXT NOT NULL,
        category TEXT NOT NULL, gtin TEXT NOT NULL, attributes TEXT NOT NULL,
        created TEXT NOT NULL, updated TEXT NOT NULL, deleted TEXT)""")
    db.execute("CREATE INDEX products_gtin ON products (gtin) WHERE gtin != ''")
    # The rows without bytes stay small, so that counting and paging never read a picture or a vector.
    db.execute("""CREATE TABLE refs (
        id INTEGER PRIMARY KEY AUTOINCREMENT, sku TEXT NOT NULL REFERENCES products (sku) ON UPDATE CASCADE,
        content_hash TEXT NOT NULL, source TEXT NOT NULL, width INTEGER NOT NULL, height INTEGER NOT NULL,
        created TEXT NOT NULL, removed TEXT, created_revision INTEGER NOT NULL,
        added_revision INTEGER NOT NULL, removed_revision INTEGER)""")
    db.execute("CREATE UNIQUE INDEX refs_once ON refs (sku, content_hash) WHERE removed IS NULL")
    db.execute("CREATE INDEX refs_hash ON refs (content_hash)")
    db.execute("CREATE INDEX refs_added ON refs (added_revision)")
    db.execute("CREATE INDEX refs_removed ON refs (removed_revision) WHERE removed_revision IS NOT NULL")
    db.execute("""CREATE TABLE ref_pictures (
        reference_id INTEGER PRIMARY KEY REFERENCES refs (id), mask BLOB, picture BLOB NOT NULL)""")
    # One row per embedder: a reindex writes its vectors beside those in use until it is finished.
    db.execute("""CREATE TABLE ref_vectors (
        reference_id INTEGER NOT NULL REFERENCES refs (id), embedder TEXT NOT NULL, views INTEGER NOT NULL,
        vectors BLOB NOT NULL, features BLOB)""")
    db.execute("CREATE UNIQUE INDEX ref_vectors_once ON ref_vectors (reference_id, embedder)")
    db.execute("""CREATE TABLE log (
        id INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL, by TEXT NOT NULL, action TEXT NOT NULL,
        sku TEXT NOT NULL, before TEXT, after TEXT, added TEXT NOT NULL, removed TEXT NOT NULL, undoes INTEGER)""")
    db.execute("CREATE INDEX log_sku ON log (sku)")


#: A step never changes once it has been released; a new form is a new step at the end.
STEPS: tuple[Callable[[Database], None], ...] = (_products_and_references,)
VERSION = len(STEPS)


def version_of(db: Database, path: Path) -> int:
    """The number of the last step that this file went through, 0 for an empty file.

    Raises CatalogueVersionError for a file that is no catalogue, or one of a newer version.
    """
    try:
        version = int(db.execute("PRAGMA user_version").fetchone()[0])
        application = int(db.execute("PRAGMA application_id").fetchone()[0])
        tables = int(db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0])
    except sqlite3.DatabaseError as error:
        if "not a database" not in str(error):
            raise
        raise CatalogueVersionError(f"{path}: is no catalogue; give the file of a store") from None
    if application != APPLICATION_ID and (tables or version):
        raise CatalogueVersionError(f"{path}: is another program's database; give the file of a store")
    if version > VERSION:
        raise CatalogueVersionError(
            f"{path}: was written by a newer version (form {version}, this one reads {VERSION}); update retail-seg"
        )
    return version


def run_steps(db: Database, version: int) -> None:
    """Apply the steps after `version`; the caller has opened the transaction that makes them one change."""
    for step in STEPS[version:]:
        step(db)
    db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    db.execute(f"PRAGMA user_version = {VERSION}")
