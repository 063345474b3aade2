"""From shelves, the list: what stands on packs is read in the background and held against names without pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from catalogue import Product
from retail_seg.products import listed_names
from retail_seg.products.listed_names import GroupNames
from retail_seg.system.jobs import Job
from retail_seg.web import widgets
from retail_seg.web.shared import jobs, matcher, person, store_folder
from retail_seg.web.text import counted, plain

if TYPE_CHECKING:
    from retail_seg.matcher import Matcher

KIND = "reading packs"
_NOTHING = GroupNames(listed_names.Printed(), ())


def reading(found: Matcher) -> None:
    """Start reading where a list waits for groups, tell how far it is, or say what is missing for it."""
    names = listed_names.count_names(found)
    if not names:
        return
    if not listed_names.readable():
        st.caption(
            f":material/info: {counted(names, 'product')} of your list have no picture. They are found by typing; "
            f"{plain(listed_names.missing())}."
        )
        return
    job = jobs().latest(KIND)
    if job is not None and job.running:
        _watched(job)
        return
    if job is not None and job.error:
        widgets.failure(job)
    unread = listed_names.count_unread(found)
    if unread and (job is None or not job.error or st.button("Read the packs again", icon=":material/refresh:")):
        _watched(jobs().start(KIND, "Reading the packs", lambda job: _read(found, job), by=person().name))


def of_groups(found: Matcher, waiting: tuple[tuple[int, int], ...]) -> dict[int, GroupNames]:
    """Group ► what was read and may be its name; `waiting` are groups with their numbers of facings."""
    if not listed_names.count_names(found):
        return {}
    job = jobs().latest(KIND)
    done = round(job.share, 2) if job else 0.0
    return _of_groups(str(found.folder), found.identity, found.revision, waiting, done, listed_names.count_names(found))


def offered(one: GroupNames | None, key: str) -> Product | None:
    """The names that a group may be, a button each, and the product of the one that was pressed."""
    for offer in (one or _NOTHING).offers:
        name = offer.product.name or offer.product.sku
        icon = ":material/barcode:" if offer.gtin else ":material/text_fields:"
        if st.button(plain(name), key=f"{key} {offer.product.sku}", icon=icon, help=plain(offer.text)):
            return offer.product
    return None


def evidence(one: GroupNames | None) -> str:
    """What was read on a group, to stand behind how many facings it has; empty for nothing."""
    text = (one or _NOTHING).printed.text
    return f" · {plain(text)}" if text else ""


def _read(found: Matcher, job: Job) -> int:
    def told(places: Any, total: int) -> Any:
        for done, place in enumerate(places):
            job.report(done / max(total, 1), f"{done} of {counted(total, 'facing')}")
            yield place

    return listed_names.read_groups(found, told)


@st.fragment(run_every=2.0)
def _watched(job: Job) -> None:
    """How far the reading is; the page runs anew at its end, and names appear."""
    if not job.running:
        st.rerun()
    st.progress(job.share, text=f"Reading what stands on the packs, for the names of your list: {plain(job.text)} …")


@st.cache_data(max_entries=4, show_spinner=False)
def _of_groups(
    store: str, identity: str, revision: int, waiting: tuple[tuple[int, int], ...], read: float, names: int
) -> dict[int, GroupNames]:
    return listed_names.names_of_groups(matcher(store_folder()))
