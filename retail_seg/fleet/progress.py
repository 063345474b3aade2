"""How far a run on Ray is, and at what rate."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RunProgress:
    """How far a run is: photos or references by what became of them, how many there are; seconds since its start."""

    total: int
    before: int = 0
    done: int = 0
    known: int = 0
    failed: int = 0
    seconds: float = 0.0

    @property
    def so_far(self) -> int:
        """How many need nothing more."""
        return self.before + self.done + self.known + self.failed

    @property
    def a_minute(self) -> float:
        """Answers a minute."""
        return 60 * (self.so_far - self.before) / self.seconds if self.seconds > 0 else 0.0

    @property
    def left(self) -> float:
        """Seconds until all are answered, at the rate so far."""
        return 60 * (self.total - self.so_far) / self.a_minute if self.a_minute else 0.0
