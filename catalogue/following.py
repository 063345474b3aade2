"""A store that follows a centre: the centre's products and references taken over in one transaction, and guarded.

Ids below `OWN_FROM` are the centre's, the same in every store; what a store adds for itself has ids from there on. The
guards are triggers, so that no way of changing a product can go round them.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from catalogue import rows
from catalogue.database import GUARD, now
from catalogue.errors import CatalogueError
from catalogue.records import Product
from catalogue.snapshot import BYTES, OWN_FROM, PRODUCT, REFERENCE
from catalogue.sqlite import Database
from catalogue.store import Catalogue

#: The setting that says what a store follows; empty or missing where it follows nobody.
FOLLOWING = "following"

#: What a guard says; written into SQL as it stands here.
_NO_PRODUCT = "this product is of the centre"
_NO_REFERENCE = "this reference is of the centre"
_NO_EMBEDDER = "its embedder is of the centre"
#: Names of SQLite's errors that a person can mend.
_MENDABLE = ("SQLITE_FULL", "SQLITE_IOERR", "SQLITE_READONLY", "SQLITE_CANTOPEN")
_TRIGGERS = {
    "followed_products": f"""BEFORE UPDATE OF sku, name, brand, category, gtin, attributes, deleted ON products
        WHEN old.id < {OWN_FROM} AND (old.sku, old.name, old.brand, old.category, old.gtin, old.attributes)
        IS NOT (new.sku, new.name, new.brand, new.category, new.gtin, new.attributes)
        OR old.id < {OWN_FROM} AND old.deleted IS NOT new.deleted
        BEGIN SELECT RAISE(ABORT, '{GUARD}{_NO_PRODUCT}'); END""",
    "followed_refs": f"""BEFORE UPDATE OF sku, removed ON refs
        WHEN old.id < {OWN_FROM} AND (old.sku, old.removed) IS NOT (new.sku, new.removed)
        BEGIN SELECT RAISE(ABORT, '{GUARD}{_NO_REFERENCE}'); END""",
    "followed_settings": f"""BEFORE UPDATE ON settings WHEN old.key = 'embedder' AND old.value != new.value
        BEGIN SELECT RAISE(ABORT, '{GUARD}{_NO_EMBEDDER}'); END""",
}


@dataclass(frozen=True)
class Incoming:
    """What changes with a snapshot: all of it comes in one transaction, read on as it is written.

    products, references  portions of rows as `snapshot.Moment` gives them, of all parts that changed
    gone_skus, gone_ids   ranges [first, below) of the parts that are no more; what of them does not come again goes
    settings              what the store is to hold under these keys; FOLLOWING among them
    """

    embedder: str
    dim: int
    products: Iterable[Sequence[Mapping[str, Any]]]
    references: Iterable[Sequence[Mapping[str, Any]]]
    gone_skus: Sequence[tuple[str, str | None]]
    gone_ids: Sequence[tuple[int, int]]
    settings: Mapping[str, str]


@dataclass
class Arrivals:
    """How many rows a snapshot changed, and how many of the store's own references it made needless."""

    products: int = 0
    references: int = 0
    removed: int = 0
    absorbed: int = 0
    _skus: set[str] = field(default_factory=set, repr=False)
    _ids: set[int] = field(default_factory=set, repr=False)


def followed(catalogue: Catalogue) -> dict[str, Any] | None:
    """What a store follows, as its follower wrote it down; None where it follows nobody."""
    kept = catalogue.get_setting(FOLLOWING)
    return json.loads(kept) if kept else None


def take(catalogue: Catalogue, incoming: Incoming, action: str, *, by: str = "") -> Arrivals:
    """Bring a store to a snapshot: all of it or, whatever is raised or killed, nothing of it.

    Raises CatalogueError where own references have no vectors of the snapshot's embedder yet, or the disk is full.
    """
    try:
        return _taken(catalogue, incoming, action, by)
    except sqlite3.DatabaseError as error:
        if not str(getattr(error, "sqlite_errorname", "")).startswith(_MENDABLE):
            raise
        raise CatalogueError(
            f"{catalogue.path}: the snapshot cannot be written there ({error}); make room or mend the rights; "
            "the store is as it was"
        ) from None


def _taken(catalogue: Catalogue, incoming: Incoming, action: str, by: str) -> Arrivals:
    with catalogue.change() as db:
        _open_guards(db)
        taken, revision = Arrivals(), rows.next_revision(db)
        _switch_embedder(db, incoming)
        for portion in incoming.products:
            for product in portion:
                _put_product(db, product, taken)
        for references in incoming.references:
            for reference in references:
                _put_reference(db, reference, incoming.embedder, revision, taken)
        _drop_references(db, incoming.gone_ids, revision, taken)
        _drop_products(db, incoming.gone_skus, revision, taken)
        for key, value in incoming.settings.items():
            db.execute("INSERT OR REPLACE INTO settings (key, value) VALUES (?, ?)", [key, value])
        _close_guards(db)
        rows.write_log(db, by, action, "", None, None)
        return taken


