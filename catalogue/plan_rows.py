"""Which plans are in force, and that no fixture has two of them at one time."""

from __future__ import annotations

from typing import Any

from catalogue.errors import PlanConflict
from catalogue.sqlite import Database

#: Of each name the newest version that is not taken out.
IN_FORCE = """p.gone IS NULL AND p.version = (SELECT max(q.version) FROM plans q WHERE q.name = p.name
    AND q.gone IS NULL)"""
_PLACES = f"""SELECT DISTINCT s.fixture, p.name, p.starts, p.ends FROM plans p
    JOIN plan_positions s ON s.plan_id = p.id WHERE {IN_FORCE} ORDER BY s.fixture, p.name"""


def check_times(db: Database) -> None:
    """Raises PlanConflict where a fixture has two plans on one day."""
    before: list[tuple[Any, ...]] = []
    for fixture, name, starts, ends in db.execute(_PLACES).fetchall():
        before = [one for one in before if one[0] == fixture]
        for _, other, its_start, its_end in before:
            if (not ends or its_start <= ends) and (not its_end or starts <= its_end):
                raise PlanConflict(
                    f"fixture {fixture} would have two plans at one time, {other} and {name}; give them days that do "
                    f"not overlap (--from, --until), or take one out with `retail-seg plan remove`"
                )
        before.append((fixture, name, starts, ends))
