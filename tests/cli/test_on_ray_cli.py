"""`scan --engine ray` and `init --index milvus`: calls that cannot be meant are one sentence before anything starts."""

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
        (["init", "--index", "milvus"], "needs --uri"),
        (["init", "--uri", "http://m"], "needs --uri"),
    ],
)
def test_what_cannot_be_meant_is_said(words: list[str], says: str, tmp_path: Path) -> None:
    run = CliRunner().invoke(cli, [*words, "--store", str(tmp_path / "store")])
    assert run.exit_code == 2 and says in " ".join(run.output.split()) and not (tmp_path / "store").exists()
