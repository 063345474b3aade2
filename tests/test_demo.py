"""The demo as a newcomer meets it: it builds, scans, counts beside the truth, and leaves foreign folders alone."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from retail_seg.cli import cli
from retail_seg.demo import MARKER, Row, app_file, run_demo, table
from retail_seg.errors import StoreError
from retail_seg.rendering.assortment import articles, demo_photos, references


def test_the_shop_has_look_alikes_and_a_stranger() -> None:
    sold = articles()
    assert 12 <= len(sold) <= 16 and len({article.sku for article in sold}) == len(sold)
    families = [(article.design.brand, article.design.name) for article in sold]
    assert sum(families.count(family) > 1 for family in set(families)) >= 2
    pictures = references(sold[0])
    assert len(pictures) == 4
    assert all(picture.shape[:2] == mask.shape and mask.dtype == bool for picture, mask in pictures)


def test_the_photos_know_what_they_show() -> None:
    photos = demo_photos(5, size=(240, 320))
    assert len({photo.name for photo in photos}) == 5
    skus = {article.sku for article in articles()}
    for photo in photos:
        assert set(photo.expected) <= skus
        assert photo.expected.total() + photo.strangers == len(photo.scene.designs)
        assert len(np.unique(photo.scene.labels)) - 1 == len(photo.scene.designs)
    assert sum(photo.strangers for photo in photos[:4]) >= 1


def test_the_demo_writes_what_it_says(demo_folder: Path) -> None:
    out = demo_folder / "out"
    (line,) = (out / "report.jsonl").read_text(encoding="utf-8").splitlines()
    report = json.loads(line)
    assert report["width"] == 1280 and report["height"] == 960
    assert report["instances"]
    assert sum(report["counts"].values()) + sum(report["likely"].values()) + report["unknown"] == len(
        report["instances"]
    )
    assert [path.name for path in (out / "photos").iterdir()] == [report["image"]]
    assert [path.name for path in (out / "overlays").iterdir()] == [report["image"]]
    counts = (out / "counts.csv").read_text(encoding="utf-8")
    assert counts.count("\n") == 1 + len({*report["counts"], *report["expected"]}) + (report["unknown"] > 0)


def test_most_of_the_demo_is_counted_right_and_the_stranger_is_unknown(demo_folder: Path) -> None:
    report = json.loads((demo_folder / "out" / "report.jsonl").read_text(encoding="utf-8"))
    (photo,) = demo_photos(1)
    named = Counter(report["counts"]) + Counter(report["likely"])
    right = sum(min(photo.expected[sku], number) for sku, number in named.items())
    assert right >= 0.7 * photo.expected.total()
    assert report["unknown"] >= photo.strangers == 1


def test_running_it_again_reuses_the_store(demo_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(demo_folder / "store", tmp_path / "store")
    said: list[str] = []
    result = run_demo(tmp_path / "store", tmp_path / "out", photos=1, say=said.append)
    assert any("0 reference pictures added" in line for line in said)
    before = json.loads((demo_folder / "out" / "report.jsonl").read_text(encoding="utf-8"))
    assert result.reports[0].counts == before["counts"]
    lines = table(result)
    assert len(lines) == len(result.rows) + 1
    assert lines[0].split() == ["product", "expected", "sure", "likely"]
    assert table(replace(result, rows=(Row("1", "Cola", 3, 1, 1),)))[1].split() == ["Cola", "3", "1", "1", "-1"]
    assert result.expected == sum(row.expected for row in result.rows if row.sku)
    assert 0 < result.counted_right <= result.expected


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "holiday"
    folder.mkdir()
    (folder / "beach.jpg").write_bytes(b"sand")
    with pytest.raises(StoreError, match="left alone"):
        run_demo(folder, tmp_path / "out", photos=1)
    assert [path.name for path in folder.iterdir()] == ["beach.jpg"]
    assert not (tmp_path / "out").exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="is a file"):
        run_demo(tmp_path / "store", tmp_path / "file", photos=1)
    assert not (tmp_path / "store").exists()


def test_a_wrong_call_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("")
    command = [sys.executable, "-m", "retail_seg", "demo", "--store", str(tmp_path), "--out", str(tmp_path / "out")]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert run.stdout == "" and run.stderr.count("\n") == 1 and run.stderr.startswith("Error: ")


def test_the_app_is_found_wherever_one_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "app.py").write_text("raise SystemExit('the wrong app')")
    monkeypatch.chdir(tmp_path)
    assert app_file().parent != tmp_path
    assert "st.navigation" in app_file().read_text(encoding="utf-8")


def test_the_app_refuses_a_folder_without_a_store(tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["app", "--store", str(tmp_path)])
    assert isinstance(result.exception, StoreError)


def test_the_app_answers_on_this_computer_only(demo_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "index").mkdir()  # a folder in the reader's way that is called like a package
    (tmp_path / "index" / "__init__.py").write_text("raise RuntimeError('the wrong index')")
    port = _free_port()
    store = str(demo_folder / "store")
    command = [sys.executable, "-P", "-m", "retail_seg", "app", "--store", store, "--port", str(port)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parent.parent)}
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        assert _answer(f"http://localhost:{port}/_stcore/health", process) == "ok"
        with socket.socket() as outside, pytest.raises(OSError):
            outside.settimeout(2)
            outside.connect((_own_address(), port))
    finally:
        process.terminate()
        process.wait(20)


def test_the_marker_is_what_tells_the_demo_s_store(demo_folder: Path) -> None:
    assert json.loads((demo_folder / "store" / MARKER).read_text(encoding="utf-8"))["made_by"] == "retail-seg demo"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _own_address() -> str:
    """This computer's address on its network; documentation's own address where it has none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.2"
        return str(probe.getsockname()[0])


def _answer(url: str, process: subprocess.Popen[str]) -> str:
    for _ in range(240):
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        try:
            with urllib.request.urlopen(url, timeout=5) as response:
                return str(response.read().decode())
        except OSError:
            time.sleep(0.25)
    raise AssertionError(f"{url} does not answer")
