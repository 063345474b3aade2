"""One kept scan on a page: counts, the picture to look into and click on, a list of what was found, downloads."""

from __future__ import annotations

import json
from collections.abc import Sequence

import streamlit as st
from streamlit_image_coordinates import streamlit_image_coordinates

from retail_seg.matcher import Matcher
from retail_seg.report import CountRow, Expected, ReportLine, count_rows, total_rows
from retail_seg.scans.review import Review, as_json, counts_csv, json_lines, overlay_jpeg, photo_of
from retail_seg.scans.view import ZOOMS, Window, draw_view, pick
from retail_seg.web import scan_fix
from retail_seg.web.text import plain, sentence

#: How sure a product is, as a sign that is read without colours.
SIGNS = {"sure": "✓", "likely": "~", "unknown": "?"}


def totals(reviews: Sequence[Review]) -> None:
    """The counts of several scans together, with downloads."""
    st.subheader(f"All {len(reviews)} photos")
    _table(total_rows([review.report for review in reviews]))
    with st.container(horizontal=True):
        _download("Counts (CSV)", counts_csv(reviews), "counts.csv", "text/csv")
        _download("Everything (JSON)", json_lines(reviews), "scans.jsonl", "application/x-ndjson")


def show(found: Matcher, review: Review) -> None:
    """A scan: the count first, where a phone shows it, then the picture, then what can be mended."""
    scan = review.scan
    st.subheader(plain(scan.image))
    by = f" by {plain(scan.by)}" if scan.by else ""
    address = f"/scans?scan={scan.id}"
    st.caption(f"Scan {scan.id}, {scan.at[:16].replace('T', ' ')} UTC{by}, kept at [{address}]({address})")
    _metrics(review)
    if review.only:
        st.caption(f"Names were chosen among {plain(review.only)}")
    for advice in review.advice:
        st.warning(sentence(advice), icon=":material/photo_camera:")
    scan_fix.last_change(found, review)
    if not review.report.instances:
        st.info("Nothing was found in this photo. Is it sharp, bright and of products on a plain background?")
    left, right = st.columns([5, 4], gap="medium")
    with left:
        _picture(found, review)
    with right:
        number = _chooser(review)
        if number is not None:
            scan_fix.panel(found, review, number)
        _table(count_rows(review.report))
    scan_fix.history(found, review)
    _downloads(found, review)


def _metrics(review: Review) -> None:
    how = review.totals
    with st.container(horizontal=True, gap="medium"):
        st.metric("Answered", f"{review.report.answered:.0%}", width="content")
        for kind, sign in SIGNS.items():
            st.metric(f"{sign} {kind}", how[kind], width="content")


def _table(rows: Sequence[CountRow]) -> None:
    """How many of each product: surely, likely beside those, and to be expected with the range of 80 %."""
    shown = [
        {"Sure": row.count, "Likely": row.likely, "Expected": _range(row.expected), "Product": row.name, "SKU": row.sku}
        for row in rows
        if row.sku
    ]
    if shown:
        st.dataframe(shown, width="stretch", hide_index=True)
    unknown = sum(row.count for row in rows if not row.sku)
    if unknown:
        st.caption(f"{unknown} more unknown: neither sure nor likely to be a product of the catalogue.")


def _range(expected: Expected | None) -> str:
    """What is expected as people say it: one number, or from where to where."""
    if expected is None:
        return ""
    low, high = expected.low, expected.high
    return f"{expected.value:.1f}" if low == high else f"{expected.value:.1f} ({low}–{high})"


def _picked(review: Review) -> int | None:
    """The instance that is looked at: what was picked, while it is there."""
    number = st.session_state.get(f"pick {review.scan.id}")
    return number if number is not None and review.line(number) is not None else None


