"""Crops' vectors ► ranked products, each with the reference that speaks for it, and a decision.

For the join (matcher, evaluation), in the order of a store's life:

    ranker = Ranker.unfitted(embedder.dim, embedder.name)              # a new store
    ranker = Ranker.fit(vectors, reference_ids, owners, embedder.name) # at reindex, or when the catalogue changed much
    index = VectorIndex(ranker.dim, kind, tag=f"... {ranker.fingerprint}")
    index.add(reference_ids, ranker.project(vectors))                  # SQLite keeps raw vectors, FAISS projected ones
    rankings = ranker.rank(raw_query_vectors, index, owner_of, top=5, look=Look(...))
    ranker.to_bytes() / Ranker.from_bytes(data)                        # beside the index file

`vectors` are raw unit vectors, one row a view, the picture itself being a reference's first row; `owners` are product
numbers. `owner_of(ids int64 (n,))` gives their products, -1 for a reference that is gone. A fitted ranker goes on
working while references come and go: new ones are projected and added. A `fingerprint` that changed means that the
index must be filled again from the raw vectors.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from index.calibration import FALSE_ACCEPT_RATE, Calibration, Trials, calibrate
from index.errors import IndexingError
from index.leave_one_out import References, choose_recipe, fit_recipe, run_trials
from index.priors import prior_of
from index.projection import Projection
from index.rerank import Features, Look, Second, second_look
from index.vectors import VectorIndex, check_unit_vectors, first_of_each

OwnerOf = Callable[[np.ndarray], np.ndarray]

_FETCH_PER_PRODUCT = 8  # references fetched per product wanted; more where the nearest share few products
_CANDIDATES = 10  # products that a second look may bring to the top
_KEPT_REFERENCES = 3  # of a candidate, the nearest ones, for the second look


@dataclass(frozen=True)
class Candidate:
    """A product and why: its best reference, that one's score, and how many local features agree (None: not asked)."""

    owner: int
    reference_id: int
    score: float
    inliers: int | None = None


@dataclass(frozen=True)
class Ranking:
    """The answer for one crop: products best first, the lead of the first, its probability, and whether it is known."""

    candidates: tuple[Candidate, ...]
    margin: float
    probability: float
    known: bool


