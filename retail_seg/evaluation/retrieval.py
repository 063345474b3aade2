"""Labelled crops ► how well a store of the gallery names the queries, by the very path that a store takes.

The gallery's pictures become references with all their views and local features, a `Ranker` is fitted to them, and
each query is ranked: projection, exact search, second look, calibration. Beside it stands the plain answer: cosine of
the vectors as they come from the network.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from index.calibration import FALSE_ACCEPT_RATE, ONE_REFERENCE, expected_calibration_error
from index.ranking import Look, Ranker, Ranking
from index.rerank import local_features
from index.vectors import VectorIndex
from index.views import reference_views
from retail_seg.errors import LabelledCropsError, PhotoError
from retail_seg.store.crop_lists import LabelledCrop, load_crops

if TYPE_CHECKING:
    from catalogue.health import Progress
    from index import Embedder

#: References per product that are tried, the first ones of the gallery.
REFERENCE_COUNTS = (1, 2, 4, 8)
#: Longer side, in pixels, at which pictures are embedded: that of a store's references.
MAX_SIDE = 1024
#: Ranks beyond this one count as not found in the mean average precision.
DEPTH = 100
#: Products are left out in this many parts, one part at a time.
PARTS = 3

_BATCH = 64


@dataclass(frozen=True)
class EmbeddedCrops:
    """Crops that were read: labels int64 (n,), their places in the list, vectors of each one's views, features."""

    labels: np.ndarray
    place: np.ndarray
    vectors: list[np.ndarray]
    features: list[bytes]

    def take(self, rows: np.ndarray) -> EmbeddedCrops:
        """Those at the positions `rows`."""
        return EmbeddedCrops(
            self.labels[rows], self.place[rows], [self.vectors[i] for i in rows], [self.features[i] for i in rows]
        )


@dataclass(frozen=True)
class Accuracy:
    """Scores with at most `references` references per product; `known` is the share decided known."""

    references: int
    plain_top1: float
    top1: float
    top5: float
    map: float
    ece: float
    known: float
    known_right: float

    def line(self) -> str:
        """A line of the table."""
        values = f"{self.plain_top1:11.3f}  {self.top1:5.3f}  {self.top5:5.3f}  {self.map:5.3f}  {self.ece:5.3f}"
        return f"{self.references:10}  {values}  {self.known:5.3f}  {self.known_right:15.3f}"


@dataclass(frozen=True)
class Rejection:
    """Products left out of the gallery, a third at a time: shares of queries, at the stated false-accept rate.

    `rejected` of those of left-out products; `accepted` and `accepted_right` of the others.
    """

    false_accept_rate: float
    rejected: float
    accepted: float
    accepted_right: float
    queries_left_out: int


