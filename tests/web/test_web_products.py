"""The page Products and a product's page in each of their states."""

from __future__ import annotations

from pathlib import Path

import pytest
from barcodes import barcode, on_pack
from crash_workers import picture
from page_helpers import checked, fill, labels, opened, press, quick_store
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import TextInput

from catalogue import Product
from retail_seg.photos import codes
from retail_seg.photos.load import encode_picture
from retail_seg.web import products as page
from retail_seg.web.text import plain

TRICKY = Product("S-1", "Milk *1 l* $5$ :smile: <b>", "Alp", "Dairy")


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = quick_store(tmp_path / "store", monkeypatch)
    with fill(folder) as matcher:
        matcher.enrol(TRICKY, [picture("a"), picture("b")])
        matcher.enrol(Product("S-2", "Tea", "Fizz", "Drinks"), [picture("c")])
        matcher.catalogue.put_product(Product("S-3", "Rice", "Fizz", "Dry"))
    return folder


def links(app: AppTest) -> list[str]:
    return [link.proto.label for link in app.get("page_link")]


def field(app: AppTest, label: str) -> TextInput:
    return next(one for one in app.text_input if one.label == label)


def test_an_empty_store_says_what_to_do_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quick_store(tmp_path, monkeypatch)
    app = opened("products")
    assert "no products yet" in app.info[0].value and "Import" in app.info[0].value
    field(app, "Name").set_value("First")
    field(app, "SKU").set_value("1")
    press(app, "Add")
    assert app.query_params["sku"] == "1" or app.query_params["sku"] == ["1"]
    assert app.title[0].value == "First" and "Give it pictures" in app.success[0].value


def test_products_are_searched_and_filtered(store: Path) -> None:
    app = opened("products")
    assert links(app) == [plain(TRICKY.name), "Tea", "Rice"] and "**3** products" in [m.value for m in app.markdown]
    assert "S\\-3 · Fizz · Dry · no picture" in [caption.value for caption in app.caption]
    assert links(checked(app.text_input(key="products_text").set_value("te").run())) == ["Tea"]
    checked(app.text_input(key="products_text").set_value("nothing like it").run())
    assert links(app) == [] and "No product fits" in app.info[0].value
    app.text_input(key="products_text").set_value("")
    assert links(checked(app.selectbox(key="products_brand").set_value("Fizz").run())) == ["Tea", "Rice"]
    assert links(checked(app.selectbox(key="products_show").set_value("Without pictures").run())) == ["Rice"]


def test_a_long_list_has_pages(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "SIZE", 2)
    app = opened("products")
    assert len(links(app)) == 2 and len(app.get("pagination")) == 1


def test_an_unknown_product_is_a_sentence(store: Path) -> None:
    app = opened("products", sku="../../x")
    assert "No product has SKU" in app.error[0].value and not app.get("page_link")


def test_a_product_shows_its_pictures_rivals_and_history(store: Path) -> None:
    app = opened("products", sku="S-1")
    assert app.title[0].value == plain(TRICKY.name)
    assert [s.value for s in app.subheader] == ["Pictures (2)", "Easily confused with"]
    assert len(app.get("image")) == 4 and links(app) == ["Tea"]
    assert any("2 pictures added" in markdown.value for markdown in app.markdown)


def test_a_picture_is_removed_and_comes_back(store: Path) -> None:
    app = press(opened("products", sku="S-1"), "Remove")
    assert "Picture removed" in app.success[0].value and app.subheader[0].value == "Pictures (1)"
    press(app, "Undo")
    assert app.subheader[0].value == "Pictures (2)"


def test_fields_are_edited_and_taken_back(store: Path) -> None:
    app = opened("products", sku="S-2")
    field(app, "Name").set_value("Green tea")
    press(app, "Save")
    assert app.title[0].value == "Green tea" and "Saved" in app.success[0].value
    press(app, "Undo")
    assert app.title[0].value == "Tea" and field(app, "Name").value == "Tea"
    field(app, "GTIN (barcode number)").set_value("123")
    press(app, "Save")
    assert "123" in app.error[0].value


