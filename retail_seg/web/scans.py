"""Scans: every photo that was ever scanned, found again by name, person, day or product; one of them by its address."""

from __future__ import annotations

import streamlit as st

from retail_seg.errors import PhotoError
from retail_seg.matcher import Matcher
from retail_seg.scans.review import (
    Listed,
    count_scans,
    delete_scan,
    list_scans,
    open_review,
    photo_file,
    scan_number,
)
from retail_seg.teaching import NEW
from retail_seg.web import scan_result
from retail_seg.web.shared import errors_as_sentences, matcher, may, store_folder
from retail_seg.web.teach_shared import workshop
from retail_seg.web.text import counted, plain
from retail_seg.web.widgets import pages

PER_PAGE = 12


def page() -> None:
    """The list, or with `?scan=12` in the address that scan."""
    with errors_as_sentences():
        found = matcher(store_folder())
    wanted = st.query_params.get("scan", "")
    if wanted:
        _one(found, wanted)
    else:
        _list(found)


def _shelves() -> None:
    """Stands for the page Shelves in a link: Streamlit finds the page itself by its address."""


def _one(found: Matcher, wanted: str) -> None:
    number = scan_number(wanted)
    st.title("Scans" if number is None else f"Scan {number}")
    with st.container(horizontal=True):
        if st.button("All scans", icon=":material/arrow_back:"):
            del st.query_params["scan"]
            st.rerun()
        if may("staff") and number is not None:
            _delete(found, number)
        if may("manager") and number is not None:
            address = {"part": "plans", "scan": str(number)}
            st.page_link(
                st.Page(_shelves, url_path="shelves"), label="Make it a plan", icon=":material/shelves:",
                query_params=address, help="This shelf, as it was, becomes what should stand there.",
            )  # fmt: skip
        if may("staff") and number is not None:
            _correct_boxes(found, number)
    if number is None:
        st.error("The address names no scan; choose one from the list.", icon=":material/error:")
        return
    with errors_as_sentences():
        review = open_review(found, number)
    scan_result.show(found, review)


def _teach() -> None:
    """Stands for the page Teach in a link."""


def _correct_boxes(found: Matcher, number: int) -> None:
    """The way to Teach, where the photo's boxes are drawn anew, each in one drag."""
    if not st.button(
        "Correct its boxes", icon=":material/crop_free:", key=f"boxes {number}",
        help="The photo goes to Teach, outlined as the segmenter sees it. Five corrected ones train a better one.",
    ):  # fmt: skip
        return
    with errors_as_sentences(), st.spinner("Outlining what the segmenter sees …"):
        scan = open_review(found, number).scan
        data = photo_file(found, scan)
        if data is None:
            raise PhotoError(f"{scan.image}: its photo is not kept here any more; add it under Teach")
        shop = workshop(store_folder())
        added = shop.teaching.add([(scan.image, data)])
        if added.ids and shop.teaching.photo(added.ids[0]).state == NEW:
            shop.editor.take_over(added.ids[0])
        if not added.ids:
            raise PhotoError(added.problems[0])
    address = {"part": "annotate", "photo": added.ids[0]}
    st.session_state["teach-part"] = "annotate"
    st.switch_page(st.Page(_teach, url_path="teach"), query_params=address)


def _delete(found: Matcher, number: int) -> None:
    with st.popover("Delete", icon=":material/delete:"):
        st.markdown(f"Scan {number}, its photo and its corrections go for good. References made of it stay.")
        if st.button("Delete for good", type="primary", key=f"delete scan {number}"):
            with errors_as_sentences():
                delete_scan(found, number)
            del st.query_params["scan"]
            st.rerun()


def _list(found: Matcher) -> None:
    st.title("Scans")
    text = st.text_input(
        "Search", key="scans search", placeholder="photo, person, day (2026-11) or product", icon=":material/search:"
    )
    count = count_scans(found, text)
    if not count:
        st.info(
            f"No scan has “{plain(text)}”. Try another word."
            if text
            else "No photo has been scanned yet: start under **Scan**.",
            icon=":material/photo_camera:",
        )
        return
    st.caption(f"{counted(count, 'scan')}, newest first")
    rows = st.container()
    start = pages(count, PER_PAGE, f"scans_page_{text}")
    with rows:
        for row in list_scans(found, text, offset=start, limit=PER_PAGE):
            _row(row)


def _row(row: Listed) -> None:
    scan = row.scan
    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        if row.thumbnail is not None:
            st.image(row.thumbnail, width=96, alt=f"Photo {scan.image}")
        by = f" by {plain(scan.by)}" if scan.by else ""
        totals = ", ".join(f"{count} {plain(kind)}" for kind, count in row.totals.items())
        st.markdown(
            f"**{scan.id} · {plain(scan.image)}**  \n{totals}  \n:small[{scan.at[:16].replace('T', ' ')} UTC{by}]"
        )
        if st.button("Open", key=f"open {scan.id}", help=f"Open scan {scan.id}", icon=":material/open_in_full:"):
            st.query_params["scan"] = str(scan.id)
            st.rerun()
