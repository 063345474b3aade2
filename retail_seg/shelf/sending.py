"""Alerts on their way out: a signed POST or an e-mail, never into a private network that was not named.

A name is resolved once, all its addresses are checked, and the connection goes to one that was checked, so that a
second answer of the name server cannot lead elsewhere (DNS rebinding). Redirects are not followed. What a server
answers is neither kept nor shown beyond its status.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import http.client
import ipaddress
import re
import secrets
import smtplib
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Any
from urllib.parse import SplitResult, urlsplit

from catalogue.fetching import is_public
from retail_seg.errors import AlertError

SECONDS = 15.0
#: Ports of the ways to a mail server: TLS from the start, STARTTLS, and neither.
MAIL_PORTS = {"smtps": 465, "smtp": 587, "smtp+plain": 25}
_PREFIX = "whsec_"
_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?")


@dataclass(frozen=True)
class Guard:
    """Where may be connected to: `private` names hosts that may lie in a private network; `seconds` for all of it."""

    private: tuple[str, ...] = ()
    seconds: float = SECONDS


def connect(host: str, port: int, guard: Guard) -> socket.socket:
    """A connection to an address of a host that may be connected to; raises AlertError with the reason."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise AlertError(f"{host} is not known to the name server; check the address") from None
    addresses = [str(entry[4][0]).partition("%")[0] for entry in found]
    if host.lower() not in guard.private:
        for address in addresses:
            if not is_public(ipaddress.ip_address(address)):
                raise AlertError(
                    f"{host} lies in a private network ({address}); allow it by name (--allow-private {host}), or send "
                    "elsewhere"
                )
    try:
        return socket.create_connection((addresses[0], port), timeout=guard.seconds)
    except OSError as error:
        raise AlertError(f"{host} cannot be reached ({error.strerror or error})") from None


