"""What a store believes about scores before its own references say more, per embedder.

Centre and spread are those of the best score that a product missing from the catalogue reaches, in raw vectors; the
weights those of a regression on scores in such spreads, so that they hold for other catalogues and projections. They
were chosen on 55 groceries and 14 packs of one reference each, with retail-vgg and with MobileNetV2, where the expected
calibration error is .06 to .15.
"""

from __future__ import annotations

from index.calibration import Prior

_PRIORS = {
    "retail-vgg": Prior(0.52, 0.10, (-0.5, 0.3, 1.5, 3.0)),
    "vgg16": Prior(0.55, 0.12, (-0.5, 0.3, 1.5, 3.0)),
}
_UNKNOWN_NETWORK = Prior(0.55, 0.12, (-0.5, 0.3, 1.5, 3.0))


def prior_of(embedder: str) -> Prior:
    """The prior of an embedder by name; a cautious one for a network that was never measured."""
    return _PRIORS.get(embedder, _UNKNOWN_NETWORK)
