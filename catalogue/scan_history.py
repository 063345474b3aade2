"""What people changed in scans and when, and how such a change is taken back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from catalogue.database import inserted, now
from catalogue.errors import UndoError
from catalogue.sqlite import Database
from catalogue.store import Catalogue


@dataclass(frozen=True)
class ScanChange:
    """One change of a scan: instances that were decided, came (`added`) or went (`removed`), and who did it.

    `before` holds (number, SKU, decision, by, at) of what was decided anew; `references` those that were made with it;
    `undone_by` is empty while the change stands.
    """

    id: int
    scan_id: int
    at: str
    by: str
    action: str
    sku: str
    before: list[list[Any]]
    added: list[int]
    removed: list[int]
    references: list[int]
    undone_by: str
    undone_at: str

    @property
    def numbers(self) -> list[int]:
        """The instances that the change touched."""
        return [row[0] for row in self.before] + self.removed + self.added


_CHANGE = """SELECT id, scan_id, at, by, action, sku, before, added, removed, refs, coalesce(undone_by, ''),
    coalesce(undone_at, '') FROM scan_changes"""


def record(
    db: Database,
    scan_id: int,
    by: str,
    action: str,
    sku: str,
    *,
    before: Sequence[Sequence[Any]] = (),
    added: Sequence[int] = (),
    removed: Sequence[int] = (),
    references: Sequence[int] = (),
) -> int:
    """Write a change inside a transaction that the caller has opened; returns its number."""
    lists = [json.dumps([list(row) for row in before])]
    lists += [json.dumps([int(i) for i in numbers]) for numbers in (added, removed, references)]
    return inserted(
        db,
        "INSERT INTO scan_changes (scan_id, at, by, action, sku, before, added, removed, refs)"
        " VALUES (?,?,?,?,?,?,?,?,?)",
        [int(scan_id), now(), by, action, sku, *lists],
    )


def changes(catalogue: Catalogue, scan_id: int, *, limit: int = 50) -> list[ScanChange]:
    """The latest changes of a scan, newest first."""
    rows = catalogue.db.execute(f"{_CHANGE} WHERE scan_id = ? ORDER BY id DESC LIMIT ?", [int(scan_id), limit])
    return [_change(row) for row in rows.fetchall()]


def change(catalogue: Catalogue, number: int) -> ScanChange:
    """One change by its number; raises UndoError."""
    return _find(catalogue.db, number)


def undo(catalogue: Catalogue, number: int, *, by: str) -> ScanChange:
    """Take a change of a scan back: instances are what they were before it; its references are the caller's.

    Raises UndoError where the change is unknown, taken back already, or a later one rests on it.
    """
    with catalogue.change() as db:
        entry = _find(db, number)
        check_undo(catalogue, entry)
        for instance, sku, decision, decided_by, decided_at in entry.before:
            db.execute(
                "UPDATE instances SET sku = ?, decision = ?, decided_by = ?, decided_at = ?"
                " WHERE scan_id = ? AND number = ?",
                [sku, decision, decided_by, decided_at, entry.scan_id, instance],
            )
        for gone, numbers in ((None, entry.removed), (entry.id, entry.added)):
            for instance in numbers:
                sql = "UPDATE instances SET gone = ? WHERE scan_id = ? AND number = ?"
                db.execute(sql, [gone, entry.scan_id, instance])
        db.execute("UPDATE scan_changes SET undone_by = ?, undone_at = ? WHERE id = ?", [by, now(), entry.id])
        return entry


def check_undo(catalogue: Catalogue, entry: ScanChange) -> None:
    """Raises UndoError where a change cannot be taken back now."""
    if entry.undone_at:
        raise UndoError(f"this change of scan {entry.scan_id} was taken back already; reload the scan")
    later = f"{_CHANGE} WHERE scan_id = ? AND id > ? AND undone_at IS NULL ORDER BY id"
    for row in catalogue.db.execute(later, [entry.scan_id, entry.id]).fetchall():
        shared = sorted(set(_change(row).numbers) & set(entry.numbers))
        if shared:
            raise UndoError(f"instance {shared[0]} of scan {entry.scan_id} was changed again; undo that change first")


def _find(db: Database, number: int) -> ScanChange:
    row = db.execute(f"{_CHANGE} WHERE id = ?", [int(number)]).fetchone()
    if row is None:
        raise UndoError(f"there is no change {number} of a scan; reload the scan")
    return _change(row)


def _change(row: tuple[Any, ...]) -> ScanChange:
    id_, scan_id, at, by, action, sku, before, added, removed, references, undone_by, undone_at = row
    texts = at, by, action, sku
    return ScanChange(
        id_,
        scan_id,
        *texts,
        before=json.loads(before),
        added=json.loads(added),
        removed=json.loads(removed),
        references=json.loads(references),
        undone_by=undone_by,
        undone_at=undone_at,
    )
