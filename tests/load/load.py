"""Load on a server of its own: 64 clients scan, match, search and enrol; with --kill it is killed (-9) amid them.

    python tests/load/load.py --store demo-store --photo shelf.jpg --crop crop.jpg --sku 4711 --seconds 300

The store is copied first. Every answer is checked: a crop of --sku must be named by it first, a scan must find as many
things as the first one did, a product that was acknowledged must be there at the end, with its picture. Prints a table
and ends with one JSON line; the exit code is 1 where an answer was wrong or a write was lost.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import platform
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

KINDS = ("scan", "match", "search", "enrol")
#: How often each kind is asked, of a hundred.
MIX = (5, 30, 55, 10)


@dataclass
class Tally:
    """What all clients saw; each list is appended to by several threads."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    statuses: Counter[str] = field(default_factory=Counter)
    refused: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    acknowledged: list[str] = field(default_factory=list)
    memory: list[tuple[float, int]] = field(default_factory=list)
    broken: int = 0


class Server:
    """`retail-seg serve` on a store, in a process of its own."""

    def __init__(self, store: Path, port: int, waiting: int) -> None:
        words = [sys.executable, "-m", "retail_seg", "serve", "--store", str(store), "--port", str(port)]
        self.words = [*words, "--rate", "0", "--waiting", str(waiting)]
        self.port = port
        self.process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(self.words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until = time.monotonic() + 180
        while time.monotonic() < until:
            try:
                if ask(self.port, "GET", "/v2/health/ready", None, "")[0] == 200:
                    return process
            except (OSError, HTTPException):
                pass
            time.sleep(0.1)
        raise SystemExit("the server does not start")

    def kill(self) -> None:
        """Kill it at once, and start it again."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process = self._start()

    def end(self) -> float:
        """End it as systemd does; the seconds that it took."""
        start = time.monotonic()
        self.process.terminate()
        self.process.wait(90)
        return time.monotonic() - start


def ask(port: int, method: str, path: str, body: Any, token: str) -> tuple[int, Any]:
    """Status and JSON of one request on a connection of its own."""
    connection = HTTPConnection("127.0.0.1", port, timeout=120)
    try:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        data = answer.read()
        return answer.status, json.loads(data) if data and b"json" in (
            answer.headers.get("Content-Type") or ""
        ).encode() else data
    finally:
        connection.close()


class Client(threading.Thread):
    """One client: asks, checks the answer, asks again, until the time is over."""

    def __init__(self, number: int, load: Load) -> None:
        super().__init__(daemon=True)
        self.number, self.load, self.random = number, load, random.Random(number)

    def run(self) -> None:
        while time.monotonic() < self.load.until:
            kind = self.random.choices(KINDS, MIX)[0]
            start = time.monotonic()
            try:
                status = getattr(self, kind)()
            except (OSError, HTTPException):
                self.load.tally.broken += 1
                time.sleep(0.2)
                continue
            taken = time.monotonic() - start
            self.load.tally.statuses[f"{kind} {status}"] += 1
            if status in (429, 503):
                self.load.tally.refused.append(taken)
                time.sleep(0.5 + self.random.random())
            elif status < 300:
                self.load.tally.seconds[kind].append(taken)
            else:
                self.load.tally.wrong.append(f"{kind} answered {status}")

    def scan(self) -> int:
        status, found = self.load.ask("POST", "/v1/scan", {"photo": self.load.photo})
        if status == 200 and len(found["instances"]) != self.load.things:
            self.load.tally.wrong.append(f"a scan found {len(found['instances'])} things, not {self.load.things}")
        return status

    def match(self) -> int:
        status, found = self.load.ask("POST", "/v1/match", {"photo": self.load.crop, "top": 3})
        if status == 200 and found["matches"][0]["sku"] != self.load.sku:
            self.load.tally.wrong.append(f"a crop of {self.load.sku} was named {found['matches'][0]['sku']}")
        return status

    def search(self) -> int:
        status, found = self.load.look(f"/v1/products?q={self.load.sku}&limit=10")
        if status == 200 and (not found["items"] or found["items"][0]["sku"] != self.load.sku):
            self.load.tally.wrong.append(f"a search for {self.load.sku} did not find it")
        return status

    def enrol(self) -> int:
        sku = f"LOAD-{self.number}-{self.random.randrange(10**9)}"
        status, found = self.load.ask("POST", "/v1/products", {"sku": sku, "photos": [noise(self.random)]})
        if status == 201:
            self.load.tally.acknowledged.append(found["sku"])
        return status


class Load:
    """One run."""

    def __init__(self, words: argparse.Namespace, store: Path) -> None:
        self.words, self.tally, self.until = words, Tally(), 0.0
        self.token = subprocess.run(
            [sys.executable, "-m", "retail_seg", "token", "add", "load", "--role", "manager", "--store", str(store)],
            capture_output=True, text=True, check=True,
        ).stdout.strip()  # fmt: skip
        self.photo, self.crop = (base64.b64encode(p.read_bytes()).decode() for p in (words.photo, words.crop))
        self.sku = words.sku
        self.server = Server(store, words.port, words.waiting)
        self.reader = Server(store, words.port + 1, words.waiting) if words.apart else None
        self.things = len(self.ask("POST", "/v1/scan", {"photo": self.photo})[1]["instances"])

    def ask(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        return ask(self.words.port, method, path, body, self.token)

    def look(self, path: str) -> tuple[int, Any]:
        """What is only looked up, of the server that does nothing else where there is one."""
        return ask(self.words.port + bool(self.reader), "GET", path, None, self.token)

    def end(self) -> None:
        """Kill what still runs."""
        for server in filter(None, (self.server, self.reader)):
            server.process.kill()

    def run(self) -> dict[str, Any]:
        """Load it, then look for what was acknowledged; the figures."""
        start = time.monotonic()
        self.until = start + self.words.seconds
        clients = [Client(number, self) for number in range(self.words.clients)]
        for client in clients:
            client.start()
        self._watch(start)
        for client in clients:
            client.join(150)
        taken = time.monotonic() - start
        lost = [sku for sku in self.tally.acknowledged if not self._is_there(sku)]
        return self._figures(taken, lost) | {"seconds_to_end": round(self.server.end(), 1)}

    def _watch(self, start: float) -> None:
        kills = [start + self.words.seconds * share for share in (0.35, 0.7)] if self.words.kill else []
        while time.monotonic() < self.until:
            if kills and time.monotonic() > kills[0]:
                kills.pop(0)
                self.server.kill()
            pages = int(Path(f"/proc/{self.server.process.pid}/statm").read_text().split()[1])
            self.tally.memory.append((time.monotonic() - start, pages * os.sysconf("SC_PAGE_SIZE") >> 20))
            time.sleep(1)

    def _is_there(self, sku: str) -> bool:
        status, found = self.ask("GET", f"/v1/products/{sku}", None)
        return status == 200 and found["references"] == 1

    def _figures(self, taken: float, lost: list[str]) -> dict[str, Any]:
        tally = self.tally
        kinds = {kind: quantiles(tally.seconds[kind]) for kind in KINDS if tally.seconds[kind]}
        late = [mb for at, mb in tally.memory if at > min(60, self.words.seconds / 2)]
        return {
            "machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores",
            "clients": self.words.clients,
            "seconds": round(taken, 1),
            "answers": sum(map(len, tally.seconds.values())),
            "a_second": round(sum(map(len, tally.seconds.values())) / taken, 1),
            "kinds": kinds,
            "refused": quantiles(tally.refused) if tally.refused else {},
            "statuses": dict(sorted(tally.statuses.items())),
            "broken_connections": tally.broken,
            "wrong": len(tally.wrong),
            "wrong_first": tally.wrong[:3],
            "acknowledged": len(tally.acknowledged),
            "lost": lost[:10],
            "memory_mb": {
                "after_warm": late[0] if late else 0,
                "most": max(late, default=0),
                "last": late[-1] if late else 0,
                "every_20_s": [mb for _, mb in tally.memory[::20]],
            },
        }


def quantiles(seconds: list[float]) -> dict[str, float]:
    """Number, and p50, p95 and p99 in seconds."""
    found = sorted(seconds)
    at = {f"p{share}": round(found[min(int(len(found) * share / 100), len(found) - 1)], 3) for share in (50, 95, 99)}
    return {"n": len(found), **at}


def noise(chance: random.Random) -> str:
    """A small picture that no other product has, in base64."""
    import cv2
    import numpy as np

    drawn = np.random.default_rng(chance.randrange(2**32)).integers(0, 255, (12, 12, 3), np.uint8)
    large = cv2.resize(drawn, (160, 160), interpolation=cv2.INTER_CUBIC)
    return base64.b64encode(cv2.imencode(".png", large)[1].tobytes()).decode()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("store", "photo", "crop"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--sku", required=True, help="What --crop shows.")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--waiting", type=int, default=32)
    parser.add_argument("--port", type=int, default=8099)
    parser.add_argument("--apart", action="store_true", help="A second server on the store answers the searches.")
    parser.add_argument("--kill", action="store_true", help="Kill the server twice amid the load.")
    words = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = shutil.copytree(words.store, Path(folder) / "store")
        load = Load(words, store)
        try:
            figures = load.run()
        finally:
            load.end()
    for kind, row in {**figures["kinds"], "refused": figures["refused"]}.items():
        print(f"{kind:8}", "  ".join(f"{key} {value}" for key, value in row.items()))
    print(json.dumps(figures))
    return int(bool(figures["wrong"] or figures["lost"]))


if __name__ == "__main__":
    sys.exit(main())
