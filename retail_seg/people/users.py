"""The people who may log in to the web app of a store: a file in the store, with hashes of their passwords.

`STORE/users.json` is read anew when it changes, so that a role given or taken counts at once. E-mail addresses of an
identity provider (OIDC) stand in it without a password: the provider says who somebody is, this file what they may.
What changes it is given the store's log, `Catalogue.logged`, which lets one change at a time through.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
import threading
import tomllib
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from retail_seg.people.kept_lists import KeptList
from retail_seg.people.roles import ROLES, AccountError, Person, acting, require, sign

FILE = "users.json"
MIN_PASSWORD, MAX_PASSWORD = 8, 1024
#: OWASP Password Storage Cheat Sheet (2023): scrypt with N = 2^15, r = 8, p = 3; some 0.2 s and 32 MB a check.
SCRYPT = {"n": 2**15, "r": 8, "p": 3}
#: One check at a time: many logins at once must not use up the memory.
_ONE_AT_A_TIME = threading.Lock()


class Logged(Protocol):
    """A block that is done beside no other such block, and stands in a log unless it raises."""

    def __call__(self, action: str, *, by: str = "") -> AbstractContextManager[None]: ...


@dataclass(frozen=True)
class User:
    """Somebody who may log in; `password` is a scrypt hash, empty for who comes through an identity provider."""

    name: str
    role: str
    password: str = ""

    @property
    def person(self) -> Person:
        """Them at work."""
        return Person(self.name, self.role)


def read_users(store: Path) -> list[User]:
    """The users of a store by name, none where it keeps no file; raises AccountError for a damaged one."""
    return _KEPT.read(store)


def find_user(store: Path, name: str) -> User | None:
    """The user of this name, in whatever case it is written; None where there is none."""
    wanted = name_key(name)
    return next((user for user in read_users(store) if name_key(user.name) == wanted), None)


def add_user(store: Path, name: str, role: str, password: str | None, *, logged: Logged, by: str = "") -> User:
    """Let somebody log in. Without a password, `name` is the e-mail address that an identity provider vouches for.

    Only a manager may. Raises AccountError for a name that is taken or cannot be used, and for a poor password.
    """
    require("manager")
    name = checked_name(name, email=password is None)
    user = User(name, Person(name, role).role, "" if password is None else hashed(_checked(password, name)))
    with _changing(store, logged, f"add user {name} as {role}", by) as users:
        if any(name_key(other.name) == name_key(name) for other in users):
            raise AccountError(f"{name} is a user already; remove them first, or give another name")
        users.append(user)
    return user


def remove_user(store: Path, name: str, *, logged: Logged, by: str = "") -> None:
    """Take somebody's access away at once; raises AccountError for the last manager while others are left."""
    with _changing(store, logged, f"remove user {name}", by) as users:
        users.remove(_one(users, name))


def set_role(store: Path, name: str, role: str, *, logged: Logged, by: str = "") -> None:
    """Give somebody another role; it counts at once."""
    with _changing(store, logged, f"user {name} is {role} now", by) as users:
        user = _one(users, name)
        users[users.index(user)] = replace(user, role=Person(user.name, role).role)


def set_password(
    store: Path, name: str, password: str, *, logged: Logged, old: str | None = None, by: str = ""
) -> None:
    """Give somebody another password; their open sessions end. Everybody may change their own.

    A visitor's own needs the `old` one, a manager's too: who finds a browser open must not keep it. Raises
    AccountError where that does not fit.
    """
    own = not acting().local and name_key(acting().name) == name_key(name)
    if own and check_password(store, name, old or "") is None:
        raise AccountError("The password that you have now does not fit; type it again, or ask a manager for a new one")
    with _changing(store, logged, f"new password of user {name}", by, "viewer" if own else "manager") as users:
        user = _one(users, name)
        if not user.password:
            raise AccountError(f"{user.name} logs in through an identity provider; the password is kept there")
        users[users.index(user)] = replace(user, password=hashed(_checked(password, user.name)))


def check_password(store: Path, name: str, password: str) -> User | None:
    """The user whom name and password fit, else None; takes as long for a name that there is not."""
    user = find_user(store, name)
    known = bool(user and user.password)
    right = _fits(user.password if user and known else _nobody(), password[:MAX_PASSWORD])
    return user if known and right else None


