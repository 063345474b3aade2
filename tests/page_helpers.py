"""Pages in Streamlit's own test client, on a store whose embedder takes no time."""

from __future__ import annotations

from pathlib import Path

import pytest
import streamlit as st
from crash_workers import FINGERPRINTS, Patches
from streamlit.navigation.page import calc_hash
from streamlit.testing.v1 import AppTest

from catalogue import Catalogue
from retail_seg.matcher import Matcher
from retail_seg.people.roles import Person
from retail_seg.store import opening
from retail_seg.store.opening import CATALOGUE
from retail_seg.web import login

ROOT = Path(__file__).parents[1]


def quick_store(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A new, empty store with the patches' embedder, which the app opens with it, too."""
    embedder = Patches(FINGERPRINTS[0])
    monkeypatch.setattr(opening, "load_embedder", lambda name, weights=None: embedder)
    Catalogue.create(folder / CATALOGUE, embedder=embedder.fingerprint, dim=embedder.dim).close()
    monkeypatch.setenv("RETAIL_SEG_STORE", str(folder))
    st.cache_resource.clear()
    st.cache_data.clear()
    return folder


def fill(folder: Path) -> Matcher:
    """The store opened beside the app, to put something in or to look what came of it."""
    return Matcher.open(folder)


def opened(address: str, role: str = "", monkeypatch: pytest.MonkeyPatch | None = None, **query: str) -> AppTest:
    """The app at an address (`products`, `import`, `health`), as a visitor with a role where one is given."""
    if role and monkeypatch is not None:
        monkeypatch.setattr(login, "visitor", lambda: Person("vic", role))
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120)
    app._page_hash = calc_hash(address)
    for key, value in query.items():
        app.query_params[key] = value
    return checked(app.run())


def checked(app: AppTest) -> AppTest:
    """The app, after it was made sure that nobody sees a traceback."""
    assert not app.exception, [error.message for error in app.exception]
    return app


def press(app: AppTest, label: str) -> AppTest:
    """The app after a click on the first button whose label begins so."""
    button = next((one for one in app.button if one.label.startswith(label)), None)
    assert button is not None, [one.label for one in app.button]
    return checked(button.click().run())


def labels(app: AppTest) -> list[str]:
    """The labels of all buttons, for what a role may not see."""
    return [button.label for button in app.button]
