"""Who is at work and what they may do; the joins ask here before they change anything.

Reading is free to everybody who gets in. The command line and scripts run as the local user, who holds the store's
files anyway and is therefore a manager; the web app says for each visitor who is acting.
"""

from __future__ import annotations

import getpass
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import Context, ContextVar, copy_context
from dataclasses import dataclass

from retail_seg.errors import RetailSegError
from retail_seg.system.settings import settings

#: Each role may do what those before it may: look; scan, correct and annotate; change products, models and settings.
ROLES = ("viewer", "staff", "manager")


class NotAllowed(RetailSegError):
    """The person who is acting lacks the role that the change needs."""


class AccountError(RetailSegError):
    """An account is unknown, exists already, or was given a name, role or password that cannot be used."""


@dataclass(frozen=True)
class Person:
    """Somebody at work: the name that the log keeps, and one of ROLES.

    `local` marks the user of this computer, who may sign with any name (`--by`); a visitor signs with their own.
    """

    name: str
    role: str
    local: bool = False

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            raise AccountError(f"{self.role!r} is no role; give one of {', '.join(ROLES)}")

    def may(self, role: str) -> bool:
        """Whether this person may do what `role` may."""
        return ROLES.index(self.role) >= ROLES.index(role)


def local_name() -> str:
    """Who sits at this computer: RETAIL_SEG_USER, else the name of the login, else nobody's."""
    try:
        return settings().user or getpass.getuser()
    except (KeyError, OSError):  # a container whose user has no entry
        return ""


def local_person() -> Person:
    """The user of this computer, a manager."""
    return Person(local_name(), "manager", local=True)


_acting: ContextVar[Person | None] = ContextVar("retail_seg_acting", default=None)
_otherwise: Callable[[], Person] = local_person


def acting() -> Person:
    """Who is acting: as `acting_as` said, else as the program's own rule says, else the local user."""
    return _acting.get() or _otherwise()


@contextmanager
def acting_as(person: Person) -> Iterator[Person]:
    """Let `person` act in this block, and in what is started from it with a copy of its context."""
    token = _acting.set(person)
    try:
        yield person
    finally:
        _acting.reset(token)


def context_of_acting() -> Context:
    """A copy of the context in which the person who is acting now goes on acting, for a thread that is started here."""
    context = copy_context()
    context.run(_acting.set, acting())
    return context


def otherwise(rule: Callable[[], Person]) -> None:
    """Let `rule` say who acts where no `acting_as` is in force.

    The web app sets one: Streamlit runs callbacks and fragments outside the block that its script opened.
    """
    global _otherwise
    _otherwise = rule


def require(role: str) -> str:
    """The name of the person who is acting, for `by=`; raises NotAllowed where their role does not suffice."""
    person = acting()
    if not person.may(role):
        who = f"{person.name} is" if person.name else "You are"
        raise NotAllowed(f"{who} {person.role}, this needs the role {role}; ask a manager to do it, or for the role")
    return person.name


def owner_or_manager() -> Callable[[], None]:
    """A rule for what is begun now, to be asked later: it raises NotAllowed unless who is acting then began it.

    Managers may always.
    """
    owner = acting()

    def ask() -> None:
        person = acting()
        if (person.name, person.local) != (owner.name, owner.local):
            require("manager")

    return ask


def sign(role: str, by: str) -> str:
    """`require(role)`; the local user may sign with another name, `by`, a visitor only with their own."""
    name = require(role)
    return by or name if acting().local else name
