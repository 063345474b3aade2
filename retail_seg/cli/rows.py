"""Rows for a person at a terminal or for a program behind a pipe, and the name under which changes are kept."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import click

from retail_seg.cli.common import output, write_json_line
from retail_seg.people.roles import local_name

T = TypeVar("T")


by_option = click.option(
    "--by", default=local_name, help="Name that the log keeps.  [default: RETAIL_SEG_USER or login]"
)


def list_rows(
    rows: Iterable[T],
    json_file: Path | None,
    *,
    text: Callable[[T], Iterable[str]],
    to_dict: Callable[[T], dict[str, Any]] = lambda row: row,  # type: ignore[assignment,return-value]
    always_text: bool = False,
) -> Iterator[T]:
    """Write each row and pass it on: as JSON Lines to the file or stdout, as text where stdout is a terminal.

    With `always_text` the text goes to stderr in any case.
    """
    terminal = json_file is None and sys.stdout.isatty()
    with output(json_file) as out:
        for row in rows:
            if always_text:
                _write_beside_bar(text(row))
            elif terminal:
                for line in text(row):
                    click.echo(line)
            if not terminal:
                write_json_line(out, to_dict(row))
            yield row


def _write_beside_bar(lines: Iterable[str]) -> None:
    from tqdm import tqdm

    for line in lines:
        tqdm.write(line, file=sys.stderr)
