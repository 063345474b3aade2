"""`--engine ray` and `init --index milvus`: calls that cannot be meant are one sentence before anything starts."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from retail_seg.cli import cli


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["scan", "a.jpg", "--engine", "ray"], "name it with --out"),
        (["scan", "a.jpg", "--engine", "ray", "--out", "o", "--keep"], "leave --json, --csv, --overlay, --keep out"),
        (["scan", "--watch", "d", "--engine", "ray"], "leave --engine out"),
        (["scan", "a.jpg", "--out", "o"], "are of --engine ray"),
        (["scan", "--watch", "d", "--out", "o"], "are of --engine ray"),
        (["reindex", "--address", "a:1"], "--address and --workers are of --engine ray"),
        (["reindex", "--workers", "2"], "--address and --workers are of --engine ray"),
        (["import", "goods.csv", "--engine", "ray", "--dry-run"], "leave --engine ray out"),
        (["init", "--index", "milvus"], "needs --uri"),
        (["init", "--uri", "http://m"], "needs --uri"),
    ],
)
def test_what_cannot_be_meant_is_said(words: list[str], says: str, tmp_path: Path) -> None:
    run = CliRunner().invoke(cli, [*words, "--store", str(tmp_path / "store")])
    assert run.exit_code == 2 and says in " ".join(run.output.split()) and not (tmp_path / "store").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["compare", "photos", "--out", "o", "--workers", "2"], "are of --engine ray"),
        (["train", "photos", "--model", "m", "--address", "a:1", "--cross-validate"], "are of --engine ray"),
        (["train", "photos", "--model", "m", "--engine", "ray"], "trains the folds of --cross-validate"),
    ],
)
def test_what_cannot_be_meant_of_commands_without_a_store_is_said(words: list[str], says: str) -> None:
    run = CliRunner().invoke(cli, words)
    assert run.exit_code == 2 and says in " ".join(run.output.split())
