"""The client gives what the Matcher gives, waits when it is asked to, and does nothing twice."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from api_helpers import ARTICLES, Api, picture_of

from catalogue import Product
from retail_seg import Client, Matcher, load_photo
from retail_seg.api.client import ApiError, Unreachable
from retail_seg.errors import PhotoError
from retail_seg.photos.load import encode_picture
from retail_seg.rendering.assortment import demo_photos


@pytest.fixture(scope="module")
def client(api: Api) -> Client:
    return Client(api.url, api.tokens["manager"])


def test_scan_and_match_give_what_the_matcher_gives(api: Api, client: Client, tmp_path: Path) -> None:
    photo, crop = tmp_path / "photo.jpg", tmp_path / "crop.jpg"
    photo.write_bytes(encode_picture(demo_photos(1)[0].scene.photo))
    crop.write_bytes(picture_of(0))
    with Matcher.open(api.service.store) as matcher:
        here, named = matcher.scan(photo), matcher.match([load_photo(crop)])[0]
    there = client.scan(photo)
    assert there.to_dict() == here.to_dict() and there.counts == here.counts and there.names == here.names
    assert client.match([crop])[0].to_dict() == named.to_dict() and client.match([crop])[0].name == named.name
    with crop.open("rb") as file:
        assert client.match([file, load_photo(crop), crop.read_bytes()], top=1)[1].matches[0].sku == ARTICLES[0].sku


def test_enrol_adds_then_updates(api: Api, client: Client) -> None:
    first = client.enrol(Product("C-1", "One", attributes={"a": "1"}), [picture_of(3)])
    assert len(first) == 1 and client.enrol(Product("C-1", "One"), [picture_of(3)]) == []
    second = client.enrol(Product("C-1", "Two", attributes={"b": "2"}), [picture_of(3), picture_of(3, 1)])
    assert len(second) == 1 and second != first
    with Matcher.open(api.service.store) as matcher:
        assert matcher.catalogue.product("C-1") == Product("C-1", "Two", attributes={"b": "2"})
    with pytest.raises(ApiError, match="is not a picture") as refused:
        client.enrol(Product("C-2"), [b"nothing"])
    assert refused.value.status == 422 and refused.value.type.endswith("photo-unusable")
    with pytest.raises(ApiError, match="SKU"):
        client.ask("GET", "/v1/products/C-2")


def test_what_cannot_be_read_or_reached_is_one_sentence(client: Client, tmp_path: Path) -> None:
    with pytest.raises(PhotoError, match="check the path"):
        client.scan(tmp_path / "nothing.jpg")
    with pytest.raises(Unreachable, match="no address"):
        Client("localhost", "x")
    with pytest.raises(Unreachable, match="no server answers"):
        Client("http://127.0.0.1:9", "x", sleep=lambda seconds: None).scan(b"x")


class Busy(BaseHTTPRequestHandler):
    """Answers what `script` says, one entry a request: a status and its Retry-After; keeps what was asked."""

    script: ClassVar[list[tuple[int, str]]] = []
    asked: ClassVar[list[dict[str, str]]] = []

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.asked.append(dict(self.headers))
        status, after = self.script.pop(0)
        body = json.dumps({"detail": "wait", "references": []}).encode()
        self.send_response(status)
        if after:
            self.send_header("Retry-After", after)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words: Any) -> None:
        """Nothing on stderr."""


@pytest.fixture
def busy() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Busy)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    Busy.asked.clear()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_it_waits_as_long_as_it_is_asked_to_and_keeps_its_key(busy: str) -> None:
    Busy.script = [(503, "7"), (429, "3"), (201, "")]
    slept: list[float] = []
    client = Client(busy, "token", sleep=slept.append)
    assert client.ask("POST", "/v1/products/x/references", {}, once=True)["references"] == []
    assert 7 <= slept[0] <= 9 and 3 <= slept[1] <= 4
    assert len({headers["Idempotency-Key"] for headers in Busy.asked}) == 1


def test_it_gives_up_at_last(busy: str) -> None:
    Busy.script = [(503, "1")] * 3
    with pytest.raises(ApiError, match="wait") as refused:
        Client(busy, "token", attempts=3, sleep=lambda seconds: None).scan(b"x")
    assert refused.value.status == 503 and Busy.script == []
