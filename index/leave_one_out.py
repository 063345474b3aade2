"""References asked as if they were crops: what a catalogue tells about itself without one labelled photo."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from index.calibration import Trials, evidence_of
from index.projection import RECIPES, Projection, Recipe, fit_projection
from index.rerank import Features, agreeing_features, decode_features, fuse

_ASKED = 2000  # references asked; more do not move the figures
_LOOKED = 400  # references asked where each takes a second look: some ten milliseconds
_LOOK_PRODUCTS, _LOOK_PAIRS, _LOOK_REFERENCES = 11, 18, 3  # as in a search, and its own product with its references
_BLOCK = 128  # asked at once: bounds the score matrix to _BLOCK x references
_FOLDS = 5
_PROJECTION_ROWS = 20_000  # references that a projection is fitted to
_CHOICE_ROWS = 4_000  # references that the choice between recipes looks at
_REFIT_BELOW = 20  # references per dimension below which a projection knows the very references it was fitted to


@dataclass(frozen=True)
class References:
    """Raw vectors of references, one row each (the picture itself, not its turned views), and their products."""

    vectors: np.ndarray  # float32 (n, dim)
    owners: np.ndarray  # int64 (n,)
    ids: np.ndarray | None = None  # int64 (n,), needed for a second look only

    def take(self, rows: np.ndarray) -> References:
        """The references at these positions, or under this mask."""
        return References(self.vectors[rows], self.owners[rows], None if self.ids is None else self.ids[rows])

    def sample(self, count: int) -> References:
        """At most some `count` references, whole products, the same ones every time."""
        if len(self.owners) <= count:
            return self
        products, sizes = np.unique(self.owners, return_counts=True)
        order = np.random.default_rng(0).permutation(len(products))
        kept = products[order[np.cumsum(sizes[order]) <= count]]
        return self.take(np.isin(self.owners, kept))


def choose_recipe(references: References) -> Recipe:
    """The recipe under which left-out references find their product: whitening, unless another is clearly better.

    Clearly is by more than two standard errors of the paired difference; whitening goes first because on real photos it
    sets missing products further apart where first answers are equal. "centre" where no product has two references,
    because then nothing can be tried.
    """
    sample = references.sample(_CHOICE_ROWS)
    right = [run_trials(recipe, sample).right.astype(float) for recipe in RECIPES]
    if len(right[0]) == 0:
        return Recipe("centre")
    best = right[int(np.argmax([one.mean() for one in right]))]
    lost = [best - one for one in right]
    equal = [one.mean() <= 2 * one.std() / np.sqrt(len(one)) for one in lost]
    return next(recipe for recipe, fine in zip(RECIPES, equal, strict=True) if fine)


def run_trials(recipe: Recipe, references: References, features: Features | None = None) -> Trials:
    """Ask references (at most 2,000) with their product in the catalogue and without it.

    With `features` each answer takes a second look, as a search does, and at most 400 are asked.

    Below some 20 references per dimension a projection remembers what it was fitted to, so each fifth of the
    references is asked under a projection that was fitted to the others.
    """
    count, dim = references.vectors.shape
    asked = np.random.default_rng(1).permutation(count)[: _ASKED if features is None else _LOOKED]
    if recipe.kind != "within" or count >= _REFIT_BELOW * dim:
        projection = fit_projection(recipe, *_parts(references.sample(_PROJECTION_ROWS)))
        return _ask(projection, references, asked, np.ones(count, bool), features)
    fold = _folds(references.owners)
    rounds = []
    for turn in range(_FOLDS):
        rest = fold != turn
        projection = fit_projection(recipe, *_parts(references.take(rest)))
        rounds.append(_ask(projection, references, asked[fold[asked] == turn], rest, features))
    return Trials.joined(rounds)


def fit_recipe(recipe: Recipe, references: References) -> Projection:
    """The projection of a recipe, from all references or as many as it takes."""
    return fit_projection(recipe, *_parts(references.sample(_PROJECTION_ROWS)))


def _parts(references: References) -> tuple[np.ndarray, np.ndarray]:
    return references.vectors, references.owners


def _folds(owners: np.ndarray) -> np.ndarray:
    """A fold per reference, spread evenly within each product."""
    order = np.random.default_rng(2).permutation(len(owners))
    order = order[np.argsort(owners[order], kind="stable")]
    fold = np.empty(len(owners), int)
    fold[order] = np.arange(len(owners)) % _FOLDS
    return fold


def _ask(
    projection: Projection, references: References, asked: np.ndarray, shelf: np.ndarray, features: Features | None
) -> Trials:
    """Ask the references at `asked` among those under the mask `shelf`, each without itself."""
    rows = np.flatnonzero(shelf)
    rows = rows[np.argsort(references.owners[rows], kind="stable")]
    owners = references.owners[rows]
    starts = np.flatnonzero(np.r_[True, owners[1:] != owners[:-1]]) if len(rows) else np.empty(0, int)
    products = owners[starts]
    if len(products) < 2 or len(asked) == 0:
        return Trials.none()
    vectors = projection.apply(references.vectors[rows])
    parts = []
    for start in range(0, len(asked), _BLOCK):
        block = asked[start : start + _BLOCK]
        scores = projection.apply(references.vectors[block]) @ vectors.T
        scores[block[:, None] == rows[None]] = -np.inf
        best = np.maximum.reduceat(scores, starts, axis=1)
        evidence = np.zeros(best.shape)
        if features is not None and references.ids is not None:
            place = np.repeat(np.arange(len(starts)), np.diff(np.r_[starts, len(rows)]))
            evidence = _second_looks(references.ids[block], references.ids[rows], scores, best, place, features)
        parts.append(_outcomes(best, evidence, references.owners[block], products))
    return Trials.joined(parts)


def _second_looks(
    asked: np.ndarray, ids: np.ndarray, scores: np.ndarray, best: np.ndarray, place: np.ndarray, features: Features
) -> np.ndarray:
    """Evidence (m, products) of the nearest products' references for `asked` (m,), 0 where none was compared.

    `scores` (m, n) are those of the references `ids` (n,), whose products are `place` (n,); `best` (m, products).
    """
    evidence = np.zeros(best.shape)
    for at, row in enumerate(scores):
        near = np.argsort(-best[at], kind="stable")[:_LOOK_PRODUCTS]
        pairs = _pairs(row, np.flatnonzero(np.isin(place, near) & np.isfinite(row)), place)
        stored = features([int(asked[at]), *ids[pairs].tolist()])
        if int(asked[at]) not in stored:
            continue
        query = decode_features(stored[int(asked[at])])
        for pair in pairs.tolist():
            if int(ids[pair]) in stored:
                found = float(evidence_of(agreeing_features(query, decode_features(stored[int(ids[pair])]))))
                evidence[at, place[pair]] = max(evidence[at, place[pair]], found)
    return evidence


def _pairs(scores: np.ndarray, columns: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Of these columns the best, at most a few of one product."""
    order = columns[np.argsort(-scores[columns], kind="stable")]
    seen: dict[int, int] = {}
    kept = []
    for column in order.tolist():
        seen[place[column]] = seen.get(place[column], 0) + 1
        if seen[place[column]] <= _LOOK_REFERENCES:
            kept.append(column)
    return np.array(kept[:_LOOK_PAIRS], int)


