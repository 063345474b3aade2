"""How the threads of a computation wait for each other on a machine that does other work as well."""

from __future__ import annotations

import os

_POLICY = "OMP_WAIT_POLICY"
_BLAS = "OPENBLAS_NUM_THREADS"
_OMP = "OMP_NUM_THREADS"


def let_waiting_threads_sleep() -> None:
    """Let PyTorch's threads sleep while they wait, unless the environment says otherwise; call it before its import.

    OpenMP's threads otherwise run in circles until the slowest is there. Beside other work on as many cores each then
    takes the time that the other needs: 32 steps of a training took 42 s either way on two free cores, but 10 took
    82 s instead of 48 s beside tests on both.
    """
    os.environ.setdefault(_POLICY, "PASSIVE")


def multiply_in_one_thread() -> None:
    """Let NumPy multiply matrices in the thread that asks, unless the environment says otherwise; before its import.

    For a server, whose requests fill the cores side by side: the second look's many small products waited for threads
    of OpenBLAS that had no core. The ranking of a photo of 43 things took 17 s (7 s of processor time) with two threads
    each beside other work on two cores, and 1.7 s with one.
    """
    os.environ.setdefault(_BLAS, "1")


def compute_in(threads: int) -> None:
    """Let this process compute in so many threads, whatever the machine has; before the networks are opened.

    For a worker that has been given so many cores of a machine whose others work beside it.
    """
    import cv2

    os.environ.update({"RETAIL_SEG_THREADS": str(threads), _OMP: str(threads), _BLAS: str(threads)})
    cv2.setNumThreads(threads)
