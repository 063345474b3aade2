"""The command for a first look: `demo`."""

from __future__ import annotations

from pathlib import Path

import click

from retail_seg.cli.common import say


@click.command()
@click.option(
    "--store",
    default="demo-store",
    show_default=True,
    type=click.Path(path_type=Path),
    help="Folder of the demo store; one that is not the demo's own is refused.",
)
@click.option(
    "--out",
    default="demo-out",
    show_default=True,
    type=click.Path(path_type=Path),
    help="Folder for photos, overlays, report and counts.",
)
@click.option("--photos", default=4, show_default=True, type=click.IntRange(1, 100), help="How many photos to scan.")
def demo(store: Path, out: Path, photos: int) -> None:
    """Build a small store of rendered products and scan photos of it.

    The photos are rendered too, so the truth is known: the table shows how many of each product there are and how many
    are surely or likely it. Needs no network; running it again reuses the store.
    """
    from retail_seg.demo import run_demo, table

    result = run_demo(store, out, photos=photos, say=say)
    say("")
    for line in table(result):
        say(line)
    say("")
    say(f"{result.counted_right} of {result.expected} products sure or likely, and right, in {photos} photos")
    say(f"Photos with outlines and names: {result.overlays}")
    say(f"Report (JSON Lines) and counts (CSV): {out / 'report.jsonl'}, {out / 'counts.csv'}")
    say(f"Open the app on this store: retail-seg app --store {store}")