@dataclass(frozen=True)
class RetrievalResult:
    """Everything that is reported of one embedder; `probability` and `right` (n,) are those of the fullest gallery.

    `apart` holds products that the embedder learned from and others, each under what it is.
    """

    embedder: str
    fingerprint: str
    projection: str
    products: int
    references: int
    queries: int
    rows: tuple[Accuracy, ...]
    apart: Mapping[str, Accuracy]
    rejection: Rejection | None
    probability: np.ndarray
    right: np.ndarray

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers for a JSON line."""
        names = ("embedder", "fingerprint", "projection", "products", "references", "queries")
        return {
            **{name: getattr(self, name) for name in names},
            "by_references": [_rounded(asdict(row)) for row in self.rows],
            "apart": {name: _rounded(asdict(row)) for name, row in self.apart.items()},
            "left_out": _rounded(asdict(self.rejection)) if self.rejection else None,
        }

    def table(self) -> str:
        """The same for people."""
        lines = [
            f"{self.embedder}: {self.products} products, {self.references} references, {self.queries} queries;"
            f" projection {self.projection}",
            "references  plain top-1  top-1  top-5    mAP    ECE  known  known and right",
        ]
        lines += [row.line() for row in self.rows]
        lines += [f"{row.line()}  {name}" for name, row in self.apart.items()]
        if self.rejection:
            one = self.rejection
            rate = f"a third of the products left out at a time, false-accept rate {one.false_accept_rate:.1%}"
            rest = f"{one.accepted:.1%} of the others accepted, {one.accepted_right:.1%} right"
            lines.append(f"{rate}: {one.rejected:.1%} of theirs rejected, {rest}")
        if self.references == self.products:
            lines.append(ONE_REFERENCE)
        return "\n".join(lines)


def evaluate_retrieval(
    gallery: Sequence[LabelledCrop],
    queries: Sequence[LabelledCrop],
    embedder: Embedder,
    *,
    false_accept_rate: float = FALSE_ACCEPT_RATE,
    seen: Collection[str] = (),
    progress: Progress | None = None,
) -> tuple[RetrievalResult, list[PhotoError]]:
    """Score an embedder on a gallery and queries; also the errors of pictures that could not be used.

    `seen` names the labels that the embedder was trained with: they and the others are scored apart, too.
    Raises LabelledCropsError where no label of the queries is in the gallery.
    """
    numbers = {label: at for at, label in enumerate(sorted({row.label for row in gallery}))}
    known = [row for row in queries if row.label in numbers]
    if not known:
        raise LabelledCropsError("No label of the queries is in the gallery: give both lists the same labels.")
    shelf, errors = embed_crops(gallery, numbers, embedder, reference_views, progress)
    asked, more = embed_crops(known, numbers, embedder, lambda crop, mask: [(crop, mask)], progress)
    if not len(shelf.labels) or not len(asked.labels):
        raise LabelledCropsError("No picture of the gallery or of the queries could be read: check the paths.")
    rows, store, rankings = _by_references(shelf, asked, embedder.name, false_accept_rate)
    result = RetrievalResult(
        embedder=embedder.name,
        fingerprint=embedder.fingerprint,
        projection=store.ranker.projection.kind,
        products=len(np.unique(shelf.labels)),
        references=len(shelf.labels),
        queries=len(asked.labels),
        rows=tuple(rows),
        apart=_apart(shelf, asked, store, rankings, [numbers[label] for label in seen if label in numbers]),
        rejection=_rejection(shelf, asked, embedder.name, false_accept_rate),
        probability=np.array([ranking.probability for ranking in rankings]),
        right=_rank_of(rankings, asked.labels) == 0,
    )
    return result, errors + more


def embed_crops(
    rows: Sequence[LabelledCrop],
    numbers: Mapping[str, int],
    embedder: Embedder,
    views: Callable[[np.ndarray, np.ndarray | None], list[tuple[np.ndarray, np.ndarray | None]]],
    progress: Progress | None = None,
) -> tuple[EmbeddedCrops, list[PhotoError]]:
    """Read, embed and describe the crops of a list, a batch in memory at a time; and the errors of the rest."""
    errors: list[PhotoError] = []
    place: list[int] = []
    vectors: list[np.ndarray] = []
    features: list[bytes] = []
    batch: list[list[np.ndarray]] = []

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
        place.append(at)
        features.append(local_features(crop))
        batch.append([view for view, _ in views(crop, None)])
        if len(batch) == _BATCH:
            flush()
    flush()
    labels = np.array([numbers[rows[at].label] for at in place], np.int64)
    return EmbeddedCrops(labels, np.array(place, np.int64), vectors, features), errors


class _Store:
    """What a store of these references answers, without its files."""

    def __init__(self, shelf: EmbeddedCrops, embedder: str, false_accept_rate: float) -> None:
        self._shelf = shelf
        views = [len(one) for one in shelf.vectors]
        self._ids = np.repeat(np.arange(len(views)), views)
        self._vectors = np.concatenate(shelf.vectors)
        owners = shelf.labels[self._ids]
        self.ranker = Ranker.fit(self._vectors, self._ids, owners, embedder, false_accept_rate, self._features)
        self._index = VectorIndex(self.ranker.dim)
        self._index.add(self._ids, self.ranker.project(self._vectors))

    def rank(self, asked: EmbeddedCrops, top: int) -> list[Ranking]:
        look = Look(lambda at: asked.features[at], self._features)
        return self.ranker.rank(_first_views(asked), self._index, lambda ids: self._shelf.labels[ids], top, look)

    def _features(self, ids: Sequence[int]) -> dict[int, bytes]:
        return {i: self._shelf.features[i] for i in ids}

    def plain(self, asked: EmbeddedCrops) -> float:
        """Top-1 of the bare vectors: a product's score is its best reference's cosine."""
        nearest = (_first_views(asked) @ _first_views(self._shelf).T).argmax(axis=1)
        return float((self._shelf.labels[nearest] == asked.labels).mean())


def _by_references(
    shelf: EmbeddedCrops, asked: EmbeddedCrops, embedder: str, rate: float
) -> tuple[list[Accuracy], _Store, list[Ranking]]:
    """A row for each number of references, and the fullest store with its answers."""
    nth = _nth(shelf.labels)
    fullest = int(nth.max()) + 1
    rows = []
    for count in [count for count in REFERENCE_COUNTS if count < fullest] + [fullest]:
        store = _Store(shelf.take(np.flatnonzero(nth < count)), embedder, rate)
        rankings = store.rank(asked, DEPTH)
        rows.append(_accuracy(count, store.plain(asked), rankings, asked.labels))
    return rows, store, rankings


def _apart(
    shelf: EmbeddedCrops, asked: EmbeddedCrops, store: _Store, rankings: Sequence[Ranking], seen: Sequence[int]
) -> dict[str, Accuracy]:
    """Queries of products seen and unseen in the whole store, and unseen ones in a store of their own kind alone."""
    mine, theirs = np.isin(asked.labels, seen), ~np.isin(shelf.labels, seen)
    if mine.all() or not mine.any():
        return {}
    count = int(_nth(shelf.labels).max()) + 1

    def within(at: np.ndarray) -> Accuracy:
        part = asked.take(at)
        return _accuracy(count, store.plain(part), [rankings[i] for i in at], part.labels)

    others = asked.take(np.flatnonzero(~mine))
    alone = _Store(
        shelf.take(np.flatnonzero(theirs)), store.ranker.embedder, store.ranker.calibration.false_accept_rate
    )
    return {
        "products seen in training": within(np.flatnonzero(mine)),
        "products never seen": within(np.flatnonzero(~mine)),
        "never seen, in a store without the others": _accuracy(
            count, alone.plain(others), alone.rank(others, DEPTH), others.labels
        ),
    }


def _first_views(crops: EmbeddedCrops) -> np.ndarray:
    return np.stack([one[0] for one in crops.vectors])


def _nth(labels: np.ndarray) -> np.ndarray:
    """Of each row, how many rows of its label stand before it."""
    order = np.argsort(labels, kind="stable")
    starts = np.r_[0, np.flatnonzero(np.diff(labels[order])) + 1]
    sizes = np.diff(np.r_[starts, len(labels)])
    nth = np.empty(len(labels), np.int64)
    nth[order] = np.arange(len(labels)) - np.repeat(starts, sizes)
    return nth


def _rank_of(rankings: Sequence[Ranking], labels: np.ndarray) -> np.ndarray:
    """The place of the right product in each ranking, from 0; DEPTH where it is not in it."""
    places = []
    for ranking, label in zip(rankings, labels.tolist(), strict=True):
        owners = [candidate.owner for candidate in ranking.candidates]
        places.append(owners.index(label) if label in owners else DEPTH)
    return np.array(places)


def _accuracy(count: int, plain: float, rankings: Sequence[Ranking], labels: np.ndarray) -> Accuracy:
    rank = _rank_of(rankings, labels)
    known = np.array([ranking.known for ranking in rankings])
    probability = np.array([ranking.probability for ranking in rankings])
    return Accuracy(
        references=count,
        plain_top1=plain,
        top1=float((rank == 0).mean()),
        top5=float((rank < 5).mean()),
        map=float(np.where(rank < DEPTH, 1 / (rank + 1), 0).mean()),
        ece=expected_calibration_error(probability, rank == 0),
        known=float(known.mean()),
        known_right=float((known & (rank == 0)).mean()),
    )


def _rejection(shelf: EmbeddedCrops, asked: EmbeddedCrops, embedder: str, rate: float) -> Rejection | None:
    """Leave a part of the products out at a time; None where there are too few to leave any."""
    products = np.unique(shelf.labels)
    if len(products) < 2 * PARTS:
        return None
    foreign, accepted, right = [], [], []
    for part in range(PARTS):
        out = products[part::PARTS]
        rankings = _Store(shelf.take(np.flatnonzero(~np.isin(shelf.labels, out))), embedder, rate).rank(asked, 1)
        known = np.array([ranking.known for ranking in rankings])
        first = np.array([ranking.candidates[0].owner for ranking in rankings])
        missing = np.isin(asked.labels, out)
        foreign.append(known[missing])
        accepted.append(known[~missing])
        right.append((known & (first == asked.labels))[~missing])
    strangers = np.concatenate(foreign)
    return Rejection(
        false_accept_rate=rate,
        rejected=float(1 - strangers.mean()),
        accepted=float(np.concatenate(accepted).mean()),
        accepted_right=float(np.concatenate(right).mean()),
        queries_left_out=len(strangers),
    )


def _rounded(values: dict[str, Any]) -> dict[str, Any]:
    return {name: round(value, 4) if isinstance(value, float) else value for name, value in values.items()}
