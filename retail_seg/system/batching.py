"""One owner of what cannot be shared: questions of many threads wait in a bounded queue and are answered in batches.

A batch is made of what is asked alike (one key) and waits together, or comes within a moment ("dynamic batching", as
inference servers call it).
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from retail_seg.errors import RetailSegError

Q = TypeVar("Q")
A = TypeVar("A")
#: Of what one question took so far, the newest weighs so much in the mean.
NEWEST = 0.2
#: What a question is taken to take, in seconds, before one of its kind was answered.
FIRST = 0.1


class Busy(RetailSegError):
    """More is asked than can be answered now; `seconds` says when to ask again."""

    def __init__(self, seconds: float) -> None:
        self.seconds = max(1, round(seconds))
        super().__init__(f"Too much is asked at once; ask again in {self.seconds} s")


class Closing(Busy):
    """Nothing new is taken, for the program ends; what was taken is finished."""


@dataclass
class _Ticket(Generic[Q, A]):
    key: Hashable
    question: Q
    answer: Future[A]
    since: float = field(default_factory=time.monotonic)


class Batcher(Generic[Q, A]):
    """Threads of its own that answer questions, a batch at a time, in the order in which the oldest of each came.

    work   gets a key and the questions of a batch, and gives an answer, or the error in its place, for each in turn
    most    questions in a batch of a key
    room    questions that may wait; beyond it they are refused at once
    longest seconds of work that may wait, by what questions of each kind took so far; beyond it they are refused, too
    moment  seconds that a batch waits for more when nothing else is to be done
    kind    of a key: what takes about as long
    """

    def __init__(
        self,
        name: str,
        work: Callable[[Hashable, Sequence[Q]], Iterable[A | Exception]],
        *,
        most: Callable[[Hashable], int] = lambda key: 8,
        room: int = 32,
        longest: float = 10.0,
        moment: float = 0.004,
        kind: Callable[[Hashable], Hashable] = lambda key: key,
        threads: int = 1,
    ) -> None:
        self._work, self._most, self.room, self._moment = work, most, room, moment
        self._longest, self._kind = longest, kind
        self._waiting: deque[_Ticket[Q, A]] = deque()
        self._in_hand = 0
        self._seconds: dict[Hashable, float] = {}
        self._until = 0.0  # when the batch in hand should be done
        self._changed = threading.Condition()
        self._closed = False
        self._threads = [threading.Thread(target=self._run, name=f"{name}-{n}", daemon=True) for n in range(threads)]
        for thread in self._threads:
            thread.start()

    @property
    def depth(self) -> int:
        """How many questions wait or are being answered."""
        return len(self._waiting) + self._in_hand

    def check(self) -> None:
        """Raise Busy where a question would be refused now: asked before what it needs is read."""
        if self._closed:
            raise Closing(5)
        seconds = self._seconds_of(self._waiting) + max(self._until - time.monotonic(), 0.0)
        if len(self._waiting) >= self.room or seconds > self._longest:
            raise Busy(seconds)

    def _seconds_of(self, tickets: Iterable[_Ticket[Q, A]]) -> float:
        """What the tickets will take, by what those of their kinds took."""
        return sum(self._seconds.get(self._kind(ticket.key), FIRST) for ticket in tuple(tickets))

    def ask(self, key: Hashable, question: Q) -> Future[A]:
        """The answer to come; raises Busy at once where too many wait."""
        ticket: _Ticket[Q, A] = _Ticket(key, question, Future())
        with self._changed:
            self.check()
            self._waiting.append(ticket)
            self._changed.notify()
        return ticket.answer

    def leave(self, seconds: float = 60.0) -> None:
        """Take nothing new, finish what was taken, and end the threads; waits so many seconds at most."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        until = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(until - time.monotonic(), 0.0))

    def _run(self) -> None:
        while batch := self._batch():
            start = time.monotonic()
            try:
                _answer(batch, self._work(batch[0].key, [ticket.question for ticket in batch]))
            except Exception as error:  # noqa: BLE001 - who asked hears it; the thread goes on for the others
                for ticket in batch:
                    _settle(ticket, error)
            with self._changed:
                self._in_hand -= len(batch)
                kind, each = self._kind(batch[0].key), (time.monotonic() - start) / len(batch)
                self._seconds[kind] = each * NEWEST + self._seconds.get(kind, each) * (1 - NEWEST)

    def _batch(self) -> list[_Ticket[Q, A]]:
        """The oldest question with others of its key; empty when there will be none any more."""
        with self._changed:
            while not self._waiting:
                if self._closed:
                    return []
                self._changed.wait()
                self._gather()
            key = self._waiting[0].key
            batch = [ticket for ticket in self._waiting if ticket.key == key][: self._most(key)]
            chosen = set(map(id, batch))
            self._waiting = deque(ticket for ticket in self._waiting if id(ticket) not in chosen)
            self._in_hand += len(batch)
            self._until = time.monotonic() + self._seconds_of(batch)
            return batch

    def _gather(self) -> None:
        """Wait a moment for more, where somebody has just asked; another thread may take it all meanwhile."""
        until = time.monotonic() + self._moment
        while (
            self._waiting
            and len(self._waiting) < self._most(self._waiting[0].key)
            and not self._closed
            and (left := until - time.monotonic()) > 0
        ):
            self._changed.wait(left)


def _answer(batch: Sequence[_Ticket[Q, A]], answers: Iterable[A | Exception]) -> None:
    for ticket, answer in zip(batch, answers, strict=True):
        _settle(ticket, answer)


def _settle(ticket: _Ticket[Q, A], answer: A | Exception) -> None:
    """Give an answer to who still waits for it; one that was given stays."""
    with contextlib.suppress(InvalidStateError):  # cancelled meanwhile, or answered before the batch broke off
        if isinstance(answer, Exception):
            ticket.answer.set_exception(answer)
        else:
            ticket.answer.set_result(answer)
