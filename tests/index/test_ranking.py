"""Ranker: what the matcher and the evaluation ask; products, not references, and why."""

from __future__ import annotations

import numpy as np
import pytest

from index.calibration import Policy
from index.errors import IndexingError
from index.ranking import Ranker
from index.rerank import LocalEvidence
from index.vectors import VectorIndex

DIM = 48


def pictures(products: int, each: int, seed: int, noise: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    points = np.random.default_rng(7).standard_normal((products, DIM))
    owners = np.repeat(np.arange(products) + 1000, each)
    vectors = points[owners - 1000] + noise * np.random.default_rng(seed).standard_normal((len(owners), DIM))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), owners


def filled(ranker: Ranker, vectors: np.ndarray) -> VectorIndex:
    index = VectorIndex(ranker.dim, tag=ranker.fingerprint)
    index.add(np.arange(len(vectors)), ranker.project(vectors))
    return index


def test_products_come_ranked_with_their_best_reference() -> None:
    vectors, owners = pictures(40, 5, seed=0)
    ranker = Ranker.fit(vectors, np.arange(200), owners, "some-network")
    queries, truth = pictures(40, 1, seed=1)
    rankings = ranker.rank(queries, filled(ranker, vectors), lambda ids: owners[ids], top=4)
    scores = ranker.project(queries) @ ranker.project(vectors).T
    for row, ranking in enumerate(rankings):
        found = ranking.candidates
        assert len({candidate.owner for candidate in found}) == len(found) == 4
        assert found[0].reference_id == scores[row].argmax()
        assert [candidate.score for candidate in found] == sorted((c.score for c in found), reverse=True)
        assert [candidate.probability for candidate in found] == sorted((c.probability for c in found), reverse=True)
        assert sum(c.probability for c in found) + ranking.none_of_them == pytest.approx(1)
        assert ranking.probability == found[0].probability
        assert all(owners[candidate.reference_id] == candidate.owner for candidate in found)
        assert ranking.margin == pytest.approx(found[0].score - found[1].score)
    right = np.array([ranking.candidates[0].owner for ranking in rankings]) == truth
    assert right.mean() > 0.9
    assert np.mean([ranking.known for ranking in rankings]) > 0.5


def test_many_references_of_one_product_do_not_hide_the_others() -> None:
    vectors, owners = pictures(3, 1, seed=0)
    crowd = np.repeat(vectors[:1], 700, axis=0)
    vectors, owners = np.concatenate([crowd, vectors]), np.concatenate([np.full(700, owners[0]), owners])
    ranker = Ranker.unfitted(DIM, "some-network")
    (ranking,) = ranker.rank(vectors[:1], filled(ranker, vectors), lambda ids: owners[ids], top=5)
    assert sorted(candidate.owner for candidate in ranking.candidates) == [1000, 1001, 1002]


def test_small_and_odd_stores() -> None:
    ranker = Ranker.unfitted(DIM, "some-network")
    vectors, owners = pictures(2, 1, seed=0)
    (empty,) = ranker.rank(vectors[:1], VectorIndex(DIM), lambda ids: owners[ids])
    assert (empty.candidates, empty.known, empty.probability, empty.none_of_them) == ((), False, 0.0, 1.0)
    (lone,) = ranker.rank(vectors[:1], filled(ranker, vectors[:1]), lambda ids: owners[ids])
    assert len(lone.candidates) == 1 and lone.known and lone.margin > 0
    (stranger,) = ranker.rank(-vectors[:1], filled(ranker, vectors[:1]), lambda ids: owners[ids])
    assert not stranger.known
    (gone,) = ranker.rank(vectors[:1], filled(ranker, vectors), lambda ids: np.where(ids == 0, -1, owners[ids]))
    assert [candidate.owner for candidate in gone.candidates] == [1001]


