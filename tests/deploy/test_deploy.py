"""What stands in `deploy/` fits the program: one store for both services, nothing as root, commands that there are."""

from __future__ import annotations

import configparser
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from retail_seg.cli import cli

FOLDER = Path(__file__).parents[2] / "deploy"
DOCKERFILE = (FOLDER / "Dockerfile").read_text(encoding="utf-8")
COMPOSE = yaml.safe_load((FOLDER / "compose.yaml").read_text(encoding="utf-8"))
UNITS = sorted(FOLDER.glob("*.service"))


def parse(words: list[str]) -> None:
    """Parse a command line of `retail-seg` with the real command, without running it."""
    context = click.Context(cli, info_name="retail-seg")
    name, command, rest = cli.resolve_command(context, words)
    assert command is not None
    command.make_context(name, rest, parent=context)


def test_the_image_has_two_stages_and_runs_as_nobody_in_particular() -> None:
    stages = re.findall(r"^FROM (\S+)", DOCKERFILE, flags=re.MULTILINE)
    assert len(stages) == 2 and all(stage.startswith("python:3.11-slim") for stage in stages)
    last = DOCKERFILE[DOCKERFILE.rindex("FROM ") :]
    assert re.search(r"^USER (?!root)\w+", last, flags=re.MULTILINE) and "HEALTHCHECK" in last and "pip" not in last
    (command,) = re.findall(r"^CMD (\[.*\])$", last, flags=re.MULTILINE)
    parse(yaml.safe_load(command))


def test_what_the_image_copies_is_there_and_not_ignored() -> None:
    kept = {
        line.removeprefix("!") for line in Path(FOLDER.parent / ".dockerignore").read_text().split() if line[0] == "!"
    }
    copied = {
        word
        for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, flags=re.MULTILINE)
        for word in line.split()[:-1]
    }
    assert copied == kept and all((FOLDER.parent / word).exists() for word in copied)


def services() -> list[tuple[str, dict[str, Any]]]:
    return list(COMPOSE["services"].items())


def test_server_and_app_share_one_store_on_a_read_only_root() -> None:
    assert {"serve", "app"} <= dict(services()).keys()
    for _, one in services():
        assert one["read_only"] and one["cap_drop"] == ["ALL"] and "/tmp" in one["tmpfs"]
        assert "store:/store" in one["volumes"] and set(COMPOSE["volumes"]) == {"store", "cache"}
        assert all(port.startswith("127.0.0.1:") for port in one.get("ports", []))
    parse(COMPOSE["services"]["app"]["command"])


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.stem)
def test_a_unit_runs_a_command_that_there_is(path: Path) -> None:
    unit = configparser.RawConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(path)
    program, *words = shlex.split(unit["Service"]["ExecStart"])
    assert program.endswith("/retail-seg") and unit["Service"]["User"] != "root"
    parse([word.replace("/var/lib/retail-seg/photos", "/tmp") for word in words])


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.stem)
def test_systemd_takes_a_unit(path: Path, tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd is not here")
    there = tmp_path / path.name
    there.write_text(path.read_text().replace("/opt/retail-seg/bin/retail-seg", shutil.which("true") or "/bin/true"))
    run = subprocess.run([analyze, "verify", str(there)], capture_output=True, text=True, check=False, timeout=60)
    assert run.returncode == 0, run.stderr
