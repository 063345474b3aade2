"""The command group `runs`: trainings and comparisons on record, and which of their models a store uses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from retail_seg.cli.common import json_option, say, store_option
from retail_seg.cli.rows import by_option, list_rows

if TYPE_CHECKING:
    from retail_seg.runs.reading import Comparison, Run

#: Times in UTC are shown to the minute.
MINUTE = len("2026-01-01T00:00")


@click.group(invoke_without_command=True)
@json_option
@click.option("--kind", default="", help="Only these: train or compare.")
@click.option("--parts", is_flag=True, help="Those below another run as well, as the methods of a comparison.")
@click.option("--last", "limit", type=click.IntRange(1), default=50, show_default=True, help="So many at most.")
@store_option
@click.pass_context
def runs(context: click.Context, json_file: Path | None, kind: str, parts: bool, limit: int, store: Path) -> None:
    """List the trainings and comparisons on record, newest first, and say whose model the store uses.

    Every `train` and `compare`, and every training started in the app, is put on record with MLflow, where the extra
    `record` is installed: in a SQLite file in the folder RETAIL_SEG_RUNS (~/.local/share/retail-seg/runs without it),
    or on the server that MLFLOW_TRACKING_URI names. RUN is the beginning of a run's id, a run's name (the newest of
    that name) or "latest".
    """
    if context.invoked_subcommand is not None:
        return
    from retail_seg.runs import tracking
    from retail_seg.runs.reading import Runs
    from retail_seg.runs.record import origin_of
    from retail_seg.store.active_model import model_in_use

    found, used = Runs().all(kind=kind, parts=parts, limit=limit), origin_of(model_in_use(store))
    if not found:
        say(f"{tracking.place()}: no run is on record")

    def in_use(run: Run) -> bool:
        return used is not None and run.id == used.id

    def text(run: Run) -> Iterator[str]:
        return (f"{line}  (in use)" if in_use(run) else line for line in _line(run))

    for _ in list_rows(found, json_file, text=text, to_dict=lambda run: run.to_json() | {"in_use": in_use(run)}):
        pass


@runs.command()
@click.argument("run", metavar="RUN")
@json_option
def show(run: str, json_file: Path | None) -> None:
    """Show everything on record of one RUN: parameters, scores, data, code version and what it keeps."""
    from retail_seg.runs.reading import Runs

    record = Runs()
    found = record.find(run)
    kept, parts = record.artifacts(found), record.parts_of(found)
    values = found.to_json() | {"artifacts": kept, "parts": [part.to_json() for part in parts]}
    for _ in list_rows([values], json_file, text=lambda _: _whole(found, kept, parts)):
        pass


@runs.command()
@click.argument("names", metavar="RUN RUN [RUN...]", nargs=-1, required=True)
@json_option
def compare(names: tuple[str, ...], json_file: Path | None) -> None:
    """Show the parameters in which runs differ, and their scores side by side."""
    from retail_seg.runs.reading import Comparison, Runs
    from retail_seg.runs.reading import compare as side_by_side

    if len(names) < 2:
        raise click.UsageError("give at least two runs to compare")
    record = Runs()
    found = side_by_side([record.find(name) for name in names])
    for _ in list_rows([found], json_file, text=_table, to_dict=Comparison.to_json):
        pass


@runs.command()
@click.argument("run", metavar="RUN")
@store_option
@by_option
def use(run: str, store: Path, by: str) -> None:
    """Make the model of RUN the store's segmenter; the former one is kept, see `runs back`."""
    from retail_seg.runs.reading import SHORT, Runs
    from retail_seg.store.active_model import use_model

    record = Runs()
    found = record.find(run)
    with record.model_folder(found) as folder:
        use_model(store, folder, by=by)
    say(f"{store}: uses the model {found.name} of run {found.id[:SHORT]}; `retail-seg runs back` takes this back")


@runs.command()
@store_option
@by_option
def back(store: Path, by: str) -> None:
    """Let the store use the segmenter again that it used before the last switch."""
    from retail_seg.store.active_model import own_model, switch_back

    switch_back(store, by=by)
    say(f"{store}: uses {'its former segmenter' if own_model(store) else 'the shipped segmenter'} again")


def _line(run: Run) -> Iterator[str]:
    from retail_seg.runs.reading import SHORT

    score = "{} {:.3f}".format(*run.headline) if run.headline else ""
    data = run.tags.get("data", "")
    part = "  " if run.parent else ""
    yield (
        f"{part}{run.id[:SHORT]}  {run.began[:MINUTE].replace('T', ' ')}  {run.kind:8} {run.state:9} {_time(run):>8}"
        f"  {data:12}  {score:24}  {run.name}"
    ).rstrip()


def _time(run: Run) -> str:
    return "" if run.seconds is None else f"{run.seconds:.0f} s"


def _whole(run: Run, kept: list[str], parts: list[Run]) -> Iterator[str]:
    yield f"{run.name}  {run.id}"
    yield f"{run.kind}, {run.state}, began {run.began}{', took ' + _time(run) if run.seconds is not None else ''}"
    for title, values in (("", run.tags), ("Parameters", run.parameters), ("Scores", run.scores)):
        if title and values:
            yield title
        yield from (f"  {key:32} {value}" for key, value in values.items())
    if parts:
        yield "Parts"
    for part in parts:
        yield from _line(part)
    if kept:
        yield "Kept"
        yield from (f"  {path}" for path in kept)


def _table(found: Comparison) -> Iterator[str]:
    """Columns of one width, so that the names of the runs stand above their values."""
    from retail_seg.runs.reading import SHORT

    heads = [f"{run.name[:14]} {run.id[:SHORT]}" for run in found.runs]
    width = max(24, *(len(head) for head in heads))
    yield " " * 34 + "  ".join(f"{head:>{width}}" for head in heads)
    for title, rows in (("Parameters that differ", found.parameters), ("Scores", found.scores)):
        yield title if rows else f"{title}: none"
        for key, values in rows:
            cells = ("–" if value is None else str(value)[-width:] for value in values)
            yield f"  {key[:32]:32}" + "  ".join(f"{cell:>{width}}" for cell in cells)
