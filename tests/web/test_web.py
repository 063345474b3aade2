"""The app as a whole: no store, an empty store."""

from __future__ import annotations

from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from retail_seg import Matcher

ROOT = Path(__file__).parents[2]


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
    assert not app.exception and app.title[0].value == "Start"
    assert "First photo" in app.markdown[0].value and app.file_uploader
    assert "Try it on a sample shelf" in [button.label for button in app.button]
