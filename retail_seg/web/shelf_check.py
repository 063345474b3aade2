"""One kept check: figures, what to do, the fixture as a grid, the photos with the places framed."""

from __future__ import annotations

import streamlit as st

from catalogue.checks import KeptCheck, Task
from retail_seg.matcher import Matcher
from retail_seg.shelf import keeping, photographed
from retail_seg.shelf.photographed import CheckView
from retail_seg.shelf.results import FAULTS, LABEL_FAULTS
from retail_seg.web import shelf_grid, shelf_tasks
from retail_seg.web.shared import errors_as_sentences, matcher, store_folder
from retail_seg.web.text import counted, plain, sentence


def headline(one: KeptCheck) -> str:
    """A check in a list, as Markdown."""
    shop = f" · {plain(one.shop)}" if one.shop else ""
    return f"**{one.id} · {plain(one.fixture)}**{shop}  \n{_outcome(one)}  \n:small[{_made(one)}]"


def _outcome(one: KeptCheck) -> str:
    faults = [f"{number} {plain(kind)}" for kind in (*FAULTS, *LABEL_FAULTS) if (number := one.summary.get(kind, 0))]
    return f"{share(one.summary.get('available'))} available; {', '.join(faults) or 'all as planned'}"


def _made(one: KeptCheck) -> str:
    by = f" by {plain(one.by)}" if one.by else ""
    plan = f"{plain(one.plan)}, version {one.version:d}" if one.plan else "a plan that is not kept"
    return f"{plain(one.taken[:16].replace('T', ' '))} UTC{by}, against {plan}"


def share(value: float | None) -> str:
    """A share as people read it."""
    return "–" if value is None else f"{value:.0%}"


def page(found: Matcher, wanted: str) -> None:
    """The check that the address names."""
    if st.button("All checks", icon=":material/arrow_back:"):
        st.query_params.clear()
        st.rerun()
    if not wanted.isdecimal() or len(wanted) > 15:
        st.error("The address names no check; choose one from the list.", icon=":material/error:")
        return
    with errors_as_sentences():
        view = photographed.open_check(found, int(wanted))
    _show(found, view)


def _show(found: Matcher, view: CheckView) -> None:
    check, summary = view.check, view.check.summary
    st.subheader(plain(check.fixture))
    st.caption(f"{_outcome(check)} · {_made(check)}")
    with st.container(horizontal=True, gap="medium"):
        st.metric("Available", share(summary.get("available")), width="content")
        st.metric("As planned", share(summary.get("compliance")), width="content")
        st.metric("To do", len(view.result.findings), width="content")
        unseen = summary.get("unseen", 0)
        st.metric("Not in a photo", f"{unseen} of {summary.get('positions', 0)}", width="content")
    for note in view.result.notes:
        st.warning(sentence(note), icon=":material/info:")
    _fixture(view)
    _labels(view)
    left, right = st.columns(2, gap="medium")
    with left:  # first on a phone: what is to be done
        _findings(found, view)
    with right:
        _photos(found, view)
    _downloads(view)


def _fixture(view: CheckView) -> None:
    st.markdown("**The fixture**, from the top and from the left")
    shelf_grid.show(map(shelf_grid.cell_of_status, view.result.positions))
    used = [kind for kind, number in view.result.statuses.items() if number]
    st.caption(" · ".join(f"{plain(shelf_grid.SIGNS[kind])} {plain(kind)}: {shelf_grid.WORDS[kind]}" for kind in used))


def _labels(view: CheckView) -> None:
    """What the price labels say, where they were looked for."""
    labels = view.result.labels
    if not labels:
        return
    priced = sum(one.price is not None for one in labels)
    with st.expander(f"{counted(len(labels), 'price label')}, {priced} with a price", icon=":material/sell:"):
        st.dataframe(
            [
                {"Shelf": one.shelf, "Place": one.position or None, "Product": one.name or one.sku,
                 "Price": one.price, "List": one.listed, "Label": one.status, "Printed": " ".join(one.words)}
                for one in labels
            ],
            hide_index=True,
            column_config={name: st.column_config.NumberColumn(format="%.2f") for name in ("Price", "List")},
        )  # fmt: skip


def _photos(found: Matcher, view: CheckView) -> None:
    for n, photo in enumerate(view.result.photos):
        picture = _overlay(str(found.folder), found.identity, view.check.id, n)
        if picture is None:
            st.caption(f"{plain(photo.image)} is not kept.")
            continue
        st.image(
            picture, caption=plain(photo.image), width="stretch", alt=f"Photo {photo.image} with its places framed"
        )


@st.cache_data(max_entries=24, show_spinner="Drawing the places …")
def _overlay(store: str, identity: str, check: int, photo: int) -> bytes | None:
    """A photo of a check as it is shown; drawn once."""
    found = matcher(store_folder())
    return photographed.overlay_jpeg(found, photographed.open_check(found, check), photo)


def _findings(found: Matcher, view: CheckView) -> None:
    findings = view.result.findings
    order = "what costs most first" if findings and findings[0].cost else "the surest first"
    st.markdown(f"**{counted(len(findings), 'finding')}**, {order}")
    if not findings:
        st.success("All that the photos show is as planned.", icon=":material/check_circle:")
        return
    tasks = {task.place: task for task in _tasks(found, view)}
    for finding in findings:
        task = tasks.get(keeping.place_of(finding))
        shelf_tasks.row(found, finding.to_dict(), task)


def _tasks(found: Matcher, view: CheckView) -> list[Task]:
    """The tasks of the check's fixture in all states, the latest of a place last."""
    tasks = keeping.list_tasks(found, view.check.fixture, shelf_tasks.STATES)
    return sorted(tasks, key=lambda task: task.id)


def _downloads(view: CheckView) -> None:
    name = f"check-{view.check.id}"
    with st.container(horizontal=True):
        for label, data, end, kind in (
            ("Places (CSV)", photographed.check_csv(view), "csv", "text/csv"),
            ("Everything (JSON)", photographed.check_json(view), "json", "application/json"),
        ):
            st.download_button(
                label, data, f"{name}.{end}", kind, icon=":material/download:", on_click="ignore", key=f"{label} {name}"
            )
