"""Scans that were made: what was seen, where, by which model and at which revision, with the crops to match again."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from catalogue.database import inserted, now
from catalogue.errors import UnknownScan
from catalogue.records import typed_words
from catalogue.rows import write_log
from catalogue.scan_history import record
from catalogue.sqlite import Database
from catalogue.store import Catalogue


@dataclass(frozen=True)
class NewInstance:
    """One instance of a scan: geometry in the photo's pixels, what it was taken for, and the crop itself.

    `box` is x, y, width, height; `polygon` a list of points; `matches` the candidates as JSON-able values; `crop` and
    `mask` PNG bytes, `vector` float32 bytes, empty where it was not kept.
    """

    number: int
    box: tuple[int, int, int, int]
    area: int
    polygon: Sequence[Any]
    sku: str
    decision: str
    probability: float
    matches: Sequence[Any]
    crop: bytes
    vector: bytes = b""
    mask: bytes | None = None


@dataclass(frozen=True)
class NewScan:
    """A scan about to be kept; `photo` holds its bytes, or `path` says where it lies; `details` is the join's own.

    `thumbnail` is a small JPEG for lists of scans.
    """

    image: str
    width: int
    height: int
    model: str
    embedder: str
    revision: int
    instances: Sequence[NewInstance]
    photo: bytes | None = None
    path: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)
    thumbnail: bytes | None = None


@dataclass(frozen=True)
class ScanInstance:
    """A kept instance without its bytes; `decided_by` names who confirmed or corrected it."""

    number: int
    box: tuple[int, int, int, int]
    area: int
    polygon: list[Any]
    sku: str
    decision: str
    probability: float
    matches: list[Any]
    decided_by: str = ""
    decided_at: str = ""


@dataclass(frozen=True)
class Scan:
    """A kept scan without its bytes."""

    id: int
    at: str
    by: str
    image: str
    width: int
    height: int
    path: str
    model: str
    embedder: str
    revision: int
    details: dict[str, Any]


_SCAN = "SELECT id, at, by, image, width, height, path, model, embedder, revision, details FROM scans"
_INSTANCE = """SELECT number, x, y, w, h, area, polygon, sku, decision, probability, matches, decided_by, decided_at
    FROM instances"""


def save(catalogue: Catalogue, scan: NewScan, *, by: str = "") -> int:
    """Keep a scan with its instances, in one transaction; returns its number."""
    with catalogue.change() as db:
        number = inserted(
            db,
            "INSERT INTO scans (at, by, image, width, height, path, model, embedder, revision, details, photo)"
            " VALUES (?,?,?,?,?,?,?,?,?,?,?)",
            [
                now(),
                by,
                scan.image,
                scan.width,
                scan.height,
                scan.path,
                scan.model,
                scan.embedder,
                scan.revision,
                json.dumps(scan.details, ensure_ascii=False),
                scan.photo,
            ],
        )
        if scan.thumbnail is not None:
            db.execute("INSERT INTO scan_thumbnails (scan_id, jpeg) VALUES (?,?)", [number, scan.thumbnail])
        for instance in scan.instances:
            _insert(db, number, instance)
        return number


def load(catalogue: Catalogue, scan_id: int) -> Scan:
    """One scan by its number; raises UnknownScan."""
    row = catalogue.db.execute(f"{_SCAN} WHERE id = ?", [int(scan_id)]).fetchone()
    if row is None:
        raise _unknown(scan_id)
    return _scan(row)


def latest(
    catalogue: Catalogue, text: str = "", *, offset: int = 0, limit: int = 50, before: int | None = None
) -> list[Scan]:
    """One page of the scans, newest first; with `text` only those that `count` of it counts.

    `before` asks for those that are older than the scan with this number.
    """
    where, values = _where(text)
    sql = f"{_SCAN} WHERE {where} AND id < ? ORDER BY id DESC LIMIT ? OFFSET ?"
    found = catalogue.db.execute(sql, [*values, 2**63 - 1 if before is None else before, limit, offset])
    return [_scan(row) for row in found.fetchall()]


def count(catalogue: Catalogue, text: str = "") -> int:
    """How many scans are kept; with `text` those that hold each of its words.

    A word is looked for in the photo's name, the person's name, the day, and the SKU and name of what was seen.
    """
    where, values = _where(text)
    return int(catalogue.db.execute(f"SELECT count(*) FROM scans WHERE {where}", values).fetchone()[0])


def _where(text: str) -> tuple[str, list[str]]:
    seen = """id IN (SELECT scan_id FROM instances WHERE gone IS NULL AND sku IN
        (SELECT sku FROM products WHERE name LIKE ?1 ESCAPE '!' OR sku LIKE ?1 ESCAPE '!'))"""
    conditions, values = ["1"], []
    for number, word in enumerate(typed_words(text), 1):
        own = " OR ".join(f"{column} LIKE ?1 ESCAPE '!'" for column in ("image", "by", "at"))
        conditions.append(f"({own} OR {seen})".replace("?1", f"?{number}"))
        values.append("%" + word.replace("!", "!!").replace("%", "!%").replace("_", "!_") + "%")
    return " AND ".join(conditions), values


def thumbnails(catalogue: Catalogue, scan_ids: Sequence[int]) -> dict[int, bytes]:
    """The small JPEG of each of these scans; those kept without one are left out."""
    marks = ",".join("?" * len(scan_ids))
    sql = f"SELECT scan_id, jpeg FROM scan_thumbnails WHERE scan_id IN ({marks})"
    return {row[0]: bytes(row[1]) for row in catalogue.db.execute(sql, [int(i) for i in scan_ids]).fetchall()}


def answers(catalogue: Catalogue, scan_ids: Sequence[int]) -> dict[int, list[tuple[int, str, float, bool]]]:
    """(number, SKU, probability, whether a person decided) of the instances of each of these scans."""
    marks = ",".join("?" * len(scan_ids))
    sql = f"""SELECT scan_id, number, sku, probability, coalesce(decided_at, '') != '' FROM instances
        WHERE gone IS NULL AND scan_id IN ({marks}) ORDER BY scan_id, number"""
    found: dict[int, list[tuple[int, str, float, bool]]] = {int(i): [] for i in scan_ids}
    for scan_id, number, sku, probability, decided in catalogue.db.execute(sql, list(found)).fetchall():
        found[scan_id].append((number, sku, probability, bool(decided)))
    return found


def instances(catalogue: Catalogue, scan_id: int) -> list[ScanInstance]:
    """The instances of a scan, by number."""
    found = catalogue.db.execute(f"{_INSTANCE} WHERE scan_id = ? AND gone IS NULL ORDER BY number", [int(scan_id)])
    return [_instance(row) for row in found.fetchall()]


def counts(catalogue: Catalogue, scan_id: int) -> dict[str, int]:
    """How many instances of each SKU a scan has; unknown ones stand under the empty SKU."""
    sql = "SELECT sku, count(*) FROM instances WHERE scan_id = ? AND gone IS NULL GROUP BY sku ORDER BY sku"
    return dict(catalogue.db.execute(sql, [int(scan_id)]).fetchall())


def photo(catalogue: Catalogue, scan_id: int) -> bytes | None:
    """The photo's bytes, None where only its path was kept; raises UnknownScan."""
    row = catalogue.db.execute("SELECT photo FROM scans WHERE id = ?", [int(scan_id)]).fetchone()
    if row is None:
        raise _unknown(scan_id)
    return None if row[0] is None else bytes(row[0])


