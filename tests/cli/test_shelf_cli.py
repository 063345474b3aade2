"""The commands alert, report and privacy, as a person types them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from shelf_helpers import kept, new_store

from retail_seg.cli import cli
from retail_seg.errors import AlertError
from retail_seg.matcher import Matcher


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A store that commands open with the embedder of the helpers."""
    folder = tmp_path / "store"
    new_store(folder).close()
    monkeypatch.setattr(Matcher, "open", classmethod(lambda cls, path, **named: reopened(path)))
    monkeypatch.setenv("RETAIL_SEG_STORE", str(folder))
    yield folder


def reopened(path: Path) -> Matcher:
    from crash_workers import open_matcher

    return open_matcher(path)


def run(*words: str, code: int = 0) -> Result:
    found = CliRunner().invoke(cli, list(words))
    assert found.exit_code == code, (found.output, found.exception)
    return found


def rows(found: Result) -> list[dict[str, object]]:
    return [json.loads(line) for line in found.stdout.splitlines()]


def test_a_target_is_set_told_listed_and_removed(store: Path, tmp_path: Path) -> None:
    path = tmp_path / "told.csv"
    run("alert", "set", "file", "--csv", str(path), "--quiet", "23:59-00:00")
    run("alert", "test", "file")
    assert "An example is missing" in path.read_text() and path.read_text().count("\n") == 2
    with reopened(store) as matcher:
        kept(matcher, "eooo")
    assert "1 findings told" in run("alert", "send").stderr
    (listed,) = rows(run("alert", "list"))
    assert listed["name"] == "file" and listed["alerts"] == {"waiting": 0, "sent": 1, "dead": 0, "over": 0}
    assert "0 given up" in run("alert", "dead").stderr and "0 are tried again" in run("alert", "dead", "--again").stderr
    run("alert", "set", "file", "--remove")
    assert rows(run("alert", "list")) == []


def test_a_webhook_shows_its_secret_once_and_fails_with_code_1(store: Path) -> None:
    secret = run("alert", "set", "ops", "--webhook", "http://localhost:9/").stdout.strip()
    assert secret.startswith("whsec_") and secret not in run("alert", "list").stdout
    with reopened(store) as matcher:
        kept(matcher, "eooo")
    found = CliRunner().invoke(cli, ["alert", "send"], standalone_mode=False)
    assert "private network" in found.stderr and found.return_value == 1


def test_a_call_that_says_two_things_is_refused(store: Path) -> None:
    assert "give one of" in run("alert", "set", "x", code=2).stderr
    assert "give one of" in run("alert", "set", "x", "--webhook", "http://a", "--remove", code=2).stderr
    assert "the opposite" in run("privacy", "--keep-days", "3", "--keep-always", code=2).stderr
    found = CliRunner().invoke(cli, ["alert", "set", "x", "--webhook", "ftp://a"])
    assert isinstance(found.exception, AlertError)


def test_a_report_goes_to_files(store: Path, tmp_path: Path) -> None:
    with reopened(store) as matcher:
        kept(matcher, "oelo", taken="2026-03-02T10:00:00+00:00")
    html, table, shares = tmp_path / "r.html", tmp_path / "r.csv", tmp_path / "s.csv"
    words = [
        "--from",
        "2026-03-01",
        "--until",
        "2026-03-31",
        "--html",
        str(html),
        "--csv",
        str(table),
        "--shares",
        str(shares),
    ]
    (found,) = rows(run("report", *words))
    assert [one["availability"] for one in found["figures"]] == [0.75] * 4  # type: ignore[index, attr-defined]
    assert "75.0%" in html.read_text() and table.read_text().count("\n") == 5 and "brand" in shares.read_text()


def test_privacy_is_shown_and_set(store: Path) -> None:
    assert "stay for ever; faces are not blurred" in run("privacy").stderr
    assert "go after 30 days" in run("privacy", "--keep-days", "30", "--clean").stderr
    assert "stay for ever" in run("privacy", "--keep-always").stderr
