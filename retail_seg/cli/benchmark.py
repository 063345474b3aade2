"""The command group `benchmark`: a table for people, one JSON line for programs, and the machine they hold for."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import click

from retail_seg.cli.common import say, write_json_line


@click.group()
def benchmark() -> None:
    """Measure time and memory beside a peer in the same run."""


@benchmark.command()
@click.option("--labels", default=25_000, show_default=True, type=click.IntRange(1), help="Products.")
@click.option("--references", default=4, show_default=True, type=click.IntRange(1), help="References of each product.")
@click.option("--dim", type=click.IntRange(2), help="Dimensions; those of retail-vgg without it.")
@click.option("--index", "kind", default="flat", show_default=True, type=click.Choice(["flat", "hnsw", "ivf-sq8"]))
@click.option("--folder", type=click.Path(path_type=Path, file_okay=False, exists=True), help="Where the file is made.")
def index(labels: int, references: int, dim: int | None, kind: str, folder: Path | None) -> None:
    """Build, save, open, ask and change an index of made-up vectors, beside a bare FAISS flat index."""
    from index import open_embedder
    from retail_seg.benchmark.search import benchmark_index

    dim = dim or open_embedder("retail-vgg").dim
    with tempfile.TemporaryDirectory(dir=folder) as made:
        result = benchmark_index(Path(made), labels=labels, references=references, dim=dim, kind=kind)
    say(result.table())
    write_json_line(sys.stdout, result.to_dict())
