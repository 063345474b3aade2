"""Plans of fixtures as they are kept: versions under a name, each in force for some days, and the fixtures' shops."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from catalogue.database import inserted, now
from catalogue.errors import UnknownPlan
from catalogue.plan_records import Plan, Position, in_order
from catalogue.plan_rows import IN_FORCE, check_times
from catalogue.shelf_history import added, edit, record
from catalogue.sqlite import Database
from catalogue.store import Catalogue


@dataclass(frozen=True)
class KeptPlan:
    """A kept plan without its positions; `starts` and `ends` are days (ISO), empty for always.

    `source` says what it was made of, `positions` and `facings` how many it has.
    """

    id: int
    name: str
    version: int
    kind: str
    starts: str
    ends: str
    source: str
    at: str
    by: str
    fixtures: tuple[str, ...]
    positions: int
    facings: int


@dataclass(frozen=True)
class Fixture:
    """A piece of furniture with a name: the `shop` that it stands in, and the `area` there, empty where not known."""

    name: str
    shop: str = ""
    area: str = ""


_PLAN = """SELECT p.id, p.name, p.version, p.kind, p.starts, p.ends, p.source, p.at, p.by,
    (SELECT group_concat(f, char(31)) FROM (SELECT DISTINCT fixture AS f FROM plan_positions WHERE plan_id = p.id
     ORDER BY f)), (SELECT count(*) FROM plan_positions WHERE plan_id = p.id),
    (SELECT sum(facings) FROM plan_positions WHERE plan_id = p.id) FROM plans p"""
_POSITION = "SELECT fixture, shelf, position, sku, facings, min_facings, x, y, width FROM plan_positions"


def save(catalogue: Catalogue, plan: Plan, *, source: str = "", starts: str = "", ends: str = "", by: str = "") -> int:
    """Keep a plan as the next version under its name, in one transaction; returns the version.

    Raises PlanConflict where one of its fixtures has a plan of another name at that time; nothing is kept then.
    """
    assert plan.positions, plan.name
    with catalogue.change() as db:
        (last,) = db.execute("SELECT max(version) FROM plans WHERE name = ?", [plan.name]).fetchone()
        version = (last or 0) + 1
        number = inserted(
            db,
            "INSERT INTO plans (name, version, kind, starts, ends, source, at, by) VALUES (?,?,?,?,?,?,?,?)",
            [plan.name, version, plan.kind, starts, ends, source, now(), by],
        )
        for fixture in plan.fixtures:
            db.execute("INSERT OR IGNORE INTO fixtures (name, at) VALUES (?,?)", [fixture, now()])
        for one in plan.positions:
            values = [*one.key, one.sku, one.facings, one.min_facings, one.x, one.y, one.width]
            db.execute("INSERT INTO plan_positions VALUES (?,?,?,?,?,?,?,?,?,?)", [number, *values])
        check_times(db)
        record(db, by, f"plan version {version}", f"plan {plan.name}", [added("plans", number)])
        return version


def remove(catalogue: Catalogue, name: str, *, by: str = "") -> int:
    """Take all versions of a plan out (undo brings them back); returns the change's number, raises UnknownPlan."""
    with catalogue.change() as db:
        rows = db.execute("SELECT id FROM plans WHERE name = ? AND gone IS NULL", [name]).fetchall()
        if not rows:
            raise _unknown(db, name)
        edits = [edit(db, "plans", id_, gone=1) for (id_,) in rows]
        return record(db, by, "remove plan", f"plan {name}", edits)


def latest(catalogue: Catalogue) -> list[KeptPlan]:
    """The newest version of each plan, by name."""
    return [_kept(row) for row in catalogue.db.execute(f"{_PLAN} WHERE {IN_FORCE} ORDER BY p.name").fetchall()]


def versions(catalogue: Catalogue, name: str) -> list[KeptPlan]:
    """All versions of a plan that are not taken out, newest first."""
    found = catalogue.db.execute(f"{_PLAN} WHERE p.name = ? AND p.gone IS NULL ORDER BY p.version DESC", [name])
    return [_kept(row) for row in found.fetchall()]


def in_force(catalogue: Catalogue, fixture: str, day: str) -> KeptPlan | None:
    """The plan of a fixture on a day (ISO), None where it has none."""
    for kept in latest(catalogue):
        if fixture in kept.fixtures and kept.starts <= day and (not kept.ends or day <= kept.ends):
            return kept
    return None


def kept(catalogue: Catalogue, name: str, version: int | None = None) -> KeptPlan:
    """A kept plan's row, of its newest version without `version`; raises UnknownPlan."""
    found = [one for one in versions(catalogue, name) if version is None or one.version == version]
    if not found:
        raise _unknown(catalogue.db, name, version)
    return found[0]


def load(catalogue: Catalogue, name: str, version: int | None = None) -> Plan:
    """A plan with its positions, of its newest version without `version`; raises UnknownPlan."""
    found = kept(catalogue, name, version)
    rows = catalogue.db.execute(f"{_POSITION} WHERE plan_id = ?", [found.id]).fetchall()
    return Plan(found.name, in_order(Position(*row) for row in rows), found.kind, found.version)  # type: ignore[arg-type]


def fixtures(catalogue: Catalogue) -> list[Fixture]:
    """All fixtures that any plan is or was of, by name."""
    return [Fixture(*row) for row in catalogue.db.execute("SELECT name, shop, area FROM fixtures ORDER BY name")]


def place_fixture(catalogue: Catalogue, fixture: Fixture) -> None:
    """Say in which shop and area a fixture stands."""
    with catalogue.change() as db:
        sql = """INSERT INTO fixtures (name, shop, area, at) VALUES (?,?,?,?)
            ON CONFLICT (name) DO UPDATE SET shop = excluded.shop, area = excluded.area"""
        db.execute(sql, [fixture.name, fixture.shop, fixture.area, now()])


def _unknown(db: Database, name: str, version: int | None = None) -> UnknownPlan:
    names = [row[0] for row in db.execute("SELECT DISTINCT name FROM plans WHERE gone IS NULL ORDER BY name LIMIT 6")]
    what = f"no plan is called {name}" if version is None else f"plan {name} has no version {version}"
    return UnknownPlan(f"{what}; {_choice(names)}")


def _choice(names: Sequence[str]) -> str:
    some = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
    return f"there are {some}, or give a CSV file" if names else "keep one with `retail-seg plan import`, or give a CSV"


def _kept(row: tuple[Any, ...]) -> KeptPlan:
    id_, name, version, kind, starts, ends, source, at, by, names, positions, facings = row
    held = tuple(names.split("\x1f")), positions, facings
    return KeptPlan(id_, name, version, kind, starts, ends, source, at, by, *held)