@dataclass(frozen=True, eq=False)
class Ranker:
    """Projection and calibration of one store; see the module's docstring for the way it is used."""

    projection: Projection
    calibration: Calibration
    embedder: str

    @classmethod
    def unfitted(cls, dim: int, embedder: str, false_accept_rate: float = FALSE_ACCEPT_RATE) -> Ranker:
        """For a store that has too little to learn from: no projection, the embedder's prior as calibration."""
        return cls(Projection(dim), calibrate(Trials.none(), prior_of(embedder), false_accept_rate), embedder)

    @classmethod
    def fit(
        cls,
        vectors: np.ndarray,
        reference_ids: np.ndarray,
        owners: np.ndarray,
        embedder: str = "retail-vgg",
        false_accept_rate: float = FALSE_ACCEPT_RATE,
        features: Features | None = None,
    ) -> Ranker:
        """Learn from raw unit vectors float32 (n, dim), their references int64 (n,) and products int64 (n,).

        `features` gives references' local features, for a store whose searches take a second look. Deterministic.
        Some seconds at 25,000 products with four references: larger catalogues are sampled.
        """
        references = _references(vectors, reference_ids, owners)
        if len(references.owners) == 0:
            return cls.unfitted(vectors.shape[1], embedder, false_accept_rate)
        recipe = choose_recipe(references)
        projection = fit_recipe(recipe, references)
        prior = prior_of(embedder).centred(projection.mean_square)
        trials = run_trials(recipe, references, features)
        return cls(projection, calibrate(trials, prior, false_accept_rate), embedder)

    @property
    def dim(self) -> int:
        """Dimensions of the vectors that the index holds; the raw ones have as many."""
        return self.projection.dim

    @property
    def fingerprint(self) -> str:
        """Changes when indexed vectors no longer fit: stands in the index's tag."""
        return self.projection.fingerprint

    def project(self, vectors: np.ndarray) -> np.ndarray:
        """Raw unit vectors (n, dim) ► the unit vectors float32 (n, dim) that the index holds."""
        return self.projection.apply(vectors)

    def rank(
        self, query_vectors: np.ndarray, index: VectorIndex, owner_of: OwnerOf, top: int = 5, look: Look | None = None
    ) -> list[Ranking]:
        """Rank products for raw query vectors (m, dim): at most `top` each, best first.

        A product's score is its best reference's. With `look`, close races are settled by local features. An empty
        index gives empty rankings, decided unknown.
        """
        queries = self.project(check_unit_vectors(query_vectors, self.dim))
        rows = _nearest(queries, index, owner_of, max(top, _CANDIDATES if look is not None else 2))
        return [self._ranking(at, row, top, look) for at, row in enumerate(rows)]

    def _ranking(self, at: int, products: list[_Nearest], top: int, look: Look | None) -> Ranking:
        if not products:
            return Ranking((), 0.0, 0.0, False)
        seconds = None
        if look is not None and len(products) > 1:
            seconds = second_look(at, [(one.references, one.scores) for one in products], self.calibration, look)
        if seconds is None:
            seconds = [Second(float(one.scores[0]), None, int(one.references[0])) for one in products]
        pairs = sorted(zip(products, seconds, strict=True), key=lambda pair: -pair[1].score)
        seen, score = pairs[0][1], float(pairs[0][0].scores[0])
        # a lone product has no runner-up: what a missing product would score stands in for it
        margin = seen.score - (pairs[1][1].score if len(pairs) > 1 else min(seen.score, self.calibration.centre))
        return Ranking(
            tuple(Candidate(one.owner, then.reference_id, then.score, then.inliers) for one, then in pairs[:top]),
            margin,
            float(self.calibration.probability(score, margin, seen.evidence)),
            bool(self.calibration.known(score, margin if len(pairs) > 1 else 0.0, seen.evidence)),
        )

    def to_bytes(self) -> bytes:
        """The ranker as JSON bytes."""
        projection = base64.b64encode(self.projection.to_bytes()).decode()
        values = {"embedder": self.embedder, "calibration": self.calibration.to_json(), "projection": projection}
        return json.dumps(values).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Ranker:
        """The ranker that `to_bytes` wrote; raises IndexingError for anything else."""
        try:
            values = json.loads(data)
            projection = Projection.from_bytes(base64.b64decode(values["projection"]))
            return cls(projection, Calibration.from_json(values["calibration"]), str(values["embedder"]))
        except (ValueError, KeyError, TypeError) as error:
            raise IndexingError(f"The store's ranker cannot be read ({error}): run reindex.") from error


@dataclass(frozen=True)
class _Nearest:
    """A product among the nearest: its nearest references int64 (r,), best first, and their scores float32 (r,)."""

    owner: int
    references: np.ndarray
    scores: np.ndarray


def _references(vectors: np.ndarray, reference_ids: np.ndarray, owners: np.ndarray) -> References:
    """The first row of each reference: the picture itself."""
    if not len(vectors) == len(reference_ids) == len(owners):
        raise IndexingError(f"{len(vectors)} vectors, {len(reference_ids)} ids, {len(owners)} products: give as many.")
    ids, first = np.unique(np.asarray(reference_ids, np.int64), return_index=True)
    vectors = check_unit_vectors(vectors, vectors.shape[1])
    return References(vectors[first], np.asarray(owners, np.int64)[first], ids)


def _nearest(queries: np.ndarray, index: VectorIndex, owner_of: OwnerOf, products: int) -> list[list[_Nearest]]:
    """The nearest `products` of each query; looks wider where many near references share few products."""
    fetch = products * _FETCH_PER_PRODUCT
    rows: list[list[_Nearest]] = [[] for _ in queries]
    left = np.arange(len(queries))
    while len(left):
        scores, ids = index.search(queries[left], fetch)
        owners = np.full(ids.shape, -1, np.int64)
        owners[ids >= 0] = owner_of(ids[ids >= 0])
        enough = (first_of_each(owners) & (owners >= 0)).sum(axis=1) >= products
        done = enough | (ids[:, -1] < 0)
        for at in np.flatnonzero(done).tolist():
            rows[left[at]] = _grouped(scores[at], ids[at], owners[at], products)
        left, fetch = left[~done], 4 * fetch
    return rows


def _grouped(scores: np.ndarray, ids: np.ndarray, owners: np.ndarray, products: int) -> list[_Nearest]:
    found: dict[int, list[int]] = {}
    for at, owner in enumerate(owners.tolist()):
        if owner >= 0 and (owner in found or len(found) < products):
            kept = found.setdefault(owner, [])
            if len(kept) < _KEPT_REFERENCES:
                kept.append(at)
    return [_Nearest(owner, ids[kept], scores[kept]) for owner, kept in found.items()]
