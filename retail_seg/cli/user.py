"""Commands around the people who may log in to the web app: `user add`, `list`, `role`, `passwd`, `remove`."""

from __future__ import annotations

from pathlib import Path

import click

from retail_seg.cli.common import say, store_option
from retail_seg.cli.rows import by_option
from retail_seg.people.roles import ROLES

role_option = click.option(
    "--role",
    type=click.Choice(ROLES),
    required=True,
    help="viewer: looks. staff: scans, corrects, annotates. manager: changes products, models and settings.",
)


@click.group()
def user() -> None:
    """Say who may log in to the web app of a store, and what they may do there.

    A store without users needs no login, and its app is for this computer only.
    """


@user.command()
@click.argument("name")
@role_option
@click.option("--oidc", is_flag=True, help="NAME is an e-mail address; an identity provider checks who it is.")
@store_option
@by_option
def add(name: str, role: str, oidc: bool, store: Path, by: str) -> None:
    """Let NAME log in; asks for the password."""
    from retail_seg.people.roles import AccountError
    from retail_seg.people.users import add_user, find_user
    from retail_seg.store.opening import log_of

    _open(store)
    if find_user(store, name):
        raise AccountError(f"{name} is a user already; see `retail-seg user list`")
    found = add_user(store, name, role, None if oidc else _ask(name), logged=log_of(store), by=by)
    say(f"{found.name} may log in as {found.role}" + (" through the identity provider" if oidc else ""))


@user.command("list")
@store_option
def list_(store: Path) -> None:
    """List who may log in."""
    from retail_seg.people.users import read_users

    _open(store)
    users = read_users(store)
    for one in users:
        click.echo(f"{one.name}  {one.role}  {'password' if one.password else 'identity provider'}")
    say(f"{len(users)} users" if users else "No users: no login is asked for, and the app is for this computer only.")


@user.command("role")
@click.argument("name")
@click.argument("role", type=click.Choice(ROLES))
@store_option
@by_option
def set_role(name: str, role: str, store: Path, by: str) -> None:
    """Give NAME another ROLE; it counts at once."""
    from retail_seg.people.users import set_role as change
    from retail_seg.store.opening import log_of

    change(store, name, role, logged=log_of(store), by=by)
    say(f"{name} is {role} now")


@user.command()
@click.argument("name")
@store_option
@by_option
def passwd(name: str, store: Path, by: str) -> None:
    """Set a new password of NAME; asks for it, and ends their open sessions."""
    from retail_seg.people.roles import AccountError
    from retail_seg.people.users import find_user, set_password
    from retail_seg.store.opening import log_of

    _open(store)
    if find_user(store, name) is None:
        raise AccountError(f"there is no user {name}; see `retail-seg user list`")
    set_password(store, name, _ask(name), logged=log_of(store), by=by)
    say(f"{name} has a new password")


@user.command()
@click.argument("name")
@store_option
@by_option
def remove(name: str, store: Path, by: str) -> None:
    """Take the access of NAME away, at once."""
    from retail_seg.people.users import read_users, remove_user
    from retail_seg.store.opening import log_of

    remove_user(store, name, logged=log_of(store), by=by)
    say(f"{name} may no longer log in")
    if not read_users(store):
        say("No users are left: no login is asked for, and the app is for this computer only.")


def _open(store: Path) -> None:
    """Refuse a folder that is no store before anything is asked."""
    from retail_seg.store.opening import open_catalogue

    open_catalogue(store).close()


def _ask(name: str) -> str:
    return str(click.prompt(f"Password of {name}", hide_input=True, confirmation_prompt=True, err=True))
