"""The picture that people draw on: strokes, boxes and points, by mouse, pen, finger or keyboard.

Tried on Streamlit 1.67 in Chromium, with a mouse at 1440 px and with touch at 390 px, before this was chosen:

- streamlit-image-coordinates 0.4.1 gives clicks, and the two ends of a drag of the mouse. A finger's drag gives
  nothing (it listens to mouse events only), nothing is seen of a box while it is drawn, and a stroke is no more than
  its two ends. Right for picking a thing on a picture, not for outlining one.
- streamlit-drawable-canvas 0.13.0 draws well with mouse and finger. But its picture has a fixed size in pixels, which
  the server has to know before the page is laid out (390 or 1440 px?); drawn strokes stay over the picture, or go with
  a new mount that also drops the stroke in hand; and its own undo, edit and delete, which cannot be hidden, know
  nothing of the edits kept on disk. No keyboard. 412 KB of script.

So this is a component on Streamlit's own interface for them (`st.components.v2`), without a build and without a
package: it fills its column, sends each mark once, keeps it on the picture until the answer is there, and works with
arrow keys and Enter. What a mark means is not its business.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st

_HTML = """<div class="annotator">
<div class="stage" tabindex="0" role="application">
<img class="photo" alt=""><img class="overlay" alt=""><canvas class="marks"></canvas>
</div><div class="said" role="status" aria-live="polite"></div></div>"""


@dataclass(frozen=True)
class Mark:
    """What was drawn: `kind` is "stroke", "box" or "point"; points are shares (x, y) of the picture's sides.

    `context` is what `annotator` was given when the drawing began; `number` grows with each mark.
    """

    number: int
    kind: str
    context: int
    points: list[tuple[float, float]]


def annotator(
    key: str,
    *,
    photo: bytes,
    overlay: bytes,
    size: tuple[int, int],
    kind: str,
    context: int,
    done: int,
    label: str,
    brush: float = 0.0,
    colour: tuple[int, int, int] = (255, 255, 255),
    outline: list[list[float]] | None = None,
) -> str | None:
    """Show a JPEG with a PNG over it, and take marks of one kind ("" takes none); returns "undo" or "redo", or None.

    `size` is width and height in pixels, `brush` the width of a stroke as a share of the picture's, `done` the number
    of the last mark that was dealt with, `label` what a screen reader says, `outline` a polygon in shares.
    """
    data = {
        "photo": _url(photo, "jpeg"), "overlay": _url(overlay, "png"), "width": size[0], "height": size[1],
        "kind": kind, "context": context, "done": done, "label": label, "brush": brush,
        "colour": "rgb({}, {}, {})".format(*colour), "outline": outline or [],
    }  # fmt: skip
    result = _component()(key=key, data=data, on_marks_change=_heard, on_command_change=_heard)
    return str(result.command) if result.command else None


def new_marks(key: str, done: int) -> list[Mark]:
    """The marks that came in with this run of the script and have a larger number than `done`, in their order."""
    state: Any = st.session_state.get(key)
    raw = state.get("marks") if state else None
    marks = [mark for mark in map(_mark, raw if isinstance(raw, list) else []) if mark and mark.number > done]
    return sorted(marks, key=lambda mark: mark.number)


def _mark(raw: Any) -> Mark | None:
    """A mark as the browser sent it; None where it is none (whatever a browser sends must not break the page)."""
    try:
        points = [(float(x), float(y)) for x, y in raw["points"]][:20000]
        mark = Mark(int(raw["n"]), str(raw["kind"]), int(raw["context"]), points)
    except (KeyError, TypeError, ValueError):
        return None
    inside = all(0 <= x <= 1 and 0 <= y <= 1 for x, y in points)
    return mark if inside and points and (mark.kind != "box" or len(points) == 2) else None


def _heard() -> None:
    """A component needs a callback for what it may send; the page reads it when it runs."""


@cache
def _component() -> Any:
    folder = Path(__file__).parent
    js, css = (folder.joinpath(f"annotator.{kind}").read_text(encoding="utf-8") for kind in ("js", "css"))
    return st.components.v2.component("retail-seg-annotator", html=_HTML, css=css, js=js)


def _url(data: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
