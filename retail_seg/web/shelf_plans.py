"""Plans: imported, made of a scan of the full shelf, looked at, exported, their versions, what was changed."""

from __future__ import annotations

from datetime import date
from functools import partial

import streamlit as st

from catalogue.plans import KeptPlan
from retail_seg.matcher import Matcher
from retail_seg.products import browsing
from retail_seg.scans.review import list_scans, scan_number
from retail_seg.shelf import photographed, planning
from retail_seg.web import shelf_grid, widgets
from retail_seg.web.shared import errors_as_sentences, may
from retail_seg.web.text import counted, plain

KINDS = {"planogram": "Planogram", "scan": "Shelf as it was,", "list": "List of what must be seen,"}
#: Bad lines of a file that are shown, and scans to choose from.
PROBLEMS, SCANS = 30, 50


def show(found: Matcher) -> None:
    """The list, or the plan that the address names (`?plan=`)."""
    wanted = st.query_params.get("plan", "")
    if wanted:
        with errors_as_sentences():
            _one(found, wanted)
        return
    if may("manager"):
        _new(found)
    plans = planning.list_plans(found)
    if not plans:
        st.info("No plan is kept yet.", icon=":material/view_module:")
    for plan in plans:
        with st.container(border=True, horizontal=True, vertical_alignment="center"):
            st.markdown(_headline(plan))
            if st.button(
                "Open", key=f"plan_{plan.id}", help=f"Open plan {plain(plan.name)}", icon=":material/open_in_full:"
            ):
                _open(plan.name)
    _changes(found, "")


def _open(name: str) -> None:
    st.query_params["plan"] = name
    st.rerun()


def _headline(plan: KeptPlan) -> str:
    return f"**{plain(plan.name)}**, version {plan.version:d}  \n{_about(plan)}"


def _about(plan: KeptPlan) -> str:
    return (
        f"{counted(plan.positions, 'place')}, {counted(plan.facings, 'facing')} on "
        f"{plain(', '.join(plan.fixtures))}  \n"
        f":small[{KINDS[plan.kind]} made of {plain(plan.source or 'values')}, {plan.at[:16].replace('T', ' ')} UTC"
        f"{' by ' + plain(plan.by) if plan.by else ''}{_days(plan)}]"
    )


def _days(plan: KeptPlan) -> str:
    if not plan.starts and not plan.ends:
        return ""
    return f"; from {plain(plan.starts or 'ever')} to {plain(plan.ends or 'further notice')}"


# -- new plans


def _new(found: Matcher) -> None:
    scan = scan_number(st.query_params.get("scan", ""))
    with st.expander("New plan, or a new version", icon=":material/add:", expanded=scan is not None):
        of_file, of_scan = ":material/upload_file: A file", ":material/photo_camera: The shelf as it was"
        way = st.segmented_control(
            "Made of", (of_file, of_scan), default=of_file if scan is None else of_scan, required=True, key="plan_way"
        )
        if way == of_file:
            _import(found)
        else:
            _of_scan(found, scan)


def _import(found: Matcher) -> None:
    with st.form("plan_file", border=False, clear_on_submit=True):
        upload = st.file_uploader(
            "CSV (fixture, shelf, position, sku, facings, min_facings; x, y, width in mm), a list (sku, min_facings), "
            "or Azure's planogram (JSON)",
            type=["csv", "tsv", "txt", "json"],
        )
        name = st.text_input("Name", placeholder="As the file; the name of a kept plan makes its next version")
        with st.container(horizontal=True):
            starts = st.date_input("First day in force", None)
            ends = st.date_input("Last day in force", None)
        sent = st.form_submit_button("Keep it", type="primary", icon=":material/save:")
    if not sent or upload is None:
        return
    with errors_as_sentences():
        read, version = photographed.receive_plan(
            found, upload.name, upload.getvalue(), name.strip(), starts=_iso(starts), ends=_iso(ends)
        )
    _kept(read.plan.name, version, read.problems, read.notes)


def _iso(day: object) -> str:
    return day.isoformat() if isinstance(day, date) else ""


def _of_scan(found: Matcher, wanted: int | None) -> None:
    """One click: a scan of the full shelf, with what people corrected in it, becomes the plan."""
    scans = {row.scan.id: row for row in list_scans(found, limit=SCANS)}
    if not scans:
        st.info("No photo has been scanned yet: start under **Scan**.", icon=":material/photo_camera:")
        return
    numbers = [*([wanted] if wanted is not None and wanted not in scans else []), *scans]

    def label(number: int) -> str:
        row = scans.get(number)
        if row is None:
            return str(number)
        return f"{number}: {row.scan.image}, " + ", ".join(f"{count} {kind}" for kind, count in row.totals.items())

    with st.form("plan_scan", border=False):
        at = numbers.index(wanted) if wanted in numbers else 0
        number = st.selectbox("Scan of the full shelf", numbers, index=at, format_func=label)
        name = st.text_input("Name", f"Shelf of scan {wanted}" if wanted else "", placeholder="Such as the fixture's")
        fixture = st.text_input("Fixture", placeholder="As the plan")
        sent = st.form_submit_button("This is the plan", type="primary", icon=":material/save:")
    if not sent or number is None:
        return
    with errors_as_sentences():
        plan, version, notes = planning.plan_from_scan(
            found, number, name.strip() or f"Shelf of scan {number}", fixture.strip()
        )
    _kept(plan.name, version, (), notes)


