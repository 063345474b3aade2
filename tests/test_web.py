"""The web app's page in each of its states, run by Streamlit's own test client."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from retail_seg import Matcher
from retail_seg.photos import encode_picture
from retail_seg.rendering.assortment import demo_photos

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def fresh_cache() -> None:
    st.cache_resource.clear()


def opened(monkeypatch: pytest.MonkeyPatch, store: Path) -> AppTest:
    monkeypatch.setenv("RETAIL_SEG_STORE", str(store))
    return AppTest.from_file(str(ROOT / "app.py"), default_timeout=120).run()


def test_no_store_is_a_sentence_with_a_way_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    app = opened(monkeypatch, tmp_path / "nowhere")
    assert not app.exception
    assert "holds no store" in app.error[0].value and "retail-seg init" in app.error[0].value


def test_an_empty_store_says_what_to_do_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    Matcher.create(tmp_path / "store").close()
    app = opened(monkeypatch, tmp_path / "store")
    assert not app.exception and "no products yet" in app.info[0].value


@pytest.fixture
def store(demo_folder: Path, tmp_path: Path) -> Path:
    return shutil.copytree(demo_folder / "store", tmp_path / "store")


def test_photos_are_counted_and_can_be_downloaded(monkeypatch: pytest.MonkeyPatch, store: Path) -> None:
    app = opened(monkeypatch, store)
    photo = demo_photos(1)[0]
    app.file_uploader[0].set_value(("shelf.jpg", encode_picture(photo.scene.photo), "image/jpeg")).run()
    assert not app.exception and not app.error
    assert [s.value for s in app.subheader] == ["shelf.jpg"]
    shown = {metric.label: int(metric.value) for metric in app.metric}
    assert shown["Products known"] > 0 and set(shown) == {"Products known", "Different SKUs", "Unknown"}
    table = app.dataframe[0].value
    assert table["Count"].sum() == shown["Products known"] + shown["Unknown"]
    assert len(app.get("download_button")) == 2


def test_a_bad_photo_is_a_sentence_and_the_others_are_done(monkeypatch: pytest.MonkeyPatch, store: Path) -> None:
    app = opened(monkeypatch, store)
    good = encode_picture(demo_photos(1)[0].scene.photo)
    app.file_uploader[0].set_value([("bad.jpg", b"no picture", "image/jpeg"), ("good.jpg", good, "image/jpeg")]).run()
    assert not app.exception
    assert "bad.jpg" in app.error[0].value and [s.value for s in app.subheader] == ["good.jpg"]
