"""A server of Milvus on this machine, of the package `milvus` (2.3.5, the last that brings the program itself)."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import pytest

#: Seconds until a server must have come up.
_WAIT = 120


def address(server: Any) -> str:
    return f"http://127.0.0.1:{server.listen_port}"


def started(folder: Path) -> Any:
    """A server whose files lie in a folder; the test is skipped where the package is missing."""
    milvus = pytest.importorskip("milvus", reason="no Milvus server here: `make engines` installs one")
    server = milvus.MilvusServer(wait_for_started=False)
    server.set_base_dir(str(folder))
    server.start()
    _wait(server)
    return server


def start_again(server: Any) -> None:
    """Start a killed server where it was; by itself it would take another port, as long as its own is cooling down."""
    folder = Path(server.config.base_data_dir)
    own = {"DEPLOY_MODE": "STANDALONE", "METRICS_PORT": str(server.webservice_port)}
    own |= {"MILVUS_RUN_DIR": str(folder / "run"), "LD_LIBRARY_PATH": str(folder / "bin")}
    with (folder / "logs" / "again.log").open("w") as log:
        server.server_proc = subprocess.Popen(
            server.server_proc.args, cwd=folder, env=os.environ | own, stdout=log, stderr=log
        )
    _wait(server)


def _wait(server: Any) -> None:
    """The server's own waiting does not notice that the program has ended."""
    url = f"http://127.0.0.1:{server.webservice_port}/healthz"
    end = time.monotonic() + _WAIT
    while not _healthy(url):
        assert server.server_proc.poll() is None, "the server has ended, see logs/ in its folder"
        assert time.monotonic() < end, f"the server has not come up in {_WAIT} s"
        time.sleep(0.2)


def _healthy(url: str) -> bool:
    try:
        with urlopen(url, timeout=5) as answer:
            return b"OK" in answer.read()
    except (URLError, OSError):
        return False


def kill(server: Any) -> None:
    """SIGKILL, as when a machine loses its power."""
    server.server_proc.kill()
    server.server_proc.wait()
