"""Shelves: photos held against plans, tasks that come of it, the plans themselves, figures over time."""

from __future__ import annotations

from functools import partial
from typing import Any

import streamlit as st

from retail_seg.matcher import Matcher
from retail_seg.photos.load import SUFFIXES
from retail_seg.scans.review import MAX_PHOTO_MB
from retail_seg.shelf import keeping, photographed, planning
from retail_seg.shelf.causes import ProductStock
from retail_seg.shelf.photographed import MAX_PHOTOS, PhotoCheck
from retail_seg.system.jobs import Job
from retail_seg.web import shelf_check, shelf_figures, shelf_plans, shelf_tasks, widgets
from retail_seg.web.shared import errors_as_sentences, jobs, matcher, may, person, store_folder
from retail_seg.web.text import counted, plain, sentence

#: The kind of the jobs that check photos.
CHECK = "shelf-check"
#: Checks on one page of the list.
SIZE = 10


def page() -> None:
    """One of four parts (`?part=`), or the check that the address names (`?check=`)."""
    st.title("Shelves")
    with errors_as_sentences():
        found = matcher(store_folder())
    widgets.show_notices()
    if st.query_params.get("check"):
        shelf_check.page(found, st.query_params["check"])
        return
    PARTS[_part()][1](found)


def _check(found: Matcher) -> None:
    """A form for photos, the check that is running, and the checks that were made."""
    plans = planning.list_plans(found)
    if not plans:
        st.info(
            "A check needs a plan of what should stand on a fixture. Keep one under **Plans**: a file, or a scan of "
            "the full shelf.",
            icon=":material/view_module:",
        )
    job = widgets.asked_job(CHECK)
    if job is not None and job.running:
        widgets.watch(job)
    elif not may("staff"):
        st.info(f"You are {plain(person().role)}: you can look at checks, staff can make them.", icon=":material/lock:")
    elif plans:
        _ask(found, [plan.name for plan in plans])
    if job is not None:
        _ended(job)
    _list(found)


def _ask(found: Matcher, names: list[str]) -> None:
    name = st.selectbox("Plan", names, key="shelf_plan", persist_state="session")
    mark = st.session_state.get("shelf_asked", 0)  # another number makes other inputs, which are empty
    photos: list[Any] = list(
        st.file_uploader(
            "Photos of this fixture",
            type=[suffix.removeprefix(".") for suffix in SUFFIXES],
            accept_multiple_files=True,
            max_upload_size=MAX_PHOTO_MB,
            key=f"shelf_photos_{mark}",
            help=f"Up to {MAX_PHOTOS} that overlap; each place counts once. On a phone this offers the camera, too.",
        )
        or []
    )
    if st.toggle("Use this device's camera", key="shelf_camera"):
        taken = st.camera_input("Take a photo", label_visibility="collapsed", key=f"shelf_shot_{mark}")
        photos += [taken] if taken is not None else []
    with st.expander("Stock and deliveries", icon=":material/local_shipping:"):
        stock = st.file_uploader(
            "CSV or JSON: sku, on_hand, backroom, due, listed, sold_since, price, rate, hours",
            type=["csv", "tsv", "json", "jsonl"],
            key=f"shelf_stock_{mark}",
            help="With it each finding gets its likely cause, what to do, and what it costs.",
        )
    labels = st.toggle(
        "Read price labels", key="shelf_labels", persist_state="session",
        help="Finds labels above which nothing stands, products without one, and prices that are not the list's.",
    )  # fmt: skip
    label = f"Check {counted(len(photos), 'photo')}" if photos else "Check"
    if st.button(label, type="primary", icon=":material/fact_check:", disabled=not photos):
        _start(found, name, [(photo.name, photo.getvalue()) for photo in photos], _stock_of(stock), labels)


def _stock_of(upload: Any) -> dict[str, ProductStock]:
    """What a stock file says; its bad lines are said on the next run."""
    if upload is None:
        return {}
    with errors_as_sentences():
        read = photographed.receive_stock(upload.name, upload.getvalue())
    for problem in read.problems[:20]:
        widgets.say(problem, ok=False, once=True)
    return dict(read.products)


def _start(
    found: Matcher, plan: str, photos: list[tuple[str, bytes]], stock: dict[str, ProductStock], labels: bool
) -> None:
    st.session_state["shelf_asked"] = st.session_state.get("shelf_asked", 0) + 1
    job = jobs().start(CHECK, f"Check of {plan}", partial(_work, found, photos, plan, stock, labels), by=person().name)
    job.wait(1.0)
    widgets.open_job(job)


def _work(
    found: Matcher, photos: list[tuple[str, bytes]], plan: str, stock: dict[str, ProductStock], labels: bool, job: Job
) -> PhotoCheck:
    return photographed.check_photos_of(found, photos, plan, job.report, stock=stock, labels=labels)


def _ended(job: Job) -> None:
    """What came of a job: the check in the page's place, or why there is none."""
    widgets.failure(job)
    result: PhotoCheck | None = job.result
    if job.running or result is None:
        return
    if result.saved is None:
        for problem in result.failed:
            st.error(sentence(problem), icon=":material/broken_image:")
        return
    for problem in result.failed:
        widgets.say(problem, ok=False, once=True)
    if result.saved.mended:
        widgets.say(f"{counted(len(result.saved.mended), 'task')} mended, as these photos show.", once=True)
    del st.query_params["job"]
    st.query_params["check"] = str(result.saved.id)
    st.rerun()


def _list(found: Matcher) -> None:
    total = photographed.count_checks(found)
    if not total:
        return
    st.subheader("Checks")
    rows = st.container(gap="small")
    start = widgets.pages(total, SIZE, "shelf_checks_page")
    with rows:
        for one in keeping.list_checks(found, offset=start, limit=SIZE):
            with st.container(border=True, horizontal=True, vertical_alignment="center"):
                st.markdown(shelf_check.headline(one))
                if st.button(
                    "Open", key=f"check_{one.id}", help=f"Open check {one.id}", icon=":material/open_in_full:"
                ):
                    st.query_params["check"] = str(one.id)
                    st.rerun()


#: Part of the page ► its label and what shows it.
PARTS = {
    "check": ("Check", _check),
    "tasks": ("Tasks", shelf_tasks.show),
    "plans": ("Plans", shelf_plans.show),
    "figures": ("Figures", shelf_figures.show),
}


def _part() -> str:
    """The part that the address names; choosing another one changes the address."""
    named = st.query_params.get("part", "")
    named = named if named in PARTS else "check"
    if st.session_state.get("shelf_part_of") != named or "shelf_part" not in st.session_state:
        st.session_state["shelf_part_of"] = st.session_state["shelf_part"] = named
    chosen = st.segmented_control(
        "Part", list(PARTS), format_func=lambda name: PARTS[name][0], key="shelf_part", required=True,
        label_visibility="collapsed",
    )  # fmt: skip
    if chosen != named:
        st.session_state["shelf_part_of"] = chosen
        st.query_params.clear()
        st.query_params["part"] = str(chosen)
    return str(chosen)
