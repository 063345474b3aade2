"""What a store believes before its own references and photos say more, per embedder.

Centre and spread are those of the best score that a product missing from the catalogue reaches, in raw vectors; the
weights are those of `evidence.features`, learned from photos of 55 groceries, 14 packs, groceries on a cloth and one
fridge, and from their references asked as photos would show them, as much of either (`evidence.learn`, strength 1).
"""

from __future__ import annotations

from dataclasses import dataclass

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


_LOOKED = Weights((1.294, 1.059, 4.733), (1.763, 1.463, 0.643))
_PLAIN = Weights((1.527, 0.0, 0.0), (0.814, 0.0, 0.0))
_PRIORS = {
    "retail-vgg": Prior(0.52, 0.10, _LOOKED, _PLAIN),
    "vgg16": Prior(0.55, 0.12, _LOOKED, _PLAIN),
}
_UNKNOWN_NETWORK = Prior(0.55, 0.12, _LOOKED, _PLAIN)

#: Probabilities, and the share right of the answers from there on where one crop in ten is a stranger, as five
#: stores in six reached it whose products the weights were not learned from.
PRECISIONS = (
    (0.5, 0.9), (0.6, 0.917), (0.7, 0.935), (0.8, 0.95), (0.9, 0.965), (0.95, 0.97), (0.98, 0.984), (0.99, 0.987),
    (0.999, 0.997),
)  # fmt: skip


def prior_of(embedder: str) -> Prior:
    """The prior of an embedder by name; a cautious one for a network that was never measured."""
    return _PRIORS.get(embedder, _UNKNOWN_NETWORK)
