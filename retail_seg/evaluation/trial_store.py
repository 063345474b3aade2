"""Labelled crops ► a store in memory that answers by the very path that a store on disk takes."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from index.calibration import Policy
from index.photographed import as_photographed
from index.ranking import LocalEvidence, Ranker, Ranking
from index.rerank import local_features
from index.studio import is_studio
from index.vectors import VectorIndex
from retail_seg.errors import PhotoError
from retail_seg.store.asked import MOST_EACH, AskedView, as_views, embed_shown, seed_of
from retail_seg.store.crop_lists import LabelledCrop, load_crops

if TYPE_CHECKING:
    from catalogue.health import Tracked
    from index import Embedder

#: Longer side, in pixels, at which pictures are embedded: that of a store's references.
MAX_SIDE = 1024

_BATCH = 64

#: A crop and its mask ► the views of it that are embedded.
ViewsOf = Callable[[np.ndarray, np.ndarray | None], list[tuple[np.ndarray, np.ndarray | None]]]


@dataclass(frozen=True)
class EmbeddedCrops:
    """Crops that were read: labels int64 (n,), their places in the list, vectors of each one's views, features, and
    some of them as photos would show them, by row and number.
    """

    labels: np.ndarray
    place: np.ndarray
    vectors: list[np.ndarray]
    features: list[bytes]
    shown: dict[tuple[int, int], AskedView] = field(default_factory=dict)

    def take(self, rows: np.ndarray) -> EmbeddedCrops:
        """Those at the positions `rows`."""
        now = {int(row): at for at, row in enumerate(rows)}
        shown = {(now[row], number): view for (row, number), view in self.shown.items() if row in now}
        vectors, features = [self.vectors[i] for i in rows], [self.features[i] for i in rows]
        return EmbeddedCrops(self.labels[rows], self.place[rows], vectors, features, shown)

    @property
    def first_views(self) -> np.ndarray:
        """The vectors (n, dim) of the pictures themselves."""
        return np.stack([one[0] for one in self.vectors])


def embed_crops(
    rows: Sequence[LabelledCrop],
    numbers: Mapping[str, int],
    embedder: Embedder,
    views: ViewsOf,
    progress: Tracked | None = None,
    *,
    show: int = 0,
) -> tuple[EmbeddedCrops, list[PhotoError]]:
    """Read, embed and describe the crops of a list, a batch in memory at a time; and the errors of the rest.

    With `show`, at most so many views of some of them are embedded as photos would show them, too, as a store does with
    its references.
    """
    errors: list[PhotoError] = []
    place: list[int] = []
    vectors: list[np.ndarray] = []
    features: list[bytes] = []
    shown: dict[tuple[int, int], AskedView] = {}
    batch: list[list[np.ndarray]] = []
    wanted = _views_shown(rows, show)
    beside: np.ndarray | None = None

    def flush() -> None:
        flat = [view for one in batch for view in one]
        if flat:
            sizes = np.cumsum([len(one) for one in batch])[:-1]
            vectors.extend(np.split(embedder.embed(flat), sizes))
            batch.clear()

    crops = load_crops(rows, MAX_SIDE)
    for at, crop in progress(crops, len(rows)) if progress else crops:
        if isinstance(crop, PhotoError):
            errors.append(crop)
            continue
        keys = [(len(place), number) for number in range(wanted.get(at, 0))]
        posed = [as_photographed(crop, None, seed_of(at, number), beside) for _, number in keys]
        shown |= (
            zip(keys, embed_shown(embedder, posed, [is_studio(crop, None)] * len(keys)), strict=True) if keys else {}
        )
        beside = crop
        place.append(at)
        features.append(local_features(crop))
        batch.append([view for view, _ in views(crop, None)])
        if len(batch) == _BATCH:
            flush()
    flush()
    labels = np.array([numbers[rows[at].label] for at in place], np.int64)
    return EmbeddedCrops(labels, np.array(place, np.int64), vectors, features, shown), errors


def _views_shown(rows: Sequence[LabelledCrop], most: int) -> dict[int, int]:
    """At most how many views of which rows: a label's first rows come first: smaller galleries are made of those."""
    before: Counter[str] = Counter()
    keys = []
    for at, row in enumerate(rows):
        keys.append((before[row.label], zlib.crc32(str(at).encode()), at))
        before[row.label] += 1
    order = [at for _, _, at in sorted(keys)]
    return dict.fromkeys(order[:most], 1) | dict.fromkeys(order[: most // MOST_EACH], MOST_EACH)


class TrialStore:
    """What a store of these references answers, without its files."""

    def __init__(self, shelf: EmbeddedCrops, embedder: str, policy: Policy) -> None:
        self._shelf = shelf
        views = [len(one) for one in shelf.vectors]
        ids, vectors = np.repeat(np.arange(len(views)), views), np.concatenate(shelf.vectors)
        shown = as_views(shelf.shown, vectors.shape[1])
        self.ranker = Ranker.fit(
            vectors, ids, shelf.labels[ids], embedder, policy, features=self._features, views=shown
        )
        self._index = VectorIndex(self.ranker.dim)
        self._index.add(ids, self.ranker.project(vectors))

    def rank(self, asked: EmbeddedCrops, top: int) -> list[Ranking]:
        """What the store answers, at most `top` products each."""
        look = LocalEvidence(lambda at: asked.features[at], self._features)
        return self.ranker.rank(asked.first_views, self._index, lambda ids: self._shelf.labels[ids], top, look)

    def plain(self, asked: EmbeddedCrops) -> float:
        """Top-1 of the bare vectors: a product's score is its best reference's cosine."""
        nearest = (asked.first_views @ self._shelf.first_views.T).argmax(axis=1)
        return float((self._shelf.labels[nearest] == asked.labels).mean())

    def _features(self, ids: Sequence[int]) -> dict[int, bytes]:
        return {i: self._shelf.features[i] for i in ids}
