"""The shortlist in bfloat16 against a search by hand in float64: the same rows, in the same order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest

from index import runtime, shortlist
from index.shortlist import Shortlist
from index.vectors import VectorIndex

pytestmark = pytest.mark.skipif(
    not runtime.available() or "BF16" not in runtime.capabilities(), reason="this processor has no bfloat16"
)
DIM = 48


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def drawn(count: int, seed: int = 0) -> np.ndarray:
    return unit(np.random.default_rng(seed).standard_normal((count, DIM)))


def close_together(count: int, seed: int = 0) -> np.ndarray:
    """Rows whose products with anything differ by far less than rounding takes away."""
    rng = np.random.default_rng(seed)
    return unit(rng.standard_normal((1, DIM)) + 2e-4 * rng.standard_normal((count, DIM)))


def flat(rows: np.ndarray) -> faiss.IndexFlat:
    index = faiss.IndexFlatIP(rows.shape[1])
    index.add(rows)
    return index


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few rows are enough, in several parts, and are rounded with the first question."""
    monkeypatch.setattr(shortlist, "LEAST_ROWS", 100)
    monkeypatch.setattr(shortlist, "PAYS_FROM", 0)
    monkeypatch.setattr(shortlist, "_PART", 512)


@pytest.fixture
def asked_short(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many queries each shortlist was asked."""
    asked: list[int] = []
    search = Shortlist.search

    def watched(self: Shortlist, queries: np.ndarray, fetch: int) -> Any:
        asked.append(len(queries))
        return search(self, queries, fetch)

    monkeypatch.setattr(Shortlist, "search", watched)
    return asked


@pytest.mark.parametrize("rows", [drawn(2000), close_together(2000), np.concatenate([drawn(1), close_together(1702)])])
@pytest.mark.parametrize("queries", [1, 70])
def test_the_best_rows_are_found_in_their_order(rows: np.ndarray, queries: int) -> None:
    asked = unit(drawn(queries, seed=1) + rows[:queries])
    short = Shortlist(flat(rows))
    assert short.serves(queries, 30)
    scores, places = short.search(asked, 30)
    exact = asked.astype(np.float64) @ rows.astype(np.float64).T
    np.testing.assert_allclose(scores, np.take_along_axis(exact, places, 1), atol=1e-6)
    assert (np.diff(scores, axis=1) <= 0).all()
    last = -np.sort(-exact, axis=1)[:, 29]
    left_out = exact.copy()
    np.put_along_axis(left_out, places, -1, 1)
    assert (left_out.max(axis=1) <= last + 1e-6).all()
    assert all(len(set(row)) == 30 for row in places.tolist())


def test_equal_rows_stand_in_their_order() -> None:
    rows = drawn(1500)
    rows[[40, 700, 1490]] = rows[7]
    short = Shortlist(flat(rows))
    assert short.serves(1, 10)
    scores, places = short.search(rows[7:8], 10)
    assert places[0, :4].tolist() == [7, 40, 700, 1490]
    assert len(set(scores[0, :4].tolist())) == 1


def test_what_fills_the_last_group_up_is_no_answer() -> None:
    rows = drawn(513)  # the second part is one row, which its group repeats
    short = Shortlist(flat(rows))
    assert short.serves(1, 5)
    _, places = short.search(rows[512:], 5)
    assert places[0, 0] == 512
    assert (places < 513).all()
    assert len(set(places[0].tolist())) == 5


def test_an_index_answers_alike_with_and_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked_short: list[int]
) -> None:
    vectors, asked = drawn(1200), drawn(20, seed=3)
    index = VectorIndex(DIM)
    index.add(np.arange(900) // 2, vectors[:900])  # two views each
    index.save(tmp_path / "vectors.faiss", revision=1)
    index.add(np.arange(900, 1200), vectors[900:])
    near = index.search(asked, 12)[1]
    index.remove(near[:, :5].ravel())
    index.replace(near[:, 5], vectors[: len(near)])
    asked_short.clear()
    found = index.search(asked, 12)
    assert asked_short
    monkeypatch.setattr(Shortlist, "serves", lambda *_: False)
    exact = index.search(asked, 12)
    np.testing.assert_array_equal(found[1], exact[1])
    np.testing.assert_allclose(found[0], exact[0], atol=1e-6)


def test_few_rows_few_questions_and_wide_ones_are_searched_exactly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked_short: list[int]
) -> None:
    monkeypatch.setattr(shortlist, "PAYS_FROM", 30)
    index = VectorIndex(DIM)
    index.add(np.arange(600), drawn(600))
    index.search(drawn(40, seed=1), 5)  # nothing is saved yet: all rows are in the tail
    index.save(tmp_path / "vectors.faiss", revision=1)
    index.search(drawn(30, seed=1), 5)
    assert asked_short == []
    index.search(drawn(1, seed=1), 5)
    assert asked_short == [1]
    index.search(drawn(1, seed=1), 300)
    assert asked_short == [1]
    monkeypatch.setattr(shortlist, "LEAST_ROWS", 601)
    again, _ = VectorIndex.load(tmp_path / "vectors.faiss")
    again.search(drawn(40, seed=1), 5)
    assert asked_short == [1]


def test_products_that_are_off_by_more_than_was_reckoned_with_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shortlist, "MARGIN", 1e-5)
    short = Shortlist(flat(drawn(1000)))
    assert not short.serves(40, 5)
    monkeypatch.undo()
    assert not short.serves(40, 5)
