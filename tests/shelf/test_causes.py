"""Causes and actions by the rules' table, and what a fault costs."""

from __future__ import annotations

from pathlib import Path

import pytest

from retail_seg.errors import PlanError
from retail_seg.shelf.causes import ACTIONS, CAUSES, RULES, ProductStock, explained, read_stock
from retail_seg.shelf.results import FAULTS, CheckResult, Finding


def result(*findings: Finding) -> CheckResult:
    return CheckResult("plan", 0, ("bay",), (), (), findings)


def one(kind: str, stock: ProductStock | None = None, **values: object) -> Finding:
    finding = Finding(kind, "bay", 1, 1, "cola", 0.9, **values)  # type: ignore[arg-type]
    return explained(result(finding), {"cola": stock} if stock else None).findings[0]


@pytest.mark.parametrize(
    ("kind", "stock", "cause", "action"),
    [
        ("empty", None, "", "refill"),
        ("low", None, "", "refill"),
        ("misplaced", None, "", "move"),
        ("wrong", None, "", "move"),
        ("unknown", None, "", "check"),
        ("empty", ProductStock("cola", on_hand=9, backroom=4), "in the back room", "refill"),
        ("empty", ProductStock("cola", on_hand=9, backroom=0), "stock record wrong", "check"),
        ("empty", ProductStock("cola", on_hand=9, sold_since=3), "in the back room", "refill"),
        ("empty", ProductStock("cola", on_hand=9, sold_since=0), "stock record wrong", "check"),
        ("empty", ProductStock("cola", on_hand=0, due="2026-05-01"), "on order", "check"),
        ("empty", ProductStock("cola", on_hand=0, due=""), "not ordered", "order"),
        ("low", ProductStock("cola", on_hand=0), "not ordered", "order"),
        ("empty", ProductStock("cola", listed=False, backroom=3), "delisted", "relabel"),
        ("misplaced", ProductStock("cola", backroom=3), "", "move"),
        ("wrong", ProductStock("cola", backroom=3), "in the back room", "refill"),
    ],
)
def test_each_rule_of_the_table(kind: str, stock: ProductStock | None, cause: str, action: str) -> None:
    found = one(kind, stock)
    assert (found.cause, found.action) == (cause, action) and found.why


def test_the_table_speaks_its_own_words_and_knows_every_kind() -> None:
    assert {rule.cause for rule in RULES} == {"", *CAUSES} and {rule.action for rule in RULES} == set(ACTIONS)
    for kind in FAULTS:
        assert one(kind).action


def test_the_dearest_comes_first() -> None:
    findings = [Finding("empty", "bay", 1, n, sku, 0.9, missing=2, found=0) for n, sku in enumerate("abc", 1)]
    low = Finding("low", "bay", 2, 1, "d", 0.9, missing=1, found=3)
    stock = {
        "a": ProductStock("a", price=2, rate=1, hours=3),
        "b": ProductStock("b", price=2, rate=1),
        "d": ProductStock("d", price=10, rate=1),
    }
    found = explained(result(*findings, low), stock).findings
    assert [(each.sku, each.cost) for each in found] == [("d", 60.0), ("b", 48.0), ("a", 6.0), ("c", 0.0)]


def test_stock_and_deliveries_come_from_several_files(tmp_path: Path) -> None:
    stock, due, lines = tmp_path / "stock.csv", tmp_path / "due.json", tmp_path / "more.jsonl"
    stock.write_text("sku;on_hand;backroom;listed;sold since\ncola;5;2,5;yes;1\njam;many;;;\n;1;;;\ntea;0;;no;\n")
    due.write_text('[{"sku": "cola", "due": "2026-05-01"}, {"sku": "tea", "due": null}, 7]')
    lines.write_text('{"sku": "tea", "price": 1.5, "rate": 2}\n')
    found = read_stock([stock, due, lines])
    assert found.products["cola"] == ProductStock("cola", 5, 2.5, "2026-05-01", True, 1)
    assert found.products["tea"] == ProductStock("tea", 0, None, "", False, None, 1.5, 2)
    assert [
        said in problem
        for said, problem in zip(("on_hand is 'many'", "SKU is empty", "number 3"), found.problems, strict=True)
    ]
    with pytest.raises(PlanError, match="no column sku"):
        lines.write_text("name,price\nx,1\n")
        read_stock([lines])
    with pytest.raises(PlanError, match="is no file of stock"):
        read_stock([tmp_path / "none.csv"])
