"""Nearest rows of the same and of another owner, against all pairs compared by hand."""

from __future__ import annotations

import numpy as np
import pytest

from index import neighbours
from index.neighbours import nearest_siblings, nearest_strangers


def made(owners: list[int], seed: int = 0, dim: int = 24) -> tuple[np.ndarray, np.ndarray]:
    """Unit rows that lie around their owner's centre."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((max(owners) + 1, dim))
    rows = centres[owners] + 0.4 * rng.standard_normal((len(owners), dim))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32), np.array(owners)


def by_hand(vectors: np.ndarray, owners: np.ndarray, *, same: bool) -> tuple[np.ndarray, np.ndarray]:
    scores = vectors @ vectors.T
    np.fill_diagonal(scores, -np.inf)
    scores[(owners[:, None] == owners[None]) != same] = -np.inf
    return scores.max(axis=1), scores.argmax(axis=1)


@pytest.fixture(params=["exact", "lists"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(neighbours, "BLOCK", 37)
    monkeypatch.setattr(neighbours, "EXACT_BLOCK", 5)
    if request.param == "lists":
        monkeypatch.setattr(neighbours, "EXACT_BELOW", 10)
    return str(request.param)


def test_as_all_pairs_say(way: str) -> None:
    """Some owners with one row, most with four, one with more than the neighbours that are asked for at first."""
    vectors, owners = made([*np.repeat(np.arange(80), 4), *[80] * 60, *range(81, 100)])
    assert np.allclose(nearest_siblings(vectors, owners), by_hand(vectors, owners, same=True)[0], atol=1e-6)
    scores, rows = nearest_strangers(vectors, owners)
    wanted, at = by_hand(vectors, owners, same=False)
    right = rows == at
    assert right.mean() >= (1.0 if way == "exact" else 0.97)
    assert np.allclose(scores[right], wanted[right], atol=1e-3) and (owners[rows] != owners).all()


def test_an_owner_with_very_many_rows_still_finds_a_stranger(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "MOST_NEIGHBOURS", 8)
    vectors, owners = made([0] * 90 + [1, 2, 2], dim=6)
    rows = nearest_strangers(vectors, owners)[1]
    at = by_hand(vectors, owners, same=False)[1]
    assert (rows[:90] == at[:90]).mean() > 0.9 and (owners[rows] != owners).all()
    assert np.isfinite(nearest_siblings(vectors, owners)).sum() == 92


def test_one_owner_alone_and_nobody_at_all(way: str) -> None:
    vectors, owners = made([0] * 12)
    scores, rows = nearest_strangers(vectors, owners)
    assert (rows == -1).all() and np.isneginf(scores).all()
    empty = np.zeros((0, 4), np.float32)
    assert len(nearest_siblings(empty, np.zeros(0, int))) == 0 == len(nearest_strangers(empty, np.zeros(0, int))[0])


def test_the_progress_may_end_it(way: str) -> None:
    vectors, owners = made([*np.repeat(np.arange(60), 3)])
    seen = []

    def stop(blocks, total):  # type: ignore[no-untyped-def]
        for block in blocks:
            seen.append((block, total))
            if len(seen) == 2:
                raise KeyboardInterrupt
            yield block

    with pytest.raises(KeyboardInterrupt):
        nearest_strangers(vectors, owners, stop)
    assert seen == [(0, 5), (37, 5)]