def crops(catalogue: Catalogue, scan_id: int) -> Iterator[tuple[int, bytes, bytes | None, bytes]]:
    """(number, crop PNG, mask PNG, vector) of a scan's instances, by number: what is needed to match them again."""
    sql = "SELECT number, crop, mask, vector FROM instances WHERE scan_id = ? AND gone IS NULL ORDER BY number"
    yield from catalogue.db.execute(sql, [int(scan_id)]).fetchall()


def checked(catalogue: Catalogue, limit: int) -> list[tuple[str, bytes, bytes | None, bytes, str, str]]:
    """(SKU, crop PNG, mask PNG, vector, the scan's embedder, when) of the instances that a person decided, the newest
    `limit` of them; the SKU is empty where the person said that it is no product of the catalogue.
    """
    sql = """SELECT i.sku, i.crop, i.mask, i.vector, s.embedder, i.decided_at
        FROM instances i JOIN scans s ON s.id = i.scan_id
        WHERE i.gone IS NULL AND coalesce(i.decided_at, '') != ''
        ORDER BY i.decided_at DESC, i.scan_id, i.number LIMIT ?"""
    return list(catalogue.db.execute(sql, [limit]).fetchall())


def count_checked(catalogue: Catalogue) -> tuple[int, int]:
    """How many instances a person has decided, and how many of them show no product of the catalogue."""
    sql = """SELECT count(*), coalesce(sum(coalesce(sku, '') = ''), 0) FROM instances
        WHERE gone IS NULL AND coalesce(decided_at, '') != ''"""
    checked, unlisted = catalogue.db.execute(sql).fetchone()
    return int(checked), int(unlisted)


def crop(catalogue: Catalogue, scan_id: int, number: int) -> tuple[bytes, bytes | None]:
    """Crop and mask (PNG) of one instance, also of one that was taken out; raises UnknownScan."""
    sql = "SELECT crop, mask FROM instances WHERE scan_id = ? AND number = ?"
    row = catalogue.db.execute(sql, [int(scan_id), int(number)]).fetchone()
    if row is None:
        raise _no_instance(scan_id, number)
    return bytes(row[0]), None if row[1] is None else bytes(row[1])


