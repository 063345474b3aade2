"""Pictures of products ► references for the catalogue: the bytes that are kept, and the vectors of their views."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from catalogue import NewReference
from index.rerank import local_features
from index.views import reference_views
from retail_seg.errors import PhotoError
from retail_seg.photos.load import PhotoSource, encode_picture, load_photo, read_photo, shrink

if TYPE_CHECKING:
    from index import Embedder

#: Longer side, in pixels, of a reference as it is kept and of a picture that is compared with one.
REFERENCE_SIDE = 1024
#: What is smaller, in pixels, shows nothing that could be recognised.
MIN_SIDE = 8


@dataclass(frozen=True)
class Upload:
    """A picture on its way into the catalogue.

    source  a path, the bytes of a file, a file object or an RGB uint8 array (H, W, 3)
    name    what an error calls it, and where it came from
    mask    (H, W) bool of the upright picture: the product; all of it without a mask
    box     x0, y0, x1, y1 as shares of width and height: the part of the picture that is meant
    """

    source: PhotoSource
    name: str = ""
    mask: np.ndarray | None = None
    box: tuple[float, float, float, float] | None = None


@dataclass(frozen=True)
class Prepared:
    """An upload that was decoded: what is kept (JPEG, PNG mask) and its content hash; not yet embedded."""

    name: str
    content_hash: str
    picture: bytes
    mask: bytes | None
    width: int
    height: int


def as_upload(source: PhotoSource | Upload) -> Upload:
    """The source as an Upload, named by its path where it has one."""
    if isinstance(source, Upload):
        return source
    return Upload(source, str(source) if isinstance(source, (str, Path)) else "")


def prepare(upload: Upload) -> Prepared:
    """Decode, crop and encode one upload; raises PhotoError for a picture that cannot be used.

    The content hash is of the file's bytes, and of mask and box where there are some: the same picture given twice
    has the same hash.
    """
    if isinstance(upload.source, np.ndarray):
        photo, name = load_photo(upload.source, name=upload.name or None), upload.name or "array"
        digest = hashlib.sha256(np.ascontiguousarray(upload.source).tobytes() + repr(upload.source.shape).encode())
    else:
        data, name = read_photo(upload.source, upload.name or None)
        digest = hashlib.sha256(data)
        side = None if upload.mask is not None or upload.box is not None else REFERENCE_SIDE
        photo = load_photo(data, name=name, max_side=side)
    mask = _checked_mask(upload.mask, photo, name)
    if mask is not None:
        digest.update(np.packbits(mask).tobytes())
    if upload.box is not None:
        digest.update(repr(upload.box).encode())
        photo, mask = _cut(photo, mask, upload.box, name)
    if mask is not None and mask.any():
        photo, mask = _cut_to_mask(photo, mask)
    photo = shrink(photo, REFERENCE_SIDE)
    if min(photo.shape[:2]) < MIN_SIDE:
        size = f"{photo.shape[1]} × {photo.shape[0]}"
        raise PhotoError(f"{name}: is {size} pixels, too small to recognise; give at least {MIN_SIDE} × {MIN_SIDE}")
    height, width = photo.shape[:2]
    return Prepared(name, digest.hexdigest(), encode_picture(photo), _encode_mask(mask, width, height), width, height)


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


def new_only(prepared: Iterable[Prepared], known: Callable[[str], bool]) -> list[Prepared]:
    """The uploads whose content hash is neither known nor stood before in the list."""
    found: dict[str, Prepared] = {}
    for one in prepared:
        if not known(one.content_hash):
            found.setdefault(one.content_hash, one)
    return list(found.values())


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
