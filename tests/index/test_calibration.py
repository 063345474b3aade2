"""Scores become probabilities that hold, and strangers are turned away at the stated rate."""

from __future__ import annotations

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest

from index.calibration import Prior, Trials, calibrate, evidence_of, expected_calibration_error
from index.errors import IndexingError
from index.leave_one_out import References, run_trials
from index.projection import Recipe
from index.rerank import local_features

PRIOR = Prior(0.5, 0.12, (-0.5, 1.2, 1.5, 2.0))


def catalogue(products: int, references: int, noise: float, dim: int = 24, seed: int = 0) -> References:
    """Products are points drawn by `seed`; pictures of them scatter."""
    points = np.random.default_rng(100 + seed).standard_normal((products, dim))
    owners = np.repeat(np.arange(products), references)
    vectors = points[owners] + noise * np.random.default_rng(seed).standard_normal((len(owners), dim))
    return References((vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), owners)


def answers(gallery: References, queries: References) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Best score, lead over the runner-up product and whether the first answer is right, by hand."""
    scores = queries.vectors @ gallery.vectors.T
    best = np.stack([scores[:, gallery.owners == owner].max(axis=1) for owner in np.unique(gallery.owners)], axis=1)
    two = np.sort(best, axis=1)[:, -2:]
    return two[:, 1], two[:, 1] - two[:, 0], best.argmax(axis=1) == queries.owners


def split(references: References, of_each: int, first: int) -> tuple[References, References]:
    place = np.arange(len(references.owners)) % of_each
    return references.take(place < first), references.take(place >= first)


def test_probabilities_hold_on_new_pictures_and_strangers_are_rejected() -> None:
    gallery, queries = split(catalogue(300, 8, noise=0.75), 8, 4)
    calibration = calibrate(run_trials(Recipe("identity"), gallery), PRIOR)
    score, lead, right = answers(gallery, queries)
    assert 0.6 < right.mean() < 0.99
    assert expected_calibration_error(calibration.probability(score, lead), right) < 0.06
    strangers = catalogue(300, 8, noise=0.75, seed=1)
    score, lead, _ = answers(gallery, strangers)
    assert calibration.known(score, lead).mean() < 0.03


def test_a_better_score_and_a_larger_lead_never_lower_the_probability() -> None:
    calibration = calibrate(run_trials(Recipe("identity"), catalogue(60, 4, noise=0.6)), PRIOR)
    score, lead = np.meshgrid(np.linspace(-1, 1, 41), np.linspace(0, 1, 21), indexing="ij")
    probability = calibration.probability(score, lead)
    assert (np.diff(probability, axis=0) >= 0).all()
    assert (np.diff(probability, axis=1) >= 0).all()
    assert probability.min() >= 0 and probability.max() <= 1
    assert (calibration.probability(score, lead, 0.5) >= probability).all()
    known = calibration.known(score, lead)
    assert (np.diff(known.astype(int), axis=0) >= 0).all() and (np.diff(known.astype(int), axis=1) >= 0).all()
    assert known.any() and not known.all()
    assert (calibration.known(score, lead, 0.5) >= known).all()


def test_leaving_one_out_and_leaving_the_product_out_by_hand() -> None:
    vectors = np.array([[1, 0, 0], [0.8, 0.6, 0], [0, 1, 0], [0, 0, 1]], np.float32)
    trials = run_trials(Recipe("identity"), References(vectors, np.array([7, 7, 8, 9])))
    # the first two are of one product; the second is nearer to it (0.8) than to the third (0.6)
    assert sorted(trials.score.tolist()) == pytest.approx([0.8, 0.8])
    assert sorted(trials.lead.tolist()) == pytest.approx([0.2, 0.8])
    assert trials.right.all()
    assert sorted(trials.missing_score.tolist()) == pytest.approx([0, 0, 0.6, 0.6])


@pytest.mark.parametrize(("products", "references"), [(0, 1), (1, 3), (3, 1), (3, 2), (14, 1)])
def test_small_catalogues_lean_on_the_prior(products: int, references: int) -> None:
    gallery = catalogue(products, references, noise=0.3) if products else References(np.empty((0, 24)), np.empty(0))
    calibration = calibrate(run_trials(Recipe("identity"), gallery), PRIOR)
    assert 0.2 < calibration.centre < 0.6
    assert np.isfinite(calibration.threshold)
    assert calibration.known(0.99, 0.0) and not calibration.known(0.3, 0.0)
    assert calibration.probability(0.95, 0.5) > 0.9
    assert calibration.probability(0.3, 0.0) < 0.5


def test_a_stricter_rate_accepts_less() -> None:
    trials = run_trials(Recipe("identity"), catalogue(100, 4, noise=0.8))
    thresholds = [calibrate(trials, PRIOR, rate).threshold for rate in (0.1, 0.01, 0.001)]
    assert thresholds == sorted(thresholds)
    with pytest.raises(IndexingError, match="between 0 and 1"):
        calibrate(trials, PRIOR, 1.5)


def test_json_brings_the_same_calibration_back() -> None:
    from index.calibration import Calibration

    calibration = calibrate(Trials.none(), PRIOR)
    assert Calibration.from_json(json.loads(json.dumps(calibration.to_json()))) == calibration
    with pytest.raises(IndexingError, match="run reindex"):
        Calibration.from_json({"weights": [1, 2]})


def test_what_comes_nearer_to_every_product_is_not_known_for_it() -> None:
    """A photo's light may lift all scores above what references reach among themselves; the lead stays small."""
    rng = np.random.default_rng(5)
    count = 64
    none = np.zeros(count)
    missing, missing_lead = rng.normal(0.25, 0.1, count), np.abs(rng.normal(0, 0.05, count))
    trials = Trials(rng.normal(0.9, 0.03, count), none + 0.6, none, none == 0, missing, missing_lead, none)
    calibration = calibrate(trials, PRIOR)
    assert calibration.known(0.45, 0.4) and not calibration.known(0.45, 0.02)


