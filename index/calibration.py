"""A score becomes a probability, and `known` or `unknown`, learned from the catalogue's own references.

Every reference is asked twice as if it were a crop: with its product in the catalogue (itself left out: is the first
answer right?) and with its product left out (the answer is wrong, whatever it is). Two numbers tell the cases apart:
the best score, measured against the scores that products missing from the catalogue reach, and its lead over the
runner-up product. A logistic regression on both (Platt 1999) is monotone in each by bounds, and keeps to a shipped
prior as long as the catalogue has too few products with several references to say otherwise.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from index.errors import IndexingError

Numbers = np.ndarray | float

#: The share of products missing from the catalogue that may be called known.
FALSE_ACCEPT_RATE = 0.01
#: The share of pictures expected to show a product that is not in the catalogue; it weighs the two kinds of trial.
UNKNOWN_SHARE = 0.1

_PRIOR_TRIALS = 6.0  # trials that the prior's centre and spread count for
_TAIL_PRIOR_TRIALS = 20.0  # trials that it counts for in the tail, which is harder to see
_PRIOR_STRENGTH = 4.0  # inverse variance of the weights around the prior's
_TAIL_TRIALS = 10.0  # trials above the threshold from which on the tail is counted and not modelled


@dataclass(frozen=True)
class Prior:
    """What is believed before a catalogue says more: scores of missing products, and weights of the regression."""

    centre: float
    spread: float
    weights: tuple[float, float, float]  # constant, score above the centre in spreads, lead in spreads

    def centred(self, mean_square: float) -> Prior:
        """The same belief about vectors whose mean, of squared length `mean_square`, is taken away.

        The cosine of centred unit vectors is (cosine - mean_square) / (1 - mean_square), but for terms of no sign.
        """
        rest = 1 - mean_square
        return Prior((self.centre - mean_square) / rest, self.spread / rest, self.weights)


@dataclass(frozen=True)
class Trials:
    """Scores of references asked as crops; float arrays (n,), `right` bool.

    `score`, `lead`, `right`: the product is in the catalogue. `missing_score`, `missing_lead`: it is left out.
    """

    score: np.ndarray
    lead: np.ndarray
    right: np.ndarray
    missing_score: np.ndarray
    missing_lead: np.ndarray

    @classmethod
    def none(cls) -> Trials:
        """No trials: a calibration from the prior alone."""
        empty = np.empty(0)
        return cls(empty, empty, empty.astype(bool), empty, empty)

    @classmethod
    def joined(cls, parts: list[Trials]) -> Trials:
        """All trials of several rounds."""
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in cls.__annotations__))


@dataclass(frozen=True)
class Calibration:
    """probability(score, lead) and known(score, lead); JSON through `to_json` and `from_json`."""

    centre: float
    spread: float
    weights: tuple[float, float, float]
    threshold: float  # on the regression's value: above it, known
    false_accept_rate: float = FALSE_ACCEPT_RATE
    trials: dict[str, int] = field(default_factory=dict)

    def value(self, score: Numbers, lead: Numbers) -> np.ndarray:
        """The regression's value (log odds), any shape."""
        constant, of_score, of_lead = self.weights
        above = (np.asarray(score, float) - self.centre) / self.spread
        return constant + of_score * above + of_lead * np.asarray(lead, float) / self.spread

    def probability(self, score: Numbers, lead: Numbers) -> np.ndarray:
        """The probability that the first answer is right; `lead` is the best score less the runner-up product's."""
        return 1 / (1 + np.exp(-np.clip(self.value(score, lead), -30, 30)))

    def known(self, score: Numbers, lead: Numbers) -> np.ndarray:
        """True where at most `false_accept_rate` of missing products would look as good."""
        return self.value(score, lead) >= self.threshold

    def to_json(self) -> dict[str, Any]:
        """Plain values for a JSON document."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Calibration:
        """What `to_json` gave; raises IndexingError for anything else."""
        try:
            constant, of_score, of_lead = (float(weight) for weight in values["weights"])
            return cls(**(values | {"weights": (constant, of_score, of_lead)}))
        except (KeyError, TypeError, ValueError) as error:
            raise IndexingError(f"The store's calibration cannot be read ({error!r}): run reindex.") from error


def calibrate(trials: Trials, prior: Prior, false_accept_rate: float = FALSE_ACCEPT_RATE) -> Calibration:
    """Fit a calibration to trials; with none of them it is the prior's."""
    if not 0 < false_accept_rate < 1:
        raise IndexingError(f"A false-accept rate of {false_accept_rate} is no rate: give one between 0 and 1.")
    centre, spread = _moments(trials.missing_score, prior)
    rows, right, weight = _rows(trials, centre, spread)
    weights = _regression(rows, right, weight, np.array(prior.weights))
    values = _design(trials.missing_score, trials.missing_lead, centre, spread) @ weights
    threshold = _threshold(values, weights, false_accept_rate)
    counts = {"present": len(trials.score), "missing": len(trials.missing_score)}
    constant, of_score, of_lead = (float(weight) for weight in weights)
    return Calibration(centre, spread, (constant, of_score, of_lead), threshold, false_accept_rate, counts)


