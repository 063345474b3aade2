"""Single rows read and written inside a transaction that the caller has opened."""

from __future__ import annotations

import json
from collections.abc import Iterable
from hashlib import sha256
from typing import Any

from catalogue.database import inserted, now
from catalogue.records import NewReference, Product
from catalogue.sqlite import Database

#: The columns of a product, in the order of `to_product`, and all rows of them; the table is called p.
COLUMNS = "p.sku, p.name, p.brand, p.category, p.gtin, p.attributes"
PRODUCT = f"SELECT {COLUMNS} FROM products p"
#: The embedder in use, as an SQL expression.
CURRENT = "(SELECT value FROM settings WHERE key = 'embedder')"


def to_product(row: tuple[Any, ...]) -> Product:
    """A row of `COLUMNS` as a value."""
    sku, name, brand, category, gtin, attributes = row
    return Product(sku, name, brand, category, gtin, json.loads(attributes))


def find_product(db: Database, sku: str) -> Product | None:
    """The product with this SKU, None where there is none or it has been removed."""
    row = db.execute(f"{PRODUCT} WHERE sku = ? AND deleted IS NULL", [sku]).fetchone()
    return None if row is None else to_product(row)


def keep_product(db: Database, sku: str) -> None:
    """References need their product's row; a new one starts as removed, so that the log sees it come."""
    at = now()
    db.execute(
        "INSERT OR IGNORE INTO products (sku, name, brand, category, gtin, attributes, created, updated, deleted)"
        " VALUES (?, '', '', '', '', '{}', ?, ?, ?)",
        [sku, at, at, at],
    )


def put_product(db: Database, product: Product, added: list[int], by: str, action: str) -> int | None:
    """Write a product's fields and the change's line in the log; None when nothing changed."""
    before = find_product(db, product.sku)
    if before == product and not added:
        return None
    write_product(db, product)
    return write_log(db, by, action, product.sku, before, product, added=added)


def write_product(db: Database, product: Product) -> None:
    """Write a product's fields; one that had been removed is in the catalogue again."""
    keep_product(db, product.sku)
    attributes = json.dumps(dict(product.attributes), ensure_ascii=False, sort_keys=True)
    db.execute(
        "UPDATE products SET name = ?, brand = ?, category = ?, gtin = ?, attributes = ?, updated = ?, deleted = NULL"
        " WHERE sku = ?",
        [product.name, product.brand, product.category, product.gtin, attributes, now(), product.sku],
    )


def delete_product(db: Database, sku: str) -> None:
    """Mark a product as removed; its references are the caller's to mark."""
    at = now()
    db.execute("UPDATE products SET deleted = ?, updated = ? WHERE sku = ?", [at, at, sku])


def write_log(
    db: Database,
    by: str,
    action: str,
    sku: str,
    before: Product | None,
    after: Product | None,
    *,
    added: Iterable[int] = (),
    removed: Iterable[int] = (),
    undoes: int | None = None,
) -> int:
    """Keep who did what, with the product before and after and the references that came and went."""
    return inserted(
        db,
        "INSERT INTO log (at, by, action, sku, before, after, added, removed, undoes) VALUES (?,?,?,?,?,?,?,?,?)",
        [
            now(),
            by,
            action,
            sku,
            before.as_json() if before else None,
            after.as_json() if after else None,
            json.dumps(list(added)),
            json.dumps(list(removed)),
            undoes,
        ],
    )


def next_revision(db: Database) -> int:
    """Count the revision up; everything that one change adds or removes carries the number returned."""
    db.execute("UPDATE settings SET value = CAST(value AS INTEGER) + 1 WHERE key = 'revision'")
    return int(db.execute("SELECT value FROM settings WHERE key = 'revision'").fetchone()[0])


def live_ids(db: Database, sku: str) -> list[int]:
    """Ids of a product's references in use."""
    rows = db.execute("SELECT id FROM refs WHERE sku = ? AND removed IS NULL ORDER BY id", [sku])
    return [row[0] for row in rows.fetchall()]


def mark_removed(db: Database, ids: list[int]) -> None:
    """Take references out of use; the row stays, so that every process's index learns of it."""
    if not ids:
        return
    at, revision = now(), next_revision(db)
    for id_ in ids:
        db.execute("UPDATE refs SET removed = ?, removed_revision = ? WHERE id = ?", [at, revision, id_])


def bring_back(db: Database, ids: list[int]) -> None:
    """Put removed references into use again."""
    if not ids:
        return
    revision = next_revision(db)
    for id_ in ids:
        db.execute("UPDATE refs SET removed = NULL, added_revision = ? WHERE id = ?", [revision, id_])


def same_hash(db: Database, sku: str, content_hash: str) -> int | None:
    """The reference in use by which a product has this file already, as it was uploaded or as it is stored."""
    sql = "SELECT id FROM refs WHERE sku = ? AND (content_hash = ? OR stored_hash = ?) AND removed IS NULL"
    row = db.execute(sql, [sku, content_hash, content_hash]).fetchone()
    return None if row is None else int(row[0])


def insert_reference(db: Database, sku: str, reference: NewReference, revision: int) -> int:
    """Write a new reference's three rows; returns its id, which is never given again."""
    id_ = inserted(
        db,
        "INSERT INTO refs (sku, content_hash, stored_hash, source, width, height, created, created_revision,"
        " added_revision) VALUES (?,?,?,?,?,?,?,?,?)",
        [
            sku,
            reference.content_hash,
            sha256(reference.picture).hexdigest(),
            reference.source,
            reference.width,
            reference.height,
            now(),
            revision,
            revision,
        ],
    )
    db.execute(
        "INSERT INTO ref_pictures (reference_id, mask, picture) VALUES (?,?,?)",
        [id_, reference.mask, reference.picture],
    )
    db.execute(
        "INSERT INTO ref_vectors (reference_id, embedder, views, vectors, features) VALUES (?,?,?,?,?)",
        [id_, reference.embedder, reference.views, reference.vectors, reference.features],
    )
    return id_