def test_views_of_a_reference_are_one_reference() -> None:
    vectors, owners = pictures(20, 4, seed=0)
    views, ids = np.repeat(vectors, 3, axis=0), np.repeat(np.arange(80), 3)
    views[1::3], views[2::3] = np.roll(vectors, 1, axis=1), np.roll(vectors, 2, axis=1)
    one = Ranker.fit(vectors, np.arange(80), owners)
    other = Ranker.fit(views, ids, np.repeat(owners, 3))
    assert (one.fingerprint, one.calibration) == (other.fingerprint, other.calibration)


def test_fitting_is_repeatable_and_bytes_bring_it_back() -> None:
    vectors, owners = pictures(30, 4, seed=0, noise=0.9)
    one, other = (Ranker.fit(vectors, np.arange(120), owners, "some-network") for _ in range(2))
    again = Ranker.from_bytes(one.to_bytes())
    assert one.to_bytes() == other.to_bytes() == again.to_bytes()
    assert (again.embedder, again.fingerprint) == ("some-network", one.fingerprint)
    with pytest.raises(IndexingError, match="run reindex"):
        Ranker.from_bytes(b"{}")


def test_what_can_be_there_and_how_likely_it_is_beforehand() -> None:
    vectors, owners = pictures(40, 1, seed=0, noise=0.0)
    between = vectors[3] + vectors[7] + 0.02 * vectors[3]
    query = (between / np.linalg.norm(between))[None]
    ranker = Ranker.fit(vectors, np.arange(40), owners, "some-network")
    index = filled(ranker, vectors)

    def first(among: dict[int, float] | None) -> tuple[int, float, float]:
        if among is None:
            (found,) = ranker.rank(query, index, lambda ids: owners[ids])
        else:
            part = VectorIndex(DIM)
            rows = np.array([owner - 1000 for owner in among])
            part.add(rows, ranker.project(vectors[rows]))
            (found,) = ranker.rank(
                query,
                part,
                lambda ids: owners[ids],
                among=len(among),
                favour=lambda them: np.log([among[owner] for owner in them.tolist()]),
            )
        return found.candidates[0].owner, found.probability, found.none_of_them

    owner, probability, _ = first(None)
    assert owner == 1003 and probability < 0.9  # the other is nearly as near
    alone = first({1003: 1.0, 1001: 1.0, 1002: 1.0})
    assert alone[0] == 1003 and alone[1] > probability
    assert first({1003: 0.1, 1007: 1.9, 1001: 1.0})[0] == 1007
    assert first({1020: 1.0, 1021: 1.0})[2] > 0.5  # it is none of these


def test_another_policy_needs_no_learning() -> None:
    vectors, owners = pictures(40, 5, seed=0)
    ranker = Ranker.fit(vectors, np.arange(200), owners, "some-network")
    stricter = ranker.stating(Policy(precision=0.99, strangers=0.5))
    assert stricter.calibration.threshold > ranker.calibration.threshold
    queries, _ = pictures(40, 1, seed=3, noise=1.2)
    index = filled(ranker, vectors)
    (before, after) = (one.rank(queries, index, lambda ids: owners[ids]) for one in (ranker, stricter))
    assert all(b.probability < a.probability for a, b in zip(before, after, strict=True))


def test_a_second_look_is_asked_for_close_races_only() -> None:
    vectors, owners = pictures(10, 1, seed=0, noise=0.0)
    close = vectors[0] + vectors[1] + 1e-3 * vectors[0]
    queries = np.stack([vectors[5], close / np.linalg.norm(close)])
    asked: list[int] = []
    ranker = Ranker.unfitted(DIM, "some-network")

    def features(at: int) -> bytes:
        asked.append(at)
        return b""

    look = LocalEvidence(features, lambda ids: dict.fromkeys(ids, b""))
    rankings = ranker.rank(queries, filled(ranker, vectors), lambda ids: owners[ids], look=look)
    assert asked == [1]
    assert rankings[0].candidates[0].inliers is None
    assert rankings[1].candidates[0].inliers == 0


def test_mismatched_inputs_are_refused() -> None:
    vectors, owners = pictures(3, 2, seed=0)
    with pytest.raises(IndexingError, match="give as many"):
        Ranker.fit(vectors, np.arange(5), owners)
