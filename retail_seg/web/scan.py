"""Scan: photos from files or the camera; checked, matched and kept in the background; then looked at and mended."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import streamlit as st

from retail_seg.matcher import Matcher
from retail_seg.photos.load import SUFFIXES
from retail_seg.products import browsing
from retail_seg.scans.review import MAX_PHOTO_MB, MAX_PHOTOS, ScanBatch, open_reviews, scan_number, scan_photos
from retail_seg.system.jobs import Job, Jobs
from retail_seg.web import scan_result, widgets
from retail_seg.web.shared import errors_as_sentences, jobs, matcher, may, person, store_folder
from retail_seg.web.text import plain, sentence

#: So many bytes of photos that were held back wait for "Scan anyway", those of all visitors together.
HELD_BYTES = 256 * 2**20


def page() -> None:
    """The page: photos, progress per stage, then each photo's counts, picture and what can be mended in it."""
    st.title("What is in the photo?")
    with errors_as_sentences():
        found = matcher(store_folder())
    if browsing.is_empty(found):
        st.info(
            "This store has no products yet. Name what stands on your shelves under **From shelves**, or add products "
            "under **Import** or **Products** (or with `retail-seg import products.csv`), then come back.",
            icon=":material/inventory_2:",
        )
    if may("staff"):
        _only(found)
        _start(found, _new_photos())
    else:
        st.info(f"You are {plain(person().role)}: you can look at scans, staff can make them.", icon=":material/lock:")
    job = jobs().get(st.query_params.get("job", ""))
    if job is not None:
        _follow(found, job)
    _results(found)


def _only(found: Matcher) -> None:
    """The choice of a category, before photos are given: they are scanned as soon as they are there."""
    known = browsing.categories(found)
    if known:
        st.selectbox(
            "Only what can be there", known, index=None, placeholder="The whole catalogue",
            key="only", help="A category, where the photos show no other: names are then chosen among its products.",
        )  # fmt: skip


def _new_photos() -> list[Any]:
    """What was uploaded or taken since the last run of the script; nothing is scanned twice."""
    uploads = st.file_uploader(
        "Photos of a shelf, a fridge or a table",
        type=[suffix.removeprefix(".") for suffix in SUFFIXES],
        accept_multiple_files=True,
        max_upload_size=MAX_PHOTO_MB,
        help=f"JPEG, PNG, WebP, TIFF, BMP or HEIC; up to {MAX_PHOTOS} at once, each up to {MAX_PHOTO_MB} MB.",
    )
    photos = list(uploads or [])
    if st.toggle(
        "Use this device's camera", key="camera on", help="Asks for the camera; the photo stays in the store."
    ):
        taken = st.camera_input("Take a photo", label_visibility="collapsed", resolution="1080p")
        photos += [taken] if taken is not None else []
    seen: set[str] = st.session_state.setdefault("seen uploads", set())
    new = [photo for photo in photos if photo.file_id not in seen]
    seen.update(photo.file_id for photo in new)
    if not photos and "scan" not in st.query_params and "job" not in st.query_params:
        st.caption(
            f"Upload one photo or up to {MAX_PHOTOS}; each is kept under **Scans** as soon as it is scanned. "
            "On a phone, the upload also offers the camera, in its full size."
        )
    return new


def _start(found: Matcher, photos: list[Any]) -> None:
    if photos:
        _scan(found, [(photo.name, photo.getvalue()) for photo in photos], force=False)


def _scan(found: Matcher, photos: list[tuple[str, bytes]], *, force: bool) -> None:
    """Scan photos in the background; the address names the job, so that a reload finds it again."""
    category = st.session_state.get("only")

    def work(job: Job) -> ScanBatch:
        def finished(so_far: ScanBatch) -> None:
            job.result = so_far

        only = [f"category={category}"] if category else []
        return scan_photos(found, photos, job.report, force=force, only=only, finished=finished)

    release(jobs())
    job = jobs().start("scan", "Scan", work, by=person().name)
    st.query_params["job"] = job.id
    if not force and "scan" in st.query_params:
        del st.query_params["scan"]


def release(all_jobs: Jobs) -> None:
    """Let go of photos that ended scans held back, the oldest first, but for the newest HELD_BYTES of them."""
    room = HELD_BYTES
    for job in all_jobs.ended("scan"):
        result = job.result
        if not isinstance(result, ScanBatch) or not result.held:
            continue
        room -= sum(len(held.data) for held in result.held)
        if room < 0:
            job.result = replace(result, held=tuple(replace(held, data=b"") for held in result.held))


def _follow(found: Matcher, job: Job) -> None:
    """Progress while a job runs; what came of it when it has ended."""
    if job.running:
        widgets.watch(job)
    widgets.failure(job)
    result: ScanBatch = job.result or ScanBatch()
    known = st.query_params.get("scan", "").split(",")
    new = [str(scan) for scan in result.done if str(scan) not in known]
    if new:
        st.query_params["scan"] = ",".join([*reversed(new), *filter(None, known)])
    for problem in result.failed:
        st.error(sentence(problem), icon=":material/broken_image:")
    if result.held and not job.running:
        _held(found, result)


def _held(found: Matcher, result: ScanBatch) -> None:
    """The photos that were not matched, why, and what to do: better ones, or these all the same."""
    for held in result.held:
        with st.container(border=True, horizontal=True):
            st.image(held.preview, width=120, alt=f"Photo {held.name}")
            st.markdown(f"**{plain(held.name)}** was not scanned yet.")
            for one in held.advice:
                st.warning(sentence(one.text), icon=":material/photo_camera:")
    if not all(held.data for held in result.held):
        st.caption("These photos are no longer kept here; take them again, or upload them again.")
        return
    st.caption("Take the photo again and upload it, or go on with what there is.")
    if st.button("Scan anyway", icon=":material/play_arrow:", type="primary"):
        _scan(found, [(held.name, held.data) for held in result.held], force=True)
        st.rerun()


def _results(found: Matcher) -> None:
    """The scans that the address names: totals over all of them, and one of them in full."""
    numbers = [n for n in map(scan_number, st.query_params.get("scan", "").split(",")) if n is not None]
    if not numbers:
        return
    with errors_as_sentences():
        reviews = open_reviews(found, numbers[:MAX_PHOTOS])
    if len(reviews) > 1:
        scan_result.totals(reviews)
        names = {review.scan.id: f"{review.scan.image} (scan {review.scan.id})" for review in reviews}
        chosen = st.selectbox("Photo", list(names), format_func=names.__getitem__)
        reviews = [review for review in reviews if review.scan.id == chosen]
    scan_result.show(found, reviews[0])
