"""Questions in batches: alike ones together, no more than may wait, every one that was taken answered."""

from __future__ import annotations

import threading
from collections.abc import Hashable, Iterator, Sequence
from typing import Any

import pytest

from retail_seg.system.batching import Batcher, Busy, Closing
from retail_seg.system.rates import Rates


class Doubling:
    """Work that doubles numbers, waits for `go`, and keeps its batches."""

    def __init__(self) -> None:
        self.batches: list[tuple[Hashable, list[int]]] = []
        self.go = threading.Event()
        self.begun = threading.Event()

    def __call__(self, key: Hashable, questions: Sequence[int]) -> Iterator[int | Exception]:
        self.batches.append((key, list(questions)))
        self.begun.set()
        assert self.go.wait(30)
        if key == "broken":
            raise RuntimeError("broken")
        for question in questions:
            yield ValueError("odd") if question < 0 else 2 * question


def batcher(work: Doubling, **more: Any) -> Batcher[int, int]:
    return Batcher("test", work, **{"most": lambda key: 3, "room": lambda kind: 6, **more})


def test_alike_questions_are_answered_together_in_the_order_of_the_oldest() -> None:
    work = Doubling()
    one = batcher(work)
    first = one.ask("a", 0)
    assert work.begun.wait(30)
    waiting = [one.ask(key, number) for number, key in enumerate("abaaba", 1)]
    assert (one.depth("a"), one.depth("b")) == (5, 2)
    work.go.set()
    assert [future.result(30) for future in [first, *waiting]] == [0, 2, 4, 6, 8, 10, 12]
    assert [batch for batch in work.batches if batch[0] == "a"] == [("a", [0]), ("a", [1, 3, 4]), ("a", [6])]
    assert ("b", [2, 5]) in work.batches
    one.leave(30)
    assert one.depth("a") == one.depth("b") == 0


def test_what_is_too_much_is_refused_at_once() -> None:
    work = Doubling()
    one = batcher(work, room=lambda kind: 2)
    taken = [one.ask("a", 1)]
    assert work.begun.wait(30)
    taken += [one.ask("a", 1), one.ask("a", 1)]
    with pytest.raises(Busy) as refused:
        one.ask("a", 1)
    assert refused.value.seconds >= 1
    with pytest.raises(Busy):
        one.check("a")
    taken.append(one.ask("b", 1))  # what is of another kind has room of its own
    work.go.set()
    assert [future.result(30) for future in taken] == [2, 2, 2, 2]
    one.leave(30)


def test_what_would_wait_longer_than_stated_is_refused_before_there_are_many() -> None:
    work = Doubling()
    one = batcher(work, room=lambda kind: 100, most=lambda key: 1, longest=lambda kind: 0.0)
    taken = [one.ask("a", 1)]
    assert work.begun.wait(30)
    taken.append(one.ask("a", 1))  # the first that waits is always taken: else a slow one would shut the door for good
    with pytest.raises(Busy):
        one.ask("a", 1)
    work.go.set()
    assert [future.result(30) for future in taken] == [2, 2]
    assert one.ask("a", 2).result(30) == 4
    one.leave(30)


def test_the_short_goes_before_the_long_that_has_waited_as_long_and_no_longer_than_its_share() -> None:
    work = Doubling()
    one = batcher(work, most=lambda key: 1)
    work.go.set()
    assert one.ask("long", 1).result(30) == one.ask("short", 1).result(30) == 2
    one._paces["long"].each, one._paces["short"].each = 1000.0, 0.001
    work.go.clear()
    work.begun.clear()
    taken = [one.ask("first", 1)]
    assert work.begun.wait(30)
    taken += [one.ask("long", 1), one.ask("short", 1), one.ask("short", 2)]
    work.go.set()
    assert [future.result(30) for future in taken] == [2, 2, 2, 4]
    assert [key for key, _ in work.batches[2:]] == ["first", "short", "short", "long"]
    one.leave(30)


def test_amid_long_work_what_is_short_is_answered() -> None:
    asked, found = threading.Event(), list[str]()

    def work(key: Hashable, questions: Sequence[int]) -> Iterator[int | Exception]:
        if key == "long":
            assert asked.wait(30)
            one.between()
            found.append("long")
        else:
            found.append(str(key))
        yield from questions

    one: Batcher[int, int] = Batcher("test", work, most=lambda key: 1)
    asked.set()
    assert one.ask("long", 1).result(30) == one.ask("short", 1).result(30) == 1
    one._paces["long"].each, one._paces["short"].each = 1000.0, 0.001
    asked.clear()
    taken = [one.ask("long", 1), one.ask("short", 2), one.ask("long", 3)]
    asked.set()
    assert [future.result(30) for future in taken] == [1, 2, 3]
    assert found[2] == "short" and found.count("long") == 3
    one.leave(30)


def test_one_that_fails_stops_no_other() -> None:
    work = Doubling()
    work.go.set()
    one = batcher(work)
    with pytest.raises(RuntimeError, match="broken"):
        one.ask("broken", 1).result(30)
    with pytest.raises(ValueError, match="odd"):
        one.ask("a", -1).result(30)
    assert one.ask("a", 4).result(30) == 8
    one.leave(30)


def test_what_was_taken_is_finished_when_it_closes() -> None:
    work = Doubling()
    one = batcher(work)
    taken = [one.ask("a", number) for number in range(4)]
    closing = threading.Thread(target=one.leave)
    closing.start()
    while True:
        try:
            taken.append(one.ask("a", 9))
        except Closing:
            break
        except Busy:
            continue
    work.go.set()
    closing.join(30)
    assert all(future.result(0) is not None for future in taken)


def test_rates_let_a_burst_through_and_then_so_many_a_second() -> None:
    now = [0.0]
    rates = Rates(2.0, lambda: now[0])
    assert [rates.wait("a") for _ in range(4)] == [0.0] * 4
    assert rates.wait("a") == pytest.approx(0.5) and rates.wait("b") == 0.0
    now[0] = 0.5
    assert rates.wait("a") == 0.0 and rates.wait("a") > 0
    assert all(Rates(0.0).wait("a") == 0.0 for _ in range(1000))
