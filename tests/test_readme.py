"""The documents say what is true: code runs, commands parse, links lead somewhere, every command is described."""

from __future__ import annotations

import csv
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from retail_seg.cli import COMMANDS, cli

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str, text: str = README) -> list[str]:
    """The fenced code blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)


def commands() -> list[str]:
    """Each line of the shell blocks, and each command line that stands in running text."""
    lines = [line for block in blocks("sh") for line in block.splitlines() if line.strip()]
    inline = re.findall(r"`(retail-seg [a-z]+ [^`]+)`", README)
    return [*lines, *inline]


@pytest.fixture(scope="module")
def shop(demo_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as the README assumes it: a store, photos, and pictures of a few products."""
    from retail_seg.photos.load import encode_picture
    from retail_seg.rendering.assortment import articles, references

    folder = tmp_path_factory.mktemp("shop")
    shutil.copytree(demo_folder / "store", folder / "store")
    shutil.copytree(demo_folder / "out" / "photos", folder / "photos")
    pictures = [picture for article in articles()[::3] for picture, _ in references(article)[:2]]
    for name, picture in zip(("cola-front", "cola-back", "jam", "crisps-front", "crop"), pictures, strict=False):
        (folder / f"{name}.jpg").write_bytes(encode_picture(picture))
    return folder


def test_there_are_blocks_of_each_kind() -> None:
    assert len(blocks("python")) >= 2 and len(blocks("sh")) >= 4 and blocks("json") and blocks("csv")


@pytest.mark.parametrize("number", range(len(blocks("python"))))
def test_python_blocks_run(number: int, shop: Path, tmp_path: Path) -> None:
    code = blocks("python")[number]
    paths = {**os.environ, "PYTHONPATH": str(ROOT)}
    if "Client" in code:
        assert len([line for line in code.splitlines() if line.strip()]) <= 10
        run_beside_a_server(code, shop, shutil.copytree(shop / "store", tmp_path / "store"), paths)
        return
    run = subprocess.run([sys.executable, "-c", code], cwd=shop, env=paths, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip()


def run_beside_a_server(code: str, shop: Path, store: Path, paths: dict[str, str]) -> None:
    """Run a script that asks a server, which answers at another port here."""
    from api_helpers import served, tokens_for

    tokens = tokens_for(store)
    with served(store, tokens) as api:
        code = code.replace("http://localhost:8000", api.url)
        paths = {**paths, "RETAIL_SEG_TOKEN": tokens["manager"]}
        words = [sys.executable, "-c", code]
        run = subprocess.run(words, cwd=shop, env=paths, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith("{") and run.stdout.count("\n") == 2


def test_the_script_that_counts_a_folder_has_at_most_ten_lines() -> None:
    assert len([line for line in blocks("python")[0].splitlines() if line.strip()]) <= 10


def test_the_first_day_and_a_day_s_work_run_as_written(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands under "Your own products" and those around the catalogue, with pictures in place of the reader's."""
    monkeypatch.chdir(shop)
    monkeypatch.delenv("RETAIL_SEG_STORE", raising=False)
    (shop / "products.csv").write_text(blocks("csv")[0], encoding="utf-8")
    setup, day = blocks("sh")[1], next(block for block in blocks("sh") if "retail-seg undo" in block)
    lines = [line for block in (setup, day) for line in block.splitlines() if line.startswith("retail-seg ")]
    assert len(lines) >= 15
    for line in lines:
        words = [word if word != "store" else "my-store" for word in shlex.split(line)[1:]]
        result = CliRunner().invoke(cli, words, standalone_mode=False)
        assert result.exception is None and not result.return_value, f"{line}: {result.output}{result.exception!r}"
    scanned = json.loads((shop / "report.jsonl").read_text(encoding="utf-8"))
    assert {"instances", "counts", "unknown"} <= set(scanned)
    assert (shop / "counts.csv").read_text(encoding="utf-8").startswith("image,sku,name,count")
    assert len(list((shop / "overlays").glob("*.png"))) == 1


@pytest.mark.parametrize("line", commands())
def test_command_lines_fit_the_real_commands(line: str) -> None:
    words = shlex.split(line, comments=True)
    if words[0] == "make":
        assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    elif words[0] == "pip":
        assert (ROOT / words[words.index("-c") + 1]).is_file()
    else:
        assert words[0] == "retail-seg"
        parse(cli, words[1:])


def parse(group: click.Group, words: list[str]) -> None:
    """Parse a command line with the real command, all its options and arguments, without running it."""
    context = click.Context(group, info_name="retail-seg")
    name, command, rest = group.resolve_command(context, words)
    assert command is not None
    if isinstance(command, click.Group):
        parse(command, rest)
    else:
        command.make_context(name, rest, parent=context)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_stands_in_the_readme_and_explains_itself(name: str) -> None:
    assert f"| `retail-seg {name}` |" in README
    command = cli.get_command(click.Context(cli), name)
    assert command is not None and command.help
    with click.Context(command, info_name=name) as context:
        assert "--help" in command.get_help(context)


def test_the_readme_names_no_command_that_is_not_there() -> None:
    assert set(re.findall(r"^\| `retail-seg ([a-z]+)` \|", README, flags=re.MULTILINE)) == set(COMMANDS)


def test_json_and_csv_blocks_are_what_they_say() -> None:
    for block in blocks("json"):
        line = json.loads(block)
        assert line["counts"] == {"4711": 1}
        instance = set(line["instances"][0])
        assert {"id", "box", "area", "polygon", "sku", "decision", "probability", "matches"} <= instance
    for block in blocks("csv"):
        header, *rows = list(csv.reader(block.splitlines()))
        assert {"sku", "name", "brand", "category", "gtin", "image"} == set(header)
        assert all(len(row) == len(header) for row in rows)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_somewhere(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    targets = [target for target in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in target]
    missing = [target for target in targets if not (ROOT / target).exists()]
    assert not missing


def test_recipes_that_are_named_exist() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = re.findall(r"python (recipes/[a-z_]+\.py)", text)
    assert len(named) == 6
    assert all((ROOT / name).is_file() for name in named)
