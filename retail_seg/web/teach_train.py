"""Teach, part 3: train on the finished photos in the background, and watch it."""

from __future__ import annotations

import streamlit as st

from retail_seg.runs.record import SHORT
from retail_seg.store.active_model import model_in_use
from retail_seg.system.progress import CANCELLED, DONE, FAILED, RUNNING
from retail_seg.teaching import DONE as ANNOTATED
from retail_seg.teaching.trainings import MINUTES, Training, TrainingProgress, curve, longest, why_not
from retail_seg.web.shared import may
from retail_seg.web.teach_automatic import setting
from retail_seg.web.teach_shared import Workshop, go_to, trying
from retail_seg.web.text import counted, plain, sentence
from retail_seg.web.widgets import say

WORDS = {RUNNING: "under way", DONE: "done", CANCELLED: "cancelled", FAILED: "broke off"}
SCORES = {"fg_iou": "Foreground IoU", "f1_50": "F1 at IoU .5", "f1_75": "F1 at IoU .75", "exact_count": "Exact count"}
#: Seconds between two looks at a training under way.
EVERY = 2


def show(shop: Workshop) -> None:
    """The training under way, else the way to start one; then those before."""
    running = shop.trainings.running()
    if running:
        _live(shop, running.id)
    elif may("staff"):
        _start(shop)
    setting(shop)
    runs = {run.id: run for run in shop.trainings.all() if not running or run.id != running.id}
    if runs:
        st.subheader("Trainings before")
        asked = st.query_params.get("run")
        if asked in runs and "teach-run" not in st.session_state:
            st.session_state["teach-run"] = asked
        chosen = st.selectbox("Training", list(runs), format_func=lambda id_: _title(shop, runs[id_]), key="teach-run")
        _ended(shop, runs[chosen])


def _start(shop: Workshop) -> None:
    done = [photo for photo in shop.teaching.photos() if photo.state == ANNOTATED]
    held = shop.trainings.held_back(done)
    count = len(done) - len(held)
    is_ = "is" if len(held) == 1 else "are"
    kept = f" **{len(held)}** more {is_} kept to compare models on, and never trained on." if held else ""
    st.write(f"**{counted(count, 'finished photo')}** to train on.{kept}")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        minutes = st.number_input(
            "Minutes at most", 0.5, 600.0, MINUTES, 0.5, format="%g", width=180, key="teach-minutes"
        )
        folded = st.checkbox(
            "Cross-validate", key="teach-folded",
            help="Trains several times, each time without some of the photos, and scores on those: scores to trust.",
        )  # fmt: skip
    with st.expander("More settings"):
        own = st.checkbox(
            "Begin with the model in use", key="teach-own",
            help="Otherwise with the shipped one, which is the safer start: every photo here is trained on anyway.",
        )  # fmt: skip
        steps = st.number_input("Steps instead of minutes (0: by the time)", 0, 1_000_000, 0, key="teach-steps")
    refused = why_not(count, folded)
    if refused:
        st.info(sentence(refused) + ".", icon=":material/info:")

    def start() -> None:
        begin = model_in_use(shop.store) if own else None
        shop.trainings.start(minutes=minutes, steps=int(steps) or None, cross_validate=folded, start=begin)
        say("The training has begun. It goes on when you leave this page.", once=True)

    st.button(
        "Start the training", type="primary", icon=":material/model_training:", disabled=bool(refused),
        on_click=trying(start),
    )  # fmt: skip
    if not steps:
        limit = counted(longest(minutes, count, folded), "minute")
        st.caption(f"It takes {limit} at most; one training runs at a time.")


