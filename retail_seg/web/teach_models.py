"""Teach, part 4: a trained model beside the one in use; switch to it, switch back."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from retail_seg.people.roles import acting
from retail_seg.runs.record import origin_of
from retail_seg.segmentation.segmenter import SHIPPED
from retail_seg.store.active_model import model_in_use, previous_model, switch_back, use_model
from retail_seg.store.networks import load_segmenter
from retail_seg.system.progress import DONE
from retail_seg.teaching.judging import SCORES, ModelComparison, compare, kept_comparison, overlay
from retail_seg.teaching.trainings import Training
from retail_seg.web.shared import jobs, may
from retail_seg.web.teach_shared import Workshop, go_to, job_shown, model_name, trying
from retail_seg.web.text import counted, plain, sentence
from retail_seg.web.widgets import say


def show(shop: Workshop) -> None:
    """The model in use, then a trained one beside it."""
    _in_use(shop)
    runs = {run.id: run for run in shop.trainings.all() if shop.trainings.progress(run.id).state == DONE}
    if not runs:
        st.info("No training has ended yet. Train first; then its model can be compared here.", icon=":material/info:")
        st.button("To the training", on_click=go_to, args=("train",), icon=":material/model_training:")
        return
    st.subheader("A trained model")
    asked = st.query_params.get("run")
    if asked in runs:
        st.session_state["teach-model"] = asked
    chosen = st.selectbox(
        "Training", list(runs), format_func=lambda id_: _title(runs[id_]), key="teach-model",
        on_change=lambda: go_to("models", run=st.session_state["teach-model"]),
    )  # fmt: skip
    _beside(shop, runs[chosen])


def _in_use(shop: Workshop) -> None:
    model = shop.segmenter()
    st.write(f"In use: {_told(model.name, model.fingerprint, model_in_use(shop.store))}.")
    if (previous := previous_model(shop.store)) is None:
        return
    st.caption(f"Before: {_told(*model_name(str(previous), previous.stat().st_mtime_ns), previous)}.")

    def back() -> None:
        switch_back(shop.store, by=acting().name)
        say("Switched back to the model that was in use before.", once=True)

    if may("manager"):
        st.button("Switch back to the one before", icon=":material/undo:", on_click=trying(back))


def _told(name: str, fingerprint: str, folder: Path) -> str:
    """A model in words: its name, and the run on record that made it, as `retail-seg runs` shows it."""
    if folder == SHIPPED:
        return f"**{plain(name)}** `{fingerprint}`, as shipped"
    origin = origin_of(folder)
    if origin is None:
        return f"**{plain(name)}** `{fingerprint}`, this shop’s own"
    return f"**{plain(origin.name)}** `{fingerprint}`, this shop’s own, on record as run `{origin.short}`"


def _beside(shop: Workshop, run: Training) -> None:
    """The comparison with the model in use, made now or kept from before; then the switch."""
    in_use = shop.segmenter()
    model = shop.trainings.model(run.id)
    _, new = model_name(str(model), model.stat().st_mtime_ns)
    if new == in_use.fingerprint:
        st.success("This model is the one in use.", icon=":material/check_circle:")
        return
    found = kept_comparison(shop.trainings, run.id, in_use.fingerprint)
    busy = job_shown("compare", lambda job: st.rerun())
    if found:
        _compared(shop, found)
    elif not busy:
        st.write("How do the two do on the photos that neither was trained on?")
        if may("staff") and st.button("Compare them", type="primary", icon=":material/compare:"):
            jobs().start(
                "compare", "Comparison",
                lambda job: compare(shop.trainings, run.id, in_use, load_segmenter, job.report), by=acting().name,
            )  # fmt: skip
            st.rerun()
    _switch(shop, run, bool(found))


def _switch(shop: Workshop, run: Training, compared: bool) -> None:
    if not may("manager"):
        st.caption("A manager can switch to this model.")
        return

    def switch() -> None:
        use_model(shop.store, shop.trainings.model(run.id), by=acting().name)
        say("Switched: every scan from now on uses this model. The one before is kept.", once=True)

    st.button(
        "Use this model from now on", icon=":material/swap_horiz:", on_click=trying(switch),
        type="primary" if compared else "secondary",
        help="In one step, for every page and program on this store; the one before is kept.",
    )  # fmt: skip


def _compared(shop: Workshop, found: ModelComparison) -> None:
    st.write(sentence(found.advice))
    if found.new:
        rows = [
            {
                "Score": text, "In use": f"{found.in_use[key]:.3f}", "New": f"{found.new[key]:.3f}",
                "Change": f"{found.new[key] - found.in_use[key]:+.3f}",
            }
            for key, text in SCORES.items()
        ]  # fmt: skip
        st.dataframe(rows, hide_index=True, width="stretch")
    for line in found.photos:
        true = f", {line.true} {'is' if line.true == 1 else 'are'} there" if line.true is not None else ""
        st.markdown(f"**{plain(line.name)}**{true}")
        for column, side, name, count in zip(
            st.columns(2), ("in-use", "new"), ("In use", "New"), (line.in_use, line.new), strict=True
        ):
            column.image(str(overlay(shop.trainings, found.run, line.photo, side)), caption=f"{name}: counts {count}")


def _title(run: Training) -> str:
    return f"{run.started[:16].replace('T', ' ')} UTC · {counted(len(run.photos), 'photo')}"
