"""Start: an empty store's three steps with their state, each done here; a sample shelf for who has no photo at hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from retail_seg.demo.shelf_demo import keep_samples
from retail_seg.products import browsing, from_shelves
from retail_seg.scans.review import ScanBatch, count_scans
from retail_seg.system.user_errors import USER_ERRORS
from retail_seg.web import from_shelves as shelves
from retail_seg.web.shared import errors_as_sentences, matcher, may, store_folder
from retail_seg.web.text import counted

if TYPE_CHECKING:
    from retail_seg.matcher import Matcher


#: The key under which a session remembers that its store was empty when it began: the page stays until it ends.
_BEGAN = "began empty"


def wanted() -> bool:
    """Whether the app opens on this page: for a store without products, and for as long as the visit lasts."""
    if _BEGAN not in st.session_state:
        try:
            st.session_state[_BEGAN] = browsing.is_empty(matcher(store_folder()))
        except USER_ERRORS:  # the page that opens says it
            return False
    return bool(st.session_state[_BEGAN])


def page() -> None:
    """The page: what is done, what is next, and where."""
    st.title("Start")
    with errors_as_sentences():
        found = matcher(store_folder())
    products, scans = browsing.count_references(found), count_scans(found)
    unnamed, _ = from_shelves.count_unnamed(found)
    _steps(products, scans, unnamed)
    if not may("staff"):
        st.info("A manager or staff of this store can begin here.", icon=":material/lock:")
        return
    if not scans:
        _first_photo(found)
    else:
        shelves.photos(found)
    shelves.running(found)
    if scans:
        shelves.groups(found)
    if scans and not unnamed:
        _ready()


def _steps(references: int, scans: int, unnamed: int) -> None:
    """The three steps, each with a sign that says whether it is done."""
    done, open_ = ":green[:material/check_circle:]", ":material/radio_button_unchecked:"
    named = "name a group and it is a product, with pictures" if not references else counted(references, "picture")
    photo = counted(scans, "photo") if scans else "walk along the shelf, or try the sample"
    check = "nothing is unknown" if scans and not unnamed else f"{counted(unnamed, 'facing')} to name"
    st.markdown(
        f"{done if scans else open_} **1 · First photo** – {photo}  \n"
        f"{done if references else open_} **2 · Products** – {named}  \n"
        f"{done if scans and references and not unnamed else open_} **3 · Check** – "
        f"{check if scans else 'what is left unknown, until the counts are right'}"
    )


def _first_photo(found: Matcher) -> None:
    st.markdown(
        "Give photos of your shelves: what stands there is cut out and grouped, and you say what each group is. "
        "A list of products, with or without pictures, is taken under **Import**."
    )
    shelves.photos(found)
    if st.button(
        "Try it on a sample shelf", icon=":material/shelves:", help="Two photos of a biscuit shelf, with boxes we drew"
    ):
        shelves.start_with(found, lambda tell: ScanBatch(tuple(keep_samples(found, tell))))


def _ready() -> None:
    st.success("Everything in your photos has a name. Later photos are counted under **Scan**.", icon=":material/flag:")
