"""The tokens by which scripts get into a store over HTTP: a file in the store, with their hashes.

`STORE/tokens.json` is read anew when it changes, so that a token given or revoked counts at once. A token is a random
number of 256 bits: it can be stored as one SHA-256, which a password, that people choose, could not. When each was
used last stands in `STORE/tokens-used.json`, which servers alone write. What changes the tokens is given the store's
log, as with users.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from retail_seg.people.kept_lists import KeptList
from retail_seg.people.roles import ROLES, AccountError, Person, sign
from retail_seg.people.users import Logged, checked_name, name_key
from retail_seg.system.files import locked, replace_file

FILE = "tokens.json"
USED_FILE = "tokens-used.json"
#: How long a token lasts where nothing else is said, and at most.
DAYS, MAX_DAYS = 90, 3650
#: How a token is written: a mark that scanners of secrets find, its number, and the secret.
_TOKEN = re.compile(r"rseg_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
#: Uses are written down so many seconds after the last writing at the earliest.
USED_SECONDS = 30.0


@dataclass(frozen=True)
class Token:
    """A token as it is kept: its number, whose it is, one of ROLES, the SHA-256 of its secret; times in UTC (ISO)."""

    id: str
    name: str
    role: str
    digest: str
    created: str
    expires: str

    @property
    def person(self) -> Person:
        """Who holds it, at work."""
        return Person(self.name, self.role)

    @property
    def expired(self) -> bool:
        """Whether its time is over."""
        return _now() >= datetime.fromisoformat(self.expires)


def add_token(store: Path, name: str, role: str, *, logged: Logged, days: int = DAYS, by: str = "") -> str:
    """Make a token for NAME that lasts so many days; returns it, which nothing shows again.

    Only a manager may. Raises AccountError for a name that has a token, or that cannot be used.
    """
    by = sign("manager", by)
    name = checked_name(name)
    if not 1 <= days <= MAX_DAYS:
        raise AccountError(f"{days} days are no time for a token; give 1 to {MAX_DAYS}")
    secret, at = secrets.token_urlsafe(32), _now()
    token = Token(
        secrets.token_hex(6), name, Person(name, role).role, _digest(secret), _iso(at), _iso(at + timedelta(days=days))
    )
    with _changing(store, logged, f"add token {name} as {role}", by) as tokens:
        if any(name_key(other.name) == name_key(name) for other in tokens):
            raise AccountError(f"{name} has a token already; revoke it first, or give another name")
        tokens.append(token)
    return f"rseg_{token.id}_{secret}"


def revoke_token(store: Path, name: str, *, logged: Logged, by: str = "") -> None:
    """Take a token back by its holder's name or its number; it counts at once. Raises AccountError."""
    by = sign("manager", by)
    with _changing(store, logged, f"revoke token {name}", by) as tokens:
        found = next((one for one in tokens if name == one.id or name_key(one.name) == name_key(name)), None)
        if found is None:
            raise AccountError(f"there is no token {name}; see `retail-seg token list`")
        tokens.remove(found)


def read_tokens(store: Path) -> list[Token]:
    """The tokens of a store by name, none where it keeps no file; raises AccountError for a damaged one."""
    return _KEPT.read(store)


def find_token(store: Path, text: str) -> Token | None:
    """The token that somebody shows; None for one that is unknown, revoked or expired."""
    match = _TOKEN.fullmatch(text)
    if match is None:
        return None
    number, secret = match.groups()
    token = next((one for one in read_tokens(store) if one.id == number), None)
    if token is None or not hmac.compare_digest(token.digest, _digest(secret)) or token.expired:
        return None
    return token


def last_uses(store: Path) -> dict[str, str]:
    """When each token was used last (UTC, ISO), by its number; tokens that never were are left out."""
    try:
        kept = json.loads((Path(store) / USED_FILE).read_bytes())
        return {str(number): str(at) for number, at in kept["used"].items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):  # what is known of uses is no one's access
        return {}


class Uses:
    """When tokens are used, kept in memory and written down now and then; safe to use from several threads."""

    def __init__(self, store: Path) -> None:
        self._store = Path(store)
        self._fresh: dict[str, str] = {}
        self._lock = threading.Lock()
        self._written = datetime.min.replace(tzinfo=UTC)

    def note(self, token: Token) -> None:
        """A token is used now."""
        at = _now()
        with self._lock:
            self._fresh[token.id] = _iso(at)
            if (at - self._written).total_seconds() < USED_SECONDS:
                return
            self._written = at
        self.write()

    def write(self) -> None:
        """Write down what is not yet written, beside what other servers wrote; for tokens that are still there."""
        with self._lock:
            fresh, self._fresh = self._fresh, {}
        if not fresh:
            return
        with locked(self._store / f".{USED_FILE}.lock"):
            there = {token.id for token in read_tokens(self._store)}
            used = {number: at for number, at in (last_uses(self._store) | fresh).items() if number in there}
            replace_file(self._store / USED_FILE, json.dumps({"used": used}, indent=1).encode(), private=True)


@contextmanager
def _changing(store: Path, logged: Logged, action: str, by: str) -> Iterator[list[Token]]:
    """The tokens, to be changed in the block; written and logged in one go, beside no other change of them."""
    with logged(action, by=by):
        tokens = read_tokens(store)
        yield tokens
        _KEPT.write(store, tokens)


def _well_formed(token: Token) -> None:
    if token.role not in ROLES or not token.name or len(bytes.fromhex(token.digest)) != 32:
        raise ValueError(f"{token.name!r} as {token.role!r}")
    if datetime.fromisoformat(token.expires).tzinfo is None:
        raise ValueError(f"{token.expires!r} names no time zone")


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _now() -> datetime:
    return datetime.now(UTC)


def _iso(at: datetime) -> str:
    return at.isoformat(timespec="seconds")


_KEPT = KeptList(FILE, "tokens", Token, _well_formed, lambda token: name_key(token.name), "no script gets in")
