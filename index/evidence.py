"""What a search found for a crop ► how probable each candidate is, *none of them* being one of the answers.

A conditional logit (McFadden 1974): every candidate has a utility, linear in what speaks for it, *none of them* has one
of its own, and probabilities are their shares of the exponentials. So the same few weights order the candidates (how
much agreeing local features count for beside the cosine) and say how sure the first is. They are learned, see `asking`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np

#: Numbers that speak for a candidate, and for none of them; see `features`.
CANDIDATE_FEATURES, NONE_FEATURES = 3, 4
#: What stands in place of the right candidate's column: the product is not in the catalogue; it is, but no candidate.
MISSING, BEYOND = -1, -2
#: Agreeing local features that any two packs show.
CHANCE = 3
#: Inverse variance of the weights around those that they are learned from.
STRENGTH = 20.0

_FEWEST_POINTS, _MOST_SHARE = 20, 0.25  # keypoints that a share counts at least, and the share that says all
_POINTS, _SCALED = 64, 3.0  # keypoints of a crop that is neither sharp nor blurred; of the logarithm of how many more
_LEAST = 1e-12
_LEAST_BEST = -2.0  # spreads from the centre: how rare lower scores are, no distribution is sure to tell


@dataclass(frozen=True)
class Found:
    """Candidates of n crops, at most k each, by falling score.

    score     float (n, k): cosine of the product's best reference, -inf where there are no more products
    inliers   int (n, k): local features that agree, -1 where none was compared
    points    int (n,): local features that the crop has, 0 where it was not looked at
    """

    score: np.ndarray
    inliers: np.ndarray
    points: np.ndarray

    def __len__(self) -> int:
        return len(self.score)

    def take(self, rows: np.ndarray) -> Found:
        """The crops at these positions, or under this mask."""
        return Found(self.score[rows], self.inliers[rows], self.points[rows])

    def without_look(self) -> Found:
        """The same where nothing was compared."""
        return Found.not_looked_at(self.score)

    @classmethod
    def not_looked_at(cls, score: np.ndarray) -> Found:
        """Candidates of these scores (n, k) before any second look."""
        return cls(score, np.full(score.shape, -1), np.zeros(len(score), int))

    @classmethod
    def joined(cls, parts: Sequence[Found]) -> Found:
        """All crops of several searches of one k."""
        return cls(*(np.concatenate([getattr(one, name) for one in parts]) for name in cls.__annotations__))


@dataclass(frozen=True)
class Scale:
    """Best scores that products missing from a catalogue of `products` reach: their mean and spread."""

    centre: float
    spread: float
    products: int = 1

    def rarer(self, found: Found, products: int) -> np.ndarray:
        """The logarithm (n,) by which odds of none of them grow where only so many of the products were searched.

        A product that is there scores what it scores among all, one that is missing meets fewer that resemble it: the
        best of N scores is distributed as F, that of M of them as F^(M/N), and their densities are as M/N F^(M/N - 1).
        F is Gumbel's, of the largest of many (1935).
        """
        share = min(max(products, 1) / self.products, 1.0)
        best = (found.score.max(axis=1, initial=-np.inf) - self.centre) / self.spread
        return np.log(share) + (1 - share) * np.exp(-np.euler_gamma - np.pi / sqrt(6) * np.maximum(best, _LEAST_BEST))


@dataclass(frozen=True)
class Weights:
    """What each number of `features` counts for: those of a candidate, and those of none of them."""

    candidate: tuple[float, ...]
    none: tuple[float, ...]

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Weights:
        """From the plain values of a JSON document; KeyError, TypeError or ValueError for anything else.

        Stores that learned before the fourth number of none of them was there give it no weight.
        """
        found = cls(tuple(map(float, values["candidate"])), tuple(map(float, values["none"])))
        if len(found.none) == NONE_FEATURES - 1:
            found = cls(found.candidate, (*found.none, 0.0))
        if (len(found.candidate), len(found.none)) != (CANDIDATE_FEATURES, NONE_FEATURES):
            raise ValueError(f"{len(found.candidate)} and {len(found.none)} weights")
        return found


@dataclass(frozen=True)
class Answered:
    """Crops whose product is known: what was found, the column `right` int (n,) of the right candidate, MISSING or
    BEYOND for none of them, and how much each counts, `weight` float (n,).
    """

    found: Found
    right: np.ndarray
    weight: np.ndarray

    @classmethod
    def none(cls) -> Answered:
        """No crops: what is learned from them is what was believed before."""
        return cls(Found.not_looked_at(np.empty((0, 1))), np.empty(0, int), np.empty(0))

    @classmethod
    def joined(cls, parts: Sequence[Answered]) -> Answered:
        """All of several rounds."""
        right, weight = (np.concatenate([getattr(one, name) for one in parts]) for name in ("right", "weight"))
        return cls(Found.joined([one.found for one in parts]), right, weight)

    def take(self, rows: np.ndarray) -> Answered:
        """The crops at these positions, or under this mask."""
        return Answered(self.found.take(rows), self.right[rows], self.weight[rows])


def features(found: Found, scale: Scale) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What speaks for the candidates (n, k, 3), for none of them (n, 4), and which candidates there are (n, k) bool.

    Of a candidate: its score in spreads above the centre; the logarithm of how many local features agree; and their
    share of those that the crop has, for three of twenty say more than three of two hundred. Of none of them: a
    constant; the second largest of either number, for what agrees with two sisters (a brand's mark, the shape of a can)
    tells neither; and the logarithm of how many features the crop has, for a sharp crop that agrees with nothing is
    sooner a stranger than a blurred one. How much sooner differs between stores (a phone's photos agree with a phone's,
    a studio's with few), so this number is a large one: its weight moves easily away from what is true of most.
    """
    there = np.isfinite(found.score)
    above = (np.where(there, found.score, scale.centre) - scale.centre) / scale.spread
    agreeing = np.maximum(found.inliers, 0)
    share = np.minimum(agreeing / np.maximum(found.points, _FEWEST_POINTS)[:, None], _MOST_SHARE) / _MOST_SHARE
    candidate = np.stack([above, np.log1p(np.maximum(agreeing - CHANCE, 0)), share], axis=2)
    local = candidate[..., 1:]
    second = np.partition(local, -2, axis=1)[:, -2] if local.shape[1] > 1 else np.zeros((len(found), 2))
    many = np.where(found.points > 0, _SCALED * np.log((1 + found.points) / _POINTS), 0.0)
    return candidate, np.concatenate([np.ones((len(found), 1)), second, many[:, None]], axis=1), there


