"""What was decided about contributions of shops, by their names."""

from __future__ import annotations

from catalogue.database import now
from catalogue.store import Catalogue


def decided(catalogue: Catalogue) -> dict[str, bool]:
    """Names of the contributions that were decided, and whether they were taken."""
    return {name: bool(taken) for name, taken in catalogue.db.execute("SELECT name, taken FROM decided_contributions")}


def decide(catalogue: Catalogue, name: str, sku: str, taken: bool, *, by: str = "") -> None:
    """Keep what was decided; what was left can be taken later."""
    with catalogue.change() as db:
        sql = "INSERT OR REPLACE INTO decided_contributions (name, at, by, sku, taken) VALUES (?, ?, ?, ?, ?)"
        db.execute(sql, [name, now(), by, sku, int(taken)])
