"""Figures over time, by numbers that can be counted by hand."""

from __future__ import annotations

import csv
import io

import pytest
from shelf_helpers import kept, kept_plan

from retail_seg.errors import PlanError
from retail_seg.matcher import Matcher
from retail_seg.shelf import keeping, planning
from retail_seg.shelf.figures import NOT_NAMED, Figures, Scope, figures
from retail_seg.shelf.figures_out import as_html, lines_of, write_figures_csv, write_shares_csv

FIRST, LAST = "2025-11-10", "2099-12-31"
#: Monday of 2025-W46, Sunday of the same week, Monday of the next; what is mended is mended now, in a later week.
DAYS = ("2025-11-10T08:00:00+00:00", "2025-11-16T23:59:59+00:00", "2025-11-17T00:00:00+00:00")


@pytest.fixture
def found(matcher: Matcher) -> Figures:
    """Two fixtures in two shops, in two weeks; one fault is mended."""
    version = kept_plan(matcher)
    kept(matcher, "oel-", version=version, taken=DAYS[0], shop="North")
    kept(matcher, "oooo", version=version, taken=DAYS[1], shop="North")
    kept(matcher, "ooee", "end", taken=DAYS[2], shop="<b>South</b>")
    return figures(matcher, FIRST, LAST)


def test_shares_are_of_the_places_that_were_seen(found: Figures) -> None:
    first, second = found.find("fixture", "bay")[0], found.find("fixture", "end")[0]
    assert (first.of.week, first.checks, first.places) == ("2025-W46", 2, 7)
    assert (first.availability, first.compliance) == (round(6 / 7, 4), round(5 / 7, 4))
    assert (second.of.week, second.availability, second.compliance) == ("2025-W47", 0.5, 0.5)
    (whole,) = found.find("all", week="")
    assert (whole.checks, whole.places, whole.availability) == (3, 11, round(8 / 11, 4))
    assert found.names("shop") == ("<b>South</b>", "North") and found.names("fixture") == ("bay", "end")


def test_what_a_later_photo_showed_mended_counts_with_its_time(found: Figures, matcher: Matcher) -> None:
    (bay,) = found.find("fixture", "bay", "")
    assert bay.mended == 2 and bay.hours is not None and 0 <= bay.hours < 1
    (end,) = found.find("fixture", "end", "")
    assert (end.mended, end.hours) == (0, None)
    task = keeping.list_tasks(matcher, "end")[0]
    keeping.set_task(matcher, task.id, "not true")
    assert figures(matcher, FIRST, LAST).find("fixture", "end", "")[0].mended == 0
    assert figures(matcher, FIRST, LAST, "North").find("all", week="")[0].mended == 2


def test_share_of_shelf_is_that_of_the_last_check_of_each_fixture(found: Figures) -> None:
    bay = {one.value: one for one in found.shares_of("brand", "fixture", "bay")}
    assert {name: one.facings for name, one in bay.items()} == {"Alp": 4, "Field": 4}
    assert bay["Alp"].centimetres == 36.0 and bay["Alp"].share_of_length == round(360 / 690, 4)
    end = {one.value: one for one in found.shares_of("category", "fixture", "end")}
    assert {name: one.share for name, one in end.items()} == {"Drinks": 0.5, "Tins": 0.5}
    assert end["Tins"].centimetres is None  # no plan that is kept states a width
    assert sum(one.share for one in found.shares_of("category")) == pytest.approx(1, abs=1e-3)


def test_a_scans_lengths_are_pixels_and_no_centimetres(matcher: Matcher) -> None:
    from dataclasses import replace

    from shelf_helpers import plan_of, result_of

    version = planning.keep_plan(matcher, replace(plan_of(), kind="scan"))
    result = result_of("oooo", version=version)
    strange = replace(result.instances[0], sku="", same_as=0)
    again = replace(result.instances[1], same_as=1)
    keeping.keep_check(matcher, replace(result, instances=(strange, again, *result.instances[2:])), taken=DAYS[0])
    shares = {one.value: one for one in figures(matcher, FIRST, LAST).shares_of("brand")}
    assert {name: one.facings for name, one in shares.items()} == {"Field": 4, "Alp": 2, NOT_NAMED: 1}
    assert {one.centimetres for one in shares.values()} == {None}


def test_a_shop_alone_and_days_outside(matcher: Matcher, found: Figures) -> None:
    assert figures(matcher, FIRST, LAST, "North").names("fixture") == ("bay",)
    assert figures(matcher, FIRST, LAST, "North").find("all", week="")[0].checks == 2
    assert [one.of.week for one in figures(matcher, "2025-11-17", "2025-11-17").find("all")] == ["2025-W47"]
    assert figures(matcher, "2020-01-01", "2020-01-31") == Figures("2020-01-01", "2020-01-31", "", (), ())
    for first, last, sentence in (("soon", LAST, "no day"), (LAST, FIRST, "exchange them")):
        with pytest.raises(PlanError, match=sentence):
            figures(matcher, first, last)


def test_a_time_that_is_none_is_left_out_and_said(matcher: Matcher) -> None:
    kept(matcher, "oooo", taken="2026-99-99")
    assert figures(matcher, FIRST, LAST).notes == ("1 checks have no time that can be read; they are left out",)


def test_csv_has_a_row_a_group_and_week(found: Figures) -> None:
    table = io.StringIO()
    write_figures_csv(found, table)
    rows = list(csv.DictReader(io.StringIO(table.getvalue())))
    assert len(rows) == len(found.figures) == 4 + 3 + 2 + 3 + 2
    assert [row["name"] for row in rows if row["group"] == "fixture"] == ["bay"] * 3 + ["end"] * 2
    assert rows[0] == {
        "group": "all", "name": "", "week": "", "checks": "3", "places": "11", "availability": "0.7273",
        "compliance": "0.6364", "mended": "2", "hours": rows[0]["hours"],
    }  # fmt: skip
    table = io.StringIO()
    write_shares_csv(found, table)
    assert len(list(csv.DictReader(io.StringIO(table.getvalue())))) == len(found.shares)


def test_the_page_holds_all_and_no_markup_of_others(found: Figures) -> None:
    page = as_html(found)
    assert "72.7%" in page and "2025-W46" in page and "&lt;b&gt;South&lt;/b&gt;" in page and "<b>South" not in page
    assert "36 cm" in page and page.count("<polyline") == 2 and "http" not in page
    assert "No check was kept" in as_html(Figures(FIRST, LAST, "", (), ()))


def test_a_week_without_places_leaves_no_dot(matcher: Matcher) -> None:
    kept(matcher, "----", taken=DAYS[0])
    kept(matcher, "oooo", taken=DAYS[2])
    weeks = figures(matcher, FIRST, LAST).find("all")
    assert [one.availability for one in weeks] == [None, 1.0]
    assert [len(line.dots) for line in lines_of(weeks)] == [1, 1]
    assert weeks[0].of == Scope("all", "", "2025-W46")
