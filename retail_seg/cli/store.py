"""Commands that make and fill a store: `init`, `add`, `reindex`."""

from __future__ import annotations

from pathlib import Path

import click

from retail_seg.cli.common import each, progress, say, store_option
from retail_seg.cli.on_ray import Teller, by_ray, ray_options
from retail_seg.cli.rows import by_option


@click.command()
@store_option
@click.option(
    "--embedder", default="retail-vgg", show_default=True, help="retail-vgg, or vgg16 (ImageNet, fetched once)."
)
@click.option("--weights", type=click.Path(path_type=Path), help="Weights of the embedder, for closed networks.")
@click.option(
    "--index",
    "kind",
    type=click.Choice(["flat", "hnsw", "ivf-sq8", "milvus", "milvus-hnsw", "milvus-diskann"]),
    default="flat",
    show_default=True,
    help="flat and milvus are exact; the others are for more than some 500,000 references.",
)
@click.option("--uri", default="", help="Address of Milvus, or a .db file of Milvus Lite.")
def init(store: Path, embedder: str, weights: Path | None, kind: str, uri: str) -> None:
    """Make an empty store, pinned to one embedder."""
    from retail_seg.matcher import Matcher

    if kind.startswith("milvus") != bool(uri):
        raise click.UsageError("--index milvus… needs --uri, the address of the server, and the others have none")
    if uri.endswith(".db"):
        uri = str(Path(uri).absolute())
    with Matcher.create(store, embedder, weights=weights, index=kind, uri=uri) as matcher:
        say(f"{store}: an empty store for {matcher.embedder.name} ({matcher.embedder.dim} numbers a vector)")


@click.command()
@click.argument("sku")
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path))
@store_option
@click.option("--name", help="Name of the product; without it, an existing product keeps its own.")
@by_option
def add(sku: str, images: tuple[Path, ...], store: Path, name: str | None, by: str) -> int:
    """Add IMAGES as reference pictures of the product SKU, which is made when it is new."""
    from catalogue import Product
    from retail_seg.errors import PhotoError
    from retail_seg.matcher import Matcher
    from retail_seg.products import barcodes, browsing
    from retail_seg.store.enrolment import Prepared, as_upload, prepare

    good: list[Prepared] = []
    failed = each(images, lambda path: good.append(prepare(as_upload(path))), (PhotoError,))
    if not good:
        return 1
    with Matcher.open(store) as matcher:
        product = browsing.product(matcher, sku) or Product(sku)
        if name is not None:
            product = Product(sku, name, product.brand, product.category, product.gtin, product.attributes)
        before = browsing.count_references(matcher)
        matcher.enrol(product, good, by=by)
        added = browsing.count_references(matcher) - before
        remark = barcodes.remark(matcher, sku, [one.gtins for one in good])
    say(f"{sku}: {added} references added, {len(good) - added} were there already")
    if remark:
        say(f"? {sku}: a picture {remark.text}")
    return int(failed > 0)


@click.command()
@store_option
@click.option("--embedder", help="Switch the store to this embedder; its own without it.")
@click.option("--weights", type=click.Path(path_type=Path), help="Weights of the embedder, for closed networks.")
@ray_options
def reindex(
    store: Path,
    embedder: str | None,
    weights: Path | None,
    engine: str,
    address: str | None,
    workers: int | None,
) -> None:
    """Embed every reference that needs it again, learn from them all, and write the index anew.

    Can be interrupted and run again: what was embedded is kept, and the store answers as before until it is done.
    """
    if by_ray(engine, address, workers):
        from retail_seg.fleet.embedding import reindex_on_ray

        told = Teller("references")
        count = reindex_on_ray(store, embedder, weights, address=address, workers=workers, on_told=told)
    else:
        from retail_seg.matcher import Matcher

        count = Matcher.reindex_store(
            store, embedder, weights=weights, progress=lambda rows, n: progress(rows, total=n, unit=" reference")
        )
    say(f"{store}: {count} references embedded again; the index is new")
