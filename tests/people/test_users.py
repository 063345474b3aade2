"""The users of a store, their passwords and sessions, and the commands and refusals around them."""

from __future__ import annotations

import json
import stat
import threading
from pathlib import Path

import pytest
from click.testing import CliRunner
from people_helpers import add_user, remove_user, set_password, set_role

from catalogue.history import log
from retail_seg.cli import cli
from retail_seg.cli.app import packaged_settings
from retail_seg.matcher import Matcher
from retail_seg.people import users
from retail_seg.people.roles import AccountError, NotAllowed, Person, acting_as
from retail_seg.people.sessions import FAILURES, SESSION_SECONDS, WINDOW_SECONDS, Sessions
from retail_seg.people.users import check_password, find_user, read_users
from retail_seg.store.opening import open_catalogue

GOOD = "correct horse"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cheap hash: its cost is a figure, not what is tested here."""
    monkeypatch.setattr(users, "SCRYPT", {"n": 16, "r": 1, "p": 1})
    users._nobody.cache_clear()


@pytest.fixture
def store(tmp_path: Path) -> Path:
    Matcher.create(tmp_path / "store").close()
    add_user(tmp_path / "store", "Mara", "manager", GOOD)
    return tmp_path / "store"


def test_a_password_fits_its_user_alone_in_whatever_case_the_name_is_written(store: Path) -> None:
    add_user(store, "stan", "staff", "another horse")
    found = check_password(store, " MARA ", GOOD)
    assert found is not None and found.person == Person("Mara", "manager")
    assert check_password(store, "stan", GOOD) is None
    assert check_password(store, "nobody", GOOD) is None
    assert check_password(store, "mara", "") is None


def test_the_file_holds_no_password_and_only_its_owner_reads_it(store: Path) -> None:
    path = store / users.FILE
    assert GOOD not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    add_user(store, "twin", "staff", GOOD)
    hashes = {user["password"] for user in json.loads(path.read_text())["users"]}
    assert len(hashes) == 2  # a salt of its own each


def test_the_same_password_typed_as_other_code_points_fits(store: Path) -> None:
    add_user(store, "åsa", "staff", "påskägg med ål")
    assert check_password(store, "a\u030asa", "pa\u030aska\u0308gg med a\u030al") is not None


@pytest.mark.parametrize("name", ["", "   ", "a\nb", "x" * 101])
def test_names_that_do_not_do(store: Path, name: str) -> None:
    with pytest.raises(AccountError, match="cannot be a user's name"):
        add_user(store, name, "staff", GOOD)


@pytest.mark.parametrize("password", ["short", "x" * 1025, "stanstanstan"])
def test_passwords_that_do_not_do(store: Path, password: str) -> None:
    with pytest.raises(AccountError, match="password"):
        add_user(store, "StanStanStan", "staff", password)


def test_a_name_is_given_once_and_a_role_is_one(store: Path) -> None:
    with pytest.raises(AccountError, match="a user already"):
        add_user(store, "mara", "staff", GOOD)
    with pytest.raises(AccountError, match="no role"):
        add_user(store, "stan", "boss", GOOD)
    with pytest.raises(AccountError, match="no user stan"):
        set_role(store, "stan", "staff")
    assert [user.name for user in read_users(store)] == ["Mara"]


def test_a_provider_s_user_has_no_password_and_cannot_get_one(store: Path) -> None:
    add_user(store, "ann@shop.example", "staff", None)
    assert check_password(store, "ann@shop.example", "") is None
    with pytest.raises(AccountError, match="identity provider"):
        set_password(store, "ann@shop.example", GOOD)
    with pytest.raises(AccountError, match="e-mail"):
        add_user(store, "ann", "staff", None)


def test_there_is_always_a_manager_until_the_last_user_goes(store: Path) -> None:
    add_user(store, "stan", "staff", GOOD)
    for change in (lambda: remove_user(store, "mara"), lambda: set_role(store, "mara", "viewer")):
        with pytest.raises(AccountError, match="must be a manager"):
            change()
    remove_user(store, "stan")
    remove_user(store, "mara")
    assert read_users(store) == []


def test_only_managers_change_users_and_the_log_names_them(store: Path) -> None:
    add_user(store, "stan", "staff", GOOD)
    with acting_as(Person("stan", "staff")):
        for change in (
            lambda: add_user(store, "friend", "manager", GOOD),
            lambda: set_role(store, "stan", "manager"),
            lambda: remove_user(store, "mara"),
            lambda: set_password(store, "mara", "stan knows it"),
        ):
            with pytest.raises(NotAllowed):
                change()
        set_password(store, "stan", "a new horse", old=GOOD)
    with acting_as(Person("Mara", "manager")):
        set_role(store, "stan", "viewer")
    assert check_password(store, "stan", "a new horse") == find_user(store, "stan")
    with open_catalogue(store) as catalogue:
        told = [(change.by, change.action) for change in log(catalogue, limit=2)]
    assert told == [("Mara", "user stan is viewer now"), ("stan", "new password of user stan")]


def test_changes_at_once_lose_nobody(store: Path) -> None:
    names = [f"user {i}" for i in range(8)]
    threads = [threading.Thread(target=add_user, args=(store, name, "staff", GOOD)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {user.name for user in read_users(store)} == {"Mara", *names}


@pytest.mark.parametrize("text", ["", "[]", '{"users": [{"name": "x", "role": "boss"}]}', '{"users": [{"name": 3}]}'])
def test_a_damaged_file_lets_nobody_in(store: Path, text: str) -> None:
    (store / users.FILE).write_text(text)
    with pytest.raises(AccountError, match=r"users\.json: cannot be read"):
        check_password(store, "mara", GOOD)


# -- sessions


class Clock:
    """Seconds that pass when told."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_session_ends_with_the_day_the_logout_the_password_and_the_user(store: Path) -> None:
    clock = Clock()
    sessions = Sessions(store, clock)
    token = sessions.log_in("mara", GOOD)
    found = sessions.who(token)
    assert found is not None and found.name == "Mara" and sessions.who(token + "x") is None
    sessions.log_out(token)
    assert sessions.who(token) is None
    token = sessions.log_in("mara", GOOD)
    clock.now += SESSION_SECONDS
    assert sessions.who(token) is None
    add_user(store, "stan", "staff", GOOD)
    token, other = sessions.log_in("stan", GOOD), sessions.log_in("mara", GOOD)
    set_role(store, "stan", "viewer")
    found = sessions.who(token)
    assert found is not None and found.role == "viewer"
    set_password(store, "mara", "quite another one")
    remove_user(store, "stan")
    assert sessions.who(token) is None and sessions.who(other) is None


