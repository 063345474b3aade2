"""Imports that a server runs one after the other: kept in the store, so that they go on after a restart."""

from __future__ import annotations

import json
import logging
import queue
import secrets
import shutil
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from retail_seg.errors import RetailSegError
from retail_seg.people.roles import Person, acting, acting_as, require
from retail_seg.products import uploads
from retail_seg.products.uploads import ImportRun, ImportUpload
from retail_seg.system.files import replace_file
from retail_seg.system.jobs import JobCancelled
from retail_seg.system.processes import json_lines
from retail_seg.system.progress import CANCELLED, DONE, FAILED, Progress
from retail_seg.system.user_errors import USER_ERRORS

if TYPE_CHECKING:
    from retail_seg.matcher import Matcher

#: The folder in a store that holds its imports, each in a folder of its own.
FOLDER = "imports"
#: So many ended imports are kept; the oldest go first.
KEPT = 100
#: So many may wait; more are refused.
WAITING = 20
_LOG = logging.getLogger(__name__)


class UnknownImport(RetailSegError):
    """No import has this number."""


class TooManyImports(RetailSegError):
    """More imports wait than are taken."""


@dataclass(frozen=True)
class ImportJob:
    """One import: what was asked by whom, and how far it is; `lines` and `counts` are of what is done so far."""

    id: str
    name: str
    by: str
    role: str
    created: str
    replace: bool
    fetch: bool
    dry_run: bool
    progress: Progress
    resumed: int = 0