@st.fragment(run_every=EVERY)
def _live(shop: Workshop, id_: str) -> None:
    """A training under way, looked at again and again; the whole page runs once more at its end."""
    progress = shop.trainings.progress(id_)
    if progress.state != RUNNING:
        st.rerun()
    run = shop.trainings.get(id_)
    st.subheader("A training is under way")
    st.progress(progress.share, text=f"{plain(progress.text.capitalize())}: {progress.share:.0%}")
    by = f" by {plain(run.by)}" if run.by else ""
    st.caption(f"Started {_when(run)}{by} on {counted(len(run.photos), 'photo')}. It goes on when you leave this page.")
    _curves(progress)
    if may("staff"):
        asked = bool(run.cancelled_by)
        st.button(
            "Cancelling …" if asked else "Cancel", icon=":material/close:", disabled=asked,
            on_click=trying(lambda: shop.trainings.cancel(id_)), help="What it has learned is kept: it can be resumed.",
        )  # fmt: skip


def _ended(shop: Workshop, run: Training) -> None:
    progress = shop.trainings.progress(run.id)
    if progress.result:
        _scores(progress)
        _on_record(progress)
        st.button(
            "Compare with the model in use", type="primary", icon=":material/compare:", on_click=go_to,
            args=("models",), kwargs={"run": run.id},
        )  # fmt: skip
    else:
        st.warning(sentence(progress.error), icon=":material/warning:")
        if may("staff") and not shop.trainings.running():
            st.button("Resume", icon=":material/play_arrow:", on_click=trying(lambda: shop.trainings.resume(run.id)))
    _curves(progress)
    if may("staff"):
        with st.popover("Delete this training", icon=":material/delete:"):
            st.write("The training and its model are deleted. A model in use is a copy and stays.")
            st.button("Delete it", type="primary", on_click=trying(lambda: shop.trainings.remove(run.id)))


def _on_record(progress: TrainingProgress) -> None:
    """Where everything about a training is kept, or how to have it kept."""
    if progress.on_record:
        short = progress.on_record[:SHORT]
        st.caption(f"On record as run `{short}`: `retail-seg runs show {short}` shows everything that is kept of it.")
    for note in progress.notes:
        st.caption(f":material/info: {plain(note)}.")


def _scores(progress: TrainingProgress) -> None:
    """What a training came to, a row a measure."""
    result = progress.result or {}
    early = "; it stopped early, as it no longer improved" if result["stopped_early"] else ""
    st.write(
        f"**{counted(result['steps'], 'step')}** in {result['seconds']:.0f} s on "
        f"{counted(len(result['photos']), 'photo')} with {counted(result['instances'], 'thing')}, "
        f"from {plain(result['start'])}{early}."
    )
    columns = {"Composed scenes": _written(result["scene_scores"])}
    if result["scores"]:
        columns = {"Photos kept to tune on": _written(result["scores"])} | columns
    if crossed := result.get("cross_validation"):
        name = f"Cross-validated, {crossed['folds']} folds"
        columns[name] = [f"{crossed['mean'][key]:.3f} ± {crossed['spread'][key]:.3f}" for key in SCORES]
    st.dataframe({"Score": list(SCORES.values())} | columns, hide_index=True, width="stretch")


def _written(scores: dict[str, float]) -> list[str]:
    return [f"{scores[key]:.3f}" for key in SCORES]


def _curves(progress: TrainingProgress) -> None:
    """Loss and score over the steps of the part under way, or of the last one."""
    losses, scores = curve(progress.lines, progress.text)
    if not len(losses):
        st.caption("The first steps are on their way; reading the photos takes a moment.")
        return
    left, right = st.columns(2)
    left.caption("Loss: how wrong it still is")
    left.line_chart({"Step": losses[:, 0], "Loss": losses[:, 1]}, x="Step", y="Loss", height=220)
    if len(scores):
        right.caption("Score on what was held back (F1 at IoU .75)")
        right.line_chart({"Step": scores[:, 0], "F1": scores[:, 1]}, x="Step", y="F1", height=220)


def _title(shop: Workshop, run: Training) -> str:
    state = shop.trainings.progress(run.id).state
    return f"{_when(run)} · {counted(len(run.photos), 'photo')} · {WORDS[state]}"


def _when(run: Training) -> str:
    return run.started[:16].replace("T", " ") + " UTC"
