"""Bulk import into a store: the catalogue's plan, with the pictures decoded and embedded as every other reference."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from catalogue import NewReference
from catalogue.errors import PictureRefused, UnknownColumns
from catalogue.fetching import Fetcher
from catalogue.importing import Import, ImportFile, LoadedPicture, read_file
from catalogue.mapping import shape
from retail_seg.errors import PhotoError
from retail_seg.people.roles import require, sign
from retail_seg.store.enrolment import Refused, Upload, read_upload, references_of

if TYPE_CHECKING:
    from catalogue import Catalogue
    from catalogue.importing import Outcome
    from index import Embedder
    from retail_seg.matcher import Matcher

#: Before the name of a setting that remembers the columns of tables of one shape.
_REMEMBERED = "import columns "
#: Hears how many pictures have been looked at or embedded since it was called last.
Pulse = Callable[[int], None]


@dataclass(frozen=True)
class PictureWork:
    """Who embeds the pictures of an import in the place of this process, with so many hands.

    `embed` gives one reference, or the reason why there is none, for each picture in its place.
    """

    embed: Callable[[Sequence[LoadedPicture]], Sequence[NewReference | PictureRefused]]
    hands: int = 1


def _quiet(pictures: int) -> None:
    """The Pulse of who does not watch."""


def plan(
    catalogue: Catalogue, file: ImportFile, *, replace: bool = False, fetch: bool = False, pulse: Pulse = _quiet
) -> Import:
    """A dry run: iterate it for what an import of the file would do; nothing is written, every picture is read."""
    require("manager")

    def check(picture: LoadedPicture) -> tuple[str, ...]:
        gtins = check_picture(picture)
        pulse(1)
        return gtins

    return Import(catalogue, file, check=check, replace=replace, fetch=Fetcher() if fetch else None)


def apply(
    catalogue: Catalogue,
    file: ImportFile,
    embedder: Embedder,
    *,
    replace: bool = False,
    fetch: bool = False,
    by: str = "",
    pulse: Pulse = _quiet,
    elsewhere: PictureWork | None = None,
) -> Import:
    """A real run: iterate it to its end; each product is one transaction, so it can be interrupted and run again.

    `pulse` is called with the number of pictures embedded just now, before they are written; what it raises ends the
    run. With work `elsewhere` this process embeds nothing, and `pulse` is not called. Only a manager may (NotAllowed).
    """
    work = elsewhere or PictureWork(lambda pictures: embed_pictures(embedder, pictures, pulse))
    return Import(
        catalogue,
        file,
        embed=work.embed,
        replace=replace,
        fetch=Fetcher() if fetch else None,
        by=sign("manager", by),
        hands=work.hands,
    )


def read(catalogue: Catalogue, path: Path, columns: Mapping[str, str] | None = None) -> ImportFile:
    """Read an import's file; `columns` says which of a table's columns are ours, and is remembered for its like.

    Without `columns`, what was said of a table with the same columns holds. Raises ImportFileError, UnknownColumns
    where nobody has said it yet, NotAllowed.
    """
    require("manager")
    if columns:
        try:
            read_file(path)
        except UnknownColumns as unknown:
            found = read_file(path, columns)
            catalogue.set_setting(_REMEMBERED + shape(unknown.columns), json.dumps(dict(columns)))
            return found
    try:
        return read_file(path, columns)
    except UnknownColumns as unknown:
        kept = catalogue.get_setting(_REMEMBERED + shape(unknown.columns))
        if kept is None:
            raise
        return read_file(path, json.loads(kept))


def apply_to(
    matcher: Matcher,
    file: ImportFile,
    *,
    replace: bool = False,
    fetch: bool = False,
    by: str = "",
    elsewhere: PictureWork | None = None,
) -> Iterator[Outcome]:
    """As `apply`, into an open store, which learns from what came when the run has ended."""
    embedder = matcher.embedder
    yield from apply(matcher.catalogue, file, embedder, replace=replace, fetch=fetch, by=by, elsewhere=elsewhere)
    matcher.refresh()


def check_picture(picture: LoadedPicture) -> tuple[str, ...]:
    """Raise PictureRefused where `embed_pictures` would; the GTINs that the picture shows."""
    try:
        return read_upload(_upload(picture)).gtins
    except PhotoError as error:  # the import's report names the picture itself
        raise PictureRefused(str(error).removeprefix(f"{picture.name}: ")) from None


def embed_pictures(
    embedder: Embedder, pictures: Sequence[LoadedPicture], pulse: Pulse = _quiet
) -> list[NewReference | PictureRefused]:
    """One reference, or the reason why there is none, for each picture in its place."""
    before = 0

    def on_picture(done: int, total: int) -> None:
        nonlocal before
        pulse(done - before)
        before = done

    found = references_of(embedder, [_upload(picture) for picture in pictures], on_picture=on_picture)
    return [PictureRefused(one.reason) if isinstance(one, Refused) else one for one in found]


def _upload(picture: LoadedPicture) -> Upload:
    return Upload(picture.data, picture.name, picture.mask, picture.crop, hash=picture.content_hash, kept=picture.kept)