def expected_calibration_error(probability: np.ndarray, right: np.ndarray, bins: int = 15) -> float:
    """ECE (Guo et al. 2017): the mean gap between probability and share right, over bins of equal width."""
    if len(probability) == 0:
        return 0.0
    at = np.minimum((np.asarray(probability) * bins).astype(int), bins - 1)
    gaps = np.bincount(at, np.asarray(right, float) - probability, minlength=bins)
    return float(np.abs(gaps).sum() / len(probability))


def _moments(missing: np.ndarray, prior: Prior) -> tuple[float, float]:
    """Mean and spread of missing products' best scores, with the prior counting for some trials."""
    count = len(missing) + _PRIOR_TRIALS
    centre = (missing.sum() + _PRIOR_TRIALS * prior.centre) / count
    square = ((missing - centre) ** 2).sum() + _PRIOR_TRIALS * (prior.spread**2 + (prior.centre - centre) ** 2)
    return float(centre), float(max(np.sqrt(square / count), 1e-3))


def _design(score: np.ndarray, lead: np.ndarray, centre: float, spread: float) -> np.ndarray:
    return np.stack([np.ones(len(score)), (score - centre) / spread, lead / spread], axis=1)


def _rows(trials: Trials, centre: float, spread: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Both kinds of trial as rows of the regression, weighted so that missing products are the stated share."""
    present = _design(trials.score, trials.lead, centre, spread)
    missing = _design(trials.missing_score, trials.missing_lead, centre, spread)
    right = np.concatenate([trials.right.astype(float), np.zeros(len(missing))])
    share = UNKNOWN_SHARE / (1 - UNKNOWN_SHARE) * len(present) / max(len(missing), 1)
    return np.concatenate([present, missing]), right, np.repeat([1.0, share], [len(present), len(missing)])


def _regression(rows: np.ndarray, right: np.ndarray, weight: np.ndarray, prior: np.ndarray) -> np.ndarray:
    """Weights (3,) of greatest posterior; those of score and lead are not negative, so that both only ever help."""
    from scipy.optimize import minimize

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        value, away = rows @ weights, weights - prior
        nll = (weight * (np.logaddexp(0, value) - right * value)).sum() + _PRIOR_STRENGTH / 2 * (away**2).sum()
        slope = rows.T @ (weight * (1 / (1 + np.exp(-value)) - right)) + _PRIOR_STRENGTH * away
        return float(nll), slope

    bounds = [(None, None), (0, None), (0, None)]
    return minimize(loss, prior, jac=True, bounds=bounds, method="L-BFGS-B").x


def _threshold(values: np.ndarray, weights: np.ndarray, rate: float) -> float:
    """The value that missing products exceed at the stated rate.

    With many trials it is counted. With few, the tail is a normal one around the trials, into which the prior
    (centre 0 and spread 1 of the score, half a spread of lead) enters as some trials more.
    """
    from scipy.stats import norm

    prior_mean, prior_spread = weights[0] + 0.5 * weights[2], np.hypot(weights[1], 0.5 * weights[2])
    count = len(values) + _TAIL_PRIOR_TRIALS
    mean = (values.sum() + _TAIL_PRIOR_TRIALS * prior_mean) / count
    square = ((values - mean) ** 2).sum() + _TAIL_PRIOR_TRIALS * (prior_spread**2 + (prior_mean - mean) ** 2)
    modelled = mean + norm.ppf(1 - rate) * np.sqrt(square / count)
    trust = min(1.0, len(values) * rate / _TAIL_TRIALS)
    counted = np.quantile(values, 1 - rate) if len(values) else 0.0
    return float(trust * counted + (1 - trust) * modelled)
