"""Crops ► unit vectors: one abstract batch method; batching, checks and fingerprints live here."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from index.errors import EmbedderError

#: A progress bar: takes the batches and yields them again (tqdm, for one).
OnCrops = Callable[[Sequence[Any]], Any]
Masks = Sequence[np.ndarray | None]

#: A crop with a shorter side than this, in pixels, shows nothing that could be recognised.
MIN_SIDE = 4


class Embedder(ABC):
    """Turns crops into unit vectors; a subclass gives one batch method, the rest is here.

    `name` and `fingerprint` (a hash of weights and preprocessing) pin a store to the vectors it holds;
    `dim` is the length of a vector, `batch_size` the number of crops embedded at once.
    """

    name: str
    dim: int
    fingerprint: str
    batch_size: int = 32

    def embed(
        self, crops: Sequence[np.ndarray], masks: Masks | None = None, *, progress: OnCrops | None = None
    ) -> np.ndarray:
        """Vectors (n, dim) float32 of unit length for RGB uint8 crops (h, w, 3) of any sizes.

        `masks` gives one bool array (h, w) a crop, or None for a crop that is product from edge to edge;
        what lies outside a mask does not vote. Raises EmbedderError for what cannot be embedded.
        """
        pairs = _checked(crops, masks)
        starts = range(0, len(pairs), self.batch_size)
        vectors = np.zeros((len(pairs), self.dim), np.float32)
        for start in progress(starts) if progress else starts:
            part = pairs[start : start + self.batch_size]
            raw = self._embed_batch([crop for crop, _ in part], [mask for _, mask in part])
            vectors[start : start + len(part)] = unit_rows(raw)
        if not np.isfinite(vectors).all():
            raise EmbedderError(f"{self.name}: the network gave numbers that are not finite; its weights are damaged")
        return vectors

    @abstractmethod
    def _embed_batch(self, crops: list[np.ndarray], masks: list[np.ndarray | None]) -> np.ndarray:
        """Vectors (n, dim) float32, of any length, for at most `batch_size` checked crops."""


def too_small(crop: np.ndarray) -> bool:
    """True for a crop (h, w, ...) that `Embedder.embed` would refuse because it shows nothing."""
    return min(crop.shape[:2]) < MIN_SIDE


def unit_rows(vectors: np.ndarray) -> np.ndarray:
    """Rows scaled to unit length, float32; a row of zeros stays zero."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(length, 1e-12), dtype=np.float32)


def fingerprint_of(*parts: bytes) -> str:
    """A short hash (16 hex digits of SHA-256) of everything that decides a vector."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.hexdigest()[:16]


def _checked(crops: Sequence[np.ndarray], masks: Masks | None) -> list[tuple[np.ndarray, np.ndarray | None]]:
    if masks is not None and len(masks) != len(crops):
        raise EmbedderError(f"{len(crops)} crops were given with {len(masks)} masks; give one mask or None for each")
    pairs: list[tuple[np.ndarray, np.ndarray | None]] = []
    for at, crop in enumerate(crops):
        mask = masks[at] if masks is not None else None
        _check_crop(at, crop)
        if mask is not None:
            if mask.shape != crop.shape[:2]:
                raise EmbedderError(f"mask {at} is {mask.shape}, its crop {crop.shape[:2]}; give them one size")
            mask = mask.astype(bool, copy=False)
            # An empty mask would leave nothing to pool; the whole crop is the honest answer.
            mask = mask if mask.any() and not mask.all() else None
        pairs.append((crop, mask))
    return pairs


def _check_crop(at: int, crop: np.ndarray) -> None:
    if not isinstance(crop, np.ndarray) or crop.dtype != np.uint8 or crop.ndim != 3 or crop.shape[2] != 3:
        found = f"{crop.dtype} {crop.shape}" if isinstance(crop, np.ndarray) else type(crop).__name__
        raise EmbedderError(f"crop {at} is {found}; give an RGB uint8 array of shape (h, w, 3)")
    if too_small(crop):
        size = f"{crop.shape[1]} × {crop.shape[0]}"
        raise EmbedderError(f"crop {at} is {size} pixels; give at least {MIN_SIDE} × {MIN_SIDE}")
