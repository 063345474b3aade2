"""Findings are told once, signed, in time, again after a failure, and never into a private network."""

from __future__ import annotations

import base64
import csv
import hashlib
import hmac
import json
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from shelf_helpers import kept, new_store

from catalogue.errors import UnknownCheck
from retail_seg.errors import AlertError
from retail_seg.matcher import Matcher
from retail_seg.people.roles import NotAllowed, Person, acting_as
from retail_seg.shelf import alerts, keeping, sending
from retail_seg.shelf.alert_times import BACKOFF, Hours
from retail_seg.shelf.sending import Guard

HERE = ("localhost",)
NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)


@pytest.fixture
def matcher(tmp_path: Path) -> Iterator[Matcher]:
    with new_store(tmp_path / "store") as found:
        yield found


class Receiver(ThreadingHTTPServer):
    """A web server that keeps what is posted to it and answers with `status`."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.status, self.location = 204, ""

    @property
    def url(self) -> str:
        return f"http://localhost:{self.server_port}/hook"

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.got]


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
        self.send_response(self.server.status)
        if self.server.location:
            self.send_header("Location", self.server.location)
        self.end_headers()

    def log_message(self, *values: Any) -> None:
        pass


@contextmanager
def serving(server: socketserver.BaseServer) -> Iterator[Any]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with serving(Receiver()) as found:
        yield found


def later(minutes: float) -> datetime:
    return datetime.now(UTC) + timedelta(minutes=minutes)


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
    assert alerts.send_due(matcher, moment=later(60 * 24 * 365)).sent == 1
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


# -- private networks


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "[::1]", "2130706433", "0x7f.1", "169.254.169.254", "10.0.0.8", "[::ffff:10.0.0.8]"],
)
def test_no_private_address_is_posted_to(receiver: Receiver, host: str) -> None:
    with pytest.raises(AlertError, match=r"private network|not known"):
        sending.post(f"http://{host}:{receiver.server_port}/", b"{}", {}, Guard())
    assert not receiver.got


def answers(monkeypatch: pytest.MonkeyPatch, *turns: list[str]) -> list[str]:
    """A name server that an attacker owns: each question gets the next answer. Returns the questions."""
    real, asked = socket.getaddrinfo, []

    def answer(host: str, port: int, *values: Any, **named: Any) -> Any:
        if not str(host).endswith(".example"):
            return real(host, port, *values, **named)
        found = turns[min(len(asked), len(turns) - 1)]
        asked.append(str(host))
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in found]

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    return asked


def test_a_name_with_one_private_address_among_others_is_refused(
    monkeypatch: pytest.MonkeyPatch, receiver: Receiver
) -> None:
    answers(monkeypatch, ["93.184.215.14", "127.0.0.1"])
    with pytest.raises(AlertError, match=r"evil\.example lies in a private network \(127\.0\.0\.1\)"):
        sending.post(f"http://evil.example:{receiver.server_port}/", b"{}", {}, Guard())
    assert not receiver.got


def test_the_connection_goes_to_the_address_that_was_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = answers(monkeypatch, ["93.184.215.14"], ["127.0.0.1"])
    went: list[Any] = []

    def create(address: Any, timeout: float) -> Any:
        went.append(address)
        raise OSError(111, "refused")

    monkeypatch.setattr(socket, "create_connection", create)
    with pytest.raises(AlertError, match="cannot be reached"):
        sending.post("http://rebind.example/", b"{}", {}, Guard())
    assert went == [("93.184.215.14", 80)] and asked == ["rebind.example"]


def test_a_redirect_into_the_network_is_not_followed(receiver: Receiver) -> None:
    with serving(Receiver()) as inner:
        receiver.status, receiver.location = 307, f"http://127.0.0.1:{inner.server_port}/"
        with pytest.raises(AlertError, match="answers 307 and sends elsewhere"):
            sending.post(receiver.url, b"{}", {}, Guard(HERE))
        assert len(receiver.got) == 1 and not inner.got


def test_a_server_that_drips_is_cut_off() -> None:
    class Drip(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            try:
                for letter in b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 1000:
                    self.request.sendall(bytes([letter]))
                    threading.Event().wait(0.05)
            except OSError:
                return

    cut_off = pytest.raises(AlertError, match=r"takes longer than 0\.4 s")
    with serving(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Drip)) as server, cut_off:
        sending.post(f"http://localhost:{server.server_address[1]}/", b"{}", {}, Guard(HERE, 0.4))


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("ftp://shop.example/", "not an http or https"), ("shop.example", "not an http or https"),
        ("https://me:pw@shop.example/", "leave them out"), ("https://shop.example/a b", "percent-encoded"),
        ("https://shop.example:99999/", "no web address"), ("https:///x", "not an http or https"),
    ],
)  # fmt: skip
def test_an_address_that_is_none_is_a_sentence(matcher: Matcher, url: str, sentence: str) -> None:
    with pytest.raises(AlertError, match=sentence):
        alerts.set_webhook(matcher, "ops", url)
    assert not alerts.list_targets(matcher)


def test_only_the_user_of_the_computer_opens_its_network_and_files(matcher: Matcher, tmp_path: Path) -> None:
    with acting_as(Person("mara", "manager")):
        alerts.set_webhook(matcher, "fine", "https://shop.example/")
        with pytest.raises(NotAllowed, match="private network"):
            alerts.set_webhook(matcher, "ops", "http://localhost/", private=HERE)
        with pytest.raises(NotAllowed, match="write to a file"):
            alerts.set_csv(matcher, "file", tmp_path / "a.csv")
    for role, call in (("staff", lambda: alerts.revive(matcher)), ("viewer", lambda: alerts.send_due(matcher))):
        with acting_as(Person("x", role)), pytest.raises(NotAllowed):
            call()
    assert [target.name for target, _ in alerts.list_targets(matcher)] == ["fine"]
    assert "secret" not in alerts.list_targets(matcher)[0][0].settings


# -- e-mail and CSV


class Post(socketserver.ThreadingTCPServer):
    """A mail server without encryption that keeps what it is given and refuses `bad`."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Talk)
        self.letters: list[str] = []


