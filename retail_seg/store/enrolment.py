"""Pictures of products ► references for the catalogue: the bytes that are kept, and the vectors of their views."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, overload

import cv2
import numpy as np

from catalogue import NewReference
from catalogue.gtin import gtins_in
from index.rerank import local_features
from index.views import reference_views
from retail_seg.errors import PhotoError
from retail_seg.photos.codes import codes_of
from retail_seg.photos.load import (
    PhotoSource,
    encode_picture,
    load_enough,
    load_mask,
    load_photo,
    read_photo,
    shrink,
)

if TYPE_CHECKING:
    from index import Embedder

#: Longer side, in pixels, of a reference as it is kept and of a picture that is compared with one.
REFERENCE_SIDE = 1024
#: What is smaller, in pixels, shows nothing that could be recognised.
MIN_SIDE = 8
#: Uploads decoded to pixels at once, with all their views: some 200 MB at most.
PORTION = 16


@dataclass(frozen=True)
class Upload:
    """A picture on its way into the catalogue.

    source  a path, the bytes of a file, a file object or an RGB uint8 array (H, W, 3)
    name    what an error calls it, and where it came from
    mask    (H, W) bool of the upright picture, or the bytes of its PNG: the product; all of it without a mask
    box     x0, y0, x1, y1 as shares of width and height: the part of the picture that is meant
    hash    the content hash that it is known by, where that is not the one of its bytes
    kept    it is a reference's own file (an export wrote it): where it fits, it is kept byte for byte
    """

    source: PhotoSource
    name: str = ""
    mask: np.ndarray | bytes | None = None
    box: tuple[float, float, float, float] | None = None
    hash: str = ""
    kept: bool = False


@dataclass(frozen=True)
class Prepared:
    """An upload that was decoded: what is kept (JPEG, PNG mask) and its content hash; not yet embedded.

    `gtins` are those that its barcodes hold, see `read_upload`.
    """

    name: str
    content_hash: str
    picture: bytes
    mask: bytes | None
    width: int
    height: int
    gtins: tuple[str, ...] = ()


@dataclass(frozen=True)
class Decoded:
    """What of an upload is kept, not encoded yet: picture (h, w, 3) uint8, mask (H, W) bool, its name, its hash.

    `gtins` are those that barcodes in it hold, 14 digits each; none without the extra `codes`.
    """

    photo: np.ndarray
    mask: np.ndarray | None
    name: str
    content_hash: str
    gtins: tuple[str, ...]


def as_upload(source: PhotoSource | Upload) -> Upload:
    """The source as an Upload, named by its path where it has one."""
    if isinstance(source, Upload):
        return source
    return Upload(source, str(source) if isinstance(source, (str, Path)) else "")


@dataclass(frozen=True)
class Refused:
    """An upload that became no reference, and why; `double` where the picture is there already."""

    name: str
    reason: str
    double: bool = False


@dataclass(frozen=True)
class Enrolled:
    """An upload that became a reference, and the GTINs (14 digits) that it shows."""

    reference_id: int
    gtins: tuple[str, ...] = ()


#: Hears how many uploads of how many have been dealt with; what it raises ends the work.
OnPicture = Callable[[int, int], None]


def unwatched(done: int, total: int) -> None:
    """The OnPicture of who does not watch."""


def references_of(
    embedder: Embedder,
    uploads: Sequence[Upload | Prepared],
    *,
    known: Collection[str] | None = None,
    on_picture: OnPicture = unwatched,
) -> list[NewReference | Refused]:
    """The reference of each upload in its place, with the vectors of all its views, or why there is none.

    With `known`, the content hashes that the product has, doubles are refused. PORTION uploads are in memory at once.
    """
    found: list[NewReference | Refused] = []
    seen: set[str] | None = None if known is None else set()
    for start in range(0, len(uploads), PORTION):
        checked: list[Prepared | Refused] = []
        for at, upload in enumerate(uploads[start : start + PORTION], start):
            on_picture(at, len(uploads))
            checked.append(_checked(upload, known or (), seen))
        references = iter(embed_prepared(embedder, [one for one in checked if isinstance(one, Prepared)]))
        found += [next(references) if isinstance(one, Prepared) else one for one in checked]
    on_picture(len(uploads), len(uploads))
    return found


def _checked(upload: Upload | Prepared, known: Collection[str], seen: set[str] | None) -> Prepared | Refused:
    """The upload prepared; refused where it cannot be used, is known, or was seen before (None: not asked)."""
    try:
        one = upload if isinstance(upload, Prepared) else prepare(upload)
    except PhotoError as error:
        return Refused(upload.name, str(error).removeprefix(f"{upload.name}: "))
    if one.content_hash in known:
        return Refused(one.name, "is a picture of this product already", double=True)
    if seen is not None:
        if one.content_hash in seen:
            return Refused(one.name, "is the same file as another one here", double=True)
        seen.add(one.content_hash)
    return one


def prepare(upload: Upload) -> Prepared:
    """Decode, crop and encode one upload; raises PhotoError for a picture that cannot be used.

    The content hash is of the file's bytes, and of mask and box where there are some: the same picture given twice
    has the same hash.
    """
    if (as_it_is := _kept(upload)) is not None:
        return as_it_is
    read = read_upload(upload)
    height, width = read.photo.shape[:2]
    mask = _encode_mask(read.mask, width, height)
    return Prepared(read.name, read.content_hash, encode_picture(read.photo), mask, width, height, read.gtins)


def read_upload(upload: Upload) -> Decoded:
    """Decode and crop one upload, and read its barcodes; raises PhotoError for a picture that cannot be used."""
    if isinstance(upload.source, np.ndarray):
        photo, name = load_photo(upload.source, name=upload.name or None), upload.name or "array"
        digest = hashlib.sha256(np.ascontiguousarray(upload.source).tobytes() + repr(upload.source.shape).encode())
    else:
        data, name = read_photo(upload.source, upload.name or None)
        digest = hashlib.sha256(data)
        whole = upload.mask is None and upload.box is None
        photo = load_enough(data, REFERENCE_SIDE, name=name)[0] if whole else load_photo(data, name=name)
    mask = _checked_mask(_decoded_mask(upload.mask, name), photo, name)
    if mask is not None:
        digest.update(np.packbits(mask).tobytes())
    if upload.box is not None:
        digest.update(repr(upload.box).encode())
        photo, mask = _cut(photo, mask, upload.box, name)
    if mask is not None and mask.any():
        photo, mask = _cut_to_mask(photo, mask)
    gtins = gtins_in(code.text for code in codes_of(photo))  # before it shrinks: bars are thin
    photo = shrink(photo, REFERENCE_SIDE)
    if min(photo.shape[:2]) < MIN_SIDE:
        size = f"{photo.shape[1]} × {photo.shape[0]}"
        raise PhotoError(f"{name}: is {size} pixels, too small to recognise; give at least {MIN_SIDE} × {MIN_SIDE}")
    return Decoded(photo, mask, name, upload.hash or digest.hexdigest(), gtins)


def _kept(upload: Upload) -> Prepared | None:
    """A file that an export wrote, as it is: a second JPEG of it would be another picture. None where it is none."""
    data, mask = upload.source, upload.mask
    if not upload.kept or not isinstance(data, bytes) or not data.startswith(b"\xff\xd8"):
        return None
    photo = load_photo(data, name=upload.name)
    height, width = photo.shape[:2]
    fits = mask is None or (isinstance(mask, bytes) and _decoded_mask(mask, upload.name).shape == (height, width))
    if max(height, width) > REFERENCE_SIDE or not fits:
        return None
    digest = upload.hash or hashlib.sha256(data).hexdigest()
    gtins = gtins_in(code.text for code in codes_of(photo))
    return Prepared(upload.name, digest, data, mask if isinstance(mask, bytes) else None, width, height, gtins)


def embed_prepared(embedder: Embedder, prepared: Sequence[Prepared]) -> list[NewReference]:
    """The references of prepared uploads, in their order, with the vectors of all their views."""
    embedded = embed_kept(embedder, [(one.picture, one.mask) for one in prepared])
    return [
        NewReference(
            picture=one.picture,
            content_hash=one.content_hash,
            vectors=vectors,
            views=views,
            embedder=embedder.fingerprint,
            mask=one.mask,
            features=features,
            source=one.name,
            width=one.width,
            height=one.height,
            gtins=one.gtins,
        )
        for one, (vectors, views, features) in zip(prepared, embedded, strict=True)
    ]


def embed_kept(embedder: Embedder, kept: Sequence[tuple[bytes, bytes | None]]) -> list[tuple[bytes, int, bytes]]:
    """(vectors of all views as float32 bytes, number of views, local features) of kept pictures and masks."""
    crops, masks, views, features = [], [], [], []
    for picture, kept_mask in kept:
        photo, mask = decode_kept(picture, kept_mask)
        found = reference_views(photo, mask)
        crops += [crop for crop, _ in found]
        masks += [view_mask for _, view_mask in found]
        views.append(len(found))
        features.append(local_features(photo, mask))
    vectors = embedder.embed(crops, masks)
    parts = np.split(vectors, np.cumsum(views)[:-1]) if kept else []
    return [(part.tobytes(), n, local) for part, n, local in zip(parts, views, features, strict=True)]


def decode_kept(picture: bytes, mask: bytes | None) -> tuple[np.ndarray, np.ndarray | None]:
    """A kept reference as RGB uint8 (h, w, 3) and its mask (h, w) bool: what is embedded, now and at every reindex."""
    photo = load_photo(picture, name="reference")
    if mask is None:
        return photo, None
    return photo, np.asarray(cv2.imdecode(np.frombuffer(mask, np.uint8), cv2.IMREAD_GRAYSCALE)) > 127


@overload
def _decoded_mask(mask: np.ndarray | bytes, name: str) -> np.ndarray: ...
@overload
def _decoded_mask(mask: np.ndarray | bytes | None, name: str) -> np.ndarray | None: ...
def _decoded_mask(mask: np.ndarray | bytes | None, name: str) -> np.ndarray | None:
    if not isinstance(mask, bytes):
        return mask
    try:
        return load_mask(mask or b"\0", "its mask")
    except PhotoError as error:
        raise PhotoError(f"{name}: {str(error).replace('its mask:', 'its mask', 1)}") from None


def _checked_mask(mask: np.ndarray | None, photo: np.ndarray, name: str) -> np.ndarray | None:
    if mask is None:
        return None
    if mask.shape != photo.shape[:2]:
        raise PhotoError(f"{name}: its mask has shape {mask.shape}, the photo {photo.shape[:2]}; give them one size")
    mask = mask.astype(bool)
    if not mask.any():
        raise PhotoError(f"{name}: its mask is empty; mark the product or give no mask")
    return mask


def _cut(
    photo: np.ndarray, mask: np.ndarray | None, box: tuple[float, float, float, float], name: str
) -> tuple[np.ndarray, np.ndarray | None]:
    height, width = photo.shape[:2]
    x0, x1 = (round(min(max(v, 0.0), 1.0) * width) for v in (box[0], box[2]))
    y0, y1 = (round(min(max(v, 0.0), 1.0) * height) for v in (box[1], box[3]))
    if x1 <= x0 or y1 <= y0:
        raise PhotoError(f"{name}: its box {box} is empty; give x0, y0, x1, y1 between 0 and 1")
    return photo[y0:y1, x0:x1], None if mask is None else mask[y0:y1, x0:x1]


def _cut_to_mask(photo: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    rows, cols = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    part = np.s_[rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1]
    return photo[part], mask[part]


def _encode_mask(mask: np.ndarray | None, width: int, height: int) -> bytes | None:
    if mask is None:
        return None
    sized = np.asarray(cv2.resize(mask.astype(np.uint8) * 255, (width, height), interpolation=cv2.INTER_AREA))
    return cv2.imencode(".png", np.where(sized > 127, 255, 0).astype(np.uint8))[1].tobytes()
