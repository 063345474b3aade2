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


#: Every visible text of the page whose contrast with what is behind it is too small, as [text, ratio]. Disabled parts
#: need none (WCAG 1.4.3), nor do signs that stand beside their words, and pictures and gradients cannot be computed.
_LOW = """least => {
  const parse = text => {
    const canvas = parse.canvas ??= Object.assign(document.createElement('canvas'), {width: 1, height: 1});
    const pen = canvas.getContext('2d', {willReadFrequently: true});
    pen.clearRect(0, 0, 1, 1); pen.fillStyle = text; pen.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = pen.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (top, below) => top.slice(0, 3).map((c, i) => c * top[3] + below[i] * (1 - top[3]));
  const light = rgb => rgb.map(c => c / 255).map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = element => {
    const layers = [];
    for (let at = element; at; at = at.parentElement) layers.push(parse(getComputedStyle(at).backgroundColor));
    return layers.reverse().reduce((ground, layer) => over(layer, ground), [255, 255, 255]);
  };
  const found = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const element = walk.currentNode.parentElement, text = walk.currentNode.textContent.trim();
    if (!text || !element.checkVisibility({opacityProperty: true, visibilityProperty: true})) continue;
    if (element.closest('script, style, [data-testid=stIconMaterial], :disabled, [aria-disabled=true]')) continue;
    const box = element.getBoundingClientRect();
    if (box.width < 2 || box.height < 2) continue;
    let shown = parse(getComputedStyle(element).color);
    for (let at = element; at; at = at.parentElement) shown[3] *= getComputedStyle(at).opacity;
    const ground = behind(element);
    const [low, high] = [light(over(shown, ground)), light(ground)].sort((a, b) => a - b);
    const ratio = (high + 0.05) / (low + 0.05);
    if (ratio < least) found.push([text.slice(0, 60), Math.round(ratio * 100) / 100]);
  }
  return found;
}"""


def low_contrast(page: Page, least: float = 4.5) -> list[tuple[str, float]]:
    """The texts on a page that cannot be read well, with their contrast ratio (WCAG 2.2, 1.4.3)."""
    return [(text, ratio) for text, ratio in page.evaluate(_LOW, least)]
