"""The knobs of a classical method, turned on annotated photos as a patient person would."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from retail_seg.segmentation.classical.methods import Find, LabelledPhoto, Method, TunedMethod
from retail_seg.segmentation.classical.steps import Steps, remove_noise, tidy
from retail_seg.segmentation.scores import score

#: Values that are tried for the steps around a method, one knob after the other.
STEPS: dict[str, tuple[Any, ...]] = {
    "split": (0.0, 0.1, 0.2, 0.3, 0.45),
    "opening": (0, 1, 2, 4),
    "closing": (0, 2, 4, 8),
    "min_area": (5e-4, 1e-3, 2e-3, 4e-3, 8e-3),
    "noise": (0, 1, 2),
}
#: More settings than this are not tried together but one knob after the other.
TOGETHER = 16
#: Called with the share done, 0..1, and the best quality so far.
OnScore = Callable[[float, float], None]


def tune_method(
    method: Method,
    samples: Sequence[LabelledPhoto],
    seconds: float = 60.0,
    report: OnScore | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> TunedMethod:
    """The method with the knobs that score best on samples (photo, labels) of working size, while `seconds` last.

    First the method's own knobs, then those of the steps around it. A method that learns, learns from every other
    sample and is tuned on the rest, so that its knobs are not set on what it knows by heart; then it learns from all.
    """
    end = clock() + seconds
    tell = report or (lambda share, best: None)
    tried = list(samples)
    find = method.find
    if method.learn is not None:
        find, tried = method.learn(samples[::2]), list(samples[1::2]) or list(samples)
    assert find is not None
    search = _Search(find, tried, lambda: clock() > end, tell, _count(method))
    knobs = search.knobs({name: list(values) for name, values in method.knobs.items()})
    steps = search.steps(knobs)
    return TunedMethod(method, method.learn(samples) if method.learn is not None else find, knobs, steps)


def quality(pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> float:
    """What tuning raises: mean of foreground IoU, F1 at IoU .5 and .75 and the share of exact counts."""
    s = score(pairs)
    return (s.fg_iou + s.f1_50 + s.f1_75 + s.exact_count) / 4


def _count(method: Method) -> int:
    """How many settings are tried: of the method's own knobs, and of the steps'."""
    sizes = [len(values) for values in method.knobs.values()]
    own = math.prod(sizes) if math.prod(sizes) <= TOGETHER else sum(sizes)
    return own + 1 + sum(len(values) - 1 for values in STEPS.values())


class _Search:
    def __init__(
        self, find: Find, samples: Sequence[LabelledPhoto], over: Callable[[], bool], tell: OnScore, total: int
    ) -> None:
        self.find, self.samples, self.over, self.tell, self.total = find, samples, over, tell, total
        self.best, self.done = 0.0, 0

    def knobs(self, grid: dict[str, list[Any]]) -> dict[str, Any]:
        """The method's own knobs: all settings where they are few, else one knob after the other from the middle."""
        start = {name: values[len(values) // 2] for name, values in grid.items()}
        if math.prod(len(values) for values in grid.values()) <= TOGETHER:
            settings = [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]
            return self._first(settings, start)
        for name, values in grid.items():
            start = self._first([{**start, name: value} for value in values], start)
        return start

    def _first(self, settings: Sequence[dict[str, Any]], otherwise: dict[str, Any]) -> dict[str, Any]:
        scored: list[tuple[float, dict[str, Any]]] = []
        for setting in settings:
            if scored and self.over():
                break
            scored.append((self._quality(self._found(setting, Steps()), Steps(split=0.2)), setting))
        return max(scored, key=lambda pair: pair[0])[1] if scored else otherwise

    def steps(self, knobs: dict[str, Any]) -> Steps:
        """The knobs of the steps, one after the other; only noise removal comes before the method."""
        best = Steps(split=0.2)
        found = self._found(knobs, best)
        top = self._quality(found, best)
        for name, values in STEPS.items():
            for value in values:
                if value == getattr(best, name) or self.over():
                    continue
                tried = replace(best, **{name: value})
                again = self._found(knobs, tried) if name == "noise" else found
                reached = self._quality(again, tried)
                if reached > top + 1e-6:
                    best, top = tried, reached
        return best

    def _found(self, knobs: dict[str, Any], steps: Steps) -> list[np.ndarray]:
        return [self.find(remove_noise(photo, steps.noise), **knobs) for photo, _ in self.samples]

    def _quality(self, found: Sequence[np.ndarray], steps: Steps) -> float:
        pairs = [(labels, tidy(one, steps)) for one, (_, labels) in zip(found, self.samples, strict=True)]
        value = quality(pairs)
        self.best, self.done = max(self.best, value), self.done + 1
        self.tell(min(self.done / self.total, 1.0), self.best)
        return value