def _picture(found: Matcher, review: Review) -> None:
    """The photo with outlines, to zoom into; a click picks an instance and, zoomed in, moves the view there."""
    id_ = review.scan.id
    with st.container(horizontal=True, vertical_alignment="bottom"):
        zoom = st.segmented_control("Zoom", ZOOMS, default=1, format_func=lambda z: f"{z}×", key=f"zoom {id_}") or 1
        names = st.toggle("Names", value=True, key=f"names {id_}")
    _take_click(review, zoom)
    photo = photo_of(found, review.scan)
    picture = draw_view(
        photo, review.report, review.certainty, _view(review, zoom), picked=_picked(review), names=names
    )
    streamlit_image_coordinates(
        picture, key=f"picture {id_}", width="stretch", image_format="JPEG", jpeg_quality=88, cursor="pointer"
    )
    st.caption("Tap a product to see why it is named so, or choose it in the list.")


def _view(review: Review, zoom: float) -> Window:
    return Window.at(zoom, *st.session_state.get(f"centre {review.scan.id}", (0.5, 0.5)))


def _take_click(review: Review, zoom: float) -> None:
    """What was clicked since the last run; read before the picture is drawn, which saves a second run."""
    id_ = review.scan.id
    click = st.session_state.get(f"picture {id_}")
    if click and click["unix_time"] != st.session_state.get(f"click {id_}"):
        st.session_state[f"click {id_}"] = click["unix_time"]
        x, y = _view(review, zoom).to_photo(click["x"] / click["width"], click["y"] / click["height"])
        st.session_state[f"centre {id_}"] = (x, y)
        st.session_state[f"pick {id_}"] = pick(review.report, x, y)


def _chooser(review: Review) -> int | None:
    """The list of instances, for the keyboard and for what is too small to tap."""
    numbers = [line.id for line in review.report.instances]
    key = f"pick {review.scan.id}"
    if st.session_state.get(key) not in numbers:
        st.session_state[key] = None
    lines = {line.id: line for line in review.report.instances}

    def moved() -> None:
        line = lines.get(st.session_state[key])
        if line is not None:
            x, y, w, h = line.box
            centre = (x + w / 2) / review.report.width, (y + h / 2) / review.report.height
            st.session_state[f"centre {review.scan.id}"] = centre

    return st.selectbox(
        "Look at", numbers, index=None, format_func=lambda n: title(review, lines[n]), key=key, on_change=moved,
        placeholder="Choose a product of the photo", disabled=not numbers,
    )  # fmt: skip


def title(review: Review, line: ReportLine) -> str:
    """An instance in one line: number, sign, name, how sure, where it stands."""
    kind = review.certainty[line.id]
    return f"{line.id} {SIGNS[kind]} {_named(review, line, kind)}{_how_sure(review, line, kind)} · {place(line)}"


def _named(review: Review, line: ReportLine, kind: str) -> str:
    if line.id in review.decided:
        return line.name or "unknown"
    return "unknown" if kind == "unknown" else line.best_name


def place(line: ReportLine) -> str:
    """Where an instance stands, as people count: rows from the top, places from the left."""
    return f"row {line.row}, place {line.position}"


def _how_sure(review: Review, line: ReportLine, kind: str) -> str:
    if line.id in review.decided:
        return f" (checked by {review.decided[line.id][0] or 'somebody'})"
    merged = ", perhaps several in one" if line.merged else ""
    return merged if kind == "unknown" else f" ({kind}, {line.probability:.0%}{merged})"


def _downloads(found: Matcher, review: Review) -> None:
    name = f"scan-{review.scan.id}"
    with st.container(horizontal=True):
        _download("Counts (CSV)", counts_csv([review]), f"{name}.csv", "text/csv")
        text = json.dumps(as_json(review), ensure_ascii=False, indent=1)
        _download("Everything (JSON)", text, f"{name}.json", "application/json")
        # Drawn only when it is asked for.
        st.download_button(
            "Picture (JPEG)", lambda: overlay_jpeg(found, review), f"{name}.jpg", "image/jpeg",
            icon=":material/download:", on_click="ignore", key=f"overlay {review.scan.id}",
        )  # fmt: skip


def _download(label: str, data: str, name: str, kind: str) -> None:
    st.download_button(label, data, name, kind, icon=":material/download:", on_click="ignore", key=f"{label} {name}")
