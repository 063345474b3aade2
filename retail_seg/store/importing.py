"""Bulk import into a store: the catalogue's plan, with the pictures decoded and embedded as every other reference."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import cv2
import numpy as np

from catalogue import NewReference
from catalogue.errors import PictureRefused
from catalogue.fetching import Fetcher
from catalogue.importing import Import, ImportFile, LoadedPicture
from retail_seg.errors import PhotoError
from retail_seg.people.roles import sign
from retail_seg.photos.load import load_photo
from retail_seg.store.enrolment import MIN_SIDE, REFERENCE_SIDE, Prepared, Upload, embed_prepared, prepare

if TYPE_CHECKING:
    from catalogue import Catalogue
    from catalogue.importing import Outcome
    from index import Embedder
    from retail_seg.matcher import Matcher

#: Pictures decoded to pixels at once, with all their views: some 200 MB at most.
DECODED = 16
#: Hears how many pictures have been looked at or embedded since it was called last.
Pulse = Callable[[int], None]


def _quiet(pictures: int) -> None:
    """The Pulse of who does not watch."""


def plan(
    catalogue: Catalogue, file: ImportFile, *, replace: bool = False, fetch: bool = False, pulse: Pulse = _quiet
) -> Import:
    """A dry run: iterate it for what an import of the file would do; nothing is written, every picture is read."""

    def check(picture: LoadedPicture) -> None:
        check_picture(picture)
        pulse(1)

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
) -> Import:
    """A real run: iterate it to its end; each product is one transaction, so it can be interrupted and run again.

    `pulse` is called with the number of pictures embedded just now, before they are written; what it raises ends the
    run. Only a manager may (NotAllowed).
    """
    return Import(
        catalogue,
        file,
        embed=lambda pictures: embed_pictures(embedder, pictures, pulse),
        replace=replace,
        fetch=Fetcher() if fetch else None,
        by=sign("manager", by),
    )


def apply_to(
    matcher: Matcher, file: ImportFile, *, replace: bool = False, fetch: bool = False, by: str = ""
) -> Iterator[Outcome]:
    """As `apply`, into an open store, which learns from what came when the run has ended."""
    yield from apply(matcher.catalogue, file, matcher.embedder, replace=replace, fetch=fetch, by=by)
    matcher.refresh()


def check_picture(picture: LoadedPicture) -> None:
    """Raise PictureRefused where `embed_pictures` would."""
    try:
        if picture.crop is not None or picture.mask is not None or min(_decoded(picture).shape[:2]) < MIN_SIDE:
            _prepared(picture)
    except PhotoError as error:
        raise _refusal(error, picture) from None


def embed_pictures(
    embedder: Embedder, pictures: Sequence[LoadedPicture], pulse: Pulse = _quiet
) -> list[NewReference | PictureRefused]:
    """One reference, or the reason why there is none, for each picture in its place."""
    found: list[NewReference | PictureRefused] = []
    for start in range(0, len(pictures), DECODED):
        results: list[Prepared | PictureRefused] = []
        for picture in pictures[start : start + DECODED]:
            try:
                results.append(_prepared(picture))
            except PhotoError as error:
                results.append(_refusal(error, picture))
        references = iter(embed_prepared(embedder, [r for r in results if isinstance(r, Prepared)]))
        found += [next(references) if isinstance(r, Prepared) else r for r in results]
        pulse(len(results))
    return found


def _prepared(picture: LoadedPicture) -> Prepared:
    """The picture as it is kept. One that an export wrote is kept byte for byte: a second JPEG would be another."""
    if picture.kept and picture.data.startswith(b"\xff\xd8"):
        photo = load_photo(picture.data, name=picture.name)
        height, width = photo.shape[:2]
        if max(height, width) <= REFERENCE_SIDE and (picture.mask is None or _mask(picture).shape == (height, width)):
            return Prepared(picture.name, picture.content_hash, picture.data, picture.mask, width, height)
    mask = None if picture.mask is None else _mask(picture)
    prepared = prepare(Upload(picture.data, picture.name, mask, picture.crop))
    return replace(prepared, content_hash=picture.content_hash)


def _mask(picture: LoadedPicture) -> np.ndarray:
    decoded = cv2.imdecode(np.frombuffer(picture.mask or b"\0", np.uint8), cv2.IMREAD_GRAYSCALE)
    if decoded is None:
        raise PhotoError(f"{picture.name}: its mask is no picture; give a PNG")
    return np.asarray(decoded) > 127


def _decoded(picture: LoadedPicture) -> np.ndarray:
    return load_photo(picture.data, name=picture.name, max_side=REFERENCE_SIDE)


def _refusal(error: PhotoError, picture: LoadedPicture) -> PictureRefused:
    # The import's report names the picture itself.
    return PictureRefused(str(error).removeprefix(f"{picture.name}: "))