def _kept(name: str, version: int, problems: tuple[str, ...], notes: tuple[str, ...]) -> None:
    """Say what was kept and every line that was not, and open the plan."""
    for text in problems[:PROBLEMS]:
        widgets.say(text, ok=False, once=True)
    if len(problems) > PROBLEMS:
        widgets.say(f"{len(problems) - PROBLEMS} more lines were left out for such reasons.", ok=False, once=True)
    for text in notes[:PROBLEMS]:
        widgets.say(text, ok=False, once=True)
    widgets.say(f"Plan {name}, version {version}, is kept.", once=True)
    st.query_params.clear()
    st.query_params["part"] = "plans"
    _open(name)


# -- one plan


def _one(found: Matcher, name: str) -> None:
    if st.button("All plans", icon=":material/arrow_back:"):
        del st.query_params["plan"]
        st.rerun()
    kept = planning.load_plan(found, name)[0]
    versions = photographed.plan_versions(found, name)
    st.subheader(plain(name))
    wanted = kept.version
    if len(versions) > 1:
        texts = {one.version: f"{one.version} ({one.at[:10]}, {one.by or 'unnamed'})" for one in versions}
        wanted = st.selectbox("Version", list(texts), format_func=texts.__getitem__, width=320, key=f"version_{name}")
    row, plan = planning.load_plan(found, name, wanted)
    st.markdown(_about(row))
    names = browsing.names(found, plan.skus)
    for fixture in plan.fixtures:
        st.markdown(f"**{plain(fixture)}**")
        shelf_grid.show(shelf_grid.cell_of_plan(one, names.get(one.sku, "")) for one in plan.of(fixture))
    _downloads(found, name, wanted)
    if may("manager"):
        _manage(found, row, newest=kept.version)
    _changes(found, f"plan {name}")


def _downloads(found: Matcher, name: str, version: int) -> None:
    with st.container(horizontal=True):
        for label, form, end in (("CSV", "csv", "csv"), ("Azure's JSON", "azure", "json")):
            st.download_button(
                label, partial(planning.export_plan, found, name, form, version), f"{name}.{end}",
                icon=":material/download:", on_click="ignore", key=f"export_{form}",
            )  # fmt: skip


def _manage(found: Matcher, plan: KeptPlan, *, newest: int) -> None:
    with st.container(horizontal=True):
        if plan.version != newest and st.button("Use this version again", icon=":material/history:"):
            with errors_as_sentences():
                version = photographed.use_again(found, plan.name, plan.version)
            widgets.say(f"Version {plan.version} is in force again, as version {version}.", once=True)
            st.session_state.pop(f"version_{plan.name}", None)
            st.rerun()
        with st.popover("Take it out", icon=":material/delete:"):
            st.markdown("The plan goes with all its versions. Checks stay, and the plan can be brought back.")
            if st.button("Take it out", type="primary", icon=":material/delete:"):
                with errors_as_sentences():
                    planning.remove_plan(found, plan.name)
                widgets.say(f"Plan {plan.name} is taken out; bring it back below.", once=True)
                del st.query_params["plan"]
                st.rerun()
    _places(found, plan)


def _places(found: Matcher, plan: KeptPlan) -> None:
    known = {one.name: one for one in planning.list_fixtures(found)}
    with st.expander("Where its fixtures stand", icon=":material/store:"), st.form("fixture", border=False):
        name = st.selectbox("Fixture", plan.fixtures)
        now = known.get(name)
        shop = st.text_input("Shop", now.shop if now else "")
        area = st.text_input("Area in the shop", now.area if now else "")
        if st.form_submit_button("Save", icon=":material/save:"):
            with errors_as_sentences():
                planning.place_fixture(found, name, shop.strip(), area.strip())
            widgets.say(f"{name} stands in {shop.strip() or 'no shop that is known'} now.", once=True)
            st.rerun()


def _changes(found: Matcher, subject: str) -> None:
    """What was changed, each with its undo."""
    changes = list(planning.changes(found, subject, limit=20))
    if not changes:
        return
    with st.expander("History", icon=":material/history:"):
        for one in changes:
            with st.container(horizontal=True, vertical_alignment="center"):
                back = f" (taken back by {one.undone_by or 'somebody'})" if one.undone_at else ""
                when = one.at[:16].replace("T", " ")
                st.markdown(plain(f"{one.id} · {when} {one.by or 'unnamed'}: {one.action}, {one.subject}{back}"))
                if may("manager") and not one.undone_at:
                    _undo(found, one.id)


def _undo(found: Matcher, number: int) -> None:
    if st.button("Undo", key=f"shelf_undo_{number}", icon=":material/undo:", type="tertiary"):
        with errors_as_sentences():
            change = planning.undo(found, number)
        widgets.say(f"Change {number} ({change.action}, {change.subject}) is taken back.", once=True)
        st.query_params.pop("plan", None)
        st.rerun()
