"""Commands that look after a store: `log`, `undo`, `health`, `backup`, `restore`, `replay`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from retail_seg.cli.common import each, json_option, output, progress, say, store_option, write_json_line
from retail_seg.cli.rows import by_option, list_rows

if TYPE_CHECKING:
    from catalogue.history import Change


@click.command()
@store_option
@click.option("--sku", default="", help="Only changes of this product.")
@click.option("--last", default=50, show_default=True, type=click.IntRange(1), help="How many changes to show.")
@json_option
def log(store: Path, sku: str, last: int, json_file: Path | None) -> None:
    """Show who changed what and when, the latest change first."""
    from catalogue.history import log as read
    from retail_seg.store.opening import open_catalogue

    with open_catalogue(store) as catalogue:
        count = sum(1 for _ in list_rows(read(catalogue, sku=sku, limit=last), json_file, to_dict=_row, text=_text))
    say(f"{count} changes")


@click.command()
@click.argument("number", type=int)
@store_option
@by_option
def undo(number: int, store: Path, by: str) -> None:
    """Take back the change NUMBER of the log; when this returns, searches no longer see it."""
    from retail_seg.matcher import Matcher

    with Matcher.open(store) as matcher:
        change = matcher.undo(number, by=by)
    say(f"Change {number} is taken back by change {change.id}:")
    for line in _text(change):
        say(line)


@click.command()
@store_option
@json_option
def health(store: Path, json_file: Path | None) -> None:
    """Say what weakens the catalogue: the report as JSON, and as a table on stderr."""
    from index.calibration import ONE_REFERENCE
    from retail_seg.products.health import as_rows, check_health
    from retail_seg.store.opening import open_catalogue

    with open_catalogue(store) as catalogue:
        found = check_health(catalogue, progress=lambda items, total: progress(items, total=total, unit=""))
    with output(json_file) as out:
        write_json_line(out, asdict(found))
    say(f"{store}: {found.products} products with {found.references} references")
    rows = as_rows(found)
    for heading, line in rows:
        say(f"{heading:16} {line}")
    if found.mostly_one_reference:
        say(ONE_REFERENCE)
    if not rows:
        say("Nothing weakens it.")


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@store_option
def backup(file: Path, store: Path) -> None:
    """Copy the store with its own models and annotated photos to a new FILE, while others go on using it."""
    from retail_seg.store.backup import back_up
    from retail_seg.store.opening import open_catalogue

    with open_catalogue(store) as catalogue:
        back_up(catalogue, file)
        say(f"{file}: {catalogue.count_products()} products, {file.stat().st_size / 2**20:.1f} MB")


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@store_option
def restore(file: Path, store: Path) -> None:
    """Make a store from the backup FILE; the store's folder must be new or empty."""
    from catalogue.listing import Filter
    from retail_seg.matcher import Matcher
    from retail_seg.products import browsing
    from retail_seg.store.backup import bring_back

    bring_back(file, store)
    with Matcher.open(store) as matcher:
        say(f"{store}: {browsing.count(matcher, Filter())} products are back")


@click.command()
@click.argument("numbers", metavar="SCAN...", nargs=-1, required=True, type=int)
@store_option
@json_option
def replay(numbers: tuple[int, ...], store: Path, json_file: Path | None) -> int:
    """Match the crops of kept scans against today's catalogue; one JSON line each says which counts change."""
    from catalogue.errors import UnknownScan
    from retail_seg.matcher import Matcher
    from retail_seg.scans.replay import replay as match_again

    with Matcher.open(store) as matcher, output(json_file) as out:

        def one(number: int) -> None:
            found = match_again(matcher, number)
            write_json_line(out, asdict(found))
            changes = ", ".join(f"{sku or 'unknown'} {then} -> {now}" for sku, then, now in found.counts)
            say(f"scan {number} ({found.image}): {changes or 'the same counts'}")

        return int(each(numbers, one, (UnknownScan,)) > 0)


def _row(change: Change) -> dict[str, Any]:
    return {**asdict(change), "fields": [list(field) for field in change.fields()]}


def _text(change: Change) -> Iterator[str]:
    undone = f" (taken back by {change.undone_by})" if change.undone_by else ""
    undoes = f" {change.undoes}" if change.undoes else ""
    yield f"{change.id:6} {change.at[:19]} {change.by or '-'}: {change.action}{undoes} {change.sku}{undone}"
    yield from (f"           {field}: {old!r} -> {new!r}" for field, old, new in change.fields())
    for what, ids in (("added", change.added), ("removed", change.removed)):
        if ids:
            yield f"           references {what}: {', '.join(map(str, ids))}"
