"""Alerts go into no private network that was not named, and over TLS only to who is who they say."""

from __future__ import annotations

import socket
import socketserver
import threading
from pathlib import Path
from typing import Any

import pytest
from alert_servers import HERE, Post, Receiver, serving
from certificates import certificates

from retail_seg.errors import AlertError
from retail_seg.matcher import Matcher
from retail_seg.people.roles import NotAllowed, Person, acting_as
from retail_seg.shelf import alerts, sending
from retail_seg.shelf.sending import Guard


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


# -- TLS


def test_a_webhook_over_tls_reaches_who_is_who_they_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = certificates(tmp_path, "localhost")
    with serving(Receiver(found.context())) as server:
        with pytest.raises(AlertError, match=r"localhost: the connection broke off .*certificate"):
            sending.post(server.url, b"{}", {}, Guard(HERE))  # an authority that nobody knows
        assert not server.got
        monkeypatch.setenv("SSL_CERT_FILE", str(found.authority))
        sending.post(server.url, b'{"a": 1}', {}, Guard(HERE))
        assert [body for _, body in server.got] == [b'{"a": 1}']


@pytest.mark.parametrize(("name", "days"), [("other.example", 1), ("localhost", -1)])
def test_no_webhook_goes_to_another_name_nor_by_an_old_certificate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, days: int
) -> None:
    found = certificates(tmp_path, name, days=days)
    monkeypatch.setenv("SSL_CERT_FILE", str(found.authority))
    with serving(Receiver(found.context())) as server, pytest.raises(AlertError, match="broke off"):
        sending.post(server.url, b"{}", {}, Guard(HERE))
    assert not server.got


@pytest.mark.parametrize("scheme", ["smtps", "smtp"])
def test_mail_goes_over_tls_and_the_password_only_there(
    matcher: Matcher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    found = certificates(tmp_path, "localhost")
    monkeypatch.setenv("RETAIL_SEG_SMTP_PASS", "hush")
    with serving(Post(found.context(), later=scheme == "smtp")) as post:
        server = f"{scheme}://me@localhost:{post.server_address[1]}"
        alerts.set_email(matcher, "mail", ["ann@shop.example"], server, "seg@shop.example", private=HERE)
        with pytest.raises(AlertError, match="broke off"):
            alerts.try_out(matcher, "mail")  # an authority that nobody knows
        assert not post.letters and not post.logins
        monkeypatch.setenv("SSL_CERT_FILE", str(found.authority))
        alerts.try_out(matcher, "mail")
        assert len(post.letters) == 1 and post.logins == 1
