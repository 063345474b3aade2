"""Figures of a chain, by week and by product, against those that are counted by hand."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from retail_seg.chain.rollup import overview, products, shops, weeks
from retail_seg.cli import cli
from retail_seg.errors import ChainError
from retail_seg.report import Identification, Match, Report, ReportLine

duckdb = pytest.importorskip("duckdb")

#: More than is counted, in another order than it is counted in.
COLUMNS = {
    "image": "VARCHAR", "width": "INTEGER", "snapshot": "VARCHAR",
    "instances": "STRUCT(id INTEGER, box INTEGER[], certainty VARCHAR, sku VARCHAR, probability DOUBLE, "
    "matches STRUCT(sku VARCHAR, name VARCHAR, score DOUBLE)[])[]",
}  # fmt: skip


def facing(sku: str | None, certainty: Any) -> ReportLine:
    match = (Match(sku, "", 0.9, 1, 0.9),) if sku else ()
    known = sku if certainty == "sure" else None
    what = Identification("known" if known else "unknown", known, "", 0.9, 0.1, match, certainty=certainty)
    return ReportLine(1, (0, 0, 5, 5), 25, (), 1.0, False, what)


def report(*facings: tuple[str | None, str], snapshot: str = "") -> str:
    """A line as `scan` writes it."""
    versions: dict[str, str | int] = {"version": "1", **({"snapshot": snapshot} if snapshot else {})}
    return Report("a.jpg", 10, 10, tuple(facing(*one) for one in facings), versions).to_json()


def lay(folder: Path, shop: str, day: str, *lines: str, name: str = "a.jsonl") -> Path:
    path = folder / f"shop={shop}" / f"day={day}" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(f"{line}\n" for line in lines).encode()
    path.write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    return path


@pytest.fixture
def reports(tmp_path: Path) -> Path:
    """Two shops; the first has two weeks, a photo of nothing, and a product that is missing on one of three days."""
    folder = tmp_path / "reports"
    cola, jam, none = ("cola", "sure"), ("jam", "likely"), (None, "unknown")
    lay(folder, "12", "2026-11-23", report(cola, cola, jam, none, snapshot="1:ab"), report())
    lay(folder, "12", "2026-11-25", report(cola, snapshot="2:cd"), name="b.jsonl.gz")
    lay(folder, "12", "2026-11-29", report(jam, snapshot="2:cd"))
    lay(folder, "12", "2026-11-30", report(none))
    lay(folder, "007", "2026-11-23", report())
    return folder


def test_weeks(reports: Path) -> None:
    names = ("shop", "week", "days", "photos", "facings", "sure", "likely", "unknown", "snapshots")
    assert [tuple(row[name] for name in names) for row in weeks(reports)] == [
        ("007", "2026-11-23", 1, 1, 0, 0, 0, 0, []),
        ("12", "2026-11-23", 3, 4, 6, 3, 2, 1, ["1:ab", "2:cd"]),
        ("12", "2026-11-30", 1, 1, 1, 0, 0, 1, []),
    ]


def test_products(reports: Path) -> None:
    assert [tuple(row.values()) for row in products(reports)] == [
        ("12", "2026-11-23", "cola", 3, 0.6, 0.6667), ("12", "2026-11-23", "jam", 2, 0.4, 0.6667),
    ]  # fmt: skip


def test_parquet_counts_as_json_does(reports: Path, tmp_path: Path) -> None:
    expected = weeks(reports), products(reports)
    other = tmp_path / "parquet"
    for path in sorted(reports.rglob("*.jsonl*")):
        target = other / path.parent.relative_to(reports) / "a.parquet"
        target.parent.mkdir(parents=True)
        with duckdb.connect() as connection:
            read = f"read_json('{path}', hive_partitioning = false, columns = {COLUMNS})"
            connection.execute(f"COPY (SELECT * FROM {read}) TO '{target}'")
    assert (weeks(other), products(other)) == expected


def test_the_command(reports: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    found = CliRunner().invoke(cli, ["rollup", str(reports), "--products", "--json", str(out)], standalone_mode=False)
    assert found.exception is None and "2 lines of 1 shops" in found.stderr
    assert [json.loads(line)["sku"] for line in out.read_text().splitlines()] == ["cola", "jam"]


def test_what_cannot_be_summed_up(reports: Path, tmp_path: Path) -> None:
    with pytest.raises(ChainError, match="holds no reports"):
        weeks(tmp_path / "none")
    stray = lay(reports, "12", "2026-11-24", report())
    (reports / "loose.jsonl").write_text(report())
    with pytest.raises(ChainError, match=r"loose\.jsonl: lies in no folder shop=…/day=…"):
        weeks(reports)
    (reports / "loose.jsonl").unlink()
    stray.write_text('{"image": \n')
    with pytest.raises(ChainError, match=r"a report cannot be read \(.*day=2026-11-24/a\.jsonl") as error:
        weeks(reports)
    assert "\n" not in str(error.value)
    stray.unlink()
    lay(reports, "12", "yesterday", report())
    with pytest.raises(ChainError, match="a report cannot be read"):
        weeks(reports)


def test_an_overview_counts_what_a_shop_should_have_and_has_not(reports: Path) -> None:
    lay(reports, "12", "2026-12-02", report(("cola", "sure"), (None, "unknown")))
    found = overview(reports, shop="12")
    assert (found.week, shops(reports)) == ("2026-11-30", ["007", "12"])
    # in its first week cola and jam stood there on 2 of 3 days each, in its second cola on 1 of 2 and jam on none
    figures = [(row["week"], row["days"], row["facings"], row["unknown"], row["availability"]) for row in found.weeks]
    assert figures == [("2026-11-23", 3, 6, 1, pytest.approx(4 / 6)), ("2026-11-30", 2, 3, 2, pytest.approx(1 / 4))]
    assert [tuple(row.values()) for row in found.products] == [("cola", 1, 1.0, 0.5, 1), ("jam", 0, 0.0, 0.0, 1)]


def test_an_overview_of_all_shops_in_a_week_that_is_asked_for(reports: Path) -> None:
    lay(reports, "007", "2026-11-24", report(("cola", "sure"), ("tea", "unknown")))
    found = overview(reports, week="2026-11-23")
    assert [(row["shop"], row["photos"], row["availability"]) for row in found.shops] == [
        ("007", 2, 0.5), ("12", 4, pytest.approx(4 / 6)),
    ]  # fmt: skip
    assert [(row["sku"], row["facings"], row["shops"]) for row in found.products] == [("cola", 4, 2), ("jam", 2, 1)]
    assert sum(row["share"] for row in found.products) == pytest.approx(1)
    assert [tuple(row.values()) for row in found.strangers] == [("", 1, 1, 1), ("tea", 1, 1, 1)]
    assert len(overview(reports, week="2026-11-23", most=1).products) == 1


def test_an_overview_of_photos_of_nothing(tmp_path: Path) -> None:
    lay(tmp_path, "1", "2026-11-23", report())
    found = overview(tmp_path)
    assert found.weeks[0]["availability"] is None and not found.products and not found.strangers
    assert overview(tmp_path, shop="none").weeks == []
