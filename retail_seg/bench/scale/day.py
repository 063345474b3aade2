"""A day of a chain in SimPy: photos come in two peaks, workers die and are slow now and then, queues grow."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import numpy as np

from retail_seg.errors import MissingExtraError

#: What of a day's photos comes in each hour: before the shops open, after deliveries, before the evening.
HOURS = np.array([0, 0, 0, 0, 0, 1, 4, 9, 12, 10, 7, 5, 5, 6, 7, 8, 9, 8, 5, 3, 1, 0, 0, 0], float)
#: Shares of photos: that take ten times as long, and that end their worker.
_SLOW, _TIMES, _DEADLY = 0.01, 10.0, 1e-5


@dataclass(frozen=True)
class Chain:
    """What a day is made of.

    photos    of the day, all shops together
    seconds   that a photo takes one worker
    workers   all machines together
    fails     hours between two failures of a machine; it comes back after `back` seconds, its photos begin anew
    scale     one photo and one worker of so many are simulated
    """

    photos: int
    seconds: float
    workers: int
    fails: float = 24.0
    back: float = 300.0
    scale: int = 1


@dataclass(frozen=True)
class Day:
    """How a day went: seconds from photo to report, the longest queue in photos, when the last was done, begun anew."""

    median: float
    p99: float
    longest: float
    queue: int
    last: float
    again: int
    busy: float


def simulate(chain: Chain, seed: int = 0) -> Day:
    """Run a day; raises MissingExtraError without SimPy."""
    try:
        import simpy
    except ImportError:
        raise MissingExtraError(
            "a simulated day needs SimPy; install it with `pip install retail-seg[scale]`"
        ) from None
    day = _Run(chain, simpy.Environment(), np.random.default_rng(seed))
    day.env.run(day.env.all_of(day.begin()))
    return day.told()


class _Run:
    """One day that is being simulated."""

    def __init__(self, chain: Chain, env: Any, rng: np.random.Generator) -> None:
        import simpy

        self.chain, self.env, self.rng = chain, env, rng
        self.queue: Any = simpy.Store(env)
        self.taken: list[float] = []
        self.longest_queue = self.again = 0
        self.worked = 0.0
        self.last = 0.0
        self.workers = max(round(chain.workers / chain.scale), 1)
        self.photos = max(round(chain.photos / chain.scale), 1)

    def begin(self) -> list[Any]:
        """Photos and workers; the day ends with the last photo."""
        self.left, self.done = self.photos, self.env.event()
        self.env.process(self._arrive())
        for _ in range(self.workers):
            self.env.process(self._work())
        return [self.done]

    def _arrive(self) -> Generator[Any, Any, None]:
        share = HOURS / HOURS.sum()
        hours = self.rng.choice(24, self.photos, p=share)
        for moment in np.sort((hours + self.rng.random(self.photos)) * 3600):
            yield self.env.timeout(max(moment - self.env.now, 0))
            self.queue.put((self.env.now, self._length()))
            self.longest_queue = max(self.longest_queue, len(self.queue.items))

    def _length(self) -> float:
        spread = float(self.rng.lognormal(-0.08, 0.4))  # mean 1: shelves hold 40 to 150 products
        return self.chain.seconds * spread * (_TIMES if self.rng.random() < _SLOW else 1.0)

    def _work(self) -> Generator[Any, Any, None]:
        """A worker shares the failures of its machine; which ones fail together changes little of a queue's length."""
        rate = 1 / (self.chain.fails * 3600)
        until = self.rng.exponential(1 / rate)
        while True:
            since, length = yield self.queue.get()
            if until < self.env.now:  # it failed and came back while there was nothing to do
                until = self.env.now + self.rng.exponential(1 / rate)
            deadly = self.rng.random() < _DEADLY
            if self.env.now + length > until or deadly:
                lost = length / 2 if deadly else max(until - self.env.now, 0.0)
                yield self.env.timeout(lost + self.chain.back)
                self.again += 1
                until = self.env.now + self.rng.exponential(1 / rate)
                self.queue.put((since, length))
                continue
            yield self.env.timeout(length)
            self._finish(since, length)

    def _finish(self, since: float, length: float) -> None:
        self.taken.append(self.env.now - since)
        self.worked += length
        self.last = self.env.now
        self.left -= 1
        if not self.left:
            self.done.succeed()

    def told(self) -> Day:
        """The day in figures, at full size."""
        taken = np.array(self.taken)
        scale = self.chain.scale
        return Day(
            float(np.median(taken)), float(np.quantile(taken, 0.99)), float(taken.max()),
            self.longest_queue * scale, self.last / 3600, self.again * scale,
            self.worked / (self.workers * max(self.last, 24 * 3600)),
        )  # fmt: skip
