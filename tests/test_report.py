"""Report: counts, JSON, CSV that no spreadsheet executes, and an overlay that shows every instance."""

from __future__ import annotations

import csv
import io
import json

import numpy as np

from retail_seg.photos.draw import draw
from retail_seg.report import Identification, Match, Report, ReportLine, safe_cell, write_counts_csv

SQUARE = ((10, 10), (10, 49), (49, 49), (49, 10))


def line(number: int, sku: str | None, name: str, at: tuple[int, int] = (10, 10)) -> ReportLine:
    match = Match(sku or "near", name or "Nearest", 0.71234, 7)
    found = Identification("known" if sku else "unknown", sku, name, 0.87654, 0.2, (match,))
    polygon = tuple((x - 10 + at[0], y - 10 + at[1]) for x, y in SQUARE)
    return ReportLine(number, (*at, 40, 40), 1600, polygon, 0.9, False, found)


def report() -> Report:
    lines = (line(1, "b", "Bread"), line(2, "a", "=Apple"), line(3, "b", "Bread", (100, 10)), line(4, None, ""))
    return Report("shelf.jpg", 200, 100, lines, {"model": "m:1"})


def test_counts_are_per_sku_and_unknown_is_apart() -> None:
    assert report().counts == {"a": 1, "b": 2}
    assert report().unknown == 1


def test_json_holds_the_documented_fields() -> None:
    found = json.loads(report().to_json())
    assert found["counts"] == {"a": 1, "b": 2} and found["unknown"] == 1 and found["model"] == "m:1"
    first = found["instances"][0]
    assert first["box"] == [10, 10, 40, 40] and first["area"] == 1600 and first["polygon"][1] == [10, 49]
    assert first["sku"] == "b" and first["decision"] == "known" and first["probability"] == 0.8765
    assert first["matches"] == [{"sku": "b", "name": "Bread", "score": 0.7123, "reference_id": 7}]
    assert found["instances"][3]["sku"] is None and found["instances"][3]["decision"] == "unknown"


def test_csv_counts_and_formulas() -> None:
    out = io.StringIO()
    write_counts_csv([report()], out)
    rows = list(csv.reader(io.StringIO(out.getvalue())))
    assert rows == [
        ["image", "sku", "name", "count"],
        ["shelf.jpg", "a", "'=Apple", "1"],
        ["shelf.jpg", "b", "Bread", "2"],
        ["shelf.jpg", "", "unknown", "1"],
    ]
    assert all(safe_cell(text) == f"'{text}" for text in ("+1", "-1", "@x", "\tx"))
    assert all(safe_cell(text) == text for text in ("x=1", ""))


def test_overlay_draws_on_a_copy_and_only_near_the_instances() -> None:
    photo = np.full((100, 200, 3), 128, np.uint8)
    drawn = draw(photo, report())
    assert (photo == 128).all() and drawn.shape == photo.shape and drawn.dtype == np.uint8
    changed = (drawn != 128).any(axis=2)
    assert changed[30, 8:13].any() and changed[30, 98:103].any()
    assert not changed[60:, 160:].any()


def test_overlay_of_an_empty_report_is_the_photo() -> None:
    photo = np.full((20, 30, 3), 9, np.uint8)
    assert (draw(photo, Report("p", 30, 20, ())) == photo).all()
