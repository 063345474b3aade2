"""What every page needs: the one Matcher of this process, who is at work, background jobs, errors as sentences."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from retail_seg.matcher import Matcher
from retail_seg.people.roles import Person, acting, context_of_acting, owner_or_manager
from retail_seg.system.settings import settings
from retail_seg.system.user_errors import USER_ERRORS
from retail_seg.web.identity import NOBODY, current, store_folder
from retail_seg.web.text import plain, sentence

if TYPE_CHECKING:
    from retail_seg.system.jobs import Jobs


__all__ = ["errors_as_sentences", "jobs", "matcher", "may", "nothing_unsaid", "page_guard", "person", "store_folder"]
_LOG = logging.getLogger(__name__)


def matcher(folder: Path) -> Matcher:
    """The Matcher of a store, opened once a process and shared by every visitor's thread.

    It is opened again when the store was reindexed with another embedder, by whatever process.
    """
    found = _opened(folder)
    if found.outdated:
        _opened.clear(folder)  # not closed: threads of others may be at work with it
        found = _opened(folder)
    return found


@st.cache_resource(show_spinner="Opening the store …")
def _opened(folder: Path) -> Matcher:
    return Matcher.open(folder)


@st.cache_resource(show_spinner=False)
def jobs() -> Jobs:
    """The background jobs of this process, shared by every visitor."""
    from retail_seg.system.jobs import Jobs

    return Jobs(context=context_of_acting, rule=owner_or_manager)


def person() -> Person:
    """Who is at work in this session; without any right before they have logged in."""
    return current() or NOBODY


def may(role: str) -> bool:
    """Whether who is acting may do what `role` may: to hide a button; the joins check again."""
    return acting().may(role)


def page_guard(role: str) -> None:
    """End the script run with a sentence where who is acting lacks `role`; the first line of a page that needs it."""
    if not may(role):
        st.warning(
            f"This page is for the role {plain(role)}; you are {plain(acting().role)}. "
            "A manager can give you that role.",
            icon=":material/lock:",
        )
        st.stop()


@contextmanager
def errors_as_sentences() -> Iterator[None]:
    """Show what a person can mend as one sentence and end the script run."""
    try:
        yield
    except USER_ERRORS as error:
        st.error(sentence(error), icon=":material/error:")
        st.stop()


@contextmanager
def nothing_unsaid() -> Iterator[None]:
    """Around a whole page: what nobody foresaw is a sentence, too, and stands in the server's log in full.

    With RETAIL_SEG_DEBUG set it is raised instead, for who works on the program.
    """
    try:
        with errors_as_sentences():
            yield
    except Exception as error:
        if settings().debug:
            raise
        number = uuid.uuid4().hex[:6]
        _LOG.exception("error %s", number)
        st.error(
            f"This did not work because of an error of the program ({plain(type(error).__name__)}). What was saved "
            f"is safe. Reload the page; if it comes again, tell the manager of this store: error {number} of "
            "the server's log.",
            icon=":material/error:",
        )
        st.stop()
