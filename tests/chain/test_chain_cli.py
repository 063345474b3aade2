"""The commands of a chain, over a folder and over http: what they print, and one sentence for what goes wrong."""

from __future__ import annotations

import contextlib
import functools
import http.server
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from chain_helpers import enrol, fill, held, new_store
from click.testing import CliRunner, Result

from retail_seg.cli import cli, main
from retail_seg.errors import ChainError


def run(*words: object) -> Result:
    """A command, which must go well."""
    found = CliRunner().invoke(cli, [str(word) for word in words], catch_exceptions=False, standalone_mode=False)
    assert found.exception is None
    return found


@pytest.fixture
def centre(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RETAIL_SEG_KEY", str(tmp_path / "own.key"))
    store = new_store(tmp_path / "centre")
    fill(store, 3)
    return store


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    """The address at which the folder `place` is served."""
    (tmp_path / "place").mkdir()
    handler = functools.partial(Quiet, directory=str(tmp_path / "place"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


class Endless(http.server.BaseHTTPRequestHandler):
    """Answers every question with more and more, as a mirror that means ill does."""

    sent = 0

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        with contextlib.suppress(OSError):
            while True:
                Endless.sent += self.wfile.write(b"x" * 2**16)

    def log_message(self, format: str, *args: object) -> None:
        pass


def test_a_server_that_never_ends(tmp_path: Path) -> None:
    pytest.importorskip("aiohttp")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Endless) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        with pytest.raises(ChainError, match=r"head\.json has more than 65,536 bytes"):
            run("follow", f"http://127.0.0.1:{server.server_address[1]}", "--store", tmp_path / "shop")
        server.shutdown()
        thread.join()
    assert 2**16 < Endless.sent < 2**26


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


def test_from_a_key_to_a_shop_and_back(centre: Path, tmp_path: Path) -> None:
    public = run("key", "new").stdout.strip()
    assert run("key", "show").stdout.strip() == public
    place, shop = tmp_path / "place", new_store(tmp_path / "shop")
    assert "snapshot 1 (" in run("publish", place, "--store", centre).stderr
    assert "nothing is new since snapshot 1" in run("publish", place, "--store", centre).stderr
    said = run("follow", place, "--store", shop, "--key", public).stderr
    assert "stands on snapshot 1:" in said and "3 products and 6 references" in said and "trusted" not in said
    enrol(centre, "p1", "p1 more")
    run("publish", place, "--store", centre)
    assert "1 references new" in run("follow", "--store", shop).stderr and held(shop) == held(centre)
    assert "stands on the latest snapshot, 2:" in run("follow", "--store", shop).stderr
    run("follow", "--back", "--store", shop)
    status = run("follow", "--status", "--store", shop)
    assert json.loads(status.stdout)["held"] == 2 and "2 was left with --back" in status.stderr
    assert "--again takes it" in run("follow", "--store", shop).stderr
    assert "snapshot 2:" in run("follow", "--again", "--store", shop).stderr
    run("follow", "--stop", "--store", shop)
    with pytest.raises(ChainError, match="follows nobody"):
        run("follow", "--status", "--store", shop)


def test_over_http(centre: Path, tmp_path: Path, served: str) -> None:
    pytest.importorskip("aiohttp")
    run("key", "new")
    shop = new_store(tmp_path / "shop")
    with pytest.raises(ChainError, match="no snapshot is published there"):
        run("follow", served, "--store", shop)
    run("publish", tmp_path / "place", "--store", centre)
    said = run("follow", served, "--store", shop).stderr
    assert "is trusted from now on; compare it with the centre's" in said and held(shop) == held(centre)


def test_where_nothing_listens(
    centre: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("aiohttp")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    shop = tmp_path / "shop"
    monkeypatch.setattr("sys.argv", ["retail-seg", "follow", address, "--store", str(shop)])
    with pytest.raises(SystemExit) as end:
        main()
    said = capsys.readouterr().err
    assert end.value.code == 2 and said.startswith(f"Error: {address}: cannot be reached") and said.count("\n") == 1
    assert not shop.exists()


def test_without_a_key_there_is_nothing_to_publish_with(centre: Path, tmp_path: Path) -> None:
    with pytest.raises(ChainError, match=r"own\.key: no key can be read there.*see `retail-seg key --help`"):
        run("publish", tmp_path / "place", "--store", centre)
    assert not (tmp_path / "place").exists()


def test_a_passphrase_from_the_environment(centre: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["key", "new", "--passphrase"]
    CliRunner().invoke(cli, words, input="sesame\nsesame\n", catch_exceptions=False, standalone_mode=False)
    monkeypatch.setenv("RETAIL_SEG_PASSPHRASE", "sesame")
    assert "snapshot 1" in run("publish", tmp_path / "place", "--store", centre).stderr
    monkeypatch.setenv("RETAIL_SEG_PASSPHRASE", "other")
    with pytest.raises(ChainError, match="passphrase is wrong"):
        run("publish", tmp_path / "place", "--store", centre)


def test_ways_that_exclude_each_other(tmp_path: Path) -> None:
    found = CliRunner().invoke(cli, ["follow", "--back", "--stop", "--store", str(tmp_path)])
    assert found.exit_code == 2 and "give one of them" in found.output


def test_a_new_store_is_made_of_a_snapshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the embedder that the program ships: found by its name, and refused where it is another one's."""
    from catalogue import Catalogue
    from retail_seg.matcher import Matcher
    from retail_seg.store.opening import CATALOGUE

    monkeypatch.setenv("RETAIL_SEG_KEY", str(tmp_path / "own.key"))
    run("key", "new")
    place, shop = tmp_path / "place", tmp_path / "shop"
    Matcher.create(tmp_path / "centre", index="hnsw").close()
    run("publish", place, "--store", tmp_path / "centre")
    run("follow", place, "--store", shop)
    with Catalogue.open(shop / CATALOGUE) as mine, Catalogue.open(tmp_path / "centre" / CATALOGUE) as theirs:
        assert (mine.embedder, mine.dim) == (theirs.embedder, theirs.dim) and mine.identity != theirs.identity
        assert mine.get_setting("index") == "hnsw" and mine.get_setting("embedder_name") == "retail-vgg"
    other = new_store(tmp_path / "other")
    with Catalogue.open(other / CATALOGUE) as catalogue:
        catalogue.set_setting("embedder_name", "retail-vgg")
    run("publish", tmp_path / "elsewhere", "--store", other)
    with pytest.raises(ChainError, match="is of embedder retail-vgg:patches-4, the program here has retail-vgg:"):
        run("follow", tmp_path / "elsewhere", "--store", tmp_path / "third")
    assert not (tmp_path / "third").exists()
