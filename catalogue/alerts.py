"""Where findings are told, and which were: a row per target and finding, kept until it is told or given up."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from catalogue.database import now
from catalogue.errors import UnknownCheck
from catalogue.rows import write_log
from catalogue.sqlite import Database
from catalogue.store import Catalogue

#: States of an alert: to be told; told; given up; mended, or another finding by now, before it was told.
STATES = ("waiting", "sent", "dead", "over")


@dataclass(frozen=True)
class Target:
    """A name, what is at it, and the join's own JSON-able settings; `at` is when it was set up first."""

    id: int
    name: str
    kind: str
    settings: dict[str, Any]
    at: str
    by: str


@dataclass(frozen=True)
class Alert:
    """A finding that a target is to be told: tried so many times, next at `due` (ISO, UTC), with the last `error`.

    `details` is the finding as its check kept it; `check`, `shop` and `taken` are of that check.
    """

    id: int
    target: str
    task: int
    state: str
    attempts: int
    due: str
    error: str
    at: str
    check: int
    shop: str
    taken: str
    details: dict[str, Any]


_TARGET = "SELECT id, name, kind, settings, at, by FROM alert_targets"
_ALERT = """SELECT a.id, g.name, a.task_id, a.state, a.attempts, a.due, a.error, a.at, c.id, c.shop, c.taken, f.details
    FROM alerts a JOIN alert_targets g ON g.id = a.target_id JOIN findings f ON f.id = a.finding_id
    JOIN checks c ON c.id = f.check_id"""
#: Findings that were made since a target was set up, whose tasks are still to be done, and that it was never told.
_NEW = """SELECT t.id, f.id, f.key FROM tasks t JOIN findings f ON f.id = t.finding_id
    JOIN checks c ON c.id = f.check_id
    WHERE t.gone IS NULL AND t.state IN ('open', 'taken') AND c.gone IS NULL AND c.at >= ?
    AND NOT EXISTS (SELECT 1 FROM alerts a WHERE a.target_id = ? AND a.task_id = t.id AND a.key = f.key)
    ORDER BY f.id"""
_OVER = """UPDATE alerts SET state = 'over' WHERE state = 'waiting' AND NOT EXISTS (
    SELECT 1 FROM tasks t JOIN findings f ON f.id = t.finding_id
    WHERE t.id = alerts.task_id AND t.gone IS NULL AND t.state IN ('open', 'taken') AND f.key = alerts.key)"""


def put_target(catalogue: Catalogue, name: str, kind: str, settings: Mapping[str, Any], *, by: str = "") -> Target:
    """Set up a target, or give one of this name other settings; what it was told it is not told again."""
    with catalogue.change() as db:
        sql = """INSERT INTO alert_targets (name, kind, settings, at, by) VALUES (?,?,?,?,?)
            ON CONFLICT (name) DO UPDATE SET kind = excluded.kind, settings = excluded.settings, by = excluded.by"""
        db.execute(sql, [name, kind, json.dumps(dict(settings), ensure_ascii=False), now(), by])
        write_log(db, by, f"alerts to {name} set ({kind})", "", None, None)
        return _find(db, name)


def remove_target(catalogue: Catalogue, name: str, *, by: str = "") -> None:
    """Take a target away, with what it was to be told; raises UnknownCheck."""
    with catalogue.change() as db:
        found = _find(db, name)
        db.execute("DELETE FROM alerts WHERE target_id = ?", [found.id])
        db.execute("DELETE FROM alert_targets WHERE id = ?", [found.id])
        write_log(db, by, f"alerts to {name} removed", "", None, None)


def targets(catalogue: Catalogue) -> list[Target]:
    """All targets, by name."""
    return [_target(row) for row in catalogue.db.execute(f"{_TARGET} ORDER BY name").fetchall()]


def target(catalogue: Catalogue, name: str) -> Target:
    """One target; raises UnknownCheck."""
    return _find(catalogue.db, name)


