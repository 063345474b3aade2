"""Facings of one photo vote: neighbours lift an answer, odd ones are marked, all others stay as they are."""

from __future__ import annotations

import numpy as np
import pytest

from index.calibration import Level
from index.facings import MOST, NEW, UNNAMED
from index.ranking import Candidate, Ranking
from retail_seg.store.gallery import Ranked
from retail_seg.store.voting import shorten, vote

BOXES = np.array([[0, 0, 40, 100], [44, 0, 40, 100], [88, 0, 40, 100], [500, 0, 40, 100]])


def certainty(probability: float) -> Level:
    return "sure" if probability >= 0.9 else "likely" if probability >= 0.5 else "unknown"


def ranked(**chances: float) -> Ranked:
    """A ranking of products in the order of their chances; each one's score is a tenth of its chance."""
    candidates = tuple(Candidate(n, 10 + n, chance / 10, None, chance) for n, chance in enumerate(chances.values()))
    rest = 1 - sum(chances.values())
    return Ranked(Ranking(candidates, 0.25, rest, certainty(candidates[0].probability)), tuple(chances))


def alike(*groups: int) -> np.ndarray:
    """Unit vectors (n, 4): crops of one group are the same, those of two have nothing in common."""
    return np.eye(4, dtype=np.float32)[list(groups)]


def told(*found: Ranked | None) -> Ranked:
    """The one ranking that is looked at, which is there."""
    assert found[0] is not None
    return found[0]


def test_a_neighbour_that_agrees_makes_an_answer_sure() -> None:
    one, other = vote([ranked(a=0.8, b=0.1), ranked(a=0.8, b=0.1)], alike(0, 0), BOXES[:2], certainty)
    same = min(1 / (1 + np.exp(-(1 - 0.86) / 0.04)), MOST)
    own = np.array([0.8, 0.1, 0.1])
    by_hand = own * (same * own + (1 - same) / 3) ** NEW
    by_hand /= by_hand.sum()
    ranking = told(one).ranking
    assert [candidate.probability for candidate in ranking.candidates] == pytest.approx(by_hand[:2])
    assert ranking.none_of_them == pytest.approx(by_hand[2]) and ranking.certainty == "sure"
    assert (told(one).skus, ranking.margin, told(one).odd) == (("a", "b"), 0.25, False)
    assert told(other).ranking == ranking


def test_candidates_behind_the_first_change_places_with_what_speaks_for_them() -> None:
    found = told(*vote([ranked(a=0.7, b=0.2, c=0.1), ranked(a=0.6, c=0.4)], alike(0, 0), BOXES[:2], certainty))
    assert found.skus == ("a", "c", "b") and [one.owner for one in found.ranking.candidates] == [0, 2, 1]
    assert found.ranking.margin == pytest.approx(0.07 - 0.01)
    assert sum(one.probability for one in found.ranking.candidates) + found.ranking.none_of_them == pytest.approx(1)


def test_an_odd_one_out_keeps_its_answer_and_is_marked() -> None:
    given = [ranked(a=0.9, b=0.05), ranked(b=0.6, a=0.35), ranked(a=0.9, b=0.05)]
    first, odd, last = vote(given, alike(0, 0, 0), BOXES[:3], certainty)
    assert told(odd).odd and told(odd).ranking == given[1].ranking
    assert not told(first).odd and not told(last).odd


def test_what_stands_alone_looks_different_or_was_not_ranked_stays_as_it_is() -> None:
    given = [ranked(a=0.8, b=0.1), None, ranked(a=0.8, b=0.1), ranked(a=0.8, b=0.1)]
    assert vote(given, alike(0, 0, 0, 0), BOXES, certainty) == given
    assert vote(given, alike(0, 0, 1, 2), BOXES[[0, 0, 1, 2]], certainty) == given
    assert vote([], np.empty((0, 4)), np.empty((0, 4)), certainty) == []


def test_a_photo_of_many_products_does_not_thin_an_answer() -> None:
    many = [ranked(**{f"x{n}": 0.5, f"y{n}": 0.3}) for n in range(80)]
    boxes = np.array([[200 * n, 0, 40, 100] for n in range(80)])
    pair = [ranked(a=0.9, b=0.05)] * 2
    vectors = np.concatenate([alike(0, 0), np.repeat(alike(1), 80, axis=0)])
    found = told(*vote([*pair, *many], vectors, np.concatenate([BOXES[:2] - [300, 0, 0, 0], boxes]), certainty))
    assert found.ranking.probability > 0.9 + UNNAMED


def test_fewer_candidates_leave_more_to_none_of_them() -> None:
    assert shorten(None, 1) is None
    one = ranked(a=0.6, b=0.3)
    assert shorten(one, 2) is one
    kept = told(shorten(one, 1))
    assert (kept.skus, len(kept.ranking.candidates)) == (("a",), 1)
    assert kept.ranking.none_of_them == pytest.approx(0.4)
