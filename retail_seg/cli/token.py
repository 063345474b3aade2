"""Commands around the tokens by which scripts get into a store over HTTP: `token add`, `list`, `revoke`."""

from __future__ import annotations

from pathlib import Path

import click

from retail_seg.cli.common import say, store_option
from retail_seg.cli.rows import by_option
from retail_seg.cli.user import role_option


@click.group()
def token() -> None:
    """Say which scripts may use a store over HTTP (`retail-seg serve`), and what they may do there.

    A store without tokens answers nobody but those who ask whether it is alive.
    """


@token.command()
@click.argument("name")
@role_option
@click.option("--days", default=90, show_default=True, type=click.IntRange(1, 3650), help="How long it lasts.")
@store_option
@by_option
def add(name: str, role: str, days: int, store: Path, by: str) -> None:
    """Make a token for NAME and print it, alone on stdout; it is shown this once and stored as a hash."""
    from retail_seg.people.tokens import add_token
    from retail_seg.store.opening import log_of

    made = add_token(store, name, role, days=days, logged=log_of(store), by=by)
    say(f"{name} may use the store over HTTP as {role} for {days} days; this is shown once:")
    click.echo(made)


@token.command("list")
@store_option
def list_(store: Path) -> None:
    """List the tokens: number, name, role, until when, and when it was used last."""
    from retail_seg.people.tokens import last_uses, read_tokens
    from retail_seg.store.opening import open_catalogue

    open_catalogue(store).close()
    used, tokens = last_uses(store), read_tokens(store)
    for one in tokens:
        state = "expired" if one.expired else "until"
        click.echo(f"{one.id}  {one.name}  {one.role}  {state} {one.expires}  used {used.get(one.id, 'never')}")
    say(f"{len(tokens)} tokens" if tokens else "No tokens: make one with `retail-seg token add NAME --role ROLE`.")


@token.command()
@click.argument("name")
@store_option
@by_option
def revoke(name: str, store: Path, by: str) -> None:
    """Take the token of NAME (or with that number) back, at once."""
    from retail_seg.people.tokens import revoke_token
    from retail_seg.store.opening import log_of

    revoke_token(store, name, logged=log_of(store), by=by)
    say(f"The token of {name} no longer opens the store")