class ImportJobs:
    """The imports of one store, worked on by one thread of this process; safe to use from several threads."""

    def __init__(self, store: Path, matcher: Callable[[], Matcher]) -> None:
        self._folder, self._matcher = Path(store) / FOLDER, matcher
        self._jobs: dict[str, ImportJob] = {job.id: job for job in self._read_all()}
        self._stops: dict[str, threading.Event] = {}
        self._queue: queue.Queue[str | None] = queue.Queue()
        self._lock = threading.Lock()
        self._leaving = False
        self._thread = threading.Thread(target=self._work, name="imports", daemon=True)
        for job in sorted(self._jobs.values(), key=lambda job: (job.created, job.id)):
            if job.progress.running:
                self._enqueue(replace(job, resumed=job.resumed + 1))
        self._thread.start()

    def start(
        self, name: str, content: BinaryIO, *, replace: bool, fetch: bool, dry_run: bool, id: str = ""
    ) -> ImportJob:
        """Keep a file and import it when its turn comes; only a manager may. `id` is a number of the caller's own.

        Raises UploadRefused for a file of another kind, or one that is too large, and TooManyImports.
        """
        require("manager")
        number = id or secrets.token_hex(8)
        if sum(job.progress.running for job in self._jobs.values()) >= WAITING:
            raise TooManyImports(f"{WAITING} imports wait already; wait until one has ended")
        folder = self._folder / number
        folder.mkdir(parents=True)
        try:
            uploads.receive_in(folder, name, content, fetch=fetch)
            who, at = acting(), datetime.now(UTC).isoformat(timespec="milliseconds")
            job = ImportJob(number, name, who.name, who.role, at, replace, fetch, dry_run, Progress())
            self._enqueue(job)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        self._forget()
        return job

    def get(self, id: str) -> ImportJob:
        """The import with this number; raises UnknownImport."""
        found = self._jobs.get(id)
        if found is None:
            raise UnknownImport(f"no import has number {id}; list them to see their numbers")
        return found

    def all(self) -> list[ImportJob]:
        """The imports that are kept, the newest first."""
        return sorted(self._jobs.values(), key=lambda job: (job.created, job.id), reverse=True)

    def lines(self, id: str) -> list[dict[str, Any]]:
        """What became of each line so far, in the order in which they were done; raises UnknownImport."""
        return json_lines(self._folder / self.get(id).id / "lines.jsonl")

    def counts(self, id: str) -> dict[str, int]:
        """How many lines have each status so far."""
        found = Counter(str(line.get("status")) for line in self.lines(id))
        return {status: found[status] for status in uploads.STATUSES}

    def cancel(self, id: str) -> ImportJob:
        """Ask for an import's end: what was written stays, and can be taken back. Raises UnknownImport."""
        require("manager")
        job = self.get(id)
        if stop := self._stops.get(id):
            stop.set()
        return job

    def leave(self, seconds: float = 10.0) -> None:
        """Lay down what is being done: the next start goes on with it."""
        self._leaving = True
        for stop in list(self._stops.values()):
            stop.set()
        self._queue.put(None)
        self._thread.join(seconds)

    # -- the work

    def _enqueue(self, job: ImportJob) -> None:
        with self._lock:
            self._stops[job.id] = threading.Event()
        self._keep(job)
        self._queue.put(job.id)

    def _work(self) -> None:
        while (id_ := self._queue.get()) is not None and not self._leaving:
            self._run(id_)

    def _run(self, id: str) -> None:
        job = self._jobs[id]
        state, error = DONE, ""
        try:
            with acting_as(Person(job.by, job.role)):
                self._import(job)
        except JobCancelled as cancelled:
            if self._leaving:
                return  # it is still running, as its file says
            state, error = CANCELLED, str(cancelled)
        except USER_ERRORS as wrong:
            state, error = FAILED, str(wrong)
        except Exception as wrong:  # noqa: BLE001 - a thread has nobody above it: the job must end, the next begin
            _LOG.exception("import %s failed", id, extra={"job": id})
            state, error = FAILED, f"stopped by an error of the program ({type(wrong).__name__}); see the server's log"
        self._keep(replace(self._jobs[id], progress=self._jobs[id].progress.ended(state, error)))
        with self._lock:
            self._stops.pop(id, None)
        for path in (self._folder / id).glob("upload*"):
            path.unlink(missing_ok=True)

    def _import(self, job: ImportJob) -> None:
        matcher, upload = self._matcher(), self._upload(job)
        with (self._folder / job.id / "lines.jsonl").open("a", encoding="utf-8") as file:
            known = {(line.get("line"), line.get("sku")) for line in self.lines(job.id)}
            into = ImportRun(job.name, job.replace)
            shown = upload if job.dry_run else into
            written = 0

            def report(share: float, text: str) -> None:
                nonlocal written
                fresh, written = shown.lines[written:], len(shown.lines)
                for line in fresh:
                    if (line.line, line.sku) not in known:
                        file.write(json.dumps(asdict(line), ensure_ascii=False) + "\n")
                file.flush()
                self._jobs[job.id] = replace(self._jobs[job.id], progress=self._jobs[job.id].progress.at(share, text))
                if self._stops[job.id].is_set():
                    raise JobCancelled(f"{job.name}: was cancelled")

            if job.dry_run:
                uploads.check(matcher, upload, report)
                if upload.question is not None:  # there is nobody to ask which column is which
                    raise upload.question
            else:
                uploads.read(matcher, upload)
                uploads.run(matcher, upload, into, report)
            report(1.0, "")

    def _upload(self, job: ImportJob) -> ImportUpload:
        return uploads.kept_in(self._folder / job.id, job.name, fetch=job.fetch)

    # -- the files

    def _keep(self, job: ImportJob) -> None:
        self._jobs[job.id] = job
        replace_file(self._folder / job.id / "job.json", json.dumps(asdict(job), ensure_ascii=False).encode())

    def _read_all(self) -> Iterator[ImportJob]:
        for path in self._folder.glob("*/job.json"):
            try:
                kept = json.loads(path.read_bytes())
                yield ImportJob(**{**kept, "progress": Progress(**kept["progress"])})
            except (OSError, ValueError, TypeError, KeyError):
                _LOG.warning("%s: cannot be read; this import is passed over", path)

    def _forget(self) -> None:
        ended = [job for job in self.all() if not job.progress.running]
        for job in ended[KEPT:]:
            self._jobs.pop(job.id, None)
            shutil.rmtree(self._folder / job.id, ignore_errors=True)
