"""Who is logged in to the web app, and who tried too often: kept in the memory of the app's process.

A session is a random number in the visitor's browser; here stands only its hash, so that a copy of the memory opens no
session. When the app starts anew, everybody logs in again.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from retail_seg.people.roles import AccountError
from retail_seg.people.users import User, check_password, find_user, name_key, stamp_of

#: A working day; after it one logs in again.
SESSION_SECONDS = 12 * 3600
#: Failed logins of one name from one address, and of one name from anywhere, that are borne within WINDOW_SECONDS.
FAILURES, FAILURES_OF_ALL = 5, 50
WINDOW_SECONDS = 15 * 60


@dataclass(frozen=True)
class Session:
    """One open session: whose, with which password it was opened, and when it ends (seconds of the clock)."""

    name: str
    stamp: str
    ends: float


class Sessions:
    """The sessions of one store's app; safe to use from several threads."""

    def __init__(self, store: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._store, self._clock = store, clock
        self._open: dict[str, Session] = {}
        self._failed: dict[tuple[str, str], list[float]] = defaultdict(list)
        self._lock = threading.Lock()

    def log_in(self, name: str, password: str, address: str = "") -> str:
        """The number of a new session; raises AccountError for a wrong name or password, or after too many of them."""
        user = self.check(name, password, address)
        token = secrets.token_urlsafe(32)
        with self._lock:
            self._open[_digest(token)] = Session(user.name, stamp_of(user), self._clock() + SESSION_SECONDS)
        return token

    def check(self, name: str, password: str, address: str = "") -> User:
        """Whom name and password fit; raises AccountError as `log_in` does, and counts as it does."""
        key = name_key(name)[:100]
        at = self._count(key, address)
        user = check_password(self._store, name, password)
        if user is None:
            raise AccountError("Name and password do not fit; try again, or let a manager set a new password")
        with self._lock:
            self._failed.pop((key, address), None)
            if at in (anywhere := self._failed.get((key, "*"), [])):
                anywhere.remove(at)
        return user

    def who(self, token: str) -> User | None:
        """Whose session it is, with the role they have now; None where it has ended or they may no longer log in."""
        session = self._open.get(_digest(token))
        if session is None or session.ends <= self._clock():
            return None
        user = find_user(self._store, session.name)
        return user if user and user.password and stamp_of(user) == session.stamp else None

    def log_out(self, token: str) -> None:
        """End a session."""
        with self._lock:
            self._open.pop(_digest(token), None)

    def _count(self, key: str, address: str) -> float:
        """Count an attempt as failed before its password is looked at, so that many at once count as many; its moment.

        Raises AccountError, and counts nothing, where too many failed before.
        """
        now = self._clock()
        since = now - WINDOW_SECONDS
        with self._lock:
            self._forget(now)
            for place, borne in ((address, FAILURES), ("*", FAILURES_OF_ALL)):
                recent = [at for at in self._failed.get((key, place), []) if at > since]
                if len(recent) >= borne:
                    minutes = int((recent[-borne] - since) // 60) + 1
                    raise AccountError(f"Too many failed logins; try again in {minutes} min")
            for place in (address, "*"):
                self._failed[key, place].append(now)
        return now

    def _forget(self, now: float) -> None:
        self._open = {key: session for key, session in self._open.items() if session.ends > now}
        since = now - WINDOW_SECONDS
        stale = [key for key, times in self._failed.items() if not times or times[-1] <= since]
        for key in stale:
            del self._failed[key]


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
