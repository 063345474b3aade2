"""A barcode in place of typed text: held before the camera, or in a picture."""

from __future__ import annotations

from functools import partial

import streamlit as st

from retail_seg.errors import PhotoError
from retail_seg.photos.load import SUFFIXES
from retail_seg.products import barcodes
from retail_seg.web import widgets
from retail_seg.web.text import sentence

NONE_READ = "No barcode can be read there. Hold it closer, level and in good light, or type the digits under it."


def scan_into(key: str) -> None:
    """A button that fills the text input of this key with what a barcode says; the input comes after it or before."""
    # Each barcode that was read makes another button, which is closed and empty: what was found lies under it.
    mine = f"{key} barcode {st.session_state.get(_read(key), 0)}"
    with st.popover("Barcode", icon=":material/barcode_scanner:", key=mine):
        if not barcodes.available():
            st.caption(sentence(f"{barcodes.MISSING[0].upper()}{barcodes.MISSING[1:]}"))
            return
        if st.toggle("Use the camera", key=f"{mine} camera on"):
            taken = f"{mine} camera"
            fill = partial(_fill, key, taken)
            st.camera_input("Hold the barcode before the camera", key=taken, on_change=fill, resolution="1080p")
        chosen = f"{mine} picture"
        st.file_uploader(
            "A picture of the barcode",
            type=[suffix.removeprefix(".") for suffix in SUFFIXES],
            key=chosen,
            on_change=partial(_fill, key, chosen),
        )


def _read(key: str) -> str:
    """The key under which a session counts the barcodes that filled an input."""
    return f"{key} barcodes read"


def _fill(key: str, picture: str) -> None:
    """Put what is read into the text input, before the page runs anew."""
    upload = st.session_state.get(picture)
    if upload is None:
        return
    try:
        number = barcodes.number_on(upload.getvalue(), upload.name)
    except PhotoError as error:
        widgets.say(str(error), ok=False, once=True)
        return
    if number:
        st.session_state[key] = number
        st.session_state[_read(key)] = st.session_state.get(_read(key), 0) + 1
    else:
        widgets.say(NONE_READ, ok=False, once=True)