def test_a_session_s_number_is_not_kept(store: Path) -> None:
    sessions = Sessions(store)
    token = sessions.log_in("mara", GOOD)
    assert len(token) >= 40 and token not in repr(vars(sessions))


def test_who_guesses_must_wait_and_who_knows_need_not_from_elsewhere(store: Path) -> None:
    clock = Clock()
    sessions = Sessions(store, clock)
    for _ in range(FAILURES):
        with pytest.raises(AccountError, match="do not fit"):
            sessions.log_in("mara", "wrong", "10.0.0.9")
        clock.now += 1
    with pytest.raises(AccountError, match="Too many failed logins; try again in 15 min"):
        sessions.log_in("Mara", GOOD, "10.0.0.9")
    assert sessions.who(sessions.log_in("mara", GOOD, "10.0.0.1")) is not None
    clock.now += WINDOW_SECONDS
    assert sessions.who(sessions.log_in("mara", GOOD, "10.0.0.9")) is not None


# -- commands


def run(*words: str, text: str = "") -> tuple[int, str, BaseException | None]:
    result = CliRunner().invoke(cli, list(words), input=text, standalone_mode=False)
    return result.exit_code, result.output, result.exception


def test_users_from_the_command_line(store: Path) -> None:
    where = ("--store", str(store))
    assert (
        "stan may log in as staff" in run("user", "add", "stan", "--role", "staff", *where, text=f"{GOOD}\n{GOOD}\n")[1]
    )
    assert "provider" in run("user", "add", "ann@shop.example", "--role", "viewer", "--oidc", *where)[1]
    listed = run("user", "list", *where)[1]
    assert "Mara  manager  password" in listed and "ann@shop.example  viewer  identity provider" in listed
    run("user", "passwd", "stan", *where, text="a new horse\na new horse\n")
    assert check_password(store, "stan", "a new horse") is not None
    run("user", "role", "stan", "manager", *where)
    assert "may no longer" in run("user", "remove", "mara", *where)[1]
    assert [(user.name, user.role) for user in read_users(store)] == [
        ("ann@shop.example", "viewer"),
        ("stan", "manager"),
    ]


def test_a_password_is_never_an_option() -> None:
    for command in ("add", "passwd"):
        found = cli.get_command(None, "user").commands[command]  # type: ignore[arg-type, union-attr]
        assert not any("pass" in option for parameter in found.params for option in parameter.opts)


def test_passwords_that_differ_add_nobody(store: Path) -> None:
    run("user", "add", "stan", "--role", "staff", "--store", str(store), text=f"{GOOD}\nother\n")
    assert find_user(store, "stan") is None


# -- where the app may listen


def test_more_than_this_computer_wants_logins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = tmp_path / "store"
    Matcher.create(store).close()
    started: list[list[str]] = []
    monkeypatch.setattr("os.execve", lambda program, command, environment: started.append(command))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    everywhere = ("app", "--store", str(store), "--host", "0.0.0.0")
    error = run(*everywhere)[2]
    assert isinstance(error, AccountError) and "retail-seg user add" in str(error) and not started
    secrets = tmp_path / "secrets.toml"
    secrets.write_text("[auth]\nclient_id = 'x'\n")
    assert run(*everywhere, "--secrets", str(secrets))[2] is None
    assert f"--secrets.files={secrets}" in started[-1]
    add_user(store, "mara", "manager", GOOD)
    assert run(*everywhere)[2] is None and "--server.address=0.0.0.0" in started[-1]
    for local in ("localhost", "127.0.0.1", "::1"):
        assert run("app", "--store", str(store), "--host", local)[2] is None


def test_users_without_passwords_and_no_provider_are_no_login(tmp_path: Path) -> None:
    assert not users.has_logins(tmp_path, [tmp_path / "none.toml"])
    (tmp_path / users.FILE).write_text('{"users": [{"name": "a@b", "role": "manager"}]}')
    assert not users.has_logins(tmp_path, [])


def test_damaged_secrets_are_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "secrets.toml").write_text("[auth")
    with pytest.raises(AccountError, match=r"secrets\.toml: cannot be read"):
        users.has_logins(tmp_path, [tmp_path / "secrets.toml"])


def test_the_app_s_settings_go_with_the_package() -> None:
    settings = packaged_settings()
    assert settings["browser.gatherUsageStats"] == "false" and settings["server.maxUploadSize"] == "200"
    assert settings["server.address"] == "localhost" and settings["client.showErrorDetails"] == "none"
    assert json.loads(settings["theme.headingFontSizes"])
    root = Path(__file__).parents[2]
    same = (root / ".streamlit" / "config.toml", root / "retail_seg" / "web" / "config.toml")
    assert same[0].read_text() == same[1].read_text()
