"""Long work in the background of the app: it goes on when the page reloads, tells how far it is, can be cancelled."""

from __future__ import annotations

import atexit
import logging
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

from catalogue.errors import CatalogueError
from index.errors import IndexingError
from retail_seg.errors import RetailSegError
from retail_seg.people.roles import acting, context_of_acting, require

RUNNING, DONE, FAILED, CANCELLED = "running", "done", "failed", "cancelled"
#: Finished jobs that a process remembers; the oldest go first.
KEPT = 50
#: Seconds that a process that ends waits for its jobs, which are told to stop.
PATIENCE = 5.0
_LOG = logging.getLogger(__name__)


class JobCancelled(RetailSegError):
    """The work was cancelled before its end."""


class JobRunning(RetailSegError):
    """Work of this kind is going on already."""


class Job:
    """One piece of work in its thread; what is public is read by pages, `report` is called by the work.

    id, kind, title, by   what was started, and by whom
    state                 "running", "done", "failed" or "cancelled"
    share, text           how far it is (0 to 1), and at what
    result                what the work returned, or kept here while it ran; None before
    error                 the sentence that says why it failed or that it was cancelled, else empty
    started, ended        seconds since the epoch; `ended` is None while it runs
    """

    def __init__(self, kind: str, title: str, by: str = "") -> None:
        self.id = uuid.uuid4().hex[:16]
        self.kind, self.title, self.by = kind, title, by
        self._owner = acting()
        self.state = RUNNING
        self.share, self.text = 0.0, ""
        self.result: Any = None
        self.error = ""
        self.started = time.time()
        self.ended: float | None = None
        self._stop = threading.Event()
        self._over = threading.Event()

    def report(self, share: float, text: str = "") -> None:
        """Say how far the work is (0 to 1) and at what; raises JobCancelled when someone asked for its end.

        Call it where the work can stop without leaving half a change behind.
        """
        self.share = min(max(float(share), 0.0), 1.0)
        self.text = text or self.text
        if self._stop.is_set():
            raise JobCancelled(f"{self.title}: was cancelled")

    def cancel(self) -> None:
        """Ask for the work's end; it stops at its next `report`. Work that has ended is left as it is.

        Only who started it and managers may (NotAllowed).
        """
        if not self._own:
            require("manager")
        self.stop()

    def stop(self) -> None:
        """As `cancel`, for the program itself: nobody is asked."""
        self._stop.set()

    @property
    def may_cancel(self) -> bool:
        """Whether who is acting may cancel it: to hide a button, `cancel` asks again."""
        return self._own or acting().may("manager")

    @property
    def _own(self) -> bool:
        person = acting()
        return (person.name, person.local) == (self._owner.name, self._owner.local)

    @property
    def cancelling(self) -> bool:
        """Whether its end was asked for."""
        return self._stop.is_set()

    @property
    def running(self) -> bool:
        """Whether the work goes on."""
        return self.state == RUNNING

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until the work has ended; False where it goes on after so many seconds."""
        return self._over.wait(seconds)

    def _run(self, work: Callable[[Job], Any]) -> None:
        try:
            result = work(self)
            self.result = self.result if result is None else result
            self.share, state = 1.0, DONE
        except JobCancelled as error:
            self.error, state = str(error), CANCELLED
        except (RetailSegError, CatalogueError, IndexingError) as error:
            self.error, state = str(error), FAILED
        except Exception as error:  # noqa: BLE001 - a thread has nobody above it: what ends it must end the job, too
            _LOG.exception("job %s (%s) failed", self.id, self.title)
            self.error, state = _unexpected(self.title, error), FAILED
        # The state comes last: who reads "done" finds the result beside it.
        self.ended = time.time()
        self.state = state
        self._over.set()


class Jobs:
    """The jobs of one process, for the threads of all visitors."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
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
            job = Job(kind, title, by)
            self._jobs[job.id] = job
            self._forget()
        context = context_of_acting()
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
