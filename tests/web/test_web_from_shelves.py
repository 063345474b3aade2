"""The pages Start and From shelves in each of their states, run by Streamlit's own test client."""

from __future__ import annotations

from pathlib import Path

import pytest
from page_helpers import checked, fill, labels, opened, press, quick_store

from catalogue import Product
from retail_seg.demo.shelf_demo import keep_samples
from retail_seg.photos import words
from retail_seg.products import from_shelves, listed_names
from retail_seg.teaching import Teaching
from retail_seg.web.shared import jobs


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return quick_store(tmp_path / "store", monkeypatch)


@pytest.fixture
def grouped(store: Path) -> Path:
    """A store without products, with the sample's scans in groups."""
    with fill(store) as matcher:
        keep_samples(matcher, lambda share, text: None)
        from_shelves.group_unknown(matcher)
    return store


def test_an_empty_store_opens_on_start_and_the_sample_fills_it(store: Path) -> None:
    app = opened("")
    assert app.title[0].value == "Start" and "First photo" in app.markdown[0].value
    press(app, "Try it on a sample shelf")
    job = jobs().latest("shelves")
    assert job is not None and job.wait(120) and job.state == "done", job and job.error
    checked(app.run())
    assert "2 photos" in app.markdown[0].value and "86 facings to name" in app.markdown[0].value
    assert "All the rest later" in labels(app)


def test_a_store_with_products_opens_on_scan(store: Path) -> None:
    with fill(store) as matcher:
        matcher.catalogue.put_product(Product("A", "Anything"))
    assert opened("").title[0].value == "What is in the photo?"


def test_a_group_is_named_with_enter_and_taken_back(grouped: Path) -> None:
    app = opened("from-shelves")
    with fill(grouped) as matcher:
        first = from_shelves.open_groups(matcher)[0]
        app.text_input[0].set_value("Ballerina")
        press(app, "Save")
        assert "Ballerina (BALLERINA)" in app.success[0].value.replace("\\", "")
        assert from_shelves.count_unnamed(matcher)[0] == 86 - len(first.places)
        press(app, "Undo: new product BALLERINA")
        assert from_shelves.count_unnamed(matcher)[0] == 86 and matcher.catalogue.find_product("BALLERINA") is None


def test_a_name_that_comes_near_another_is_a_question(grouped: Path) -> None:
    with fill(grouped) as matcher:
        matcher.catalogue.put_product(Product("B", "Ballerina Original"))
    app = opened("from-shelves")
    app.text_input[0].set_value("ballerina")
    press(app, "Save")
    assert any("Which is it?" in one.value for one in app.markdown)
    press(app, "Ballerina Original (B)")
    with fill(grouped) as matcher:
        assert matcher.catalogue.references("B") and matcher.catalogue.find_product("BALLERINA") is None


def test_groups_are_put_off_and_taken_up_again(grouped: Path) -> None:
    app = press(opened("from-shelves"), "All the rest later")
    assert not app.text_input and "put off for later" in app.button[-1].label
    press(app, "Take up")
    assert app.text_input


def test_facings_are_split_off(grouped: Path) -> None:
    app = press(opened("from-shelves"), "Change")
    with fill(grouped) as matcher:
        before = len(from_shelves.open_groups(matcher))
        app.button_group[0].set_value([1]).run()
        press(app, "Split off as one group")
        assert len(from_shelves.open_groups(matcher)) == before + 1


def test_what_is_not_grouped_yet_is_offered(store: Path) -> None:
    assert "Nothing is unknown" in opened("from-shelves").info[0].value
    with fill(store) as matcher:
        keep_samples(matcher, lambda share, text: None)
    app = press(opened("from-shelves"), "Group them")
    job = jobs().latest("shelves")
    assert job is not None and job.wait(120)
    checked(app.run())
    assert "Group them" not in labels(app) and app.text_input


def test_a_viewer_is_told_who_may(grouped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = opened("from-shelves", "viewer", monkeypatch)
    assert "role staff" in app.warning[0].value and not app.text_input


def test_staff_name_by_products_that_are_there(grouped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = opened("from-shelves", "staff", monkeypatch)
    app.text_input[0].set_value("Something new")
    press(app, "Save")
    assert any("Only a manager can add products" in one.value for one in app.caption)


@pytest.mark.skipif(not words.available(), reason="needs the extra text")
def test_names_of_a_list_are_proposed_with_what_was_read(grouped: Path) -> None:
    with fill(grouped) as matcher:
        matcher.catalogue.put_product(Product("M", "Berthas Maestro 150 g"))
        matcher.catalogue.put_product(Product("S", "Salami"))
    app = opened("from-shelves")
    job = jobs().latest("reading packs")
    assert job is not None and job.wait(300) and job.state == "done", job and job.error
    with fill(grouped) as matcher:
        named = [group for group, one in listed_names.names_of_groups(matcher).items() if one.offers]
        from_shelves.put_off(matcher, [one.id for one in from_shelves.open_groups(matcher) if one.id not in named])
    app = press(checked(app.run()), "Berthas Maestro 150 g")
    assert "Berthas Maestro 150 g (M)" in app.success[0].value.replace("\\", "")
    with fill(grouped) as matcher:
        assert matcher.catalogue.references("M") and listed_names.count_names(matcher) == 1


def test_without_what_reads_a_list_is_typed(grouped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for reader in (listed_names.words, listed_names.codes):
        monkeypatch.setattr(reader, "available", lambda: False)
    with fill(grouped) as matcher:
        matcher.catalogue.put_product(Product("M", "Berthas Maestro 150 g"))
    app = opened("from-shelves")
    assert any("pip install" in one.value and "found by typing" in one.value for one in app.caption)
    app.text_input[0].set_value("maestro")
    press(press(app, "Save"), "Berthas Maestro 150 g (M)")
    with fill(grouped) as matcher:
        assert matcher.catalogue.references("M")


def test_all_facings_of_a_group_are_shown_and_any_taken_out(grouped: Path) -> None:
    with fill(grouped) as matcher:
        first, *others = from_shelves.open_groups(matcher)
        from_shelves.merge(matcher, first.id, [one.id for one in others[:6]])
        whole = from_shelves.open_groups(matcher)[0].places
        assert len(whole) > 12
        app = press(press(opened("from-shelves"), f"Show all {len(whole)}"), "Change")
        app.button_group[0].set_value([len(whole)]).run()
        press(app, "Take out, each alone")
        assert whole[-1:] in [one.places for one in from_shelves.open_groups(matcher)]
        press(app, "Show 12")


def test_a_barcode_stands_beside_each_name(grouped: Path) -> None:
    app = opened("from-shelves")
    assert sum(one.label.startswith("A picture of the barcode") for one in app.get("file_uploader")) >= 1


def test_boxes_of_a_scan_are_corrected_under_teach(grouped: Path) -> None:
    app = press(opened("scans", scan="1"), "Correct its boxes")
    assert app.title[0].value == "Teach the segmenter"
    (photo,) = Teaching(grouped).photos()
    assert photo.instances > 10
    edited = photo.edited
    press(opened("scans", scan="1"), "Correct its boxes")
    assert [one.edited for one in Teaching(grouped).photos()] == [edited]  # what was drawn on it stays