def counts(catalogue: Catalogue, target_id: int) -> dict[str, int]:
    """How many alerts of a target are in each of STATES."""
    rows = catalogue.db.execute("SELECT state, count(*) FROM alerts WHERE target_id = ? GROUP BY state", [target_id])
    return dict.fromkeys(STATES, 0) | dict(rows.fetchall())


def queue(catalogue: Catalogue, found: Target, due: str) -> int:
    """Let a target's new findings wait until `due`, let go of what is mended meanwhile; returns how many are new."""
    with catalogue.change() as db:
        db.execute(_OVER)
        rows = db.execute(_NEW, [found.at, found.id]).fetchall()
        sql = """INSERT INTO alerts (target_id, task_id, finding_id, key, state, attempts, due, error, at)
            VALUES (?,?,?,?,'waiting',0,?,'',?)"""
        for task, finding, key in rows:
            db.execute(sql, [found.id, task, finding, key, due, now()])
        return len(rows)


def waiting(catalogue: Catalogue, target_id: int, until: str) -> list[Alert]:
    """What a target is to be told by `until` (ISO, UTC), what waited longest first."""
    sql = f"{_ALERT} WHERE a.target_id = ? AND a.state = 'waiting' AND a.due <= ? ORDER BY a.due, a.id"
    return [_alert(row) for row in catalogue.db.execute(sql, [target_id, until]).fetchall()]


def reschedule(catalogue: Catalogue, target_id: int, due: str) -> None:
    """Let all that a target is to be told wait until `due`."""
    with catalogue.change() as db:
        db.execute("UPDATE alerts SET due = ? WHERE target_id = ? AND state = 'waiting'", [due, target_id])


def sent(catalogue: Catalogue, ids: Sequence[int], note: str = "") -> None:
    """Keep that alerts were told."""
    with catalogue.change() as db:
        for id_ in ids:
            db.execute(
                "UPDATE alerts SET state = 'sent', attempts = attempts + 1, error = ?, sent = ? WHERE id = ?",
                [note, now(), id_],
            )


def failed(catalogue: Catalogue, id: int, error: str, due: str) -> None:
    """Keep that an alert could not be told, and when it is tried again; it is dead where `due` is empty."""
    with catalogue.change() as db:
        db.execute(
            "UPDATE alerts SET state = ?, attempts = attempts + 1, error = ?, due = ? WHERE id = ?",
            ["waiting" if due else "dead", error, due or now(), id],
        )


def dead(catalogue: Catalogue) -> list[Alert]:
    """The alerts that were given up, the latest first."""
    return [
        _alert(row) for row in catalogue.db.execute(f"{_ALERT} WHERE a.state = 'dead' ORDER BY a.id DESC").fetchall()
    ]


def revive(catalogue: Catalogue, *, by: str = "") -> int:
    """Let all that was given up wait again, from the first try on; returns how many."""
    with catalogue.change() as db:
        number = db.execute(
            "UPDATE alerts SET state = 'waiting', attempts = 0, due = ? WHERE state = 'dead'", [now()]
        ).rowcount
        write_log(db, by, f"{number} alerts tried again", "", None, None)
        return int(number)


def _find(db: Database, name: str) -> Target:
    row = db.execute(f"{_TARGET} WHERE name = ?", [name]).fetchone()
    if row is None:
        names = [one for (one,) in db.execute("SELECT name FROM alert_targets ORDER BY name LIMIT 6")]
        choice = f"there are {', '.join(names)}" if names else "set one up with `retail-seg alert set`"
        raise UnknownCheck(f"no target of alerts is called {name}; {choice}")
    return _target(row)


def _target(row: tuple[Any, ...]) -> Target:
    id_, name, kind, settings, at, by = row
    return Target(id_, name, kind, json.loads(settings), at, by)


def _alert(row: tuple[Any, ...]) -> Alert:
    *values, details = row
    return Alert(*[*values, json.loads(details)])
