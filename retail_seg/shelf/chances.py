"""How probable each facing is to be each product of a plan, once it is known what should stand there."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from retail_seg.shelf.seeing import FacingRow

#: Odds by which a product is more probable in its own place, among others of it, than anywhere in the shop.
AT_HOME = 12.0
#: The chance of a product that is no candidate of a facing.
FLOOR = 0.002
#: Odds by which a product of the plan is more probable in another's place than one that is not of it.
PLANNED = 3.0
#: The least chance of what is said to stand in another product's place; it is also more probable than none of them.
NAMED = 0.35
#: So often a product is seen so badly that it is none of the catalogue; of those that are its candidates all the same
#: this share is it; and odds of such a facing among its own.
BADLY, STILL, AMONG = 0.02, 0.4, 3.0
#: Of a product without references: that share of the chance of being none of the catalogue.
NOT_KNOWN = 0.5


def chances_of(row: FacingRow, skus: Sequence[str], strangers: Collection[str] = ()) -> np.ndarray:
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


def none_of(row: FacingRow) -> np.ndarray:
    """How probable each facing of a row is to be none of its candidates, (m,)."""
    return np.array([min(max(1.0 - sum(one.values()), 0.0), 1.0) for one in row.chances])


def changes(row: FacingRow) -> np.ndarray:
    """How probable each facing of a row is to be another product than the one before it, where both are known, (m,)."""
    found = np.zeros(len(row))
    for j in range(1, len(row)):
        one, other = row.chances[j - 1], row.chances[j]
        same = sum(chance * other.get(sku, 0.0) for sku, chance in one.items())
        found[j] = max(sum(one.values()) * sum(other.values()) - same, 0.0)
    return np.minimum(found, 1.0)


def as_own(chance: np.ndarray, row: FacingRow, none: np.ndarray) -> np.ndarray:
    """How likely facings look as they do if they are a product that is expected there, (s, m).

    A product that is seen badly is none of the catalogue first, and then still among its candidates; a stranger's
    candidates are others.
    """
    told = np.array([sum(one.values()) for one in row.chances])
    share = np.where(chance > FLOOR, chance / np.maximum(told, chance), 0.0)
    return np.asarray(np.minimum(chance + none * (BADLY + STILL * share), 1.0))


def at_home(chance: np.ndarray, none: np.ndarray) -> np.ndarray:
    """Chances (s, m) of a product among others of its own in its place, from those of the scan and of none, (m,).

    What nobody recognises there is rather one more of them, seen badly, than a stranger.
    """
    odds = AT_HOME * chance + AMONG * none
    return np.asarray(odds / (odds + np.clip(1 - chance - none, 0.0, 1.0) + 1e-3))


def best_other(chances: Sequence[Mapping[str, float]], sku: str, planned: Collection[str]) -> tuple[str, float]:
    """What facings that are not `sku` most probably all are, and how probable that is; "" where nothing is likely.

    A product that is `planned` anywhere on the fixture is more probable than another. Facings beside each other look
    alike, mistakes among them too: their evidence counts for the square root of their number of independent ones.
    """
    others = sorted({other for one in chances for other in one if other != sku})
    rows = [[max(one.get(other, 0.0), FLOOR / 4) for other in others] for one in chances]
    table = np.array(rows, float).reshape(len(chances), len(others))
    rest = np.array([max(1 - sum(one.values()), FLOOR) for one in chances])[:, None]
    evidence = np.log(np.concatenate([table, rest], 1)).mean(0) * np.sqrt(len(chances))
    evidence[:-1] += [np.log(PLANNED) if other in planned else 0.0 for other in others]
    weights = np.exp(evidence - evidence.max())
    weights /= weights.sum()
    best = int(weights[:-1].argmax()) if others else -1
    named = bool(others) and weights[best] >= max(NAMED, weights[-1])
    return (others[best], float(weights[best])) if named else ("", float(weights[-1]))
