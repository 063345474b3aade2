"""Who changed what and when, with the values before and after; and how to take a change back."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from catalogue import rows
from catalogue.errors import UndoError
from catalogue.records import Product
from catalogue.sqlite import Database
from catalogue.store import Catalogue


@dataclass(frozen=True)
class Change:
    """One line of the log: a product before and after (None: not there), and references that came and went.

    `undoes` is the change that this one took back, `undone_by` the change that took this one back.
    """

    id: int
    at: str
    by: str
    action: str
    sku: str
    before: Product | None
    after: Product | None
    added: list[int]
    removed: list[int]
    undoes: int | None
    undone_by: int | None

    def fields(self) -> list[tuple[str, str, str]]:
        """(field, old, new) of the product's fields that changed."""
        empty = Product(self.sku)
        return (self.before or empty).differences(self.after or empty)


# The undoing change counts only while it has not been undone itself.
_CHANGE = """SELECT l.id, l.at, l.by, l.action, l.sku, l.before, l.after, l.added, l.removed, l.undoes,
    (SELECT max(u.id) FROM log u WHERE u.undoes = l.id
     AND NOT EXISTS (SELECT 1 FROM log w WHERE w.undoes = u.id)) FROM log l"""


def log(catalogue: Catalogue, *, sku: str = "", limit: int = 50, before: int | None = None) -> list[Change]:
    """The latest changes, newest first; of one product with `sku`, older than a change's number with `before`."""
    conditions, values = ["1"], []
    if sku:
        conditions.append("l.sku = ?")
        values.append(sku)
    if before is not None:
        conditions.append("l.id < ?")
        values.append(str(before))
    sql = f"{_CHANGE} WHERE {' AND '.join(conditions)} ORDER BY l.id DESC LIMIT ?"
    return [_change(row) for row in catalogue.db.execute(sql, [*values, limit]).fetchall()]


def last_number(catalogue: Catalogue) -> int:
    """The number of the latest change in the log, 0 where there is none."""
    return int(catalogue.db.execute("SELECT coalesce(max(id), 0) FROM log").fetchone()[0])


def change(catalogue: Catalogue, number: int) -> Change:
    """One change by its number; raises UndoError."""
    return _find(catalogue.db, number)


def undo(catalogue: Catalogue, number: int, *, by: str = "") -> Change:
    """Take a change back: fields get their former values, references that came go, and those that went return.

    Returns the new change, which can be undone in its turn. Raises UndoError where the change is unknown, has been
    taken back already, or where a later change rests on it; nothing is changed then.
    """
    with catalogue.change() as db:
        return _find(db, _undo(db, _find(db, number), by))


def restore_product(catalogue: Catalogue, sku: str, *, by: str = "") -> Change:
    """Bring a removed product back with the references that went with it; raises UndoError."""
    with catalogue.change() as db:
        if rows.find_product(db, sku) is not None:
            raise UndoError(f"{sku} is in the catalogue; there is nothing to bring back")
        sql = "SELECT max(id) FROM log WHERE sku = ? AND after IS NULL AND before IS NOT NULL"
        (number,) = db.execute(sql, [sku]).fetchone()
        if number is None:
            raise UndoError(f"{sku} never was in the catalogue; see `retail-seg log`")
        return _find(db, _undo(db, _find(db, number), by))


def _undo(db: Database, entry: Change, by: str) -> int:
    if entry.action == "reindex":
        raise UndoError(f"change {entry.id} is a reindex; run it again with the former embedder instead")
    if entry.action.startswith("use model"):
        raise UndoError(f"change {entry.id} switched the segmenter; take it back with `retail-seg runs back`")
    if entry.action.startswith("follow"):
        raise UndoError(f"change {entry.id} took a centre's snapshot; go back with `retail-seg follow --back`")
    if entry.undone_by is not None:
        raise UndoError(f"change {entry.id} was taken back by change {entry.undone_by}; undo that one to repeat it")
    current = rows.find_product(db, entry.sku)
    target = _target(db, entry, current)
    live = set(rows.live_ids(db, entry.sku))
    gone = [id_ for id_ in entry.added if id_ in live]
    back = [] if target is None else _returning(db, entry, live - set(gone))
    if current == target and not gone and not back:
        raise UndoError(f"nothing is left of change {entry.id}; later changes took all of it back")
    rows.mark_removed(db, gone)
    if target is None:
        rows.delete_product(db, entry.sku)
    else:
        rows.write_product(db, target)
    rows.bring_back(db, back)
    return rows.write_log(db, by, "undo", entry.sku, current, target, added=back, removed=gone, undoes=entry.id)


def _target(db: Database, entry: Change, current: Product | None) -> Product | None:
    """The product as it is to be after the undo, None for a product that is to go."""
    if entry.after is None:
        if current is not None:
            raise UndoError(f"{entry.sku} has been added again since change {entry.id}; undo {_later(db, entry)} first")
        return entry.before
    if current is None:
        raise UndoError(f"{entry.sku} has been removed since change {entry.id}; bring it back first")
    if entry.before is None:
        later = set(rows.live_ids(db, entry.sku)) - set(entry.added)
        if later or current != entry.after:
            raise UndoError(f"{entry.sku} has changed since it was added; undo {_later(db, entry)} first")
        return None
    changed = entry.before.differences(entry.after)
    values = current.fields()
    for name, _old, new in changed:
        if values.get(name, "") != new:
            raise UndoError(f"{name} of {entry.sku} has changed again since; undo {_later(db, entry)} first")
    return current.with_fields({name: old for name, old, _new in changed})


def _returning(db: Database, entry: Change, live: Iterable[int]) -> list[int]:
    """The references that the change took out, less those that are there again, perhaps as another upload."""
    hashes = {row[0] for row in _hashes(db, live)}
    wanted = [id_ for id_ in entry.removed if id_ not in set(live)]
    return [id_ for id_ in wanted if _hashes(db, [id_])[0][0] not in hashes]


def _hashes(db: Database, ids: Iterable[int]) -> list[tuple[str]]:
    return [db.execute("SELECT content_hash FROM refs WHERE id = ?", [id_]).fetchone() for id_ in ids]


def _later(db: Database, entry: Change) -> str:
    (number,) = db.execute("SELECT max(id) FROM log WHERE sku = ? AND id > ?", [entry.sku, entry.id]).fetchone()
    return f"change {number}"


def _find(db: Database, number: int) -> Change:
    row = db.execute(f"{_CHANGE} WHERE l.id = ?", [int(number)]).fetchone()
    if row is None:
        raise UndoError(f"there is no change {number}; see `retail-seg log`")
    return _change(row)


def _change(row: tuple[Any, ...]) -> Change:
    id_, at, by, action, sku, before, after, added, removed, undoes, undone_by = row
    return Change(
        id_,
        at,
        by,
        action,
        sku,
        Product.from_json(before) if before else None,
        Product.from_json(after) if after else None,
        json.loads(added),
        json.loads(removed),
        undoes,
        undone_by,
    )
