"""What was changed in plans, checks and tasks of shelves, by whom and when, and how it is taken back.

A change is a list of edits of columns; a new row is an edit of its column `gone`, so taking it back takes the row out.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from catalogue.database import inserted, now
from catalogue.errors import UndoError
from catalogue.plan_rows import check_times
from catalogue.sqlite import Database
from catalogue.store import Catalogue

#: What can be changed and taken back, by table.
COLUMNS = {
    "plans": ("gone", "starts", "ends"),
    "checks": ("gone",),
    "tasks": ("gone", "finding_id", "state", "who", "note", "changed", "closed_check"),
}


@dataclass(frozen=True)
class Edit:
    """Columns of one row before and after a change."""

    table: str
    row: int
    before: dict[str, Any]
    after: dict[str, Any]


@dataclass(frozen=True)
class ShelfChange:
    """One change: what was done to which plan, check or task (`subject`); `undone_by` is empty while it stands."""

    id: int
    at: str
    by: str
    action: str
    subject: str
    edits: tuple[Edit, ...]
    undone_by: str
    undone_at: str


_CHANGE = """SELECT id, at, by, action, subject, edits, coalesce(undone_by, ''), coalesce(undone_at, '')
    FROM shelf_changes"""


def added(table: str, row: int) -> Edit:
    """The edit that a new row is."""
    return Edit(table, row, {"gone": 1}, {"gone": None})


def record(db: Database, by: str, action: str, subject: str, edits: Sequence[Edit]) -> int:
    """Write a change inside a transaction that the caller has opened; returns its number."""
    rows = [[one.table, one.row, one.before, one.after] for one in edits]
    return inserted(
        db,
        "INSERT INTO shelf_changes (at, by, action, subject, edits) VALUES (?,?,?,?,?)",
        [now(), by, action, subject, json.dumps(rows, ensure_ascii=False)],
    )


def edit(db: Database, table: str, row: int, **after: Any) -> Edit:
    """Set columns of a row inside a transaction; returns the edit, for `record`."""
    before = _read(db, table, row, tuple(after))
    _write(db, table, row, after)
    return Edit(table, row, before, after)


def changes(catalogue: Catalogue, subject: str = "", *, limit: int = 50) -> list[ShelfChange]:
    """The latest changes, newest first; of one plan, check or task with `subject` ("plan NAME", "task 3")."""
    where, values = ("subject = ?", [subject]) if subject else ("1", [])
    rows = catalogue.db.execute(f"{_CHANGE} WHERE {where} ORDER BY id DESC LIMIT ?", [*values, limit])
    return [_change(row) for row in rows.fetchall()]


def undo(catalogue: Catalogue, number: int, *, by: str = "") -> ShelfChange:
    """Take a change back: every column is what it was before; returns the change that was taken back.

    Raises UndoError where the change is unknown, taken back already, or a later one rests on it, and PlanConflict
    where a fixture would have two plans.
    """
    with catalogue.change() as db:
        row = db.execute(f"{_CHANGE} WHERE id = ?", [int(number)]).fetchone()
        if row is None:
            raise UndoError(f"there is no change {number} of plans and tasks; see `retail-seg plan log`")
        entry = _change(row)
        if entry.undone_at:
            raise UndoError(f"change {number} was taken back already, by {entry.undone_by or 'somebody'}")
        for one in entry.edits:
            if _read(db, one.table, one.row, tuple(one.after)) != one.after:
                raise UndoError(f"{entry.subject} was changed again since change {number}; undo that change first")
            _write(db, one.table, one.row, one.before)
        check_times(db)
        db.execute("UPDATE shelf_changes SET undone_by = ?, undone_at = ? WHERE id = ?", [by, now(), entry.id])
        return entry


def _read(db: Database, table: str, row: int, columns: Sequence[str]) -> dict[str, Any]:
    assert set(columns) <= set(COLUMNS[table]), columns
    found = db.execute(f"SELECT {', '.join(columns)} FROM {table} WHERE id = ?", [row]).fetchone()
    return dict(zip(columns, found, strict=True))


def _write(db: Database, table: str, row: int, values: dict[str, Any]) -> None:
    assert set(values) <= set(COLUMNS[table]), values
    columns = ", ".join(f"{column} = ?" for column in values)
    db.execute(f"UPDATE {table} SET {columns} WHERE id = ?", [*values.values(), row])


def _change(row: tuple[Any, ...]) -> ShelfChange:
    id_, at, by, action, subject, edits, undone_by, undone_at = row
    return ShelfChange(
        id_, at, by, action, subject, tuple(Edit(*one) for one in json.loads(edits)), undone_by, undone_at
    )