@contextmanager
def _within(seconds: float, sock: socket.socket) -> Iterator[None]:
    """Cut a connection after so many seconds: its own timeout starts anew with each byte of a server that drips."""

    def cut() -> None:
        try:
            sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # closed meanwhile, which is all that is wanted

    timer = threading.Timer(seconds, cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


# -- webhooks


def new_secret() -> str:
    """A secret to sign with, as Standard Webhooks writes it: `whsec_` and 32 random bytes in base64."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def check_secret(secret: str) -> bytes:
    """The bytes of a secret; raises AlertError for none, or one that can be guessed."""
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) < 24:
        raise AlertError("the secret is no base64 of at least 24 bytes; leave it out, and one is made")
    return key


def signed(secret: str, id: str, moment: int, body: bytes) -> dict[str, str]:
    """The headers that prove who sent a body and when (Standard Webhooks 1.0, standardwebhooks.com).

    `webhook-signature` is "v1," and the base64 of HMAC-SHA256, by the secret's bytes, over "ID.MOMENT.BODY", where ID
    is `webhook-id`, the same each time that one alert is tried, and MOMENT `webhook-timestamp`, in seconds since 1970.
    """
    mac = hmac.new(check_secret(secret), f"{id}.{moment}.".encode() + body, hashlib.sha256).digest()
    return {
        "webhook-id": id,
        "webhook-timestamp": str(moment),
        "webhook-signature": f"v1,{base64.b64encode(mac).decode()}",
    }


def check_url(url: str) -> SplitResult:
    """The parts of a web address that can be posted to; raises AlertError with the reason for others."""
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError:
        raise AlertError(f"{url}: is no web address") from None
    if parts.scheme.lower() not in ("http", "https") or not parts.hostname or port == 0:
        raise AlertError(f"{url}: is not an http or https address")
    if parts.username is not None or parts.password is not None:
        raise AlertError(f"{parts.hostname}: has a name and password in its address; leave them out, alerts are signed")
    if any(ord(char) <= 32 or ord(char) > 126 for char in parts.path + parts.query + parts.hostname):
        raise AlertError(f"{url}: has blanks or special characters; write them percent-encoded")
    return parts


def post(url: str, body: bytes, headers: dict[str, str], guard: Guard) -> None:
    """Post JSON; raises AlertError unless the server answers with a status from 200 to 299."""
    parts = check_url(url)
    host, secure = parts.hostname or "", parts.scheme.lower() == "https"
    port = parts.port or (443 if secure else 80)
    ends = time.monotonic() + guard.seconds
    plain = connect(host, port, guard)
    connection = http.client.HTTPConnection(host, port)
    if secure and port == 443:
        connection.default_port = port  # else the Host header would name it
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    said = {"User-Agent": "retail-seg", "Content-Type": "application/json", "Connection": "close", **headers}
    try:
        with _within(max(ends - time.monotonic(), 0.1), plain):
            connection.sock = _secured(plain, host) if secure else plain
            connection.request("POST", path, body=body, headers=said)
            status = connection.getresponse().status
    except (OSError, http.client.HTTPException, ValueError, AttributeError) as error:
        # AttributeError: http.client reads on from a socket that the timer has closed
        raise AlertError(_broken(host, error, ends, guard)) from None
    finally:
        connection.close()
        plain.close()
    if 300 <= status < 400:
        raise AlertError(f"{host} answers {status} and sends elsewhere, which is not followed; give the final address")
    if not 200 <= status < 300:
        raise AlertError(f"{host} answers {status}")


def _secured(plain: socket.socket, host: str) -> ssl.SSLSocket:
    return ssl.create_default_context().wrap_socket(plain, server_hostname=host)


def _broken(host: str, error: Exception, ends: float, guard: Guard) -> str:
    if time.monotonic() >= ends or isinstance(error, TimeoutError):
        return f"{host} takes longer than {guard.seconds:g} s"
    return f"{host}: the connection broke off ({error or type(error).__name__})"


# -- e-mail


def check_mail(server: str, sender: str, to: Sequence[str]) -> SplitResult:
    """The parts of a mail server's address; raises AlertError for one, or for people, that cannot be written to."""
    try:
        parts = urlsplit(server.strip())
        port = parts.port
    except ValueError:
        raise AlertError(f"{server}: is no address of a mail server; write it as smtps://mail.example:465") from None
    if parts.scheme not in MAIL_PORTS or not parts.hostname or port == 0 or parts.path.strip("/") or parts.password:
        raise AlertError(
            f"{parts.scheme}://{parts.hostname or ''}: is no address of a mail server; write smtps://NAME@HOST (TLS), "
            "smtp://NAME@HOST (STARTTLS) or smtp+plain://HOST (neither); the password is RETAIL_SEG_SMTP_PASS"
        )
    if parts.scheme == "smtp+plain" and parts.username:
        raise AlertError("smtp+plain would send the password readable to all between; use smtps:// or smtp://")
    if wrong := [one for one in (sender, *to) if not _ADDRESS.fullmatch(one)]:
        raise AlertError(f"{wrong[0]!r} is no e-mail address")
    if not to:
        raise AlertError("nobody is named to write to; give at least one e-mail address")
    return parts


class _Guarded(smtplib.SMTP):
    """An SMTP client that connects only where the guard lets it, to an address that was checked."""

    def __init__(self, host: str, port: int, guard: Guard, *, secure: bool) -> None:
        self._guard, self._secure = guard, secure
        super().__init__(host, port, timeout=guard.seconds)

    def _get_socket(self, host: str, port: int, timeout: float) -> Any:
        plain = connect(host, port, self._guard)
        return _secured(plain, host) if self._secure else plain


def mail(server: str, password: str, message: EmailMessage, to: Sequence[str], guard: Guard) -> str:
    """Send an e-mail; returns whom the server refused, in words, and raises AlertError where it took nobody."""
    parts = check_mail(server, str(message["From"]), to)
    host, port = parts.hostname or "", parts.port or MAIL_PORTS[parts.scheme]
    ends = time.monotonic() + guard.seconds
    try:
        with _Guarded(host, port, guard, secure=parts.scheme == "smtps") as client:
            assert client.sock is not None
            with _within(max(ends - time.monotonic(), 0.1), client.sock):
                if parts.scheme == "smtp":
                    client.starttls(context=ssl.create_default_context())
                if parts.username:
                    client.login(parts.username, password)
                refused = client.send_message(message, to_addrs=list(to))
    except smtplib.SMTPAuthenticationError:
        raise AlertError(f"{host} does not take the name and password; set RETAIL_SEG_SMTP_PASS") from None
    except (OSError, ValueError, AttributeError) as error:  # SMTPException is an OSError
        raise AlertError(_broken(host, error, ends, guard)) from None
    return f"{host} refused {', '.join(sorted(refused))}" if refused else ""
