"""Work on many crops, shared by the cores: OpenCV and NumPy let other threads run while they compute."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

from index.runtime import threads

S = TypeVar("S")
T = TypeVar("T")


def for_each(work: Callable[[S], T], crops: Sequence[S], at_once: int = 1) -> list[T]:
    """What `work` makes of each, in their order, in as many threads as a network has; `work` must not ask this itself.

    A thread takes `at_once`: what is quickly done is not worth being handed over one by one. 40 crops of a photo are
    squeezed in 24 ms in the place of 38 on two free cores, for a tenth more processor time.
    """
    count = threads()
    if count == 1 or len(crops) <= at_once:
        return [work(one) for one in crops]
    parts = [crops[at : at + at_once] for at in range(0, len(crops), at_once)]
    done = _pool(count).map(lambda part: [work(one) for one in part], parts)
    return [one for part in done for one in part]


@cache
def _pool(count: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(count, thread_name_prefix="crops")
