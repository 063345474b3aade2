"""A linear map that a store learns from its own references, so that what differs within a product counts less.

Within-class covariance whitening (Hatch, Kajarekar, Stolcke 2006), the covariance shrunk towards its mean variance
(the form of Ledoit & Wolf 2004): vectors are centred, whitened by the covariance of references around their
product's mean, and brought to length 1 again. Needs no labels beyond "these references are one product".
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from functools import cached_property
from zipfile import BadZipFile

import numpy as np

from index.errors import IndexingError

_CENTRE_PRIOR = 10.0  # references that the shrunk mean counts against: the mean of three products is mostly noise


@dataclass(frozen=True)
class Recipe:
    """How a projection is fitted: "identity", "centre", or "within" with the share of shrinkage."""

    kind: str
    shrinkage: float = 0.0


#: What a store chooses from, in the order of preference among equals.
RECIPES = (Recipe("within", 0.3), Recipe("centre"), Recipe("identity"))


@dataclass(frozen=True, eq=False)
class Projection:
    """v ► unit((v - mean) @ matrix); mean float32 (dim,), matrix float32 (dim, dim), either None where not used."""

    dim: int
    kind: str = "identity"
    mean: np.ndarray | None = None
    matrix: np.ndarray | None = None

    def apply(self, vectors: np.ndarray) -> np.ndarray:
        """Raw vectors (n, dim) float32 ► projected unit vectors (n, dim) float32."""
        if vectors.ndim != 2 or vectors.shape[1] != self.dim:
            raise IndexingError(f"Vectors of shape {vectors.shape} do not fit a projection of (n, {self.dim}).")
        if self.mean is None:
            return np.ascontiguousarray(vectors, np.float32)
        moved = vectors - self.mean
        if self.matrix is not None:
            moved = moved @ self.matrix
        length = np.linalg.norm(moved, axis=1, keepdims=True)
        # A vector that equals the mean has no direction left; its own is as good as any, and of length 1.
        return np.where(length > 1e-6, moved / np.maximum(length, 1e-6), vectors).astype(np.float32)

    @property
    def mean_square(self) -> float:
        """The squared length of the mean that is taken away; 0 where none is."""
        return 0.0 if self.mean is None else float(self.mean @ self.mean)

    @cached_property
    def fingerprint(self) -> str:
        """Which projection this is: "identity", or 12 hex digits of a hash of its numbers."""
        if self.mean is None:
            return "identity"
        parts = [self.mean.tobytes(), b"" if self.matrix is None else self.matrix.tobytes()]
        return hashlib.sha256(b"|".join(parts)).hexdigest()[:12]

    def to_bytes(self) -> bytes:
        """The projection as the bytes of an .npz."""
        arrays = {name: value for name in ("mean", "matrix") if (value := getattr(self, name)) is not None}
        buffer = io.BytesIO()
        np.savez(buffer, dim=np.int64(self.dim), kind=np.array(self.kind), **arrays)
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Projection:
        """The projection that `to_bytes` wrote; raises IndexingError for anything else."""
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as file:
                arrays = {name: file[name] for name in ("mean", "matrix") if name in file}
                return cls(int(file["dim"]), str(file["kind"]), **arrays)
        except (ValueError, KeyError, OSError, EOFError, BadZipFile) as error:
            raise IndexingError(f"The store's projection cannot be read ({error}): run reindex.") from error


def fit_projection(recipe: Recipe, vectors: np.ndarray, owners: np.ndarray) -> Projection:
    """Fit one recipe to unit vectors (n, dim) of products `owners` (n,); "centre" where none has two references."""
    dim = vectors.shape[1]
    if recipe.kind == "identity" or len(vectors) == 0:
        return Projection(dim)
    mean = vectors.mean(axis=0, dtype=np.float64) * (len(vectors) / (len(vectors) + _CENTRE_PRIOR))
    mean = mean.astype(np.float32)
    spread = within_rows(vectors, owners) if recipe.kind == "within" else None
    if spread is None:
        return Projection(dim, "centre", mean)
    values, axes = _principal(spread)
    level = float((spread**2).sum()) / dim
    # scaled by the level, so that a direction of average spread keeps its length
    rest = recipe.shrinkage * level
    scale = np.sqrt(level / np.maximum((1 - recipe.shrinkage) * values + rest, 1e-6 * level))
    # directions in which references never differ are all of one scale
    other = np.sqrt(level / max(rest, 1e-6 * level))
    matrix = other * np.eye(dim) + (axes * (scale - other)) @ axes.T
    return Projection(dim, f"within {recipe.shrinkage:g}", mean, matrix.astype(np.float32))


def _principal(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues (k,) and eigenvectors (dim, k) of rows' (n, dim) scatter; k is the lesser of n and dim.

    From the n x n products where they are fewer: a small store learns anew with each product that it is given.
    """
    count, dim = rows.shape
    if count >= dim:
        values, axes = np.linalg.eigh(rows.T @ rows)
        return np.maximum(values, 0), axes
    values, mixes = np.linalg.eigh(rows @ rows.T)
    kept = values > 1e-9 * values[-1]
    return values[kept], rows.T @ (mixes[:, kept] / np.sqrt(values[kept]))


def within_rows(vectors: np.ndarray, owners: np.ndarray) -> np.ndarray | None:
    """References (n, dim) float64 less their product's mean, scaled so that rows' products are the unbiased pooled
    covariance; None where no product has two that differ.
    """
    _, owner, counts = np.unique(owners, return_inverse=True, return_counts=True)
    several = counts[owner] > 1
    if not several.any():
        return None
    order = np.flatnonzero(several)[np.argsort(owner[several], kind="stable")]
    rows, group = vectors[order].astype(np.float64), owner[order]
    starts = np.flatnonzero(np.r_[True, group[1:] != group[:-1]])
    sizes = np.diff(np.r_[starts, len(group)])
    rows -= np.repeat(np.add.reduceat(rows, starts) / sizes[:, None], sizes, axis=0)
    rows /= np.sqrt(len(rows) - len(sizes))
    return rows if (rows**2).sum() > 1e-9 else None
