"""Checks of shelves as they are kept: what was found, and the tasks that come of it and end with it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from catalogue.database import inserted, now
from catalogue.errors import UnknownCheck
from catalogue.shelf_history import Edit, added, edit, record
from catalogue.sqlite import Database
from catalogue.store import Catalogue

#: States of a task; somebody said of `not true` that the finding is none.
STATES = ("open", "taken", "done", "not true")


@dataclass(frozen=True)
class NewFinding:
    """A finding about to be kept: `place` names the product's place, `key` the finding; `details` is the join's own."""

    place: str
    key: str
    kind: str
    fixture: str
    shelf: int
    position: int
    sku: str
    probability: float
    cause: str = ""
    action: str = ""
    cost: float = 0.0
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class NewCheck:
    """A check about to be kept; `well` names the places at which all is as planned, whose tasks are done.

    `taken` is when the photos were taken (ISO); `summary` and `result` are the join's own JSON-able values.
    """

    plan_id: int | None
    fixture: str
    shop: str
    taken: str
    summary: Mapping[str, Any]
    result: Mapping[str, Any]
    findings: Sequence[NewFinding] = ()
    well: Sequence[str] = ()


@dataclass(frozen=True)
class KeptCheck:
    """A kept check without its result; `plan` and `version` are empty and 0 where its plan is not kept."""

    id: int
    at: str
    by: str
    plan: str
    version: int
    fixture: str
    shop: str
    taken: str
    summary: dict[str, Any]


@dataclass(frozen=True)
class KeptFinding:
    """A kept finding, see `NewFinding`, with its number and that of its check."""

    id: int
    check: int
    key: str
    kind: str
    fixture: str
    shelf: int
    position: int
    sku: str
    probability: float
    cause: str
    action: str
    cost: float
    details: dict[str, Any]


@dataclass(frozen=True)
class Task:
    """What somebody is to do about a finding, the latest one at its place: one of STATES, who took it, and a note.

    `opened` and `changed` are times; `closed_check` is the check whose photos showed that it is mended, 0 for none.
    """

    id: int
    place: str
    state: str
    who: str
    note: str
    opened: str
    changed: str
    closed_check: int
    finding: KeptFinding


@dataclass(frozen=True)
class SavedCheck:
    """A kept check's number, and the numbers of the tasks that it opened and that it found mended."""

    id: int
    opened: tuple[int, ...]
    mended: tuple[int, ...]


_CHECK = """SELECT c.id, c.at, c.by, coalesce(p.name, ''), coalesce(p.version, 0), c.fixture, c.shop, c.taken, c.summary
    FROM checks c LEFT JOIN plans p ON p.id = c.plan_id"""
_FINDING = """f.id, f.check_id, f.key, f.kind, f.fixture, f.shelf, f.position, f.sku, f.probability, f.cause, f.action,
    f.cost, f.details"""
_TASK = f"""SELECT t.id, t.key, t.state, t.who, t.note, t.opened, t.changed, coalesce(t.closed_check, 0), {_FINDING}
    FROM tasks t JOIN findings f ON f.id = t.finding_id"""


def save(catalogue: Catalogue, check: NewCheck, *, by: str = "") -> SavedCheck:
    """Keep a check with its findings, open tasks for those that have none, and end those that it found mended.

    All in one transaction and one change, which can be taken back.
    """
    with catalogue.change() as db:
        number = inserted(
            db,
            "INSERT INTO checks (at, by, plan_id, fixture, shop, taken, summary, result) VALUES (?,?,?,?,?,?,?,?)",
            [
                now(),
                by,
                check.plan_id,
                check.fixture,
                check.shop,
                check.taken,
                _text(check.summary),
                _text(check.result),
            ],
        )
        edits = [added("checks", number)]
        opened = []
        for finding in check.findings:
            id_ = _insert(db, number, finding)
            edits += (made := _task_of(db, check.fixture, finding, id_))
            opened += [one.row for one in made if one.before == {"gone": 1}]
        mended = _mended(db, check, number)
        record(db, by, "check", f"check {number}", [*edits, *mended])
        return SavedCheck(number, tuple(opened), tuple(one.row for one in mended))


def latest(catalogue: Catalogue, fixture: str = "", *, offset: int = 0, limit: int = 50) -> list[KeptCheck]:
    """One page of the checks, newest first; of one fixture where it is named."""
    where, values = ("AND c.fixture = ?", [fixture]) if fixture else ("", [])
    sql = f"{_CHECK} WHERE c.gone IS NULL {where} ORDER BY c.taken DESC, c.id DESC LIMIT ? OFFSET ?"
    return [_check(row) for row in catalogue.db.execute(sql, [*values, limit, offset]).fetchall()]


def between(catalogue: Catalogue, first: str, last: str, shop: str = "") -> list[KeptCheck]:
    """The checks whose photos were taken from one time to another (ISO, both included), oldest first."""
    where, values = ("AND c.shop = ?", [shop]) if shop else ("", [])
    sql = f"{_CHECK} WHERE c.gone IS NULL AND c.taken >= ? AND c.taken <= ? {where} ORDER BY c.taken, c.id"
    return [_check(row) for row in catalogue.db.execute(sql, [first, last, *values]).fetchall()]


