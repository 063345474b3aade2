"""Teach, part 1: the photos of the annotation set; add some, import annotations, see which one to annotate next."""

from __future__ import annotations

import streamlit as st

from retail_seg.people.roles import acting
from retail_seg.photos.load import SUFFIXES, encode_picture, load_photo
from retail_seg.segmentation.annotations import FORMATS, title
from retail_seg.system.jobs import Job
from retail_seg.teaching import DONE, TaughtPhoto
from retail_seg.teaching.imports import Imported, import_annotations
from retail_seg.teaching.judging import known_suggestions, suggest
from retail_seg.teaching.trainings import FEWEST
from retail_seg.web.shared import errors_as_sentences, jobs, may
from retail_seg.web.teach_shared import SIGNS, STATES, Workshop, go_to, job_shown, state_of
from retail_seg.web.text import counted, plain
from retail_seg.web.widgets import pages, say

#: Photos on a page of the list, and the longer side of their thumbnails in pixels.
SHOWN, THUMBNAIL = 24, 320


def show(shop: Workshop) -> None:
    """The list with what can be done to it."""
    photos = shop.teaching.photos()
    done = sum(photo.state == DONE for photo in photos)
    if not photos:
        st.info(
            f"Nothing here yet. Add {FEWEST} photos or more of the things that the model gets wrong: touching packs, "
            "your own shelf, your light. Outline every thing on them, then train.",
            icon=":material/school:",
        )
    else:
        more = f"; {FEWEST - done} more and you can train" if done < FEWEST else "; enough to train"
        st.write(f"**{counted(len(photos), 'photo')}**, **{done}** finished{more}.")
    if may("staff"):
        _upload(shop)
        _import(shop)
    if photos:
        if may("staff"):
            _suggestions(shop, photos)
        _list(photos, shop)


def _upload(shop: Workshop) -> None:
    round_ = st.session_state.setdefault("teach-upload-round", 0)
    uploads = st.file_uploader(
        "Add photos", type=[suffix.removeprefix(".") for suffix in SUFFIXES], accept_multiple_files=True,
        key=f"teach-upload-{round_}",
        help="JPEG, PNG, WebP, TIFF, BMP or HEIC; up to 100 megapixels each. They stay in this store.",
    )  # fmt: skip
    if not uploads:
        return
    added = shop.teaching.add([(upload.name, upload.getvalue()) for upload in uploads])
    for problem in added.problems:
        say(problem, ok=False, once=True)
    fresh = len(uploads) - len(added.problems) - added.known
    told = [f"{counted(fresh, 'photo')} added"] if fresh else []
    if added.known:
        told.append(f"{counted(added.known, 'photo')} {'was' if added.known == 1 else 'were'} here already")
    if told:
        say("; ".join(told) + ".", once=True)
    st.session_state["teach-upload-round"] = round_ + 1
    st.rerun()


def _import(shop: Workshop) -> None:
    with st.expander("Import annotations made elsewhere", icon=":material/upload_file:"):
        st.caption(
            "A zip with the photos and their annotations: " + ", ".join(title(name) for name in FORMATS) + ". "
            "Photos that are in the list below need not be in the zip; they are found by name."
        )
        round_ = st.session_state.setdefault("teach-zip-round", 0)
        upload = st.file_uploader("Zip of annotations", type=["zip"], key=f"teach-zip-{round_}")
        if upload and st.button("Import", icon=":material/download:", type="primary"):
            data, teaching = upload.getvalue(), shop.teaching
            with errors_as_sentences():
                jobs().start(
                    "annotations", f"Import of {upload.name}",
                    lambda job: import_annotations(teaching, data, job.report), by=acting().name, alone=True,
                )  # fmt: skip
            st.session_state["teach-zip-round"] = round_ + 1
            st.rerun()
    job_shown("annotations", _imported)


def _imported(job: Job) -> None:
    found: Imported = job.result
    photos, things = counted(len(found.photos), "photo"), counted(found.instances, "thing")
    st.success(f"{photos} with {things} came from {found.format}.", icon=":material/check:")
    for icon, lines in ((":material/warning:", found.problems), (":material/info:", found.notes)):
        if lines:
            st.warning("  \n".join(plain(line) for line in lines[:20]), icon=icon)


def _suggestions(shop: Workshop, photos: list[TaughtPhoto]) -> None:
    waiting = [photo for photo in photos if not photo.instances]
    if not waiting:
        return
    found = known_suggestions(shop.teaching, shop.segmenter().fingerprint)
    st.subheader("Which one next?")
    if found:
        st.caption("The photos that the model in use is least sure of teach it most.")
        with st.container(horizontal=True):
            for one in found[:3]:
                st.button(
                    f"{plain(one.photo.name)} · unsure {one.uncertainty:.2f}", key=f"next-{one.photo.id}",
                    on_click=go_to, args=("annotate",), kwargs={"photo": one.photo.id}, icon=":material/edit:",
                )  # fmt: skip
    busy = job_shown("suggest", lambda job: st.rerun())
    if may("staff") and not busy and len(found) < len(waiting):
        text = f"Ask the model about {counted(len(waiting) - len(found), 'photo')}"
        if st.button(text, icon=":material/psychology:", help="About a second a photo."):
            model = shop.segmenter()
            jobs().start("suggest", "Which photo next", lambda job: suggest(shop.teaching, model, job.report))
            st.rerun()


def _list(photos: list[TaughtPhoto], shop: Workshop) -> None:
    st.subheader("Photos")
    wanted = st.pills("Show", list(STATES), format_func=lambda s: f"{SIGNS[s]} {STATES[s]}", key="teach-filter")
    shown = [photo for photo in photos if wanted in (None, photo.state)][::-1]
    cards = st.container(horizontal=True)
    start = pages(len(shown), SHOWN, f"teach-page-{wanted}")
    with cards:
        for photo in shown[start : start + SHOWN]:
            _card(photo, shop)
    if not shown:
        st.caption("No photo is in this state.")


def _card(photo: TaughtPhoto, shop: Workshop) -> None:
    with st.container(border=True, width=168):
        st.image(_thumbnail(str(shop.teaching.path(photo)), photo.id), caption=plain(photo.name))
        st.caption(f"{SIGNS[photo.state]} {state_of(photo)}")
        label = "Look" if not may("staff") else "Annotate" if photo.state != DONE else "Change"
        st.button(
            label, key=f"open-{photo.id}", on_click=go_to, args=("annotate",), kwargs={"photo": photo.id},
            icon=":material/edit:", width="stretch",
        )  # fmt: skip


@st.cache_data(max_entries=500, show_spinner=False)
def _thumbnail(path: str, id_: str) -> bytes:
    return encode_picture(load_photo(path, max_side=THUMBNAIL), quality=80)
