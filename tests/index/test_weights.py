"""Fetching weights: checked, resumed, refused; against a real server on this machine."""

from __future__ import annotations

import hashlib
import re
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch

from index.errors import WeightsError
from index.vgg import KEPT, VGG16, VGG16Net
from index.weights import SOURCES, WeightsSource, cache_folder, fetch

BODY = bytes(range(256)) * 5000


class Server(ThreadingHTTPServer):
    """Serves `body`; may forget ranges or break off after `cut` bytes. Keeps the Range headers it saw."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.body = BODY
        self.cut: int | None = None
        self.knows_ranges = True
        self.ranges: list[str | None] = []

    def source(self, sha256: str | None = None) -> WeightsSource:
        url = f"http://127.0.0.1:{self.server_address[1]}/models/net.pth"
        return WeightsSource(url, sha256 or hashlib.sha256(self.body).hexdigest(), len(self.body))


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.server.ranges.append(wanted)
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and self.server.knows_ranges else 0
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(self.server.body) - start))
        self.end_headers()
        self.wfile.write(self.server.body[start : self.server.cut])

    def log_message(self, format: str, *args: object) -> None:
        """Quiet: the tests read what the server saw from `ranges`."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_file_is_fetched_once(server: Server, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    path = fetch(server.source(), tmp_path / "deep" / "cache", lambda done, total: seen.append((done, total)))
    assert path.read_bytes() == BODY
    assert seen[-1] == (len(BODY), len(BODY))
    assert fetch(server.source(), path.parent) == path
    assert server.ranges == [None]
    assert [p.name for p in path.parent.iterdir()] == ["net.pth"]


@pytest.mark.parametrize("knows_ranges", [True, False])
def test_a_download_that_broke_off_goes_on(server: Server, tmp_path: Path, knows_ranges: bool) -> None:
    server.knows_ranges = knows_ranges
    server.cut = 600_000
    with pytest.raises(WeightsError, match=r"cannot be fetched .*--weights PATH"):
        fetch(server.source(), tmp_path)
    assert not (tmp_path / "net.pth").exists()
    server.cut = None
    assert fetch(server.source(), tmp_path).read_bytes() == BODY
    assert server.ranges == [None, "bytes=600000-"]


def test_a_wrong_file_is_deleted(server: Server, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="not the published file"):
        fetch(server.source(sha256="0" * 64), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_file_in_the_cache_is_fetched_again(server: Server, tmp_path: Path) -> None:
    (tmp_path / "net.pth").write_bytes(b"damaged")
    assert fetch(server.source(), tmp_path).read_bytes() == BODY


def test_a_leftover_longer_than_the_file_starts_anew(server: Server, tmp_path: Path) -> None:
    (tmp_path / "net.pth.part").write_bytes(BODY + b"more")
    assert fetch(server.source(), tmp_path).read_bytes() == BODY
    assert server.ranges == [None]


def test_offline_says_what_to_do(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    source = WeightsSource(f"http://127.0.0.1:{port}/net.pth", "0" * 64, 10)
    with pytest.raises(WeightsError, match=r"fetch net\.pth on a machine with a network .* --weights PATH") as caught:
        fetch(source, tmp_path)
    assert "\n" not in str(caught.value)


def test_a_cache_that_cannot_be_written_is_one_sentence(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(WeightsError, match="cannot be fetched"):
        fetch(server.source(), tmp_path / "file")


def test_the_cache_folder_follows_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.delenv("RETAIL_SEG_CACHE", raising=False)
    assert cache_folder() == tmp_path / "xdg" / "retail-seg" / "weights"
    monkeypatch.setenv("RETAIL_SEG_CACHE", str(tmp_path / "own"))
    assert cache_folder() == tmp_path / "own" / "weights"


def test_only_the_convolutions_of_a_fetched_vgg_are_kept(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = tmp_path / "whole.pth"
    torch.save({**VGG16Net().state_dict(), "classifier.0.weight": torch.zeros(1000, 1000)}, whole)
    server.body = whole.read_bytes()
    monkeypatch.setenv("RETAIL_SEG_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(SOURCES, "vgg16", server.source())
    first = VGG16.load()
    assert [p.name for p in cache_folder().iterdir()] == [KEPT]
    assert (cache_folder() / KEPT).stat().st_size < 30_000_000
    assert VGG16.load().fingerprint == first.fingerprint
    assert len(server.ranges) == 1


def test_published_sources_are_complete() -> None:
    for source in SOURCES.values():
        assert re.fullmatch(r"[0-9a-f]{64}", source.sha256)
        # torch.hub's file names carry the hash's first eight digits.
        assert f"-{source.sha256[:8]}." in source.file
