"""Findings are told once, signed, in time, and again after a failure."""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta

import pytest
from alert_servers import HERE, Receiver, later
from shelf_helpers import kept

from catalogue.errors import UnknownCheck
from retail_seg.errors import AlertError
from retail_seg.matcher import Matcher
from retail_seg.shelf import alerts, keeping, sending
from retail_seg.shelf.alert_times import BACKOFF, Hours

NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)


# -- once, signed


def test_each_finding_is_told_once_and_signed(matcher: Matcher, receiver: Receiver) -> None:
    secret = alerts.set_webhook(matcher, "ops", receiver.url, private=HERE)
    kept(matcher, "oeel")
    assert alerts.send_due(matcher).sent == 3
    kept(matcher, "oeel")  # the same again: nobody is told twice
    assert alerts.send_due(matcher).sent == 0
    assert [one["data"]["sku"] for one in receiver.bodies] == ["B", "C", "D"]
    assert receiver.bodies[0]["type"] == "shelf.finding" and receiver.bodies[0]["data"]["task"] == 1
    headers, body = receiver.got[0]
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    mac = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{mac}"
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 3


def test_the_signature_is_that_of_the_standards_own_example() -> None:
    headers = sending.signed(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
    )
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_what_is_mended_comes_back_and_is_told_anew(matcher: Matcher, receiver: Receiver) -> None:
    alerts.set_webhook(matcher, "ops", receiver.url, private=HERE)
    for statuses, told in (("oeoo", 1), ("oooo", 0), ("oeoo", 1), ("oloo", 1)):
        kept(matcher, statuses)
        assert alerts.send_due(matcher).sent == told, statuses


def test_what_was_found_before_is_not_told_nor_what_is_mended_meanwhile(matcher: Matcher, receiver: Receiver) -> None:
    kept(matcher, "eooo")
    alerts.set_webhook(matcher, "ops", receiver.url, private=HERE, hours=Hours(quiet="11:00-13:00", zone="UTC"))
    kept(matcher, "oeoo")
    assert alerts.send_due(matcher, moment=NOW).sent == 0  # quiet
    kept(matcher, "ooeo")
    assert alerts.send_due(matcher, moment=later(60 * 24 * 365).replace(hour=14)).sent == 1
    assert [one["data"]["sku"] for one in receiver.bodies] == ["C"]
    assert alerts.list_targets(matcher)[0][1] == {"waiting": 0, "sent": 1, "dead": 0, "over": 1}


def test_a_finding_that_is_not_true_is_not_told(matcher: Matcher, receiver: Receiver) -> None:
    alerts.set_webhook(matcher, "ops", receiver.url, private=HERE)
    saved = kept(matcher, "oeoo")
    keeping.set_task(matcher, saved.opened[0], "not true")
    kept(matcher, "oeoo")
    assert alerts.send_due(matcher).sent == 0 and not receiver.got


# -- again, and given up


def test_a_failure_is_tried_again_later_and_given_up_in_the_end(matcher: Matcher, receiver: Receiver) -> None:
    alerts.set_webhook(matcher, "ops", receiver.url, private=HERE)
    kept(matcher, "eeoo")
    receiver.status = 503
    told = alerts.send_due(matcher)
    assert (told.sent, told.later) == (0, 1) and "ops: localhost answers 503" in told.problems[0]
    assert len(receiver.got) == 1  # a server in trouble is asked once
    moment = datetime.now(UTC)
    for _ in range(2 * len(BACKOFF) + 3):
        moment += timedelta(days=2)
        alerts.send_due(matcher, moment=moment)
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 2
    assert len(receiver.got) == 2 * (len(BACKOFF) + 1)
    letters = alerts.dead_letters(matcher)
    assert len(letters) == 2 and "answers 503" in letters[0].error
    receiver.status = 200
    assert alerts.send_due(matcher, moment=moment + timedelta(days=9)).sent == 0
    assert alerts.revive(matcher) == 2
    assert alerts.send_due(matcher, moment=moment).sent == 2 and not alerts.dead_letters(matcher)


def test_backoff_keeps_quiet_hours() -> None:
    hours = Hours(quiet="22:00-06:30", zone="Europe/Zurich")
    assert hours.again(0, NOW) == NOW + timedelta(minutes=1)
    assert hours.again(4, NOW.replace(hour=14)) == datetime(2026, 11, 27, 5, 30, tzinfo=UTC)
    assert hours.again(len(BACKOFF), NOW) is None


def test_one_process_sends_at_a_time(matcher: Matcher) -> None:
    from retail_seg.system.files import locked

    with locked(matcher.folder / "alerts.lock"), pytest.raises(AlertError, match="just now"):
        alerts.send_due(matcher)


# -- hours


@pytest.mark.parametrize(
    ("hours", "at", "next"),
    [
        (Hours(), "12:00", "12:00"),
        (Hours("22:00-06:30", zone="UTC"), "23:10", "06:30"),
        (Hours("22:00-06:30", zone="UTC"), "06:29", "06:30"),
        (Hours("22:00-06:30", zone="UTC"), "06:30", "06:30"),
        (Hours("12:00-13:00", zone="UTC"), "12:00", "13:00"),
        (Hours("", "07:00", "UTC"), "07:01", "07:00"),
        (Hours("22:00-06:00", "07:00", "Europe/Zurich"), "03:00", "06:00"),
    ],
)
def test_when_an_alert_may_be_told(hours: Hours, at: str, next: str) -> None:
    clock = datetime.strptime(at, "%H:%M")
    moment = NOW.replace(hour=clock.hour, minute=clock.minute)
    found = hours.next(moment)
    assert found.strftime("%H:%M") == next and timedelta(0) <= found - moment < timedelta(days=1)


@pytest.mark.parametrize(
    ("hours", "sentence"),
    [
        (("22-6",), "write it as 07:00"), (("22:00",), "no quiet hours"), (("7:00-7:00",), "begin when they end"),
        (("", "25:00"), "no time of day"), (("22:00-08:00", "07:00"), "falls into the quiet hours"),
        (("", "", "Europe/Nowhere"), "no time zone"), (("", "", "../etc/passwd"), "no time zone"),
    ],
)  # fmt: skip
def test_hours_that_are_none_are_a_sentence(hours: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(AlertError, match=sentence):
        Hours(*hours)


def test_a_digest_tells_all_together_once_a_day(matcher: Matcher, receiver: Receiver) -> None:
    alerts.set_webhook(matcher, "ops", receiver.url, private=HERE, hours=Hours(digest="07:00", zone="UTC"))
    kept(matcher, "eeoo")
    assert alerts.send_due(matcher).sent == 0
    assert alerts.send_due(matcher, moment=later(60 * 24)).sent == 2
    (body,) = receiver.bodies
    assert body["type"] == "shelf.digest" and [one["sku"] for one in body["data"]["findings"]] == ["A", "B"]


def test_targets_are_changed_and_removed(matcher: Matcher, receiver: Receiver) -> None:
    first = alerts.set_webhook(matcher, "ops", receiver.url, private=HERE)
    assert alerts.set_webhook(matcher, "ops", receiver.url + "2", private=HERE) == first
    kept(matcher, "eooo")
    alerts.send_due(matcher)
    alerts.remove_target(matcher, "ops")
    with pytest.raises(UnknownCheck, match="no target of alerts is called ops; set one up"):
        alerts.try_out(matcher, "ops")
    assert alerts.send_due(matcher) == alerts.Told()
    with pytest.raises(AlertError, match="no base64"):
        alerts.set_webhook(matcher, "ops", receiver.url, secret="short")
