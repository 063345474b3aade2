"""The picture that people draw on: strokes, boxes and points, by mouse, pen, finger or keyboard.

Both packages were tried on Streamlit 1.67 in headless Chromium, with a mouse at 1440 px and with touch at 390 px:

- streamlit-image-coordinates 0.4.1 fits its column. The mouse's click comes as a point (where the button was let go),
  with `click_and_drag` its drag as two ends, both after the release: a stroke is its ends, and nothing is seen while
  a box is drawn. A finger's drag gives nothing in either way of working, a tap a point. Right for picking a thing on a
  picture, as the scan pages do; not for outlining one.
- streamlit-drawable-canvas 0.13.0 draws what is being drawn: strokes by mouse and finger, boxes by mouse; a finger's
  box gave nothing. Its picture has a fixed size in pixels, which the server must know before the page is laid out: one
  of 600 px is cut off at the right of a phone. What was drawn is gone after a reload, or stays over the outline that it
  has become; and its own undo, edit and delete know nothing of the edits kept on disk. 413 KB of script.

So this is a component on Streamlit's own interface for them (`st.components.v2`), without a build and without a
package: it fills its column, sends each mark once, keeps it on the picture until the answer is there, and works with
arrow keys and Enter. No mark waits for the answer to the one before. What a mark means is not its business.
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
    """What was drawn: `kind` is "stroke", "box", "reshape" or "point"; points are shares (x, y) of the picture's sides.

    The kinds "undo" and "redo" are their keys, whose point says nothing.

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
    selected: list[list[float]] | None = None,
    proposals: list[list[list[float]]] | None = None,
    ignore: bool = False,
) -> str | None:
    """Show a JPEG with a PNG over it, and take marks of one kind ("" takes none); returns a command, or None.

    The kinds are "stroke", "box", "point" and "boxes", with which a drag is a "box", a tap a "point", and a drag of a
    handle of `selected` (two corners) a "reshape". Commands are "delete" and "boxes", by their keys.
    `size` is width and height in pixels, `brush` the width of a stroke as a share of the picture's, `done` the number
    of the last mark that was dealt with, `label` what a screen reader says, `outline` a polygon in shares,
    `proposals` are polygons drawn with dashes. With `ignore` boxes are filled with grey while they are drawn.
    """
    data = {
        "photo": _url(photo, "jpeg"), "overlay": _url(overlay, "png"), "width": size[0], "height": size[1],
        "kind": kind, "context": context, "done": done, "label": label, "brush": brush,
        "colour": "rgb({}, {}, {})".format(*colour), "outline": outline or [],
        "selected": selected, "proposals": proposals or [], "ignore": ignore,
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
    return mark if inside and points and (mark.kind not in ("box", "reshape") or len(points) == 2) else None


def _heard() -> None:
    """A component needs a callback for what it may send; the page reads it when it runs."""


@cache
def _component() -> Any:
    folder = Path(__file__).parent
    js, css = (folder.joinpath(f"annotator.{kind}").read_text(encoding="utf-8") for kind in ("js", "css"))
    return st.components.v2.component("retail-seg-annotator", html=_HTML, css=css, js=js)


def _url(data: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
