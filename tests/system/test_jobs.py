"""Background jobs: their states, their progress, cancelling, and whose work they are."""

from __future__ import annotations

import contextvars
import subprocess
import sys
import threading
import time

import pytest

from catalogue.errors import UnknownProduct
from retail_seg.errors import PhotoError
from retail_seg.system.jobs import Job, JobCancelled, JobRunning, Jobs

WHO: contextvars.ContextVar[str] = contextvars.ContextVar("who", default="nobody")


def held(gate: threading.Event, started: threading.Event | None = None):  # type: ignore[no-untyped-def]
    """Work that reports until the gate opens."""

    def work(job: Job) -> str:
        while not gate.is_set():
            job.report(0.5, "half way")
            if started:
                started.set()
            time.sleep(0.005)
        return "through"

    return work


def test_a_job_runs_to_its_result_and_is_found_by_its_id() -> None:
    jobs, gate, started = Jobs(), threading.Event(), threading.Event()
    job = jobs.start("import", "Import goods.csv", held(gate, started), by="ann")
    assert started.wait(10)
    assert (job.state, job.running, job.share, job.text, job.by) == ("running", True, 0.5, "half way", "ann")
    assert jobs.get(job.id) is job and jobs.running("import") is job and job.ended is None
    gate.set()
    assert job.wait(10)
    assert (job.state, job.share, job.result, job.error) == ("done", 1.0, "through", "")
    assert jobs.latest() is job and jobs.running() is None and job.ended is not None and job.ended >= job.started


def test_a_cancelled_job_stops_at_its_next_report_and_keeps_what_it_had() -> None:
    jobs, started = Jobs(), threading.Event()

    def work(job: Job) -> None:
        job.result = ["first"]
        held(threading.Event(), started)(job)

    job = jobs.start("import", "Import goods.csv", work)
    assert started.wait(10) and not job.cancelling
    job.cancel()
    assert job.wait(10) and job.cancelling
    assert (job.state, job.result) == ("cancelled", ["first"]) and "was cancelled" in job.error
    with pytest.raises(JobCancelled):
        job.report(0.6)


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (PhotoError("a.jpg: is empty"), "a.jpg: is empty"),
        (UnknownProduct("no product has SKU 1"), "no product has SKU 1"),
        (JobCancelled("Work: was cancelled"), "Work: was cancelled"),
        (ZeroDivisionError("secret"), "Work: stopped by an error of the program (ZeroDivisionError)"),
    ],
)
def test_what_goes_wrong_is_a_sentence(error: Exception, sentence: str, caplog: pytest.LogCaptureFixture) -> None:
    def work(job: Job) -> None:
        raise error

    job = Jobs().start("any", "Work", work)
    assert job.wait(10)
    assert job.error.startswith(sentence) and "secret" not in job.error
    assert job.state == ("cancelled" if isinstance(error, JobCancelled) else "failed")
    assert ("Traceback" in caplog.text) == isinstance(error, ZeroDivisionError)


def test_a_job_runs_with_the_context_of_who_started_it() -> None:
    WHO.set("ann")
    job = Jobs().start("any", "Work", lambda job: WHO.get())
    WHO.set("bob")
    assert job.wait(10) and job.result == "ann"


def test_a_kind_that_runs_alone_refuses_a_second() -> None:
    jobs, gate = Jobs(), threading.Event()
    first = jobs.start("train", "Training A", held(gate), alone=True)
    with pytest.raises(JobRunning, match="Training A is going on already"):
        jobs.start("train", "Training B", held(gate), alone=True)
    other = jobs.start("import", "Import", held(gate), alone=True)
    gate.set()
    assert first.wait(10) and other.wait(10)
    assert jobs.start("train", "Training B", held(gate), alone=True).wait(10)


def test_the_oldest_ended_jobs_are_forgotten_and_running_ones_never() -> None:
    jobs, gate = Jobs(kept=2), threading.Event()
    running = jobs.start("long", "Long", held(gate))
    ended = []
    for number in range(5):
        ended.append(jobs.start("short", str(number), lambda job: None))
        assert ended[-1].wait(10)
    assert jobs.get(running.id) is running and jobs.latest("long") is running and jobs.latest() is ended[-1]
    assert [jobs.get(job.id) is None for job in ended] == [True, True, False, False, False]
    assert jobs.get("nonsense") is None and jobs.latest("nothing") is None
    gate.set()
    assert running.wait(10)


def test_the_share_stays_between_nothing_and_all() -> None:
    job = Job("any", "Work")
    job.report(7.0, "almost")
    assert (job.share, job.text) == (1.0, "almost")
    job.report(-1.0)
    assert (job.share, job.text) == (0.0, "almost")


def test_a_process_that_ends_stops_its_jobs_first() -> None:
    script = """
import time
from retail_seg.system.jobs import Jobs

def work(job):
    begun.append(job)
    try:
        while True:
            job.report(0.5)
            time.sleep(0.01)
    finally:
        print("stopped", flush=True)

begun = []
Jobs().start("scan", "Scan", work)
while not begun:
    time.sleep(0.01)
print("leaving", flush=True)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.split() == ["leaving", "stopped"] and not done.stderr


def test_work_that_does_not_stop_is_waited_for_only_so_long() -> None:
    jobs, gate = Jobs(), threading.Event()
    job = jobs.start("scan", "Scan", lambda job: gate.wait(60))
    jobs.leave(0.05)
    assert job.running and job.cancelling
    gate.set()
    assert job.wait(10)