def leave(catalogue: Catalogue, *, by: str = "") -> None:
    """Follow nobody any more: the store keeps all that it has, and may change it."""
    with catalogue.change() as db:
        _open_guards(db)
        db.execute("DELETE FROM settings WHERE key = ?", [FOLLOWING])
        rows.write_log(db, by, "follow nobody", "", None, None)


def note(catalogue: Catalogue, state: Mapping[str, Any]) -> None:
    """Write down anew what a store follows; nothing else changes."""
    catalogue.set_setting(FOLLOWING, json.dumps(dict(state), ensure_ascii=False))


def own_references(catalogue: Catalogue, after: int = 0) -> Iterator[int]:
    """Ids of the references in use that the store added for itself, by id, those behind `after`."""
    sql = "SELECT id FROM refs WHERE id >= ? AND id > ? AND removed IS NULL ORDER BY id"
    yield from [row[0] for row in catalogue.db.execute(sql, [OWN_FROM, after]).fetchall()]


def own_without(catalogue: Catalogue, embedder: str) -> list[int]:
    """Ids of the store's own references in use that have no vectors of an embedder."""
    sql = """SELECT id FROM refs r WHERE id >= ? AND removed IS NULL AND NOT EXISTS
        (SELECT 1 FROM ref_vectors v WHERE v.reference_id = r.id AND v.embedder = ?) ORDER BY id"""
    return [row[0] for row in catalogue.db.execute(sql, [OWN_FROM, embedder]).fetchall()]


def is_untouched(catalogue: Catalogue) -> bool:
    """Whether nothing was ever enrolled in a store: only such a one can begin to follow."""
    sql = "SELECT 1 FROM products UNION ALL SELECT 1 FROM refs LIMIT 1"
    return catalogue.db.execute(sql).fetchone() is None


def _open_guards(db: Database) -> None:
    for name in _TRIGGERS:
        db.execute(f"DROP TRIGGER IF EXISTS {name}")


def _close_guards(db: Database) -> None:
    for name, body in _TRIGGERS.items():
        db.execute(f"CREATE TRIGGER {name} {body}")
    for table in ("products", "refs"):  # what this store adds from here on has ids of its own
        if db.execute("SELECT 1 FROM sqlite_sequence WHERE name = ?", [table]).fetchone() is None:
            db.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?, 0)", [table])
        sql = "UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = ?"
        db.execute(sql, [OWN_FROM - 1, table])


def _switch_embedder(db: Database, incoming: Incoming) -> None:
    now_in_use = dict(db.execute("SELECT key, value FROM settings WHERE key IN ('embedder', 'dim')").fetchall())
    if now_in_use == {"embedder": incoming.embedder, "dim": str(incoming.dim)}:
        return
    sql = f"""SELECT count(*) FROM refs r WHERE id >= {OWN_FROM} AND removed IS NULL AND NOT EXISTS
        (SELECT 1 FROM ref_vectors v WHERE v.reference_id = r.id AND v.embedder = ?)"""
    if missing := db.execute(sql, [incoming.embedder]).fetchone()[0]:
        raise CatalogueError(
            f"{missing} of this store's own references have no vectors of {incoming.embedder} yet; follow again"
        )
    db.execute("UPDATE settings SET value = ? WHERE key = 'embedder'", [incoming.embedder])
    db.execute("UPDATE settings SET value = ? WHERE key = 'dim'", [str(incoming.dim)])
    db.execute("DELETE FROM ref_vectors WHERE embedder != ?", [incoming.embedder])


def _put_product(db: Database, values: Mapping[str, Any], taken: Arrivals) -> None:
    product = Product(**{name: values[name] for name in PRODUCT})
    taken._skus.add(product.sku)
    row = db.execute("SELECT id FROM products WHERE sku = ?", [product.sku]).fetchone()
    if row is not None and row[0] < OWN_FROM and rows.find_product(db, product.sku) == product:
        return
    if row is None or row[0] >= OWN_FROM:
        at = now()
        free = f"(SELECT coalesce(max(id), 0) + 1 FROM products WHERE id < {OWN_FROM})"
        if row is None:
            sql = f"""INSERT INTO products (id, sku, name, brand, category, gtin, attributes, created, updated, deleted)
                VALUES ({free}, ?, '', '', '', '', '{{}}', ?, ?, ?)"""
            db.execute(sql, [product.sku, at, at, at])
        else:  # a product that the shop made for itself is the centre's now; named, so that the search follows
            db.execute(f"UPDATE products SET id = {free}, name = name WHERE sku = ?", [product.sku])
    rows.write_product(db, product)
    taken.products += 1


