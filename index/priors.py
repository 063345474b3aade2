"""What a store believes before its own references and photos say more, per embedder.

Centre and spread are those of the best score that a product missing from the catalogue reaches, in raw vectors. The
weights of `evidence.features` and the thresholds lie in `models/retail-vgg/answers.json`, which
`recipes/fit_answers.py` writes; what they were learned from stands there and in the model's card.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from index.evidence import Weights


@dataclass(frozen=True)
class Prior:
    """Scores of missing products, and the weights with and without a second look."""

    centre: float
    spread: float
    looked: Weights
    plain: Weights

    def centred(self, mean_square: float) -> Prior:
        """The same belief about vectors whose mean, of squared length `mean_square`, is taken away.

        The cosine of centred unit vectors is (cosine - mean_square) / (1 - mean_square), but for terms of no sign.
        """
        rest = 1 - mean_square
        return Prior((self.centre - mean_square) / rest, self.spread / rest, self.looked, self.plain)


#: Centre and spread by embedder; cautious ones for a network that was never measured.
_SCORES = {"retail-vgg": (0.52, 0.10), "vgg16": (0.55, 0.12)}
_UNKNOWN_NETWORK = (0.55, 0.12)
_FITTED = Path(__file__).parent / "models/retail-vgg/answers.json"


def prior_of(embedder: str) -> Prior:
    """The prior of an embedder by name."""
    fitted = _fitted()
    weights = (Weights.from_json(fitted[name]) for name in ("looked", "plain"))
    return Prior(*_SCORES.get(embedder, _UNKNOWN_NETWORK), *weights)


def precisions() -> list[tuple[float, float]]:
    """Probabilities, and the share right of the answers from there on where one crop in ten is a stranger, as five
    stores in six reached it that the weights were not learned from; neither ever falls.
    """
    return [(float(least), float(share)) for least, share in _fitted()["precisions"]]


@cache
def _fitted() -> dict:
    return json.loads(_FITTED.read_text(encoding="utf-8"))
