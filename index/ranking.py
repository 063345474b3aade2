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
from dataclasses import dataclass, replace

import numpy as np

from index.asking import Checked, Views, Watched, ask_checked, ask_views
from index.calibration import UNKNOWN, Calibration, Level, Policy, calibrate
from index.candidates import CANDIDATES, Nearest, grouped, score_table
from index.errors import IndexingError
from index.evidence import Answered, Found
from index.leave_one_out import References, choose_recipe, fit_recipe
from index.milvus import MilvusIndex
from index.priors import prior_of
from index.projection import Projection
from index.rerank import Features, LocalEvidence, second_looks
from index.vectors import VectorIndex, check_unit_vectors, first_of_each

OwnerOf = Callable[[np.ndarray], np.ndarray]
#: Logarithm by which owners int64 (n,) are likelier than others beforehand, float (n,).
Favour = Callable[[np.ndarray], np.ndarray]

_FETCH_PER_PRODUCT = 8  # references fetched per product wanted; more where the nearest share few products
_CLEAR = 0.997  # probability from which on an answer needs no second look


@dataclass(frozen=True)
class Candidate:
    """A product and why: its best reference, that one's score, how many local features agree (None: not asked), and
    how probable it is.
    """

    owner: int
    reference_id: int
    score: float
    inliers: int | None = None
    probability: float = 0.0


@dataclass(frozen=True)
class Ranking:
    """The answer for one crop: products, the most probable first, and what the first may be called.

    none_of_them  probability that it is none of `candidates`; with theirs it sums to one
    margin        by how much the first one's score leads the runner-up's, 0 where it does not
    """

    candidates: tuple[Candidate, ...]
    margin: float
    none_of_them: float
    certainty: Level

    @property
    def probability(self) -> float:
        """That the first answer is right."""
        return self.candidates[0].probability if self.candidates else 0.0

    @property
    def known(self) -> bool:
        """Whether the first answer is sure."""
        return self.certainty == "sure"


