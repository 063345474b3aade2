"""The page Import in each of its states."""

from __future__ import annotations

import io
import time
import zipfile
from pathlib import Path

import pytest
from crash_workers import picture
from page_helpers import checked, fill, labels, opened, press, quick_store
from streamlit.testing.v1 import AppTest

from catalogue import Product
from retail_seg.products import uploads
from retail_seg.system.jobs import Job
from retail_seg.web.shared import jobs

TABLE = "sku,name,image\nA,Milk,a.png\nB,=Tea,missing.png\n,Nameless,\n"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = quick_store(tmp_path / "store", monkeypatch)
    with fill(folder) as matcher:
        matcher.enrol(Product("A", "Old milk"), [picture("old")])
    return folder


def goods() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("products.csv", TABLE)
        archive.writestr("a.png", picture("a"))
    return out.getvalue()


def uploaded(name: str, content: bytes) -> AppTest:
    app = opened("import")
    return ended(checked(app.file_uploader[0].set_value((name, content, "application/octet-stream")).run()))


def ended(app: AppTest) -> AppTest:
    """The page once its job is over."""
    if job := the_job(app):
        assert job.wait(60)
        checked(app.run())
    return app


def the_job(app: AppTest) -> Job | None:
    asked = app.query_params.get("job")
    return jobs().get(asked[0] if isinstance(asked, list) else asked) if asked else None


def names(folder: Path) -> dict[str, str]:
    with fill(folder) as matcher:
        return {product.sku: product.name for product in matcher.catalogue.products()}


def test_the_page_says_what_can_be_imported_and_how_much(store: Path) -> None:
    app = opened("import")
    assert any("At most 200 MB a file" in markdown.value for markdown in app.markdown)
    assert not app.dataframe and not app.error


def test_a_file_is_looked_through_written_and_taken_back(store: Path) -> None:
    app = uploaded("../Goods.zip", goods())
    table = app.dataframe[0].value
    assert list(table["Result"]) == ["~ changed", "+ added", "✕ refused"]
    assert "missing.png" in table["Problems"][1] and "not overwritten" in table["Changes"][0]
    assert names(store) == {"A": "Old milk"}
    ended(press(app, "Import 2 products"))
    assert "2 products were added or changed" in app.success[0].value
    assert names(store) == {"A": "Old milk", "B": "=Tea"}
    ended(press(app, "Take it back"))
    assert "2 changes were taken back" in app.success[0].value and names(store) == {"A": "Old milk"}


def test_differences_are_overwritten_only_when_asked_for(store: Path) -> None:
    app = uploaded("goods.zip", goods())
    checked(app.toggle[0].set_value(True).run())
    assert "not overwritten" not in app.dataframe[0].value["Changes"][0]
    ended(press(app, "Import 2 products"))
    assert names(store)["A"] == "Milk"


def test_what_is_there_already_is_not_offered_again(store: Path) -> None:
    app = uploaded("goods.zip", goods())
    checked(app.toggle[0].set_value(True).run())
    ended(press(app, "Import 2 products"))
    again = uploaded("goods.zip", goods())
    table = again.dataframe[0].value
    assert list(table["Result"]) == ["= unchanged", "= unchanged", "✕ refused"]
    assert list(table["Product"]) == ["Milk", "=Tea", ""]
    assert "Nothing to import" in again.success[0].value
    assert not any(label.startswith("Import ") for label in labels(again))


def test_lines_are_shown_by_what_becomes_of_them(store: Path) -> None:
    app = uploaded("goods.zip", goods())
    shown = {"added": ["B"], "problems": ["B", ""], "": ["A", "B", ""]}
    for status, skus in shown.items():
        control = next(group for group in app.button_group if group.label == "Lines")
        checked(control.set_value(status).run())
        assert list(app.dataframe[0].value["SKU"]) == skus


def test_the_work_survives_a_reload_and_a_lost_one_is_a_sentence(store: Path) -> None:
    job = the_job(uploaded("goods.zip", goods()))
    assert job is not None
    again = opened("import", job=job.id)
    assert len(again.dataframe[0].value) == 3 and "Import 2 products" in labels(again)
    lost = opened("import", job="0123456789abcdef")
    assert "not known any more" in lost.warning[0].value and lost.file_uploader


def test_an_import_that_goes_on_can_be_cancelled(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(*args: object) -> None:
        report = args[-1]
        while True:
            report(0.5, "Imported: 1 of 2 products")  # type: ignore[operator]
            time.sleep(0.01)

    monkeypatch.setattr(uploads, "run", slow)
    app = press(uploaded("goods.zip", goods()), "Import 2 products")
    job = the_job(app)
    assert job is not None and job.running and "Cancel" in labels(app)
    press(app, "Cancel")
    ended(app)
    assert job.state == "cancelled" and "was cancelled" in app.warning[0].value
    assert "Choose the file again" in app.info[0].value


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("bad.zip", b"no zip", "no zip that can be read"),
        ("empty.csv", b"", "is empty"),
    ],
)
def test_a_bad_file_is_a_sentence(store: Path, name: str, content: bytes, reason: str) -> None:
    app = uploaded(name, content)
    assert reason in app.error[0].value and not [label for label in labels(app) if label.startswith("Import")]


def test_a_table_of_unknown_columns_is_asked_about(store: Path) -> None:
    app = uploaded("liste.csv", b"Varenr;Varenavn\n1001;Kjeks\n")
    assert [box.value for box in app.selectbox][:2] == ["Varenr", "Varenavn"] and not app.error
    press(app, "Use these columns")
    ended(app)
    assert "Import 1 product" in labels(app) and not app.exception


def test_a_table_alone_is_told_to_bring_its_pictures(store: Path) -> None:
    app = uploaded("goods.csv", TABLE.encode())
    assert "into one zip" in app.info[0].value


def test_a_file_of_bad_lines_only_cannot_be_imported(store: Path) -> None:
    app = uploaded("goods.csv", b"sku,name\n,Nameless\n")
    assert "No line of this file can be imported" in app.error[0].value
    assert not [label for label in labels(app) if label.startswith("Import")]


@pytest.mark.parametrize("role", ["viewer", "staff"])
def test_only_managers_may_import(store: Path, monkeypatch: pytest.MonkeyPatch, role: str) -> None:
    job = the_job(uploaded("goods.zip", goods()))
    assert job is not None
    for app in (opened("import", role, monkeypatch), opened("import", role, monkeypatch, job=job.id)):
        assert "role manager" in app.warning[0].value and not app.file_uploader and not app.dataframe
