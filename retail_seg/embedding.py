"""Pictures ► vectors in a file: the join behind `retail-seg embed`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from retail_seg.enrolment import REFERENCE_SIDE
from retail_seg.errors import PhotoError
from retail_seg.files import whole_file
from retail_seg.photos import load_photo

if TYPE_CHECKING:
    from index import Embedder

#: Pictures in memory at once.
BATCH = 64


def embed_pictures(
    embedder: Embedder, paths: Sequence[Path], *, progress: Callable[[Sequence[Path]], Any] | None = None
) -> tuple[list[Path], np.ndarray, list[PhotoError]]:
    """Embed whole pictures: the paths done, their vectors (n, d) float32 of unit length, and the errors of the rest."""
    done: list[Path] = []
    errors: list[PhotoError] = []
    parts: list[np.ndarray] = [np.zeros((0, embedder.dim), np.float32)]
    batch: list[np.ndarray] = []

    def flush() -> None:
        if batch:
            parts.append(embedder.embed(batch))
            batch.clear()

    items: Iterable[Path] = progress(paths) if progress else paths
    for path in items:
        try:
            batch.append(load_photo(path, max_side=REFERENCE_SIDE))
        except PhotoError as error:
            errors.append(error)
            continue
        done.append(path)
        if len(batch) == BATCH:
            flush()
    flush()
    return done, np.concatenate(parts), errors


def write_vectors(out: Path, vectors: np.ndarray, images: Sequence[Path]) -> None:
    """Write arrays "vectors" and "images" as .npz at `out`; the file appears whole or not at all."""
    with whole_file(out) as temporary, temporary.open("wb") as file:
        np.savez(file, vectors=vectors, images=np.array([str(path) for path in images]))
