"""Tokens: made once, kept as hashes, expired, revoked, and remembered when they were used last."""

from __future__ import annotations

import json
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from retail_seg.cli import cli
from retail_seg.matcher import Matcher
from retail_seg.people import tokens
from retail_seg.people.roles import AccountError
from retail_seg.people.tokens import Uses, add_token, find_token, last_uses, read_tokens, revoke_token
from retail_seg.store.opening import log_of


@pytest.fixture
def store(tmp_path: Path) -> Path:
    with Matcher.create(tmp_path / "store") as matcher:
        return matcher.folder


def made(store: Path, name: str = "till", role: str = "staff", days: int = 1) -> str:
    return add_token(store, name, role, days=days, logged=log_of(store))


def test_a_token_opens_the_store_and_stands_nowhere(store: Path) -> None:
    text = made(store)
    found = find_token(store, text)
    assert found is not None and (found.name, found.role) == ("till", "staff")
    secret = text.rsplit("_", 1)[1]
    assert all(secret.encode() not in path.read_bytes() for path in store.rglob("*") if path.is_file())
    assert stat.S_IMODE((store / tokens.FILE).stat().st_mode) == 0o600


@pytest.mark.parametrize("change", [lambda t: t[:-1] + ("A" if t[-1] != "A" else "B"), lambda t: t + "x", lambda t: ""])
def test_another_text_opens_nothing(store: Path, change: object) -> None:
    assert find_token(store, change(made(store))) is None  # type: ignore[operator]


def test_a_token_ends(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = made(store, days=3)
    monkeypatch.setattr(tokens, "_now", lambda: datetime.now(UTC) + timedelta(days=3, seconds=1))
    assert find_token(store, text) is None and read_tokens(store)[0].expired


def test_a_revoked_token_opens_nothing_at_once(store: Path) -> None:
    first, second = made(store, "one"), made(store, "two")
    revoke_token(store, "ONE", logged=log_of(store))
    assert find_token(store, first) is None and find_token(store, second) is not None
    revoke_token(store, read_tokens(store)[0].id, logged=log_of(store))
    assert read_tokens(store) == []
    with pytest.raises(AccountError, match="no token one"):
        revoke_token(store, "one", logged=log_of(store))


@pytest.mark.parametrize(
    ("name", "role", "days"), [("till", "staff", 1), ("x", "boss", 1), ("", "staff", 1), ("y", "staff", 0)]
)
def test_what_cannot_be_a_token_is_refused(store: Path, name: str, role: str, days: int) -> None:
    made(store)
    with pytest.raises(AccountError):
        made(store, name, role, days)
    assert len(read_tokens(store)) == 1


def test_a_damaged_file_lets_nobody_in_and_says_so(store: Path) -> None:
    text = made(store)
    kept = json.loads((store / tokens.FILE).read_text())
    kept["tokens"][0]["expires"] = "never"
    (store / tokens.FILE).write_text(json.dumps(kept))
    with pytest.raises(AccountError, match=r"tokens\.json"):
        find_token(store, text)


def test_the_last_use_is_kept_beside_those_of_other_servers(store: Path) -> None:
    one, two = (find_token(store, made(store, name)) for name in ("one", "two"))
    assert one and two and last_uses(store) == {}
    here, there = Uses(store), Uses(store)
    here.note(one)
    there.note(two)
    assert set(last_uses(store)) == {one.id, two.id}
    revoke_token(store, "one", logged=log_of(store))
    here.note(two)
    here.write()
    assert set(last_uses(store)) == {two.id}


def run(*words: str) -> tuple[str, str]:
    result = CliRunner().invoke(cli, ["token", *words], standalone_mode=False)
    if result.exception:
        raise result.exception
    return result.stdout, result.stderr


def test_add_prints_the_token_alone(store: Path) -> None:
    out, err = run("add", "till 4", "--role", "manager", "--days", "7", "--store", str(store))
    assert find_token(store, out.strip()) is not None and out.count("\n") == 1 and out.strip() not in err
    listed, _ = run("list", "--store", str(store))
    assert "till 4" in listed and "manager" in listed and "used never" in listed and out.strip() not in listed
    run("revoke", "till 4", "--store", str(store))
    assert run("list", "--store", str(store))[0] == ""
    log = CliRunner().invoke(cli, ["log", "--store", str(store)], standalone_mode=False).stdout
    assert "add token till 4 as manager" in log and "revoke token till 4" in log
