"""One probability that means it, and the decisions that follow: `sure`, `likely` or `unknown`.

What is learned is the probability that the first answer is right, *none of them* (a product that is not in the
catalogue, or not among the candidates) being one of the possibilities; see `evidence` for its form and `asking` for
what it is learned from. Two sets of weights are kept: for crops that took a second look, and for those that did not.

`sure` are the answers from a probability on above which, all together, as many are right as the manager states. How
probabilities are spread differs from shelf to shelf; the spread that this threshold goes by was measured on real photos
with strangers among them, and a store's own checked answers take its place when there are enough.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np

from index.errors import IndexingError
from index.evidence import MISSING, Answered, Found, Scale, Weights, learn, probabilities
from index.precision import Measured, measured
from index.priors import Prior, precisions

Level = Literal["sure", "likely", "unknown"]

SURE: Level = "sure"
LIKELY: Level = "likely"
UNKNOWN: Level = "unknown"

#: Said where most products have a single reference.
ONE_REFERENCE = (
    "With one reference a product nothing shows how much photos of one product differ: a second picture of each, from "
    "where it is photographed, lets more answers be sure."
)
#: The share of strangers that weights are learned with.
STRANGERS = 0.1
#: Scores, inliers and points of a crop, those of the candidates that it has.
Kept = tuple[tuple[float, ...], tuple[int, ...], int]

_PRIOR_TRIALS = 2.0  # trials that the prior's centre and spread count for
_LEAST_SPREAD = 0.02
_STRANGERS_KEPT = 100
_STUDIO_TRUST = (
    0.1  # of what a view of a photo says, what one of a studio picture says: shelves show more than these do
)
_CHECKED_ENOUGH = 100  # checked answers from which on the threshold goes by them
_GRID = np.linspace(0.5, 0.995, 100)


@dataclass(frozen=True)
class Policy:
    """What a manager states.

    precision  share of the *sure* answers that are right
    likely     probability from which on an answer that is not sure is called likely
    strangers  share of the crops that show a product which is not in the catalogue
    ceiling    of strangers that are called sure, at most; None for none
    """

    precision: float = 0.95
    likely: float = 0.5
    strangers: float = 0.1
    ceiling: float | None = None

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if value is not None and not 0 < value < 1:
                raise IndexingError(f"{name} = {value:g} is no share: give a number between 0 and 1, as 0.95 for 95 %.")

    @property
    def shift(self) -> float:
        """The logarithm by which the odds of a stranger are other than in what the weights were learned from."""
        return float(np.log(self.strangers / (1 - self.strangers)) - np.log(STRANGERS / (1 - STRANGERS)))


@dataclass(frozen=True)
class Calibration:
    """What turns a search into probabilities and decisions; JSON through `to_json` and `from_json`.

    strangers  what was found for products left out, for the ceiling
    checked    probability and whether it was right, of answers that people have checked
    unlisted   of the same answers, whether the thing is no product of the catalogue
    studio     share of the references that are studio pictures
    """

    scale: Scale
    looked: Weights
    plain: Weights
    policy: Policy = Policy()
    trials: dict[str, int] = field(default_factory=dict)
    strangers: tuple[Kept, ...] = ()
    checked: tuple[tuple[float, bool], ...] = ()
    unlisted: tuple[bool, ...] = ()
    measured: dict[str, Measured] = field(default_factory=dict)
    studio: float = 0.0

    def probabilities(
        self, found: Found, *, products: int | None = None, favour: np.ndarray | None = None
    ) -> np.ndarray:
        """Probabilities (n, k + 1) of each candidate and, last, of none of them; rows sum to one.

        `products` is the number of products among which was searched, where it is a part of the catalogue; `favour`
        (n, k) the logarithm of how much likelier than others a candidate is beforehand.
        """
        shift = self.policy.shift + (0.0 if products is None else self.scale.rarer(found, products))
        plain = probabilities(found, self.plain, self.scale, shift, favour)
        looked = probabilities(found, self.looked, self.scale, shift, favour)
        seen = np.any(found.inliers >= 0, axis=1, keepdims=True)
        return np.where(seen, looked, plain)

    @cached_property
    def threshold(self) -> float:
        """The probability from which on an answer is sure."""
        found = stated_threshold(self.policy.precision, self.studio)
        if len(self.checked) >= _CHECKED_ENOUGH:
            probability, right = np.array(self.checked, float).T
            found = precision_threshold(probability, right, self.policy.precision)
        if self.policy.ceiling is None or not self.strangers:
            return found
        given = self.probabilities(_unpacked(self.strangers))[:, :-1].max(axis=1)
        return max(found, float(np.quantile(given, 1 - self.policy.ceiling, method="higher")) + 1e-9)

    def certainty(self, probability: float) -> Level:
        """What an answer of this probability is called."""
        if probability >= self.threshold:
            return SURE
        return LIKELY if probability >= self.policy.likely else UNKNOWN

    def to_json(self) -> dict[str, Any]:
        """Plain values for a JSON document."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Calibration:
        """What `to_json` gave; raises IndexingError for anything else."""
        try:
            return cls(
                Scale(*(values["scale"][name] for name in ("centre", "spread", "products"))),
                Weights.from_json(values["looked"]),
                Weights.from_json(values["plain"]),
                Policy(**values["policy"]),
                dict(values["trials"]),
                tuple((tuple(score), tuple(inliers), int(points)) for score, inliers, points in values["strangers"]),
                tuple((float(probability), bool(right)) for probability, right in values["checked"]),
                tuple(map(bool, values.get("unlisted", ()))),
                {name: Measured(**one) for name, one in values["measured"].items()},
                float(values.get("studio", 0.0)),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise IndexingError(f"The store's calibration cannot be read ({error!r}): run reindex.") from error


def calibrate(
    trials: Answered,
    prior: Prior,
    policy: Policy | None = None,
    products: int = 1,
    checked: Answered | None = None,
) -> Calibration:
    """Fit a calibration to trials in a catalogue of `products`; with none of them it is the prior's.

    `checked` are facings of which a person said what they are. How right the answers to them are is measured with
    weights that were learned from the other half of them.
    """
    missing = trials.right == MISSING
    trials = replace(trials, weight=trials.weight * (1 - (1 - _STUDIO_TRUST) * prior.studio))
    scale = _scale(trials.found.take(missing), prior, products)
    counts = {"present": int((~missing).sum()), "missing": int(missing.sum())}
    begun = Calibration(scale, prior.looked, prior.plain, policy or Policy(), counts, _kept(trials.found.take(missing)))
    begun = replace(begun, studio=prior.studio)
    if checked is None or len(checked.right) == 0:
        return _learned(begun, trials, prior)
    found = _learned(begun, Answered.joined([trials, checked]), prior)
    return _measured(found, trials, checked, prior)


def _learned(begun: Calibration, answered: Answered, prior: Prior) -> Calibration:
    looked = learn(answered, begun.scale, prior.looked)
    blind = replace(answered, found=answered.found.without_look())
    return replace(begun, looked=looked, plain=learn(blind, begun.scale, prior.plain))


def _measured(found: Calibration, trials: Answered, checked: Answered, prior: Prior) -> Calibration:
    """With the answers to checked facings: each half is answered by what was learned from the other."""
    half = np.arange(len(checked.right)) % 2
    probability, right = np.zeros(len(half)), np.zeros(len(half), bool)
    for one in (0, 1):
        other = _learned(found, Answered.joined([trials, checked.take(half != one)]), prior)
        given = other.probabilities(checked.found.take(half == one))[:, :-1]
        probability[half == one] = given.max(axis=1)
        right[half == one] = given.argmax(axis=1) == checked.right[half == one]
    answers = tuple(zip(probability.round(4).tolist(), right.tolist(), strict=True))
    unlisted = tuple((checked.right == MISSING).tolist())
    found = replace(found, checked=answers, unlisted=unlisted, trials=found.trials | {"checked": len(half)})
    called = np.array([found.certainty(value) for value in probability])
    return replace(found, measured={name: measured(right[called == name]) for name in (SURE, LIKELY)})


def stated_threshold(precision: float, studio: float = 0.0) -> float:
    """The probability from which on answers are right at the stated precision in five stores of six; see `priors`."""
    least, share = zip(*precisions(studio), strict=True)
    return float(np.interp(precision, share, least))


def precision_threshold(probability: np.ndarray, right: np.ndarray, precision: float) -> float:
    """The least probability above which the share `right` (n,) of answers with these probabilities (n,) reaches
    `precision`; `right` may be shares. Where none does, the precision itself.
    """
    for least in _GRID:
        above = probability >= least
        if above.any() and right[above].mean() >= precision:
            return float(min(least, precision))
    return precision


def expected_calibration_error(probability: np.ndarray, right: np.ndarray, bins: int = 15) -> float:
    """ECE (Guo et al. 2017): the mean gap between probability and share right, over bins of equal width."""
    if len(probability) == 0:
        return 0.0
    at = np.minimum((np.asarray(probability) * bins).astype(int), bins - 1)
    gaps = np.bincount(at, np.asarray(right, float) - probability, minlength=bins)
    return float(np.abs(gaps).sum() / len(probability))


def _scale(missing: Found, prior: Prior, products: int) -> Scale:
    """Mean and spread of missing products' best scores, with the prior counting for some trials."""
    best = missing.score[:, 0][np.isfinite(missing.score[:, 0])]
    count = len(best) + _PRIOR_TRIALS
    centre = (best.sum() + _PRIOR_TRIALS * prior.centre) / count
    mean = best.mean() if len(best) else centre
    # about their own mean: that the prior lies elsewhere does not make the scores differ more
    square = ((best - mean) ** 2).sum() + _PRIOR_TRIALS * prior.spread**2
    spread = float(max(np.sqrt(square / count), _LEAST_SPREAD))
    return Scale(float(centre), spread, products)


def _kept(missing: Found) -> tuple[Kept, ...]:
    """A few of the strangers' rows, spread evenly: the scores of the candidates that they have, and their inliers."""
    rows = np.linspace(0, len(missing) - 1, min(len(missing), _STRANGERS_KEPT)).astype(int)
    sizes = np.isfinite(missing.score).sum(axis=1)
    return tuple(
        (
            tuple(missing.score[i, : sizes[i]].round(4).tolist()),
            tuple(missing.inliers[i, : sizes[i]].tolist()),
            int(missing.points[i]),
        )
        for i in rows.tolist()
    )


def _unpacked(rows: tuple[Kept, ...]) -> Found:
    """What `_kept` packed."""
    columns = max(len(score) for score, _, _ in rows)
    score, inliers = np.full((len(rows), columns), -np.inf), np.full((len(rows), columns), -1)
    for at, (scores, counts, _) in enumerate(rows):
        score[at, : len(scores)], inliers[at, : len(counts)] = scores, counts
    return Found(score, inliers, np.array([points for _, _, points in rows]))
