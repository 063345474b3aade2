"""The app in a real browser: starts it on a free port, opens pages in headless Chromium, logs people in."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import URLError
from urllib.request import urlopen

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ROOT = Path(__file__).resolve().parent.parent
#: How long a page may take before a test gives up, in milliseconds; two busy cores are slow.
PATIENCE = 120_000
NO_BROWSER = "no browser: install Debian's chromium (apt-get install chromium), then these tests run"


def free_port() -> int:
    """A port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running_app(store: Path, *, log: Path, bare: bool = False, secrets: Path | None = None) -> Iterator[str]:
    """The address of `retail-seg app` on a store, until the block ends; what it says goes to the file `log`.

    `secrets` names an identity provider. `bare` runs Streamlit itself instead, listening on every address, which
    `retail-seg app` would refuse.
    """
    port = free_port()
    command = [sys.executable, "-m", "retail_seg", "app", "--store", str(store), "--port", str(port)]
    command += ["--secrets", str(secrets)] if secrets else []
    if bare:
        options = [f"--server.port={port}", "--server.address=0.0.0.0"]
        command = [sys.executable, "-P", "-m", "streamlit", "run", str(ROOT / "app.py"), *options]
    environment = {name: value for name, value in os.environ.items() if name != "RETAIL_SEG_DEBUG"}
    environment |= {"OMP_NUM_THREADS": "1", "RETAIL_SEG_USER": "local", "RETAIL_SEG_STORE": str(store)}
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, env=environment, cwd=store)
        try:
            _wait(f"http://localhost:{port}/_stcore/health", process, log)
            yield f"http://localhost:{port}"
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + 120
    while time.monotonic() < until:
        assert process.poll() is None, log.read_text()
        try:
            with urlopen(address, timeout=5) as answer:
                if answer.status == 200:
                    return
        except (URLError, OSError):
            time.sleep(0.2)
    raise AssertionError(f"the app did not start: {log.read_text()}")


@contextmanager
def chromium() -> Iterator[Browser]:
    """Headless Chromium as the system has it; skips the test where there is none."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        assert not os.environ.get("CI"), NO_BROWSER
        pytest.skip(NO_BROWSER)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # A container runs as root, where Chromium's own sandbox does not work.
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


def new_page(browser: Browser, *, width: int = 1440, height: int = 900, dark: bool = False) -> Page:
    """A page of a visitor of their own: no cookies, nothing remembered."""
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if dark else "light",
        accept_downloads=True,
        has_touch=width < 600,
    )
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    return page


def log_in(page: Page, address: str, name: str, password: str) -> None:
    """Go through the login page of the app at an address."""
    page.goto(address)
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("button", name="Log in", exact=True).click()
    page.get_by_role("heading", name="Log in", exact=True).wait_for(state="detached")


def settle(page: Page) -> None:
    """Wait until the script run that answers the last click has ended."""
    page.wait_for_timeout(150)
    page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for()


def no_traceback(page: Page) -> None:
    """What a visitor never sees: an exception's box or the words of one."""
    assert page.locator("[data-testid=stException]").count() == 0
    assert not re.search(r"Traceback \(most recent call last\)", page.locator("body").inner_text())
