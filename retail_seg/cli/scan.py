"""Commands that read pictures and answer: `scan`, `match`, `embed`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from retail_seg.cli.common import (
    boxes_option,
    expand,
    json_option,
    model_option,
    only_option,
    output,
    progress,
    say,
    side_option,
    store_option,
    write_json_line,
)
from retail_seg.cli.on_ray import address_option, engine_option
from retail_seg.cli.rows import by_option
from retail_seg.cli.scanning import ScanCall

FILE = click.Path(path_type=Path, dir_okay=False)
FOLDER = click.Path(path_type=Path, file_okay=False)
_SCAN_OPTIONS = (
    store_option,
    model_option,
    json_option,
    click.option(
        "--watch", metavar="DIR", type=FOLDER, help="Scan what comes into this folder."
    ),
    click.option("--csv", "csv_file", type=FILE, help="Write counts per SKU here."),
    click.option("--overlay", type=FOLDER, help="Write photos with outlines here."),
    side_option,
    boxes_option,
    only_option,
    click.option("--workers", type=click.IntRange(1, 64), help="Photos decoded and segmented at once; one a core."),
    click.option("--keep", is_flag=True, help="Keep the scans in the store, for `replay`; each line has its number."),
    by_option,
    engine_option,
    address_option,
    click.option("--out", type=FOLDER, help="Of Ray: folder of reports; they say what is done."),
    click.option(
        "--format", "form", type=click.Choice(["parquet", "jsonl"]), default="parquet", show_default=True,
        help="Of what lies in --out.",
    ),
    click.option(
        "--limit", default=120.0, show_default=True, type=click.FloatRange(0.1), help="Seconds a photo of Ray may take."
    ),
    click.option("--again", is_flag=True, help="Try those photos of --out once more that failed."),
)  # fmt: skip


def _scan_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(_SCAN_OPTIONS):
        command = option(command)
    return command


@click.command()
@click.argument("photos", nargs=-1)
@_scan_options
def scan(**given: Any) -> int:
    """Count the products in PHOTOS (files, or folders of photos): one JSON line a photo.

    With --watch, scan each photo that comes into DIR, until Ctrl-C: it lies in DIR/done then, or in DIR/failed beside
    the reason, and its line stands in DIR/done/scans.jsonl, or in --json. Several watchers may share a folder.

    Each line holds the instances (box, outline, SKU, probability, candidates), how many are sure (counts) and likely
    per SKU, how many are unknown, and how many of each SKU to expect, with the range of 80 %.

    With --engine ray, PHOTOS are files, folders with all below them, lists (.txt, one address a line) and addresses
    such as s3://…; the lines lie in --out, in the folders shop=…/day=… that the photos' addresses have. The same call
    goes on where it stopped.
    """
    return ScanCall(**given).run()


@click.command()
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path))
@store_option
@click.option("--top", default=5, show_default=True, type=click.IntRange(1, 100), help="Candidates per picture.")
@only_option
@json_option
def match(images: tuple[Path, ...], store: Path, top: int, only: tuple[str, ...], json_file: Path | None) -> int:
    """Name the one product that each of IMAGES shows (no segmentation): one JSON line a picture.

    IMAGES are files, folders of photos, or lists: CSV with columns image[,label][,x,y,w,h], paths relative to the list,
    an empty box is the whole picture. Of a list, each line also holds the label and the box.
    """
    from retail_seg.errors import PhotoError
    from retail_seg.matcher import Matcher
    from retail_seg.store.crop_lists import as_rows, load_crops
    from retail_seg.store.enrolment import REFERENCE_SIDE

    rows = as_rows(expand(images))
    failed = 0
    with Matcher.open(store) as matcher, output(json_file) as out:
        among = matcher.only(only)
        for at, crop in progress(load_crops(rows, REFERENCE_SIDE), total=len(rows), unit=" picture"):
            if isinstance(crop, PhotoError):
                say(f"Error: {crop}")
                failed += 1
                continue
            found = matcher.match([crop], top=top, among=among)[0]
            write_json_line(out, {**rows[at].to_dict(), **found.to_dict(), **matcher.versions(segmented=False)})
    return int(failed > 0)


@click.command()
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path, dir_okay=False), help="The .npz file to write.")
@click.option("--embedder", default="retail-vgg", show_default=True, help="retail-vgg or vgg16.")
@click.option("--weights", type=click.Path(path_type=Path), help="Weights of the embedder, for closed networks.")
def embed(images: tuple[Path, ...], out: Path, embedder: str, weights: Path | None) -> int:
    """Write the vectors of IMAGES to a .npz: "vectors" (n, d) float32 of unit length, "images" and "labels" (n,).

    IMAGES are files, folders of photos, or lists: CSV with columns image[,label][,x,y,w,h], paths relative to the list,
    an empty box is the whole picture. The order is kept; a picture that cannot be read is left out, and said.
    """
    from retail_seg.store.crop_lists import as_rows
    from retail_seg.store.embedding import embed_pictures, write_vectors
    from retail_seg.store.networks import load_embedder

    rows = as_rows(expand(images))
    done, vectors, errors = embed_pictures(
        load_embedder(embedder, weights), rows, progress=lambda crops: progress(crops, total=len(rows), unit=" picture")
    )
    for error in errors:
        say(f"Error: {error}")
    if done:
        write_vectors(out, vectors, done)
        say(f"{len(done)} vectors of {vectors.shape[1]} numbers in {out}")
    return int(bool(errors))
