"""Why something is missing and what to do about it: findings held against stock and deliveries, by a table of rules."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from catalogue.errors import ImportFileError
from catalogue.records import clean_text
from catalogue.tables import BadLine, read_table
from retail_seg.errors import PlanError
from retail_seg.shelf.deciding import ranked
from retail_seg.shelf.results import CheckResult, Finding

CAUSES = ("in the back room", "on order", "not ordered", "delisted", "stock record wrong")
ACTIONS = ("refill", "order", "move", "relabel", "check")
#: Without hours in the file a fault lasts a day.
HOURS = 24.0
_YES, _NO = ("1", "yes", "y", "true", "x", "listed"), ("0", "no", "n", "false", "delisted")


@dataclass(frozen=True)
class ProductStock:
    """What a stock or delivery file says of a product; None, or an empty text, where it says nothing.

    on_hand     pieces in the shop by the books, `backroom` those of them that are not on the shelf
    due         day (ISO) or number of the next delivery; empty for none
    listed      whether the shop is to sell it
    sold_since  pieces sold since the last delivery or count
    price       of a piece, `rate` pieces sold an hour, `hours` until a fault is mended
    """

    sku: str
    on_hand: float | None = None
    backroom: float | None = None
    due: str | None = None
    listed: bool | None = None
    sold_since: float | None = None
    price: float | None = None
    rate: float | None = None
    hours: float | None = None


@dataclass(frozen=True)
class StockFile:
    """Products by SKU, and a sentence for each line that was left out."""

    products: Mapping[str, ProductStock]
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rule:
    """If one of these kinds of finding is of a product of which `when` holds: the cause, the action, and the rule in
    words.
    """

    kinds: tuple[str, ...]
    when: Callable[[ProductStock], bool]
    cause: str
    action: str
    why: str


_MISSING, _OTHER = ("empty", "low", "no product"), ("misplaced", "wrong", "unknown")
#: The first rule that holds is the one that counts.
RULES = (
    Rule(("price differs",), lambda s: True, "", "relabel", "the label does not say the list's price: hang a new one"),
    Rule(("no label",), lambda s: True, "", "relabel", "it stands there without a label: hang one"),
    Rule((*_MISSING, *_OTHER), lambda s: s.listed is False, "delisted", "relabel",
         "it is no longer listed: take its label off and give the place to another"),
    Rule(("misplaced",), lambda s: True, "", "move", "it stands elsewhere on the fixture: put it back"),
    Rule((*_MISSING, "wrong"), lambda s: (s.backroom or 0) > 0, "in the back room", "refill",
         "some are in the back room: bring them"),
    Rule(_MISSING, lambda s: (s.on_hand or 0) > 0 and s.backroom is None and (s.sold_since or 0) > 0,
         "in the back room", "refill", "the books have some and it sells: look in the back room"),
    Rule((*_MISSING, "wrong"), lambda s: (s.on_hand or 0) > 0, "stock record wrong", "check",
         "on hand by the books, but not on the shelf: count it"),
    Rule((*_MISSING, "wrong"), lambda s: s.on_hand is not None and bool(s.due), "on order", "check",
         "it is sold out and on order: put it out when it comes"),
    Rule((*_MISSING, "wrong"), lambda s: s.on_hand is not None and s.due is not None, "not ordered", "order",
         "it is sold out and no delivery is due: order it"),
    Rule((*_MISSING, "wrong"), lambda s: s.on_hand is not None, "not ordered", "order",
         "it is sold out and nothing is known of a delivery: order it"),
    Rule(_MISSING, lambda s: True, "", "refill", "nothing is known of its stock: refill it"),
    Rule(("wrong",), lambda s: True, "", "move", "another product stands there: move that one"),
    Rule(("unknown",), lambda s: True, "", "check", "what stands there cannot be told: look at it"),
)  # fmt: skip


def explained(result: CheckResult, stock: Mapping[str, ProductStock] | None = None) -> CheckResult:
    """The check with the likely cause of each finding, what to do, and what it costs; the dearest first."""
    known = stock or {}
    told = [_explained(one, known.get(one.sku, ProductStock(one.sku))) for one in result.findings]
    return replace(result, findings=ranked(told))


def _explained(finding: Finding, stock: ProductStock) -> Finding:
    rule = next(rule for rule in RULES if finding.kind in rule.kinds and rule.when(stock))
    return replace(finding, cause=rule.cause, action=rule.action, why=rule.why, cost=cost_of(finding, stock))


def cost_of(finding: Finding, stock: ProductStock) -> float:
    """Price × rate of sale × hours, where price and rate are known; of a low place the share that is missing."""
    if stock.price is None or stock.rate is None:
        return 0.0
    whole = stock.price * stock.rate * (HOURS if stock.hours is None else stock.hours)
    facings = finding.missing + finding.found
    return whole * finding.missing / facings if finding.kind == "low" and facings else whole


def read_stock(paths: Iterable[Path]) -> StockFile:
    """Read stock and delivery files (CSV, JSON or JSON Lines); what one does not say of a product another may.

    Columns: sku, on_hand, backroom, due, listed, sold_since (or "sold since"), price, rate, hours. Raises PlanError for
    a file that cannot be read at all.
    """
    found: dict[str, ProductStock] = {}
    problems: list[str] = []
    for path in paths:
        for where, row in _rows(path, problems):
            try:
                stock = _stock(row)
            except ValueError as error:
                problems.append(f"{where}: {error}")
                continue
            before = found.get(stock.sku, ProductStock(stock.sku))
            said = {one.name: value for one in fields(stock) if (value := getattr(stock, one.name)) is not None}
            found[stock.sku] = replace(before, **said)
    return StockFile(found, tuple(problems))


def _rows(path: Path, problems: list[str]) -> Iterable[tuple[str, dict[str, Any]]]:
    """Each row of a file with the place that it stands at."""
    try:
        start = path.read_bytes()[:64].lstrip(b"\xef\xbb\xbf \r\n\t")
        if start.startswith(b"["):
            rows = json.loads(path.read_text(encoding="utf-8-sig"))
            return [(f"{path.name}, number {n}", one if isinstance(one, dict) else {}) for n, one in enumerate(rows, 1)]
        table = read_table(lambda: path.open("rb"), path.name, lambda first: [])
    except (OSError, ValueError, RecursionError, ImportFileError) as error:
        raise PlanError(
            f"{path}: is no file of stock ({error}); give CSV or JSON with sku, on_hand, backroom, due"
        ) from None
    names = {column: column.strip().lower().replace(" ", "_") for column in table.columns}
    if "sku" not in names.values():
        raise PlanError(f"{path}: has no column sku; name the columns sku, on_hand, backroom, due, listed, sold_since")
    found = []
    for row in table.rows:
        if isinstance(row, BadLine):
            problems.append(f"{path.name}, line {row.line}: {row.reason}")
        else:
            found.append((f"{path.name}, line {row[0]}", {names.get(key, key): value for key, value in row[1].items()}))
    return found


def _stock(row: Mapping[str, Any]) -> ProductStock:
    """A row as a product's stock; ValueError with the reason where it is none."""
    values = {str(key).strip().lower().replace(" ", "_"): value for key, value in row.items()}
    sku = clean_text(str(values.get("sku") or ""))
    if not sku:
        raise ValueError("the SKU is empty; fill it in")
    numbers = {name: _number(values, name) for name in ("on_hand", "backroom", "sold_since", "price", "rate", "hours")}
    return ProductStock(sku, due=_due(values), listed=_listed(values), **numbers)


def _number(values: Mapping[str, Any], name: str) -> float | None:
    value = values.get(name)
    if value is None or str(value).strip() == "":
        return None
    try:
        number = float(str(value).strip().replace(",", "."))
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"{name} is {value!r}; give a number, or leave it empty")
    return number


def _due(values: Mapping[str, Any]) -> str | None:
    """The next delivery: None where the file does not say, empty for none."""
    if "due" not in values:
        return None
    text = "" if values["due"] is None else str(values["due"]).strip()
    return "" if text.lower() in ("", "0", "0.0", "no", "false", "none", "-") else text


def _listed(values: Mapping[str, Any]) -> bool | None:
    text = "" if values.get("listed") is None else str(values["listed"]).strip().lower()
    if not text:
        return None
    if text not in (*_YES, *_NO):
        raise ValueError(f"listed is {values['listed']!r}; give yes or no, or leave it empty")
    return text in _YES
