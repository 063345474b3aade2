"""Report: counts, JSON, CSV that no spreadsheet executes, and an overlay that shows every instance."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import numpy as np
import pytest

from retail_seg.photos import draw as drawing
from retail_seg.photos.draw import UNKNOWN, colours_of, draw
from retail_seg.report import (
    Expected,
    Identification,
    Match,
    Report,
    ReportLine,
    expected_of,
    safe_cell,
    write_counts_csv,
)

SQUARE = ((10, 10), (10, 49), (49, 49), (49, 10))


def line(number: int, sku: str | None, name: str, at: tuple[int, int] = (10, 10)) -> ReportLine:
    match = Match(sku or "near", name or "Nearest", 0.71234, 7)
    found = Identification("known" if sku else "unknown", sku, name, 0.87654, 0.2, (match,))
    polygon = tuple((x - 10 + at[0], y - 10 + at[1]) for x, y in SQUARE)
    return ReportLine(number, (*at, 40, 40), 1600, polygon, 0.9, False, found)


def guess(number: int, certainty: str, *chances: tuple[str, float], at: tuple[int, int] = (10, 10)) -> ReportLine:
    """A line as the store answers it: candidates with their probabilities, the first one's called sure or not."""
    matches = tuple(Match(sku, f"Name of {sku}", 0.7, 7, chance) for sku, chance in chances)
    sure = matches[0] if certainty == "sure" else None
    found = Identification(
        "known" if sure else "unknown", sure.sku if sure else None, sure.name if sure else "", chances[0][1], 0.2,
        matches, certainty=certainty, none_of_them=1 - sum(chance for _, chance in chances),
    )  # fmt: skip
    return replace(line(number, None, "", at), identification=found)


def guessed() -> Report:
    lines = (
        guess(1, "sure", ("a", 0.9), ("b", 0.05)),
        guess(2, "likely", ("a", 0.6), ("b", 0.3), at=(60, 10)),
        guess(3, "likely", ("b", 0.7), ("c", 0.2), at=(110, 10)),
        guess(4, "unknown", ("c", 0.4), ("d", 0.3), at=(150, 10)),
    )
    return Report("shelf.jpg", 200, 100, lines)


def report() -> Report:
    lines = (line(1, "b", "Bread"), line(2, "a", "=Apple"), line(3, "b", "Bread", (100, 10)), line(4, None, ""))
    return Report("shelf.jpg", 200, 100, lines, {"model": "m:1"})


def test_counts_are_per_sku_and_unknown_is_apart() -> None:
    assert report().counts == {"a": 1, "b": 2}
    assert report().unknown == 1


def test_likely_facings_are_counted_apart_and_expected_by_all_candidates() -> None:
    found = guessed()
    assert (found.counts, found.likely, found.unknown, found.answered) == ({"a": 1}, {"a": 1, "b": 1}, 1, 0.25)
    assert [one.proposed for one in found.instances] == [None, "a", "b", None]
    assert found.names == {"a": "Name of a", "b": "Name of b"}
    values = found.to_dict()
    assert values["likely"] == {"a": 1, "b": 1} and values["answered"] == 0.25
    # Of a, none .04, both .54; of b, none .20, three .01; c is neither counted nor likely, but expected; d is not.
    assert values["expected"] == {"a": [1.5, 1, 2], "b": [1.05, 0, 2], "c": [0.6, 0, 1]}
    likely = values["instances"][1]
    assert (likely["sku"], likely["decision"], likely["certainty"]) == (None, "unknown", "likely")


def test_what_a_person_said_is_expected_in_full() -> None:
    said = replace(guess(1, "likely", ("a", 0.6), ("b", 0.3)).identification, sku="b", certainty="sure", checked=True)
    assert said.chances == {"b": 1.0} and said.proposed is None
    assert replace(said, sku=None, certainty="unknown").chances == {}


