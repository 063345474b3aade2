"""Kept photos that have grown old go, with their small pictures; what was found in them and corrected stays."""

from __future__ import annotations

from catalogue.rows import write_log
from catalogue.store import Catalogue


def count(catalogue: Catalogue, before: str = "9999") -> int:
    """How many scans that were kept before a time (ISO, UTC) have a photo of their own."""
    (number,) = catalogue.db.execute(
        "SELECT count(*) FROM scans WHERE photo IS NOT NULL AND at < ?", [before]
    ).fetchone()
    return int(number)


def forget(catalogue: Catalogue, before: str, *, by: str = "") -> int:
    """Take the photos of scans that were kept before a time out of the file, for good; returns how many there were.

    SQLite writes zeros over what is deleted, so that the bytes are gone from the file, too; backups keep theirs.
    """
    if not count(catalogue, before):
        return 0
    db = catalogue.db
    db.conn.execute("PRAGMA secure_delete = ON")
    try:
        with catalogue.change() as db:
            db.execute("DELETE FROM scan_thumbnails WHERE scan_id IN (SELECT id FROM scans WHERE at < ?)", [before])
            number = db.execute("UPDATE scans SET photo = NULL WHERE photo IS NOT NULL AND at < ?", [before]).rowcount
            write_log(db, by, f"{number} photos kept before {before[:10]} removed", "", None, None)
    finally:
        db.conn.execute("PRAGMA secure_delete = OFF")
    return int(number)
