"""A real server on a store of a few rendered products, and requests to it as any script sends them."""

from __future__ import annotations

import json
import socket
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import uvicorn

from catalogue import Product
from retail_seg.api.app import build
from retail_seg.api.limits import Capacity
from retail_seg.api.service import Service
from retail_seg.matcher import Matcher
from retail_seg.people.tokens import add_token
from retail_seg.photos.load import encode_picture
from retail_seg.rendering.assortment import Article, articles, references
from retail_seg.store.opening import log_of

ARTICLES = articles()[:4]
JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def problem(self) -> str:
        """The last word of a problem's type; fails for what is no problem."""
        assert self.headers["content-type"] == "application/problem+json", self.body[:300]
        found = self.json
        assert {"type", "title", "status", "detail", "instance"} <= set(found) and found["status"] == self.status
        assert "Traceback" not in found["detail"]
        return str(found["type"]).removeprefix("urn:retail-seg:problem:")


@dataclass(frozen=True)
class Api:
    """A server's address, and the tokens of a viewer, of staff and of a manager."""

    port: int
    tokens: Mapping[str, str]
    service: Service

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        role: str | None = "manager",
        headers: Mapping[str, str] | None = None,
        files: Sequence[tuple[str, str, bytes]] = (),
        fields: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request: `body` as it is (bytes) or as JSON; `files` (field, name, bytes) and `fields` make a form."""
        sent: dict[str, str] = {"Authorization": f"Bearer {self.tokens[role]}"} if role else {}
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        if files or fields:
            data, sent["Content-Type"] = form(files, fields or {})
        elif data is not None:
            sent |= JSON
        connection = HTTPConnection("127.0.0.1", self.port, timeout=120)
        try:
            connection.request(method, path, data, {**sent, **(headers or {})})
            answer = connection.getresponse()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()


def form(files: Sequence[tuple[str, str, bytes]], fields: Mapping[str, str]) -> tuple[bytes, str]:
    """A multipart form, and its content type."""
    border = uuid.uuid4().hex
    parts = [
        f'--{border}\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n'.encode() for k, v in fields.items()
    ]
    for field, name, data in files:
        head = f'--{border}\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\n'
        parts.append(f"{head}Content-Type: application/octet-stream\r\n\r\n".encode() + data + b"\r\n")
    return b"".join(parts) + f"--{border}--\r\n".encode(), f"multipart/form-data; boundary={border}"


def name_of(article: Article) -> str:
    """What is printed on a product."""
    return f"{article.design.name} {article.design.flavour}"


def small_store(folder: Path) -> Path:
    """A store of four products with two pictures each."""
    with Matcher.create(folder) as matcher:
        for article in ARTICLES:
            pictures = [picture for picture, _ in references(article)[:2]]
            matcher.enrol(Product(article.sku, name_of(article), "Brand", "soda"), pictures)
    return folder


def picture_of(number: int, which: int = 0) -> bytes:
    """A picture of one of ARTICLES as the bytes of a JPEG."""
    return encode_picture(references(ARTICLES[number])[which][0])


def tokens_for(store: Path) -> dict[str, str]:
    """A token for each role."""
    return {role: add_token(store, role, role, logged=log_of(store)) for role in ("viewer", "staff", "manager")}


@contextmanager
def served(store: Path, tokens: Mapping[str, str], capacity: Capacity | None = None) -> Iterator[Api]:
    """The store behind a server in a thread of this process, ready when the block begins."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    service = Service(store, capacity or Capacity(rate=0))
    server = uvicorn.Server(uvicorn.Config(build(service), log_config=None, access_log=False))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    until = time.monotonic() + 120
    while not (server.started and service.ready):
        assert time.monotonic() < until and thread.is_alive(), "the server does not start"
        time.sleep(0.02)
    try:
        yield Api(listener.getsockname()[1], tokens, service)
    finally:
        server.should_exit = True
        thread.join(60)
        listener.close()
