"""Ranked candidates ► what a crop is: a product of the catalogue, or unknown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from retail_seg.report import Identification, Match

if TYPE_CHECKING:
    from index.views import Crop
    from retail_seg.store.gallery import Ranked


def decide(
    ranked: Sequence[Ranked | None], views: Sequence[Crop], names_of: Callable[[Iterable[str]], Mapping[str, str]]
) -> list[Identification]:
    """What each crop is; one too small to be ranked (None) is unknown, says why, and stops no other.

    `names_of` gives the names of SKUs, and is asked once for all of them.
    """
    names = names_of({sku for one in ranked if one for sku in one.skus})
    pairs = zip(ranked, views, strict=True)
    return [_sliver(view) if one is None else _identification(one, names) for one, view in pairs]


def _identification(ranked: Ranked, names: Mapping[str, str]) -> Identification:
    ranking = ranked.ranking
    pairs = zip(ranking.candidates, ranked.skus, strict=True)
    matches = tuple(Match(sku, names.get(sku, ""), one.score, one.reference_id, one.probability) for one, sku in pairs)
    first = matches[0] if ranking.known else None
    return Identification(
        "known" if first else "unknown",
        first.sku if first else None,
        first.name if first else "",
        ranking.probability,
        ranking.margin,
        matches,
        certainty=ranking.certainty,
        none_of_them=ranking.none_of_them,
    )


def _sliver(view: Crop) -> Identification:
    height, width = view[0].shape[:2]
    reason = f"{width} × {height} pixels are too few to recognise anything"
    return Identification("unknown", None, "", 0.0, 0.0, (), reason)
