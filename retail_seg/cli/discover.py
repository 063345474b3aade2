"""The command `discover`: facings that nobody has named, grouped by what they look like."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from retail_seg.cli.common import expand, json_option, output, progress, say, side_option, store_option, write_json_line

if TYPE_CHECKING:
    from retail_seg.matcher import Matcher
    from retail_seg.products.discovery import Cluster, Unnamed
    from retail_seg.products.printed import NameList
    from retail_seg.store.crop_lists import LabelledCrop


@click.command()
@click.argument("photos", nargs=-1, required=True, type=click.Path(path_type=Path))
@store_option
@side_option
@click.option(
    "--names",
    "names_file",
    type=click.Path(path_type=Path),
    help="A list of products without pictures (CSV as for `import`) that clusters are held against.",
)
@json_option
def discover(
    photos: tuple[Path, ...], store: Path, side: int | None, names_file: Path | None, json_file: Path | None
) -> int:
    """Group what PHOTOS show by looks, for products that nobody has named: one JSON line a cluster, the largest first.

    PHOTOS are files or folders of photos, or lists: CSV with columns image[,label][,x,y,w,h], paths relative to the
    list, an empty box is the whole picture. Each line holds the cluster's number, its items (row numbers from 0 of the
    lists; of photos image and box), their number, and a proposal: the product of the store that it may be, or null.

    Clusters are held against the names and GTINs of a list, that of `--names` or the products of the store that have
    no picture, by words and barcodes that are read on them (extras `text` and `codes`). Each line then holds what was
    `read`, and `names`: the products of the list that it may be, with the evidence; several where it is equal. A
    single one is the proposal where the store has none, its probability null.
    """
    from retail_seg.matcher import Matcher
    from retail_seg.products import discovery
    from retail_seg.store.crop_lists import as_rows

    paths = expand(photos)
    lists = [path for path in paths if path.suffix.lower() == ".csv"]
    if lists and len(lists) < len(paths):
        raise click.UsageError("give lists (.csv) or photos, not both: items are row numbers of lists, boxes of photos")
    with Matcher.open(store) as matcher, output(json_file) as out:
        names, rows = _names(matcher, names_file), as_rows(lists)
        if lists:
            found = discovery.facings_of_list(matcher, rows, lambda items, n: progress(items, total=n, unit=" crop"))
        else:
            found = discovery.facings_of_photos(matcher, paths, lambda items, n: progress(items, total=n), side)
        facings, vectors, errors = found
        for message in dict.fromkeys(map(str, errors)):  # many rows may name one picture
            say(f"Error: {message}")
        clusters = discovery.discover(
            matcher, facings, vectors, lambda items, n: progress(items, total=n, label="comparing", unit=" pair")
        )
        read = _read(names, facings, clusters, rows)
        for number, cluster in enumerate(clusters, 1):
            line = cluster.to_dict(number, facings)
            write_json_line(out, line | _named(line, read[number - 1]) if read else line)
    several = [len(one.rows) for one in clusters if len(one.rows) > 1]
    say(f"{len(facings)} facings: {sum(several)} in {len(several)} clusters, {len(facings) - sum(several)} alone")
    return int(bool(errors))


def _names(matcher: Matcher, file: Path | None) -> NameList | None:
    """The list that clusters are held against; None where it is empty, or nothing is installed that reads."""
    from retail_seg.products import listed_names

    names, left_out = listed_names.names_of_file(file) if file else (listed_names.names_of_store(matcher), [])
    for sentence in left_out:
        say(f"{file}: {sentence}")
    if len(names) and (missing := listed_names.missing()):
        say(f"{missing[0].upper()}{missing[1:]}")
    return names if len(names) and listed_names.readable() else None


def _read(
    names: NameList | None, facings: list[Unnamed], clusters: list[Cluster], rows: list[LabelledCrop]
) -> list[dict[str, Any]]:
    """What was read on each cluster, and the names that it may be; nothing without a list."""
    from retail_seg.products import listed_names

    if names is None:
        return []
    wanted = [[_row(facings[at].item, rows) for at in cluster.rows] for cluster in clusters]
    found = listed_names.names_of_clusters(
        names, wanted, lambda items, n: progress(items, total=n, label="reading", unit=" facing")
    )
    return [one.to_dict() for one in found]


def _row(item: Any, rows: list[LabelledCrop]) -> LabelledCrop:
    """Where a facing is cut out: a row of the lists by its number, or a photo and a box in it."""
    from retail_seg.store.crop_lists import LabelledCrop

    if isinstance(item, int):
        return rows[item]
    x, y, w, h = item["box"]
    return LabelledCrop(Path(item["image"]), "", (x, y, w, h), 0)


def _named(line: dict[str, Any], read: dict[str, Any]) -> dict[str, Any]:
    """What was read, with a proposal where there is none of the store and one name alone fits."""
    if line["proposal"] is None and len(read["names"]) == 1:
        one = read["names"][0]
        return read | {"proposal": {"sku": one["sku"], "name": one["name"], "probability": None}}
    return read
