"""The command `alert`: where findings of kept checks are told, telling them, and what could not be told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from retail_seg.cli.common import json_option, say, store_option
from retail_seg.cli.rows import by_option, list_rows

if TYPE_CHECKING:
    from catalogue.alerts import Alert, Target


@click.group()
def alert() -> None:
    """Tell findings of checks that are kept (`check --keep`), each once: by webhook, e-mail or CSV.

    Let a timer call `retail-seg alert send` every minute or so; it tells what is due and tries again what failed.
    """


@alert.command("set")
@click.argument("name")
@store_option
@click.option("--webhook", default="", metavar="URL", help="POST each finding there as JSON, signed with HMAC-SHA256.")
@click.option(
    "--secret", default="", help="With --webhook: base64 to sign with.  [default: its own, made the first time]"
)
@click.option(
    "--email", "to", multiple=True, metavar="ADDRESS", help="Write to this address; may be given several times."
)
@click.option("--smtp", default="", metavar="SERVER", help="With --email: smtps://NAME@HOST, smtp:// or smtp+plain://; "
              "the password is RETAIL_SEG_SMTP_PASS.")  # fmt: skip
@click.option("--sender", default="", metavar="ADDRESS", help="With --email: the address that it comes from.")
@click.option(
    "--csv", "csv_file", type=click.Path(path_type=Path, dir_okay=False), help="Append a row per finding here."
)
@click.option("--quiet", default="", metavar="FROM-TO", help="Tell nothing in these hours, such as 22:00-06:30.")
@click.option("--digest", default="", metavar="TIME", help="Tell all together once a day, such as 07:00.")
@click.option("--zone", default="", help="Time zone of both, such as Europe/Zurich.  [default: this computer's]")
@click.option("--allow-private", "private", multiple=True, metavar="HOST", help="HOST may lie in a private network.")
@click.option("--remove", is_flag=True, help="Tell NAME nothing more.")
@by_option
def set_(
    name: str, store: Path, webhook: str, secret: str, to: tuple[str, ...], smtp: str, sender: str,
    csv_file: Path | None, quiet: str, digest: str, zone: str, private: tuple[str, ...], remove: bool, by: str,
) -> None:  # fmt: skip
    """Say what the target NAME is told from now on, and how: one of --webhook, --email and --csv.

    A webhook's requests carry webhook-id, webhook-timestamp and webhook-signature, as standardwebhooks.com describes.
    """
    from retail_seg.matcher import Matcher
    from retail_seg.shelf import alerts
    from retail_seg.shelf.alert_times import Hours

    if sum((bool(webhook), bool(to), csv_file is not None, remove)) != 1:
        raise click.UsageError("give one of --webhook, --email, --csv and --remove")
    hours = Hours(quiet, digest, zone)
    with Matcher.open(store) as matcher:
        if remove:
            alerts.remove_target(matcher, name, by=by)
        elif webhook:
            secret = alerts.set_webhook(matcher, name, webhook, secret=secret, hours=hours, private=private, by=by)
            say("The receiver checks the signatures with this secret, which is not shown again:")
            click.echo(secret)
        elif to:
            alerts.set_email(matcher, name, to, smtp, sender, hours=hours, private=private, by=by)
        else:
            assert csv_file is not None
            alerts.set_csv(matcher, name, csv_file, hours=hours, by=by)
    say(f"{name} is told nothing more" if remove else f"{name} is told what is found from now on")


@alert.command("list")
@store_option
@json_option
def list_(store: Path, json_file: Path | None) -> None:
    """List who is told, and how many findings were told, wait, or were given up."""
    from retail_seg.matcher import Matcher
    from retail_seg.shelf import alerts

    with Matcher.open(store) as matcher:
        for _ in list_rows(alerts.list_targets(matcher), json_file, to_dict=_target_dict, text=_target_text):
            pass


@alert.command()
@click.argument("name")
@store_option
def test(name: str, store: Path) -> None:
    """Send an example to the target NAME now."""
    from retail_seg.matcher import Matcher
    from retail_seg.shelf import alerts

    with Matcher.open(store) as matcher:
        alerts.try_out(matcher, name)
    say(f"{name} took an example")


@alert.command()
@store_option
def send(store: Path) -> int:
    """Tell every target what is due now; exit code 1 where one did not take it."""
    from retail_seg.matcher import Matcher
    from retail_seg.shelf import alerts

    with Matcher.open(store) as matcher:
        told = alerts.send_due(matcher)
    for problem in told.problems:
        say(f"Error: {problem}")
    say(f"{told.sent} findings told, {told.later} are tried again, {told.dead} given up (see `retail-seg alert dead`)")
    return int(bool(told.problems))


@alert.command()
@store_option
@click.option("--again", is_flag=True, help="Try all of them again.")
@json_option
@by_option
def dead(store: Path, again: bool, json_file: Path | None, by: str) -> None:
    """List the findings that could not be told and were given up, and why."""
    from retail_seg.matcher import Matcher
    from retail_seg.shelf import alerts

    with Matcher.open(store) as matcher:
        if again:
            say(f"{alerts.revive(matcher, by=by)} are tried again by the next `retail-seg alert send`")
            return
        count = sum(1 for _ in list_rows(alerts.dead_letters(matcher), json_file, to_dict=asdict, text=_dead_text))
    say(f"{count} given up")


def _target_dict(found: tuple[Target, dict[str, int]]) -> dict[str, Any]:
    return {**asdict(found[0]), "alerts": found[1]}


def _target_text(found: tuple[Target, dict[str, int]]) -> Iterator[str]:
    target, counts = found
    values = target.settings
    where = values.get("url") or values.get("path") or f"{', '.join(values['to'])} by {values['server']}"
    hours = "".join(f", {name} {values[name]}" for name in ("quiet", "digest", "zone") if values[name])
    told = ", ".join(f"{number} {state}" for state, number in counts.items() if number)
    yield f"{target.name}  {target.kind} {where}{hours}: {told or 'nothing yet'}"


def _dead_text(one: Alert) -> Iterator[str]:
    yield f"{one.id:6} {one.target}: {one.details['fixture']}, {one.details['text']}; {one.attempts} tries, {one.error}"
