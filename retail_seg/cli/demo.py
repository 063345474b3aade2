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
@click.option("--rendered", is_flag=True, help="Products and photos that a program draws, in place of a real shelf.")
@click.option(
    "--photos", default=4, show_default=True, type=click.IntRange(1, 100), help="With --rendered: how many to scan."
)
@click.pass_context
def demo(context: click.Context, store: Path, out: Path, rendered: bool, photos: int) -> None:
    """Build a small store of a real shelf's products and scan another photo of the shelf.

    The store is made of crops of one photo, so what the other shows is known: the table shows how many of each product
    there are and how many are surely or likely it. Needs no network; running it again reuses the store.
    """
    from retail_seg.demo import run_demo, run_shelf_demo, table

    if context.get_parameter_source("photos") is not click.core.ParameterSource.DEFAULT and not rendered:
        raise click.UsageError("--photos: is how many photos to draw; give it with --rendered")
    result = run_demo(store, out, photos=photos, say=say) if rendered else run_shelf_demo(store, out, say=say)
    say("")
    for line in table(result):
        say(line)
    say("")
    shown = "the photo" if len(result.reports) == 1 else f"{len(result.reports)} photos"
    counts = f"{result.counted_right} of {result.expected} facings of the store's products are sure or likely"
    say(f"{counts} in {shown}, {result.too_many} too many")
    say(f"Photos with outlines and names: {result.overlays}")
    say(f"Report (JSON Lines) and counts (CSV): {out / 'report.jsonl'}, {out / 'counts.csv'}")
    say(f"Open the app on this store: retail-seg app --store {store}")
