"""Teach, part 2: outline the things on one photo; every stroke is kept at once."""

from __future__ import annotations

from functools import partial
from typing import Any

import streamlit as st

from retail_seg.teaching import DONE, TaughtPhoto
from retail_seg.teaching.editor import MARKS, MOVE, Hand, Hands
from retail_seg.teaching.view import View, centre_of, colour_of, ids_png, photo_jpeg, window
from retail_seg.web.annotator import annotator, new_marks
from retail_seg.web.shared import may
from retail_seg.web.teach_shared import Workshop, go_to, title_of, trying
from retail_seg.web.text import counted, sentence
from retail_seg.web.widgets import say

#: Tools by the word that Hand knows: a name and what to do with it. All names fit beside each other on a phone.
TOOLS = {
    "box": ("Box", "Draw a box around one thing: its outline is proposed."),
    "click": ("Click", "Click on a thing, then beside it what does not belong to it."),
    "brush": ("Brush", "Paint over what belongs to the thing, or take away what does not."),
    "outline": ("Points", "Set points around the thing; touch a point to take it away. Then fill."),
    "pick": ("Pick", "Touch an outlined thing to work on it."),
    MOVE: ("Move", "Touch where the middle of the picture should be."),
}

#: Streamlit fades what waits for an answer; a picture that somebody is drawing on stays as it is.
_NOT_FADED = "<style>.st-key-teach-canvas [data-stale='true'] { opacity: 1 !important; transition: none; }</style>"
#: In the list of things: the one that the next mark begins.
NEW_THING = 0


def show(shop: Workshop) -> None:
    """The photo in the address, or the first that is not finished."""
    if may("staff"):
        _take_in(shop)
    photos = shop.teaching.photos()
    if not photos:
        st.info("There are no photos yet.", icon=":material/school:")
        st.button("Add photos", on_click=go_to, args=("photos",), icon=":material/add_photo_alternate:", type="primary")
        return
    photo = _chosen(photos)
    if not may("staff"):
        _picture(shop, photo, None)
        return
    key = f"teach-number-{photo.id}"
    if st.session_state.get(key) not in shop.teaching.numbers(photo):
        st.session_state[key] = NEW_THING
    left, right = st.columns([3, 1])
    with right:
        _things(shop, photo)
    with left:
        _picture(shop, photo, _tools(photo))
        _outline_in_work(shop, photo)
        _below(shop, photo)
    with right:
        _done(shop, photo, photos)


def _chosen(photos: list[TaughtPhoto]) -> TaughtPhoto:
    by_id = {photo.id: photo for photo in photos}
    first = next((photo.id for photo in photos if photo.state != DONE), photos[0].id)
    asked = st.query_params.get("photo", first)
    st.session_state["teach-photo"] = asked if asked in by_id else first
    chosen: str = st.selectbox(
        "Photo", list(by_id), format_func=lambda id_: title_of(by_id[id_]), key="teach-photo",
        on_change=lambda: _open(st.session_state["teach-photo"]),
    )  # fmt: skip
    st.query_params["photo"] = chosen
    return by_id[chosen]


def _open(id_: str) -> None:
    go_to("annotate", photo=id_)
    for key in ("teach-zoom", "teach-centre"):
        st.session_state.pop(key, None)


def _take_in(shop: Workshop) -> None:
    """Do what the marks on the picture ask for, before anything is shown."""
    hands = _hands()
    for taken in hands.take(shop.editor, new_marks("teach-picture", hands.done)):
        if taken.problem:
            st.warning(sentence(taken.problem), icon=":material/warning:")
        elif taken.centre:
            st.session_state["teach-centre"] = taken.centre
        else:
            st.session_state[f"teach-number-{taken.photo}"] = taken.number or NEW_THING


def _number(photo: TaughtPhoto) -> int | None:
    """The thing that is worked on, None for a new one."""
    return st.session_state[f"teach-number-{photo.id}"] or None


