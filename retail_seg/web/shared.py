"""What every page needs: the one Matcher of this process, and errors as sentences."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import streamlit as st

from catalogue.errors import CatalogueError
from index.errors import IndexingError
from retail_seg.errors import RetailSegError
from retail_seg.matcher import Matcher

USER_ERRORS = (RetailSegError, IndexingError, CatalogueError)


def store_folder() -> Path:
    """The store that this app shows: RETAIL_SEG_STORE, or `store` in the working directory."""
    return Path(os.environ.get("RETAIL_SEG_STORE", "store"))


@st.cache_resource(show_spinner="Opening the store …")
def matcher(folder: Path) -> Matcher:
    """The Matcher of a store, opened once a process and shared by every visitor's thread."""
    return Matcher.open(folder)


@contextmanager
def errors_as_sentences() -> Iterator[None]:
    """Show what a person can mend as one sentence and end the script run."""
    try:
        yield
    except USER_ERRORS as error:
        st.error(str(error), icon=":material/error:")
        st.stop()
