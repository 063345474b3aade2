"""Servers that alerts are sent to: they keep what they are given."""

from __future__ import annotations

import json
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

#: What may lie in a private network here.
HERE = ("localhost",)


class Receiver(ThreadingHTTPServer):
    """A web server that keeps what is posted to it and answers with `status`; over TLS where it gets a context."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.scheme = "http" if context is None else "https"
        if context is not None:
            self.socket = context.wrap_socket(self.socket, server_side=True)
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.status, self.location = 204, ""

    @property
    def url(self) -> str:
        return f"{self.scheme}://localhost:{self.server_port}/hook"

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


class Post(socketserver.ThreadingTCPServer):
    """A mail server that keeps what it is given and refuses `bad`; with a context it speaks TLS from the start, or
    once it is asked to (`later`).
    """

    def __init__(self, context: ssl.SSLContext | None = None, *, later: bool = False) -> None:
        super().__init__(("127.0.0.1", 0), _Talk)
        self.letters: list[str] = []
        self.context, self.logins = (context if later else None), 0
        if context is not None and not later:
            self.socket = context.wrap_socket(self.socket, server_side=True)


class _Talk(socketserver.StreamRequestHandler):
    server: Post

    def handle(self) -> None:
        self.wfile.write(b"220 here\r\n")
        while line := self.rfile.readline():
            word = line.split()[0].upper() if line.split() else b""
            if word == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                text = b"".join(iter(self.rfile.readline, b".\r\n"))
                self.server.letters.append(text.decode())
            self.server.logins += word == b"AUTH"
            self.wfile.write(self._answer(word, line) + b"\r\n")
            if word == b"STARTTLS" and self.server.context is not None:
                self._secure(self.server.context)
            if word == b"QUIT":
                return

    def _answer(self, word: bytes, line: bytes) -> bytes:
        if word == b"EHLO":
            return b"250-here\r\n250-AUTH PLAIN\r\n250 STARTTLS"
        known = {b"QUIT": b"221 bye", b"AUTH": b"235 in", b"STARTTLS": b"220 go on"}
        return b"550 no" if b"bad@" in line else known.get(word, b"250 fine")

    def _secure(self, context: ssl.SSLContext) -> None:
        self.request = context.wrap_socket(self.request, server_side=True)
        self.rfile, self.wfile = self.request.makefile("rb"), self.request.makefile("wb", buffering=0)


def later(minutes: float) -> datetime:
    return datetime.now(UTC) + timedelta(minutes=minutes)