def _put_reference(db: Database, new: Mapping[str, Any], embedder: str, revision: int, taken: Arrivals) -> None:
    id_ = int(new["id"])
    taken._ids.add(id_)
    if _reference(db, id_, embedder) == tuple(new[name] for name in (*REFERENCE[1:], *BYTES)):
        return
    taken.references += 1
    taken.absorbed += _absorb(db, id_, new, revision)
    known = db.execute("SELECT 1 FROM refs WHERE id = ?", [id_]).fetchone() is not None
    columns = REFERENCE[1:-1]
    values = [new[name] for name in columns]
    if known:
        sets = ", ".join(f"{name} = ?" for name in columns)
        sql = f"UPDATE refs SET {sets}, removed = NULL, added_revision = ? WHERE id = ?"
        db.execute(sql, [*values, revision, id_])
        db.execute("DELETE FROM ref_pictures WHERE reference_id = ?", [id_])
        db.execute("DELETE FROM ref_checks WHERE reference_id = ?", [id_])
        db.execute("DELETE FROM ref_vectors WHERE reference_id = ?", [id_])
    else:
        sql = f"""INSERT INTO refs (id, {", ".join(columns)}, created_revision, added_revision)
            VALUES (?{", ?" * len(columns)}, ?, ?)"""
        db.execute(sql, [id_, *values, revision, revision])
    sql = "INSERT INTO ref_pictures (reference_id, picture, mask) VALUES (?, ?, ?)"
    db.execute(sql, [id_, new["picture"], new["mask"]])
    sql = "INSERT INTO ref_vectors (reference_id, embedder, views, vectors, features) VALUES (?, ?, ?, ?, ?)"
    db.execute(sql, [id_, embedder, new["views"], new["vectors"], new["features"]])


def _reference(db: Database, id_: int, embedder: str) -> tuple[Any, ...] | None:
    """What `snapshot` reads of a reference in use, less its id."""
    sql = """SELECT r.sku, r.content_hash, r.stored_hash, r.source, r.width, r.height, r.created, v.views,
        p.picture, p.mask, v.vectors, v.features FROM refs r JOIN ref_pictures p ON p.reference_id = r.id
        JOIN ref_vectors v ON v.reference_id = r.id AND v.embedder = ? WHERE r.id = ? AND r.removed IS NULL"""
    return db.execute(sql, [embedder, id_]).fetchone()


def _absorb(db: Database, id_: int, new: Mapping[str, Any], revision: int) -> int:
    """Take out what shows the same picture of the same product: as a rule an own one that the centre has taken."""
    sql = """UPDATE refs SET removed = ?, removed_revision = ? WHERE sku = ? AND removed IS NULL AND id != ?
        AND (content_hash IN (?, ?) OR stored_hash IN (?, ?))"""
    both = [new["content_hash"], new["stored_hash"]]
    return db.execute(sql, [now(), revision, new["sku"], id_, *both, *both]).rowcount


def _drop_references(db: Database, ranges: Sequence[tuple[int, int]], revision: int, taken: Arrivals) -> None:
    for first, below in ranges:
        sql = f"SELECT id FROM refs WHERE id >= ? AND id < ? AND id < {OWN_FROM} AND removed IS NULL"
        found = [row[0] for row in db.execute(sql, [first, below]).fetchall()]
        taken.removed += _remove(db, [id_ for id_ in found if id_ not in taken._ids], revision)


def _drop_products(db: Database, ranges: Sequence[tuple[str, str | None]], revision: int, taken: Arrivals) -> None:
    for first, below in ranges:
        sql = f"""SELECT sku FROM products WHERE sku >= ? AND (? IS NULL OR sku < ?) AND id < {OWN_FROM}
            AND deleted IS NULL"""
        found = [row[0] for row in db.execute(sql, [first, below, below]).fetchall()]
        for sku in (sku for sku in found if sku not in taken._skus):
            _remove(db, rows.live_ids(db, sku), revision)  # the shop's own of it, too: nobody would find them
            rows.delete_product(db, sku)
            taken.products += 1


def _remove(db: Database, ids: Sequence[int], revision: int) -> int:
    at = now()
    for id_ in ids:
        db.execute("UPDATE refs SET removed = ?, removed_revision = ? WHERE id = ?", [at, revision, id_])
    return len(ids)
