"""Figures of shelves over time, as charts, tables and files to keep."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TextIO

import streamlit as st

from retail_seg.matcher import Matcher
from retail_seg.shelf import figures_out, planning
from retail_seg.shelf.figures import Figures, ShelfFigure, figures
from retail_seg.web.shared import errors_as_sentences
from retail_seg.web.shelf_check import share
from retail_seg.web.text import plain

#: What is looked back on ► days.
TIMES = {"4 weeks": 28, "12 weeks": 84, "1 year": 365}


def show(found: Matcher) -> None:
    """The figures of a time that is chosen, of one shop or all."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        time = st.segmented_control("Time", list(TIMES), default="12 weeks", required=True, key="figures_time")
        shops = sorted({one.shop for one in planning.list_fixtures(found) if one.shop})
        shop = st.selectbox("Shop", shops, index=None, placeholder="All shops", key="figures_shop", width=220)
    today = datetime.now(UTC).date()
    with errors_as_sentences():
        made = figures(found, str(today - timedelta(TIMES[time or "12 weeks"])), str(today), shop or "")
    whole = made.find("all", week="")
    if not whole or not whole[0].checks:
        st.info("No check was kept in this time: check photos under **Check**.", icon=":material/monitoring:")
        return
    _metrics(whole[0])
    _weeks(made)
    _tables(made)
    _shares(made)
    _downloads(made)


def _metrics(whole: ShelfFigure) -> None:
    with st.container(horizontal=True, gap="medium"):
        st.metric("On-shelf availability", share(whole.availability), width="content")
        st.metric("As planned", share(whole.compliance), width="content")
        st.metric("Mean time to mend", hours(whole.hours), width="content", help=f"{whole.mended} mended")
        st.metric("Checks", whole.checks, width="content", help=f"{whole.places} places seen")


def hours(value: float | None) -> str:
    """A time as people read it."""
    return "–" if value is None else f"{value / 24:.1f} d" if value >= 48 else f"{value:.1f} h"


def _weeks(made: Figures) -> None:
    weeks = made.find("all")
    if len(weeks) < 2:
        return
    rows = {
        "Week": [one.of.week for one in weeks],
        "Availability (%)": [_percent(one.availability) for one in weeks],
        "As planned (%)": [_percent(one.compliance) for one in weeks],
    }
    st.line_chart(rows, x="Week", y=["Availability (%)", "As planned (%)"], color=["#0072b2", "#d55e00"], height=260)


def _percent(value: float | None) -> float | None:
    return None if value is None else round(100 * value, 1)


def _tables(made: Figures) -> None:
    for group in ("shop", "fixture"):
        rows = [_row(made.find(group, name, "")[0], group.capitalize()) for name in made.names(group)]
        if rows:
            st.dataframe(rows, hide_index=True, width="stretch", alt=f"Figures by {group}")


def _row(one: ShelfFigure, heading: str) -> dict[str, object]:
    return {
        heading: one.of.name,
        "Available": share(one.availability),
        "As planned": share(one.compliance),
        "Places seen": one.places,
        "Checks": one.checks,
        "Mended": one.mended,
        "Time to mend": hours(one.hours),
    }


def _shares(made: Figures) -> None:
    st.subheader("Share of shelf")
    kind = st.segmented_control(
        "By", ("brand", "category"), default="brand", required=True, key="figures_kind", label_visibility="collapsed"
    )
    found, more = figures_out.largest(made.shares_of(kind or "brand"))
    if not found:
        st.caption("The last checks recognised nothing.")
        return
    word = (kind or "brand").capitalize()
    rows: list[dict[str, object]] = [
        {word: one.value, "Share": 100 * one.share, "Facings": one.facings, "Centimetres": one.centimetres}
        for one in found
    ]
    if all(one.centimetres is None for one in found):
        rows = [{name: value for name, value in row.items() if name != "Centimetres"} for row in rows]
    bar = st.column_config.ProgressColumn("Share", format="%.1f %%", min_value=0.0, max_value=100.0)
    st.dataframe(rows, hide_index=True, width="stretch", column_config={"Share": bar}, alt=f"Share of shelf by {word}")
    left_out = f"; {more:d} more are in the files" if more else ""
    st.caption(f"Of the last check of each fixture; centimetres where a planogram states widths{left_out}.")


def _downloads(made: Figures) -> None:
    name = plain(f"shelves-{made.first}-{made.last}").replace("\\", "")
    with st.container(horizontal=True):
        _download("Figures (CSV)", _text(figures_out.write_figures_csv, made), f"{name}.csv", "text/csv")
        _download("Shares (CSV)", _text(figures_out.write_shares_csv, made), f"{name}-shares.csv", "text/csv")
        _download(
            "Everything (JSON)", json.dumps(made.to_dict(), ensure_ascii=False), f"{name}.json", "application/json"
        )
        _download("Page to print (HTML)", figures_out.as_html(made), f"{name}.html", "text/html")


def _text(write: Callable[[Figures, TextIO], None], made: Figures) -> str:
    file = io.StringIO()
    write(made, file)
    return file.getvalue()


def _download(label: str, data: str, name: str, kind: str) -> None:
    st.download_button(label, data, name, kind, icon=":material/download:", on_click="ignore", key=f"{label} {name}")
