"""Long work in the background of the app: it goes on when the page reloads, tells how far it is, can be cancelled."""

from __future__ import annotations

import atexit
import logging
import threading
import time
import uuid
from collections.abc import Callable
from contextvars import Context, copy_context
from typing import Any

from retail_seg.errors import RetailSegError
from retail_seg.system.progress import CANCELLED, DONE, FAILED, Progress
from retail_seg.system.user_errors import USER_ERRORS

#: Finished jobs that a process remembers; the oldest go first.
KEPT = 50
#: Seconds that a process that ends waits for its jobs, which are told to stop.
PATIENCE = 5.0
_LOG = logging.getLogger(__name__)


class JobCancelled(RetailSegError):
    """The work was cancelled before its end."""


class JobRunning(RetailSegError):
    """Work of this kind is going on already."""


def anybody() -> None:
    """The rule of a program without people: whoever asks for a job's end may."""


class Job:
    """One piece of work in its thread; what is public is read by pages, `report` is called by the work.

    id, kind, title, by   what was started, and by whom
    progress              how far it is, or how it ended; `state`, `share`, `text`, `error` and `running` are of it
    result                what the work returned, or kept here while it ran; None before
    started, ended        seconds since the epoch; `ended` is None while it runs
    """

    def __init__(self, kind: str, title: str, by: str = "", may_end: Callable[[], None] = anybody) -> None:
        self.id = uuid.uuid4().hex[:16]
        self.kind, self.title, self.by = kind, title, by
        self._may_end = may_end
        self.progress = Progress()
        self.result: Any = None
        self.started = time.time()
        self.ended: float | None = None
        self._stop = threading.Event()
        self._over = threading.Event()

    def report(self, share: float, text: str = "") -> None:
        """Say how far the work is (0 to 1) and at what; raises JobCancelled when someone asked for its end.

        Call it where the work can stop without leaving half a change behind.
        """
        self.progress = self.progress.at(share, text)
        if self._stop.is_set():
            raise JobCancelled(f"{self.title}: was cancelled")

    def cancel(self) -> None:
        """Ask for the work's end; it stops at its next `report`. Work that has ended is left as it is.

        Raises what the rule says that `Jobs` was given, for who may not.
        """
        self._may_end()
        self.stop()

    def stop(self) -> None:
        """As `cancel`, for the program itself: nobody is asked."""
        self._stop.set()

    @property
    def may_cancel(self) -> bool:
        """Whether who is acting may cancel it: to hide a button, `cancel` asks again."""
        try:
            self._may_end()
        except RetailSegError:
            return False
        return True

    @property
    def cancelling(self) -> bool:
        """Whether its end was asked for."""
        return self._stop.is_set()

    @property
    def state(self) -> str:
        """RUNNING, DONE, FAILED or CANCELLED."""
        return self.progress.state

    @property
    def share(self) -> float:
        """How much is done, 0 to 1."""
        return self.progress.share

    @property
    def text(self) -> str:
        """At what it is."""
        return self.progress.text

    @property
    def error(self) -> str:
        """Why it failed or that it was cancelled, else empty."""
        return self.progress.error

    @property
    def running(self) -> bool:
        """Whether the work goes on."""
        return self.progress.running

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until the work has ended; False where it goes on after so many seconds."""
        return self._over.wait(seconds)

    def _run(self, work: Callable[[Job], Any]) -> None:
        state, sentence = DONE, ""
        try:
            result = work(self)
            self.result = self.result if result is None else result
        except JobCancelled as error:
            state, sentence = CANCELLED, str(error)
        except USER_ERRORS as error:
            state, sentence = FAILED, str(error)
        except Exception as error:  # noqa: BLE001 - a thread has nobody above it: what ends it must end the job, too
            _LOG.exception("job %s (%s) failed", self.id, self.title)
            state, sentence = FAILED, _unexpected(self.title, error)
        # The state comes last: who reads "done" finds the result beside it.
        self.ended = time.time()
        self.progress = self.progress.ended(state, sentence)
        self._over.set()


class Jobs:
    """The jobs of one process, for the threads of all visitors.

    `context` makes the context in which a job's thread runs, and `rule` who may cancel it: both are called when it is
    started, by who starts it; the rule's answer is called by who cancels it, and raises a RetailSegError or does not.
    """

    def __init__(
        self,
        kept: int = KEPT,
        *,
        context: Callable[[], Context] = copy_context,
        rule: Callable[[], Callable[[], None]] = lambda: anybody,
    ) -> None:
        self._kept, self._context, self._rule = kept, context, rule
        self._jobs: dict[str, Job] = {}
        self._lock = threading.Lock()
        atexit.register(self.leave)

    def leave(self, seconds: float = PATIENCE) -> None:
        """Cancel what is going on and wait for it, so many seconds at most; the end of the process does this."""
        going_on = [job for job in list(self._jobs.values()) if job.running]
        for job in going_on:
            job.stop()
        until = time.monotonic() + seconds
        for job in going_on:
            job.wait(max(until - time.monotonic(), 0.0))

    def start(self, kind: str, title: str, work: Callable[[Job], Any], *, by: str = "", alone: bool = False) -> Job:
        """Run `work(job)` in a thread of its own, with the caller's context variables; returns at once.

        With `alone`, JobRunning is raised while another job of this kind runs.
        """
        with self._lock:
            if alone and (other := self._newest(kind, running=True)):
                raise JobRunning(f"{other.title} is going on already; wait for its end or cancel it")
            job = Job(kind, title, by, self._rule())
            self._jobs[job.id] = job
            self._forget()
        context = self._context()
        # A daemon: a server that is told to stop does not wait for hours; what is written is written in transactions.
        # But for a moment it does: a thread that Python ends amid a library's compiled code takes the process down.
        threading.Thread(target=context.run, args=(job._run, work), name=f"job-{kind}", daemon=True).start()
        return job

    def get(self, id: str) -> Job | None:
        """The job with this id, None where this process knows none (or forgot it)."""
        return self._jobs.get(id)

    def latest(self, kind: str | None = None) -> Job | None:
        """The job of this kind (or of any) that was started last, None where there is none."""
        with self._lock:
            return self._newest(kind)

    def ended(self, kind: str) -> list[Job]:
        """The ended jobs of this kind that are remembered, the newest first."""
        with self._lock:
            return [job for job in reversed(self._jobs.values()) if job.kind == kind and not job.running]

    def running(self, kind: str | None = None) -> Job | None:
        """The running job of this kind (or of any) that was started last, None where none runs."""
        with self._lock:
            return self._newest(kind, running=True)

    def _newest(self, kind: str | None, *, running: bool = False) -> Job | None:
        found = (j for j in reversed(self._jobs.values()) if kind in (None, j.kind) and (j.running or not running))
        return next(found, None)

    def _forget(self) -> None:
        ended = [id_ for id_, job in self._jobs.items() if not job.running]
        for id_ in ended[: max(0, len(ended) - self._kept)]:
            del self._jobs[id_]


def _unexpected(title: str, error: Exception) -> str:
    return f"{title}: stopped by an error of the program ({type(error).__name__}); see the server's log, then try again"
