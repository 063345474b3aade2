"""A store whose vectors lie at Milvus answers as one that keeps them itself, also when the server dies."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("milvus_lite", reason="Milvus Lite is not installed: pip install retail-seg[milvus]")

from api_helpers import ARTICLES, small_store
from milvus_server import address, kill, start_again

from catalogue import Product
from index import milvus
from index.errors import IndexUnreachableError
from index.milvus import MilvusIndex
from retail_seg.errors import StoreError
from retail_seg.matcher import Matcher
from retail_seg.rendering.assortment import references
from retail_seg.store import index_server


def store_at(uri: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The small store with its vectors at Milvus."""
    make = Matcher.create
    with monkeypatch.context() as patch:
        patch.setattr(Matcher, "create", lambda folder: make(folder, index="milvus", uri=uri))
        return small_store(folder)


@pytest.fixture(params=["file", "server"])
def served(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The small store with its vectors in a file of Milvus Lite, and on a server."""
    uri = str(tmp_path / "vectors.db") if request.param == "file" else address(request.getfixturevalue("milvus_server"))
    return store_at(uri, tmp_path / "served", monkeypatch)


def answers(store: Path, **named: Any) -> list[tuple[str, list[str]]]:
    """What each article's pictures are taken for."""
    crops = [picture for article in ARTICLES for picture, _ in references(article)[2:4]]
    with Matcher.open(store) as matcher:
        return [(one.certainty, [match.sku for match in one.matches]) for one in matcher.match(crops, **named)]


def test_both_stores_answer_alike(served: Path, small: Path) -> None:
    assert answers(served) == answers(small)
    among = {ARTICLES[0].sku: 1.0, ARTICLES[2].sku: 1.0}
    found = answers(served, among=among)
    assert found == answers(small, among=among) and all({*skus} <= {*among} for _, skus in found)
    assert not (served / "index.faiss").exists()


def test_changes_reach_the_server(served: Path) -> None:
    with Matcher.open(served) as matcher:
        assert isinstance(matcher._gallery.current().index, MilvusIndex)
        before = len(matcher._gallery.current().index)
        matcher.enrol(Product("new", "New"), [references(ARTICLES[1])[3][0]])
        matcher.remove(ARTICLES[0].sku)
        after = len(matcher._gallery.current().index)
    with Matcher.open(served) as matcher:
        state = matcher._gallery.current()
        assert (len(state.index), state.revision) == (after, matcher.revision) and after < before
    assert all(ARTICLES[0].sku not in skus for _, skus in answers(served))
    assert Matcher.reindex_store(served) == 0 and len(answers(served)) == 2 * len(ARTICLES)


def dead(*args: object, **named: object) -> Any:
    raise IndexUnreachableError("http://m: Milvus does not answer: start it, or check the address.")


def test_a_dead_server_is_one_sentence_and_answers_go_on(
    served: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    alive = answers(served)
    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING):
        patch.setattr(milvus.Server, "client", dead)
        assert answers(served) == alive
    assert "Milvus does not answer" in caplog.text and "on this machine" in caplog.text
    with Matcher.open(served) as matcher:  # it dies while the store is open
        monkeypatch.setattr(MilvusIndex, "_asked", dead)
        picture = references(ARTICLES[0])[2][0]
        assert matcher.match([picture])[0].matches[0].sku == ARTICLES[0].sku
        matcher.enrol(Product("new", "New"), [references(ARTICLES[1])[3][0]])
    monkeypatch.undo()
    with Matcher.open(served) as matcher:
        assert matcher._gallery.current().revision == matcher.revision


def test_a_store_that_is_too_large_to_go_on_alone_says_so(served: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(milvus.Server, "client", dead)
    monkeypatch.setattr(index_server, "LOCAL", 3)
    with pytest.raises(StoreError, match=r"does not answer.* 8 references and no index of its own"):
        Matcher.open(served)


def test_a_killed_server_and_one_that_is_back(
    milvus_server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store = store_at(address(milvus_server), tmp_path / "served", monkeypatch)
    alive = answers(store)
    with Matcher.open(store) as matcher:
        kill(milvus_server)
        picture = references(ARTICLES[0])[2][0]
        assert matcher.match([picture])[0].matches[0].sku == ARTICLES[0].sku
        matcher.enrol(Product("new", "New"), [references(ARTICLES[1])[3][0]])
    assert "Milvus does not answer" in caplog.text
    with Matcher.open(store) as matcher:
        matcher.remove("new")
    assert answers(store) == alive
    start_again(milvus_server)
    with Matcher.open(store) as matcher:
        state = matcher._gallery.current()
        assert isinstance(state.index, MilvusIndex) and state.revision == matcher.revision
    assert answers(store) == alive
