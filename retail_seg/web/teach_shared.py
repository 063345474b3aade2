"""What the parts of the page Teach share: the annotation set of the store with its tools, addresses, jobs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from retail_seg.store.active_model import load_in_use, stamp
from retail_seg.store.networks import load_segmenter
from retail_seg.store.opening import open_catalogue
from retail_seg.system.jobs import Job
from retail_seg.system.user_errors import USER_ERRORS
from retail_seg.teaching import DONE, DRAFT, NEW, TaughtPhoto, Teaching
from retail_seg.teaching.editor import Editor
from retail_seg.teaching.trainings import Trainings
from retail_seg.web.shared import jobs
from retail_seg.web.text import counted
from retail_seg.web.widgets import failure, say, watch

if TYPE_CHECKING:
    from retail_seg.segmentation.segmenter import Segmenter

#: The parts of the page by the word in the address.
PARTS = {"photos": "Photos", "annotate": "Annotate", "train": "Train", "models": "Models"}
STATES = {NEW: "not begun", DRAFT: "in work", DONE: "finished"}
SIGNS = {NEW: "○", DRAFT: "◐", DONE: "●"}


@dataclass(frozen=True)
class Workshop:
    """The annotation set of a store, its tools and its trainings, for every visitor of this process."""

    store: Path
    teaching: Teaching
    editor: Editor
    trainings: Trainings

    def segmenter(self) -> Segmenter:
        """The model in use, whoever switched to it; read by itself, as nothing here needs the store's index."""
        return _segmenter(self.store, stamp(self.store))


@st.cache_resource(show_spinner=False)
def workshop(store: Path) -> Workshop:
    """The workshop of a store, made once a process; StoreError where there is no store."""
    open_catalogue(store).close()
    teaching = Teaching(store)
    editor = Editor(teaching, lambda: _segmenter(store, stamp(store)))
    return Workshop(store, teaching, editor, Trainings(teaching))


@st.cache_resource(show_spinner="Reading the model …", max_entries=2)
def _segmenter(store: Path, changed: tuple[int, int]) -> Segmenter:
    return load_in_use(store, load_segmenter)[1]


@st.cache_data(max_entries=50, show_spinner=False)
def model_name(folder: str, changed: int) -> tuple[str, str]:
    """Name and fingerprint of the model in a folder, which was last changed at `changed`."""
    model = load_segmenter(Path(folder))
    return model.name, model.fingerprint


def go_to(part: str, **address: str) -> None:
    """Callback: show another part of the page; `address` is what else stands in the address, a photo or a run."""
    st.session_state["teach-part"] = part
    st.query_params.from_dict({"part": part} | address)


def title_of(photo: TaughtPhoto) -> str:
    """A photo in a list: sign, name, state and instances in words."""
    return f"{SIGNS[photo.state]} {photo.name} ({state_of(photo)})"


def state_of(photo: TaughtPhoto) -> str:
    """State and instances of a photo in words."""
    return STATES[photo.state] + (f", {counted(photo.instances, 'thing')}" if photo.instances else "")


def trying(work: Callable[[], Any]) -> Callable[[], None]:
    """A callback that does the work, and keeps what a person can mend as a message."""

    def run() -> None:
        try:
            work()
        except USER_ERRORS as error:
            say(str(error), ok=False, once=True)

    return run


def job_shown(kind: str, done: Callable[[Job], Any]) -> bool:
    """Show the latest job of a kind while it runs; `done(job)` is called once at its end.

    Returns whether it is running.
    """
    job = jobs().latest(kind)
    if job is None or job.id in st.session_state.setdefault("teach-seen", set()):
        return False
    if not job.running:
        st.session_state["teach-seen"].add(job.id)
        if job.error:
            failure(job)
        else:
            done(job)
        return False
    watch(job)
    return True
