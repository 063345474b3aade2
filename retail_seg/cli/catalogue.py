"""Commands around products: `import`, `export`, `products`, `search`, `show`, `remove`, `undelete`."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from retail_seg.cli.common import json_option, output, say, store_option, write_json_line
from retail_seg.cli.on_ray import by_ray, ray_options
from retail_seg.cli.rows import by_option, list_rows

if TYPE_CHECKING:
    from catalogue import Catalogue, Product
    from catalogue.importing import ImportFile, Outcome
    from retail_seg.matcher import Matcher
    from retail_seg.store.importing import PictureWork


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@store_option
@click.option("--dry-run", is_flag=True, help="Only show what would change.")
@click.option("--replace", is_flag=True, help="Apply changed fields of products that are there already.")
@click.option("--fetch", is_flag=True, help="Get pictures that are web addresses (20 MB, 20 s, no private networks).")
@click.option(
    "--column",
    "columns",
    metavar="OURS=ITS",
    multiple=True,
    help="What a column of ours (sku, name, brand, category, gtin, image) is called in FILE; remembered for its like.",
)
@by_option
@json_option
@ray_options
def import_(
    file: Path,
    store: Path,
    dry_run: bool,
    replace: bool,
    fetch: bool,
    columns: tuple[str, ...],
    by: str,
    json_file: Path | None,
    engine: str,
    address: str | None,
    workers: int | None,
) -> int:
    """Add products and reference pictures from FILE.

    FILE is a table (columns sku,name,brand,category,gtin,image; or as Google Product Search, Google Merchant or Open
    Food Facts write it; or JSON Lines), a folder with one folder of pictures per SKU, or a zip of any of these. Each
    product is one transaction: interrupted and run again, the import ends in the same state.
    """
    from retail_seg.matcher import Matcher
    from retail_seg.store import importing
    from retail_seg.store.opening import open_catalogue

    on_ray = by_ray(engine, address, workers)
    if dry_run and on_ray:
        raise click.UsageError("--dry-run embeds nothing; leave --engine ray out")
    with open_catalogue(store) as catalogue:
        found = _read(catalogue, file, columns)
    _say_file(file, found)
    tally = Tally(dry_run, refused=len(found.refused))

    def follow(run: Iterable[Outcome]) -> None:
        outcomes = _with_progress(run, found.pictures)
        for outcome in list_rows(outcomes, json_file, text=_diff, to_dict=asdict, always_text=True):
            tally.add(outcome)

    if dry_run:
        with open_catalogue(store) as catalogue:
            follow(importing.plan(catalogue, found, replace=replace, fetch=fetch))
    else:
        with Matcher.open(store) as matcher, _embedders(matcher, on_ray, address, workers) as elsewhere:
            follow(importing.apply_to(matcher, found, replace=replace, fetch=fetch, by=by, elsewhere=elsewhere))
    say(tally.summary())
    return int(tally.refused > 0)


def _embedders(
    matcher: Matcher, on_ray: bool, address: str | None, workers: int | None
) -> AbstractContextManager[PictureWork | None]:
    """Who embeds an import's pictures; None: this process."""
    if not on_ray:
        return nullcontext()
    from retail_seg.fleet.embedding import embedding_on_ray

    return embedding_on_ray(matcher, address=address, workers=workers)


def _read(catalogue: Catalogue, file: Path, columns: tuple[str, ...]) -> ImportFile:
    """What an import's file wants; where its columns are unknown, the sentence says how to name them."""
    from catalogue.errors import ImportFileError, UnknownColumns
    from catalogue.mapping import FIELDS
    from retail_seg.store import importing

    chosen = dict(column.split("=", 1) for column in columns if "=" in column)
    if len(chosen) < len(columns) or set(chosen) - set(FIELDS):
        raise click.UsageError(f"--column takes OURS=ITS, where OURS is one of: {', '.join(FIELDS)}")
    try:
        return importing.read(catalogue, file, chosen)
    except UnknownColumns as unknown:
        options = " ".join(f"--column {ours}={shlex.quote(its)}" for ours, its in unknown.proposed.items())
        advice = f"; perhaps they mean {options}" if options else "; name them with --column"
        raise ImportFileError(f"{unknown}{advice}") from None


class Tally:
    """Counts of an import for its last line."""

    def __init__(self, dry_run: bool, refused: int) -> None:
        self.dry_run = dry_run
        self.status = {"added": 0, "changed": 0, "unchanged": 0}
        self.pictures = 0
        self.refused = refused
        self.held_back = 0
        self.remarks = 0

    def add(self, outcome: Outcome) -> None:
        """Count one product."""
        self.status[outcome.status] += 1
        self.pictures += outcome.pictures
        self.refused += len(outcome.refused)
        self.held_back += bool(outcome.changes) and not outcome.applied
        self.remarks += bool(outcome.remark)

    def summary(self) -> str:
        """The line."""
        counts = ", ".join(f"{count} {status}" for status, count in self.status.items())
        text = f"{counts}; {self.pictures} new pictures, {self.refused} lines or pictures refused"
        if self.held_back:
            text += f"; changed fields of {self.held_back} products were left as they are (--replace applies them)"
        if self.remarks:
            text += f"; barcodes of {self.remarks} products say something else (lines with ?)"
        return f"Dry run, nothing written: {text}" if self.dry_run else text


def _say_file(path: Path, file: ImportFile) -> None:
    notes = "".join(f"; {note}" for note in file.notes)
    say(f"{path}: {file.title}, {len(file.wanted)} products, {file.pictures} pictures{notes}")
    for refusal in file.refused:
        say(f"! {refusal}")


