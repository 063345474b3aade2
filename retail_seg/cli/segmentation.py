"""Commands around segmentation: `train`, `segment`, `suggest`, `convert`, `measure`."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from retail_seg.cli.common import (
    each,
    expand,
    json_option,
    model_option,
    output,
    progress,
    say,
    side_option,
    write_json_line,
)
from retail_seg.cli.evaluate import report_selection
from retail_seg.cli.on_ray import by_ray, ray_options
from retail_seg.segmentation.network.config import TRAINABLE

if TYPE_CHECKING:
    from retail_seg.cli.training import FoldsBy
    from retail_seg.evaluation.measuring import PhotoMeasurer

PATH = click.Path(path_type=Path)
FILE = click.Path(path_type=Path, dir_okay=False)
FOLDER = click.Path(path_type=Path, file_okay=False)


@click.command()
@click.argument("photos", nargs=-1, required=True, type=PATH)
@click.option("--out", required=True, type=FOLDER, help="Folder for <stem>.png, one a photo.")
@model_option
@side_option
def segment(photos: tuple[Path, ...], out: Path, model: Path | None, side: int | None) -> int:
    """Write the instances of PHOTOS (files, or folders of photos) as 16-bit PNGs of ids, 0 = background.

    Each has the size of the upright photo.
    """
    from retail_seg.errors import RetailSegError
    from retail_seg.photos.load import load_photo
    from retail_seg.segmentation.formats.instance_png import write_ids
    from retail_seg.segmentation.training.selection import check_mask_names
    from retail_seg.store.networks import load_segmenter

    paths = list({path.resolve(): path for path in expand(photos)}.values())
    check_mask_names(paths, out)
    segmenter = load_segmenter(model)
    found = []

    def one(path: Path) -> None:
        instances = segmenter.segment(load_photo(path), side)
        write_ids(out / f"{path.stem}.png", instances.labels)
        found.append(len(instances))

    failed = each(progress(paths), one, (RetailSegError, OSError))
    say(f"{len(found)} photos with {sum(found)} instances, in {out}")
    return int(failed > 0)


@click.command()
@click.argument("photos_dir", required=False, type=PATH)
@click.option("--annotations", type=PATH, help="Folder or file of masks, outlines or boxes, any known format.")
@click.option("--manifest", type=FILE, help="In place of PHOTOS_DIR and --annotations: a file that `manifest` wrote.")
@click.option("--model", required=True, type=FOLDER, help="Folder for the model.")
@click.option("--minutes", type=click.FloatRange(0.05, 1440), help="Time at most.  [default: 9.5]")
@click.option("--seed", default=0, show_default=True, help="The same seed gives the same training.")
@click.option("--photos-list", type=PATH, help="Train only on the photos this file names, one a line.")
@click.option("--start", help="Model folder to start from, or 'none'.  [default: the shipped model]")
@click.option("--architecture", type=click.Choice(TRAINABLE), help="Another network, from nothing.  [default: unet]")
@click.option("--steps", type=click.IntRange(1), help="A fixed number of steps instead of the time: repeatable.")
@click.option("--cross-validate", is_flag=True, help="Train several times, each on other photos: scores with a spread.")
@click.option("--curve", is_flag=True, help="Train on 5, 10 and 20 photos: would more help?")
@click.option("--progress-json", type=FILE, help="Add JSON lines of steps, losses and scores here while it trains.")
@ray_options
def train(
    photos_dir: Path | None,
    annotations: Path | None,
    manifest: Path | None,
    model: Path,
    minutes: float | None,
    seed: int,
    photos_list: Path | None,
    start: str | None,
    architecture: str | None,
    steps: int | None,
    cross_validate: bool,
    curve: bool,
    progress_json: Path | None,
    engine: str,
    address: str | None,
    workers: int | None,
) -> int:
    """Train a segmenter on the few annotated photos of the folder PHOTOS_DIR, or on those of a manifest.

    Annotations: a folder of instance-id PNGs with the photos' stems (0 = background), COCO JSON, LabelMe, YOLO, Pascal
    VOC (masks or XML), Supervisely, Ground Truth, or a CSV image,label,x,y,w,h; boxes will do, and can be mixed with
    masks. Regions of the class "ignore" (COCO: iscrowd, VOC: difficult, PNG: 65535) are left out of the loss.

    Interrupted, the same call goes on where it was. The last line on stdout is JSON. The training is put on record, see
    `retail-seg runs`; the model's folder keeps the manifest of what it was trained on. With --engine ray the trainings
    of --cross-validate are done beside each other, each with its share of the cores; the model's own is done here.
    """
    from retail_seg.cli.training import nobody_else, run_training, training_set
    from retail_seg.system.threads import let_waiting_threads_sleep

    folds_by: FoldsBy = nobody_else
    if by_ray(engine, address, workers):
        from retail_seg.fleet.folds import folds_on_ray

        if not cross_validate:
            raise click.UsageError("--engine ray trains the folds of --cross-validate; name it")
        folds_by = partial(folds_on_ray, address=address, workers=workers)
    let_waiting_threads_sleep()
    data = training_set(photos_dir, annotations, photos_list, manifest)
    report_selection(data.problems, data.notes)
    settings = {"seed": seed, "steps": steps, "start": start, "minutes": minutes, "architecture": architecture}
    run_training(
        data, model, settings, cross_validate=cross_validate, curve=curve, progress_json=progress_json,
        folds_by=folds_by,
    )  # fmt: skip
    return int(bool(data.problems))


@click.command()
@click.argument("photos_dir", type=PATH)
@click.option("--annotations", type=PATH, help="Photos that are annotated here are passed over.")
@model_option
@json_option
def suggest(photos_dir: Path, annotations: Path | None, model: Path | None, json_file: Path | None) -> int:
    """Say which photos of the folder PHOTOS_DIR to annotate next: one JSON line each, the most useful first.

    A photo is the more useful, the less sure the model is of it.
    """
    from retail_seg.segmentation.training.selection import rank_by_uncertainty, unlabelled_photos
    from retail_seg.store.networks import load_segmenter

    photos = unlabelled_photos(photos_dir, annotations)
    if not photos:
        say(f"{photos_dir}: every photo is annotated")
        return 0
    segmenter = load_segmenter(model)
    with output(json_file) as out:
        ranked, errors = rank_by_uncertainty(progress(photos), segmenter.uncertainty)
        for error in errors:
            say(f"Error: {error}")
        for rank, (path, value) in enumerate(ranked, 1):
            write_json_line(out, {"rank": rank, "image": str(path), "uncertainty": round(value, 4)})
    return int(bool(errors))


@click.command()
@click.argument("source", metavar="SRC", type=PATH)
@click.option("--photos", "photos_dir", required=True, type=PATH, help="Folder of the photos.")
@click.option(
    "--to", "to", required=True, help="png, coco, labelme, yolo, voc, vocxml, supervisely, csv or groundtruth."
)
@click.option("--out", required=True, type=FOLDER, help="Folder to write to.")
def convert(source: Path, photos_dir: Path, to: str, out: Path) -> int:
    """Convert the annotations SRC, whose format is recognised, to another format; instances and classes are kept.

    Boxes stay boxes; vocxml and csv know nothing else, and get the boxes around outlines.

    The last line on stdout is JSON.
    """
    from retail_seg.photos.load import find_photos
    from retail_seg.segmentation import annotations

    loaded = annotations.convert(find_photos(photos_dir), source, to, out)
    missing = [f"{item.where}: its photo {item.photo} is not in {photos_dir}" for item in loaded.missing]
    report_selection(loaded.problems + missing, loaded.notes)
    if loaded.unannotated:
        say(f"Note: {len(loaded.unannotated)} photos have no annotation")
    say(f"{loaded.read} photos from {annotations.title(loaded.format)} to {annotations.title(to)} in {out}")
    lost = len(loaded.problems) + len(missing)
    write_json_line(sys.stdout, {"from": loaded.format, "to": to, "photos": loaded.read, "problems": lost})
    return int(lost > 0)


@click.command()
@click.argument("photos", nargs=-1, required=True, type=PATH)
@click.option("--mm-per-px", type=float, help="Millimetres per pixel.")
@click.option("--marker-mm", type=float, help="Side in mm of the black square of an ArUco or AprilTag marker in view.")
@click.option("--annotations", type=PATH, help="Measure these instances, any format, not a model's.")
@model_option
@json_option
@click.option("--csv", "csv_file", type=FILE, help="Write a row an instance here.")
def measure(
    photos: tuple[Path, ...],
    mm_per_px: float | None,
    marker_mm: float | None,
    annotations: Path | None,
    model: Path | None,
    json_file: Path | None,
    csv_file: Path | None,
) -> int:
    """Measure the instances of PHOTOS (files, or folders of photos): one JSON line a photo.

    Area, box, rotated box, ellipse, equivalent diameter and circularity of each instance, and the size distribution
    (d10, d50, d90 by count and by area); in pixels and, given a scale, in millimetres.
    """
    from retail_seg.errors import RetailSegError
    from retail_seg.evaluation.measuring import PhotoMeasurer, write_rows_csv

    if mm_per_px is not None and marker_mm is not None:
        raise click.UsageError("--mm-per-px and --marker-mm: give one of them")
    for option, value in (("--mm-per-px", mm_per_px), ("--marker-mm", marker_mm)):
        if value is not None and not 0 < value < float("inf"):
            raise click.UsageError(f"{option} {value}: give a number above 0")
    paths = expand(photos)
    measurer: PhotoMeasurer = PhotoMeasurer.over(paths, annotations, model, mm_per_px, marker_mm)
    report_selection(measurer.problems, [])
    measured = []
    with ExitStack() as files:
        out = files.enter_context(output(json_file))
        rows = files.enter_context(output(csv_file)) if csv_file else None

        def one(path: Path) -> None:
            found = measurer.measure(path)
            write_json_line(out, found)
            measured.append(found)
            report_selection([], found["notes"])

        failed = each(progress(measurer.photos), one, (RetailSegError,))
        if rows:
            write_rows_csv(measured, rows)
    return int(failed + len(measurer.problems) > 0)
