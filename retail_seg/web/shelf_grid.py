"""A fixture as a grid: a line per shelf from the top, a cell per place from the left, as wide as its facings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

import streamlit as st

from catalogue.plan_records import Position
from retail_seg.shelf.drawing import COLOURS
from retail_seg.shelf.results import PositionStatus

#: Each status by a sign, too, for eyes that tell no colours apart.
SIGNS = {
    "ok": "✓", "low": "↓", "empty": "○", "misplaced": "↔", "wrong": "✕", "unknown": "?", "unseen": "–",
}  # fmt: skip
WORDS = {
    "ok": "as planned", "low": "too few", "empty": "nothing there", "misplaced": "stands elsewhere",
    "wrong": "another product", "unknown": "not known", "unseen": "not in a photo",
}  # fmt: skip
_STYLE = """<style>
.shelf-grid {overflow-x: auto; padding-bottom: 4px}
.shelf-grid .row {display: flex; gap: 4px; min-width: max-content; border-bottom: 3px solid #8884; padding: 4px 0}
.shelf-grid .no {flex: 0 0 22px; align-self: center; text-align: center; opacity: .8}
.shelf-grid .cell {flex: 1 1 auto; min-width: 84px; max-width: 260px; border-radius: 6px;
padding: 4px 8px; font-size: .86rem; line-height: 1.25;
border-left: 5px solid var(--c); background: color-mix(in srgb, var(--c) 16%, transparent)}
.shelf-grid .name {overflow: hidden; text-overflow: ellipsis; display: -webkit-box; -webkit-line-clamp: 2;
-webkit-box-orient: vertical; overflow-wrap: anywhere}
.shelf-grid .what {font-weight: 600; white-space: nowrap}
</style>"""


@dataclass(frozen=True)
class Cell:
    """A place: its product's name, facings, status ("" in a plan), and a line on what is there."""

    shelf: int
    name: str
    facings: int
    status: str
    text: str


def cell_of_status(one: PositionStatus) -> Cell:
    """A place of a check."""
    text = f"{SIGNS[one.status]} {one.status}"
    if one.status in ("ok", "low"):
        text += f" {one.found}/{one.facings}"
    return Cell(one.shelf, one.name or one.sku, one.facings, one.status, text)


def cell_of_plan(one: Position, name: str) -> Cell:
    """A place of a plan."""
    text = f"{one.facings} (at least {one.min_facings})" if one.min_facings != one.facings else str(one.facings)
    return Cell(one.shelf, name or one.sku, one.facings, "", text)


def show(cells: Iterable[Cell]) -> None:
    """The grid; it moves sideways by itself where it is wider than the page."""
    shelves: dict[int, list[Cell]] = {}
    for cell in cells:
        shelves.setdefault(cell.shelf, []).append(cell)
    rows = "".join(_row(shelf, row) for shelf, row in sorted(shelves.items()))
    st.html(f"{_STYLE}<div class='shelf-grid' role='region' tabindex='0' aria-label='Places by shelf'>{rows}</div>")


def _row(shelf: int, cells: Sequence[Cell]) -> str:
    number = f"<div class='no' title='shelf {shelf}'>{shelf}</div>" if shelf else ""
    wrap = "" if shelf else " style='flex-wrap: wrap; min-width: 0'"
    return f"<div class='row'{wrap}>{number}{''.join(map(_cell, cells))}</div>"


def _cell(cell: Cell) -> str:
    red, green, blue = COLOURS[cell.status] if cell.status else (128, 128, 128)
    style = f"--c: rgb({red} {green} {blue}); flex-grow: {min(max(cell.facings, 1), 20)}"
    title = escape(f"{cell.name}: {WORDS.get(cell.status, cell.text)}", quote=True)
    return (f"<div class='cell' style='{style}' title=\"{title}\"><div class='what'>{escape(cell.text)}</div>"
            f"<div class='name'>{escape(cell.name)}</div></div>")  # fmt: skip