def _hands() -> Hands:
    hands: Hands = st.session_state.setdefault("teach-hands", Hands())
    return hands


# -- tools -----------------------------------------------------------------------------------------------------------


def _things(shop: Workshop, photo: TaughtPhoto) -> None:
    """Which thing is worked on."""
    key = f"teach-number-{photo.id}"
    number = st.selectbox(
        "Thing", [NEW_THING, *shop.teaching.numbers(photo)], key=key,
        format_func=lambda n: f"number {n}" if n else "a new one",
        help="A stroke belongs to this one. Touching things are different things: give each its own number.",
    )  # fmt: skip

    def zoom() -> None:
        st.session_state["teach-centre"] = centre_of(shop.teaching.labels(photo), number)
        st.session_state["teach-zoom"] = 3

    with st.container(horizontal=True):
        st.button(
            "New", icon=":material/add:", on_click=lambda: st.session_state.update({key: NEW_THING}),
            disabled=not number, help="The next stroke or click begins another thing.",
        )  # fmt: skip
        st.button(
            "Delete", icon=":material/delete:", disabled=not number,
            on_click=trying(lambda: shop.editor.delete(photo.id, number)),
        )  # fmt: skip
        st.button("Zoom to it", icon=":material/zoom_in:", disabled=not number, on_click=zoom)


def _tools(photo: TaughtPhoto) -> Hand:
    """The tool and its settings: the hand that the next mark is drawn with."""
    tools = [tool for tool in TOOLS if tool != MOVE or st.session_state.get("teach-zoom", 1) > 1]
    if st.session_state.get("teach-tool") not in tools:
        st.session_state["teach-tool"] = "box"
    st.segmented_control("Tool", tools, format_func=lambda t: TOOLS[t][0], key="teach-tool", required=True)
    tool: str = st.session_state["teach-tool"]
    st.caption(TOOLS[tool][1])
    with st.container(horizontal=True, vertical_alignment="center"):
        erase = tool in ("brush", "click") and st.toggle(
            "Take away" if tool == "brush" else "Beside the thing", key=f"teach-erase-{tool}"
        )
        by_model = tool == "box" and st.toggle(
            "The model's outline where it has one", key="teach-by-model",
            help="Otherwise, and where the model sees no such thing, the colours decide (GrabCut).",
        )  # fmt: skip
        brush = st.slider("Brush", 1, 20, 4, key="teach-brush", width=150) if tool == "brush" else 4
    zoom = st.session_state.get("teach-zoom", 1)
    view = window(photo.width, photo.height, zoom, st.session_state.get("teach-centre"))
    return Hand(photo.id, tool, view, _number(photo), bool(erase), brush / 100, bool(by_model))


def _below(shop: Workshop, photo: TaughtPhoto) -> None:
    """Below the picture, which stands near its tool: how near it is, and what was done to it."""

    def take_over() -> None:
        count = shop.editor.take_over(photo.id)[1]
        taken = f"{counted(count, 'outline')} taken over; mend what is wrong."
        say(taken if count else "The model sees nothing more here.", once=True)

    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            "Undo", icon=":material/undo:", disabled=not shop.teaching.can_undo(photo),
            on_click=trying(lambda: shop.teaching.undo(photo.id)),
        )  # fmt: skip
        st.button(
            "Redo", icon=":material/redo:", disabled=not shop.teaching.can_redo(photo),
            on_click=trying(lambda: shop.teaching.redo(photo.id)),
        )  # fmt: skip
        st.select_slider("Zoom", [1, 2, 3, 4, 6, 8], key="teach-zoom", format_func="{}×".format, width=110)
        st.button(
            "Take over the model's outlines", icon=":material/auto_awesome:", on_click=trying(take_over),
            help="Where nothing is outlined yet, the model in use gives a start.",
        )  # fmt: skip


# -- the picture -----------------------------------------------------------------------------------------------------


