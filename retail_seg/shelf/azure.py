"""The planogram of Azure AI Vision's planogram matching (API 2023-04-01-preview, switched off in March 2025), as JSON.

    {"planogram": {"width": …, "height": …,
      "products": [{"id": …, "name": …, "w": …, "h": …}],
      "fixtures": [{"id": …, "x": …, "y": …, "w": …, "h": …}],
      "positions": [{"id": …, "productId": …, "fixtureId": …, "x": …, "y": …}]}}

Lengths are of any one unit, from the top left. Its fixtures are boards, so each height of them is a shelf here; its
positions hold one product each. What this module wrote it reads as positions of several facings again, by their ids
"shelf-position-facing"; the least number of facings has no field there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from catalogue.plan_records import Plan, Position, in_order
from catalogue.records import clean_text
from retail_seg.errors import PlanError

#: Lengths, in mm, of what the plan has none of.
WIDTH, HEIGHT, SHELF = 100.0, 200.0, 300.0
_OURS = re.compile(r"(\d+)-(\d+)-(\d+)")


def read(data: Any, name: str) -> tuple[tuple[Position, ...], list[str]]:
    """The positions of a planogram on a fixture called `name`, and a sentence for each part that cannot be used.

    Raises PlanError where it is no planogram at all.
    """
    inner = data.get("planogram", data) if isinstance(data, dict) else None
    if not isinstance(inner, dict) or not all(isinstance(inner.get(key), list) for key in ("products", "positions")):
        raise PlanError(
            f"{name}: is no planogram of Azure's; it has to hold the lists products, fixtures and positions"
        )
    problems: list[str] = []
    widths = {key: _number(one.get("w")) for key, one in _by_id(inner["products"], "product", problems).items()}
    boards = _by_id(inner.get("fixtures") or [], "fixture", problems)
    shelves = _shelves(boards)
    placed: list[tuple[int, float, float | None, str, str]] = []
    for key, one in _by_id(inner["positions"], "position", problems).items():
        sku, board, x = clean_text(str(one.get("productId", ""))), str(one.get("fixtureId", "")), _number(one.get("x"))
        if sku not in widths:
            problems.append(f"position {key}: product {sku or 'without id'} is not among the products; add it")
        elif board not in shelves:
            problems.append(f"position {key}: fixture {board or 'without id'} is not among the fixtures; add it")
        elif x is None:
            problems.append(f"position {key}: x is {one.get('x')!r}; give a number")
        else:
            placed.append((shelves[board], x, _number(one.get("y")), sku, key))
    return _positions(sorted(placed, key=lambda one: one[:2]), widths, name), problems


def _positions(
    placed: list[tuple[int, float, float | None, str, str]], widths: Mapping[str, float | None], name: str
) -> tuple[Position, ...]:
    ours = all(_OURS.fullmatch(key) for *_, key in placed)
    found: dict[tuple[int, int], Position] = {}
    number: dict[int, int] = {}
    for shelf, x, y, sku, key in placed:
        wide = widths[sku]
        if ours:
            at = int(key.split("-")[0]), int(key.split("-")[1])
        else:
            number[shelf] = number.get(shelf, 0) + 1
            at = shelf, number[shelf]
        before = found.get(at)
        if before is None:
            found[at] = Position(name, *at, sku, 1, 1, x, y, wide)
        else:
            facings = before.facings + 1
            found[at] = Position(name, *at, sku, facings, facings, before.x, before.y, wide and wide * facings)
    return in_order(found.values())


def write(plan: Plan, names: Mapping[str, str]) -> str:
    """The plan of one fixture as JSON; `names` of products by SKU. Raises PlanError for a list, or several fixtures."""
    if plan.kind == "list" or len(plan.fixtures) != 1:
        raise PlanError(f"plan {plan.name}: is no planogram of one fixture, which this form needs; export it as CSV")
    rows = _laid_out(plan)
    wide = {one.sku: (one.width or WIDTH * one.facings) / one.facings for one in plan.positions}
    right = max(x + wide[one.sku] * one.facings for one, x, _ in rows)
    tops = {one.shelf: y for one, _, y in rows}
    positions = [
        {"id": f"{one.shelf}-{one.position}-{k + 1}", "productId": one.sku, "fixtureId": str(one.shelf),
         "x": round(x + k * wide[one.sku], 2), "y": round(y, 2)}
        for one, x, y in rows
        for k in range(one.facings)
    ]  # fmt: skip
    planogram = {
        "width": round(right, 2),
        "height": round(max(tops.values()) + SHELF, 2),
        "products": [
            {"id": sku, "name": names.get(sku) or sku, "w": round(wide[sku], 2), "h": HEIGHT} for sku in plan.skus
        ],
        "fixtures": [
            {"id": str(shelf), "x": 0.0, "y": round(top, 2), "w": round(right, 2), "h": SHELF}
            for shelf, top in sorted(tops.items())
        ],
        "positions": positions,
    }  # fmt: skip
    return json.dumps({"planogram": planogram}, ensure_ascii=False, indent=1) + "\n"


def _laid_out(plan: Plan) -> list[tuple[Position, float, float]]:
    """Positions with their x and the y of their shelf, laid beside each other where the plan has no lengths."""
    found, end, shelf = [], 0.0, 0
    tops = {one.shelf: one.y for one in plan.positions if one.y is not None}
    for one in plan.positions:
        if one.shelf != shelf:
            end, shelf = 0.0, one.shelf
        x = end if one.x is None else one.x
        end = x + (one.width or WIDTH * one.facings)
        found.append((one, x, tops.get(shelf, SHELF * (shelf - 1))))
    return found


def _by_id(rows: Any, what: str, problems: list[str]) -> dict[str, dict[str, Any]]:
    """Objects by their id; what has none, or one that is taken, is a problem."""
    found: dict[str, dict[str, Any]] = {}
    for number, one in enumerate(rows if isinstance(rows, list) else [], 1):
        key = clean_text(str(one.get("id") or "")) if isinstance(one, dict) else ""
        if not key:
            problems.append(f"{what} number {number}: has no id; give it one")
        elif key in found:
            problems.append(f"{what} {key}: is there twice; give each an id of its own")
        else:
            found[key] = one
    return found


def _shelves(boards: Mapping[str, dict[str, Any]]) -> dict[str, int]:
    """The shelf of each board: those of about one height are one shelf, the topmost is 1."""
    tops = {key: _number(one.get("y")) or 0.0 for key, one in boards.items()}
    found: dict[str, int] = {}
    shelf, reach = 0, float("-inf")
    for key in sorted(tops, key=lambda key: tops[key]):
        if tops[key] > reach:
            shelf, reach = shelf + 1, tops[key] + (_number(boards[key].get("h")) or 0.0) / 2
        found[key] = shelf
    return found


def _number(value: Any) -> float | None:
    fits = isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e9
    return float(value) if fits else None
