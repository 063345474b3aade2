"""Teach: annotate photos for the segmenter, train it, compare it with the one in use, switch."""

from __future__ import annotations

import streamlit as st

from retail_seg.web.shared import errors_as_sentences, store_folder
from retail_seg.web.teach_annotate import show as annotate
from retail_seg.web.teach_automatic import news
from retail_seg.web.teach_models import show as models
from retail_seg.web.teach_photos import show as photos
from retail_seg.web.teach_shared import PARTS, go_to, workshop
from retail_seg.web.teach_train import show as train
from retail_seg.web.widgets import show_notices

_SHOWN = {"photos": photos, "annotate": annotate, "train": train, "models": models}


def page() -> None:
    """The page: the four parts of the way from photos to a better model, one at a time."""
    st.title("Teach the segmenter")
    with errors_as_sentences():
        shop = workshop(store_folder())
        asked = st.query_params.get("part", "photos")
        st.session_state.setdefault("teach-part", asked if asked in PARTS else "photos")
        st.segmented_control(
            "What to do", list(PARTS), format_func=PARTS.__getitem__, key="teach-part", required=True,
            label_visibility="collapsed", on_change=_moved,
        )  # fmt: skip
        show_notices()
        news(shop)
        _SHOWN[st.session_state["teach-part"]](shop)


def _moved() -> None:
    go_to(st.session_state["teach-part"])
