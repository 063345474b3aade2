"""What a store believes before its own references and photos say more, per embedder.

Centre and spread are those of the best score that a product missing from the catalogue reaches, in raw vectors. They,
the weights of `evidence.features` and the thresholds lie in `models/retail-vgg/answers.json`, which
`recipes/fit_answers.py` writes; what they were learned from stands there and in the model's card.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from index.evidence import Weights


@dataclass(frozen=True)
class Prior:
    """Scores of missing products, the weights with and without a second look, and the share of studio pictures that
    they are for.
    """

    centre: float
    spread: float
    looked: Weights
    plain: Weights
    studio: float = 0.0

    def centred(self, mean_square: float) -> Prior:
        """The same belief about vectors whose mean, of squared length `mean_square`, is taken away.

        The cosine of centred unit vectors is (cosine - mean_square) / (1 - mean_square), but for terms of no sign.
        """
        rest = 1 - mean_square
        return replace(self, centre=(self.centre - mean_square) / rest, spread=self.spread / rest)


#: Centre and spread of any other network; cautious ones, for none was measured.
_UNKNOWN_NETWORK = (0.55, 0.12)
_FITTED = Path(__file__).parent / "models/retail-vgg/answers.json"


def prior_of(embedder: str, studio: float = 0.0) -> Prior:
    """The prior of an embedder by name, for a store with this share of studio pictures among its references.

    A shelf looks less like a studio picture than like another photo: there, little likeness says more.
    """
    looked, plain = (_between(name, studio) for name in ("looked", "plain"))
    centre, spread = _fitted()["scores"] if embedder == "retail-vgg" else _UNKNOWN_NETWORK
    return Prior(float(centre), float(spread), looked, plain, studio)


def precisions(studio: float = 0.0) -> list[tuple[float, float]]:
    """Probabilities, and the share right of the answers from there on where one crop in ten is a stranger, as five
    stores in six reached it that the weights were not learned from; neither ever falls.
    """
    photos, studios = (dict(_fitted()[kind]["precisions"]) for kind in ("photo", "studio"))
    return [(float(least), (1 - studio) * share + studio * studios[least]) for least, share in photos.items()]


def _between(name: str, studio: float) -> Weights:
    """Weights between those of stores of photos and those of stores of studio pictures."""
    photo, other = (Weights.from_json(_fitted()[kind][name]) for kind in ("photo", "studio"))

    def mixed(one: tuple[float, ...], two: tuple[float, ...]) -> tuple[float, ...]:
        return tuple((1 - studio) * a + studio * b for a, b in zip(one, two, strict=True))

    return Weights(mixed(photo.candidate, other.candidate), mixed(photo.none, other.none))


@cache
def _fitted() -> dict[str, Any]:
    return json.loads(_FITTED.read_text(encoding="utf-8"))
