"""The health report as the app keeps it: made in the background, remembered in the store, shown as far as it holds."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from catalogue import health
from catalogue.health import Gain, Health, Pair, Poor
from retail_seg.people.roles import require
from retail_seg.products.health import check_health
from retail_seg.system.files import replace_file

if TYPE_CHECKING:
    from catalogue import Catalogue

#: The file in the store that holds the last report; a cache, as the index is.
FILE = "health.json"
#: From where to where (0 to 1) each of a check's three loops takes it, and at what it is.
PHASES = (
    (0.0, 0.6, "Looking at pictures"),
    (0.6, 0.9, "Comparing products"),
    (0.9, 0.99, "Comparing pictures that look the same"),
)
_ROWS: dict[str, type] = {
    "doubles": Pair,
    "confusable": Pair,
    "unlike_siblings": Poor,
    "poor_pictures": Poor,
    "gain_most": Gain,
}

Report = Callable[[float, str], None]


@dataclass(frozen=True)
class Checkup:
    """A report, when it was made (seconds since the epoch), by whom, how long it took, and of which state.

    `change` is the number of the log's last change that it knows of.
    """

    health: Health
    at: float
    by: str
    seconds: float
    identity: str
    change: int


def run(catalogue: Catalogue, report: Report) -> Checkup:
    """Check the whole catalogue and remember the report; `report` hears the share done and may raise to end it."""
    by, start, change = require("staff"), time.time(), last_change(catalogue)
    found = check_health(catalogue, progress=_Phases(report))
    made = Checkup(found, time.time(), by, time.time() - start, catalogue.identity, change)
    replace_file(_path(catalogue), json.dumps(asdict(made), ensure_ascii=False).encode())
    return made


def last(catalogue: Catalogue) -> Checkup | None:
    """The report that was remembered last, None where there is none of this store that can be read."""
    try:
        kept = json.loads(_path(catalogue).read_bytes())
        found = Checkup(**{**kept, "health": _health(kept["health"])})
    except (OSError, ValueError, TypeError, KeyError):  # a cache: what cannot be read is made again
        return None
    return found if found.identity == catalogue.identity else None


def stamp(catalogue: Catalogue) -> tuple[int, ...]:
    """Differs whenever `last` or `holding` may: when the file was written, and how far log and acceptances are."""
    try:
        written = _path(catalogue).stat().st_mtime_ns
    except OSError:
        written = 0
    return written, last_change(catalogue), len(health.accepted(catalogue))


def last_change(catalogue: Catalogue) -> int:
    """The number of the latest change in the log, 0 where there is none."""
    return int(catalogue.db.execute("SELECT coalesce(max(id), 0) FROM log").fetchone()[0])


def holding(catalogue: Catalogue, found: Health) -> Health:
    """What of a report still holds: nothing about pictures and products that went, or that is accepted meanwhile."""
    counts = health.reference_counts(catalogue)
    owners = dict(catalogue.db.execute("SELECT id, sku FROM refs WHERE removed IS NULL").fetchall())
    fine = health.accepted(catalogue)

    def pairs(rows: Iterable[Pair]) -> list[Pair]:
        there = [p for p in rows if owners.get(p.reference_id) == p.sku and owners.get(p.other_id) == p.other_sku]
        return [p for p in there if health.pair_key(p.sku, p.other_sku) not in fine]

    def poor(rows: Iterable[Poor]) -> list[Poor]:
        there = [p for p in rows if owners.get(p.reference_id) == p.sku]
        there = [p if p.other_id in owners else replace(p, other_id=None) for p in there]
        return [p for p in there if health.reference_key(p.reference_id) not in fine]

    return replace(
        found,
        without_reference=sorted(sku for sku, count in counts.items() if count == 0),
        with_one_reference=sorted(sku for sku, count in counts.items() if count == 1),
        doubles=pairs(found.doubles),
        confusable=pairs(found.confusable),
        unlike_siblings=poor(found.unlike_siblings),
        poor_pictures=poor(found.poor_pictures),
        gain_most=[gain for gain in found.gain_most if counts.get(gain.sku) == gain.references],
    )


def as_of_now(catalogue: Catalogue, made: Checkup) -> Checkup:
    """The checkup with what of its report still holds."""
    return replace(made, health=holding(catalogue, made.health))


def accept_pair(catalogue: Catalogue, pair: Pair) -> list[int]:
    """Keep that two products look alike and are two all the same; no change of the log undoes it."""
    require("manager")
    health.accept(catalogue, health.pair_key(pair.sku, pair.other_sku), by=require("manager"))
    return []


def accept_reference(catalogue: Catalogue, reference_id: int) -> list[int]:
    """Keep that a picture is fine as it is; no change of the log undoes it."""
    health.accept(catalogue, health.reference_key(reference_id), by=require("manager"))
    return []


def count_accepted(catalogue: Catalogue) -> int:
    """How many findings have been accepted."""
    return len(health.accepted(catalogue))


def forget_accepted(catalogue: Catalogue) -> list[int]:
    """Show everything that was accepted again; no change of the log undoes it."""
    require("manager")
    health.forget_accepted(catalogue)
    return []


def _path(catalogue: Catalogue) -> Path:
    return catalogue.path.parent / FILE


def _health(kept: dict[str, Any]) -> Health:
    rows = {name: [row(**item) for item in kept[name]] for name, row in _ROWS.items()}
    return Health(**{field.name: rows.get(field.name, kept[field.name]) for field in fields(Health)})


class _Phases:
    """The long loops of a check, one after the other, as one progress from 0 to 1."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._phases = iter(PHASES)

    def __call__(self, items: Iterable[Any], total: int) -> Iterator[Any]:
        start, end, text = next(self._phases)
        self._report(start, text)
        for number, item in enumerate(items):
            self._report(start + (end - start) * min(number / max(total, 1), 1.0), text)
            yield item
