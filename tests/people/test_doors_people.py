"""Doors that stood open around logins, each tried from outside."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from people_helpers import add_user, set_password
from streamlit.testing.v1 import AppTest

from retail_seg.matcher import Matcher
from retail_seg.people import roles, users
from retail_seg.people import sessions as rooms
from retail_seg.people.roles import AccountError, Person, acting, acting_as
from retail_seg.people.sessions import FAILURES, FAILURES_OF_ALL, Sessions
from retail_seg.people.users import User, check_password
from retail_seg.web import identity

GOOD = "correct horse"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(users, "SCRYPT", {"n": 16, "r": 1, "p": 1})
    users._nobody.cache_clear()
    Matcher.create(tmp_path / "store").close()
    add_user(tmp_path / "store", "Mara", "manager", GOOD)
    add_user(tmp_path / "store", "stan", "staff", GOOD)
    return tmp_path / "store"


def test_another_spelling_of_a_name_is_no_fresh_counter(store: Path) -> None:
    sessions = Sessions(store)
    # Fullwidth and mathematical letters: NFKC makes "mara" of all of them, and so the user is found by each.
    spellings = ["mara", "ｍara", "mａra", "maｒa", "marａ", "𝐦ara", "𝒎ara"]
    assert len(spellings) > FAILURES and all(users.find_user(store, name) for name in spellings)
    for name in spellings[:FAILURES]:
        with pytest.raises(AccountError, match="do not fit"):
            sessions.log_in(name, "wrong", "10.0.0.9")
    with pytest.raises(AccountError, match="Too many failed logins"):
        sessions.log_in(spellings[FAILURES], GOOD, "10.0.0.9")


def test_wrong_logins_at_once_count_before_a_password_is_looked_at(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []

    def slow(store: Path, name: str, password: str) -> User | None:
        looked.append(password)
        time.sleep(0.2)  # all threads are at the door meanwhile
        return None

    monkeypatch.setattr(rooms, "check_password", slow)
    sessions = Sessions(store)

    def guess(number: int) -> None:
        with pytest.raises(AccountError):
            sessions.log_in("mara", f"guess {number}", "10.0.0.9")

    threads = [threading.Thread(target=guess, args=(number,)) for number in range(3 * FAILURES)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(looked) == FAILURES


def test_right_logins_do_not_add_up(store: Path) -> None:
    sessions = Sessions(store)
    for number in range(FAILURES_OF_ALL + 3):
        assert sessions.log_in("mara", GOOD, f"10.0.0.{number}")


@pytest.mark.parametrize("claims", [{}, {"email_verified": None}, {"email_verified": "true"}, {"email_verified": 1}])
def test_an_address_that_nobody_says_is_verified_lets_nobody_in(
    store: Path, monkeypatch: pytest.MonkeyPatch, claims: dict[str, Any]
) -> None:
    class Visit:
        said: dict[str, Any]

        def to_dict(self) -> dict[str, Any]:
            return self.said

    add_user(store, "ann@shop.example", "staff", None)
    visit = Visit()
    monkeypatch.setenv("RETAIL_SEG_STORE", str(store))
    monkeypatch.setattr(identity, "_has_provider", lambda: True)
    monkeypatch.setattr(identity.st, "user", visit)
    known = {"is_logged_in": True, "email": "ann@shop.example", "exp": time.time() + 600}
    visit.said = {**known, "email_verified": True}
    assert identity.current() == Person("ann@shop.example", "staff")
    visit.said = known | claims
    assert identity.current() is None
    assert "no e-mail address that it has checked" in identity.provider_trouble()


@pytest.mark.parametrize("name", ["stan", "Mara"])
def test_one_s_own_password_changes_only_with_the_old_one(store: Path, name: str) -> None:
    with acting_as(Person(name, "staff" if name == "stan" else "manager")):
        for old in (None, "", "not it at all"):
            with pytest.raises(AccountError, match="password that you have now"):
                set_password(store, name, "a new horse", old=old)
        assert check_password(store, name, GOOD) is not None
        set_password(store, name, "a new horse", old=GOOD)
    assert check_password(store, name, "a new horse") is not None


def test_a_manager_sets_another_s_password_without_the_old_one(store: Path) -> None:
    with acting_as(Person("Mara", "manager")):
        set_password(store, "stan", "a new horse")
    assert check_password(store, "stan", "a new horse") is not None


def test_guesses_of_the_old_password_count_as_logins_do(store: Path) -> None:
    sessions = Sessions(store)
    for _ in range(FAILURES):
        with pytest.raises(AccountError, match="do not fit"):
            sessions.check("stan", "wrong", "10.0.0.9")
    with pytest.raises(AccountError, match="Too many failed logins"):
        sessions.check("stan", GOOD, "10.0.0.9")


def test_importing_the_app_s_rooms_changes_nobody_s_rights(tmp_path: Path) -> None:
    """In a process that only imports them, the local user goes on being at work, though the store has logins."""
    script = """
import retail_seg.people.roles as roles
before = roles._otherwise
import retail_seg.web.identity, retail_seg.web.login, retail_seg.web.shared
assert roles._otherwise is before, roles._otherwise
assert roles.acting().local and roles.acting().role == "manager"
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=Path(__file__).parents[2], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-800:]


def test_the_app_hands_its_rule_over_when_it_starts(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETAIL_SEG_STORE", str(store))
    monkeypatch.setattr(roles, "_otherwise", roles.local_person)
    assert acting().local
    AppTest.from_file(str(Path(__file__).parents[2] / "app.py"), default_timeout=120).run()
    assert acting() == identity.NOBODY  # outside of any visit, in a store with logins
