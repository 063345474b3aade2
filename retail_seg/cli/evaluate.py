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
    share of photos with the exact count, mean error of the count, seconds per photo. Where the truth is boxes, an
    instance is matched by the box around it; `by_boxes` counts them.
    """
    from retail_seg.evaluation.segmentation import evaluate_segmentation
    from retail_seg.segmentation.training.selection import select_annotated
    from retail_seg.store.networks import load_segmenter

    segmenter = load_segmenter(model)
    selection = select_annotated(photos, annotations, photos_list)
    report_selection(selection.problems, selection.notes)
    result = evaluate_segmentation(segmenter.segment, progress(selection.annotated))
    say(result.table())
    names = {"model": segmenter.name, "fingerprint": segmenter.fingerprint, "left_out": len(selection.problems)}
    write_json_line(sys.stdout, result.to_dict() | names)
    return int(bool(selection.problems))


@evaluate.command()
@click.argument("gallery", type=click.Path(path_type=Path, dir_okay=False), required=False)
@click.argument("queries", type=click.Path(path_type=Path, dir_okay=False), required=False)
@click.option(
    "--store",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Instead of lists: the facings of this store's kept scans that people confirmed or corrected.",
)
@click.option("--embedder", "embedders", multiple=True, default=("retail-vgg",), show_default=True, help="Repeatable.")
@click.option("--weights", type=click.Path(path_type=Path), help="A local file of the embedder's weights.")
@click.option("--precision", default=0.95, show_default=True, help="Share of the sure answers that are to be right.")
@click.option("--likely", default=0.5, show_default=True, help="Probability from which on an answer is called likely.")
@click.option("--strangers", default=0.1, show_default=True, help="Share of crops that show no product of the gallery.")
@click.option("--false-accept-rate", type=float, help="Of the strangers at most this share may be called sure.")
@click.option("--plot", type=click.Path(path_type=Path, file_okay=False), help="Write plots (PNG) to this folder.")
@click.option(
    "--seen",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A file of labels, one a line, that the embedder was trained with: they are scored apart from the others.",
)
def retrieval(
    gallery: Path | None,
    queries: Path | None,
    store: Path | None,
    embedders: tuple[str, ...],
    weights: Path | None,
    precision: float,
    likely: float,
    strangers: float,
    false_accept_rate: float | None,
    plot: Path | None,
    seen: Path | None,
) -> int:
    """Score how well a store of the pictures in GALLERY names those in QUERIES.

    Both are CSV with columns image,label[,x,y,w,h]; paths are relative to the file, an empty box is the whole picture.
    With --store a store is asked what people checked in its kept scans, by what its settings state.
    Tables go to stderr; the last line on stdout is JSON, a list of one entry an embedder.
    """
    if store is not None:
        return own_scans(store, plot, lists=gallery is not None)
    if gallery is None or queries is None:
        raise click.UsageError("give GALLERY and QUERIES, or --store")
    from index.calibration import Policy
    from retail_seg.evaluation.plots import plot_recall, plot_reliability, plot_risk_coverage
    from retail_seg.evaluation.retrieval import evaluate_retrieval
    from retail_seg.store.crop_lists import read_labelled_crops
    from retail_seg.store.networks import load_embedder

    policy = Policy(precision, likely, strangers, false_accept_rate)
    rows, asked = read_labelled_crops(gallery), read_labelled_crops(queries)
    trained_with = {line.strip() for line in seen.read_text(encoding="utf-8-sig").splitlines()} if seen else set()
    results, failed = [], 0
    for name in dict.fromkeys(embedders):
        result, errors = evaluate_retrieval(
            rows,
            asked,
            load_embedder(name, weights),
            policy=policy,
            seen=trained_with,
            progress=lambda items, total: progress(items, total=total, unit=" crop"),
        )
        for error in errors:
            say(f"Error: {error}")
        failed += len(errors)
        say(result.table())
        results.append(result)
        if plot:
            plot_reliability(result, plot / f"reliability-{name}.png")
            plot_risk_coverage(result, plot / f"risk-coverage-{name}.png")
    if plot:
        plot_recall(results, plot / "recall.png")
    write_json_line(sys.stdout, [result.to_dict() for result in results])
    return int(failed > 0)


def own_scans(store: Path, plot: Path | None, *, lists: bool) -> int:
    """Score a store on its own checked facings."""
    from retail_seg.evaluation.own_scans import evaluate_own_scans
    from retail_seg.evaluation.plots import plot_risk_coverage_of
    from retail_seg.matcher import Matcher

    if lists:
        raise click.UsageError("give GALLERY and QUERIES, or --store, not both")
    with Matcher.open(store) as matcher:
        result = evaluate_own_scans(matcher)
    say(result.table())
    if plot:
        shown = {"checked facings": result.answers}
        path = plot / f"risk-coverage-{store.resolve().name}.png"
        plot_risk_coverage_of(shown, result.embedder, result.policy.precision, path)
    write_json_line(sys.stdout, [result.to_dict()])
    return 0


def report_selection(problems: list[str], notes: list[str]) -> None:
    """Say what was lost and what was odd."""
    for problem in problems:
        say(f"Error: {problem}")
    for note in notes:
        say(f"Note: {note}")
