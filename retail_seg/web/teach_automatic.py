"""Teach, the training that begins on its own: what it would bring, and the switch; whether there are such trainings."""

from __future__ import annotations

import streamlit as st

from retail_seg.people.roles import acting
from retail_seg.store.active_model import use_model
from retail_seg.store.networks import load_segmenter
from retail_seg.system.progress import DONE
from retail_seg.teaching import automatic
from retail_seg.teaching.judging import LEVEL, ModelComparison, compare, kept_comparison
from retail_seg.teaching.trainings import Training
from retail_seg.web.shared import jobs, may
from retail_seg.web.teach_shared import Workshop, go_to, model_name, trying
from retail_seg.web.text import counted, sentence
from retail_seg.web.widgets import failure, say, watch

KIND = "compare on its own"


def news(shop: Workshop) -> None:
    """Begin a training where one is due; say what the last one would bring."""
    if not may("staff"):
        return
    if begun := automatic.start_if_due(shop.trainings):
        count = counted(len(begun.photos) + len(begun.held), "corrected photo")
        st.toast(f"A training on your {count} has begun in the background.", icon=":material/model_training:")
    run = automatic.waiting(shop.trainings)
    if run is None:
        return
    in_use, model = shop.segmenter(), shop.trainings.model(run.id)
    if model_name(str(model), model.stat().st_mtime_ns)[1] == in_use.fingerprint:
        return
    found = kept_comparison(shop.trainings, run.id, in_use.fingerprint)
    with st.container(border=True):
        if found is None:
            _comparing(shop, run)
        else:
            _told(shop, run, found)


def setting(shop: Workshop) -> None:
    """Whether trainings begin on their own; a manager may change it."""
    on, fresh = automatic.is_on(shop.teaching), len(automatic.corrected(shop.trainings))
    text = f"Train on its own after every {automatic.ENOUGH} corrected photos"
    if may("manager"):
        changed = st.toggle(text, on, key=f"teach-automatic-{on}")
        if changed != on:
            automatic.turn(shop.teaching, changed)
            st.rerun()
    elif on:
        st.caption(f"{text}; a manager can turn this off.")
    if on and 0 < fresh < automatic.ENOUGH:
        st.caption(f"{counted(automatic.ENOUGH - fresh, 'more photo')} and the next training begins.")


def _comparing(shop: Workshop, run: Training) -> None:
    """Compare in the background; the page runs anew when that has ended."""
    job = jobs().latest(KIND)
    if job is not None and job.running:
        watch(job)
    elif job is not None and job.state != DONE:
        failure(job)
        st.button("Compare the new segmenter", icon=":material/compare:", on_click=_compare, args=(shop, run))
    else:
        _compare(shop, run)
        st.rerun()


def _compare(shop: Workshop, run: Training) -> None:
    in_use = shop.segmenter()
    jobs().start(
        KIND, "Comparison of the new segmenter",
        lambda job: compare(shop.trainings, run.id, in_use, load_segmenter, job.report), by=acting().name,
    )  # fmt: skip


def _told(shop: Workshop, run: Training, found: ModelComparison) -> None:
    st.markdown(f"**{gain(run, found)}**")
    if found.new and found.new["f1_50"] < found.in_use["f1_50"] - LEVEL:
        st.caption("It is worse than the one in use there; keep that, and correct some more photos.")

    def switch() -> None:
        use_model(shop.store, shop.trainings.model(run.id), by=acting().name)
        shop.trainings.decide(run.id, automatic.SWITCHED)
        say("Switched: every scan from now on uses the new segmenter. The one before is kept.", once=True)

    def keep() -> None:
        shop.trainings.decide(run.id, automatic.KEPT)
        say("Kept the segmenter in use. The new one stays in the list under Models.", once=True)

    with st.container(horizontal=True):
        if may("manager"):
            st.button("Switch", type="primary", icon=":material/swap_horiz:", on_click=trying(switch))
            st.button("Keep", icon=":material/block:", on_click=trying(keep), help="Goes on with the one in use.")
        else:
            st.caption(":material/lock: A manager can switch to it.")
        st.button("See both", icon=":material/compare:", on_click=go_to, args=("models",), kwargs={"run": run.id})


def gain(run: Training, found: ModelComparison) -> str:
    """What a new segmenter would bring, in one sentence."""
    trained = f"New segmenter trained on your {counted(len(run.photos), 'photo')}"
    if not found.new:
        return f"{trained}. {sentence(found.advice)}"
    unseen = f"{counted(len(found.photos), 'photo')} it did not see"
    return f"{trained}: F1 {found.in_use['f1_50']:.2f} ► {found.new['f1_50']:.2f} on {unseen}"
