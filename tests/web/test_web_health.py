"""The page Health in each of its states."""

from __future__ import annotations

import io
import time
from pathlib import Path

import numpy as np
import pytest
from page_helpers import checked, fill, labels, opened, press, quick_store
from PIL import Image
from streamlit.testing.v1 import AppTest

from catalogue import Product
from retail_seg.products import health_report
from retail_seg.rendering.assortment import articles, references
from retail_seg.web.shared import jobs

PHOTOS = [photo for article in articles()[:3] for photo, _ in references(article)[:2]]


def jpeg(photo: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(photo).save(out, "JPEG", quality=70)
    return out.getvalue()


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = quick_store(tmp_path / "store", monkeypatch)
    with fill(folder) as matcher:
        for number in range(3):
            matcher.enrol(Product(f"P{number}", f"Pack {number}"), PHOTOS[2 * number : 2 * number + 2])
        matcher.enrol(Product("TWIN", "Twin"), [jpeg(PHOTOS[0])])
        matcher.enrol(Product("P1"), [np.asarray(PHOTOS[3] // 12), PHOTOS[4][:, ::-1].copy()])
        matcher.catalogue.put_product(Product("NONE", "Nothing yet"))
        health_report.check(matcher, lambda share, text: None)
    return folder


def section(app: AppTest, name: str) -> AppTest:
    return checked(app.selectbox(key="health_section").set_value(name).run())


def sections(app: AppTest) -> list[str]:
    return list(app.selectbox(key="health_section").options)


def test_an_empty_store_says_what_to_do_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quick_store(tmp_path, monkeypatch)
    app = opened("health")
    assert "no products yet" in app.info[0].value and not app.button


def test_a_store_is_checked_in_the_background(store: Path) -> None:
    (store / health_report.FILE).unlink()
    app = opened("health")
    assert "not been checked yet" in app.info[0].value and not app.selectbox
    press(app, "Check now")
    job = jobs().latest("health")
    assert job is not None and job.wait(60)
    checked(app.run())
    assert "Checked" in app.caption[0].value and "nothing has changed since" in app.caption[0].value
    assert any(option.startswith("Same picture") for option in sections(app))


def test_a_check_that_goes_on_is_shown_and_cancelled(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(matcher: object, report: object) -> None:
        while True:
            report(0.3, "Looking at pictures")  # type: ignore[operator]
            time.sleep(0.01)

    monkeypatch.setattr(health_report, "check", slow)
    app = press(opened("health"), "Check again")
    assert "Cancel" in labels(app) and "Check again" not in labels(app) and app.selectbox
    assert "Cancel" in labels(opened("health")), "another visitor sees the same check"
    press(app, "Cancel")
    job = jobs().latest("health")
    assert job is not None and job.wait(60) and job.state == "cancelled"
    assert "Check again" in labels(checked(app.run()))


def test_every_section_shows_its_findings_with_pictures(store: Path) -> None:
    app = opened("health")
    names = ["gain_most", "without_reference", "doubles", "unlike_siblings", "poor_pictures", "confusable"]
    for name in [*names, "with_one_reference"]:
        section(app, name)
        assert name == "without_reference" or app.get("image")
        assert app.get("page_link")


def test_doubles_are_merged_and_come_apart_again(store: Path) -> None:
    app = press(section(opened("health"), "doubles"), "Merge into P0")
    assert "TWIN is part of P0" in app.success[0].value
    assert not any(option.startswith("Same picture") for option in sections(app))
    press(app, "Undo")
    with fill(store) as matcher:
        assert len(matcher.catalogue.references("TWIN")) == 1 and len(matcher.catalogue.references("P0")) == 2


def test_a_pair_that_is_two_products_is_not_shown_until_asked_for(store: Path) -> None:
    app = press(section(opened("health"), "doubles"), "They are two products")
    assert not any(option.startswith("Same picture") for option in sections(app))
    press(app, "Show 1 accepted again")
    assert any(option.startswith("Same picture") for option in sections(app))


def test_a_misleading_picture_is_moved_to_whom_it_shows(store: Path) -> None:
    app = section(opened("health"), "unlike_siblings")
    press(app, "It shows TWIN: move it")
    with fill(store) as matcher:
        assert len(matcher.catalogue.references("TWIN")) == 2 and len(matcher.catalogue.references("P0")) == 1
    press(app, "Undo")
    with fill(store) as matcher:
        assert len(matcher.catalogue.references("TWIN")) == 1 and len(matcher.catalogue.references("P0")) == 2


def test_a_poor_picture_is_removed_or_accepted(store: Path) -> None:
    app = section(opened("health"), "poor_pictures")
    assert any("very dark" in markdown.value for markdown in app.markdown)
    press(app, "Remove this picture")
    assert "was removed" in app.success[0].value
    with fill(store) as matcher:
        assert len(matcher.catalogue.references("P1")) == 3
    press(app, "Undo")
    press(section(app, "poor_pictures"), "It is fine")
    assert not any(option.startswith("Poor") for option in sections(app))


def test_a_healthy_store_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = quick_store(tmp_path, monkeypatch)
    with fill(folder) as matcher:
        matcher.enrol(Product("P"), PHOTOS[:2])
        matcher.remove("P")
        matcher.catalogue.put_product(Product("Q"))
        health_report.check(matcher, lambda share, text: None)
        matcher.enrol(Product("Q"), PHOTOS[2:4])
    assert "Nothing weakens" in opened("health").success[0].value


def test_roles(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    viewer = section(opened("health", "viewer", monkeypatch), "doubles")
    assert viewer.get("image") and not [label for label in labels(viewer) if label != "Log out"]
    staff = section(opened("health", "staff", monkeypatch), "doubles")
    assert [label for label in labels(staff) if label != "Log out"] == ["Check again"]
