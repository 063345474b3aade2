"""Facings of kept scans that nobody has named, in groups of look-alikes: kept at every step, each step undone by one.

A group is open, put off ("later") or named. A facing is in one group at most, and counts in it while nobody has said
elsewhere what it is.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from catalogue.database import inserted, now
from catalogue.errors import UndoError, UnknownGroup
from catalogue.sqlite import Database
from catalogue.store import Catalogue

OPEN, LATER, NAMED = "open", "later", "named"

#: A facing: its scan's number and its own in it.
FacingPlace = tuple[int, int]


@dataclass(frozen=True)
class Waiting:
    """A facing that nobody has named: where it stands, and its crop (PNG), mask (PNG) and vector (bytes)."""

    place: FacingPlace
    box: tuple[int, int, int, int]
    crop: bytes
    mask: bytes | None
    vector: bytes
    embedder: str


@dataclass(frozen=True)
class Group:
    """Facings that look alike, in the order of their scans; `arranged` says that a person had a hand in it."""

    id: int
    state: str
    arranged: bool
    sku: str
    places: tuple[FacingPlace, ...]


@dataclass(frozen=True)
class GroupChange:
    """A step: groups as they were `before`, those that it `made`, and the changes of scans and references with it."""

    id: int
    at: str
    by: str
    action: str
    sku: str
    before: tuple[Group, ...]
    made: tuple[int, ...]
    scan_changes: tuple[int, ...]
    references: tuple[int, ...]
    undone: bool

    @property
    def touched(self) -> set[int]:
        """The groups that the step concerns."""
        return {group.id for group in self.before} | set(self.made)


_UNNAMED = "i.gone IS NULL AND i.sku = '' AND coalesce(i.decided_at, '') = ''"


def waiting(catalogue: Catalogue, limit: int) -> list[Waiting]:
    """Facings that came out unknown and that nobody has decided, those of the newest scans first, at most so many."""
    sql = f"""SELECT i.scan_id, i.number, i.x, i.y, i.w, i.h, i.crop, i.mask, i.vector, s.embedder
        FROM instances i JOIN scans s ON s.id = i.scan_id WHERE {_UNNAMED}
        ORDER BY i.scan_id DESC, i.number LIMIT ?"""
    rows = catalogue.db.execute(sql, [limit]).fetchall()
    return [Waiting((row[0], row[1]), tuple(row[2:6]), *row[6:]) for row in rows]


def count_waiting(catalogue: Catalogue) -> tuple[int, int]:
    """How many facings nobody has named, and how many of them are in no group yet."""
    sql = f"""SELECT count(*), coalesce(sum(m.group_id IS NULL), 0) FROM instances i
        LEFT JOIN group_members m ON m.scan_id = i.scan_id AND m.number = i.number WHERE {_UNNAMED}"""
    return tuple(catalogue.db.execute(sql).fetchone())


def groups(catalogue: Catalogue, state: str = OPEN) -> list[Group]:
    """The groups of a state that still have facings which nobody has named, the largest first."""
    sql = f"""SELECT g.id, g.state, g.arranged, g.sku, i.scan_id, i.number FROM groups g
        JOIN group_members m ON m.group_id = g.id
        JOIN instances i ON i.scan_id = m.scan_id AND i.number = m.number
        WHERE g.state = ? AND {_UNNAMED} ORDER BY g.id, i.scan_id, i.number"""
    found: dict[int, Group] = {}
    for id_, kept, arranged, sku, *place in catalogue.db.execute(sql, [state]).fetchall():
        before = found.get(id_)
        places = (*(before.places if before else ()), (place[0], place[1]))
        found[id_] = Group(id_, kept, bool(arranged), sku, places)
    return sorted(found.values(), key=lambda group: (-len(group.places), group.id))


def group(catalogue: Catalogue, group_id: int) -> Group:
    """One group with the facings that nobody has named; raises UnknownGroup where none is left of it."""
    for state in (OPEN, LATER):
        for one in groups(catalogue, state):
            if one.id == group_id:
                return one
    raise UnknownGroup(f"group {group_id} is gone: somebody has named, merged or changed it; reload the page")


def vectors(catalogue: Catalogue) -> dict[FacingPlace, tuple[bytes, str]]:
    """The vector (float32 bytes, perhaps none) of every facing that nobody has named, and its scan's embedder."""
    sql = f"""SELECT i.scan_id, i.number, i.vector, s.embedder FROM instances i JOIN scans s ON s.id = i.scan_id
        WHERE {_UNNAMED}"""
    return {(row[0], row[1]): (bytes(row[2]), row[3]) for row in catalogue.db.execute(sql).fetchall()}


