"""Scan: photos in; outlines, counts and unknowns out."""

from __future__ import annotations

import hashlib
import io
from typing import Any

import numpy as np
import streamlit as st

from retail_seg.errors import PhotoError
from retail_seg.matcher import Matcher
from retail_seg.photos import SUFFIXES, load_photo, shrink
from retail_seg.report import Report, ReportLine, count_rows, write_counts_csv
from retail_seg.web.shared import errors_as_sentences, matcher, store_folder

#: Scans kept in a visitor's session, so that a rerun of the script scans nothing twice.
KEPT = 50
#: Longer side, in pixels, of an overlay as the browser gets it.
SHOWN_SIDE = 1600


def page() -> None:
    """The page: upload, progress, then each photo with its counts, and the downloads."""
    st.title("What is in the photo?")
    with errors_as_sentences():
        found = matcher(store_folder())
    if not found.catalogue.count_products():
        st.info(
            "This store has no products yet. Add some with `retail-seg import products.csv` or "
            "`retail-seg add SKU PICTURE…`, then come back.",
            icon=":material/inventory_2:",
        )
    uploads = st.file_uploader(
        "Photos of a shelf, a fridge or a table",
        type=[suffix.removeprefix(".") for suffix in SUFFIXES],
        accept_multiple_files=True,
        help="JPEG, PNG, WebP, TIFF, BMP or HEIC, up to 100 megapixels.",
    )
    if not uploads:
        st.caption("Upload one photo or several; each is scanned in about a second or two.")
        return
    scans = _scan_all(found, uploads)
    _downloads([report for report, _ in scans])
    for report, picture in scans:
        _show(report, picture, found)


def _scan_all(found: Matcher, uploads: list[Any]) -> list[tuple[Report, np.ndarray]]:
    """Scan what this session has not scanned yet, with progress; a photo that fails is a sentence."""
    kept: dict[str, tuple[Report, np.ndarray]] = st.session_state.setdefault("scans", {})
    scans = []
    bar = st.progress(0.0, text="Scanning …")
    for n, upload in enumerate(uploads):
        bar.progress(n / len(uploads), text=f"Scanning {upload.name} ({n + 1} of {len(uploads)}) …")
        data = upload.getvalue()
        key = f"{hashlib.sha256(data).hexdigest()}:{upload.name}:{found.revision}"
        if key not in kept:
            try:
                photo = load_photo(data, name=upload.name)
            except PhotoError as error:
                st.error(str(error), icon=":material/broken_image:")
                continue
            with errors_as_sentences():
                report = found.scan(photo, name=upload.name)
            kept[key] = (report, shrink(report.overlay(photo), SHOWN_SIDE))
            while len(kept) > KEPT:
                kept.pop(next(iter(kept)))
        scans.append(kept[key])
    bar.empty()
    return scans


def _downloads(reports: list[Report]) -> None:
    table = io.StringIO()
    write_counts_csv(reports, table)
    lines = "".join(report.to_json() + "\n" for report in reports)
    left, right, _ = st.columns([1, 1, 3])
    left.download_button(
        "Counts (CSV)", table.getvalue(), "counts.csv", "text/csv", icon=":material/download:", width="stretch"
    )
    right.download_button(
        "Everything (JSON)", lines, "scans.jsonl", "application/x-ndjson", icon=":material/download:", width="stretch"
    )


def _show(report: Report, picture: np.ndarray, found: Matcher) -> None:
    st.subheader(report.image)
    left, right = st.columns([3, 2])
    left.image(picture, width="stretch", caption=f"{report.image}: every instance, outlined, numbered and named")
    known = sum(report.counts.values())
    with right:
        with st.container(horizontal=True):
            st.metric("Products known", known)
            st.metric("Different SKUs", len(report.counts))
            st.metric("Unknown", report.unknown)
        rows = [{"Count": n, "Product": name, "SKU": sku or "—"} for _, sku, name, n in count_rows(report)]
        if rows:
            st.dataframe(rows, width="stretch", hide_index=True)
        else:
            st.info("Nothing was found in this photo. Is it sharp, bright and of products on a plain background?")
        _unknowns(report, found)


def _unknowns(report: Report, found: Matcher) -> None:
    lines = [line for line in report.instances if line.decision == "unknown"]
    if not lines:
        return
    st.markdown(f"**Unknown ({len(lines)})**: not in the catalogue, or not sure enough")
    for line in lines:
        st.markdown(f"- number {line.id}: {_nearest(line)}")


def _nearest(line: ReportLine) -> str:
    if not line.matches:
        return "the catalogue is empty"
    best = line.matches[0]
    name = f"{best.name} ({best.sku})" if best.name and best.name != best.sku else best.sku
    return f"nearest is {name}, score {best.score:.2f}, not taken"
