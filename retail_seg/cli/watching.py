"""`scan --watch`: what comes into a folder is scanned until somebody ends it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from retail_seg.cli.common import say

if TYPE_CHECKING:
    from retail_seg.errors import PhotoError
    from retail_seg.scans.watching import Handled
    from retail_seg.store.scanning import Scanned

#: Seconds between two looks into a folder in which nothing happens.
EVERY = 1.0


def watch_folder(
    folder: Path,
    store: Path,
    model: Path | None,
    json_file: Path | None,
    *,
    refuse: object,
    side: int | None,
    only: tuple[str, ...],
    workers: int | None,
    keep: bool,
    by: str,
) -> int:
    """Watch until SIGTERM or Ctrl-C; what is being scanned then comes back into the folder."""
    from retail_seg.matcher import Matcher
    from retail_seg.scans.keeping import keep as keep_scan
    from retail_seg.scans.watching import DONE, Watch
    from retail_seg.system.interrupts import sigterm_interrupts

    if refuse:
        raise click.UsageError("--csv and --overlay are of PHOTOS; of a watched folder there are only lines")
    lines = json_file or folder / DONE / "scans.jsonl"
    if json_file and not json_file.parent.is_dir():
        raise click.UsageError(f"{json_file.parent}: no such folder; make it, or write elsewhere")
    with Matcher.open(store, segmenter=model) as matcher, sigterm_interrupts():
        among = matcher.only(only)

        def scan(paths: Sequence[Path]) -> Iterator[Scanned | PhotoError]:
            return matcher.scan_each(paths, workers=workers, side=side, among=among)

        def finish(found: Scanned, path: Path) -> dict[str, Any]:
            kept_at = str((folder / DONE / path.name).resolve())
            return {"scan": keep_scan(matcher, found, path=kept_at, by=by)} if keep else {}

        try:
            with Watch(folder, scan, lines, finish=finish) as watch:
                say(f"{folder} is watched; lines go to {lines}; Ctrl-C ends it")
                watch.forever(EVERY, _tell)
        except KeyboardInterrupt:
            say("Ended; what was not finished is back in the folder.")
    return 0


def _tell(seen: Handled) -> None:
    if seen.line is None:
        say(f"{seen.name}: failed: {seen.reason}")
    else:
        say(f"{seen.name}: {sum(seen.line['counts'].values())} sure, {seen.line['unknown']} unknown")
