"""Tasks: what somebody is to do at a shelf, as a list that fits a phone; taken, done, or said not to be true."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from catalogue.checks import STATES, Task
from retail_seg.matcher import Matcher
from retail_seg.shelf import keeping, planning
from retail_seg.web import widgets
from retail_seg.web.shared import errors_as_sentences, may
from retail_seg.web.text import counted, plain, sentence

#: Tasks on one page.
SIZE = 20
#: What a button says ► the state that it brings a task into; by the state that the task is in.
STEPS = {
    "open": {"Take": "taken", "Done": "done", "Not true": "not true"},
    "taken": {"Done": "done", "Give back": "open", "Not true": "not true"},
    "done": {"Open again": "open"},
    "not true": {"Open again": "open"},
}
ICONS = {"taken": "back_hand", "done": "check", "not true": "block", "open": "undo"}
ACTIONS = {"refill": "inventory", "order": "shopping_cart", "move": "swap_horiz", "relabel": "label", "check": "search"}


def show(found: Matcher) -> None:
    """The tasks in one state, of one fixture or all, the dearest first."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        state = st.segmented_control(
            "Tasks", STATES, default="open", key="task_state", required=True, persist_state="session"
        )
        fixtures = [one.name for one in planning.list_fixtures(found)]
        fixture = st.selectbox(
            "Fixture", fixtures, index=None, placeholder="All fixtures", key="task_fixture", width=220
        )
    tasks = keeping.list_tasks(found, fixture or "", (state or "open",))
    if not tasks:
        st.info(
            f"No task is {plain(state)}." if state != "open" else "Nothing is to be done.",
            icon=":material/check_circle:",
        )
        return
    st.caption(counted(len(tasks), "task") + (", what costs most first" if tasks[0].finding.cost else ", oldest first"))
    rows = st.container(gap="small")
    start = widgets.pages(len(tasks), SIZE, f"tasks_page_{state}_{fixture}")
    with rows:
        for task in tasks[start : start + SIZE]:
            row(found, task.finding.details, task, with_fixture=True)


def row(found: Matcher, finding: Mapping[str, Any], task: Task | None, *, with_fixture: bool = False) -> None:
    """A finding with what to do about it and, where it is a task, how far that is and what can be done."""
    with st.container(border=True, gap="small"):
        where = f"**{plain(finding['fixture'])}** · " if with_fixture else ""
        sure = f":small[({finding['probability']:.0%} sure)]"
        todo = _todo(finding)
        st.markdown(f"{where}{plain(_upper(finding['text']))} {sure}" + (f"  \n{todo}" if todo else ""))
        if task is None:
            st.caption("Not a task: somebody said earlier that this is not true.")
            return
        st.caption(_about(task))
        if may("staff"):
            _buttons(found, task)


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def _todo(finding: Mapping[str, Any]) -> str:
    action, why, cost = finding.get("action"), finding.get("why"), finding.get("cost")
    told = f":material/{ACTIONS[action]}: **{plain(_upper(action))}**" if action in ACTIONS else ""
    told += f": {plain(why)}" if told and why else ""
    return told + (f" · costs about {cost:,.2f}" if cost else "")


def _about(task: Task) -> str:
    who = f" by {plain(task.who)}" if task.who and task.state != "open" else ""
    note = f" · {sentence(task.note)}" if task.note else ""
    since = plain(task.opened[:16].replace("T", " "))
    return f"Task {task.id}, {task.state}{who}, found {since} UTC{note}"


def _buttons(found: Matcher, task: Task) -> None:
    with st.container(horizontal=True):
        for label, state in STEPS[task.state].items():
            icon = f":material/{ICONS[state]}:"
            if st.button(label, key=f"task_{task.id}_{state}", icon=icon, help=f"Task {task.id}"):
                with errors_as_sentences():
                    keeping.set_task(found, task.id, state)
                widgets.say(f"Task {task.id} is {state}: {task.finding.details['text']}.", once=True)
                st.rerun()
