"""The three ways behind `scan`: here and now, a watched folder, and workers of Ray."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from retail_seg.cli.common import expand, output, progress, say, segmenter_of, write_json_line
from retail_seg.cli.on_ray import HERE, RAY, Teller

if TYPE_CHECKING:
    import numpy as np

    from retail_seg.report import Report


@dataclass(frozen=True)
class ScanCall:
    """What `scan` was given, under the names that its options have."""

    photos: tuple[str, ...]
    store: Path
    model: Path | None
    json_file: Path | None
    watch: Path | None
    csv_file: Path | None
    overlay: Path | None
    side: int | None
    boxes: Path | None
    only: tuple[str, ...]
    workers: int | None
    keep: bool
    by: str
    engine: str
    address: str | None
    out: Path | None
    form: str
    limit: float
    again: bool

    def run(self) -> int:
        """Scan in the way that was asked for; UsageError for what cannot be meant."""
        if not (self.photos or self.watch):
            raise click.UsageError("Missing argument PHOTOS; name some, or a folder with --watch")
        if self.photos and self.watch:
            raise click.UsageError("--watch DIR takes no PHOTOS beside it; give one of both")
        if self.watch and self.engine != HERE:
            raise click.UsageError("--watch scans here; leave --engine out")
        if self.engine == RAY:
            return _scan_on_ray(self)
        if self.address or self.out or self.again:
            raise click.UsageError("--address, --out and --again are of --engine ray; name it")
        return _watched(self, self.watch) if self.watch else _scan_here(self)


def _scan_here(asked: ScanCall) -> int:
    """Scan photo by photo; 1 where some could not be scanned."""
    from retail_seg.errors import PhotoError
    from retail_seg.matcher import Matcher
    from retail_seg.report import write_counts_csv
    from retail_seg.scans.keeping import keep as keep_scan
    from retail_seg.store.among import kept_choice

    reports: list[Report] = []
    overlays = Overlays(asked.overlay)
    failed = 0
    segmenter = segmenter_of(asked.model, asked.boxes)
    with Matcher.open(asked.store, segmenter=segmenter) as matcher, output(asked.json_file) as lines:
        paths, among = expand([Path(photo) for photo in asked.photos]), matcher.only(asked.only)
        chosen = kept_choice(asked.only, among)
        scanned = matcher.scan_each(paths, workers=asked.workers, side=asked.side, among=among)
        for path, found in zip(paths, progress(scanned, total=len(paths)), strict=True):
            if isinstance(found, PhotoError):
                say(f"Error: {found}")
                failed += 1
                continue
            kept: dict[str, int] = {}
            if asked.keep:
                kept["scan"] = keep_scan(matcher, found, path=str(path.resolve()), by=asked.by, details=chosen)
            write_json_line(lines, {**found.report.to_dict(), **kept})
            reports.append(found.report)
            overlays.write(path, found.seen.picture, found.report)
        if asked.csv_file:
            with output(asked.csv_file) as file:
                write_counts_csv(reports, file)
    _say_summary(reports, failed)
    return int(failed > 0)


def _watched(asked: ScanCall, folder: Path) -> int:
    from retail_seg.cli.watching import watch_folder

    return watch_folder(
        folder, asked.store, asked.model, asked.json_file, refuse=asked.csv_file or asked.overlay, side=asked.side,
        only=asked.only, workers=asked.workers, keep=asked.keep, by=asked.by,
    )  # fmt: skip


def _scan_on_ray(asked: ScanCall) -> int:
    """Scan all photos of the sources; 1 where some failed, which stand in `failed.csv` with the reason."""
    from retail_seg.fleet.pool import Care
    from retail_seg.fleet.results import FAILED
    from retail_seg.fleet.scanning import ScanOrder, scan_photos
    from retail_seg.fleet.sources import listed
    from retail_seg.matcher import Matcher

    out = asked.out
    if out is None:
        raise click.UsageError("--engine ray writes a folder of reports; name it with --out")
    if asked.json_file or asked.csv_file or asked.overlay or asked.keep:
        raise click.UsageError("--engine ray writes reports to --out alone; leave --json, --csv, --overlay, --keep out")
    photos = listed(asked.photos)
    with Matcher.open(asked.store) as matcher:
        among = matcher.only(asked.only)
    model, boxes = (path and path.absolute() for path in (asked.model, asked.boxes))
    told = scan_photos(
        ScanOrder(asked.store.absolute(), model, boxes, asked.side, among), photos, out, form=asked.form,
        address=asked.address, workers=asked.workers, care=Care(asked.limit), again=asked.again,
        on_told=Teller("photos"),
    )  # fmt: skip
    known = told.before + told.known
    say(f"{out}: {told.done} photos scanned, {known} were known, {told.failed} failed; {told.a_minute:.0f} a minute")
    if told.failed:
        say(f"{out / FAILED}: says why; --again tries them once more")
    return int(told.failed > 0)


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


def _say_summary(reports: list[Report], failed: int) -> None:
    sure = sum(sum(r.counts.values()) for r in reports)
    likely = sum(sum(r.likely.values()) for r in reports)
    unknown = sum(r.unknown for r in reports)
    tail = f"; {failed} could not be scanned" if failed else ""
    say(f"{len(reports)} photos: {sure} products sure, {likely} likely, {unknown} unknown{tail}")
