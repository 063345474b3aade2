"""Commands for a first look: `demo` and `app`."""

from __future__ import annotations

from pathlib import Path

import click

from retail_seg.cli.common import say, store_option


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
    were counted. Needs no network; running it again reuses the store.
    """
    from retail_seg.demo import run_demo, table

    result = run_demo(store, out, photos=photos, say=say)
    say("")
    for line in table(result):
        say(line)
    say("")
    say(f"{result.counted_right} of {result.expected} products counted right in {photos} photos")
    say(f"Photos with outlines and names: {result.overlays}")
    say(f"Report (JSON Lines) and counts (CSV): {out / 'report.jsonl'}, {out / 'counts.csv'}")
    say(f"Open the app on this store: retail-seg app --store {store}")


@click.command()
@store_option
@click.option("--port", default=8501, show_default=True, type=click.IntRange(1, 65535), help="Port on this computer.")
def app(store: Path, port: int) -> None:
    """Open the web app on a store, for this computer only; Ctrl-C ends it."""
    import os
    import sys

    from retail_seg.demo import app_file, check_store

    check_store(store)
    settings = {
        "server.address": "localhost",
        "server.port": str(port),
        "server.headless": "true",
        "server.maxUploadSize": "200",
        "browser.gatherUsageStats": "false",
        "client.toolbarMode": "minimal",
        "client.showErrorDetails": "none",
        "theme.primaryColor": "#0b6e4f",
    }
    options = [f"--{key}={value}" for key, value in settings.items()]
    environment = {**os.environ, "RETAIL_SEG_STORE": str(store.absolute())}
    say(f"The app shows {store} at http://localhost:{port}; Ctrl-C ends it")
    # -P keeps the working directory off the import path: a folder `index/` there must not stand in for ours
    command = [sys.executable, "-P", "-m", "streamlit", "run", str(app_file()), *options]
    os.execve(sys.executable, command, environment)  # in this process's place, so that ending it ends the app