def test_what_another_person_changed_meanwhile_is_not_overwritten(store: Path) -> None:
    app = opened("products", sku="S-2")
    with fill(store) as matcher:
        matcher.catalogue.put_product(Product("S-2", "Black tea", "Fizz", "Drinks"), by="ann")
    field(app, "Name").set_value("Green tea")
    press(app, "Save")
    assert "changed by ann" in app.error[0].value
    with fill(store) as matcher:
        assert matcher.catalogue.product("S-2").name == "Black tea"
    checked(app.run())
    assert app.title[0].value == "Black tea" and "Somebody has changed" in app.warning[0].value
    press(app, "Show the new values")
    assert field(app, "Name").value == "Black tea" and not app.warning


def test_a_product_is_removed_and_brought_back(store: Path) -> None:
    app = press(opened("products", sku="S-2"), "Remove it")
    assert "was removed" in app.warning[0].value
    press(app, "Bring it back")
    assert app.title[0].value == "Tea" and app.subheader[0].value == "Pictures (1)"


def test_pictures_are_added_and_bad_ones_are_named(store: Path) -> None:
    app = opened("products", sku="S-3")
    assert "cannot be found in photos" in app.info[0].value
    files = [("../../evil.png", picture("new"), "image/png"), ("bad.jpg", b"no picture", "image/jpeg")]
    checked(app.file_uploader[0].set_value(files).run())
    press(app, "Add 2 pictures")
    for _ in range(100):
        if app.success:
            break
        checked(app.run())
    assert "1 new picture" in app.success[0].value and "bad" in app.warning[0].value
    assert app.subheader[0].value == "Pictures (1)"
    assert not app.file_uploader[0].value
    with fill(store) as matcher:
        assert len(matcher.catalogue.references("S-3")) == 1


def test_the_camera_is_asked_for_only_when_wanted(store: Path) -> None:
    app = opened("products", sku="S-3")
    assert not app.get("camera_input")
    checked(app.toggle(key="camera").set_value(True).run())
    assert len(app.get("camera_input")) == 1


@pytest.mark.parametrize("role", ["viewer", "staff"])
def test_who_is_no_manager_sees_products_and_changes_none(
    store: Path, monkeypatch: pytest.MonkeyPatch, role: str
) -> None:
    assert not [label for label in labels(opened("products", role, monkeypatch)) if label == "Add"]
    app = opened("products", role, monkeypatch, sku="S-1")
    assert app.subheader[0].value == "Pictures (2)"
    assert not {"Remove", "Save", "Remove it", "Undo"} & set(labels(app)) and not app.file_uploader


def test_names_are_never_markup() -> None:
    assert plain("a*b_[c](d) $x$ #1") == r"a\*b\_\[c\]\(d\) \$x\$ \#1"
    assert ":material" not in plain(":material/home:") and plain("12:30") == "12:30"


def shown(digits: str) -> tuple[str, bytes, str]:
    return ("taken.jpg", encode_picture(on_pack(barcode(digits), at=(60, 200))), "image/jpeg")


def test_a_picture_of_a_barcode_is_searched_for(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with fill(store) as matcher:
        matcher.catalogue.put_product(Product("S-4", "Pens", gtin="4006381333931"))
    app = opened("products")
    checked(app.file_uploader[0].set_value(shown("4006381333931")).run())
    assert app.text_input(key="products_text").value == "4006381333931" and links(app) == ["Pens"]
    checked(app.file_uploader[0].set_value(("empty.png", picture("a"), "image/png")).run())
    assert "No barcode can be read" in app.warning[0].value and links(app) == ["Pens"]
    monkeypatch.setattr(codes, "PACKAGE", "zxing_that_is_not_there")
    app = opened("products")
    assert not app.file_uploader and any("pip install" in caption.value for caption in app.caption)


def test_a_gtin_that_a_new_picture_shows_is_taken_over(store: Path) -> None:
    app = opened("products", sku="S-3")
    checked(app.file_uploader[0].set_value(shown("4006381333931")).run())
    app = press(app, "Add this picture")
    assert any("4006381333931" in one.value and "no GTIN" in one.value for one in app.info)
    press(app, "Take it as its GTIN")
    with fill(store) as matcher:
        assert matcher.catalogue.product("S-3").gtin == "04006381333931"
    checked(app.file_uploader[0].set_value(shown("96385074")).run())
    app = press(app, "Add this picture")
    for later in (app, opened("products", sku="S-3")):
        assert any("96385074" in one.value and "4006381333931" in one.value for one in later.warning)
