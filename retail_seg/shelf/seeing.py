"""Reports of photos ► what each shows, row by row: facings beside each other with what each may be."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from retail_seg.report import Report, ReportLine


@dataclass(frozen=True, eq=False)
class FacingRow:
    """A row of m facings in a photo, from left to right; what is stacked is one facing.

    boxes    (m, 4) float64 left, top, right, bottom in the photo's own pixels
    ids      numbers of the instances that each facing is made of, what stands on the board first
    chances  how probable each facing is to be each product, by SKU
    """

    boxes: np.ndarray
    ids: tuple[tuple[int, ...], ...]
    chances: tuple[Mapping[str, float], ...]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def middle(self) -> np.ndarray:
        """Middles of the facings, (m,) x in pixels."""
        return np.asarray((self.boxes[:, 0] + self.boxes[:, 2]) / 2)

    @property
    def widths(self) -> np.ndarray:
        """Widths of the facings, (m,) pixels."""
        return np.asarray(self.boxes[:, 2] - self.boxes[:, 0])


@dataclass(frozen=True, eq=False)
class Sight:
    """What one photo shows: its name, its size in pixels, and its rows from the top."""

    image: str
    width: int
    height: int
    rows: tuple[FacingRow, ...]

    @property
    def facings(self) -> int:
        """Number of facings in all rows."""
        return sum(len(row) for row in self.rows)


#: A facing as it is shown: ids of its instances, and how probable it is to be each product, by SKU.
Shown = tuple[tuple[int, ...], Mapping[str, float]]


def sights_of(reports: Sequence[Report]) -> tuple[Sight, ...]:
    """What photos show, one each; instances are numbered from 1 through all photos, in the order of the reports."""
    found, first = [], 0
    for report in reports:
        numbers = {line.id: first + n for n, line in enumerate(report.instances, 1)}
        rows: dict[int, list[ReportLine]] = {}
        for line in report.instances:
            if line.row >= 0:  # else it is none of the fixture
                rows.setdefault(line.row, []).append(line)
        made = tuple(_row(part, numbers) for row in sorted(rows) for part in _parted(rows[row]))
        found.append(Sight(report.image, report.width, report.height, made))
        first += len(report.instances)
    return tuple(found)


def shown_together(sights: Sequence[Sight], tied: Collection[frozenset[int]] = ()) -> list[list[Shown]]:
    """The facings of each photo, of photos that show some of the same (`tied`: pairs of ids) together, each once.

    A facing that several photos show may be what it may be in them on average.
    """
    photo = {ids[0]: n for n, sight in enumerate(sights) for row in sight.rows for ids in row.ids}
    chances = {ids[0]: (ids, told) for sight in sights for row in sight.rows
               for ids, told in zip(row.ids, row.chances, strict=True)}  # fmt: skip
    pairs = [tuple(sorted(pair)) for pair in tied]
    facing = _united(chances, pairs)
    part = _united(range(len(sights)), [(photo[a], photo[b]) for a, b in pairs])
    found: dict[int, dict[int, list[Shown]]] = {}
    for one in sorted(chances):
        found.setdefault(part[photo[one]], {}).setdefault(facing[one], []).append(chances[one])
    return [[_mean(shown) for shown in one.values()] for one in found.values()]


def _mean(shown: Sequence[Shown]) -> Shown:
    skus = sorted({sku for _, told in shown for sku in told})
    return shown[0][0], {sku: sum(told.get(sku, 0.0) for _, told in shown) / len(shown) for sku in skus}


def _united(members: Iterable[int], pairs: Iterable[tuple[int, ...]]) -> dict[int, int]:
    """For each member the least one of those that pairs tie it to, itself among them."""
    least = {one: one for one in members}
    for a, b in pairs:
        low, high = sorted((least[a], least[b]))
        least = {one: low if of == high else of for one, of in least.items()}
    return least


def _parted(lines: Sequence[ReportLine]) -> list[list[ReportLine]]:
    """A row, or two, the upper one first: where most stacks hold other products than they stand on, it is a shelf that
    touches the one below.
    """
    base: dict[int, ReportLine] = {}
    for line in lines:
        if line.position not in base or _bottom(line) > _bottom(base[line.position]):
            base[line.position] = line
    upper = [line for line in lines if line is not base[line.position]]
    strange = {line.position for line in upper if _best(line) != _best(base[line.position])}
    if len(strange) < 3 or 2 * len(strange) <= len(base):
        return [list(lines)]
    upper = [replace(line, position=n) for n, line in enumerate(sorted(upper, key=lambda one: one.box[0]), 1)]
    return [upper, list(base.values())]


def _bottom(line: ReportLine) -> int:
    return line.box[1] + line.box[3]


def _best(line: ReportLine) -> str:
    chances = line.identification.chances
    return max(sorted(chances), key=lambda sku: chances[sku], default="")


def _row(lines: Sequence[ReportLine], numbers: Mapping[int, int]) -> FacingRow:
    stacks: dict[int, list[ReportLine]] = {}
    for line in sorted(lines, key=lambda line: (line.position, -_bottom(line), line.id)):
        stacks.setdefault(line.position, []).append(line)
    facings = sorted(stacks.values(), key=lambda stack: (stack[0].box[0] + stack[0].box[2] / 2, numbers[stack[0].id]))
    return FacingRow(
        np.array([_box(stack) for stack in facings], float).reshape(-1, 4),
        tuple(tuple(numbers[line.id] for line in stack) for stack in facings),
        tuple(_chances(stack) for stack in facings),
    )


def _box(stack: Sequence[ReportLine]) -> tuple[float, float, float, float]:
    """Left and right of what stands on the board, top and bottom of all."""
    x, _, w, _ = stack[0].box
    return x, min(line.box[1] for line in stack), x + w, max(_bottom(line) for line in stack)


def _chances(stack: Sequence[ReportLine]) -> dict[str, float]:
    """What a stack may be: the mean of what its members may be."""
    found: dict[str, float] = {}
    for line in stack:
        for sku, chance in line.identification.chances.items():
            found[sku] = found.get(sku, 0.0) + chance / len(stack)
    return found
