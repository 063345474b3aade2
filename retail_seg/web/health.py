"""Health: what weakens the catalogue, with the pictures side by side and a button for each remedy."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import streamlit as st

from catalogue.health import Gain, Health, Pair, Poor
from index.calibration import ONE_REFERENCE
from retail_seg.products import browsing, editing, health_report
from retail_seg.products.health_report import KeptHealth
from retail_seg.system.jobs import Job
from retail_seg.system.progress import FAILED
from retail_seg.web import widgets
from retail_seg.web.shared import errors_as_sentences, jobs, matcher, may, store_folder
from retail_seg.web.text import age, plain

if TYPE_CHECKING:
    from retail_seg.matcher import Matcher

#: The kind of the jobs that check a catalogue.
CHECK = "health"
#: Findings on one page.
SIZE = 10
#: Pixels that two pictures side by side take at most; on a phone they shrink to its width.
PAIR = 560

#: The sections of a report: its field, its heading, and what to do about it.
SECTIONS = {
    "gain_most": ("Would gain most", "One more picture helps these products most."),
    "without_reference": ("No picture", "These products cannot be found in photos."),
    "doubles": ("Same picture", "One picture under two products: merge them, or remove the picture where it is wrong."),
    "unlike_siblings": (
        "Misleading",
        "These pictures are nearer to another product, or unlike all others of their own.",
    ),
    "poor_pictures": ("Poor pictures", "Tiny, dark, blurred or cut off: take a better one, then remove these."),
    "confusable": (
        "Easily confused",
        "The pairs of products that look most alike: more pictures of each set them apart.",
    ),
    "with_one_reference": ("One picture", "A second view of these products makes them easier to find."),
}


def page() -> None:
    """The last report as far as it holds, and a button that makes a new one in the background."""
    st.title("Health")
    with errors_as_sentences():
        found = matcher(store_folder())
        widgets.show_notices()
        if browsing.is_empty(found):
            st.info(
                "This store has no products yet. Name some under **From shelves** or import them; then come back.",
                icon=":material/inventory_2:",
            )
            return
        made = _report(str(found.folder), health_report.stamp(found))
        _head(found, made)
        if made is not None:
            _sections(found, made.health)


@st.cache_resource(max_entries=2, show_spinner=False)
def _report(store: str, stamp: tuple[int, ...]) -> KeptHealth | None:
    """The last report, without what no longer holds; read and compared once per change of the store."""
    found = matcher(store_folder())
    made = health_report.last(found)
    return None if made is None else health_report.as_of_now(found, made)


def _head(found: Matcher, made: KeptHealth | None) -> None:
    """How old the report is, the check that is running, the button for a new one."""
    job = jobs().running(CHECK)
    if made is None and job is None:
        st.info("This store has not been checked yet.", icon=":material/monitor_heart:")
    if made is not None:
        changes = health_report.changes_since(found, made)
        since = f"; {changes:,} changes since" if changes else "; nothing has changed since"
        by = f" by {plain(made.by)}" if made.by else ""
        st.caption(
            f"Checked {age(made.at)} ago{by}: {made.health.products:,} products, {made.health.references:,} "
            f"pictures{since}. What was mended since is left out."
        )
    if job is not None:
        widgets.watch(job)
        return
    ended = jobs().latest(CHECK)
    if ended is not None and ended.state == FAILED:
        widgets.failure(ended)
    if not may("staff"):
        return
    with st.container(horizontal=True):
        label = "Check now" if made is None else "Check again"
        if st.button(label, type="primary" if made is None else "secondary", icon=":material/monitor_heart:"):
            _check(found)
        accepted = health_report.count_accepted(found)
        if accepted and may("manager") and st.button(f"Show {accepted} accepted again", icon=":material/visibility:"):
            widgets.act(partial(health_report.forget_accepted, found), "Accepted findings are shown again.")


def _check(found: Matcher) -> None:
    with errors_as_sentences():
        job = jobs().start(CHECK, "Check the catalogue", partial(_work, found), alone=True)
    job.wait(1.0)
    st.rerun()


def _work(found: Matcher, job: Job) -> KeptHealth:
    return health_report.check(found, job.report)


def _sections(found: Matcher, report: Health) -> None:
    number = {name: len(getattr(report, name)) for name in SECTIONS if getattr(report, name)}
    if not number:
        st.success("Nothing weakens this catalogue.", icon=":material/check_circle:")
        return
    if report.mostly_one_reference:
        st.info(ONE_REFERENCE, icon=":material/add_photo_alternate:")
    name = st.selectbox(
        "What to look at",
        list(number),
        format_func=lambda name: f"{SECTIONS[name][0]} ({number[name]:,})",
        key="health_section",
        persist_state="session",
    )
    st.caption(SECTIONS[name][1])
    rows = st.container()
    start = widgets.pages(number[name], SIZE, f"health_page_{name}")
    for item in getattr(report, name)[start : start + SIZE]:
        with rows.container(border=True):
            _SHOW[name](found, item)


# -- one finding


def _pair(found: Matcher, pair: Pair) -> None:
    names = browsing.names(found, [pair.sku, pair.other_sku])
    key = f"{pair.reference_id}_{pair.other_id}"
    with st.container(horizontal=True, wrap=False, width=PAIR):
        _side(found, pair.sku, pair.reference_id, names, key)
        _side(found, pair.other_sku, pair.other_id, names, key)
    if not may("manager"):
        return
    with st.container(horizontal=True):
        for keep, drop in ((pair.sku, pair.other_sku), (pair.other_sku, pair.sku)):
            if st.button(f"Merge into {plain(keep)}", key=f"merge_{key}_{keep}", icon=":material/merge:"):
                text = f"{drop} is part of {keep} now."
                widgets.act(partial(editing.merge, found, keep, drop), text)
        if st.button("They are two products", key=f"two_{key}", icon=":material/check:"):
            widgets.act(partial(health_report.accept_pair, found, pair), "Noted: this pair is not shown any more.")


def _side(found: Matcher, sku: str, reference_id: int, names: dict[str, str], key: str = "") -> None:
    """A picture with its product; with a `key` also the button that removes it."""
    name = names.get(sku) or sku
    with st.container():
        widgets.picture(found, reference_id, f"Picture of {name}", box=240)
        widgets.product_link(sku, name)
        st.caption(plain(sku))
        if (
            key
            and may("manager")
            and st.button("Remove this picture", key=f"remove_{key}_{reference_id}", icon=":material/delete:")
        ):
            widgets.act(partial(editing.remove, found, sku, [reference_id]), f"A picture of {name} was removed.")


def _poor(found: Matcher, poor: Poor) -> None:
    owner = browsing.owner(found, poor.other_id) if poor.other_id else ""
    names = browsing.names(found, [poor.sku, owner])
    st.markdown(f"**{plain(names.get(poor.sku) or poor.sku)}**: this picture {plain(poor.reason)}.")
    with st.container(horizontal=True, wrap=False, width=PAIR if owner else PAIR // 2):
        _side(found, poor.sku, poor.reference_id, names, "poor")
        if owner and poor.other_id:
            _side(found, owner, poor.other_id, names)
    if not may("manager"):
        return
    with st.container(horizontal=True):
        if owner and st.button(
            f"It shows {plain(owner)}: move it",
            key=f"move_{poor.reference_id}",
            icon=":material/drive_file_move:",
        ):
            widgets.act(
                partial(editing.move, found, [poor.reference_id], owner), f"The picture belongs to {owner} now."
            )
        widgets.product_link(poor.sku, "Add better pictures", icon=":material/add_a_photo:")
        if st.button("It is fine", key=f"fine_{poor.reference_id}", icon=":material/check:"):
            widgets.act(
                partial(health_report.accept_reference, found, poor.reference_id),
                "Noted: this picture is not shown any more.",
            )


def _needs(found: Matcher, sku: str, reason: str) -> None:
    cover = next((reference.id for reference in browsing.references(found, sku)), None)
    name = browsing.names(found, [sku]).get(sku) or sku
    with st.container(horizontal=True, vertical_alignment="center"):
        with st.container(width=96):
            widgets.picture(found, cover, f"Picture of {name}", box=96)
        with st.container(width=480):
            st.markdown(f"**{plain(name)}** {plain(reason)}.")
            st.caption(plain(sku))
        widgets.product_link(sku, "Add pictures", icon=":material/add_a_photo:")


def _gain(found: Matcher, gain: Gain) -> None:
    _needs(found, gain.sku, gain.reason)


_SHOW: dict[str, Callable[[Matcher, Any], None]] = {
    "gain_most": _gain,
    "without_reference": partial(_needs, reason="has no picture"),
    "with_one_reference": partial(_needs, reason="has one picture"),
    "doubles": _pair,
    "confusable": _pair,
    "unlike_siblings": _poor,
    "poor_pictures": _poor,
}