def next_number(catalogue: Catalogue, scan_id: int) -> int:
    """The first number that no instance of a scan has or had."""
    sql = "SELECT coalesce(max(number), 0) + 1 FROM instances WHERE scan_id = ?"
    return int(catalogue.db.execute(sql, [int(scan_id)]).fetchone()[0])


def set_vectors(catalogue: Catalogue, scan_id: int, vectors: Mapping[int, bytes]) -> None:
    """Keep the vectors (float32 bytes) of a scan's instances, by their number."""
    with catalogue.change() as db:
        for number, vector in vectors.items():
            sql = "UPDATE instances SET vector = ? WHERE scan_id = ? AND number = ?"
            _touched(db.execute(sql, [vector, int(scan_id), int(number)]).rowcount, scan_id, number)


def decide(
    catalogue: Catalogue,
    scan_id: int,
    numbers: Sequence[int],
    sku: str,
    decision: str,
    *,
    by: str,
    references: Sequence[int] = (),
) -> int:
    """Say what instances are (one fix, many facings): their SKU, and a decision such as `confirmed` or `known`.

    `references` are those that were made of these instances. Returns the number of the change.
    """
    with catalogue.change() as db:
        before = [_decision(db, scan_id, number) for number in numbers]
        for number in numbers:
            db.execute(
                "UPDATE instances SET sku = ?, decision = ?, decided_by = ?, decided_at = ?"
                " WHERE scan_id = ? AND number = ?",
                [sku, decision, by, now(), int(scan_id), int(number)],
            )
        return record(db, scan_id, by, decision, sku, before=before, references=references)


def replace_instances(
    catalogue: Catalogue,
    scan_id: int,
    gone: Sequence[int],
    new: Sequence[NewInstance],
    *,
    by: str = "",
    action: str = "replaced",
) -> int:
    """Take instances out of a scan and put others in, in one transaction: a false one deleted, a merged one split.

    Returns the number of the change.
    """
    with catalogue.change() as db:
        added = [instance.number for instance in new]
        change = record(db, scan_id, by, action, "", added=added, removed=gone)
        for number in gone:
            sql = "UPDATE instances SET gone = ? WHERE scan_id = ? AND number = ? AND gone IS NULL"
            _touched(db.execute(sql, [change, int(scan_id), int(number)]).rowcount, scan_id, number)
        for instance in new:
            _insert(db, scan_id, instance)
        return change


def remove(catalogue: Catalogue, scan_id: int, *, by: str = "") -> None:
    """Delete a scan for good, and say so in the catalogue's log; raises UnknownScan."""
    with catalogue.change() as db:
        if not db.execute("DELETE FROM scans WHERE id = ?", [int(scan_id)]).rowcount:
            raise _unknown(scan_id)
        write_log(db, by, f"delete scan {scan_id}", "", None, None)


def _decision(db: Database, scan_id: int, number: int) -> list[Any]:
    """(number, SKU, decision, by, at) of an instance as it is now; raises UnknownScan."""
    sql = """SELECT number, sku, decision, decided_by, decided_at FROM instances
        WHERE scan_id = ? AND number = ? AND gone IS NULL"""
    row = db.execute(sql, [int(scan_id), int(number)]).fetchone()
    if row is None:
        raise _no_instance(scan_id, number)
    return list(row)


def _insert(db: Database, scan_id: int, instance: NewInstance) -> None:
    db.execute(
        "INSERT INTO instances (scan_id, number, x, y, w, h, area, polygon, sku, decision, probability, matches, crop,"
        " mask, vector) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
        [
            int(scan_id),
            instance.number,
            *instance.box,
            instance.area,
            json.dumps(instance.polygon),
            instance.sku,
            instance.decision,
            instance.probability,
            json.dumps(instance.matches, ensure_ascii=False),
            instance.crop,
            instance.mask,
            instance.vector,
        ],
    )


def _touched(rows: int, scan_id: int, number: int) -> None:
    if not rows:
        raise _no_instance(scan_id, number)


def _no_instance(scan_id: int, number: int) -> UnknownScan:
    return UnknownScan(f"scan {scan_id} has no instance {number}; reload the scan")


def _unknown(scan_id: int) -> UnknownScan:
    return UnknownScan(f"there is no scan {scan_id}; see the list of scans")


def _scan(row: tuple[Any, ...]) -> Scan:
    id_, at, by, image, width, height, path, model, embedder, revision, details = row
    return Scan(id_, at, by, image, width, height, path, model, embedder, revision, json.loads(details))


def _instance(row: tuple[Any, ...]) -> ScanInstance:
    number, x, y, w, h, area, polygon, sku, decision, probability, matches, decided_by, decided_at = row
    shape = json.loads(polygon)
    found = json.loads(matches)
    return ScanInstance(number, (x, y, w, h), area, shape, sku, decision, probability, found, decided_by, decided_at)
