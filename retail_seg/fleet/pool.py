"""Actors of Ray that work tasks off: each task is answered once or given up with a reason, whatever dies.

Ours in the place of Ray Data's, which hangs on an actor that died while errors are tolerated (ray-project/ray#62746).
The caller's process alone knows what was asked of whom; a result of a worker that was given up is never looked at.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from retail_seg.errors import FleetError
from retail_seg.system.user_errors import USER_ERRORS

T = TypeVar("T", bound=Hashable)

#: Tasks in a worker's hands: one at work and one that waits for it.
DEPTH = 2
#: Seconds between two looks at what is overdue.
_TICK = 0.5
#: Stands behind the last task.
_END: Any = object()


@dataclass(frozen=True)
class TaskDone(Generic[T]):
    """A task and what came of it."""

    task: T
    value: Any


@dataclass(frozen=True)
class GivenUp(Generic[T]):
    """A task that was not answered, and why."""

    task: T
    reason: str


@dataclass(frozen=True)
class Care:
    """How long and how often a pool has patience.

    limit   seconds that a task may take, None for any
    deaths  a task that was at work when so many workers died is given up; the deaths of whole machines do not count
    wait    seconds until some worker must have come up
    """

    limit: float | None = None
    deaths: int = 2
    wait: float = 300.0


@dataclass
class _Hand(Generic[T]):
    """One worker: `ready` until it has come up, and what it has in hand, the one at work first."""

    actor: Any
    ready: Any
    began: float
    node: str = ""
    held: deque[tuple[Any, T]] = field(default_factory=deque)
    alone: bool = False


class Pool(Generic[T]):
    """So many workers of a class, each with `cpus` cores; `with` ends them.

    A worker has `start() -> str`, which brings it up and gives its node's id, and `work(task)`. What `start` raises
    of USER_ERRORS ends the pool, what `work` raises gives up its task.
    """

    def __init__(self, ray: Any, worker: type, plan: Any, size: int, *, cpus: float = 1, care: Care | None = None):
        self._ray, self._size, self._care = ray, size, care or Care()
        self._made = ray.remote(num_cpus=cpus, max_restarts=0, max_task_retries=0)(worker)
        self._plan = plan
        self._hands: list[_Hand[T]] = []
        self._again: deque[T] = deque()
        self._deaths: Counter[T] = Counter()
        self._false_starts = 0
        self._todo: Iterator[T] = iter(())
        self._more, self._seen_up = True, time.monotonic()

    def __enter__(self) -> Pool[T]:
        return self

    def __exit__(self, *error: object) -> None:
        for hand in list(self._hands):
            self._end(hand)

    def run(self, tasks: Iterable[T]) -> Iterator[TaskDone[T] | GivenUp[T]]:
        """Work all tasks off, in no order; raises FleetError where no worker comes up."""
        self._todo, self._more = iter(tasks), True
        self._seen_up = time.monotonic()
        while True:
            self._fill()
            self._hand_out()
            if not (self._more or self._again or any(hand.held for hand in self._hands)):
                return
            yield from self._settled()
            yield from self._overdue()
            self._lose_patience()

    # -- giving

    def _fill(self) -> None:
        while len(self._hands) < self._size:
            actor = self._made.remote(self._plan)
            self._hands.append(_Hand(actor, actor.start.remote(), time.monotonic()))

    def _hand_out(self) -> None:
        """First what has lost its worker, to those who have nothing else in hand; then what comes next."""
        while self._again and (idle := next((one for one in self._up() if not one.held), None)) is not None:
            task = self._again.popleft()
            idle.alone = self._deaths[task] > 0
            self._ask(idle, task)
        while self._more and not self._again and (free := self._free()) is not None:
            task = next(self._todo, _END)
            if task is _END:
                self._more = False
            else:
                self._ask(free, task)

    def _up(self) -> list[_Hand[T]]:
        return [hand for hand in self._hands if hand.ready is None]

    def _free(self) -> _Hand[T] | None:
        """The worker that has the least in hand, None where all have enough."""
        able = [hand for hand in self._up() if not hand.alone and len(hand.held) < DEPTH]
        return min(able, key=lambda hand: len(hand.held), default=None)

    def _ask(self, hand: _Hand[T], task: T) -> None:
        if not hand.held:
            hand.began = time.monotonic()
        hand.held.append((hand.actor.work.remote(task), task))

    # -- what comes back

    def _settled(self) -> Iterator[TaskDone[T] | GivenUp[T]]:
        """What one worker has to say, if any has within a tick."""
        saying = {hand.ready or hand.held[0][0]: hand for hand in self._hands if hand.ready is not None or hand.held}
        if not saying:
            time.sleep(_TICK)
            return
        done, _ = self._ray.wait(list(saying), num_returns=1, timeout=_TICK)
        for ref in done:
            hand = saying[ref]
            if hand.ready is not None:
                self._came_up(hand)
            else:
                yield from self._answer(hand)

    def _came_up(self, hand: _Hand[T]) -> None:
        errors = self._ray.exceptions
        try:
            hand.node = self._ray.get(hand.ready)
        except errors.RayTaskError as error:
            if isinstance(error.cause, USER_ERRORS):
                raise FleetError(str(error.cause)) from None
            self._false_start(hand, error)
        except errors.RayError as error:
            self._false_start(hand, error)
        else:
            hand.ready, self._false_starts = None, 0

    def _false_start(self, hand: _Hand[T], error: Exception) -> None:
        self._end(hand)
        self._false_starts += 1
        if self._false_starts > self._size + 2:
            raise FleetError(f"workers do not come up ({_last(error)}); is this program installed on every machine?")

    def _answer(self, hand: _Hand[T]) -> Iterator[TaskDone[T] | GivenUp[T]]:
        ref, task = hand.held[0]
        try:
            value = self._ray.get(ref)
        except self._ray.exceptions.RayTaskError as error:
            self._finished(hand)
            cause = error.cause
            yield GivenUp(task, str(cause) if isinstance(cause, USER_ERRORS) else f"the program failed: {_last(error)}")
        except self._ray.exceptions.RayError as error:
            yield from self._died(hand, error)
        else:
            self._finished(hand)
            yield TaskDone(task, value)

    def _finished(self, hand: _Hand[T]) -> None:
        hand.held.popleft()
        hand.alone, hand.began = False, time.monotonic()

    def _died(self, hand: _Hand[T], error: Exception) -> Iterator[GivenUp[T]]:
        """Its tasks go to others; the one at work is given up where it was at work when others died, too."""
        task = hand.held.popleft()[1]
        self._end(hand)
        if self._lives(hand.node) and "node has died" not in str(error):
            self._deaths[task] += 1
        if self._deaths[task] >= self._care.deaths:
            ended = "a worker that was" if self._deaths[task] == 1 else f"{self._deaths[task]} workers that were"
            yield GivenUp(task, f"ended {ended} at it; look at it apart from others")
        else:
            self._again.append(task)

    def _overdue(self) -> Iterator[GivenUp[T]]:
        if self._care.limit is None:
            return
        for hand in self._up():
            if hand.held and time.monotonic() - hand.began > self._care.limit:
                task = hand.held.popleft()[1]
                self._end(hand)
                yield GivenUp(task, f"took longer than {self._care.limit:g} s")

    def _end(self, hand: _Hand[T]) -> None:
        """Let a worker go; what it still has in hand is asked of others."""
        self._hands.remove(hand)
        self._again.extend(task for _, task in hand.held)
        self._ray.kill(hand.actor, no_restart=True)

    def _lives(self, node: str) -> bool:
        return any(one["NodeID"] == node and one["Alive"] for one in self._ray.nodes())

    def _lose_patience(self) -> None:
        now = time.monotonic()
        if self._up():
            self._seen_up = now
        elif now - self._seen_up > self._care.wait:
            there = self._ray.cluster_resources().get("CPU", 0)
            raise FleetError(
                f"no worker has come up in {self._care.wait:g} s; the cluster has {there:g} cores, see `ray status`"
            )


def _last(error: Exception) -> str:
    """The last line of what Ray says of an error, which is the error itself."""
    return (str(error).strip().splitlines() or [type(error).__name__])[-1][:300]
