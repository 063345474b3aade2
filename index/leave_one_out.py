"""References asked as if they were crops: which projection finds their products among the others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from index.projection import RECIPES, Projection, Recipe, fit_projection

_ASKED = 2000  # references asked; more do not move the figures
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
    right = [run_trials(recipe, sample).astype(float) for recipe in RECIPES]
    if len(right[0]) == 0:
        return Recipe("centre")
    best = right[int(np.argmax([one.mean() for one in right]))]
    lost = [best - one for one in right]
    equal = [one.mean() <= 2 * one.std() / np.sqrt(len(one)) for one in lost]
    return next(recipe for recipe, fine in zip(RECIPES, equal, strict=True) if fine)


def run_trials(recipe: Recipe, references: References) -> np.ndarray:
    """Whether references (at most 2,000 asked), each left out, find their product among the others: bool (n,), those
    that have no other reference of their product left out.

    Below some 20 references per dimension a projection remembers what it was fitted to, so each fifth of the
    references is asked under a projection that was fitted to the others.
    """
    count, dim = references.vectors.shape
    asked = np.random.default_rng(1).permutation(count)[:_ASKED]
    if recipe.kind != "within" or count >= _REFIT_BELOW * dim:
        projection = fit_projection(recipe, *_parts(references.sample(_PROJECTION_ROWS)))
        return _ask(projection, references, asked, np.ones(count, bool))
    fold = _folds(references.owners)
    rounds = []
    for turn in range(_FOLDS):
        rest = fold != turn
        projection = fit_projection(recipe, *_parts(references.take(rest)))
        rounds.append(_ask(projection, references, asked[fold[asked] == turn], rest))
    return np.concatenate(rounds)


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


def _ask(projection: Projection, references: References, asked: np.ndarray, shelf: np.ndarray) -> np.ndarray:
    """Ask the references at `asked` among those under the mask `shelf`, each without itself."""
    rows = np.flatnonzero(shelf)
    rows = rows[np.argsort(references.owners[rows], kind="stable")]
    owners = references.owners[rows]
    starts = np.flatnonzero(np.r_[True, owners[1:] != owners[:-1]]) if len(rows) else np.empty(0, int)
    products = owners[starts]
    if len(products) < 2:
        return np.zeros(0, bool)
    vectors = projection.apply(references.vectors[rows])
    right = [np.zeros(0, bool)]
    for start in range(0, len(asked), _BLOCK):
        block = asked[start : start + _BLOCK]
        scores = projection.apply(references.vectors[block]) @ vectors.T
        scores[block[:, None] == rows[None]] = -np.inf
        best = np.maximum.reduceat(scores, starts, axis=1)
        mine = products[None] == references.owners[block, None]
        there = (np.isfinite(best) & mine).any(axis=1)
        right.append(mine[there, best[there].argmax(axis=1)])
    return np.concatenate(right)
