"""A score becomes a probability, and `known` or `unknown`, learned from the catalogue's own references.

Every reference is asked twice as if it were a crop: with its product in the catalogue (itself left out: is the first
answer right?) and with its product left out (the answer is wrong, whatever it is). Three numbers tell the cases apart:
the best product's score, measured against the scores that products missing from the catalogue reach, its lead over the
runner-up product, and the evidence of local features. A logistic regression on them (Platt 1999) gives the probability;
it is monotone in each by bounds, and keeps to a shipped prior as long as the catalogue has too few products with
several references to say otherwise.

`known` is another question, and another regression answers it: is the product in the catalogue at all? What it weighs
is the score with half of the lead. References asked as crops are as alike as references are; a photo's light or ground
may bring a crop nearer to all products than any reference is, and the lead does not grow with that. Half of it, because
look-alike flavours of one brand have little of it and are no less in the catalogue; and a share that is set, not
learned, because references asked as crops cannot show what photos do.
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
#: Said where most products have a single reference.
ONE_REFERENCE = (
    "With one reference a product nothing shows how much pictures of one product differ, so little is called known: "
    "add a second picture of each, from where it is photographed."
)

_PRIOR_TRIALS = 3.0  # trials that the prior's centre and spread count for
_PRIOR_STRENGTH = 4.0  # inverse variance of the weights around the prior's
_TAIL_PRIOR_TRIALS = 10.0  # trials that the prior counts for in the tail, which is harder to see
_TAIL_SHARE, _TAIL_LEAST = 0.1, 5  # of the trials, those that the tail is fitted to
_TAIL_TRUSTED = 50.0  # trials from which on nothing else is needed
_TAIL_TRIALS = 10.0  # trials above the threshold from which on the tail is counted and not modelled
_ACCEPTANCE = (-3.0, 1.5, 4.5)  # before trials: constant, score with its share of the lead in spreads, evidence
_LEAD_SHARE = 0.5  # of the lead that `known` adds to the score
_MISSING_LEAD = 0.5  # spreads that a missing product's first answer leads by, before trials
_CHANCE, _TELLING = 3, 12.0  # agreeing features: what any two packs show, and how many more say something


def evidence_of(inliers: Numbers) -> np.ndarray:
    """What a number of agreeing local features says, 0 (chance) to 1, any shape; see `second_look`."""
    return 1 - np.exp(-np.maximum(np.asarray(inliers, float) - _CHANCE, 0) / _TELLING)


@dataclass(frozen=True)
class Prior:
    """What is believed before a catalogue says more: scores of missing products, and weights of the regression."""

    centre: float
    spread: float
    weights: tuple[float, float, float, float]  # constant, score above the centre and lead in spreads, evidence

    def centred(self, mean_square: float) -> Prior:
        """The same belief about vectors whose mean, of squared length `mean_square`, is taken away.

        The cosine of centred unit vectors is (cosine - mean_square) / (1 - mean_square), but for terms of no sign.
        """
        rest = 1 - mean_square
        return Prior((self.centre - mean_square) / rest, self.spread / rest, self.weights)


@dataclass(frozen=True)
class Trials:
    """References asked as crops; float arrays (n,), `right` bool.

    `score`, `lead`, `evidence`, `right`: the product is in the catalogue. `missing_score`, ...: it is left out.
    """

    score: np.ndarray
    lead: np.ndarray
    evidence: np.ndarray
    right: np.ndarray
    missing_score: np.ndarray
    missing_lead: np.ndarray
    missing_evidence: np.ndarray

    @classmethod
    def none(cls) -> Trials:
        """No trials: a calibration from the prior alone."""
        empty = np.empty(0)
        return cls(empty, empty, empty, empty.astype(bool), empty, empty, empty)

    @classmethod
    def joined(cls, parts: list[Trials]) -> Trials:
        """All trials of several rounds."""
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in cls.__annotations__))


@dataclass(frozen=True)
class Calibration:
    """probability and known (score, lead, evidence); JSON through `to_json` and `from_json`.

    `score` is the best product's before the second look, `lead` its lead after it.
    """

    centre: float
    spread: float
    weights: tuple[float, float, float, float]
    acceptance: tuple[float, float]  # of score and share of the lead above the centre in spreads, and of the evidence
    threshold: float  # on what acceptance makes of them: above it, known
    false_accept_rate: float = FALSE_ACCEPT_RATE
    lead_share: float = 0.0  # what stores of earlier versions, which have no such number, go by
    trials: dict[str, int] = field(default_factory=dict)

    def probability(self, score: Numbers, lead: Numbers, evidence: Numbers = 0.0) -> np.ndarray:
        """The probability that the first answer is right, any shape."""
        constant, of_score, of_lead, of_evidence = self.weights
        value = constant + of_score * self._above(score) + of_lead * np.asarray(lead, float) / self.spread
        return 1 / (1 + np.exp(-np.clip(value + of_evidence * np.asarray(evidence, float), -30, 30)))

    def known(self, score: Numbers, lead: Numbers, evidence: Numbers = 0.0) -> np.ndarray:
        """True where at most `false_accept_rate` of missing products would look as good, any shape."""
        of_score, of_evidence = self.acceptance
        above = self._above(np.asarray(score, float) + self.lead_share * np.asarray(lead, float))
        return of_score * above + of_evidence * np.asarray(evidence, float) >= self.threshold

    def to_json(self) -> dict[str, Any]:
        """Plain values for a JSON document."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Calibration:
        """What `to_json` gave; raises IndexingError for anything else."""
        try:
            constant, of_score, of_lead, of_evidence = (float(weight) for weight in values["weights"])
            above, evidence = (float(weight) for weight in values["acceptance"])
            tuples = {"weights": (constant, of_score, of_lead, of_evidence), "acceptance": (above, evidence)}
            return cls(**(values | tuples))
        except (KeyError, TypeError, ValueError) as error:
            raise IndexingError(f"The store's calibration cannot be read ({error!r}): run reindex.") from error

    def _above(self, score: Numbers) -> np.ndarray:
        return (np.asarray(score, float) - self.centre) / self.spread


