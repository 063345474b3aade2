"""What several commands share: options, progress, JSON out, inputs that fail one by one."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

import click

from retail_seg.system.files import whole_file

if TYPE_CHECKING:
    from retail_seg.segmentation.segmenter import Segmenter

T = TypeVar("T")

store_option = click.option(
    "--store",
    envvar="RETAIL_SEG_STORE",
    default="store",
    show_default=True,
    show_envvar=True,
    type=click.Path(path_type=Path),
    help="Folder of the store.",
)
model_option = click.option(
    "--model", type=click.Path(path_type=Path), help="Folder of a segmenter; the store's or the shipped one without it."
)
side_option = click.option(
    "--side",
    type=click.IntRange(64, 16384),
    help="Longer side in pixels to work at.  [default: the model's own, larger where things come out small]",
)
only_option = click.option(
    "--only",
    metavar="WHAT",
    multiple=True,
    help="Answer among these alone: category=NAME, brand=NAME, sku=NUMBER, or a file with one SKU[,weight] a line; "
    "may be given several times.",
)
boxes_option = click.option(
    "--boxes",
    type=click.Path(path_type=Path, dir_okay=False),
    help="CSV (image,x,y,w,h, in pixels) of what another detector found, in the segmenter's place.",
)
json_option = click.option(
    "--json", "json_file", type=click.Path(path_type=Path, dir_okay=False), help="Write JSON Lines here, not to stdout."
)


def segmenter_of(model: Path | None, boxes: Path | None) -> Segmenter | Path | None:
    """What finds the instances: another detector's boxes, else the model that was asked for, else the store's (None).

    Lines that are no box are said. Raises AnnotationError, and UsageError where both are given.
    """
    if boxes is None:
        return model
    if model is not None:
        raise click.UsageError("--boxes take the place of a segmenter; leave --model out")
    from retail_seg.store.given_boxes import GivenBoxes

    given = GivenBoxes.read(boxes)
    for problem in given.problems:
        say(f"Error: {problem}")
    return given.as_segmenter()


def say(message: str) -> None:
    """A line for the person, on stderr, so that stdout stays machine-readable."""
    click.echo(message, err=True)


def progress(items: Iterable[T], *, total: int | None = None, label: str = "", unit: str = " photo") -> Iterator[T]:
    """Iterate with a progress bar on stderr where a person watches it."""
    from tqdm import tqdm

    yield from tqdm(items, total=total, desc=label, unit=unit, disable=None, leave=False)


def each(items: Iterable[T], work: Callable[[T], None], errors: tuple[type[Exception], ...]) -> int:
    """Do `work` for every item; a failed one is one line on stderr and stops nothing. Returns how many failed."""
    failed = 0
    for item in items:
        try:
            work(item)
        except errors as error:
            say(f"Error: {error}")
            failed += 1
    return failed


def expand(paths: Sequence[Path]) -> list[Path]:
    """The paths, with each folder replaced by the photos in it."""
    from retail_seg.photos.load import find_photos

    found: list[Path] = []
    for path in paths:
        found.extend(find_photos(path) if path.is_dir() else [path])
    return found


@contextmanager
def output(path: Path | None) -> Iterator[TextIO]:
    """Stdout, or a file that appears whole when all is written and not at all when the work breaks off."""
    if path is None:
        yield sys.stdout
        return
    if not path.parent.is_dir():
        raise click.UsageError(f"{path.parent}: no such folder; make it, or write elsewhere")
    with whole_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        yield file


def write_json_line(file: TextIO, value: Any) -> None:
    """One JSON line, flushed, so that a reader sees it when it is ready."""
    file.write(json.dumps(value, ensure_ascii=False) + "\n")
    file.flush()
