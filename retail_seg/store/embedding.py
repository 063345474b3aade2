"""Pictures ► vectors, where one that shows nothing stops no other: for answers, and behind `retail-seg embed`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from index.embedder import too_small
from retail_seg.errors import PhotoError
from retail_seg.store.crop_lists import LabelledCrop, load_crops
from retail_seg.store.enrolment import REFERENCE_SIDE
from retail_seg.system.files import whole_file

if TYPE_CHECKING:
    from index import Embedder
    from index.views import Crop

#: Pictures in memory at once.
BATCH = 64


def embed_views(embedder: Embedder, views: Sequence[Crop]) -> np.ndarray:
    """Raw vectors (n, dim) float32 of crops with their masks; a row of zeros for a crop too small to show anything."""
    vectors = np.zeros((len(views), embedder.dim), np.float32)
    rows = [at for at, (crop, _) in enumerate(views) if not too_small(crop)]
    if rows:
        vectors[rows] = embedder.embed([views[at][0] for at in rows], [views[at][1] for at in rows])
    return vectors


def embed_pictures(
    embedder: Embedder, rows: Sequence[LabelledCrop], *, progress: Callable[[Iterable[Any]], Any] | None = None
) -> tuple[list[LabelledCrop], np.ndarray, list[PhotoError]]:
    """Embed pictures, or the boxes named of them: the rows done, their vectors (n, d) float32 of unit length, and the
    errors of the rest.
    """
    done: list[LabelledCrop] = []
    errors: list[PhotoError] = []
    parts: list[np.ndarray] = [np.zeros((0, embedder.dim), np.float32)]
    batch: list[np.ndarray] = []

    def flush() -> None:
        if batch:
            parts.append(embedder.embed(batch))
            batch.clear()

    crops = load_crops(rows, REFERENCE_SIDE)
    for at, crop in progress(crops) if progress else crops:
        if isinstance(crop, PhotoError):
            errors.append(crop)
            continue
        batch.append(crop)
        done.append(rows[at])
        if len(batch) == BATCH:
            flush()
    flush()
    return done, np.concatenate(parts), errors


def write_vectors(out: Path, vectors: np.ndarray, rows: Sequence[LabelledCrop]) -> None:
    """Write arrays "vectors", "images" and "labels" as .npz at `out`; the file appears whole or not at all."""
    images, labels = [str(row.path) for row in rows], [row.label for row in rows]
    with whole_file(out) as temporary, temporary.open("wb") as file:
        np.savez(file, vectors=vectors, images=np.array(images), labels=np.array(labels))
