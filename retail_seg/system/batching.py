"""One owner of what cannot be shared: questions of many threads wait in a bounded queue and are answered in batches.

A batch is made of what is asked alike (one key) and waits together, or comes within a moment ("dynamic batching", as
inference servers call it). Next comes the batch that has waited longest in proportion to what it takes ("highest
response ratio next", Brinch Hansen 1971): short ones soon, long ones never too late. How long a question of a kind
waits is measured, and what would wait longer than is stated is refused at once.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field
from itertools import islice
from typing import Generic, TypeVar

from retail_seg.errors import RetailSegError

Q = TypeVar("Q")
A = TypeVar("A")
#: Of what questions took so far, the newest weighs so much in the mean.
NEWEST = 0.3
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


@dataclass
class _Pace:
    """How fast questions of a kind are answered: seconds that one takes; seconds from one batch to the next where some
    wait, with what is answered between them; and when the last was done.
    """

    each: float = FIRST
    cycle: float = 0.0
    last: float = 0.0

    def answered(self, count: int, begun: float, oldest: float) -> None:
        now = time.monotonic()
        cycle, each = now - max(self.last, oldest), (now - begun) / count
        first = not self.last
        self.each = each if first else each * NEWEST + self.each * (1 - NEWEST)
        self.cycle = cycle if first else cycle * NEWEST + self.cycle * (1 - NEWEST)
        self.last = now


class Batcher(Generic[Q, A]):
    """A thread of its own that answers questions, a batch at a time.

    work    gets a key and the questions of a batch, and gives an answer, or the error in its place, for each in turn
    most    questions in a batch of a key
    room    questions of a kind that may wait; beyond it they are refused at once
    longest seconds that a question of a kind may be expected to wait; beyond it is refused, but where none else waits
    moment  seconds that a batch waits for more when nothing else is to be done
    kind    of a key: what takes about as long
    """

    def __init__(
        self,
        name: str,
        work: Callable[[Hashable, Sequence[Q]], Iterable[A | Exception]],
        *,
        most: Callable[[Hashable], int] = lambda key: 8,
        room: Callable[[Hashable], int] = lambda kind: 32,
        longest: Callable[[Hashable], float] = lambda kind: 10.0,
        moment: float = 0.004,
        kind: Callable[[Hashable], Hashable] = lambda key: key,
    ) -> None:
        self._work, self._most, self.room, self._moment = work, most, room, moment
        self._longest, self._kind = longest, kind
        self._waiting: deque[_Ticket[Q, A]] = deque()
        self._running: list[_Ticket[Q, A]] = []
        self._in_hand: Counter[Hashable] = Counter()
        self._paces: dict[Hashable, _Pace] = {}
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def depth(self, kind: Hashable) -> int:
        """How many questions of a kind wait or are being answered."""
        return self._in_hand[kind] + len(self._of(kind))

    def check(self, key: Hashable) -> None:
        """Raise Busy where a question would be refused now: asked before what it needs is read."""
        if self._closed:
            raise Closing(5)
        kind = self._kind(key)
        waiting = self._of(kind)
        ahead, pace = len(waiting), self._paces.get(kind, _Pace())
        cycle = max(pace.cycle, time.monotonic() - max(pace.last, waiting[0].since)) if waiting else 0.0
        seconds = (1 + ahead // self._most(key)) * cycle
        if ahead >= self.room(kind) or (ahead and seconds > self._longest(kind)):
            raise Busy(seconds)

    def _of(self, kind: Hashable) -> list[_Ticket[Q, A]]:
        return [ticket for ticket in tuple(self._waiting) if self._kind(ticket.key) == kind]

    def ask(self, key: Hashable, question: Q) -> Future[A]:
        """The answer to come; raises Busy at once where too many wait."""
        ticket: _Ticket[Q, A] = _Ticket(key, question, Future())
        with self._changed:
            self.check(key)
            self._waiting.append(ticket)
            self._changed.notify()
        return ticket.answer

    def leave(self, seconds: float = 60.0) -> None:
        """Take nothing new, finish what was taken, and end the thread; waits so many seconds at most."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join(seconds)

    def between(self) -> None:
        """Answer what is short and has waited longer, for what it takes, than what is being answered.

        For work that takes long, amid it: what is short need not wait for its end. Never raises.
        """
        with self._changed:
            chosen = [batch for batch in self._batches() if self._goes_before(batch)]
            for batch in chosen:
                self._take(batch)
        for batch in chosen:
            self._answer(batch)

    def _goes_before(self, batch: list[_Ticket[Q, A]]) -> bool:
        running = self._running
        shorter = 2 * self._expected(batch) < self._expected(running)
        return shorter and self._urgency(batch) > self._urgency(running)

    def _run(self) -> None:
        while batch := self._batch():
            self._running = batch
            self._answer(batch)

    def _answer(self, batch: list[_Ticket[Q, A]]) -> None:
        begun = time.monotonic()
        try:
            _answer(batch, self._work(batch[0].key, [ticket.question for ticket in batch]))
        except Exception as error:  # noqa: BLE001 - who asked hears it; the thread goes on for the others
            for ticket in batch:
                _settle(ticket, error)
        with self._changed:
            kind = self._kind(batch[0].key)
            self._in_hand[kind] -= len(batch)
            self._paces.setdefault(kind, _Pace()).answered(len(batch), begun, batch[0].since)

    def _batch(self) -> list[_Ticket[Q, A]]:
        """The questions that come next; empty when there will be none any more."""
        with self._changed:
            while not self._waiting:
                if self._closed:
                    return []
                self._changed.wait()
                self._gather()
            batch = max(self._batches(), key=self._urgency)
            self._take(batch)
            return batch

    def _batches(self) -> list[list[_Ticket[Q, A]]]:
        """What waits, in batches: the oldest questions of each key, as many as are answered together."""
        return [self._alike(key) for key in dict.fromkeys(ticket.key for ticket in self._waiting)]

    def _alike(self, key: Hashable) -> list[_Ticket[Q, A]]:
        return list(islice((ticket for ticket in self._waiting if ticket.key == key), self._most(key)))

    def _expected(self, batch: list[_Ticket[Q, A]]) -> float:
        """Seconds that a batch takes, by what those of its kind took."""
        return len(batch) * self._paces.get(self._kind(batch[0].key), _Pace()).each + 1e-6

    def _urgency(self, batch: list[_Ticket[Q, A]]) -> float:
        """How long a batch has waited for what it takes."""
        return (time.monotonic() - batch[0].since) / self._expected(batch)

    def _take(self, batch: list[_Ticket[Q, A]]) -> None:
        chosen = set(map(id, batch))
        self._waiting = deque(ticket for ticket in self._waiting if id(ticket) not in chosen)
        self._in_hand[self._kind(batch[0].key)] += len(batch)

    def _gather(self) -> None:
        """Wait a moment for more, where somebody has just asked."""
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
