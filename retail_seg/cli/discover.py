"""The command `discover`: facings that nobody has named, grouped by what they look like."""

from __future__ import annotations

from pathlib import Path

import click

from retail_seg.cli.common import json_option, output, progress, say, side_option, store_option, write_json_line
from retail_seg.cli.scan import expand


@click.command()
@click.argument("photos", nargs=-1, required=True, type=click.Path(path_type=Path))
@store_option
@side_option
@json_option
def discover(photos: tuple[Path, ...], store: Path, side: int | None, json_file: Path | None) -> int:
    """Group what PHOTOS show by looks, for products that nobody has named: one JSON line a cluster, the largest first.

    PHOTOS are files or folders of photos, or lists: CSV with columns image[,label][,x,y,w,h], paths relative to the
    list, an empty box is the whole picture. Each line holds the cluster's number, its items (row numbers from 0 of the
    lists; of photos image and box), their number, and a proposal: the product of the store that it may be, or null.
    """
    from retail_seg.matcher import Matcher
    from retail_seg.products import discovery
    from retail_seg.store.crop_lists import as_rows

    paths = expand(photos)
    lists = [path for path in paths if path.suffix.lower() == ".csv"]
    if lists and len(lists) < len(paths):
        raise click.UsageError("give lists (.csv) or photos, not both: items are row numbers of lists, boxes of photos")
    with Matcher.open(store) as matcher, output(json_file) as out:
        if lists:
            found = discovery.facings_of_list(
                matcher, as_rows(lists), lambda items, n: progress(items, total=n, unit=" crop")
            )
        else:
            found = discovery.facings_of_photos(matcher, paths, lambda items, n: progress(items, total=n), side)
        facings, vectors, errors = found
        for message in dict.fromkeys(map(str, errors)):  # many rows may name one picture
            say(f"Error: {message}")
        clusters = discovery.discover(
            matcher, facings, vectors, lambda items, n: progress(items, total=n, label="comparing", unit=" pair")
        )
        for number, cluster in enumerate(clusters, 1):
            write_json_line(out, cluster.to_dict(number, facings))
    several = [len(one.rows) for one in clusters if len(one.rows) > 1]
    say(f"{len(facings)} facings: {sum(several)} in {len(several)} clusters, {len(facings) - sum(several)} alone")
    return int(bool(errors))
