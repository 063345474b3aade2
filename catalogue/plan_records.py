"""What should stand on a fixture, as frozen values: a planogram, a confirmed scan, or a list of what must be seen."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

PlanKind = Literal["planogram", "scan", "list"]
#: Sources of a plan. The positions of a list have no place: shelf 0, numbered in the list's order.
KINDS: tuple[PlanKind, ...] = ("planogram", "scan", "list")


@dataclass(frozen=True)
class Position:
    """A place of a plan: a product with so many facings beside each other.

    shelf       1 is the topmost, 0 where only presence counts
    position    from the left on its shelf, from 1
    facings     how many should stand beside each other; `min_facings` how few are still enough
    x, y        left and top from the fixture's top left corner, `width` of all facings, in mm or any one unit;
                None where not known
    """

    fixture: str
    shelf: int
    position: int
    sku: str
    facings: int = 1
    min_facings: int = 1
    x: float | None = None
    y: float | None = None
    width: float | None = None

    @property
    def key(self) -> tuple[str, int, int]:
        """What no two places of a plan share, and the order of reading: fixture, shelf, position."""
        return self.fixture, self.shelf, self.position


@dataclass(frozen=True)
class Plan:
    """A named plan of one fixture or several, its positions in reading order; `version` 0 where it is not kept."""

    name: str
    positions: tuple[Position, ...]
    kind: PlanKind = "planogram"
    version: int = 0

    @property
    def fixtures(self) -> tuple[str, ...]:
        """The fixtures that it is of, in the order of their names."""
        return tuple(sorted({position.fixture for position in self.positions}))

    @property
    def skus(self) -> tuple[str, ...]:
        """The products that it wants, each once, sorted."""
        return tuple(sorted({position.sku for position in self.positions}))

    def of(self, fixture: str) -> tuple[Position, ...]:
        """The positions of one fixture."""
        return tuple(position for position in self.positions if position.fixture == fixture)


def in_order(positions: Iterable[Position]) -> tuple[Position, ...]:
    """Positions sorted by fixture, shelf and position."""
    return tuple(sorted(positions, key=lambda position: position.key))
