"""What is installed is enough: the wheel, in an environment of its own and outside of the checkout, scans a photo."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from retail_seg.photos.load import encode_picture
from retail_seg.rendering.assortment import articles, demo_photos, references

ROOT = Path(__file__).resolve().parent.parent
PARTS = ("retail_seg", "index", "catalogue", "app.py", "pyproject.toml", "README.md", "LICENSE")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of programs of an environment that holds the wheel; what it depends on is lent by this one."""
    work = tmp_path_factory.mktemp("wheel")
    source = work / "source"
    source.mkdir()
    for part in PARTS:  # a copy: a build leaves folders behind
        whole = (ROOT / part).is_dir()
        without = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / part, source / part, ignore=without) if whole else shutil.copy(ROOT / part, source)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    run([*pip, "wheel", "--no-deps", "--no-build-isolation", "--no-index", "-w", str(work), str(source)], work)
    (wheel,) = work.glob("retail_seg-*.whl")
    home = work / "environment"
    venv.create(home, symlinks=True)
    python = home / "bin" / "python"
    (own,) = (home / "lib").glob("python*/site-packages")
    # A path in a .pth file is searched after the environment's own, and .pth files in it are not read: no checkout.
    (own / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n")
    run([*pip, "--python", str(python), "install", "--no-deps", "--no-index", str(wheel)], work)
    return python.parent


def run(command: list[str], folder: Path) -> str:
    """The output of a command in a folder, without the checkout on the path; what it says where it fails."""
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "RETAIL_SEG_STORE")}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
    return done.stdout


def test_the_wheel_scans_a_photo_far_from_the_checkout(installed: Path, tmp_path: Path) -> None:
    script = "from importlib.util import find_spec as f; print(*(f(n).origin for n in ('app', 'index', 'retail_seg')))"
    places = run([str(installed / "python"), "-P", "-c", script], tmp_path).split()
    assert len(places) == 3 and all(Path(place).is_relative_to(installed.parent) for place in places)
    article = articles()[0]
    for number, (picture, _) in enumerate(references(article)[:2]):
        (tmp_path / f"{number}.jpg").write_bytes(encode_picture(picture))
    (tmp_path / "shelf.jpg").write_bytes(encode_picture(demo_photos(1)[0].scene.photo))
    program = str(installed / "retail-seg")
    run([program, "init", "--store", "store"], tmp_path)
    run([program, "add", article.sku, "0.jpg", "1.jpg", "--store", "store"], tmp_path)
    line = json.loads(run([program, "scan", "shelf.jpg", "--store", "store"], tmp_path))
    assert line["image"] == "shelf.jpg" and len(line["instances"]) > 1
