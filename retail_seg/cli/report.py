"""The command `report`: figures over time of the checks that are kept."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from retail_seg.cli.common import json_option, output, say, store_option, write_json_line

#: Days that a report is of without --from.
DAYS = 84
file_option = click.Path(path_type=Path, dir_okay=False)


@click.command()
@store_option
@click.option(
    "--from", "first", default="", metavar="DAY", help=f"First day, as 2026-03-31.  [default: {DAYS} days back]"
)
@click.option("--until", "last", default="", metavar="DAY", help="Last day.  [default: today]")
@click.option("--shop", default="", help="Only the fixtures of this shop.")
@json_option
@click.option("--csv", "csv_file", type=file_option, help="Write a row per fixture, shop and week here.")
@click.option("--shares", "shares_file", type=file_option, help="Write the shares of shelf by brand and category here.")
@click.option("--html", "html_file", type=file_option, help="Write one page to read and to print here.")
def report(
    store: Path, first: str, last: str, shop: str, json_file: Path | None, csv_file: Path | None,
    shares_file: Path | None, html_file: Path | None,
) -> None:  # fmt: skip
    """Write figures of the checks that are kept: availability, compliance, time to mend, share of shelf.

    They are of each fixture, shop and week, and of the whole time; one JSON object goes to stdout.
    """
    from retail_seg.matcher import Matcher
    from retail_seg.shelf import figures_out
    from retail_seg.shelf.figures import figures

    today = datetime.now(UTC).date()
    with Matcher.open(store) as matcher:
        found = figures(matcher, first or str(today - timedelta(DAYS)), last or str(today), shop)
    if csv_file:
        with output(csv_file) as file:
            figures_out.write_figures_csv(found, file)
    if shares_file:
        with output(shares_file) as file:
            figures_out.write_shares_csv(found, file)
    if html_file:
        with output(html_file) as file:
            file.write(figures_out.as_html(found))
    with output(json_file) as file:
        write_json_line(file, found.to_dict())
    whole = found.find("all", week="")
    for note in found.notes:
        say(f"Note: {note}")
    say(f"{whole[0].checks if whole else 0} checks from {found.first} to {found.last}")