def _with_progress(outcomes: Iterable[Outcome], total: int) -> Iterator[Outcome]:
    from tqdm import tqdm

    with tqdm(total=total, unit=" picture", disable=None, leave=False) as bar:
        for outcome in outcomes:
            yield outcome
            bar.update(outcome.named)


def _diff(outcome: Outcome) -> Iterator[str]:
    pictures = f" ({outcome.pictures} new pictures)" if outcome.pictures else ""
    if outcome.status == "added":
        name = next((new for field, _, new in outcome.changes if field == "name"), "")
        yield f"+ {outcome.sku} {name}{pictures}"
    elif outcome.status == "changed":
        held_back = "" if outcome.applied or not outcome.changes else " (not applied)"
        yield f"~ {outcome.sku}{pictures}{held_back}"
        yield from (f"    {field}: {old!r} -> {new!r}" for field, old, new in outcome.changes)
    if outcome.remark:
        yield f"? {outcome.sku}: a picture {outcome.remark}"
    yield from (f"! {refusal}" for refusal in outcome.refused)


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@store_option
def export(folder: Path, store: Path) -> None:
    """Write all products and their pictures to a new FOLDER, which imports again to the same."""
    from catalogue.exporting import export as run
    from retail_seg.cli.common import progress
    from retail_seg.store.opening import open_catalogue

    with open_catalogue(store) as catalogue:
        total = catalogue.count_products()
        count = sum(1 for _ in progress(run(catalogue, folder), total=total, unit=" product"))
    say(f"{folder}: {count} products; import them with `retail-seg import {folder}`")


@click.command()
@store_option
@click.option("--brand", default="", help="Only products of this brand.")
@click.option("--category", default="", help="Only products of this category.")
@click.option("--removed", is_flag=True, help="The products that were removed, instead.")
@json_option
def products(store: Path, brand: str, category: str, removed: bool, json_file: Path | None) -> None:
    """List the products with the number of their references."""
    from catalogue.exporting import PAGE
    from retail_seg.store.opening import open_catalogue

    with open_catalogue(store) as catalogue:

        def rows() -> Iterator[dict[str, Any]]:
            offset = 0
            while page := catalogue.products(offset, PAGE, brand=brand, category=category, removed=removed):
                counts = catalogue.reference_counts(product.sku for product in page)
                yield from (_row(product, counts.get(product.sku, 0)) for product in page)
                offset += len(page)

        count = sum(1 for _ in list_rows(rows(), json_file, text=_product_text))
    say(f"{count} products")


@click.command()
@click.argument("text", nargs=-1, required=True)
@store_option
@click.option("--top", default=20, show_default=True, type=click.IntRange(1, 1000), help="Products to show.")
@json_option
def search(text: tuple[str, ...], store: Path, top: int, json_file: Path | None) -> None:
    """Find products by the beginnings of words of their name, brand or category, by SKU or by GTIN."""
    from catalogue import listing
    from retail_seg.store.opening import open_catalogue

    with open_catalogue(store) as catalogue:
        found = listing.search(catalogue, " ".join(text), limit=top)
        counts = catalogue.reference_counts(product.sku for product in found)
        rows = (_row(product, counts.get(product.sku, 0)) for product in found)
        shown = sum(1 for _ in list_rows(rows, json_file, text=_product_text))
        say(f"{shown} of {listing.count_search(catalogue, ' '.join(text))} products")


@click.command()
@click.argument("sku")
@store_option
@click.option("--pictures", type=click.Path(path_type=Path, file_okay=False), help="Write its pictures here.")
def show(sku: str, store: Path, pictures: Path | None) -> None:
    """Show one product and its references as JSON."""
    from retail_seg.store.opening import open_catalogue

    with open_catalogue(store) as catalogue:
        product = catalogue.product(sku)
        references = catalogue.references(sku)
        with output(None) as out:
            write_json_line(out, {**_row(product, len(references)), "reference_list": [asdict(r) for r in references]})
        if pictures:
            pictures.mkdir(parents=True, exist_ok=True)
            for reference in references:
                (pictures / f"{reference.id}.jpg").write_bytes(catalogue.reference_picture(reference.id))
            say(f"{pictures}: {len(references)} pictures")


@click.command()
@click.argument("sku")
@store_option
@click.option("--reference", "references", multiple=True, type=int, help="Remove only this reference; repeatable.")
@by_option
def remove(sku: str, store: Path, references: tuple[int, ...], by: str) -> None:
    """Remove the product SKU, or some of its references; `undelete` and `undo` bring them back."""
    from retail_seg.matcher import Matcher

    with Matcher.open(store) as matcher:
        gone = matcher.remove(sku, references or None, by=by)
    what = f"references of {sku}" if references else f"{sku} with its references"
    say(f"Removed {what}: {', '.join(map(str, gone)) or 'none was in use'}")


@click.command()
@click.argument("sku")
@store_option
@by_option
def undelete(sku: str, store: Path, by: str) -> None:
    """Bring a removed product back, with the references that went with it."""
    from retail_seg.matcher import Matcher

    with Matcher.open(store) as matcher:
        change = matcher.undelete(sku, by=by)
    say(f"{sku} is back with {len(change.added)} references")


def _row(product: Product, references: int) -> dict[str, Any]:
    return {
        "sku": product.sku,
        "name": product.name,
        "brand": product.brand,
        "category": product.category,
        "gtin": product.gtin,
        "attributes": dict(product.attributes),
        "references": references,
    }


def _product_text(row: dict[str, Any]) -> Iterator[str]:
    parts = (row["sku"], row["name"], row["brand"], row["gtin"], f"{row['references']} references")
    yield "  ".join(part for part in parts if part)
