"""The page Chain: figures of shops, contributions taken and left, what each role may, what to do where nothing is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from chain_helpers import enrol, fill, held, new_store, signing
from crash_workers import open_matcher
from page_helpers import checked, labels, opened, press, quick_store

from catalogue import Catalogue
from retail_seg.chain.centre import state_reports
from retail_seg.chain.contributions import contribute
from retail_seg.chain.following import follow
from retail_seg.chain.packing import chunk_of
from retail_seg.chain.publishing import publish
from retail_seg.store.opening import CATALOGUE


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return quick_store(tmp_path / "centre", monkeypatch)


@pytest.fixture
def place(store: Path, tmp_path: Path) -> Path:
    """Where the centre has published, and a shop has sent pictures of two products."""
    fill(store, 2)
    place, shop = tmp_path / "place", new_store(tmp_path / "shop")
    publish(store, str(place), signing(tmp_path))
    follow(shop, str(place))
    enrol(shop, "p1", "p1 seen", "p1 seen twice")
    enrol(shop, "local", "local 0", name="Local [lemonade]")
    with Catalogue.open(shop / CATALOGUE) as catalogue:
        contribute(catalogue, shop="Shop *12*")
    return place


def reports(folder: Path) -> Path:
    """Two weeks of one shop: p1 and an unknown thing beside it, then the unknown thing alone."""
    pytest.importorskip("duckdb")
    sure = {"sku": "p1", "certainty": "sure", "matches": [{"sku": "p1"}]}
    stranger = {"sku": None, "certainty": "unknown", "matches": [{"sku": "p1"}]}
    for day, instances in (("2026-11-23", [sure, stranger]), ("2026-11-30", [stranger])):
        path = folder / "shop=12" / f"day={day}" / "a.jsonl"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({"image": "a.jpg", "instances": instances}) + "\n")
    return folder


def test_an_empty_centre_says_what_to_do(store: Path) -> None:
    app = opened("chain")
    said = " ".join(info.value for info in app.info)
    assert "No reports of shops are known yet" in said and "`retail-seg publish DEST`" in said


def test_a_manager_gives_the_folder(store: Path, tmp_path: Path) -> None:
    folder = reports(tmp_path / "reports")
    app = opened("chain")
    app.text_input[0].set_value(str(tmp_path / "none"))
    app = press(app, "Use this folder")
    assert "holds no reports" in app.error[0].value
    app.text_input[0].set_value(str(folder))
    app = press(app, "Use this folder")
    assert [(one.label, one.value) for one in app.metric][:3] == [
        ("Availability", "0.0 %"), ("Unknown", "100.0 %"), ("Facings", "1"),
    ]  # fmt: skip


def test_figures_of_a_week_and_of_a_shop(store: Path, tmp_path: Path) -> None:
    fill(store, 2)
    folder = reports(tmp_path / "reports")
    with open_matcher(store) as matcher:
        state_reports(matcher, str(folder))
    app = opened("chain")
    app = checked(app.selectbox(key="chain_week").set_value("2026-11-23").run())
    assert app.metric[0].value == "100.0 %"
    assert [next(iter(table.value.iloc[0])) for table in app.dataframe] == ["12", "P1", "P1"]
    app = checked(app.selectbox(key="chain_shop").set_value("12").run())
    assert len(app.dataframe) == 2
    (folder / "shop=12" / "day=2026-11-23" / "a.jsonl").write_text("{")
    app = press(app, "Read again")
    assert "a report cannot be read" in app.error[0].value
    assert "Use this folder" in labels(app), "another folder can be given"


def test_contributions_are_taken_and_left(store: Path, place: Path) -> None:
    app = opened("chain")
    shown = " ".join(one.value for one in app.markdown)
    assert r"Local \[lemonade\]" in shown and "new product" in shown
    assert any(r"Shop \*12\*" in one.value for one in app.caption)
    assert [label for label in labels(app) if label in ("Take", "Leave")] == ["Take", "Leave"] * 2
    before = held(store)
    app = press(app, "Leave")
    assert "was left" in app.success[0].value and held(store) == before
    app = press(app, "Take")
    assert "taken; publish" in app.success[0].value
    assert "Nothing waits for a decision" in app.info[-1].value
    app = checked(app.toggle(key="chain_left").set_value(True).run())
    assert "Leave" not in labels(app)
    app = press(app, "Take")
    assert "Nothing was left" in app.info[-1].value
    assert {sku: len(hashes) for sku, (_, hashes) in held(store).items()} == {"local": 1, "p0": 2, "p1": 4}


def test_a_contribution_that_is_damaged(store: Path, place: Path) -> None:
    (place / "contributions" / chunk_of(b"x").name).write_bytes(b"x")
    app = opened("chain")
    assert "was passed over" in app.warning[0].value and labels(app).count("Take") == 2


@pytest.mark.parametrize("role", ["viewer", "staff"])
def test_who_is_no_manager_looks_only(role: str, store: Path, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = opened("chain", role, monkeypatch)
    assert any("Local" in one.value for one in app.markdown)
    assert not {"Take", "Leave", "Use this folder"} & set(labels(app))


def test_a_shop_is_told_that_it_is_one(store: Path, tmp_path: Path) -> None:
    centre = new_store(tmp_path / "other")
    enrol(centre, "p1", "p1 0")
    publish(centre, str(tmp_path / "there"), signing(tmp_path))
    follow(store, str(tmp_path / "there"))
    app = opened("chain")
    assert "This store is a shop" in app.info[0].value and len(app.subheader) == 1
