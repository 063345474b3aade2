"""The page Shelves in each of its parts and states."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from page_helpers import checked, fill, labels, opened, press, quick_store
from shelf_helpers import kept, kept_plan, stock
from streamlit.testing.v1 import AppTest

from retail_seg.matcher import Matcher
from retail_seg.shelf import keeping, planning
from retail_seg.web.shared import jobs

PLAN = """fixture,shelf,position,sku,facings,min_facings
cooler,1,1,A,2,1
cooler,1,1,B,2,1
cooler,2,1,C,0,1
cooler,2,2,D,3,2
"""


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = quick_store(tmp_path / "store", monkeypatch)
    with fill(folder) as matcher:
        stock(matcher)
    return folder


@pytest.fixture
def used(store: Path) -> Iterator[Matcher]:
    """A store with a plan and two checks: two places are open, one was mended."""
    with fill(store) as matcher:
        version = kept_plan(matcher)
        kept(matcher, "eeoo", version=version)
        kept(matcher, "oewo", version=version)
        yield matcher


def texts(app: AppTest) -> str:
    return "\n".join(
        one.value for kind in (app.markdown, app.caption, app.info, app.success, app.warning) for one in kind
    )


def grids(app: AppTest) -> str:
    return "\n".join(one.proto.body for one in app.get("html"))


def part(name: str, role: str = "", monkeypatch: pytest.MonkeyPatch | None = None, **query: str) -> AppTest:
    return opened("shelves", role, monkeypatch, part=name, **query)


def test_an_empty_store_says_what_to_do_first(store: Path) -> None:
    assert "needs a plan" in texts(opened("shelves"))
    assert "Nothing is to be done" in texts(part("tasks"))
    assert "No plan is kept yet" in texts(part("plans"))
    assert "No check was kept" in texts(part("figures"))


def test_a_check_is_opened_from_the_list(used: Matcher) -> None:
    app = opened("shelves")
    assert "1 empty, 1 wrong" in texts(app) and "2 empty" in texts(app)
    press(app, "Open")
    assert app.subheader[0].value == "bay"
    assert [one.value for one in app.metric] == ["50%", "50%", "2", "0 of 4"]
    assert "Beans is missing at shelf 1, position 2" in texts(app).replace("\\", "")
    grid = grids(app)
    assert grid.count("class='cell'") == 4 and "○ empty" in grid and "✓ ok 2/2" in grid and "Almond milk" in grid
    assert "a\\.jpg is not kept." in texts(app)
    assert {"Take", "Done", "Not true"} <= set(labels(app))
    press(app, "All checks")
    assert "Checks" in [one.value for one in app.subheader]


@pytest.mark.parametrize("number", ["999", "x", "../1", "1" * 30])
def test_an_unknown_check_is_a_sentence(used: Matcher, number: str) -> None:
    app = opened("shelves", check=number)
    assert "no check" in app.error[0].value


def test_tasks_are_taken_done_and_opened_again(used: Matcher) -> None:
    app = part("tasks")
    assert "2 tasks" in texts(app)
    press(app, "Take")
    assert "Task 3 is taken" in texts(app).replace("\\", "")  # cocoa costs more than beans
    assert keeping.load_task(used, 3).state == "taken" and keeping.load_task(used, 3).who
    checked(app.segmented_control(key="task_state").set_value("taken").run())
    press(app, "Done")
    assert keeping.load_task(used, 3).state == "done"
    checked(app.segmented_control(key="task_state").set_value("done").run())
    assert "mended, as check 2 shows" in texts(app) and "2 tasks" in texts(app)
    press(app, "Open again")
    assert keeping.load_task(used, 3).state == "open" or keeping.load_task(used, 1).state == "open"
    checked(app.segmented_control(key="task_state").set_value("open").run())
    press(app, "Not true")
    assert {one.state for one in keeping.list_tasks(used, states=("not true",))} == {"not true"}


def test_a_file_with_bad_lines_keeps_the_good_ones(store: Path) -> None:
    app = part("plans")
    app.file_uploader[0].set_value([("cooler.csv", PLAN.encode(), "text/csv")])
    press(app, "Keep it")
    said = texts(app)
    assert "version 1" in said and "line 3" in said and "line 4" in said
    assert app.subheader[0].value == "cooler" and grids(app).count("class='cell'") == 2
    with fill(store) as matcher:
        assert [one.sku for one in planning.load_plan(matcher, "cooler")[1].positions] == ["A", "D"]


@pytest.mark.parametrize(
    ("name", "data"), [("x.csv", b"\xff\xfe\x00"), ("x.json", b"{"), ("x.csv", b""), ("../../x.csv", b"a,b\n1,2\n")]
)
def test_a_file_that_is_no_plan_is_a_sentence(store: Path, name: str, data: bytes) -> None:
    app = part("plans")
    app.file_uploader[0].set_value([(name, data, "text/csv")])
    press(app, "Keep it")
    assert len(app.error) == 1 and app.error[0].value.startswith("x\\.")


def test_a_plan_has_versions_and_changes_are_taken_back(used: Matcher) -> None:
    kept_plan(used)
    app = part("plans", plan="plan of bay")
    assert "version 2" in texts(app).lower() or app.selectbox(key="version_plan of bay").value == 2
    checked(app.selectbox(key="version_plan of bay").set_value(1).run())
    press(app, "Use this version again")
    assert [one.version for one in planning.list_plans(used)] == [3]
    press(app, "Take it out")
    assert "No plan is kept yet" in texts(app)
    press(app, "Undo")
    assert [one.version for one in planning.list_plans(used)] == [3]


def test_a_fixture_gets_its_shop(used: Matcher) -> None:
    app = part("plans", plan="plan of bay")
    next(one for one in app.text_input if one.label == "Shop").set_value("North <b>")
    press(app, "Save")
    assert planning.list_fixtures(used)[0].shop == "North <b>"


def test_figures_show_charts_and_tables(used: Matcher) -> None:
    kept(used, "oooo", "end", taken="2026-01-05T00:00:00+00:00", shop="North")
    app = part("figures")
    assert [one.value for one in app.metric][:2] == ["50%", "50%"] and len(app.dataframe) == 2
    checked(app.segmented_control(key="figures_time").set_value("1 year").run())
    assert len(app.dataframe) == 3 and len(app.get("vega_lite_chart")) == 1


def test_names_are_never_markup(store: Path) -> None:
    with fill(store) as matcher:
        kept(matcher, "eooo", "<script>*x*")
    app = opened("shelves", check="1")
    assert app.subheader[0].value == r"\<script\>\*x\*" and "<script>" not in grids(app)


def test_a_viewer_looks_and_changes_nothing(used: Matcher, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("check", "tasks", "plans", "figures"):
        app = part(name, "viewer", monkeypatch)
        assert not {"Take", "Done", "Not true", "Keep it", "Undo", "Check"} & set(labels(app)), name
        assert not app.file_uploader
    app = part("plans", "viewer", monkeypatch, plan="plan of bay")
    assert not {"Take it out", "Save", "Undo"} & set(labels(app))
    assert "staff can make them" in texts(opened("shelves", "viewer", monkeypatch))
    app = part("plans", "staff", monkeypatch)
    assert not app.file_uploader


def test_photos_that_are_none_are_sentences_and_keep_nothing(used: Matcher) -> None:
    app = opened("shelves")
    app.file_uploader[0].set_value([("bad.jpg", b"no photo", "image/jpeg")])
    checked(app.run())
    press(app, "Check 1 photo")
    job = jobs().latest("shelf-check")
    assert job is not None and job.wait(60)
    checked(app.run())
    assert "bad" in app.error[0].value and len(keeping.list_checks(used)) == 2
