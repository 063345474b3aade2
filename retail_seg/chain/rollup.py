"""Reports of many shops ► figures of the chain by week, with DuckDB: columns are read, never whole reports.

Reports lie in folders that say whose they are: `shop=12/day=2026-11-26/`, the lines of `scan` as JSON Lines (`.jsonl`,
`.json`, also with `.gz`) or as Parquet with the same columns. That is Hive's partitioning, which all such tools read.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from retail_seg.errors import ChainError, MissingExtraError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

#: What is read of a report, and as what.
_COLUMNS = {
    "image": "VARCHAR",
    "instances": "STRUCT(sku VARCHAR, certainty VARCHAR, matches STRUCT(sku VARCHAR)[])[]",
    "snapshot": "VARCHAR",
}
_HIVE = "hive_partitioning = true, hive_types = {'shop': 'VARCHAR', 'day': 'DATE'}"
_SOURCES = {
    (".jsonl", ".json", ".jsonl.gz", ".json.gz"): (
        f"read_json(?, format = 'newline_delimited', columns = {_COLUMNS!r}, {_HIVE})"
    ),
    (".parquet",): f"read_parquet(?, union_by_name = true, {_HIVE})",
}
#: Instances as they are counted, of whatever more a Parquet file holds of them.
_INSTANCES = """[{'sku': i.sku, 'certainty': i.certainty, 'matches': [{'sku': m.sku} for m in i.matches]}
    for i in instances]"""
_REPORTS = f"""SELECT shop, day, date_trunc('week', day)::DATE AS week, image, {_INSTANCES} AS instances,
    %s AS snapshot FROM """
#: A facing is of the product that it surely is, else of the one that it is likely to be.
_FACINGS = """SELECT shop, week, day, i.certainty AS certainty, i.matches[1].sku AS nearest,
    coalesce(i.sku, CASE WHEN i.certainty = 'likely' THEN i.matches[1].sku END) AS sku
    FROM (SELECT shop, week, day, unnest(instances) AS i FROM reports)"""
_WEEKS = f"""WITH facings AS ({_FACINGS}), photos AS (
        SELECT shop, week, count(*) AS photos, count(DISTINCT day) AS days,
            list_sort(list_distinct(list(snapshot) FILTER (snapshot IS NOT NULL))) AS snapshots
        FROM reports GROUP BY ALL),
    counted AS (
        SELECT shop, week, count(*) AS facings, count(*) FILTER (certainty = 'sure') AS sure,
            count(*) FILTER (certainty = 'likely') AS likely, count(*) FILTER (sku IS NULL) AS "unknown"
        FROM facings GROUP BY ALL)
    SELECT shop, strftime(week, '%Y-%m-%d') AS week, days, photos, coalesce(facings, 0) AS facings,
        coalesce(sure, 0) AS sure, coalesce(likely, 0) AS likely, coalesce("unknown", 0) AS "unknown",
        coalesce(snapshots, []) AS snapshots
    FROM photos LEFT JOIN counted USING (shop, week) ORDER BY shop, week"""
_PRODUCTS = f"""WITH facings AS ({_FACINGS}), days AS (
        SELECT shop, week, count(DISTINCT day) AS days FROM reports GROUP BY ALL),
    counted AS (
        SELECT shop, week, sku, count(*) AS facings, count(DISTINCT day) AS seen
        FROM facings WHERE sku IS NOT NULL GROUP BY ALL)
    SELECT shop, strftime(week, '%Y-%m-%d') AS week, sku, facings,
        round(facings / sum(facings) OVER (PARTITION BY shop, week), 4) AS share, round(seen / days, 4) AS availability
    FROM counted JOIN days USING (shop, week) ORDER BY shop, week, sku"""

#: What a shop should have of which nobody has told us: what it has shown in the week or in the four weeks before.
_SEEN = f"""CREATE TEMP TABLE facings AS {_FACINGS};
    CREATE TEMP TABLE photographed AS
        SELECT shop, week, count(DISTINCT day) AS days, count(*) AS photos FROM reports GROUP BY ALL;
    CREATE TEMP TABLE seen AS
        SELECT shop, week, sku, count(DISTINCT day) AS days, count(*) AS facings
        FROM facings WHERE sku IS NOT NULL GROUP BY ALL;
    CREATE TEMP TABLE ranged AS
        SELECT p.shop, p.week, r.sku, p.days, coalesce(s.days, 0) AS seen, coalesce(s.facings, 0) AS facings
        FROM photographed p
        JOIN (SELECT DISTINCT p.shop, p.week, s.sku FROM photographed p JOIN seen s
            ON s.shop = p.shop AND s.week BETWEEN p.week - INTERVAL 28 DAY AND p.week) r USING (shop, week)
        LEFT JOIN seen s USING (shop, week, sku)"""
_GROUPED = """WITH photos AS (
        SELECT {by}, count(DISTINCT shop) AS shops, sum(days) AS days, sum(photos) AS photos
        FROM photographed WHERE {where} GROUP BY {by}),
    counted AS (
        SELECT {by}, count(*) AS facings, count(*) FILTER (sku IS NULL) AS "unknown"
        FROM facings WHERE {where} GROUP BY {by}),
    available AS (SELECT {by}, sum(seen) / sum(days) AS availability FROM ranged WHERE {where} GROUP BY {by})
    SELECT {by}::VARCHAR AS "{by}", shops, days::BIGINT AS days, photos::BIGINT AS photos,
        coalesce(facings, 0) AS facings, coalesce("unknown", 0) AS "unknown", availability
    FROM photos LEFT JOIN counted USING ({by}) LEFT JOIN available USING ({by})"""
_SHARES = """SELECT sku, sum(facings)::BIGINT AS facings, sum(facings) / nullif(sum(sum(facings)) OVER (), 0) AS share,
        sum(seen) / sum(days) AS availability, count(DISTINCT shop) AS shops
    FROM ranged WHERE week = $week AND ($shop = '' OR shop = $shop)
    GROUP BY sku ORDER BY facings DESC, sku LIMIT $most"""
_STRANGERS = """SELECT coalesce(nearest, '') AS nearest, count(*) AS facings, count(DISTINCT (shop, day)) AS days,
        count(DISTINCT shop) AS shops
    FROM facings WHERE sku IS NULL AND week = $week AND ($shop = '' OR shop = $shop)
    GROUP BY ALL ORDER BY shops DESC, facings DESC, nearest LIMIT $most"""


@dataclass(frozen=True)
class ChainFigures:
    """A chain, or one shop of it, as people look at it; rows as dicts, shares from 0 to 1 or None where nothing counts.

    weeks      by week (Monday's date), of the shop that was chosen or of all: shops, days, photos, facings, unknown,
               availability
    shops      by shop, in the week that was chosen: the same, the least available first
    products   what is on the shelves in that week: facings, share of shelf, availability, shops; the most first
    strangers  facings that are no product in that week, in clusters by the product that they are nearest to: reports
               hold no vectors; facings, days of shops, shops; those that most shops have first
    """

    week: str
    weeks: list[dict[str, Any]]
    shops: list[dict[str, Any]]
    products: list[dict[str, Any]]
    strangers: list[dict[str, Any]]


def overview(folder: Path, *, shop: str = "", week: str = "", most: int = 200) -> ChainFigures:
    """The figures of all shops, or of one, in a week, the last that has reports without; at most so many rows a table.

    A product is available on a day with reports on which it was seen; a shop should have what it has shown in the week
    or in the four weeks before. Raises ChainError.
    """
    with _reports(folder) as connection:
        connection.execute(_SEEN)
        where = "$shop = '' OR shop = $shop"
        by_week = _fetched(connection, _GROUPED.format(by="week", where=where) + " ORDER BY week", shop=shop)
        chosen = week if week in [row["week"] for row in by_week] else (by_week[-1]["week"] if by_week else "")
        if not chosen:
            return ChainFigures("", by_week, [], [], [])
        in_week = _GROUPED.format(by="shop", where="week = $week") + " ORDER BY availability, shop LIMIT $most"
        return ChainFigures(
            chosen,
            by_week,
            _fetched(connection, in_week, week=chosen, most=most),
            _fetched(connection, _SHARES, week=chosen, shop=shop, most=most),
            _fetched(connection, _STRANGERS, week=chosen, shop=shop, most=most),
        )


def weeks(folder: Path) -> list[dict[str, Any]]:
    """A row for each shop and week (its Monday): days, photos, facings by certainty, and the snapshots that answered.

    Raises ChainError where no report lies there, or one cannot be read.
    """
    return _rows(folder, _WEEKS)


def products(folder: Path) -> list[dict[str, Any]]:
    """A row for each shop, week and product: facings that are surely or likely it, their share, its availability.

    The share is of the shop's facings that are some product; the availability is the share of the days with reports on
    which it was seen. Raises ChainError.
    """
    return _rows(folder, _PRODUCTS)


def shops(folder: Path) -> list[str]:
    """The names of the shops that have laid reports down, by name; raises ChainError."""
    paths = {path for _, found in _found(folder) for path in found}
    parts = {part for path in paths for part in Path(path).relative_to(folder).parts if part.startswith("shop=")}
    return sorted(unquote(part.removeprefix("shop=")) for part in parts)


def _rows(folder: Path, query: str) -> list[dict[str, Any]]:
    with _reports(folder) as connection:
        return _fetched(connection, query)


@contextmanager
def _reports(folder: Path) -> Iterator[DuckDBPyConnection]:
    """All that lies in a folder as the table `reports`; raises ChainError, also for what is asked in the block."""
    try:
        import duckdb
    except ImportError:
        raise MissingExtraError("figures need DuckDB; install it with `pip install retail-seg[report]`") from None

    with duckdb.connect() as connection:
        try:
            connection.execute(
                "CREATE TEMP TABLE reports (shop VARCHAR, day DATE, week DATE, image VARCHAR, "
                f"instances {_COLUMNS['instances']}, snapshot VARCHAR)"
            )
            for source, files in _found(folder):
                named = connection.execute(f"DESCRIBE SELECT * FROM {source}", [files]).fetchall()
                snapshot = "snapshot" if "snapshot" in {row[0] for row in named} else "NULL"
                connection.execute(f"INSERT INTO reports {_REPORTS % snapshot}{source}", [files])
            yield connection
        except duckdb.Error as error:
            reason = (str(error).strip().splitlines() or [""])[0]
            raise ChainError(f"{folder}: a report cannot be read ({reason}); mend it or move it away") from None


def _fetched(connection: DuckDBPyConnection, query: str, **values: Any) -> list[dict[str, Any]]:
    found = connection.execute(query, values)
    names = [column[0] for column in found.description]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def _found(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """(what reads them, files) of each form's reports; raises ChainError for none, and for one that is nobody's."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else []
    reports = {source: [p for p in paths if p.name.endswith(ends)] for ends, source in _SOURCES.items()}
    if not any(reports.values()):
        raise ChainError(f"{folder}: holds no reports; lay lines of `retail-seg scan` down as shop=…/day=…/*.jsonl")
    for path in (path for found in reports.values() for path in found):
        keys = [part.split("=")[0] for part in path.relative_to(folder).parts[:-1] if "=" in part]
        if sorted(keys) != ["day", "shop"]:
            raise ChainError(f"{path}: lies in no folder shop=…/day=…, so nobody knows whose it is; move it there")
    yield from ((source, [str(path) for path in found]) for source, found in reports.items() if found)
