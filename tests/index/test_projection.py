"""The store's projection: products whose references differ in one direction only become easier to tell apart."""

from __future__ import annotations

import numpy as np
import pytest

from index.errors import IndexingError
from index.leave_one_out import References, choose_recipe
from index.projection import Projection, Recipe, fit_projection, within_rows

DIM, PRODUCTS = 32, 60


def catalogue(references: int, nuisance: float, seed: int = 0) -> References:
    """Products as points; their references shifted along three directions that say nothing about the product."""
    rng = np.random.default_rng(seed)
    owners = np.repeat(np.arange(PRODUCTS), references)
    directions = np.linalg.qr(np.random.default_rng(9).standard_normal((DIM, 3)))[0].T
    shift = nuisance * rng.standard_normal((len(owners), 3)) @ directions
    points = np.random.default_rng(8).standard_normal((PRODUCTS, DIM)) / np.sqrt(DIM)
    vectors = points[owners] + shift + 0.1 * rng.standard_normal((len(owners), DIM))
    return References((vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), owners)


def top1(gallery: References, queries: References, projection: Projection) -> float:
    scores = projection.apply(queries.vectors) @ projection.apply(gallery.vectors).T
    return float((gallery.owners[scores.argmax(axis=1)] == queries.owners).mean())


def test_whitening_within_products_raises_top1_on_new_pictures() -> None:
    gallery, queries = catalogue(4, nuisance=1.0), catalogue(3, nuisance=1.0, seed=1)
    recipe = choose_recipe(gallery)
    assert recipe.kind == "within"
    projection = fit_projection(recipe, gallery.vectors, gallery.owners)
    plain = top1(gallery, queries, Projection(DIM))
    assert top1(gallery, queries, projection) > plain + 0.1
    np.testing.assert_allclose(np.linalg.norm(projection.apply(queries.vectors), axis=1), 1, atol=1e-5)


@pytest.mark.parametrize(
    ("within", "centre", "identity", "chosen"), [(90, 90, 90, "within"), (88, 88, 90, "within"), (60, 90, 90, "centre")]
)
def test_whitening_gives_way_only_to_what_is_clearly_better(
    monkeypatch: pytest.MonkeyPatch, within: int, centre: int, identity: int, chosen: str
) -> None:
    """Of 100 references asked, so many were right: two answers more are chance, thirty are not."""
    answers = {"within": within, "centre": centre, "identity": identity}

    def trials(recipe: Recipe, references: References) -> np.ndarray:
        return np.random.default_rng(0).permutation(100) < answers[recipe.kind]

    monkeypatch.setattr("index.leave_one_out.run_trials", trials)
    assert choose_recipe(catalogue(2, nuisance=0.0)).kind == chosen


def test_single_references_are_only_centred() -> None:
    gallery = catalogue(1, nuisance=0.5)
    assert within_rows(gallery.vectors, gallery.owners) is None
    recipe = choose_recipe(gallery)
    assert recipe.kind == "centre"
    assert fit_projection(Recipe("within", 0.3), gallery.vectors, gallery.owners).kind == "centre"


def test_equal_references_do_not_divide_by_zero() -> None:
    gallery = catalogue(1, nuisance=0.0)
    twice = References(np.repeat(gallery.vectors, 2, axis=0), np.repeat(gallery.owners, 2))
    projection = fit_projection(Recipe("within", 0.3), twice.vectors, twice.owners)
    assert np.isfinite(projection.apply(gallery.vectors)).all()


def test_the_covariance_is_that_of_each_product_around_its_mean() -> None:
    gallery = catalogue(5, nuisance=0.7)
    residuals = [rows - rows.mean(axis=0) for rows in (gallery.vectors[gallery.owners == p] for p in range(PRODUCTS))]
    expected = sum(rows.T @ rows for rows in residuals) / (len(gallery.owners) - PRODUCTS)
    found = within_rows(gallery.vectors, gallery.owners)
    assert found is not None
    np.testing.assert_allclose(found.T @ found, expected, atol=1e-6)


@pytest.mark.parametrize("recipe", [Recipe("identity"), Recipe("centre"), Recipe("within", 0.3)])
def test_bytes_bring_the_same_projection_back(recipe: Recipe) -> None:
    gallery = catalogue(3, nuisance=0.5)
    projection = fit_projection(recipe, gallery.vectors, gallery.owners)
    again = Projection.from_bytes(projection.to_bytes())
    assert again.fingerprint == projection.fingerprint == fit_projection(recipe, *_parts(gallery)).fingerprint
    np.testing.assert_array_equal(again.apply(gallery.vectors), projection.apply(gallery.vectors))


def _parts(references: References) -> tuple[np.ndarray, np.ndarray]:
    return references.vectors, references.owners


def test_different_references_give_another_fingerprint() -> None:
    one, other = catalogue(3, nuisance=0.5), catalogue(3, nuisance=0.5, seed=4)
    recipe = Recipe("within", 0.3)
    assert fit_projection(recipe, *_parts(one)).fingerprint != fit_projection(recipe, *_parts(other)).fingerprint


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(IndexingError, match="run reindex"):
        Projection.from_bytes(b"not a projection")
    with pytest.raises(IndexingError, match=r"\(n, 32\)"):
        Projection(DIM).apply(np.ones((2, DIM + 1), np.float32))
