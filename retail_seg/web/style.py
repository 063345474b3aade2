"""What the theme's colours cannot say: room for thumbs, and words on a chosen segment that can be read."""

from __future__ import annotations

import streamlit as st

#: What is tapped with a thumb is at least 44 pixels high (WCAG 2.5.5); a mouse needs no such room. Streamlit writes the
#: words of what is chosen in the primary colour, on a tint of it: 4.3 to 1 in the dark, where 4.5 are wanted (1.4.3).
STYLE = """<style>@media (pointer: coarse) {
[data-testid=stRadio] label, [data-testid=stCheckbox] label, [data-testid=stButton] button,
[data-testid=stButtonGroup] button, [data-testid=stDownloadButton] button {min-height: 44px}
[data-testid=stButtonGroup] button {min-width: 44px}}
button[kind=segmented_controlActive], button[kind=pillsActive] {color: inherit !important}
button[kind=segmented_controlActive] p, button[kind=pillsActive] p {font-weight: 600}</style>"""


def apply() -> None:
    """Put the style into the page; it takes no room."""
    st.html(STYLE)