def test_a_calibration_of_an_earlier_version_goes_on_without_the_lead() -> None:
    calibration = calibrate(Trials.none(), PRIOR)
    old = calibration.to_json()
    del old["lead_share"]
    found = type(calibration).from_json(old)
    score = np.linspace(0, 1, 101)
    assert (found.known(score, 0.5) == found.known(score, 0.0)).all()
    assert calibration.known(score, 0.5).sum() > found.known(score, 0.5).sum()


def test_calibration_error_by_hand() -> None:
    probability = np.array([0.95, 0.95, 0.15, 0.15])
    assert expected_calibration_error(probability, np.array([1, 1, 0, 0])) == pytest.approx(0.1)
    assert expected_calibration_error(probability, np.array([0, 0, 1, 1])) == pytest.approx(0.9)
    assert expected_calibration_error(np.empty(0), np.empty(0)) == 0


def test_evidence_of_local_features_is_learned() -> None:
    rng = np.random.default_rng(0)
    count = 400
    score, missing = rng.normal(0.6, 0.1, count), rng.normal(0.55, 0.1, count)
    told = evidence_of(rng.integers(0, 30, count))
    nothing = evidence_of(rng.integers(0, 5, count))
    lead = np.full(count, 0.1)
    trials = Trials(score, lead, told, np.ones(count, bool), missing, lead, nothing)
    calibration = calibrate(trials, PRIOR)
    assert calibration.known(score, lead, told).mean() > 0.4
    assert calibration.known(missing, lead, nothing).mean() <= 0.015
    blind = calibrate(replace(trials, evidence=0 * told, missing_evidence=0 * nothing), PRIOR)
    assert blind.known(score, lead).mean() < 0.2


def test_a_second_look_is_part_of_the_trials() -> None:
    rng = np.random.default_rng(3)
    prints = [cv2.GaussianBlur(rng.integers(0, 256, (120, 120, 3), np.uint8), (0, 0), 2) for _ in range(4)]
    features = {at: local_features(prints[at // 2]) for at in range(8)}
    vectors = catalogue(4, 2, noise=0.1).vectors
    references = References(vectors, np.repeat(np.arange(4), 2), np.arange(8))
    trials = run_trials(Recipe("identity"), references, lambda ids: {i: features[i] for i in ids})
    assert trials.right.all() and (trials.evidence > 0.5).all()
    assert (trials.missing_evidence < 0.3).all()
    unseen = run_trials(Recipe("identity"), references, lambda ids: {})
    assert (unseen.evidence == 0).all()


def test_the_tail_of_few_trials_is_not_underestimated() -> None:
    rates = []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        skewed = rng.gamma(2.0, 0.05, 60) + 0.3
        none = np.zeros(60)
        present = Trials(skewed + 0.5, none, none, np.ones(60, bool), skewed, none, none)
        rates.append(calibrate(present, PRIOR).known(rng.gamma(2.0, 0.05, 4000) + 0.3, 0.0).mean())
    assert np.mean(rates) < 0.015