def load(catalogue: Catalogue, number: int) -> tuple[KeptCheck, dict[str, Any]]:
    """A check and its result as it was kept; raises UnknownCheck."""
    row = catalogue.db.execute(f"{_CHECK} WHERE c.id = ? AND c.gone IS NULL", [int(number)]).fetchone()
    if row is None:
        raise UnknownCheck(f"there is no check {number}; see the list of checks")
    (result,) = catalogue.db.execute("SELECT result FROM checks WHERE id = ?", [int(number)]).fetchone()
    return _check(row), json.loads(result)


def findings(catalogue: Catalogue, number: int) -> list[KeptFinding]:
    """The findings of a check, in their order."""
    rows = catalogue.db.execute(f"SELECT {_FINDING} FROM findings f WHERE f.check_id = ? ORDER BY f.id", [int(number)])
    return [_finding(row) for row in rows.fetchall()]


def tasks(catalogue: Catalogue, *, fixture: str = "", states: Sequence[str] = ("open", "taken")) -> list[Task]:
    """Tasks in some states, the dearest first; of one fixture where it is named."""
    marks = ",".join("?" * len(states))
    where, values = ("AND t.fixture = ?", [fixture]) if fixture else ("", [])
    sql = f"{_TASK} WHERE t.gone IS NULL AND t.state IN ({marks}) {where} ORDER BY f.cost DESC, t.opened, t.id"
    return [_task(row) for row in catalogue.db.execute(sql, [*states, *values]).fetchall()]


def task(catalogue: Catalogue, number: int) -> Task:
    """One task; raises UnknownCheck."""
    return _find_task(catalogue.db, number)


def set_task(catalogue: Catalogue, number: int, state: str, *, who: str = "", note: str = "", by: str = "") -> Task:
    """Bring a task into one of STATES; `who` takes it. Returns it as it is then; raises UnknownCheck."""
    assert state in STATES, state
    with catalogue.change() as db:
        _find_task(db, number)
        done = edit(db, "tasks", int(number), state=state, who=who, note=note, changed=now())
        record(db, by, f"task {state}", f"task {number}", [done])
        return _find_task(db, number)


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _insert(db: Database, check: int, one: NewFinding) -> int:
    return inserted(
        db,
        "INSERT INTO findings (check_id, key, kind, fixture, shelf, position, sku, probability, cause, action, cost,"
        " details) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
        [check, one.key, one.kind, one.fixture, one.shelf, one.position, one.sku, one.probability, one.cause,
         one.action, one.cost, _text({**one.details, "place": one.place})],
    )  # fmt: skip


def _task_of(db: Database, fixture: str, finding: NewFinding, id_: int) -> list[Edit]:
    """Open a task, or bring the one that is open level; none where somebody said that the same finding is not true."""
    sql = f"{_TASK} WHERE t.key = ? AND t.gone IS NULL ORDER BY t.id DESC LIMIT 1"
    row = db.execute(sql, [finding.place]).fetchone()
    last = _task(row) if row else None
    if last is not None and last.state in ("open", "taken"):
        return [edit(db, "tasks", last.id, finding_id=id_)]
    if last is not None and last.state == "not true" and last.finding.kind == finding.kind:
        return []
    at = now()
    number = inserted(
        db,
        "INSERT INTO tasks (key, finding_id, fixture, state, who, note, opened, changed) VALUES (?,?,?,?,?,?,?,?)",
        [finding.place, id_, fixture, "open", "", "", at, at],
    )
    return [added("tasks", number)]


def _mended(db: Database, check: NewCheck, number: int) -> list[Edit]:
    """End the tasks of places at which all is well."""
    sql = "SELECT id, key FROM tasks WHERE fixture = ? AND gone IS NULL AND state IN ('open', 'taken') ORDER BY id"
    well = set(check.well)
    rows = [row for row in db.execute(sql, [check.fixture]).fetchall() if row[1] in well]
    note = f"mended, as check {number} shows"
    return [edit(db, "tasks", id_, state="done", note=note, changed=now(), closed_check=number) for id_, _ in rows]


def _find_task(db: Database, number: int) -> Task:
    row = db.execute(f"{_TASK} WHERE t.id = ? AND t.gone IS NULL", [int(number)]).fetchone()
    if row is None:
        raise UnknownCheck(f"there is no task {number}; see the list of tasks")
    return _task(row)


def _check(row: tuple[Any, ...]) -> KeptCheck:
    id_, at, by, plan, version, fixture, shop, taken, summary = row
    return KeptCheck(id_, at, by, plan, version, fixture, shop, taken, json.loads(summary))


def _finding(row: tuple[Any, ...]) -> KeptFinding:
    id_, check, key, kind, fixture, shelf, position, sku, probability, cause, action, cost, details = row
    place = fixture, shelf, position, sku
    return KeptFinding(id_, check, key, kind, *place, probability, cause, action, cost, json.loads(details))


def _task(row: tuple[Any, ...]) -> Task:
    id_, place, state, who, note, opened, changed, closed, *finding = row
    return Task(id_, place, state, who, note, opened, changed, closed, _finding(tuple(finding)))
