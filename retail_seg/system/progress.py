"""How far long work is, in whatever thread or process it goes on: one set of states, one value that tells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

#: The states of work that was begun; all but RUNNING are final.
RUNNING, DONE, FAILED, CANCELLED = "running", "done", "failed", "cancelled"

#: Called by the work with how much of it is done (0 to 1) and at what it is.
OnProgress = Callable[[float, str], None]


@dataclass(frozen=True)
class Progress:
    """How far a piece of work is, or how it ended.

    state         RUNNING, DONE, FAILED or CANCELLED
    share, text   how much is done (0 to 1), and at what it is
    error         the sentence that says why it failed or that it was cancelled, else empty
    """

    state: str = RUNNING
    share: float = 0.0
    text: str = ""
    error: str = ""

    @property
    def running(self) -> bool:
        """Whether the work goes on."""
        return self.state == RUNNING

    def at(self, share: float, text: str = "") -> Progress:
        """The same work when so much is done; without a `text` it is at what it was."""
        return replace(self, share=min(max(float(share), 0.0), 1.0), text=text or self.text)

    def ended(self, state: str, error: str = "") -> Progress:
        """The same work at its end; what is done is done whole."""
        return replace(self, state=state, error=error, share=1.0 if state == DONE else self.share)
