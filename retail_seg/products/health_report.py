"""The health report as the app keeps it: made in the background, remembered in the store, shown as far as it holds."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from catalogue import health, history
from catalogue.health import Gain, Health, Pair, Poor
from retail_seg.people.roles import require
from retail_seg.products.health import check_health
from retail_seg.system.files import replace_file

if TYPE_CHECKING:
    from retail_seg.matcher import Matcher

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

OnProgress = Callable[[float, str], None]


@dataclass(frozen=True)
class KeptHealth:
    """A report, when it was made (seconds since the epoch), by whom, how long it took, and of which state.

    `change` is the number of the log's last change that it knows of.
    """

    health: Health
    at: float
    by: str
    seconds: float
    identity: str
    change: int


def check(matcher: Matcher, on_progress: OnProgress) -> KeptHealth:
    """Check the whole catalogue and remember the report; `on_progress` hears the share done and may raise to end it."""
    by, start, change = require("staff"), time.time(), history.last_number(matcher.catalogue)
    found = check_health(matcher.catalogue, progress=_Phases(on_progress))
    made = KeptHealth(found, time.time(), by, time.time() - start, matcher.identity, change)
    replace_file(_path(matcher), json.dumps(asdict(made), ensure_ascii=False).encode())
    return made


def last(matcher: Matcher) -> KeptHealth | None:
    """The report that was remembered last, None where there is none of this store that can be read."""
    try:
        kept = json.loads(_path(matcher).read_bytes())
        found = KeptHealth(**{**kept, "health": _health(kept["health"])})
    except (OSError, ValueError, TypeError, KeyError):  # a cache: what cannot be read is made again
        return None
    return found if found.identity == matcher.identity else None


def stamp(matcher: Matcher) -> tuple[int, ...]:
    """Differs whenever `last` or `holding` may: when the file was written, and how far log and acceptances are."""
    try:
        written = _path(matcher).stat().st_mtime_ns
    except OSError:
        written = 0
    return written, history.last_number(matcher.catalogue), len(health.accepted(matcher.catalogue))


def changes_since(matcher: Matcher, made: KeptHealth) -> int:
    """How many changes were logged since a report was made."""
    return history.last_number(matcher.catalogue) - made.change


def holding(matcher: Matcher, found: Health) -> Health:
    """What of a report still holds: nothing about pictures and products that went, or that is accepted meanwhile."""
    counts = health.reference_counts(matcher.catalogue)
    owners = health.owners_of_references(matcher.catalogue)
    fine = health.accepted(matcher.catalogue)

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


def as_of_now(matcher: Matcher, made: KeptHealth) -> KeptHealth:
    """The report with what of its report still holds."""
    return replace(made, health=holding(matcher, made.health))


def accept_pair(matcher: Matcher, pair: Pair) -> list[int]:
    """Keep that two products look alike and are two all the same; no change of the log undoes it."""
    require("manager")
    health.accept(matcher.catalogue, health.pair_key(pair.sku, pair.other_sku), by=require("manager"))
    return []


def accept_reference(matcher: Matcher, reference_id: int) -> list[int]:
    """Keep that a picture is fine as it is; no change of the log undoes it."""
    health.accept(matcher.catalogue, health.reference_key(reference_id), by=require("manager"))
    return []


def count_accepted(matcher: Matcher) -> int:
    """How many findings have been accepted."""
    return len(health.accepted(matcher.catalogue))


def forget_accepted(matcher: Matcher) -> list[int]:
    """Show everything that was accepted again; no change of the log undoes it."""
    require("manager")
    health.forget_accepted(matcher.catalogue)
    return []


def _path(matcher: Matcher) -> Path:
    return matcher.folder / FILE


def _health(kept: dict[str, Any]) -> Health:
    rows = {name: [row(**item) for item in kept[name]] for name, row in _ROWS.items()}
    return Health(**{field.name: rows.get(field.name, kept[field.name]) for field in fields(Health)})


class _Phases:
    """The long loops of a check, one after the other, as one progress from 0 to 1."""

    def __init__(self, on_progress: OnProgress) -> None:
        self._told = on_progress
        self._phases = iter(PHASES)

    def __call__(self, items: Iterable[Any], total: int) -> Iterator[Any]:
        start, end, text = next(self._phases)
        self._told(start, text)
        for number, item in enumerate(items):
            self._told(start + (end - start) * min(number / max(total, 1), 1.0), text)
            yield item