def _outcomes(best: np.ndarray, evidence: np.ndarray, owners: np.ndarray, products: np.ndarray) -> Trials:
    """Trials from best score and evidence (m, products) of each product for crops of the products `owners` (m,)."""
    there = np.isfinite(best)
    fused = np.where(there, fuse(np.where(there, best, 0.0), evidence), -np.inf)
    mine = products[None] == owners[:, None]
    others = np.where(mine, -np.inf, fused)
    has_own, has_two = (np.isfinite(fused) & mine).any(axis=1), np.isfinite(others).sum(axis=1) >= 2
    first, lead = _first(fused[has_own])
    missing, missing_lead = _first(others[has_two])
    own_rows, two_rows = np.flatnonzero(has_own), np.flatnonzero(has_two)
    return Trials(
        score=best[own_rows, first],
        lead=lead,
        evidence=evidence[own_rows, first],
        right=mine[own_rows, first],
        missing_score=best[two_rows, missing],
        missing_lead=missing_lead,
        missing_evidence=evidence[two_rows, missing],
    )


def _first(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The best column (m,) and its lead over the second best (m,) of scores (m, products)."""
    first = scores.argmax(axis=1)
    two = -np.partition(-scores, 1, axis=1)[:, :2]
    return first, two[:, 0] - two[:, 1]
