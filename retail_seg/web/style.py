"""What the theme's colours cannot say: room for thumbs, and words on what is chosen that can be read."""

from __future__ import annotations

import streamlit as st

#: What is tapped with a thumb is at least 44 pixels high (WCAG 2.5.5); a mouse needs no such room. Streamlit writes the
#: words of a chosen segment or tab in the primary colour, 3.9 and 4.2 to 1 in the dark, and code in a caption faded,
#: 3.2 to 1 in the light; 4.5 are wanted (WCAG 1.4.3). That it is chosen is still seen by its border, ground or line.
STYLE = """<style>@media (pointer: coarse) {
[data-testid=stRadio] label, [data-testid=stCheckbox] label, [data-testid=stButton] button,
[data-testid=stButtonGroup] button, [data-testid=stDownloadButton] button {min-height: 44px}
[data-testid=stButtonGroup] button {min-width: 44px}}
[data-testid=stButtonGroup] button[data-selected=true], [data-testid=stTab][data-selected=true] {
color: inherit !important}
[data-testid=stButtonGroup] button[data-selected=true] p, [data-testid=stTab][data-selected=true] p {font-weight: 600}
[data-testid=stCaptionContainer] code {color: inherit}</style>"""


def apply() -> None:
    """Put the style into the page; it takes no room."""
    st.html(STYLE)
