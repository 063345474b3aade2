"""Fetching against a local server that misbehaves; private addresses are refused, whatever leads to them."""

from __future__ import annotations

import ipaddress
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from catalogue.errors import PictureRefused
from catalogue.fetching import Fetcher, is_public

BODY = bytes(range(256)) * 40


class Handler(BaseHTTPRequestHandler):
    """Each path is one way in which a server can answer."""

    requests: list[str] = []  # noqa: RUF012 - one list for all requests of a test

    def do_GET(self) -> None:
        self.requests.append(self.path)
        action = self.path.strip("/").split("/")[0]
        if action == "missing":
            self.send_error(404)
        elif action == "loop":
            self._redirect("/loop")
        elif action == "onward":
            self._redirect("/picture")
        elif action == "inside":
            self._redirect("http://10.0.0.1/picture")
        elif action == "file":
            self._redirect("file:///etc/passwd")
        elif action == "short":
            self._send(len(BODY) + 5, [BODY])
        elif action == "endless":
            self._send(None, [BODY] * 10_000)
        elif action == "drip":
            self._drip()
        else:
            self._send(len(BODY), [BODY])

    def _redirect(self, target: str) -> None:
        self.send_response(302)
        self.send_header("Location", target)
        self.end_headers()

    def _send(self, length: int | None, parts: list[bytes]) -> None:
        self.send_response(200)
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.end_headers()
        try:
            for part in parts:
                self.wfile.write(part)
        except ConnectionError:
            return  # the reader has had enough

    def _drip(self) -> None:
        try:
            for char in b"HTTP/1.0 200 OK\r\nContent-Type: image/jpeg\r\n":
                self.wfile.write(bytes([char]))
                time.sleep(0.1)
        except ConnectionError:
            return  # the reader has had enough

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    httpd.daemon_threads = True
    thread = threading.Thread(target=httpd.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{httpd.server_port}"
    httpd.shutdown()
    httpd.server_close()


def local_only(address: object) -> bool:
    """Lets the tests reach their own server, and nothing else."""
    return address == ipaddress.ip_address("127.0.0.1")


FETCH = Fetcher(max_bytes=100_000, seconds=1.0, allowed=local_only)


def test_a_picture_is_fetched_also_through_a_redirect(server: str) -> None:
    assert FETCH(f"{server}/picture?size=large") == BODY
    assert FETCH(f"{server}/onward") == BODY


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("missing", "answers 404"),
        ("loop", "redirected more than 5 times"),
        ("inside", "10.0.0.1 lies in a private network"),
        ("file", "is not an http or https address"),
        ("short", r"broke off after 10240 of 10245 bytes"),
        ("endless", "larger than"),
        ("drip", "takes longer than 1 s"),
    ],
)
def test_servers_that_misbehave(server: str, path: str, message: str) -> None:
    with pytest.raises(PictureRefused, match=message):
        FETCH(f"{server}/{path}")


def test_ones_own_network_is_never_asked(server: str) -> None:
    Handler.requests.clear()
    port = server.rpartition(":")[2]
    for host in ("127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0x7f.1", "2130706433"):
        with pytest.raises(PictureRefused, match=r"private network|cannot be reached|not known"):
            Fetcher()(f"http://{host}:{port}/picture")
    assert Handler.requests == []


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1",
        "fc00::1",
        "fec0::1",
        "ff02::1",
        "::ffff:192.168.1.1",
        "64:ff9b::a00:1",
        "2002:a00:1::",
    ],
)
def test_private_addresses(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["93.184.215.14", "2606:2800:21f::1", "::ffff:93.184.215.14"])
def test_public_addresses(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("url", ["ftp://example.com/x", "http://", "http://a:99999/", "http://u:p@example.com/x"])
def test_what_is_no_plain_web_address(url: str) -> None:
    with pytest.raises(PictureRefused, match="address"):
        FETCH(url)
