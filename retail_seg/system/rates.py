"""How often somebody may ask: a bucket of permits that fills at a steady rate (token bucket)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Rates:
    """So many requests a second for each name, twice as many in a burst; 0 sets no limit. Safe for several threads."""

    def __init__(self, a_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._burst, self._clock = a_second, max(2 * a_second, 1.0), clock
        self._left: dict[str, tuple[float, float]] = {}
        self._lock = threading.Lock()

    def wait(self, name: str) -> float:
        """0 where `name` may ask now, which counts; else the seconds until they may."""
        if self._rate <= 0:
            return 0.0
        with self._lock:
            now = self._clock()
            left, since = self._left.get(name, (self._burst, now))
            left = min(self._burst, left + (now - since) * self._rate)
            allowed = left >= 1
            self._left[name] = (left - 1 if allowed else left), now
            return 0.0 if allowed else (1 - left) / self._rate
