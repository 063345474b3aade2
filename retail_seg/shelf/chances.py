"""How probable each facing is to be each product of a plan, once it is known what should stand there."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from retail_seg.shelf.seeing import Row

#: Odds by which a product is more probable in its own place, among others of it, than anywhere in the shop.
AT_HOME = 12.0
#: The chance of a product that is no candidate of a facing.
FLOOR = 0.002
#: Of a product without references: that share of the chance of being none of the catalogue.
NOT_KNOWN = 0.5


def chances_of(row: Row, skus: Sequence[str], strangers: Collection[str] = ()) -> np.ndarray:
    """How probable each of a row's m facings is to be each of a plan's products, (s, m) in the order of `skus`.

    `strangers` are those that the catalogue cannot know. None is 0 or 1.
    """
    number = {sku: i for i, sku in enumerate(skus)}
    raw = np.full((len(skus), len(row)), FLOOR)
    for j, chances in enumerate(row.chances):
        for sku, chance in chances.items():
            if sku in number:
                raw[number[sku], j] = min(max(chance, FLOOR), 1 - FLOOR)
        if strangers:
            none = max(1.0 - sum(chances.values()), 0.0)
            raw[[number[sku] for sku in strangers], j] = max(NOT_KNOWN * none, FLOOR)
    return raw


def at_home(chance: np.ndarray) -> np.ndarray:
    """Chances of a product in its own place, from those of the scan."""
    odds = AT_HOME * chance
    return np.asarray(odds / (odds + 1 - chance))


def best_other(chances: Sequence[Mapping[str, float]], sku: str, planned: Collection[str]) -> tuple[str, float]:
    """What facings that are not `sku` most probably all are, and how probable that is; "" where nothing is likely.

    A product that is `planned` anywhere on the fixture is more probable than another.
    """
    weights: dict[str, float] = {}
    none = 0.0
    for one in chances:
        told = {other: chance * (3.0 if other in planned else 1.0) for other, chance in one.items() if other != sku}
        rest = max(1.0 - sum(one.values()), 0.0)
        total = sum(told.values()) + rest
        for other, chance in told.items():
            weights[other] = weights.get(other, 0.0) + chance / total / len(chances)
        none += rest / total / len(chances) if total else 0.0
    best = max(sorted(weights), key=lambda other: weights[other], default="")
    return (best, weights[best]) if best and weights[best] >= 0.5 else ("", max(none, 1 - sum(weights.values()), 0.0))
