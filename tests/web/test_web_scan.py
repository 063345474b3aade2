"""The Scan and Scans pages in each of their states, run by Streamlit's own test client."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from retail_seg import Matcher
from retail_seg.people.roles import Person, acting_as
from retail_seg.photos.load import encode_picture
from retail_seg.rendering.assortment import demo_photos
from retail_seg.scans import review
from retail_seg.scans.replay import replay
from retail_seg.web.shared import jobs

MANAGER, STAFF, VIEWER = Person("maria", "manager"), Person("stefan", "staff"), Person("vera", "viewer")
Pages = Callable[..., AppTest]


def _scan_page(name: str, role: str) -> None:
    from retail_seg.people.roles import Person, acting_as
    from retail_seg.web import scan

    with acting_as(Person(name, role)):
        scan.page()


def _scans_page(name: str, role: str) -> None:
    from retail_seg.people.roles import Person, acting_as
    from retail_seg.web import scans

    with acting_as(Person(name, role)):
        scans.page()


@pytest.fixture(scope="module")
def photo() -> bytes:
    return encode_picture(demo_photos(1)[0].scene.photo)


@pytest.fixture(scope="module")
def scanned(demo_folder: Path, tmp_path_factory: pytest.TempPathFactory, photo: bytes) -> Path:
    """A store with one scan."""
    store = shutil.copytree(demo_folder / "store", tmp_path_factory.mktemp("web") / "store")
    with Matcher.open(store) as found:
        review.scan_photos(found, [("shelf *1*.jpg", photo)], lambda share, text: None)
    return store


@pytest.fixture
def store(scanned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    st.cache_resource.clear()
    monkeypatch.setenv("RETAIL_SEG_STORE", str(tmp_path / "store"))
    yield shutil.copytree(scanned, tmp_path / "store")
    st.cache_resource.clear()


def opened(page: Callable[[str, str], None], who: Person = STAFF, **address: str) -> AppTest:
    app = AppTest.from_function(page, default_timeout=120, kwargs={"name": who.name, "role": who.role})
    for key, value in address.items():
        app.query_params[key] = value
    return checked(app.run())


def checked(app: AppTest) -> AppTest:
    """The app, after it is sure that no traceback stands on it."""
    assert not app.exception, app.exception
    return app


def uploaded(app: AppTest, *files: tuple[str, bytes]) -> AppTest:
    """The page after the upload was scanned in the background."""
    app.file_uploader[0].set_value([(name, data, "image/jpeg") for name, data in files])
    checked(app.run())
    return finished(app)


def finished(app: AppTest) -> AppTest:
    job = jobs().latest("scan")
    assert job is not None and job.wait(120) and address(app, "job") == job.id
    return checked(app.run())


def button(app: AppTest, label: str) -> AppTest:
    """The app after the first button whose label begins so was pressed."""
    found = [one for one in app.button if one.label.startswith(label)]
    assert found, [one.label for one in app.button]
    return checked(found[0].click().run())


def address(app: AppTest, key: str) -> str:
    """A value in the address: a list where the test put it there, a text where the page did."""
    value = app.query_params[key]
    return value if isinstance(value, str) else value[0]


def metrics(app: AppTest) -> dict[str, int]:
    return {metric.label: int(metric.value.removesuffix("%")) for metric in app.metric}


def picked(app: AppTest, number: int | None = None) -> AppTest:
    """The app after an instance was chosen in the list, the first one unless a number is given."""
    chooser = next(box for box in app.selectbox if box.label == "Look at")
    return checked(chooser.select_index(0 if number is None else number - 1).run())


def text(app: AppTest) -> str:
    return "\n".join(one.value for kind in ("markdown", "caption", "warning", "error", "info") for one in app.get(kind))


# -- Scan


def test_a_photo_is_scanned_kept_and_found_again_after_a_reload(store: Path, photo: bytes) -> None:
    app = opened(_scan_page)
    assert "each is kept under **Scans**" in text(app)
    app = uploaded(app, ("fridge.jpg", photo))
    assert not app.error and [s.value for s in app.subheader] == ["fridge\\.jpg"]
    assert address(app, "scan") == "2"
    shown = metrics(app)
    facings = shown["✓ sure"] + shown["~ likely"] + shown["? unknown"]
    assert shown["✓ sure"] > 0 and shown["Answered"] == round(100 * shown["✓ sure"] / facings)
    table = app.dataframe[0].value
    assert (table["Sure"].sum(), table["Likely"].sum()) == (shown["✓ sure"], shown["~ likely"])
    assert all(float(one.split()[0]) > 0 for one in table["Expected"])
    assert len(app.get("download_button")) == 3
    again = opened(_scan_page, scan="2")
    assert metrics(again) == shown


def test_names_are_chosen_among_a_category(store: Path, photo: bytes) -> None:
    app = opened(_scan_page)
    choice = next(box for box in app.selectbox if box.label == "Only what can be there")
    category = choice.options[0]
    app = uploaded(checked(choice.set_value(category).run()), ("fridge.jpg", photo))
    assert address(app, "scan") == "2"
    with Matcher.open(store) as found:
        there = {product.sku for product in found.catalogue.products(category=category)}
        lines = review.open_review(found, 2).report.instances
        assert review.open_review(found, 2).only == f"category {category}"
        assert {sku for _, _, sku in replay(found, 2).instances} <= {"", *there}
    assert {match.sku for line in lines for match in line.matches} <= there
    assert any(line.matches for line in lines)
    assert any(category in caption.value for caption in app.caption)


def test_a_rerun_scans_nothing_twice(store: Path, photo: bytes) -> None:
    app = uploaded(opened(_scan_page), ("fridge.jpg", photo))
    first = jobs().latest("scan")
    app.run().run()
    assert jobs().latest("scan") is first and address(app, "scan") == "2"


def test_a_bad_photo_is_a_sentence_and_the_others_are_done(store: Path, photo: bytes) -> None:
    app = uploaded(opened(_scan_page), ("bad.jpg", b"no picture"), ("one.jpg", photo), ("two.jpg", photo))
    assert "bad\\.jpg" in app.error[0].value and address(app, "scan") == "3,2"
    assert [s.value for s in app.subheader] == ["All 2 photos", "two\\.jpg"]
    chooser = next(box for box in app.selectbox if box.label == "Photo")
    app = checked(chooser.select_index(1).run())
    assert [s.value for s in app.subheader][1] == "one\\.jpg"


def test_a_blurred_photo_waits_for_the_persons_word(store: Path, photo: bytes) -> None:
    import numpy as np

    picture = cv2.imdecode(np.frombuffer(photo, np.uint8), cv2.IMREAD_COLOR)
    blurred = cv2.imencode(".jpg", cv2.GaussianBlur(picture, (0, 0), 7))[1].tobytes()
    app = uploaded(opened(_scan_page), ("dim.jpg", blurred))
    assert "blurred: hold still" in app.warning[0].value and "scan" not in app.query_params
    app = finished(button(app, "Scan anyway"))
    assert address(app, "scan") == "2" and "blurred" in text(app)


def test_a_job_that_runs_shows_its_stage_and_can_be_cancelled(store: Path) -> None:
    from threading import Event

    from retail_seg.scans.review import ScanBatch
    from retail_seg.system.jobs import Job

    go = Event()

    def work(job: Job) -> ScanBatch:
        job.report(0.4, "shelf.jpg: finding the products …")
        go.wait(60)
        job.report(0.5)
        return ScanBatch()

    with acting_as(STAFF):  # who started it may cancel it
        job = jobs().start("scan", "Scan", work)
    try:
        app = opened(_scan_page, job=job.id)
        assert any("finding the products" in str(one.proto) for one in app.get("progress"))
        button(app, "Cancel")
    finally:
        go.set()
    assert job.wait(60) and job.state == "cancelled"
    assert "was cancelled" in text(opened(_scan_page, job=job.id))


def test_a_viewer_sees_scans_but_uploads_and_mends_nothing(store: Path) -> None:
    app = opened(_scan_page, VIEWER, scan="1")
    assert not app.file_uploader and "you can look at scans" in app.info[0].value and metrics(app)
    app = picked(app)
    assert "Only staff can correct" in text(app) and not app.radio
    labels = [one.label for one in opened(_scans_page, VIEWER, scan="1").button]
    assert labels == ["All scans"]


# -- one scan


def test_a_picked_instance_shows_why_it_is_named_so(store: Path) -> None:
    app = picked(opened(_scans_page, scan="1"))
    shown = text(app)
    assert "### Number 1" in shown and "probability" in shown and "score 0" in shown
    assert len(app.get("image")) >= 6
    assert re.search(r"^1 [✓~?] .+ · row \d, place \d+$", app.selectbox[0].options[0])
    assert [one.label for one in app.radio] == ["What is it?"]
    assert "A new product …" not in app.radio[0].options


def test_an_instance_is_corrected_by_search_and_taken_back(store: Path) -> None:
    app = picked(opened(_scans_page, scan="1"), 2)
    before = app.dataframe[0].value
    app = checked(app.radio[0].set_value("other").run())
    assert next(one for one in app.button if one.label.startswith("Apply")).disabled
    app = checked(next(box for box in app.text_input if box.label == "Name, SKU or GTIN").set_value("granola").run())
    assert [one.label for one in app.radio] == ["What is it?", "Found"]
    app = button(app, "Apply")
    shown = app.dataframe[0].value
    assert shown[shown["SKU"] == "GRA-HONEY"]["Sure"].sum() == 1
    assert "stefan: corrected 2" in text(app) and "corrected by stefan" in text(app)
    app = button(app, "Undo")
    assert app.dataframe[0].value.equals(before) and "taken back by stefan" in text(app)


def test_a_search_without_a_hit_says_so(store: Path) -> None:
    app = picked(opened(_scans_page, scan="1"))
    app = checked(app.radio[0].set_value("other").run())
    app = checked(next(box for box in app.text_input if box.label == "Name, SKU or GTIN").set_value("zzzz").run())
    assert "No product has that" in text(app)


def test_a_correction_is_kept_as_a_reference_when_ticked(store: Path) -> None:
    app = opened(_scans_page, scan="1")
    known = next(n for n, one in enumerate(_options(app), 1) if " ? " not in one)
    app = picked(app, known)
    app = checked(next(box for box in app.checkbox if box.label.startswith("Keep the picture")).check().run())
    app = button(app, "Apply")
    assert "1 kept as references" in text(app) and f"confirmed {known}" in text(app)


def test_a_manager_makes_a_product_of_an_unknown_crop(store: Path) -> None:
    app = opened(_scans_page, MANAGER, scan="1")
    unknown = next(n for n, one in enumerate(_options(app), 1) if " ? " in one)
    app = checked(picked(app, unknown).radio[0].set_value("new").run())
    assert "Read on it: " in text(app)
    for label, value in (("SKU", "SOUP-1"), ("Name", "Tomato soup")):
        app = checked(next(box for box in app.text_input if box.label == label).set_value(value).run())
    app = button(app, "Make the product")
    assert "SOUP-1" in set(app.dataframe[0].value["SKU"]) and "maria: new product" in text(app)


def _options(app: AppTest) -> list[str]:
    return next(box for box in app.selectbox if box.label == "Look at").options


def test_an_instance_is_split_as_proposed_or_told_to_mark_points(store: Path) -> None:
    app = picked(opened(_scans_page, scan="1"), 2)
    count = len(_options(app))
    app = button(app, "Propose parts")
    if app.error:
        assert "mark one point on each" in app.error[0].value
    else:
        app = button(app, "Split into")
        assert len(_options(app)) > count and "split 2 into" in text(app)


def test_a_false_instance_is_deleted(store: Path) -> None:
    app = opened(_scans_page, scan="1")
    count = len(_options(app))
    app = button(picked(app), "Delete: this is no product")
    assert len(_options(app)) == count - 1 and "stefan: deleted 1" in text(app)


# -- Scans


def test_scans_are_listed_searched_opened_and_deleted(store: Path) -> None:
    app = opened(_scans_page)
    assert "shelf \\*1\\*\\.jpg" in text(app)
    app = checked(app.text_input[0].set_value("nowhere").run())
    assert "No scan has “nowhere”" in app.info[0].value
    app = checked(app.text_input[0].set_value("shelf").run())
    app = button(app, "Open")
    assert address(app, "scan") == "1" and app.title[0].value == "Scan 1"
    app = button(app, "Delete for good")
    assert "No photo has been scanned yet" in app.info[0].value and "scan" not in app.query_params


def test_many_scans_come_in_pages(store: Path, photo: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("retail_seg.web.scans.PER_PAGE", 1)
    with Matcher.open(store) as found:
        review.scan_photos(found, [("second.jpg", photo)], lambda share, text: None)
    app = opened(_scans_page)
    assert "second" in text(app) and "shelf" not in text(app) and len(app.get("pagination")) == 1
    app.session_state["scans_page_"] = 2
    app = checked(app.run())
    assert "shelf" in text(app) and "second" not in text(app)
    app.session_state["scans_page_"] = 1
    assert "second" in text(checked(app.run()))


@pytest.mark.parametrize(
    ("number", "sentence"),
    [("99", "there is no scan 99"), ("../1", "names no scan"), ("²", "names no scan"), ("9" * 30, "names no scan")],
)
def test_a_wrong_address_is_a_sentence(store: Path, number: str, sentence: str) -> None:
    app = opened(_scans_page, scan=number)
    assert sentence in app.error[0].value


def test_an_empty_list_says_where_to_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    st.cache_resource.clear()
    Matcher.create(tmp_path / "empty").close()
    monkeypatch.setenv("RETAIL_SEG_STORE", str(tmp_path / "empty"))
    assert "start under **Scan**" in opened(_scans_page).info[0].value
    app = opened(_scan_page)
    assert "no products yet" in app.info[0].value and app.file_uploader
