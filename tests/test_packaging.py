"""What is installed is what is written down: packages, data files and pinned versions."""

from __future__ import annotations

import re
import tomllib
from fnmatch import fnmatchcase
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def plain(requirement: str) -> str:
    """A distribution's name as indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", re.split(r"[\s;<>=!~\[(]", requirement.strip(), maxsplit=1)[0]).lower()


def test_every_package_is_found_for_the_wheel() -> None:
    folders = {path.parent for name in ("retail_seg", "index", "catalogue") for path in (ROOT / name).rglob("*.py")}
    assert all((folder / "__init__.py").is_file() for folder in folders)  # else it is no package to setuptools
    settings = PROJECT["tool"]["setuptools"]
    wanted = settings["packages"]["find"]["include"]
    names = {str(folder.relative_to(ROOT)).replace("/", ".") for folder in folders}
    assert all(any(fnmatchcase(name, pattern) for pattern in wanted) for name in names)
    assert not settings["packages"]["find"]["namespaces"]
    assert (ROOT / "app.py").is_file() and "app" in settings["py-modules"]


def test_the_packages_say_that_they_are_typed_and_carry_their_models() -> None:
    data = PROJECT["tool"]["setuptools"]["package-data"]
    for package in ("retail_seg", "index", "catalogue"):
        assert (ROOT / package / "py.typed").is_file() and "py.typed" in data[package]
    for folder in ("retail_seg/models/segmenter", "index/models/retail-vgg"):
        package, pattern = folder.split("/")[0], "models/*/*"
        assert pattern in data[package]
        files = {path.name for path in (ROOT / folder).iterdir()}
        assert {"README.md", "config.json", "weights.safetensors"} <= files


def test_the_models_are_small_enough_for_a_repository() -> None:
    sizes = {path: path.stat().st_size for path in ROOT.glob("*/models/*/*")}
    assert sizes and max(sizes.values()) <= 20 * 2**20


def test_everything_that_gets_installed_is_pinned() -> None:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+==[\w.+]+", line) for line in lines)
    pinned = {plain(line) for line in lines}
    project = PROJECT["project"]
    extras = project["optional-dependencies"]
    todo = [plain(line) for line in (*project["dependencies"], *extras["test"], *extras["serve"], *extras["trace"])]
    needed: set[str] = set()
    while todo:
        name = todo.pop()
        if name in needed or name == plain(project["name"]):
            continue
        needed.add(name)
        try:
            lines = requires(name) or []
        except PackageNotFoundError:
            continue  # a requirement of another platform: not installed here
        todo += [plain(line) for line in lines if "extra ==" not in line and "sys_platform == 'win" not in line]
    installed = {name for name in needed if _is_installed(name)}
    assert installed - pinned - {"pip"} == set()  # pip comes with the environment


def _is_installed(name: str) -> bool:
    try:
        requires(name)
    except PackageNotFoundError:
        return False
    return True
