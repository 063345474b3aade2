"""References of a store as photos would show them, embedded once and remembered: what its answers are calibrated on."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import BadZipFile

import numpy as np

from catalogue import scans
from index.asking import Views, Watched
from index.embedder import too_small
from index.photographed import as_photographed
from index.rerank import local_features
from index.studio import is_studio
from index.views import upright
from retail_seg.store.embedding import embed_views
from retail_seg.store.enrolment import decode_kept
from retail_seg.store.gallery import TaughtFacings
from retail_seg.system.files import whole_file

if TYPE_CHECKING:
    from catalogue import Catalogue
    from index import Embedder
    from index.views import Crop

log = logging.getLogger(__name__)

FILE = "asked.npz"
#: Views that a catalogue is asked with: of so many references one each; of fewer references up to three each.
VIEWS, MOST_EACH = 600, 3
#: A change in how views are made makes another version, and the remembered ones are made anew.
VERSION = 2
#: Facings that people have checked, the newest ones: some seconds' worth.
CHECKED = 500

_BATCH = 32


@dataclass(frozen=True)
class AskedView:
    """A remembered view: its raw vector float32 (dim,), local features, and whether it is of a studio picture."""

    vector: np.ndarray
    features: bytes
    studio: bool = False


def photographed(
    catalogue: Catalogue,
    embedder: Embedder,
    folder: Path,
    references: np.ndarray,
    progress: Watched = lambda items, total: items,
) -> Views:
    """Views of a sample of `references` int64 (n,), always the same ones, so that those remembered in the store's
    folder are still right when a few references come or go. At most VIEWS are embedded: ten seconds of one core.
    """
    wanted = drawn(np.unique(references))
    kept = _read(folder / FILE, embedder.fingerprint)
    found = {key: kept[key] for key in wanted if key in kept}
    missing = sorted({identity for identity, number in wanted if (identity, number) not in found})
    fresh = _made(catalogue, embedder, missing, [key for key in wanted if key not in found], progress)
    if fresh or len(found) < len(kept):
        _write(folder / FILE, embedder.fingerprint, found | fresh)
    return as_views(found | fresh, embedder.dim)


def checked_facings(catalogue: Catalogue, embedder: Embedder) -> TaughtFacings | None:
    """The newest facings of kept scans of which a person said what they are, at most CHECKED; None without any.

    Vectors that were kept with the scan are used where they are of this embedder.
    """
    rows = scans.checked(catalogue, CHECKED)
    if not rows:
        return None
    crops = [upright(*decode_kept(crop, mask)) for _, crop, mask, *_ in rows]
    name, size = f":{embedder.fingerprint}", 4 * embedder.dim
    known = [scanned.endswith(name) and len(vector) == size for *_, vector, scanned, _ in rows]
    vectors = np.zeros((len(rows), embedder.dim), np.float32)
    for at, (*_, vector, _, _) in enumerate(rows):
        if known[at]:
            vectors[at] = np.frombuffer(vector, np.float32)
    fresh = [at for at, one in enumerate(known) if not one]
    vectors[fresh] = embed_views(embedder, [crops[at] for at in fresh])
    shown = [at for at in range(len(rows)) if vectors[at].any()]  # a sliver has no vector, and says nothing
    since = min(when for *_, when in rows)
    features, skus = [local_features(*crops[at]) for at in shown], [rows[at][0] for at in shown]
    return TaughtFacings(vectors[shown], features, skus, since)


def drawn(references: np.ndarray) -> list[tuple[int, int]]:
    """(reference, number of the view) to ask with, of reference ids int64 (n,)."""
    order = sorted(references.tolist(), key=lambda identity: (zlib.crc32(str(identity).encode()), identity))[:VIEWS]
    each = min(max(VIEWS // max(len(order), 1), 1), MOST_EACH)
    return [(identity, number) for identity in order for number in range(each)]


def as_views(found: dict[tuple[int, int], AskedView], dim: int) -> Views:
    """Remembered views as arrays."""
    vectors = np.array([view.vector for view in found.values()], np.float32).reshape(-1, dim)
    studio = float(np.mean([view.studio for view in found.values()])) if found else 0.0
    references = np.array([key[0] for key in found], np.int64)
    return Views(vectors, [view.features for view in found.values()], references, studio)


def embed_shown(embedder: Embedder, crops: Sequence[Crop], studio: Sequence[bool]) -> list[AskedView]:
    """Crops as photos show them, embedded and described; `studio` says which are of studio pictures."""
    vectors = embedder.embed([crop for crop, _ in crops], [mask for _, mask in crops])
    told = zip(vectors, crops, studio, strict=True)
    return [AskedView(vector, local_features(*crop), of_studio) for vector, crop, of_studio in told]


def seed_of(identity: int, number: int) -> int:
    """The seed that a view is drawn with."""
    return zlib.crc32(f"{identity} {number}".encode())


def _made(
    catalogue: Catalogue,
    embedder: Embedder,
    references: list[int],
    wanted: list[tuple[int, int]],
    progress: Watched,
) -> dict[tuple[int, int], AskedView]:
    """Views that are not remembered; one photo is in memory at a time, and those of a batch."""
    numbers: dict[int, list[int]] = {}
    for identity, number in wanted:
        numbers.setdefault(identity, []).append(number)
    found: dict[tuple[int, int], AskedView] = {}
    keys: list[tuple[int, int]] = []
    crops: list[Crop] = []
    studio: list[bool] = []
    beside: np.ndarray | None = None

    def flush() -> None:
        if crops:
            found.update(zip(keys, embed_shown(embedder, crops, studio), strict=True))
            for column in (keys, crops, studio):
                column.clear()

    for identity in progress(references, len(references)):
        mask = catalogue.reference_mask(identity)
        photo, outline = upright(*decode_kept(catalogue.reference_picture(identity), mask))
        on_white = is_studio(photo, outline)
        for number in numbers[identity]:
            shown = as_photographed(photo, outline, seed_of(identity, number), beside)
            if not too_small(shown[0]):
                keys.append((identity, number))
                crops.append(shown)
                studio.append(on_white)
        beside = photo
        if len(crops) >= _BATCH:
            flush()
    flush()
    return found


def _read(path: Path, fingerprint: str) -> dict[tuple[int, int], AskedView]:
    """What is remembered of this embedder; nothing where the file is missing, damaged or of another one."""
    try:
        with np.load(path, allow_pickle=False) as file:
            if str(file["fingerprint"]) != _stamp(fingerprint):
                return {}
            ends = np.cumsum(file["lengths"])
            features, vectors, studio = file["features"].tobytes(), file["vectors"], file["studio"].tolist()
            keys = [(int(identity), int(number)) for identity, number in file["keys"]]
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        log.warning("%s: cannot be read (%s); what it remembered is made anew", path, error)
        return {}
    starts = np.r_[0, ends[:-1]] if len(ends) else ends
    return {
        key: AskedView(vector, features[start:end], of_studio)
        for key, vector, start, end, of_studio in zip(
            keys, vectors, starts.tolist(), ends.tolist(), studio, strict=True
        )
    }


def _write(path: Path, fingerprint: str, views: dict[tuple[int, int], AskedView]) -> None:
    """Remember views; a folder that cannot be written costs only that they are made again."""
    try:
        with whole_file(path) as temporary, temporary.open("wb") as file:
            np.savez(
                file,
                fingerprint=np.array(_stamp(fingerprint)),
                keys=np.array(list(views), np.int64).reshape(-1, 2),
                vectors=np.array([view.vector for view in views.values()], np.float32),
                lengths=np.array([len(view.features) for view in views.values()], np.int64),
                studio=np.array([view.studio for view in views.values()], bool),
                features=np.frombuffer(b"".join(view.features for view in views.values()), np.uint8),
            )
    except OSError as error:
        log.warning("%s: cannot be written (%s); the views are made again when they are next needed", path, error)


def _stamp(fingerprint: str) -> str:
    return f"{fingerprint} {VERSION}"
