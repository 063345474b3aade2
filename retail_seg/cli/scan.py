"""Commands that read pictures and answer: `scan`, `match`, `embed`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from retail_seg.cli.common import (
    boxes_option,
    json_option,
    model_option,
    only_option,
    output,
    progress,
    say,
    segmenter_of,
    side_option,
    store_option,
    write_json_line,
)
from retail_seg.cli.on_ray import ray_options, scan_on_ray
from retail_seg.cli.rows import by_option

if TYPE_CHECKING:
    import numpy as np

    from retail_seg.report import Report


watch_option = click.option(
    "--watch", metavar="DIR", type=click.Path(path_type=Path, file_okay=False), help="Scan what comes into this folder."
)


@click.command()
@click.argument("photos", nargs=-1)
@store_option
@model_option
@json_option
@watch_option
@click.option("--csv", "csv_file", type=click.Path(path_type=Path, dir_okay=False), help="Write counts per SKU here.")
@click.option("--overlay", type=click.Path(path_type=Path, file_okay=False), help="Write photos with outlines here.")
@side_option
@boxes_option
@only_option
@click.option("--workers", type=click.IntRange(1, 64), help="Photos decoded and segmented at once; one a core.")
@click.option("--keep", is_flag=True, help="Keep the scans in the store, for `replay`; each line then has its number.")
@by_option
@ray_options
def scan(
    photos: tuple[str, ...],
    store: Path,
    model: Path | None,
    json_file: Path | None,
    watch: Path | None,
    csv_file: Path | None,
    overlay: Path | None,
    side: int | None,
    boxes: Path | None,
    only: tuple[str, ...],
    workers: int | None,
    keep: bool,
    by: str,
    engine: str,
    address: str | None,
    out: Path | None,
    form: str,
    limit: float,
    again: bool,
) -> int:
    """Count the products in PHOTOS (files, or folders of photos): one JSON line a photo.

    With --watch, scan each photo that comes into DIR, until Ctrl-C: it lies in DIR/done then, or in DIR/failed beside
    the reason, and its line stands in DIR/done/scans.jsonl, or in --json. Several watchers may share a folder.

    Each line holds the instances (box, outline, SKU, probability, candidates), how many are sure (counts) and likely
    per SKU, how many are unknown, and how many of each SKU to expect, with the range of 80 %.

    With --engine ray, PHOTOS are files, folders with all below them, lists (.txt, one address a line) and addresses
    such as s3://…; the lines lie in --out, in the folders shop=…/day=… that the photos' addresses have.
    """
    from retail_seg.errors import PhotoError
    from retail_seg.matcher import Matcher
    from retail_seg.report import write_counts_csv
    from retail_seg.scans.keeping import keep as keep_scan
    from retail_seg.store.among import kept_choice

    if not (photos or watch):
        raise click.UsageError("Missing argument PHOTOS; name some, or a folder with --watch")
    if photos and watch:
        raise click.UsageError("--watch DIR takes no PHOTOS beside it; give one of both")
    if watch and engine != "threads":
        raise click.UsageError("--watch scans here, in threads; leave --engine out")
    if watch:
        from retail_seg.cli.watching import watch_folder

        return watch_folder(
            watch, store, model, json_file, refuse=csv_file or overlay, side=side, only=only, workers=workers,
            keep=keep, by=by,
        )  # fmt: skip
    if engine == "ray":
        return scan_on_ray(
            photos, store, model, boxes, out=out, form=form, address=address, workers=workers, limit=limit,
            again=again, side=side, only=only, refuse=json_file or csv_file or overlay or keep,
        )  # fmt: skip
    if address or out or again:
        raise click.UsageError("--address, --out and --again are of --engine ray; name it")
    reports: list[Report] = []
    overlays = Overlays(overlay)
    failed = 0
    with Matcher.open(store, segmenter=segmenter_of(model, boxes)) as matcher, output(json_file) as lines:
        paths, among = expand([Path(photo) for photo in photos]), matcher.only(only)
        chosen = kept_choice(only, among)
        scanned = progress(matcher.scan_each(paths, workers=workers, side=side, among=among), total=len(paths))
        for path, found in zip(paths, scanned, strict=True):
            if isinstance(found, PhotoError):
                say(f"Error: {found}")
                failed += 1
                continue
            kept: dict[str, int] = {}
            if keep:
                kept["scan"] = keep_scan(matcher, found, path=str(path.resolve()), by=by, details=chosen)
            write_json_line(lines, {**found.report.to_dict(), **kept})
            reports.append(found.report)
            overlays.write(path, found.seen.picture, found.report)
        if csv_file:
            with output(csv_file) as file:
                write_counts_csv(reports, file)
    _say_summary(reports, failed)
    return int(failed > 0)


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


class Overlays:
    """Writes overlay PNGs into a folder; two photos of one name get two files."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self.taken: set[str] = set()
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)

    def write(self, path: Path, photo: np.ndarray, report: Report) -> None:
        """Draw `report` on `photo` (h, w, 3) uint8, at the report's size, and save it as <stem>.png."""
        import cv2

        from retail_seg.photos.draw import draw
        from retail_seg.photos.load import save_png

        if self.folder is None:
            return
        if photo.shape[1::-1] != (report.width, report.height):  # a very large photo that was decoded smaller
            photo = cv2.resize(photo, (report.width, report.height), interpolation=cv2.INTER_LINEAR)
        stem, n = path.stem, 2
        while stem in self.taken:
            stem, n = f"{path.stem}-{n}", n + 1
        self.taken.add(stem)
        save_png(self.folder / f"{stem}.png", draw(photo, report))


def expand(paths: Sequence[Path]) -> list[Path]:
    """The paths, with each folder replaced by the photos in it."""
    from retail_seg.photos.load import find_photos

    found: list[Path] = []
    for path in paths:
        found.extend(find_photos(path) if path.is_dir() else [path])
    return found


def _say_summary(reports: list[Report], failed: int) -> None:
    sure = sum(sum(r.counts.values()) for r in reports)
    likely = sum(sum(r.likely.values()) for r in reports)
    unknown = sum(r.unknown for r in reports)
    tail = f"; {failed} could not be scanned" if failed else ""
    say(f"{len(reports)} photos: {sure} products sure, {likely} likely, {unknown} unknown{tail}")