def has_logins(store: Path, secrets_files: Iterable[Path]) -> bool:
    """Whether the app of a store asks for a login: it has users with passwords, or an identity provider is set up."""
    return any(user.password for user in read_users(store)) or any(map(_names_provider, secrets_files))


def is_loopback(address: str) -> bool:
    """Whether only this computer reaches an address."""
    try:
        return address == "localhost" or ipaddress.ip_address(address.strip("[]")).is_loopback
    except ValueError:  # a name
        return False


def _names_provider(secrets_file: Path) -> bool:
    try:
        return "auth" in tomllib.loads(secrets_file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return False
    except (OSError, ValueError) as error:
        raise AccountError(f"{secrets_file}: cannot be read ({error}); mend it, or give another file") from None


# -- hashes


def hashed(password: str) -> str:
    """A password as it is kept: scrypt with its cost, a salt of its own and the hash (RFC 7914)."""
    salt = secrets.token_bytes(16)
    return f"scrypt:{SCRYPT['n']}:{SCRYPT['r']}:{SCRYPT['p']}:{salt.hex()}:{_scrypt(password, salt, **SCRYPT).hex()}"


def _fits(kept: str, password: str) -> bool:
    _, n, r, p, salt, digest = kept.split(":")
    found = _scrypt(password, bytes.fromhex(salt), n=int(n), r=int(r), p=int(p))
    return hmac.compare_digest(found, bytes.fromhex(digest))


def _scrypt(password: str, salt: bytes, *, n: int, r: int, p: int) -> bytes:
    # NFKC: the same word typed on another keyboard may come as other code points (NIST SP 800-63B, 5.1.1.2).
    text = unicodedata.normalize("NFKC", password).encode()
    with _ONE_AT_A_TIME:
        return hashlib.scrypt(text, salt=salt, n=n, r=r, p=p, maxmem=256 * n * r, dklen=32)


@lru_cache(maxsize=1)
def _nobody() -> str:
    return hashed(secrets.token_hex(16))


# -- the file


def _well_formed(user: User) -> None:
    if user.role not in ROLES or not user.name:
        raise ValueError(f"{user.name!r} as {user.role!r}")
    if user.password:
        scheme, n, r, p, salt, digest = user.password.split(":")
        if scheme != "scrypt":
            raise ValueError(f"{scheme!r} is no known hash")
        _ = int(n), int(r), int(p), bytes.fromhex(salt), bytes.fromhex(digest)


@contextmanager
def _changing(store: Path, logged: Logged, action: str, by: str, role: str = "manager") -> Iterator[list[User]]:
    """The users, to be changed in the block; written and logged in one go, beside no other change of them."""
    by = sign(role, by)
    with logged(action, by=by):
        users = read_users(store)
        yield users
        if users and not any(user.role == "manager" for user in users):
            raise AccountError("There must be a manager among a store's users; first add one, or make somebody one")
        _KEPT.write(store, users)


def _one(users: list[User], name: str) -> User:
    found = next((user for user in users if name_key(user.name) == name_key(name)), None)
    if found is None:
        raise AccountError(f"there is no user {name}; see `retail-seg user list`")
    return found


def name_key(name: str) -> str:
    """The one form of a name in which users are looked up and logins are counted, however it is typed."""
    folded = unicodedata.normalize("NFKC", name).strip().casefold()
    return unicodedata.normalize("NFKC", folded)


def checked_name(name: str, *, email: bool = False) -> str:
    """The name, composed and trimmed; raises AccountError for what cannot be one, or with `email` is no address."""
    name = unicodedata.normalize("NFKC", name).strip()
    if not 1 <= len(name) <= 100 or not name.isprintable():
        raise AccountError(f"{name!r} cannot be a user's name; give 1 to 100 printable characters")
    if email and (name.count("@") != 1 or not all(name.split("@")) or " " in name):
        raise AccountError(f"{name}: is no e-mail address; --oidc wants the one that the identity provider knows")
    return name


def _checked(password: str, name: str) -> str:
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise AccountError(f"The password must have {MIN_PASSWORD} to {MAX_PASSWORD} characters; several words do well")
    if name_key(password) == name_key(name):
        raise AccountError("The password must not be the name; several words do well")
    return password


def stamp_of(user: User) -> str:
    """Changes with a user's password, so that a session opened with the former one ends."""
    return hashlib.sha256(f"{user.name}\0{user.password}".encode()).hexdigest()


_KEPT = KeptList(FILE, "users", User, _well_formed, lambda user: name_key(user.name), "nobody can log in")