def regroup(catalogue: Catalogue, clusters: Sequence[Sequence[FacingPlace]], *, by: str = "") -> None:
    """Put facings into groups as they look alike; what people arranged stays, and takes in what looks like it.

    `clusters` hold all facings that wait. A cluster with facings of an arranged group gives it those that are in none.
    """
    with catalogue.change() as db:
        arranged = {place: one.id for state in (OPEN, LATER) for one in groups(catalogue, state) if one.arranged
                    for place in one.places}  # fmt: skip
        db.execute("DELETE FROM groups WHERE state = ? AND NOT arranged", [OPEN])
        for cluster in clusters:
            free = [place for place in cluster if place not in arranged]
            owners = [arranged[place] for place in cluster if place in arranged]
            home = max(set(owners), key=owners.count) if owners else _new(db, by, arranged=False)
            _put(db, home, free)
        db.execute("DELETE FROM groups WHERE id NOT IN (SELECT group_id FROM group_members) AND state = ?", [OPEN])


def arrange(
    catalogue: Catalogue,
    wanted: Mapping[int, Sequence[FacingPlace]],
    fresh: Sequence[Sequence[FacingPlace]] = (),
    *,
    action: str,
    by: str,
) -> GroupChange:
    """Give groups other facings, and make new groups of `fresh`, in one step; a group without any is gone.

    Raises UnknownGroup where one of the groups was changed meanwhile.
    """
    with catalogue.change() as db:
        before = [group(catalogue, id_) for id_ in wanted]
        kept = {place for places in (*wanted.values(), *fresh) for place in places}
        if kept - {place for one in before for place in one.places}:
            raise UnknownGroup("some of these facings were named or moved meanwhile; reload the page")
        made = [_new(db, by, arranged=True) for _ in fresh]
        for id_, places in [*wanted.items(), *zip(made, fresh, strict=True)]:
            db.execute("UPDATE groups SET arranged = 1 WHERE id = ?", [id_])
            _put(db, id_, places)
        return _record(db, by, action, "", before, made)


def put_off(catalogue: Catalogue, ids: Iterable[int], state: str, *, by: str) -> GroupChange:
    """Set groups aside for later, or take them up again, in one step."""
    with catalogue.change() as db:
        before = [one for one in groups(catalogue, OPEN if state == LATER else LATER) if one.id in set(ids)]
        for one in before:
            db.execute("UPDATE groups SET state = ?, arranged = 1 WHERE id = ?", [state, one.id])
        return _record(db, by, state, "", before, [])


def named(catalogue: Catalogue, one: Group, sku: str, action: str, *, scan_changes: Sequence[int],
          references: Sequence[int], by: str) -> GroupChange:  # fmt: skip
    """Write down that a group is a product, with the changes of scans and the references that came of it."""
    with catalogue.change() as db:
        db.execute("UPDATE groups SET state = ?, sku = ? WHERE id = ?", [NAMED, sku, one.id])
        return _record(db, by, action, sku, [one], [], scan_changes, references)


