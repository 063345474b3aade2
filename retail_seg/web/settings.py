"""Settings: what the store is made of, the rate of false accepts, a test photo, and who may log in."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from retail_seg.matcher import Matcher
from retail_seg.people.roles import ROLES, acting
from retail_seg.people.users import read_users, remove_user, set_password, set_role
from retail_seg.photos.load import SUFFIXES, shrink
from retail_seg.scans import privacy
from retail_seg.store.opening import log_of
from retail_seg.store.settings import overview, state_policy, stated_policy, timed_scan
from retail_seg.web import widgets
from retail_seg.web.identity import sessions, way
from retail_seg.web.shared import errors_as_sentences, matcher, may, store_folder
from retail_seg.web.text import counted, plain

#: Larger test photos are refused, in MB.
PHOTO_MB = 50
#: Longer side, in pixels, of the test photo as the browser gets it.
SHOWN_SIDE = 1000


def page() -> None:
    """The page, one part a tab; everybody may look, a manager may change."""
    st.title("Settings")
    widgets.show_notices()
    with errors_as_sentences():
        found = matcher(store_folder())
    parts = {
        "Store": _store, "Matching": _matching, "Test photo": _test_photo, "Privacy": _privacy, "People": _people
    }  # fmt: skip
    for tab, part in zip(st.tabs(list(parts)), parts.values(), strict=True):
        with tab:
            part(found)


def _store(found: Matcher) -> None:
    known = overview(found)
    for heading, facts in known.facts.items():
        st.subheader(plain(heading))
        st.table(dict(facts), border="horizontal", width="content")
    st.subheader("On the disk")
    rows = [{"Part": name, "Holds": what, "MB": round(size / 2**20, 2)} for name, what, size in known.sizes]
    st.dataframe(rows, hide_index=True, width="content")
    st.caption("Another embedder: `retail-seg reindex --embedder NAME`. A copy to keep: `retail-seg backup FILE`.")


def _matching(found: Matcher) -> None:
    st.subheader("How sure an answer must be")
    stated = stated_policy(found)
    st.markdown(
        "Every answer has a probability that it is right. *Sure* are those of which, all together, so many are right "
        "as you state here; *likely* are the others from a probability on; the rest is *unknown*."
    )
    if not may("manager"):
        st.metric("Right of 100 sure answers", f"{100 * stated.precision:g}")
        st.caption("A manager can change this.")
        return
    with st.form("policy", width=420):
        precision = st.number_input("Right of 100 sure answers", 50.0, 99.9, 100 * stated.precision, 0.5, format="%.1f")
        likely = st.number_input("Likely from this probability on, in %", 1.0, 99.0, 100 * stated.likely, 5.0)
        strangers = st.number_input("Of 100 things on a shelf, not in the catalogue", 0.1, 90.0, 100 * stated.strangers)
        sent = st.form_submit_button("Save", type="primary")
    if sent:
        with errors_as_sentences():
            policy = replace(stated, precision=precision / 100, likely=likely / 100, strangers=strangers / 100)
            state_policy(found, policy)
        _done(f"{precision:g} of 100 sure answers are to be right now.")


def _test_photo(found: Matcher) -> None:
    st.markdown("Scan one photo and see how long each stage takes. Nothing is kept.")
    if not may("staff"):
        st.caption("Staff can do this.")
        return
    upload = st.file_uploader(
        f"A photo, up to {PHOTO_MB} MB",
        type=[suffix.removeprefix(".") for suffix in SUFFIXES],
        max_upload_size=PHOTO_MB,
    )
    if upload is None:
        return
    with errors_as_sentences(), st.spinner("Scanning …"):
        timed = timed_scan(found, upload.getvalue(), upload.name)
    with st.container(horizontal=True):
        for stage, seconds in timed.stages:
            st.metric(stage, f"{seconds:.2f} s")
    report = timed.report
    sure, likely = sum(report.counts.values()), sum(report.likely.values())
    st.markdown(f"{sure} sure, {likely} likely, {report.unknown} unknown, {report.width} × {report.height}")
    st.image(shrink(timed.overlay, SHOWN_SIDE), caption="What was found, outlined, numbered and named", width="content")


def _privacy(found: Matcher) -> None:
    now = privacy.privacy(found)
    how = f"go after {counted(now.days, 'day')}" if now.days else "stay for ever"
    faces = "are blurred before a photo is kept" if now.face_model else "are kept as they are"
    st.markdown(
        f"{counted(privacy.count_photos(found), 'photo')} kept. Photos **{how}**; what was found in them, corrections "
        f"and references stay. Faces **{faces}**; a model for that is set with `retail-seg privacy --face-model FILE`."
    )
    if not may("manager"):
        return
    with st.form("privacy", width=420):
        days = st.number_input("Days that photos are kept; 0 for ever", 0, 36500, now.days or 0)
        sent = st.form_submit_button("Save the days", type="primary")
    if sent:
        with errors_as_sentences():
            privacy.state_days(found, int(days) or None)
            gone = privacy.forget_old(found)
        _done(f"Photos are kept {counted(int(days), 'day') if days else 'for ever'} now; {gone} were too old.")


def _people(found: Matcher) -> None:
    how = way()
    if how == "local":
        st.info(
            "Nobody logs in: the app is for this computer only, and who sits here may do everything. To let others in, "
            "add people with `retail-seg user add NAME --role manager`.",
            icon=":material/person:",
        )
        return
    st.markdown(f"You are **{plain(acting().name)}**, {plain(acting().role)}.")
    if how == "users":
        _own_password(found)
    if may("manager"):
        _everybody(found)


def _own_password(found: Matcher) -> None:
    with st.expander("Change my password", icon=":material/key:"), st.form("password", clear_on_submit=True, width=420):
        old = st.text_input("Password you have now", type="password", autocomplete="current-password", max_chars=1024)
        new = st.text_input("New password", type="password", autocomplete="new-password", max_chars=1024)
        again = st.text_input("The same again", type="password", autocomplete="new-password", max_chars=1024)
        if not st.form_submit_button("Change it, and log in anew"):
            return
        if new != again:
            st.error("The two are not the same; type them again.", icon=":material/error:")
            return
        with errors_as_sentences():
            sessions(store_folder()).check(acting().name, old, st.context.ip_address or "")  # guesses are counted
            set_password(found.folder, acting().name, new, old=old, logged=log_of(found.folder))
        st.rerun()


def _everybody(found: Matcher) -> None:
    with errors_as_sentences():
        users = read_users(found.folder)
    rows = [{"Name": u.name, "Role": u.role, "Logs in with": "password" if u.password else "provider"} for u in users]
    st.dataframe(rows, hide_index=True, width="content")
    st.caption(
        "Somebody new: `retail-seg user add NAME --role staff` where the store lies; the password is asked there."
    )
    with st.form("people", width=420):
        name = st.selectbox("Person", [user.name for user in users])
        wanted = st.selectbox("What they may do", [*ROLES, "nothing: take their access away"])
        sent = st.form_submit_button("Change")
    if not sent or name is None or wanted is None:
        return
    with errors_as_sentences():
        if wanted in ROLES:
            set_role(found.folder, name, wanted, logged=log_of(found.folder))
        else:
            remove_user(found.folder, name, logged=log_of(found.folder))
    _done(f"{name} is {wanted} now." if wanted in ROLES else f"{name} may no longer log in.")


def _done(text: str) -> None:
    widgets.say(text, once=True)
    st.rerun()
