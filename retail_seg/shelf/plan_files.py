"""Plans in files: a planogram or a list as CSV, or Azure's planogram as JSON; bad lines are told one by one."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from catalogue.plan_records import Plan, Position, in_order
from catalogue.records import clean_text
from catalogue.tables import BadLine, Table, read_table
from retail_seg.errors import PlanError
from retail_seg.shelf import azure

#: Columns of a planogram, the last three may be missing; a list has `sku` and `min_facings`.
COLUMNS = ("fixture", "shelf", "position", "sku", "facings", "min_facings", "x", "y", "width")
PLACES = ("shelf", "position")
#: Larger files and numbers are of no shelf.
MAX_BYTES, MOST = 64 * 2**20, 10_000


@dataclass(frozen=True)
class PlanFile:
    """A plan as it was read: `problems` are sentences on lines that were left out, `notes` on what became of others."""

    plan: Plan
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class _BadRow(Exception):
    """Why a row is no position."""


def read_plan(path: Path, name: str = "", known: Collection[str] | None = None) -> PlanFile:
    """Read a plan and call it `name` (the file's stem without it); `known` are the SKUs that there are.

    A fixture that has no name is called like the plan. Raises PlanError where nothing of the file can be used.
    """
    name = name or path.stem
    _check_file(path)
    if path.suffix.lower() == ".json":
        positions, problems = azure.read(_json(path), name)
        found = PlanFile(Plan(name, positions), tuple(f"{path.name}: {one}" for one in problems))
    else:
        found = _from_table(read_table(lambda: path.open("rb"), path.name, lambda first: []), path, name)
    if not found.plan.positions:
        why = f" ({found.problems[0]})" if found.problems else ""
        raise PlanError(f"{path.name}: holds no position that can be used{why}; give a line for each")
    return _looked_over(found, known)


def write_csv(plan: Plan) -> str:
    """The text of a CSV file that `read_plan` reads as the same plan."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    if plan.kind == "list":
        writer.writerow(("sku", "min_facings"))
        writer.writerows((one.sku, one.min_facings) for one in plan.positions)
        return file.getvalue()
    writer.writerow(COLUMNS)
    for one in plan.positions:
        lengths = ("" if value is None else f"{value:g}" for value in (one.x, one.y, one.width))
        writer.writerow((*one.key, one.sku, one.facings, one.min_facings, *lengths))
    return file.getvalue()


def _check_file(path: Path) -> None:
    try:
        size = path.stat().st_size
    except OSError as error:
        raise PlanError(f"{path}: cannot be read ({error.strerror}); give a plan as CSV or JSON") from None
    if not path.is_file() or size > MAX_BYTES:
        raise PlanError(f"{path}: is no plan; give a CSV or JSON file of at most {MAX_BYTES >> 20} MB")


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise PlanError(f"{path.name}: is not JSON ({error}); give a planogram with products and positions") from None


def _from_table(table: Table, path: Path, name: str) -> PlanFile:
    columns = {column.strip().lower(): column for column in table.columns}
    if "sku" not in columns:
        raise PlanError(f"{path.name}: has no column sku; name the columns {','.join(COLUMNS)}, or sku,min_facings")
    placed = [column for column in PLACES if column in columns]
    if len(placed) == 1:
        missing = next(column for column in PLACES if column not in columns)
        raise PlanError(f"{path.name}: has the column {placed[0]}, but not {missing}; add it")
    found: dict[tuple[str, int, int], Position] = {}
    problems: list[str] = []
    notes = [f"{path.name}: {note}" for note in table.notes]
    for line, row in _lines(table, path.name, problems):
        values = {column: row.get(written) or "" for column, written in columns.items()}
        try:
            position, note = _placed(values, name) if placed else _listed(values, name, len(found) + 1)
            _check_double(found, position, bool(placed))
        except _BadRow as error:
            problems.append(f"{path.name}, line {line}: {error}")
            continue
        found[position.key] = position
        notes += [f"{path.name}, line {line}: {note}"] if note else []
    plan = Plan(name, in_order(found.values()), "planogram" if placed else "list")
    return PlanFile(plan, tuple(problems), tuple(notes))


def _lines(table: Table, name: str, problems: list[str]) -> Iterator[tuple[int, dict[str, str]]]:
    for row in table.rows:
        if isinstance(row, BadLine):
            problems.append(f"{name}, line {row.line}: {row.reason}")
        else:
            yield row


def _placed(values: dict[str, str], name: str) -> tuple[Position, str]:
    """A row of a planogram, and what is to be said of it."""
    shelf, position = (_whole(values, column) for column in PLACES)
    facings = _whole(values, "facings", 1)
    least = _whole(values, "min_facings", facings, lowest=0)
    note = ""
    if least > facings:
        note, least = f"min_facings {least} is more than the {facings} facings; {facings} are taken", facings
    elif least == 0:
        note, least = "min_facings is 0, so nothing would ever be missing; 1 is taken", 1
    fixture = clean_text(values.get("fixture", "")) or name
    lengths = [_length(values, column) for column in ("x", "y", "width")]
    return Position(fixture, shelf, position, _sku(values), facings, least, *lengths), note


def _listed(values: dict[str, str], name: str, number: int) -> tuple[Position, str]:
    """A row of a list, and what is to be said of it."""
    least = _whole(values, "min_facings", 1)
    return Position(clean_text(values.get("fixture", "")) or name, 0, number, _sku(values), least, least), ""


def _check_double(found: dict[tuple[str, int, int], Position], new: Position, placed: bool) -> None:
    if placed and new.key in found:
        raise _BadRow(
            f"shelf {new.shelf}, position {new.position} of fixture {new.fixture} is there already, with SKU "
            f"{found[new.key].sku}; number the positions anew"
        )
    if not placed and any(one.sku == new.sku and one.fixture == new.fixture for one in found.values()):
        raise _BadRow(f"SKU {new.sku} is in the list already; name it once")


def _sku(values: dict[str, str]) -> str:
    sku = clean_text(values["sku"])
    if not sku:
        raise _BadRow("the SKU is empty; fill it in")
    return sku


def _whole(values: dict[str, str], column: str, otherwise: int | None = None, lowest: int = 1) -> int:
    text = values.get(column, "").strip()
    if not text and otherwise is not None:
        return otherwise
    try:
        number = float(text.replace(",", "."))
    except ValueError:
        raise _BadRow(f"{column} is {text!r}; give a whole number from {lowest} on") from None
    if not lowest <= number <= MOST or number != int(number):
        raise _BadRow(f"{column} is {text}; give a whole number from {lowest} to {MOST:,}")
    return int(number)


def _length(values: dict[str, str], column: str) -> float | None:
    text = values.get(column, "").strip()
    if not text:
        return None
    try:
        number = float(text.replace(",", "."))
    except ValueError:
        number = float("nan")
    if not abs(number) < 1e7 or (column == "width" and number <= 0):
        raise _BadRow(f"{column} is {text!r}; give millimetres, or leave it empty")
    return number


def _looked_over(found: PlanFile, known: Collection[str] | None) -> PlanFile:
    """The plan with notes on SKUs that nobody knows and on shelves that are missing."""
    notes = list(found.notes)
    for fixture in found.plan.fixtures:
        shelves = {one.shelf for one in found.plan.of(fixture)}
        gone = sorted(set(range(1, max(shelves) + 1)) - shelves)
        notes += [
            f"shelf {shelf} of fixture {fixture} has no position in the plan; nothing is asked of it" for shelf in gone
        ]
    if known is not None:
        notes += [
            f"SKU {sku} is not in the catalogue; what stands at its places cannot be told, add it with references"
            for sku in found.plan.skus
            if sku not in known
        ]
    return replace(found, notes=tuple(notes))