@dataclass(frozen=True, eq=False)
class Ranker:
    """Projection and calibration of one store; see the module's docstring for the way it is used."""

    projection: Projection
    calibration: Calibration
    embedder: str

    @classmethod
    def unfitted(cls, dim: int, embedder: str, policy: Policy | None = None) -> Ranker:
        """For a store that has too little to learn from: no projection, the embedder's prior as calibration."""
        return cls(Projection(dim), calibrate(Answered.none(), prior_of(embedder), policy or Policy()), embedder)

    @classmethod
    def fit(
        cls,
        vectors: np.ndarray,
        reference_ids: np.ndarray,
        owners: np.ndarray,
        embedder: str = "retail-vgg",
        policy: Policy | None = None,
        *,
        features: Features | None = None,
        views: Views | None = None,
        checked: Checked | None = None,
        products: int | None = None,
        progress: Watched = lambda items, total: items,
    ) -> Ranker:
        """Learn from raw unit vectors float32 (n, dim), their references int64 (n,) and products int64 (n,).

        `features` gives references' local features, for a store whose searches take a second look; `views` are some
        references as photos would show them, without which the references are asked as they are; `checked` are facings
        of real photos. `products` is the size of the catalogue, where the references are a sample. Deterministic.
        """
        references = _references(vectors, reference_ids, owners)
        if len(references.owners) == 0:
            return cls.unfitted(vectors.shape[1], embedder, policy)
        recipe = choose_recipe(references)
        projection = fit_recipe(recipe, references)
        views = views or as_they_are(references, features)
        prior = prior_of(embedder, views.studio).centred(projection.mean_square)
        trials = ask_views(projection, references, views, features, progress)
        size = len(np.unique(references.owners)) if products is None else products
        asked = None if checked is None else ask_checked(projection, references, checked, features)
        return cls(projection, calibrate(trials, prior, policy or Policy(), size, asked), embedder)

    def stating(self, policy: Policy) -> Ranker:
        """The same for another policy; nothing is learned anew."""
        return replace(self, calibration=replace(self.calibration, policy=policy))

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
        self,
        query_vectors: np.ndarray,
        index: VectorIndex | MilvusIndex,
        owner_of: OwnerOf,
        top: int = 5,
        look: LocalEvidence | None = None,
        *,
        among: int | None = None,
        favour: Favour | None = None,
    ) -> list[Ranking]:
        """Rank products for raw query vectors (m, dim): at most `top` each, the most probable first.

        A product's score is its best reference's. With `look`, races that are not clear are settled by local features.
        An empty index gives empty rankings, decided unknown. Where `index` and `owner_of` hold a part of the catalogue
        only, `among` is the number of its products; `favour` says which are likelier.
        """
        queries = self.project(check_unit_vectors(query_vectors, self.dim))
        rows = _nearest(queries, index, owner_of, max(top, CANDIDATES))
        score = score_table(rows, max(top, CANDIDATES))
        spoken = [[int(one.references[0]) for one in row] for row in rows]
        extra = None if favour is None else np.stack([_favours(row, favour, score.shape[1]) for row in rows])
        found = Found.not_looked_at(score)
        given = self.calibration.probabilities(found, products=among, favour=extra)
        if look is not None:
            open_ = np.flatnonzero(given[:, :-1].max(axis=1, initial=0) < _CLEAR).tolist()
            races = {at: rows[at][:CANDIDATES] for at in open_ if len(rows[at]) > 1}
            for at, seen in second_looks(races, look):
                found.inliers[at, : len(seen.inliers)], found.points[at] = seen.inliers, seen.points
                spoken[at][: len(seen.references)] = seen.references
            given = self.calibration.probabilities(found, products=among, favour=extra)
        return [self._ranking(*row, top) for row in zip(rows, spoken, found.inliers, given, strict=True)]

    def _ranking(
        self, products: list[Nearest], spoken: list[int], inliers: np.ndarray, given: np.ndarray, top: int
    ) -> Ranking:
        if not products:
            return Ranking((), 0.0, 1.0, UNKNOWN)
        order = np.argsort(-given[: len(products)], kind="stable")
        scores = [float(products[at].scores[0]) for at in order.tolist()]
        shown = tuple(
            Candidate(
                products[at].owner,
                spoken[at],
                float(products[at].scores[0]),
                int(inliers[at]) if inliers[at] >= 0 else None,
                float(given[at]),
            )
            for at in order[:top].tolist()
        )
        return Ranking(
            shown,
            max(0.0, scores[0] - scores[1]) if len(scores) > 1 else scores[0],
            max(0.0, 1.0 - sum(one.probability for one in shown)),
            self.calibration.certainty(shown[0].probability),
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


def _references(vectors: np.ndarray, reference_ids: np.ndarray, owners: np.ndarray) -> References:
    """The first row of each reference: the picture itself."""
    if not len(vectors) == len(reference_ids) == len(owners):
        raise IndexingError(f"{len(vectors)} vectors, {len(reference_ids)} ids, {len(owners)} products: give as many.")
    ids, first = np.unique(np.asarray(reference_ids, np.int64), return_index=True)
    vectors = check_unit_vectors(vectors, vectors.shape[1])
    return References(vectors[first], np.asarray(owners, np.int64)[first], ids)


def _nearest(
    queries: np.ndarray, index: VectorIndex | MilvusIndex, owner_of: OwnerOf, products: int
) -> list[list[Nearest]]:
    """The nearest `products` of each query; looks wider where many near references share few products."""
    fetch = products * _FETCH_PER_PRODUCT
    rows: list[list[Nearest]] = [[] for _ in queries]
    left = np.arange(len(queries))
    while len(left):
        scores, ids = index.search(queries[left], fetch)
        owners = np.full(ids.shape, -1, np.int64)
        owners[ids >= 0] = owner_of(ids[ids >= 0])
        enough = (first_of_each(owners) & (owners >= 0)).sum(axis=1) >= products
        done = enough | (ids[:, -1] < 0)
        for at in np.flatnonzero(done).tolist():
            rows[left[at]] = grouped(scores[at], ids[at], owners[at], products)
        left, fetch = left[~done], 4 * fetch
    return rows


def as_they_are(references: References, features: Features | None, most: int = 400) -> Views:
    """At most some 400 references as the views that they are asked with, where there are no pictures to make any of."""
    ids = np.arange(len(references.owners)) if references.ids is None else references.ids
    rows = np.random.default_rng(1).permutation(len(ids))[:most]
    stored = {} if features is None else features(ids[rows].tolist())
    return Views(references.vectors[rows], [stored.get(i, b"") for i in ids[rows].tolist()], ids[rows])


def _favours(row: list[Nearest], favour: Favour, columns: int) -> np.ndarray:
    found = np.zeros(columns)
    found[: len(row)] = favour(np.array([one.owner for one in row], np.int64)) if row else []
    return found
