"""What a store believes about scores before its own references say more, per embedder.

Centre and spread are those of the best score that a product missing from the catalogue reaches, in raw vectors; the
weights those of a regression on scores in such spreads, so that they hold for other catalogues and projections.
"""

from __future__ import annotations

from index.calibration import Prior

_PRIORS = {
    "retail-vgg": Prior(0.60, 0.11, (-1.0, 0.5, 1.0)),
    "vgg16": Prior(0.55, 0.12, (-1.0, 0.4, 1.2)),
}
_UNKNOWN_NETWORK = Prior(0.60, 0.12, (-1.0, 0.4, 1.0))


def prior_of(embedder: str) -> Prior:
    """The prior of an embedder by name; a cautious one for a network that was never measured."""
    return _PRIORS.get(embedder, _UNKNOWN_NETWORK)