def last_change(catalogue: Catalogue) -> GroupChange | None:
    """The newest step that has not been taken back."""
    row = catalogue.db.execute(f"{_CHANGE} WHERE undone_at IS NULL ORDER BY id DESC LIMIT 1").fetchone()
    return None if row is None else _change(row)


def change(catalogue: Catalogue, number: int) -> GroupChange:
    """One step by its number; raises UndoError."""
    row = catalogue.db.execute(f"{_CHANGE} WHERE id = ?", [int(number)]).fetchone()
    if row is None:
        raise UndoError(f"there is no step {number}; reload the page")
    return _change(row)


def undo(catalogue: Catalogue, number: int, *, by: str) -> GroupChange:
    """Take a step back: its groups are what they were; changes of scans and references are the caller's.

    Raises UndoError where it was taken back already, or a later step rests on it.
    """
    with catalogue.change() as db:
        entry = change(catalogue, number)
        if entry.undone:
            raise UndoError("this step was taken back already; reload the page")
        later = db.execute(f"{_CHANGE} WHERE id > ? AND undone_at IS NULL ORDER BY id DESC", [entry.id]).fetchall()
        for row in later:
            if _change(row).touched & entry.touched:
                raise UndoError("a later step changed these groups again; take that one back first")
        for id_ in entry.made:
            db.execute("DELETE FROM groups WHERE id = ?", [id_])
        for one in entry.before:
            sql = "INSERT OR REPLACE INTO groups (id, at, by, state, arranged, sku) VALUES (?,?,?,?,?,?)"
            db.execute(sql, [one.id, now(), by, one.state, int(one.arranged), one.sku])
            _put(db, one.id, one.places)
        db.execute("UPDATE group_changes SET undone_by = ?, undone_at = ? WHERE id = ?", [by, now(), entry.id])
        return entry


_CHANGE = """SELECT id, at, by, action, sku, before, made, scan_changes, refs, undone_at IS NOT NULL
    FROM group_changes"""


def _record(db: Database, by: str, action: str, sku: str, before: Sequence[Group], made: Sequence[int],
            scan_changes: Sequence[int] = (), references: Sequence[int] = ()) -> GroupChange:  # fmt: skip
    rows = [[one.id, one.state, one.arranged, one.sku, [list(place) for place in one.places]] for one in before]
    lists = [json.dumps(each) for each in (rows, list(made), list(scan_changes), list(references))]
    number = inserted(
        db,
        "INSERT INTO group_changes (at, by, action, sku, before, made, scan_changes, refs) VALUES (?,?,?,?,?,?,?,?)",
        [now(), by, action, sku, *lists],
    )
    return _change(db.execute(f"{_CHANGE} WHERE id = ?", [number]).fetchone())


def _change(row: tuple[Any, ...]) -> GroupChange:
    id_, at, by, action, sku, before, made, scan_changes, references, undone = row
    known = tuple(
        Group(one, state, bool(arranged), owner, tuple((scan, number) for scan, number in places))
        for one, state, arranged, owner, places in json.loads(before)
    )
    fresh, steps, kept = (tuple(json.loads(each)) for each in (made, scan_changes, references))
    return GroupChange(id_, at, by, action, sku, known, fresh, steps, kept, bool(undone))


def _new(db: Database, by: str, *, arranged: bool) -> int:
    sql = "INSERT INTO groups (at, by, state, arranged, sku) VALUES (?,?,?,?,'')"
    return inserted(db, sql, [now(), by, OPEN, int(arranged)])


def _put(db: Database, group_id: int, places: Iterable[FacingPlace]) -> None:
    """Make facings members of a group, wherever they were before; those of a scan that was deleted are passed over."""
    sql = """INSERT OR REPLACE INTO group_members (scan_id, number, group_id)
        SELECT ?1, ?2, ?3 WHERE EXISTS (SELECT 1 FROM scans WHERE id = ?1)"""
    for scan_id, number in places:
        db.execute(sql, [scan_id, number, group_id])