class _Talk(socketserver.StreamRequestHandler):
    server: Post

    def handle(self) -> None:
        self.wfile.write(b"220 here\r\n")
        for line in self.rfile:
            word = line.split()[0].upper() if line.split() else b""
            if word == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                text = b"".join(iter(self.rfile.readline, b".\r\n"))
                self.server.letters.append(text.decode())
            answer = b"550 no" if b"bad@" in line else b"221 bye" if word == b"QUIT" else b"250 fine"
            self.wfile.write(answer + b"\r\n")
            if word == b"QUIT":
                return


def test_an_email_lists_what_was_found(matcher: Matcher) -> None:
    with serving(Post()) as post:
        server = f"smtp+plain://localhost:{post.server_address[1]}"
        people = ["ann@shop.example", "bad@shop.example"]
        alerts.set_email(matcher, "mail", people, server, "seg@shop.example", private=HERE)
        kept(matcher, "eleo", shop="North")
        told = alerts.send_due(matcher)
        assert told.sent == 3 and "refused bad@shop.example" in told.problems[0]
        alerts.try_out(matcher, "mail")
    letter = post.letters[0]
    assert "Subject: 3 findings on bay" in letter and "To: ann@shop.example, bad@shop.example" in letter
    assert letter.index("Cocoa is missing") < letter.index("Almond milk is missing") and "bay in North" in letter
    assert "An example is missing" in post.letters[1]


def test_nobody_who_refuses_loses_a_finding(matcher: Matcher) -> None:
    with serving(Post()) as post:
        server = f"smtp+plain://localhost:{post.server_address[1]}"
        alerts.set_email(matcher, "mail", ["bad@shop.example"], server, "seg@shop.example", private=HERE)
        kept(matcher, "eooo")
        assert alerts.send_due(matcher).later == 1


def test_a_mail_server_in_a_private_network_is_refused(matcher: Matcher) -> None:
    with serving(Post()) as post:
        server = f"smtp+plain://localhost:{post.server_address[1]}"
        alerts.set_email(matcher, "mail", ["ann@shop.example"], server, "seg@shop.example")
        with pytest.raises(AlertError, match="private network"):
            alerts.try_out(matcher, "mail")
        assert not post.letters


@pytest.mark.parametrize(
    ("server", "sender", "to", "sentence"),
    [
        ("mail.example", "a@b.example", ["c@d.example"], "no address of a mail server"),
        ("smtps://me:pw@mail.example", "a@b.example", ["c@d.example"], "RETAIL_SEG_SMTP_PASS"),
        ("smtp+plain://me@mail.example", "a@b.example", ["c@d.example"], "readable to all"),
        ("smtps://mail.example", "a@b.example\nBcc: all@x", ["c@d.example"], "no e-mail address"),
        ("smtps://mail.example", "a@b.example", ["not one"], "no e-mail address"),
        ("smtps://mail.example", "a@b.example", [], "nobody is named"),
    ],
)  # fmt: skip
def test_mail_that_cannot_be_sent_is_a_sentence(
    matcher: Matcher, server: str, sender: str, to: list[str], sentence: str
) -> None:
    with pytest.raises(AlertError, match=sentence):
        alerts.set_email(matcher, "mail", to, server, sender)


def test_a_csv_grows_by_a_row_a_finding(matcher: Matcher, tmp_path: Path) -> None:
    path = tmp_path / "findings.csv"
    alerts.set_csv(matcher, "file", path)
    for statuses in ("eooo", "eloo", "oooo"):
        kept(matcher, statuses, shop="=North")
        alerts.send_due(matcher)
    rows = list(csv.DictReader(path.open(newline="")))
    assert [(row["sku"], row["kind"], row["shop"]) for row in rows] == [
        ("A", "empty", "'=North"),
        ("B", "low", "'=North"),
    ]
    path.unlink()
    path.mkdir()
    kept(matcher, "ooeo")
    assert "cannot be written" in alerts.send_due(matcher).problems[0]
    path.rmdir()
    assert alerts.send_due(matcher, moment=later(5)).sent == 1


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
