"""Teach: annotate photos for the segmenter, train it, compare it with the one in use, switch."""

from __future__ import annotations

import streamlit as st

from retail_seg.web import teach_annotate, teach_models, teach_photos, teach_train
from retail_seg.web.shared import errors_as_sentences, matcher, store_folder
from retail_seg.web.teach_shared import PARTS, flashed, go_to, workshop

_SHOWN = {
    "photos": teach_photos.show,
    "annotate": teach_annotate.show,
    "train": teach_train.show,
    "models": teach_models.show,
}


def page() -> None:
    """The page: the four parts of the way from photos to a better model, one at a time."""
    st.title("Teach the segmenter")
    with errors_as_sentences():
        matcher(store_folder())
        shop = workshop(store_folder())
        asked = st.query_params.get("part", "photos")
        st.session_state.setdefault("teach-part", asked if asked in PARTS else "photos")
        st.segmented_control(
            "What to do", list(PARTS), format_func=PARTS.__getitem__, key="teach-part", required=True,
            label_visibility="collapsed", on_change=_moved,
        )  # fmt: skip
        flashed()
        _SHOWN[st.session_state["teach-part"]](shop)


def _moved() -> None:
    go_to(st.session_state["teach-part"])
