"""How many threads compute, and how they wait for each other on a machine that does other work as well."""

from __future__ import annotations

import os

_POLICY = "OMP_WAIT_POLICY"
_BLAS = "OPENBLAS_NUM_THREADS"
_OMP = "OMP_NUM_THREADS"


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def let_waiting_threads_sleep() -> None:
    """Let PyTorch's threads sleep while they wait, unless the environment says otherwise; call it before its import.

    OpenMP's threads otherwise run in circles until the slowest is there. Beside other work on as many cores each then
    takes the time that the other needs: 32 steps of a training took 42 s either way on two free cores, but 10 took
    82 s instead of 48 s beside tests on both.
    """
    os.environ.setdefault(_POLICY, "PASSIVE")


def multiply_in_one_thread() -> None:
    """Let NumPy multiply matrices in the thread that asks, unless the environment says otherwise; before its import.

    Every command says so at its start, and what it starts, the app among it, inherits it. The second look's many small
    products otherwise wait for threads of OpenBLAS that have no core: the ranking of a photo of 43 things took 17 s
    (7 s of processor time) with two threads each beside other work on two cores, and 1.7 s with one. FAISS brings its
    own OpenBLAS and loses nothing: 64 queries of 100,000 references took .15 s with one thread and .18 s with two
    (median of 12, two cores with other work). PyTorch and OpenVINO have threads of their own.
    """
    os.environ.setdefault(_BLAS, "1")


def compute_in(threads: int) -> None:
    """Let this process compute in so many threads, whatever the machine has; before the networks are opened.

    For a worker that has been given so many cores of a machine whose others work beside it.
    """
    import cv2

    os.environ.update({"RETAIL_SEG_THREADS": str(threads), _OMP: str(threads), _BLAS: str(threads)})
    cv2.setNumThreads(threads)