def test_the_range_of_a_sum_of_chances() -> None:
    assert expected_of([]) == Expected(0.0, 0, 0)
    assert expected_of([1.0] * 5) == Expected(5.0, 5, 5)
    assert expected_of([0.5, 0.5]) == Expected(1.0, 0, 2)  # a quarter each at both ends
    assert expected_of([0.5] * 10) == Expected(5.0, 3, 7)  # .055 of it is below 3, .172 up to 3; .945 up to 7
    exact = expected_of([0.9] * 40 + [0.3] * 20)
    near = expected_of([0.9] * 40 + [0.3] * 20 + [0.0])  # one more than is computed exactly
    assert exact[1:] == near[1:] == (38, 46)  # 42 ± 1.28 * 2.79
    assert expected_of([0.999] * 80)[1:] == (80, 80)


def test_nothing_on_a_photo_leaves_nothing_unanswered() -> None:
    assert Report("p", 20, 10, ()).answered == 1.0


def test_json_holds_the_documented_fields() -> None:
    found = json.loads(report().to_json())
    assert found["counts"] == {"a": 1, "b": 2} and found["unknown"] == 1 and found["model"] == "m:1"
    first = found["instances"][0]
    assert first["box"] == [10, 10, 40, 40] and first["area"] == 1600 and first["polygon"][1] == [10, 49]
    assert first["sku"] == "b" and first["decision"] == "known" and first["probability"] == 0.8765
    assert first["matches"] == [{"sku": "b", "name": "Bread", "score": 0.7123, "reference_id": 7, "probability": 0.0}]
    assert found["instances"][3]["sku"] is None and found["instances"][3]["decision"] == "unknown"


def test_csv_counts_and_formulas() -> None:
    out = io.StringIO()
    write_counts_csv([report()], out)
    rows = list(csv.reader(io.StringIO(out.getvalue())))
    assert rows == [
        ["image", "sku", "name", "count", "likely", "expected", "low", "high"],
        ["shelf.jpg", "a", "'=Apple", "1", "0", "0.88", "0", "1"],
        ["shelf.jpg", "b", "Bread", "2", "0", "1.75", "1", "2"],
        ["shelf.jpg", "", "unknown", "1", "0", "", "", ""],
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


def colours_at(drawn: np.ndarray, at: tuple[int, int]) -> set[tuple[int, ...]]:
    """The colours along the left edge of an instance's outline, above its label."""
    return {tuple(pixel) for pixel in drawn[at[1] + 1 : at[1] + 38, at[0] - 1 : at[0] + 2].reshape(-1, 3).tolist()}


def test_overlay_dashes_what_is_likely_and_greys_what_is_unknown() -> None:
    found = guessed()
    photo = np.full((100, 200, 3), 128, np.uint8)
    drawn = draw(photo, found, names=False, text_size=1)
    colours = colours_of(found)
    assert list(colours) == ["a", "b"]
    sure, likely, other, unknown = [(x, 10) for x in (10, 60, 110, 150)]
    white = (255, 255, 255)
    assert colours["a"] in colours_at(drawn, sure) & colours_at(drawn, likely)
    assert colours["b"] in colours_at(drawn, other) and UNKNOWN in colours_at(drawn, unknown)
    middle = [drawn[12:48, x].tolist() for x, _ in (sure, likely, unknown)]  # along the outline itself
    assert [list(white) in edge for edge in middle] == [False, True, True]
    assert not {colours["a"], colours["b"]} & colours_at(drawn, unknown)


def test_overlay_of_an_empty_report_is_the_photo() -> None:
    photo = np.full((20, 30, 3), 9, np.uint8)
    assert (draw(photo, Report("p", 30, 20, ())) == photo).all()


def test_names_with_accents_are_drawn_where_the_system_has_no_font(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "FONTS", ("no such font.ttf",))
    drawing.letters.cache_clear()
    try:
        font = drawing.letters(24.0)
        assert font.getname()[0].startswith("Source Sans") or font.getname()[0].startswith("SourceSans")
        shapes = {bytes(font.getmask(letter)) for letter in "éèøłşñß"}
        assert len(shapes) == 7 and bytes(font.getmask("\uffff")) not in shapes, "each letter, and no box in its place"
        monkeypatch.setattr(drawing, "APP_FONT", "nowhere/*")
        drawing.letters.cache_clear()
        assert drawing.letters(24.0).getbbox("Milk")[2] > 20, "Pillow's own is left"
    finally:
        drawing.letters.cache_clear()
