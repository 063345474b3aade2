"""The index against a search by hand: ids, views, changes, threads, files."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest

from index import vectors as vectors_module
from index.errors import VectorIndexError
from index.vectors import VectorIndex

DIM = 24


def unit(count: int, seed: int = 0, dim: int = DIM) -> np.ndarray:
    rows = np.random.default_rng(seed).standard_normal((count, dim)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def by_hand(ids: np.ndarray, vectors: np.ndarray, query: np.ndarray, k: int) -> list[tuple[int, float]]:
    best: dict[int, float] = {}
    for identity, score in zip(ids.tolist(), (vectors @ query).tolist(), strict=True):
        best[identity] = max(score, best.get(identity, -2.0))
    return sorted(best.items(), key=lambda pair: -pair[1])[:k]


def assert_same(index: VectorIndex, ids: np.ndarray, vectors: np.ndarray, queries: np.ndarray, k: int) -> None:
    scores, found = index.search(queries, k)
    for row, query in enumerate(queries):
        expected = by_hand(ids, vectors, query, k)
        assert found[row, : len(expected)].tolist() == [identity for identity, _ in expected]
        np.testing.assert_allclose(scores[row, : len(expected)], [score for _, score in expected], atol=1e-5)
        assert (found[row, len(expected) :] == -1).all()


def test_search_names_each_id_once_with_its_best_view() -> None:
    ids, vectors = np.arange(300) // 3, unit(300)
    index = VectorIndex(DIM)
    index.add(ids, vectors)
    assert_same(index, ids, vectors, unit(40, seed=1), 7)
    assert len(index) == 300
    np.testing.assert_array_equal(index.ids(), np.arange(100))


def test_many_equal_views_do_not_hide_the_next_product() -> None:
    index = VectorIndex(DIM)
    near, far = unit(2)
    index.add(np.full(500, 7), np.repeat(near[None], 500, axis=0))
    index.add(np.array([9]), far[None])
    scores, ids = index.search(near[None], 3)
    assert ids.tolist() == [[7, 9, -1]]
    assert scores[0, 2] == -np.inf


def test_one_thread_and_all_answer_alike_and_faiss_keeps_its_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors, queries = unit(3000, dim=64), unit(40, seed=1, dim=64)
    index = VectorIndex(64)
    index.add(np.arange(3000), vectors)
    seen = []
    knn = faiss.knn

    def watched(*args: Any, **more: Any) -> Any:
        seen.append(faiss.omp_get_max_threads())
        return knn(*args, **more)

    monkeypatch.setattr(vectors_module.faiss, "knn", watched)
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(3)
    try:
        alone = index.search(queries, 5)
        monkeypatch.setattr(vectors_module, "ALONE", 0)
        together = index.search(queries, 5)
        assert (seen, faiss.omp_get_max_threads()) == ([1, 3], 3)
    finally:
        faiss.omp_set_num_threads(before)
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, other)


def test_an_empty_index_answers_with_nothing() -> None:
    scores, ids = VectorIndex(DIM).search(unit(2), 3)
    assert ids.tolist() == [[-1] * 3] * 2
    assert scores.shape == (2, 3)


def test_changes_before_and_after_saving_are_searched_alike(tmp_path: Path) -> None:
    ids, vectors = np.arange(200), unit(200)
    index = VectorIndex(DIM, tag="net/projection")
    index.add(ids[:120], vectors[:120])
    index.save(tmp_path / "vectors.faiss", revision=3)
    index, revision = VectorIndex.load(tmp_path / "vectors.faiss")
    assert (revision, index.tag, len(index)) == (3, "net/projection", 120)
    index.add(ids[120:], vectors[120:])
    assert index.remove(np.array([5, 130, 100_000])) == 2
    kept = np.setdiff1d(ids, [5, 130])
    queries = unit(30, seed=2)
    assert_same(index, kept, vectors[kept], queries, 5)
    index.add(np.array([5]), vectors[5:6])
    index.save(tmp_path / "vectors.faiss", revision=4)
    again, revision = VectorIndex.load(tmp_path / "vectors.faiss")
    kept = np.setdiff1d(ids, [130])
    assert revision == 4
    assert_same(again, kept, vectors[kept], queries, 5)
    assert_same(index, kept, vectors[kept], queries, 5)


def test_replacing_drops_the_old_views() -> None:
    index, vectors = VectorIndex(DIM), unit(4)
    index.add(np.array([1, 1, 2]), vectors[:3])
    index.replace(np.array([1]), vectors[3:])
    assert_same(index, np.array([2, 1]), vectors[2:], vectors, 2)
    assert len(index) == 2


def test_removing_most_rows_keeps_the_rest_right() -> None:
    ids, vectors = np.arange(9000), unit(9000)
    index = VectorIndex(DIM)
    index.add(ids, vectors)
    assert index.remove(ids[50:]) == 8950
    assert_same(index, ids[:50], vectors[:50], vectors[40:60], 3)
    assert len(index) == 50


@pytest.mark.parametrize("count", [0, 1, 2])
def test_the_smallest_files_open(tmp_path: Path, count: int) -> None:
    index = VectorIndex(DIM)
    index.add(np.arange(count), unit(count))
    index.save(tmp_path / "vectors.faiss", revision=1)
    again, _ = VectorIndex.load(tmp_path / "vectors.faiss")
    again.add(np.array([9]), -unit(3)[2:])
    assert again.search(-unit(3)[2:], 1)[1].tolist() == [[9]]
    assert len(again) == count + 1


def test_any_faiss_reads_the_file(tmp_path: Path) -> None:
    index = VectorIndex(DIM)
    index.add(np.array([4, 8]), unit(2))
    index.save(tmp_path / "vectors.faiss", revision=1)
    plain = faiss.read_index(str(tmp_path / "vectors.faiss"))
    assert plain.search(unit(2), 1)[1].tolist() == [[4], [8]]


@pytest.mark.parametrize(
    ("ids", "vectors", "said"),
    [
        (np.array([1]), np.zeros((1, DIM), np.float32), "length 0"),
        (np.array([1]), np.full((1, DIM), np.nan, np.float32), "length nan"),
        (np.array([1]), np.ones((1, DIM), np.float32), "length 4.899"),
        (np.array([1]), unit(1, dim=DIM + 1), rf"\(n, {DIM}\)"),
        (np.array([1]), np.ones((1, DIM), np.int64), "int64"),
        (np.array([1, 2]), unit(1), "one integer each"),
        (np.array([1.5]), unit(1), "one integer each"),
        (np.array([-1]), unit(1), "negative"),
    ],
)
def test_vectors_that_do_not_fit_are_refused_and_nothing_changes(
    ids: np.ndarray, vectors: np.ndarray, said: str
) -> None:
    index = VectorIndex(DIM)
    with pytest.raises(VectorIndexError, match=said):
        index.add(ids, vectors)
    assert len(index) == 0


def test_nonsense_questions_are_refused() -> None:
    with pytest.raises(VectorIndexError, match="at least 1"):
        VectorIndex(DIM).search(unit(1), 0)
    with pytest.raises(VectorIndexError, match="flat, hnsw"):
        VectorIndex(DIM, kind="magic")
    with pytest.raises(VectorIndexError, match="dimension"):
        VectorIndex(0)


def saved(folder: Path) -> bytes:
    index = VectorIndex(DIM)
    index.add(np.arange(50), unit(50))
    index.save(folder / "good.faiss", revision=1)
    return (folder / "good.faiss").read_bytes()


@pytest.mark.parametrize("harm", ["empty", "cut", "foreign", "head", "ids", "missing"])
def test_a_harmed_file_is_one_error(tmp_path: Path, harm: str) -> None:
    whole, path = saved(tmp_path), tmp_path / "harmed.faiss"
    faiss.write_index(faiss.IndexFlatIP(DIM), str(tmp_path / "plain"))
    ids_at = whole.index(np.arange(50, dtype=np.int64).tobytes())
    content = {
        "empty": b"",
        "cut": whole[: len(whole) // 2],
        "foreign": (tmp_path / "plain").read_bytes(),
        "head": b"\0" * 64 + whole[64:],
        "ids": whole[: ids_at + 16] + b"\1" + whole[ids_at + 17 :],
    }.get(harm)
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(VectorIndexError, match="rebuild it from the catalogue"):
        VectorIndex.load(path)


def test_a_failed_save_leaves_the_old_file_and_no_rubbish(tmp_path: Path) -> None:
    whole = saved(tmp_path)
    (tmp_path / "taken").mkdir()
    index = VectorIndex(DIM)
    index.add(np.arange(2), unit(2))
    with pytest.raises(VectorIndexError, match="taken"):
        index.save(tmp_path / "taken", revision=2)
    assert (tmp_path / "good.faiss").read_bytes() == whole
    assert sorted(path.name for path in tmp_path.iterdir()) == ["good.faiss", "taken"]


def test_readers_see_whole_states_while_writers_change_and_save(tmp_path: Path) -> None:
    """Id 1 carries one of two opposite vectors at any moment: to find none, or another score, is a tear."""
    one = unit(1)
    index, torn, stop = VectorIndex(DIM), [], threading.Event()
    index.add(np.arange(2, 52), unit(50, seed=3))
    index.replace(np.array([1]), one)

    def read() -> None:
        while not stop.is_set():
            scores, ids = index.search(one, 300)
            if (ids == 1).sum() != 1 or abs(scores[ids == 1][0]) < 0.999:
                torn.append(ids)

    def write(first: int) -> None:
        for step in range(60):
            index.add(np.array([first + step]), unit(1, seed=first + step))
            index.replace(np.array([1]), one if step % 2 else -one)
            if step % 20 == 0:
                index.save(tmp_path / "vectors.faiss", revision=step)

    readers = [threading.Thread(target=read) for _ in range(2)]
    writers = [threading.Thread(target=write, args=(10_000 * (n + 1),)) for n in range(2)]
    for thread in readers + writers:
        thread.start()
    for thread in writers:
        thread.join()
    stop.set()
    for thread in readers:
        thread.join()
    assert not torn
    assert len(index) == 51 + 120
    index.save(tmp_path / "vectors.faiss", revision=99)
    assert len(VectorIndex.load(tmp_path / "vectors.faiss")[0]) == 171


@pytest.mark.parametrize("kind", ["hnsw", "ivf-sq8"])
def test_approximate_kinds_find_nearly_all_and_know_removals(tmp_path: Path, kind: str) -> None:
    rng = np.random.default_rng(5)
    centres = unit(500, seed=6)
    vectors = centres[rng.integers(0, 500, 21_000)] + 0.1 * rng.standard_normal((21_000, DIM)).astype(np.float32)
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    ids = np.arange(21_000)
    index, exact = VectorIndex(DIM, kind=kind), VectorIndex(DIM)
    for one in (index, exact):
        one.add(ids[:-1], vectors[:-1])
        one.save(tmp_path / "vectors.faiss", revision=1)
        one.add(ids[-1:], vectors[-1:])
        one.remove(ids[:100])
    index.save(tmp_path / "vectors.faiss", revision=2)
    index, _ = VectorIndex.load(tmp_path / "vectors.faiss")
    found, right = index.search(vectors[::300], 10)[1], exact.search(vectors[::300], 10)[1]
    recall = np.mean([len(np.intersect1d(a, b)) / 10 for a, b in zip(found, right, strict=True)])
    assert recall > 0.9
    assert len(index) == 20_900
    assert not np.isin(found, ids[:100]).any()
    assert index.search(vectors[-1:], 1)[1][0, 0] == 20_999