def probabilities(
    found: Found, weights: Weights, scale: Scale, shift: float | np.ndarray = 0.0, favour: np.ndarray | None = None
) -> np.ndarray:
    """Probabilities (n, k + 1) of each candidate and, last, of none of them; every row sums to one.

    `shift`, one or (n,), is the logarithm by which the odds of none of them grow, `favour` (n, k) that of each
    candidate.
    """
    candidate, none, there = features(found, scale)
    utility = candidate @ np.array(weights.candidate) + (0.0 if favour is None else favour)
    return _shares(np.where(there, utility, -np.inf), none @ np.array(weights.none) + shift)


def learn(answered: Answered, scale: Scale, start: Weights, strength: float = STRENGTH) -> Weights:
    """The weights of greatest posterior, normal around `start`; those of a candidate only ever speak for it."""
    return learn_together([(answered, scale)], start, strength)


def learn_together(
    parts: Sequence[tuple[Answered, Scale]], start: Weights, strength: float | np.ndarray = STRENGTH
) -> Weights:
    """The same from the crops of several catalogues, each with its own scale; `strength` may be one a weight."""
    from scipy.optimize import minimize

    told = [features(answered.found, scale) for answered, scale in parts]
    candidate, none, there = (np.concatenate(column) for column in zip(*told, strict=True))
    right, weight = (np.concatenate([getattr(one, name) for one, _ in parts]) for name in ("right", "weight"))
    k, rows = candidate.shape[2], np.arange(len(right))
    column = np.where(right < 0, candidate.shape[1], right)
    before = np.array(start.candidate + start.none)

    def loss(values: np.ndarray) -> tuple[float, np.ndarray]:
        given = _shares(np.where(there, candidate @ values[:k], -np.inf), none @ values[k:])
        away = values - before
        nll = -(weight * np.log(np.maximum(given[rows, column], _LEAST))).sum()
        off = given * weight[:, None]
        off[rows, column] -= weight
        slope = np.concatenate([np.einsum("nc,nck->k", off[:, :-1], candidate), off[:, -1] @ none])
        return float(nll + (strength / 2 * away**2).sum()), slope + strength * away

    bounds = [(0, None)] * k + [(None, None)] * none.shape[1]
    found = minimize(loss, before, jac=True, bounds=bounds, method="L-BFGS-B").x
    return Weights(tuple(found[:k].tolist()), tuple(found[k:].tolist()))


def _shares(utility: np.ndarray, none: np.ndarray) -> np.ndarray:
    """Shares (n, k + 1) of the exponentials of utilities (n, k) and, last, that of none of them (n,)."""
    values = np.concatenate([utility, none[:, None]], axis=1)
    powers = np.exp(values - values.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)
