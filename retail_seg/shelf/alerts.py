"""Findings are told where a manager wants them told: each once, in time, again where a server did not take them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from catalogue import alerts as kept
from catalogue.alerts import Alert, Target
from catalogue.records import clean_text
from retail_seg.errors import AlertError
from retail_seg.people.roles import NotAllowed, acting, require, sign
from retail_seg.shelf import sending
from retail_seg.shelf.alert_texts import EXAMPLE, as_csv, as_json, as_mail
from retail_seg.shelf.alert_times import Hours
from retail_seg.shelf.sending import Guard
from retail_seg.system.files import locked
from retail_seg.system.settings import settings

if TYPE_CHECKING:
    from retail_seg.matcher import Matcher

KINDS = ("webhook", "email", "csv")
#: Entries of a target's settings that nobody is shown.
SECRET = ("secret",)


@dataclass(frozen=True)
class Told:
    """What came of sending: findings told, findings that are tried again later and given up, and why, in sentences."""

    sent: int = 0
    later: int = 0
    dead: int = 0
    problems: tuple[str, ...] = ()

    def __add__(self, other: Told) -> Told:
        numbers = self.sent + other.sent, self.later + other.later, self.dead + other.dead
        return Told(*numbers, (*self.problems, *other.problems))


# -- where to


def set_webhook(
    matcher: Matcher, name: str, url: str, *, secret: str = "", hours: Hours | None = None,
    private: Sequence[str] = (), by: str = "",
) -> str:  # fmt: skip
    """Tell findings to a web address by signed POST, see `sending.signed`; returns the secret, which is made if not
    given. `private` names hosts that may lie in a private network: only the user of this computer may name any.

    A webhook of this name keeps the secret that it has. Raises AlertError. Only a manager may.
    """
    by = sign("manager", by)
    sending.check_url(url)
    before = next((one for one in kept.targets(matcher.catalogue) if one.name == name and one.kind == "webhook"), None)
    secret = secret or (before.settings["secret"] if before else sending.new_secret())
    sending.check_secret(secret)
    _put(matcher, name, "webhook", {"url": url.strip(), "secret": secret}, hours, private, by)
    return secret


def set_email(
    matcher: Matcher, name: str, to: Sequence[str], server: str, sender: str, *, hours: Hours | None = None,
    private: Sequence[str] = (), by: str = "",
) -> None:  # fmt: skip
    """Tell findings by e-mail, those of one sending together; the password is the environment's, it is not kept.

    Raises AlertError; `private` and who may are as in `set_webhook`.
    """
    by = sign("manager", by)
    sending.check_mail(server, sender, to)
    _put(matcher, name, "email", {"server": server.strip(), "sender": sender, "to": list(to)}, hours, private, by)


def set_csv(matcher: Matcher, name: str, path: Path, *, hours: Hours | None = None, by: str = "") -> None:
    """Append findings to a CSV file. Raises AlertError. Only a manager may who is the user of this computer."""
    by = sign("manager", by)
    _this_computer("write to a file")
    if not path.absolute().parent.is_dir():
        raise AlertError(f"{path.absolute().parent}: no such folder; make it, or write elsewhere")
    _put(matcher, name, "csv", {"path": str(path.absolute())}, hours, (), by)


def _put(
    matcher: Matcher, name: str, kind: str, values: Mapping[str, Any], hours: Hours | None, private: Sequence[str],
    by: str,
) -> None:  # fmt: skip
    if not clean_text(name) or name != clean_text(name):
        raise AlertError(f"{name!r} is no name of a target; give a word")
    if private:
        _this_computer("allow a private network")
    hours = hours or Hours()
    told = {**values, "quiet": hours.quiet, "digest": hours.digest, "zone": hours.zone}
    told["private"] = sorted({one.lower() for one in private})
    found = kept.put_target(matcher.catalogue, name, kind, told, by=by)
    kept.reschedule(matcher.catalogue, found.id, _iso(hours.next(datetime.now(UTC))))


def _this_computer(what: str) -> None:
    if not acting().local:
        raise NotAllowed(f"only the user of this computer may {what}; use `retail-seg alert set` where the store lies")


def remove_target(matcher: Matcher, name: str, *, by: str = "") -> None:
    """Tell a target nothing more; raises UnknownCheck. Only a manager may."""
    kept.remove_target(matcher.catalogue, name, by=sign("manager", by))


def list_targets(matcher: Matcher) -> list[tuple[Target, dict[str, int]]]:
    """All targets by name, without their secrets, each with how many of its alerts are in each state."""
    found = kept.targets(matcher.catalogue)
    return [(_without_secrets(one), kept.counts(matcher.catalogue, one.id)) for one in found]


def _without_secrets(target: Target) -> Target:
    return replace(target, settings={name: value for name, value in target.settings.items() if name not in SECRET})


def dead_letters(matcher: Matcher) -> list[Alert]:
    """The alerts that were given up, with their last error, the latest first."""
    return kept.dead(matcher.catalogue)


def revive(matcher: Matcher, *, by: str = "") -> int:
    """Try again all that was given up; returns how many. Only a manager may."""
    return kept.revive(matcher.catalogue, by=sign("manager", by))


# -- telling


def send_due(matcher: Matcher, *, moment: datetime | None = None) -> Told:
    """Tell every target what it has not been told and may be told now; what fails is tried again, see `Hours.again`.

    To be called every minute or so, and after a check. Raises AlertError where another process is at it. Only staff
    may.
    """
    require("staff")
    moment = moment or datetime.now(UTC)
    try:
        with locked(matcher.folder / "alerts.lock", wait=False):
            return sum((_tell(matcher, one, moment) for one in kept.targets(matcher.catalogue)), Told())
    except BlockingIOError:
        raise AlertError("alerts of this store are being sent just now; nothing is to be done") from None


def try_out(matcher: Matcher, name: str) -> None:
    """Tell a target an example at once, whatever its hours; raises AlertError, UnknownCheck. Only a manager may."""
    require("manager")
    found = kept.target(matcher.catalogue, name)
    _SENDERS[found.kind](found.settings, (EXAMPLE,), "shelf.test", f"test-{datetime.now(UTC).timestamp():.3f}")


def _tell(matcher: Matcher, target: Target, moment: datetime) -> Told:
    hours = _hours(target)
    kept.queue(matcher.catalogue, target, _iso(hours.next(moment)))
    if hours.quiet_at(moment):
        return Told()
    due = kept.waiting(matcher.catalogue, target.id, _iso(moment))
    one_by_one = target.kind == "webhook" and not hours.digest
    told = Told()
    for part in [(alert,) for alert in due] if one_by_one else [tuple(due)] if due else []:
        told += (came := _tried(matcher, target, part, hours, moment))
        if came.problems and not came.sent:
            break  # a server that is away is asked once; the others wait for the next time
    return told


def _tried(matcher: Matcher, target: Target, alerts: Sequence[Alert], hours: Hours, moment: datetime) -> Told:
    kind = "shelf.digest" if hours.digest else "shelf.finding"
    try:
        note = _SENDERS[target.kind](target.settings, alerts, kind, _id(matcher, target, alerts))
    except AlertError as error:
        came = [_failed(matcher, alert, f"{target.name}: {error}", hours, moment) for alert in alerts]
        return Told(0, came.count(False), came.count(True), (f"{target.name}: {error}",))
    kept.sent(matcher.catalogue, [alert.id for alert in alerts], note)
    return Told(len(alerts), problems=(f"{target.name}: {note}",) if note else ())


def _failed(matcher: Matcher, alert: Alert, error: str, hours: Hours, moment: datetime) -> bool:
    """Keep why an alert failed; whether it is given up."""
    later = hours.again(alert.attempts, moment)
    kept.failed(matcher.catalogue, alert.id, error, _iso(later) if later else "")
    return later is None


def _id(matcher: Matcher, target: Target, alerts: Sequence[Alert]) -> str:
    """The same each time that the same findings are told, for a receiver that had them already."""
    told = f"{matcher.identity}/{target.id}/{','.join(str(alert.id) for alert in alerts)}"
    return hashlib.sha256(told.encode()).hexdigest()[:32]


def _webhook(values: Mapping[str, Any], alerts: Sequence[Alert], kind: str, id: str) -> str:
    moment = datetime.now(UTC)
    body = as_json(kind, alerts, moment)
    headers = sending.signed(values["secret"], id, int(moment.timestamp()), body)
    sending.post(values["url"], body, headers, Guard(tuple(values["private"])))
    return ""


def _email(values: Mapping[str, Any], alerts: Sequence[Alert], kind: str, id: str) -> str:
    message = as_mail(values["sender"], values["to"], alerts, id)
    return sending.mail(values["server"], settings().smtp_pass, message, values["to"], Guard(tuple(values["private"])))


def _csv(values: Mapping[str, Any], alerts: Sequence[Alert], kind: str, id: str) -> str:
    """All rows in one write, so that a full disk leaves no half of one unnoticed."""
    path = Path(values["path"])
    try:
        with path.open("ab") as file:
            file.write(as_csv(alerts, header=file.tell() == 0).encode())
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise AlertError(f"{path}: cannot be written ({error.strerror or error})") from None
    return ""


_SENDERS: dict[str, Callable[[Mapping[str, Any], Sequence[Alert], str, str], str]] = {
    "webhook": _webhook,
    "email": _email,
    "csv": _csv,
}


def _hours(target: Target) -> Hours:
    return Hours(target.settings["quiet"], target.settings["digest"], target.settings["zone"])


def _iso(moment: datetime) -> str:
    """As the catalogue writes times, so that they compare as texts."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")
