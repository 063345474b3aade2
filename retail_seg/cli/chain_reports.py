"""The command `rollup`: the reports of many shops in a few figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from retail_seg.cli.common import json_option, say
from retail_seg.cli.rows import list_rows


@click.command()
@click.argument("reports", type=click.Path(path_type=Path))
@click.option("--products", "by_product", is_flag=True, help="A line for each product: facings, share, availability.")
@json_option
def rollup(reports: Path, by_product: bool, json_file: Path | None) -> None:
    """Sum up what lies in the folder REPORTS: a line for each shop and week.

    REPORTS holds the lines of `retail-seg scan` as shop=NAME/day=YYYY-MM-DD/*.jsonl, or Parquet with the same columns.
    """
    from retail_seg.chain.rollup import products, weeks

    found = products(reports) if by_product else weeks(reports)
    count = sum(1 for _ in list_rows(found, json_file, text=lambda row: [_line(row)]))
    say(f"{count} lines of {len({row['shop'] for row in found})} shops")


def _line(row: dict[str, Any]) -> str:
    return "  ".join(f"{name} {value}" for name, value in row.items())
