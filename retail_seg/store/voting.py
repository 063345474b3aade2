"""The rankings of one photo's facings after their vote, see `index.facings`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from index.calibration import Level
from index.facings import links, pooled
from index.ranking import Candidate, Ranking
from retail_seg.store.gallery import Ranked

#: Candidates of each facing that take part in a vote, at least.
VOTERS = 5
#: Neighbours that are less probably the same product are not worth a vote.
HEARD = 0.01


def vote(
    ranked: Sequence[Ranked | None], vectors: np.ndarray, boxes: np.ndarray, certainty: Callable[[float], Level]
) -> list[Ranked | None]:
    """Rankings of a photo's crops, each told by its neighbours; one that they contradict keeps its answer, and is odd.

    `vectors` (n, dim) float32 are raw, `boxes` (n, 4) x, y, width, height in pixels; `certainty` says what an answer of
    a probability is called. What nothing like it stands beside stays as it is, and so does a crop that was not ranked.
    """
    rows = [at for at, one in enumerate(ranked) if one is not None and one.skus]
    linked = links(vectors[rows], np.asarray(boxes, float).reshape(-1, 4)[rows])
    linked[linked <= HEARD] = 0
    heard = linked.any(axis=1)
    if not heard.any():
        return list(ranked)
    owners, given = _tables([_of(ranked, at) for at in rows])
    found = pooled(owners, given, linked)
    told = list(ranked)
    for row in np.flatnonzero(heard).tolist():
        one = _of(ranked, rows[row])
        if found.odd[row]:
            told[rows[row]] = replace(one, odd=True)
        else:
            chances = found.probabilities[row, np.searchsorted(found.owners, owners[row, : len(one.skus)])]
            told[rows[row]] = _told(one, chances, certainty)
    return told


def _tables(ranked: Sequence[Ranked]) -> tuple[np.ndarray, np.ndarray]:
    """Candidates int64 (n, k), -1 for no more, and their probabilities (n, k + 1), the last that of none of them."""
    numbers = {sku: n for n, sku in enumerate(sorted({sku for one in ranked for sku in one.skus}))}
    most = max(len(one.skus) for one in ranked)
    owners, given = np.full((len(ranked), most), -1, np.int64), np.zeros((len(ranked), most + 1))
    for row, one in enumerate(ranked):
        owners[row, : len(one.skus)] = [numbers[sku] for sku in one.skus]
        given[row, : len(one.skus)] = [candidate.probability for candidate in one.ranking.candidates]
        given[row, -1] = one.ranking.none_of_them
    return owners, given


def shorten(one: Ranked | None, top: int) -> Ranked | None:
    """A ranking with at most `top` candidates; those that go are none of the candidates."""
    if one is None or len(one.skus) <= top:
        return one
    kept = one.ranking.candidates[:top]
    rest = max(0.0, 1.0 - sum(candidate.probability for candidate in kept))
    return replace(one, ranking=replace(one.ranking, candidates=kept, none_of_them=rest), skus=one.skus[:top])


def _of(ranked: Sequence[Ranked | None], at: int) -> Ranked:
    one = ranked[at]
    assert one is not None
    return one


def _told(one: Ranked, chances: np.ndarray, certainty: Callable[[float], Level]) -> Ranked:
    """A ranking with the chances (k,) of its candidates after the vote, the most probable first."""
    order, own = np.argsort(-chances, kind="stable").tolist(), one.ranking.candidates
    shown = tuple(
        Candidate(own[at].owner, own[at].reference_id, own[at].score, own[at].inliers, float(chances[at]))
        for at in order
    )
    lead = one.ranking.margin
    if order != list(range(len(order))) and len(shown) > 1:
        lead = max(0.0, shown[0].score - shown[1].score)
    rest = max(0.0, 1.0 - float(chances.sum()))
    ranking = Ranking(shown, lead, rest, certainty(shown[0].probability))
    return Ranked(ranking, tuple(one.skus[at] for at in order))