def calibrate(trials: Trials, prior: Prior, false_accept_rate: float = FALSE_ACCEPT_RATE) -> Calibration:
    """Fit a calibration to trials; with none of them it is the prior's."""
    if not 0 < false_accept_rate < 1:
        raise IndexingError(f"A false-accept rate of {false_accept_rate} is no rate: give one between 0 and 1.")
    centre, spread = _moments(trials.missing_score, prior)
    present, missing = _designs(trials, centre, spread)
    unknown = UNKNOWN_SHARE / (1 - UNKNOWN_SHARE) * len(present) / max(len(missing), 1)
    weights = _regression(present, trials.right, missing, unknown, np.array(prior.weights))
    acceptance, threshold = _acceptance(present[trials.right], missing, false_accept_rate)
    counts = {"present": len(present), "missing": len(missing)}
    constant, of_score, of_lead, of_evidence = (float(weight) for weight in weights)
    weighted = (constant, of_score, of_lead, of_evidence)
    return Calibration(centre, spread, weighted, acceptance, threshold, false_accept_rate, _LEAD_SHARE, counts)


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


def _designs(trials: Trials, centre: float, spread: float) -> tuple[np.ndarray, np.ndarray]:
    """Rows (n, 4) of the regression, constant first: those of present products and those of missing ones."""

    def design(score: np.ndarray, lead: np.ndarray, evidence: np.ndarray) -> np.ndarray:
        return np.stack([np.ones(len(score)), (score - centre) / spread, lead / spread, evidence], axis=1)

    present = design(trials.score, trials.lead, trials.evidence)
    return present, design(trials.missing_score, trials.missing_lead, trials.missing_evidence)


def _acceptance(found: np.ndarray, missing: np.ndarray, rate: float) -> tuple[tuple[float, float], float]:
    """What `known` weighs, and its threshold, from rows (n, 4) of right answers and of missing products."""

    def design(rows: np.ndarray) -> np.ndarray:
        return np.stack([rows[:, 0], rows[:, 1] + _LEAD_SHARE * rows[:, 2], rows[:, 3]], axis=1)

    equal = len(found) / max(len(missing), 1)
    rows = design(missing)
    weights = _regression(design(found), np.ones(len(found)), rows, equal, np.array(_ACCEPTANCE))[1:]
    threshold = _threshold(rows[:, 1:] @ weights, float(weights[0]), rate)
    return (float(weights[0]), float(weights[1])), threshold


def _regression(
    present: np.ndarray, right: np.ndarray, missing: np.ndarray, weight: float, prior: np.ndarray
) -> np.ndarray:
    """Weights (k,) of greatest posterior, a missing product counting `weight` times; all but the constant help only."""
    from scipy.optimize import minimize

    rows = np.concatenate([present, missing])
    answers = np.concatenate([np.asarray(right, float), np.zeros(len(missing))])
    counts = np.repeat([1.0, weight], [len(present), len(missing)])

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        value, away = rows @ weights, weights - prior
        nll = (counts * (np.logaddexp(0, value) - answers * value)).sum() + _PRIOR_STRENGTH / 2 * (away**2).sum()
        slope = rows.T @ (counts * (1 / (1 + np.exp(-value)) - answers)) + _PRIOR_STRENGTH * away
        return float(nll), slope

    bounds = [(None, None)] + [(0, None)] * (len(prior) - 1)
    return minimize(loss, prior, jac=True, bounds=bounds, method="L-BFGS-B").x


def _threshold(values: np.ndarray, of_score: float, rate: float) -> float:
    """The value that missing products exceed at the stated rate.

    With many trials it is counted. With fewer, the largest tenth has an exponential tail (peaks over a threshold,
    Pickands 1975, of shape 0), and with very few all are normal with the prior (a spread of 1, weighed by `of_score`,
    around the lead's share) as some trials more.
    """
    from scipy.stats import norm

    total = len(values) + _TAIL_PRIOR_TRIALS
    before = of_score * _LEAD_SHARE * _MISSING_LEAD
    mean = (values.sum() + _TAIL_PRIOR_TRIALS * before) / total
    square = ((values - mean) ** 2).sum() + _TAIL_PRIOR_TRIALS * (of_score**2 + (before - mean) ** 2)
    normal = mean + norm.ppf(1 - rate) * np.sqrt(square / total)
    if len(values) <= 2 * _TAIL_LEAST:
        return float(normal)
    largest = np.sort(values)[::-1]
    tail = max(_TAIL_LEAST, round(_TAIL_SHARE * len(values)))
    mean_excess = (largest[:tail] - largest[tail]).mean()
    # not the logarithm but what it is the limit of: the mean of a few excesses is itself uncertain
    stretch = tail * (max(tail / len(values) / rate, 1.0) ** (1 / tail) - 1)
    modelled = largest[tail] + mean_excess * stretch
    trust = min(1.0, len(values) / _TAIL_TRUSTED)
    counted_trust = min(1.0, len(values) * rate / _TAIL_TRIALS)
    several = (1 - counted_trust) * modelled + counted_trust * np.quantile(values, 1 - rate)
    return float(trust * several + (1 - trust) * normal)
