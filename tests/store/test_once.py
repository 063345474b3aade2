"""What creates something is done once for a key, whatever ends the process amid it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from crash_workers import FINGERPRINTS, Patches

from catalogue import Catalogue, kept_answers
from catalogue.errors import CatalogueError
from catalogue.kept_answers import KeptAnswer, KeyUsed
from retail_seg.matcher import Matcher
from retail_seg.store import opening
from retail_seg.store.once import InHand, once
from retail_seg.store.opening import CATALOGUE

ANSWER = KeptAnswer(201, {"sku": "ä"}, {"ETag": "x"})


@pytest.fixture
def matcher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Matcher]:
    embedder = Patches(FINGERPRINTS[0])
    monkeypatch.setattr(opening, "load_embedder", lambda name, weights=None: embedder)
    Catalogue.create(tmp_path / CATALOGUE, embedder=embedder.fingerprint, dim=embedder.dim).close()
    with Matcher.open(tmp_path) as found:
        yield found


class Counted:
    """Work that counts how often it is done, and hears whether it may have been done before."""

    def __init__(self) -> None:
        self.again: list[bool] = []

    def __call__(self, matcher: Matcher, again: bool) -> KeptAnswer:
        self.again.append(again)
        return ANSWER


def test_the_second_time_the_answer_is_the_first_one(matcher: Matcher) -> None:
    work = Counted()
    assert once(matcher, "till", "k", "hash", work) == (ANSWER, False)
    assert once(matcher, "till", "k", "hash", work) == (ANSWER, True)
    assert once(matcher, "other", "k", "hash", work) == (ANSWER, False), "a key is its asker's own"
    assert work.again == [False, False]
    with pytest.raises(KeyUsed):
        once(matcher, "till", "k", "another", work)


def test_what_was_refused_may_be_asked_again(matcher: Matcher) -> None:
    def refuses(one: Matcher, again: bool) -> KeptAnswer:
        raise CatalogueError("no")

    with pytest.raises(CatalogueError, match="no"):
        once(matcher, "till", "k", "hash", refuses)
    assert once(matcher, "till", "k", "other hash", Counted())[1] is False


def test_work_of_a_process_that_died_is_done_again_and_hears_of_it(matcher: Matcher) -> None:
    assert kept_answers.begin(matcher.catalogue, "till", "k", "hash") is None
    work = Counted()
    assert once(matcher, "till", "k", "hash", work) == (ANSWER, False) and work.again == [True]


def test_the_same_request_twice_at_once_is_refused(matcher: Matcher) -> None:
    go, begun = threading.Event(), threading.Event()

    def slow(one: Matcher, again: bool) -> KeptAnswer:
        begun.set()
        assert go.wait(30)
        return ANSWER

    thread = threading.Thread(target=once, args=(matcher, "till", "k", "hash", slow))
    thread.start()
    assert begun.wait(30)
    with pytest.raises(InHand):
        once(matcher, "till", "k", "hash", slow)
    go.set()
    thread.join(30)
    assert once(matcher, "till", "k", "hash", slow) == (ANSWER, True)


def test_answers_are_forgotten_after_a_day(matcher: Matcher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_answers, "now", lambda: "2020-01-01T00:00:00.000+00:00")
    work = Counted()
    for _ in range(2):
        once(matcher, "till", "k", "hash", work)
    assert work.again == [False, False]
