"""How the threads of a training wait for each other on a machine that does other work as well."""

from __future__ import annotations

import os

_POLICY = "OMP_WAIT_POLICY"


def let_waiting_threads_sleep() -> None:
    """Let PyTorch's threads sleep while they wait, unless the environment says otherwise; call it before its import.

    OpenMP's threads otherwise run in circles until the slowest is there. Beside other work on as many cores each then
    takes the time that the other needs: 32 steps of a training took 42 s either way on two free cores, but 10 took
    82 s instead of 48 s beside tests on both.
    """
    os.environ.setdefault(_POLICY, "PASSIVE")
