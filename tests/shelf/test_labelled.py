"""Price labels in a check: tied to what stands above them, held against the list, kept as findings and tasks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from rail_helpers import BASE, HEIGHT, WIDTH, Tag, box_of, shelf
from shelf_helpers import SHOP, new_store

from retail_seg.errors import PlanError
from retail_seg.matcher import Matcher
from retail_seg.photos import words
from retail_seg.report import Identification, Match, Report, ReportLine
from retail_seg.segmentation.instances.instances import Instances
from retail_seg.shelf import keeping
from retail_seg.shelf.causes import ProductStock
from retail_seg.shelf.checking import check_scanned
from retail_seg.shelf.kept_results import result_of
from retail_seg.shelf.labelled import with_labels
from retail_seg.shelf.results import CheckedPhoto, CheckResult, PhotoArea, PositionStatus
from retail_seg.store.scanning import Scanned, Seen, placed

pytestmark = pytest.mark.skipif(not words.available(), reason="needs the extra text")
#: Places of A, B, C, D: two facings each.
AREAS = {sku: (40 + 280 * n, 140, 230, BASE - 140) for n, sku in enumerate("ABCD")}
STOCK = {sku: ProductStock(sku, price=price) for sku, price in zip("ABCD", (12.9, 24.9, 7.5, 31.9), strict=True)}


@pytest.fixture
def matcher(tmp_path: Path) -> Matcher:
    return new_store(tmp_path / "store")


def scanned(there: str, tags: Sequence[Tag]) -> Scanned:
    """A photo with two facings of each product that is there, and labels."""
    starts = [(sku, AREAS[sku][0] + k * 115) for sku in there for k in range(2)]
    lines = [
        ReportLine(n, box_of(x), 1, (), 1.0, False,
                   Identification("known", sku, SHOP[sku][0], 0.98, 0.5, (Match(sku, SHOP[sku][0], 0.9, 0, 0.98),)))
        for n, (sku, x) in enumerate(starts, 1)
    ]  # fmt: skip
    picture = shelf([x for _, x in starts], tags)
    seen = Seen("bay.jpg", (WIDTH, HEIGHT), picture, cast(Instances, None), (), (), np.zeros(0, bool))
    return Scanned(seen, np.zeros((0, 1), np.float32), Report("bay.jpg", WIDTH, HEIGHT, placed(lines)))


def planned(there: str) -> CheckResult:
    """The check of a plan of A, B, C, D before its labels are looked at."""
    places = tuple(
        PositionStatus("bay", 1, n, sku, "ok" if sku in there else "empty", 0.95, 2 if sku in there else 0,
                       facings=2, areas=(PhotoArea(0, AREAS[sku]),), name=SHOP[sku][0])
        for n, sku in enumerate("ABCD", 1)
    )  # fmt: skip
    return CheckResult("bay", 0, ("bay",), (CheckedPhoto("bay.jpg", WIDTH, HEIGHT),), places, ())


def tag(sku: str, whole: str, end: str = "90", text: str | None = None) -> Tag:
    return Tag(AREAS[sku][0] + 50, SHOP[sku][0] if text is None else text, whole, end)


def test_a_price_that_is_not_the_lists_is_a_finding_and_its_task_ends_with_the_right_label(matcher: Matcher) -> None:
    wrong = [tag("A", "12"), tag("B", "22"), tag("C", "7", "50"), tag("D", "31")]
    found = with_labels(matcher, [scanned("ABCD", wrong)], planned("ABCD"), STOCK)
    (finding,) = found.findings
    assert (finding.kind, finding.sku, finding.price, finding.listed) == ("price differs", "B", 22.9, 24.9)
    assert (found.summary["labels"], found.summary["price differs"], found.summary["no label"]) == (4, 1, 0)
    assert finding.action == "relabel" and "says 22.90, the list 24.90" in finding.text
    assert [(one.sku, one.position, one.status) for one in found.labels or ()] == [
        ("A", 1, "ok"), ("B", 2, "price differs"), ("C", 3, "ok"), ("D", 4, "ok"),
    ]  # fmt: skip
    assert result_of(found.to_dict()) == replace(found, versions={})

    first = keeping.keep_check(matcher, found)
    right = [tag("A", "12"), tag("B", "24"), tag("C", "7", "50"), tag("D", "31")]
    again = with_labels(matcher, [scanned("ABCD", right)], planned("ABCD"), STOCK)
    assert again.findings == () and keeping.keep_check(matcher, again).mended == first.opened


def test_a_product_without_its_label_is_told_where_the_others_have_one(matcher: Matcher) -> None:
    tags = [tag("A", "12"), tag("B", "24"), tag("D", "31")]
    (finding,) = with_labels(matcher, [scanned("ABCD", tags)], planned("ABCD"), STOCK).findings
    assert (finding.kind, finding.sku, finding.action) == ("no label", "C", "relabel")
    few = with_labels(matcher, [scanned("ABCD", tags[:1])], planned("ABCD"), STOCK)
    assert few.findings == (), "a finder that misses most of a shelf cannot say that a label is missing"


def test_without_a_plan_a_label_under_nothing_is_an_empty_place(matcher: Matcher) -> None:
    tags = [tag("A", "12"), tag("B", "24"), tag("C", "7", "50"), tag("D", "31")]
    found = check_scanned(matcher, [scanned("ACD", tags)], None, labels=True)
    (finding,) = found.findings
    assert (finding.kind, finding.sku, finding.shelf, finding.position) == ("no product", "B", 1, 2)
    assert finding.name == "Beans" and finding.action == "refill" and found.positions == ()
    assert any("prices were not compared" in note for note in found.notes)
    with pytest.raises(PlanError):
        check_scanned(matcher, [scanned("ACD", tags)], None)


def test_a_price_is_not_held_against_a_product_that_a_label_may_not_be_of(matcher: Matcher) -> None:
    tags = [tag("A", "24", text=""), tag("B", "24"), tag("C", "7", "50"), tag("D", "31")]
    found = with_labels(matcher, [scanned("ABCD", tags)], planned("ABCD"), STOCK)
    assert found.findings == () and (found.labels or ())[0].sku == "", "it is B's price, and hangs beside it"


def test_a_check_without_labels_says_nothing_of_them(matcher: Matcher) -> None:
    found = planned("ABCD")
    assert found.labels is None and "labels" not in found.to_dict() and result_of(found.to_dict()).labels is None
