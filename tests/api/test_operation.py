"""The server in operation: where it may listen, what it logs, what it refuses when it is full, and how it ends."""

from __future__ import annotations

import io
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import pytest
from api_helpers import ARTICLES, Answer, Api, picture_of, served, tokens_for

from retail_seg.api.limits import Capacity
from retail_seg.api.serving import ServeError, check_address, check_certificate, log_to
from retail_seg.people.tokens import last_uses

SKU = ARTICLES[0].sku


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1"])
def test_the_loopback_needs_no_tls(host: str) -> None:
    check_address(host, encrypted=False)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.7", "shop.example"])
def test_another_address_needs_tls_given_or_declared(host: str) -> None:
    with pytest.raises(ServeError, match="in the clear"):
        check_address(host, encrypted=False)
    check_address(host, encrypted=True)


def test_files_that_are_no_certificate_are_one_sentence(tmp_path: Path) -> None:
    for name in ("cert.pem", "key.pem"):
        (tmp_path / name).write_text("no PEM")
    with pytest.raises(ServeError, match="no certificate"):
        check_certificate(tmp_path / "cert.pem", tmp_path / "key.pem")


def test_the_log_has_the_request_s_number_and_neither_photo_nor_token(api: Api) -> None:
    stream, root = io.StringIO(), logging.getLogger()
    before = list(root.handlers)
    log_to(stream, as_json=True)
    try:
        api.ask(
            "POST",
            "/v1/match?x=secret",
            files=[("photo", "private.jpg", picture_of(0))],
            headers={"X-Request-ID": "r1"},
        )
        api.ask("GET", "/v1/products/nothing", headers={"X-Request-ID": "r2"})
        until = time.monotonic() + 20  # a line is written when its answer has gone out
        while '"r2"' not in stream.getvalue() and time.monotonic() < until:
            time.sleep(0.01)
    finally:
        root.handlers[:] = before
    found = [json.loads(line) for line in stream.getvalue().splitlines()]
    first, second = [line for line in found if line.get("request_id") in ("r1", "r2")]
    assert (
        first["path"] == "/v1/match" and first["status"] == 200 and first["who"] == "manager" and first["seconds"] > 0
    )
    assert second["problem"] == "not-found" and second["level"] == "info"
    (batch,) = [line for line in found if line.get("request_ids") == ["r1"]]
    assert batch["what"] == "match" and set(batch["stages"]) == {"decode", "embed", "rank"}
    text = stream.getvalue()
    assert "rseg_" not in text and "private" not in text and "secret" not in text


def test_what_nobody_foresaw_is_a_problem_and_stands_in_the_log(
    api: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*values: object) -> None:
        raise ZeroDivisionError("inner words")

    monkeypatch.setattr("retail_seg.products.browsing.entry", broken)
    found = api.ask("GET", f"/v1/products/{SKU}")
    assert found.status == 500 and found.problem == "program-error" and "inner words" not in found.json["detail"]
    assert found.json["instance"] in caplog.text and "inner words" in caplog.text


def test_a_full_queue_is_said_at_once_and_what_was_taken_is_answered(small: Path) -> None:
    tokens = tokens_for(small)
    with served(small, tokens, Capacity(rate=0, waiting=1, batch=1)) as api:
        go, real = threading.Event(), api.service.work._work
        api.service.work._work = lambda key, photos: (go.wait(60), real(key, photos))[1]  # type: ignore[method-assign]
        answers: list[Answer] = []
        files = [("photo", "a.jpg", picture_of(0))]
        threads = [
            threading.Thread(target=lambda: answers.append(api.ask("POST", "/v1/scan", files=files))) for _ in range(12)
        ]
        for thread in threads:
            thread.start()
        until = time.monotonic() + 60
        while len(answers) < 4 and time.monotonic() < until:
            time.sleep(0.05)
        refused = [one for one in answers if one.status == 503]
        assert len(refused) >= 4 and all(int(one.headers["retry-after"]) >= 1 for one in refused)
        assert refused[0].problem == "busy" and api.ask("GET", f"/v1/products/{SKU}").status == 200
        go.set()
        for thread in threads:
            thread.join(60)
        assert {one.status for one in answers} == {200, 503} and len(answers) == 12
        assert api.ask("POST", "/v1/match", files=files).status == 200


def test_bodies_that_memory_does_not_hold_are_refused_before_they_are_read(small: Path) -> None:
    with served(small, tokens_for(small), Capacity(rate=0, bodies=3 * 10**6)) as api:
        with socket.create_connection(("127.0.0.1", api.port), timeout=30) as slow:
            head = f"POST /v1/match HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {api.tokens['staff']}\r\n"
            slow.sendall(f"{head}Content-Type: application/json\r\nContent-Length: 2000000\r\n\r\n{{".encode())
            until = time.monotonic() + 30
            while not api.service._held and time.monotonic() < until:
                time.sleep(0.02)
            refused = api.ask("POST", "/v1/match", b" " * 1_500_000)
            assert refused.status == 503 and refused.problem == "busy" and refused.headers["retry-after"] == "2"
            assert api.ask("POST", "/v1/match", files=[("photo", "a.jpg", picture_of(0))]).status == 200
        while api.service._held and time.monotonic() < until:
            time.sleep(0.02)
        assert api.ask("POST", "/v1/match", b" " * 1_500_000).problem == "bad-request"


class Process:
    """`retail-seg serve` as it is started in earnest."""

    def __init__(self, store: Path, token: str) -> None:
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            self.port = one.getsockname()[1]
        self.store, self.token = store, token
        self.process = self._start()

    def _start(self) -> subprocess.Popen[str]:
        words = ["serve", "--store", str(self.store), "--port", str(self.port), "--rate", "0", "--log", "json"]
        process = subprocess.Popen(
            [sys.executable, "-m", "retail_seg", *words], stderr=subprocess.PIPE, text=True, env=dict(os.environ)
        )
        until = time.monotonic() + 120
        while self.ask("GET", "/v2/health/ready") != 200:
            assert time.monotonic() < until and process.poll() is None, process.stderr and process.stderr.read()
            time.sleep(0.1)
        return process

    def ask(self, method: str, path: str, body: object = None) -> int:
        """The status of an answer, 0 where there is none."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            answer.read()
            return answer.status
        except (OSError, HTTPException):
            return 0
        finally:
            connection.close()

    def kill_and_start(self) -> None:
        self.process.kill()
        self.process.communicate()
        self.process = self._start()


def test_what_was_acknowledged_survives_kill_9_and_sigterm_ends_it_in_order(small: Path) -> None:
    token = tokens_for(small)["manager"]
    server = Process(small, token)
    kept: list[str] = []

    def create(name: str) -> None:
        for number in range(1000):
            status = server.ask("POST", "/v1/products", {"sku": f"{name}-{number}"})
            if status != 201:
                return
            kept.append(f"{name}-{number}")

    try:
        writers = [threading.Thread(target=create, args=(name,)) for name in "abcd"]
        for writer in writers:
            writer.start()
        while len(kept) < 12:
            time.sleep(0.02)
        server.kill_and_start()
        for writer in writers:
            writer.join(60)
        assert len(kept) >= 12 and all(server.ask("GET", f"/v1/products/{sku}") == 200 for sku in kept)
        server.process.send_signal(signal.SIGTERM)
        _, err = server.process.communicate(timeout=60)
        assert server.process.returncode in (0, -signal.SIGTERM) and "Traceback" not in err
        assert all(json.loads(line) for line in err.splitlines()[1:])
    finally:
        server.process.kill()
    assert last_uses(small)
