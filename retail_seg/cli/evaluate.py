"""The command group `evaluate`: scores on labelled photos, a table for people and one JSON line for programs."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from retail_seg.cli.common import model_option, progress, say, write_json_line


@click.group()
def evaluate() -> None:
    """Score segmentation or retrieval on labelled photos."""


@evaluate.command()
@click.argument("photos", type=click.Path(path_type=Path))
@click.option("--annotations", required=True, type=click.Path(path_type=Path), help="The true instances, any format.")
@click.option("--photos-list", type=click.Path(path_type=Path), help="Score only the photos this file names.")
@model_option
def segmentation(photos: Path, annotations: Path, photos_list: Path | None, model: Path | None) -> int:
    """Score a segmenter on the annotated ones of the folder PHOTOS.

    A table goes to stderr; the last line on stdout is JSON: foreground IoU, Dice, F1 at IoU .5, .75 and .9, AP, PQ,
    share of photos with the exact count, mean error of the count, seconds per photo.
    """
    from retail_seg.evaluate import evaluate_segmentation
    from retail_seg.segmentation.segmenter import Segmenter
    from retail_seg.segmentation.selection import select_annotated

    segmenter = Segmenter.load(model)
    selection = select_annotated(photos, annotations, photos_list)
    report_selection(selection.problems, selection.notes)
    result = evaluate_segmentation(segmenter.segment, progress(selection.annotated))
    say(result.table())
    names = {"model": segmenter.name, "fingerprint": segmenter.fingerprint, "left_out": len(selection.problems)}
    write_json_line(sys.stdout, result.to_dict() | names)
    return int(bool(selection.problems))


def report_selection(problems: list[str], notes: list[str]) -> None:
    """Say what was lost and what was odd."""
    for problem in problems:
        say(f"Error: {problem}")
    for note in notes:
        say(f"Note: {note}")
