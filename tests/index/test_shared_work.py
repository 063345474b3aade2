"""Work shared by the cores: the same answers in the same order, whatever the threads."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from index.shared_work import for_each


@pytest.mark.parametrize("threads", ["1", "3"])
@pytest.mark.parametrize("at_once", [1, 4, 100])
def test_answers_stand_in_the_order_of_the_crops(threads: str, at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETAIL_SEG_THREADS", threads)
    filled = np.zeros(50)

    def square(at: int) -> int:
        filled[at] = at
        return at * at

    assert for_each(square, range(50), at_once) == [at * at for at in range(50)]
    assert np.array_equal(filled, np.arange(50))
    assert for_each(square, []) == []


def test_one_thread_is_the_callers_own_and_more_are_others(monkeypatch: pytest.MonkeyPatch) -> None:
    where = lambda _: threading.current_thread().name  # noqa: E731
    monkeypatch.setenv("RETAIL_SEG_THREADS", "1")
    assert set(for_each(where, range(9))) == {threading.current_thread().name}
    monkeypatch.setenv("RETAIL_SEG_THREADS", "2")
    assert all(name.startswith("crops") for name in for_each(where, range(9)))


def test_what_one_crop_raises_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETAIL_SEG_THREADS", "2")
    with pytest.raises(ZeroDivisionError):
        for_each(lambda at: 1 // at, range(3, -3, -1))
