"""Probabilities hold for crops that they were not learned from, and what is called sure is as right as was stated."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from index.asking import Checked, Views, ask_checked, ask_views
from index.calibration import (
    SURE,
    Calibration,
    Policy,
    calibrate,
    expected_calibration_error,
    precision_threshold,
    stated_threshold,
)
from index.errors import IndexingError
from index.evidence import Answered, Found, Scale, Weights, features, learn, probabilities
from index.leave_one_out import References, run_trials
from index.precision import measured, wilson
from index.priors import prior_of
from index.projection import Projection, ProjectionRecipe

PRIOR = prior_of("some-network")
SCALE = Scale(0.5, 0.1, 64)
WEIGHTS = Weights((2.0, 1.0, 1.0), (1.0, 1.0, 1.0, 1.0))


def catalogue(products: int, references: int, noise: float, dim: int = 24, seed: int = 0) -> References:
    """Products are points drawn by `seed`; pictures of them scatter."""
    points = np.random.default_rng(100 + seed).standard_normal((products, dim))
    owners = np.repeat(np.arange(products), references)
    vectors = points[owners] + noise * np.random.default_rng(seed).standard_normal((len(owners), dim))
    units = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return References(units, owners, np.arange(len(owners)))


def split(references: References, of_each: int, first: int) -> tuple[References, References]:
    place = np.arange(len(references.owners)) % of_each
    return references.take(place < first), references.take(place >= first)


def as_views(pictures: References, of: References) -> Views:
    """Other pictures of the products as the views of their first references."""
    first = [int(of.ids[np.flatnonzero(of.owners == owner)[0]]) for owner in pictures.owners]  # type: ignore[index]
    return Views(pictures.vectors, [b""] * len(first), np.array(first))


def test_probabilities_hold_on_new_pictures_with_strangers_among_them() -> None:
    gallery, others = split(catalogue(300, 8, noise=0.75), 8, 4)
    learned, queries = split(others, 4, 2)
    trials = ask_views(Projection(24), gallery, as_views(learned, gallery), None)
    calibration = calibrate(trials, PRIOR, products=300)
    asked = ask_checked(Projection(24), gallery, Checked(queries.vectors, [b""] * 600, queries.owners), None)
    given = calibration.probabilities(asked.found)
    probability, right = given[:, :-1].max(axis=1), given[:, :-1].argmax(axis=1) == asked.right
    assert 0.6 < right.mean() < 0.99
    assert expected_calibration_error(probability, right) < 0.1
    sure = np.array([calibration.certainty(value) == SURE for value in probability])
    assert sure.mean() > 0.35 and right[sure].mean() > 0.95
    strangers = catalogue(300, 1, noise=0.75, seed=1)
    unknown = ask_checked(Projection(24), gallery, Checked(strangers.vectors, [b""] * 300, np.full(300, -1)), None)
    taken = calibration.probabilities(unknown.found)[:, :-1].max(axis=1)
    assert np.mean([calibration.certainty(value) == SURE for value in taken]) < 0.1


def test_probabilities_by_hand() -> None:
    found = Found(np.array([[0.7, 0.6, -np.inf]]), np.array([[-1, -1, -1]]), np.array([0]))
    powers = np.exp([2.0 * 2, 2.0 * 1, -np.inf, 1.0])
    np.testing.assert_allclose(probabilities(found, WEIGHTS, SCALE)[0], powers / powers.sum())
    doubled = powers * [1, 1, 1, 2]
    np.testing.assert_allclose(probabilities(found, WEIGHTS, SCALE, np.log(2))[0], doubled / doubled.sum())
    favoured = powers * [1, 5, 1, 1]
    given = probabilities(found, WEIGHTS, SCALE, favour=np.log([[1, 5, 1]]))
    np.testing.assert_allclose(given[0], favoured / favoured.sum())


def test_features_by_hand() -> None:
    found = Found(np.array([[0.7, 0.45]]), np.array([[13, 3]]), np.array([100]))
    candidate, none, there = features(found, SCALE)
    np.testing.assert_allclose(candidate[0, 0], [2.0, np.log(11), 0.52])
    np.testing.assert_allclose(candidate[0, 1], [-0.5, 0.0, 0.12])
    # three features that agree with the other candidate are chance
    np.testing.assert_allclose(none[0], [1.0, 0.0, 0.12, 3 * np.log(101 / 64)])
    assert there.all()


def test_more_agreement_with_one_speaks_for_it_and_with_two_against_both() -> None:
    def first(*inliers: int) -> float:
        found = Found(np.array([[0.6, 0.58, 0.5]]), np.array([inliers]), np.array([80]))
        return float(probabilities(found, WEIGHTS, SCALE)[0, 0])

    assert first(0, 0, 0) < first(10, 0, 0) < first(30, 0, 0)
    assert first(30, 20, 0) < first(30, 0, 0)


def test_a_sharp_crop_that_agrees_with_nothing_is_sooner_none_of_them() -> None:
    blurred, sharp = (Found(np.array([[0.6, 0.3]]), np.array([[2, 1]]), np.array([count])) for count in (15, 240))
    assert probabilities(sharp, WEIGHTS, SCALE)[0, -1] > probabilities(blurred, WEIGHTS, SCALE)[0, -1]


def test_weights_of_stores_that_learned_before_the_last_number_was_there_are_read() -> None:
    old = Weights.from_json({"candidate": [1, 2, 3], "none": [4, 5, 6]})
    assert old == Weights((1.0, 2.0, 3.0), (4.0, 5.0, 6.0, 0.0))
    with pytest.raises(ValueError, match="3 and 2 weights"):
        Weights.from_json({"candidate": [1, 2, 3], "none": [4, 5]})


def test_a_search_among_fewer_products_meets_less_likeness() -> None:
    rng = np.random.default_rng(0)
    among_all, among_few = (rng.gumbel(size=(200_000, count)).max(axis=1) for count in (64, 4))
    scale = Scale(float(among_all.mean()), float(among_all.std()), 64)
    for low, high in ((3.0, 3.2), (4.0, 4.2), (6.0, 6.5)):
        few, all_of_them = (np.mean((best > low) & (best < high)) for best in (among_few, among_all))
        found = Found.not_looked_at(np.array([[(low + high) / 2]]))
        assert scale.rarer(found, 4)[0] == pytest.approx(np.log(few / all_of_them), abs=0.2)
    # a product that is there keeps its score: what resembles little is sooner none of a few, what resembles much later
    low, high = (SCALE.rarer(Found.not_looked_at(np.array([[score, 0.1]])), 4)[0] for score in (0.3, 0.8))
    assert low > 0 > high > np.log(4 / 64) - 1e-9
    np.testing.assert_allclose(SCALE.rarer(found, 64), 0)
    np.testing.assert_allclose(SCALE.rarer(found, 1000), 0)


def test_weights_are_found_again_from_many_crops() -> None:
    rng = np.random.default_rng(0)
    score = -np.sort(-rng.uniform(0.3, 0.8, (20000, 3)), axis=1)
    found = Found.not_looked_at(score)
    true = Weights((1.5, 0.0, 0.0), (0.7, 0.0, 0.0, 0.0))
    chance = np.cumsum(probabilities(found, true, SCALE), axis=1)
    drawn = (rng.random((20000, 1)) > chance).sum(axis=1)
    right = np.where(drawn == 3, -1, drawn)
    learned = learn(
        Answered(found, right, np.ones(20000)), SCALE, Weights((0.5, 0.0, 0.0), (0.0, 0.0, 0.0, 0.0)), strength=1.0
    )
    assert learned.candidate[0] == pytest.approx(1.5, abs=0.05)
    assert learned.none[0] == pytest.approx(0.7, abs=0.08)
    few = learn(Answered(found.take(np.arange(3)), right[:3], np.ones(3)), SCALE, true)
    np.testing.assert_allclose(few.candidate + few.none, true.candidate + true.none, atol=0.1)


def test_every_view_is_asked_in_three_ways() -> None:
    vectors = np.array([[1, 0, 0], [0.8, 0.6, 0], [0, 1, 0], [0, 0, 1]], np.float32)
    references = References(vectors, np.array([7, 7, 8, 9]), np.array([10, 11, 12, 13]))
    view = np.array([[0.96, 0.28, 0], [0, 0.6, 0.8]], np.float32)
    found = ask_views(Projection(3), references, Views(view, [b"", b""], np.array([10, 13])), None)
    # the first in place, the second in place; the first without its own reference; both as strangers
    np.testing.assert_allclose(found.found.score[:, 0], [0.96, 0.8, 0.96 * 0.8 + 0.28 * 0.6, 0.28, 0.6], atol=1e-6)
    assert found.right.tolist() == [0, 0, 0, -1, -1]
    assert found.weight.sum() == pytest.approx(2)
    assert found.weight[3:].sum() == pytest.approx(0.2)


def test_a_reference_asked_as_it_is_does_not_find_itself() -> None:
    references = catalogue(5, 2, noise=0.2)
    views = Views(references.vectors, [b""] * 10, np.arange(10))
    found = ask_views(Projection(24), references, views, None)
    assert len(found.right) == 20  # left out, and strangers
    assert found.found.score.max() < 0.999


def test_a_checked_facing_is_not_compared_with_its_own_picture() -> None:
    references = catalogue(5, 2, noise=0.2)
    found = ask_checked(Projection(24), references, Checked(references.vectors, [b""] * 10, references.owners), None)
    assert found.found.score[:, 0].max() < 0.999 and (found.right == 0).all()


def test_checked_answers_are_measured_with_weights_that_have_not_seen_them() -> None:
    gallery, others = split(catalogue(120, 8, noise=0.85), 8, 4)
    trials = ask_views(Projection(24), gallery, as_views(gallery, gallery), None)
    checked = ask_checked(Projection(24), gallery, Checked(others.vectors, [b""] * 480, others.owners), None)
    found = calibrate(trials, PRIOR, checked=checked)
    assert found.trials["checked"] == len(found.checked) == 480
    sure = found.measured[SURE]
    assert sure.count > 100 and sure.low < sure.right / sure.count < sure.high
    assert found.threshold == precision_threshold(*np.array(found.checked, float).T, 0.95)


@pytest.mark.parametrize(("products", "references"), [(1, 3), (3, 1), (3, 2), (14, 1)])
def test_small_catalogues_lean_on_the_prior(products: int, references: int) -> None:
    gallery = catalogue(products, references, noise=0.3)
    calibration = calibrate(ask_views(Projection(24), gallery, as_views(gallery, gallery), None), PRIOR)
    assert 0.2 < calibration.scale.centre < 0.65
    near, far = (
        calibration.probabilities(Found.not_looked_at(np.array([[score, 0.1]])))[0, 0] for score in (0.97, 0.3)
    )
    assert near > 0.9 and far < 0.5


def test_a_stricter_precision_or_a_ceiling_calls_less_sure() -> None:
    assert stated_threshold(0.9) < stated_threshold(0.95) < stated_threshold(0.99)
    gallery = catalogue(100, 4, noise=0.8)
    views = as_views(catalogue(100, 1, noise=0.8, seed=0), gallery)
    free = calibrate(ask_views(Projection(24), gallery, views, None), PRIOR)
    bound = [replace(free, policy=Policy(precision=0.85, ceiling=rate)).threshold for rate in (0.5, 0.05, 0.011)]
    assert bound == sorted(bound) and bound[-1] > bound[0] == stated_threshold(0.85)
    with pytest.raises(IndexingError, match="between 0 and 1"):
        Policy(precision=1.5)


def test_the_share_of_strangers_moves_the_odds() -> None:
    found = Found.not_looked_at(np.array([[0.7, 0.6]]))
    few, many = (
        Calibration(SCALE, WEIGHTS, WEIGHTS, Policy(strangers=share)).probabilities(found)[0] for share in (0.1, 0.5)
    )
    odds = (many[-1] / many[0]) / (few[-1] / few[0])
    assert odds == pytest.approx(9)


def test_the_threshold_that_checked_answers_ask_for() -> None:
    probability = np.array([0.99, 0.95, 0.9, 0.85, 0.6])
    assert precision_threshold(probability, np.array([1, 1, 1, 0, 0]), 0.9) == pytest.approx(0.855, abs=0.006)
    assert precision_threshold(probability, np.array([0, 0, 0, 0, 0]), 0.9) == 0.9


def test_json_brings_the_same_calibration_back() -> None:
    gallery = catalogue(20, 2, noise=0.4)
    calibration = calibrate(ask_views(Projection(24), gallery, as_views(gallery, gallery), None), PRIOR)
    assert Calibration.from_json(json.loads(json.dumps(calibration.to_json()))) == calibration
    with pytest.raises(IndexingError, match="run reindex"):
        Calibration.from_json({"weights": [1, 2], "acceptance": [1, 1], "threshold": 2.0})


def test_calibration_error_by_hand() -> None:
    probability = np.array([0.95, 0.95, 0.15, 0.15])
    assert expected_calibration_error(probability, np.array([1, 1, 0, 0])) == pytest.approx(0.1)
    assert expected_calibration_error(probability, np.array([0, 0, 1, 1])) == pytest.approx(0.9)
    assert expected_calibration_error(np.empty(0), np.empty(0)) == 0


def test_bounds_of_a_share() -> None:
    assert wilson(95, 100) == pytest.approx((0.8882, 0.9785), abs=1e-4)
    assert wilson(0, 0) == (0.0, 1.0)
    assert measured(np.array([True, True, False])).share == pytest.approx(2 / 3)


def test_left_out_references_find_their_product() -> None:
    vectors = np.array([[1, 0, 0], [0.8, 0.6, 0], [0, 1, 0], [0, 0, 1]], np.float32)
    right = run_trials(ProjectionRecipe("identity"), References(vectors, np.array([7, 7, 8, 9])))
    assert right.tolist() == [True, True]  # the single ones have nothing to find