def _picture(shop: Workshop, photo: TaughtPhoto, hand: Hand | None) -> None:
    view = hand.view if hand else window(photo.width, photo.height, 1)
    number = hand.number if hand else None
    things = counted(photo.instances, "outlined thing")
    st.html(_NOT_FADED)
    with st.container(key="teach-canvas"):
        command = annotator(
            "teach-picture",
            photo=_jpeg(shop, photo, view),
            overlay=ids_png(shop.teaching.labels(photo), view, number),
            size=view.size(),
            kind=MARKS[hand.tool] if hand else "",
            context=_hands().number_of(hand) if hand else 0,
            done=_hands().done,
            label=f"{photo.name} with {things}. {TOOLS[hand.tool][1] if hand else ''} Arrow keys move, Enter draws.",
            brush=hand.brush if hand else 0,
            colour=(255, 255, 255) if hand and hand.erase else colour_of(number or 0),
            outline=view.of_photo(photo.outline).tolist() if photo.outline else None,
        )
    if command and hand:
        (shop.teaching.undo if command == "undo" else shop.teaching.redo)(photo.id)
        st.rerun()


def _jpeg(shop: Workshop, photo: TaughtPhoto, view: View) -> bytes:
    return _kept_jpeg(photo.id, view, shop.teaching.picture(photo))


@st.cache_data(max_entries=100, show_spinner=False)
def _kept_jpeg(id_: str, view: View, _picture: Any) -> bytes:
    return photo_jpeg(_picture, view)


def _outline_in_work(shop: Workshop, photo: TaughtPhoto) -> None:
    """What can be done with a polygon, where there is one or its tool is in hand."""
    number = _number(photo)
    if not photo.outline and (st.session_state["teach-tool"] != "outline" or number is None):
        return

    def fill(way: str) -> None:
        made = shop.editor.fill_outline(photo.id, number, way=way)[1]
        st.session_state[f"teach-number-{photo.id}"] = made or NEW_THING

    ways = {"replace": f"Make it number {number}" if number else "Make it a new thing"}
    ways |= {"add": "Add it", "erase": "Take it away"} if number else {}
    with st.container(horizontal=True):
        if not photo.outline:
            st.button(
                "Change its points", icon=":material/polyline:", help="Its outline as points, set anew one by one.",
                on_click=trying(lambda: shop.editor.outline_of(photo.id, number or 0)),
            )  # fmt: skip
            return
        for way, text in ways.items():
            st.button(
                text, key=f"fill-{way}", disabled=len(photo.outline) < 3, icon=":material/format_shapes:",
                on_click=trying(partial(fill, way)),
            )  # fmt: skip
        st.button("Give up", icon=":material/close:", on_click=trying(lambda: shop.editor.drop_outline(photo.id)))


def _done(shop: Workshop, photo: TaughtPhoto, photos: list[TaughtPhoto]) -> None:
    """Whether the photo is finished, and the way to the next."""
    key = f"teach-done-{photo.id}"
    st.session_state[key] = photo.state == DONE
    st.toggle(
        "Every thing is outlined", key=key, disabled=not photo.instances,
        on_change=trying(lambda: shop.teaching.finish(photo.id, st.session_state[key])),
        help="Only finished photos are trained on: what is not outlined on them counts as background.",
    )  # fmt: skip
    waiting = [other for other in photos if other.state != DONE and other.id != photo.id]
    if waiting:
        st.button("Next photo", on_click=_open, args=(waiting[0].id,), icon=":material/arrow_forward:")
    else:
        st.button("To the training", on_click=go_to, args=("train",), icon=":material/model_training:")
    with st.popover("Remove the photo", icon=":material/delete:"):
        st.write("The photo and its outlines leave the annotation set. This cannot be undone.")
        st.button("Remove it", type="primary", on_click=trying(lambda: _remove(shop, photo)))


def _remove(shop: Workshop, photo: TaughtPhoto) -> None:
    shop.teaching.remove(photo.id)
    say(f"{photo.name} was removed.", once=True)
    go_to("photos")
