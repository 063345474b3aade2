"""Vectors at Milvus, its Lite in a file and a server, beside the same in FAISS: the same answers in the same order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("milvus_lite", reason="Milvus Lite is not installed: pip install retail-seg[milvus]")

from milvus_server import address

from index.errors import IndexUnreachableError, VectorIndexError
from index.milvus import MilvusIndex, Server, collection_name
from index.vectors import VectorIndex

DIM, COUNT = 32, 1500


def vectors(count: int, seed: int = 0) -> np.ndarray:
    """Unit vectors in a few heaps, as embeddings lie."""
    rng = np.random.default_rng(seed)
    found = np.random.default_rng(9).normal(size=(40, DIM))[rng.integers(0, 40, count)]
    found = found + 0.4 * rng.normal(size=(count, DIM))
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(params=["file", "server"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Server:
    if request.param == "file":
        return Server(str(tmp_path / "vectors.db"), collection_name("a store"))
    return Server(address(request.getfixturevalue("milvus_server")), collection_name(str(tmp_path)))


def filled(server: Server, ids: np.ndarray, rows: np.ndarray) -> tuple[MilvusIndex, VectorIndex]:
    there, here = server.make(DIM, "tag"), VectorIndex(DIM, tag="tag")
    for index in (there, here):
        index.add(ids, rows)
    return there, here


def assert_alike(there: MilvusIndex, here: VectorIndex, k: int = 20) -> None:
    queries = vectors(25, seed=1)
    (scores, ids), (own_scores, own) = there.search(queries, k), here.search(queries, k)
    assert np.array_equal(ids, own)
    assert np.allclose(np.maximum(scores, -9), np.maximum(own_scores, -9), atol=1e-5)
    assert len(there) == len(here)


def test_answers_are_those_of_faiss_in_the_same_order_through_all_changes(server: Server) -> None:
    ids = np.repeat(np.arange(COUNT // 3), 3)  # three views of each
    there, here = filled(server, ids, vectors(COUNT))
    assert_alike(there, here)
    gone = np.array([3, 77, 10_000])
    there.remove(gone), here.remove(gone)
    assert_alike(there, here)
    new = np.array([5, 5, 901])
    for index in (there, here):
        index.replace(new, vectors(3, seed=4))
    there.replace(new, vectors(3, seed=4))
    assert_alike(there, here)
    assert_alike(there, here, k=COUNT)


def test_a_part_answers_with_its_own_references_alone(server: Server) -> None:
    there, _ = filled(server, np.arange(COUNT), vectors(COUNT))
    wanted = [4, 9, 250]
    own = VectorIndex(DIM)
    own.add(np.array(wanted), vectors(COUNT)[wanted])
    queries = vectors(9, seed=2)
    assert np.array_equal(there.part(wanted).search(queries, 5)[1], own.search(queries, 5)[1])
    assert (there.part([]).search(queries, 5)[1] == -1).all()


def test_a_rebuilt_collection_takes_its_place_by_the_alias(server: Server) -> None:
    assert server.open("tag") is None
    first, _ = filled(server, np.arange(50), vectors(50))
    assert server.open("tag") is None, "not before it is whole"
    first.enforce(7)
    found = server.open("tag")
    assert found is not None and found[1] == 7 and len(found[0]) == 50 and server.open("another tag") is None
    found[0].level(8)
    second, _ = filled(server, np.arange(20), vectors(20))
    assert len(server.open("tag")[0]) == 50  # type: ignore[index]
    second.enforce(9)
    found = server.open("tag")
    assert found is not None and found[1] == 9 and len(found[0]) == 20
    assert first.search(vectors(1), 1)[1][0, 0] >= 0, "who still asks the former is answered"
    third, _ = filled(server, np.arange(5), vectors(5))
    third.enforce(10)
    mine = [name for name in server.client().list_collections() if name.startswith(server.name)]
    assert len(mine) == 2


@pytest.mark.parametrize("where", ["file", "server"])
def test_hnsw_finds_what_exact_search_finds(where: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    uri = str(tmp_path / "vectors.db") if where == "file" else address(request.getfixturevalue("milvus_server"))
    server = Server(uri, collection_name(str(tmp_path)), "milvus-hnsw")
    there, here = filled(server, np.arange(COUNT), vectors(COUNT))
    there.enforce(1)
    if where == "server":
        there.settle()
    queries = vectors(40, seed=1)
    found, exact = there.search(queries, 10)[1], here.search(queries, 10)[1]
    assert np.mean([len(np.intersect1d(a, b)) / 10 for a, b in zip(found, exact, strict=True)]) > 0.95


def test_a_server_that_does_not_listen_and_a_kind_that_is_none_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(IndexUnreachableError, match=r"127\.0\.0\.1:1: Milvus does not answer"):
        Server("http://127.0.0.1:1", "s").open("tag")
    with pytest.raises(VectorIndexError, match="Lite has no DiskANN"):
        Server(str(tmp_path / "vectors.db"), "s", "milvus-diskann")
    with pytest.raises(VectorIndexError, match="choose one of milvus"):
        Server("u", "s", "flat")
