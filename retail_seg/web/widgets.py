"""Parts that several pages show: links to products, small pictures, what just happened with its undo, running jobs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import streamlit as st

from retail_seg.products import browsing, editing
from retail_seg.system.jobs import Job
from retail_seg.system.progress import CANCELLED, FAILED
from retail_seg.web.shared import errors_as_sentences, jobs, matcher, may, store_folder
from retail_seg.web.text import age, plain, sentence

if TYPE_CHECKING:
    from retail_seg.matcher import Matcher

#: Pixels of a picture's longer side, as it is sent to the browser.
SMALL, LARGE = 160, 480
#: The key under which a session remembers what to say at the top of the next run: a list of `Notice`.
NOTICE = "notice"
#: The key under which it remembers the product that is being edited, as it was when the form was opened.
EDITING = "editing"


def product_link(sku: str, label: str, *, icon: str | None = None) -> None:
    """A link to the page of a product."""
    st.page_link(st.Page(_products, url_path="products"), label=plain(label), icon=icon, query_params={"sku": sku})


def _products() -> None:
    """Stands for the page Products in a link: Streamlit finds the page itself by its address."""


@st.cache_data(max_entries=3000, show_spinner=False)
def small_picture(store: str, identity: str, reference_id: int, side: int) -> tuple[bytes, float]:
    """A reference's picture as JPEG bytes, and its width over its height; a reference's picture never changes."""
    return browsing.thumbnail(matcher(store_folder()), reference_id, side)


def picture(found: Matcher, reference_id: int | None, name: str, *, box: int = 128) -> None:
    """A reference's picture within a square of so many pixels, or a sign that there is none.

    `name` is what a screen reader says.
    """
    if reference_id is None:
        st.markdown(":gray[:material/hide_image: no picture]", width=box)
        return
    side = SMALL if box <= SMALL else LARGE
    data, shape = small_picture(str(found.folder), found.identity, reference_id, side)
    st.image(data, width=max(8, round(box * min(1.0, shape))), alt=name)


# -- what just happened


@dataclass(frozen=True)
class Notice:
    """A sentence at the top of the next run, and the changes that its button undoes in this order.

    `once` goes with the run after that; others stay until something else happens.
    """

    text: str
    changes: tuple[int, ...] = ()
    ok: bool = True
    once: bool = False


def say(text: str, changes: Sequence[int] = (), *, ok: bool = True, once: bool = False) -> None:
    """Show a sentence at the top of the next run; what was said `once` before in this run is shown with it."""
    kept = [notice for notice in st.session_state.get(NOTICE, []) if notice.once]
    st.session_state[NOTICE] = [*kept, Notice(text, tuple(changes), ok, once)]


def show_notices() -> None:
    """What `say` asked for."""
    told: list[Notice] = st.session_state.pop(NOTICE, [])
    if lasting := [notice for notice in told if not notice.once]:
        st.session_state[NOTICE] = lasting
    for notice in told:
        with st.container(horizontal=True, vertical_alignment="center"):
            _show(notice)


def _show(notice: Notice) -> None:
    if notice.ok:
        st.success(sentence(notice.text), icon=":material/check_circle:")
    else:
        st.warning(sentence(notice.text), icon=":material/warning:")
    if notice.once:
        return
    if notice.changes and may("manager") and st.button("Undo", icon=":material/undo:", key="undo_last"):
        st.session_state.pop(NOTICE)
        act(partial(editing.undo, matcher(store_folder()), notice.changes), "Taken back.")
    if st.button("Close", icon=":material/close:", key="close_notice", type="tertiary"):
        st.session_state.pop(NOTICE)
        st.rerun()


def act(change: Callable[[], Sequence[int]], text: str) -> None:
    """Make a change that returns what undoes it, then run the page anew with a sentence and an undo on top."""
    with errors_as_sentences():
        changes = change()
    st.session_state.pop(EDITING, None)
    say(text, changes)
    st.rerun()


# -- jobs


def asked_job(kind: str) -> Job | None:
    """The job of this kind that the address names (`?job=`), None where it names none; a lost one is a sentence."""
    id_ = st.query_params.get("job")
    if not id_:
        return None
    found = jobs().get(id_)
    if found is not None and found.kind.startswith(kind):
        return found
    st.warning(
        "This work is not known any more: the program was started anew since, or it was long ago. What had been "
        "written by then is written.",
        icon=":material/history:",
    )
    return None


def open_job(job: Job) -> None:
    """Put a job into the address and run the page anew, which shows it."""
    st.query_params["job"] = job.id
    st.rerun()


@st.fragment(run_every=1.0)
def watch(job: Job) -> None:
    """A running job's progress with a button that cancels it; the page runs anew when it has ended."""
    if not job.running:
        st.rerun()
    st.progress(job.share, text=f"{plain(job.title)}: {plain(job.text or 'starting')} …")
    with st.container(horizontal=True, vertical_alignment="center"):
        if job.cancelling:
            st.caption("Ends after the step that it is at …")
        elif job.may_cancel:
            st.button("Cancel", icon=":material/cancel:", key=f"cancel_{job.id}", on_click=job.cancel)
        st.caption(
            f"Since {age(job.started)}{' by ' + plain(job.by) if job.by else ''}. You may close this page: its address "
            "finds the work again."
        )


def failure(job: Job) -> None:
    """The sentence of a job that failed or was cancelled."""
    if job.state == FAILED:
        st.error(sentence(job.error), icon=":material/error:")
    elif job.state == CANCELLED:
        st.warning(sentence(job.error), icon=":material/cancel:")


def pages(total: int, size: int, key: str) -> int:
    """A pagination below a list; returns where the page that is open starts. Nothing is shown for a single page.

    Pages call it before they read the page's rows, which they show in a container above it.
    """
    if total <= size:
        return 0
    last = -(-total // size)
    if st.session_state.get(key, 1) > last:
        st.session_state[key] = last
    return (int(st.pagination(last, key=key, persist_state="session")) - 1) * size
