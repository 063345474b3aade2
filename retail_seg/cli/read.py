"""The command `read`: what is printed on pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from retail_seg.cli.common import expand, json_option, output, progress, say, write_json_line

if TYPE_CHECKING:
    import numpy as np


@click.command()
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path))
@json_option
def read(images: tuple[Path, ...], json_file: Path | None) -> int:
    """Read the words and barcodes on IMAGES: one JSON line a picture, the largest words first.

    IMAGES are files, folders of photos, or lists: CSV with columns image[,label][,x,y,w,h], paths relative to the list,
    an empty box is the whole picture. Give pictures of single products or labels: of a large photo only what is largest
    is read. Words are read with the extra `text`, barcodes with the extra `codes`; needs no store.
    """
    from retail_seg.errors import MissingExtraError, PhotoError
    from retail_seg.photos import codes, words
    from retail_seg.store.crop_lists import as_rows, load_crops

    missing = [reader.MISSING for reader in (words, codes) if not reader.available()]
    if len(missing) == 2:
        raise MissingExtraError("; ".join(missing))
    for sentence in missing:
        say(f"{sentence[0].upper()}{sentence[1:]}")
    rows = as_rows(expand(images))
    failed = 0
    with output(json_file) as out:
        for at, crop in progress(load_crops(rows, words.READ_SIDE), total=len(rows), unit=" picture"):
            if isinstance(crop, PhotoError):
                say(f"Error: {crop}")
                failed += 1
            else:
                write_json_line(out, {**rows[at].to_dict(), **_read(crop)})
    return int(failed > 0)


def _read(picture: np.ndarray) -> dict[str, list[dict[str, Any]]]:
    """What is printed on a picture, by the readers that are installed."""
    from catalogue.gtin import gtins_in
    from retail_seg.photos import codes, words

    found: dict[str, list[dict[str, Any]]] = {}
    if words.available():
        read = words.words_of(picture)
        found["words"] = [{"text": one.text, "score": round(one.score, 3), "box": list(one.box)} for one in read]
    if codes.available():
        found["codes"] = [
            {"text": one.text, "kind": one.kind, "gtin": next(iter(gtins_in([one.text])), ""), "box": list(one.box)}
            for one in codes.codes_of(picture, thorough=True)
        ]
    return found
