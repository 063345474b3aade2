"""`scan --engine ray`: photos scanned by workers on one machine or many, into a folder of reports."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from retail_seg.cli.common import say

if TYPE_CHECKING:
    from retail_seg.fleet.scanning import RunProgress

#: Seconds between two lines on how far a run is.
EVERY = 10.0
_OPTIONS = (
    click.option(
        "--engine",
        type=click.Choice(["threads", "ray"]),
        default="threads",
        show_default=True,
        help="ray: workers on one machine or many; reports go to --out, and the same call goes on where it stopped.",
    ),
    click.option("--address", metavar="HOST:PORT", help="Cluster of Ray; without it one starts here."),
    click.option(
        "--out", type=click.Path(path_type=Path, file_okay=False), help="Folder of reports; they say what is done."
    ),
    click.option(
        "--format", "form", type=click.Choice(["parquet", "jsonl"]), default="parquet", show_default=True,
        help="Of what lies in --out.",
    ),
    click.option(
        "--limit", default=120.0, show_default=True, type=click.FloatRange(0.1), help="Seconds a photo may take."
    ),
    click.option("--again", is_flag=True, help="Try those photos of --out once more that failed."),
)  # fmt: skip


def ray_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of `scan` that are Ray's."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def scan_on_ray(
    sources: tuple[str, ...],
    store: Path,
    model: Path | None,
    boxes: Path | None,
    *,
    out: Path | None,
    form: str,
    address: str | None,
    workers: int | None,
    limit: float,
    again: bool,
    side: int | None,
    only: tuple[str, ...],
    refuse: object,
) -> int:
    """Scan all photos of the sources; 1 where some failed, which stand in `failed.csv` with the reason."""
    from retail_seg.fleet.pool import Care
    from retail_seg.fleet.results import FAILED
    from retail_seg.fleet.scanning import ScanOrder, scan_photos
    from retail_seg.fleet.sources import listed
    from retail_seg.matcher import Matcher

    if out is None:
        raise click.UsageError("--engine ray writes a folder of reports; name it with --out")
    if refuse:
        raise click.UsageError("--engine ray writes reports to --out alone; leave --json, --csv, --overlay, --keep out")
    photos = listed(sources)
    with Matcher.open(store) as matcher:
        among = matcher.only(only)
    asked = ScanOrder(store.absolute(), model and model.absolute(), boxes and boxes.absolute(), side, among)
    told = scan_photos(
        asked,
        photos,
        out,
        form=form,
        address=address,
        workers=workers,
        care=Care(limit),
        again=again,
        on_told=_Teller(),
    )
    known = told.before + told.known
    say(f"{out}: {told.done} photos scanned, {known} were known, {told.failed} failed; {told.a_minute:.0f} a minute")
    if told.failed:
        say(f"{out / FAILED}: says why; --again tries them once more")
    return int(told.failed > 0)


class _Teller:
    """Says now and then how far a run is."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def __call__(self, told: RunProgress) -> None:
        if time.monotonic() - self._last < EVERY:
            return
        self._last = time.monotonic()
        so_far = told.before + told.done + told.known + told.failed
        hours, minutes = divmod(round(told.left / 60), 60)
        say(
            f"{so_far:,} of {told.total:,} photos, {told.failed} failed, {told.a_minute:.0f} a minute, "
            f"{hours} h {minutes:02} min left"
        )
