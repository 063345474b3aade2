"""What a centre publishes of its catalogue, read as one state: rows of products and references, a portion at a time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from catalogue.rows import CURRENT
from catalogue.sqlite import Database
from catalogue.store import Catalogue

#: Ids from here on are those of a store that follows a centre; the centre's are all smaller.
OWN_FROM = 2**40
#: What a reference's row holds beside its bytes.
REFERENCE = ("id", "sku", "content_hash", "stored_hash", "source", "width", "height", "created", "views")
#: The bytes of a reference; a mask and features may be missing.
BYTES = ("picture", "mask", "vectors", "features")
#: What a product's row holds.
PRODUCT = ("sku", "name", "brand", "category", "gtin", "attributes")

_REFERENCES = f"""SELECT r.id, r.sku, r.content_hash, r.stored_hash, r.source, r.width, r.height, r.created, v.views,
    p.picture, p.mask, v.vectors, v.features FROM refs r JOIN ref_pictures p ON p.reference_id = r.id
    JOIN ref_vectors v ON v.reference_id = r.id AND v.embedder = {CURRENT}
    WHERE r.id >= ? AND r.id < ? AND r.id < {OWN_FROM} AND r.removed IS NULL ORDER BY r.id"""


class Moment:
    """A catalogue as it is at one moment, whatever others write meanwhile; made by `at_one_moment`."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def settings(self) -> dict[str, str]:
        """All settings."""
        return dict(self._db.execute("SELECT key, value FROM settings").fetchall())

    def has_own_ids(self) -> bool:
        """Whether references are in use that were made in a store that follows a centre."""
        sql = "SELECT 1 FROM refs WHERE id >= ? AND removed IS NULL LIMIT 1"
        return self._db.execute(sql, [OWN_FROM]).fetchone() is not None

    def products(self, first: str = "", below: str | None = None) -> Iterator[dict[str, Any]]:
        """The centre's products by SKU, from one SKU on and below another; their attributes as a mapping."""
        sql = f"""SELECT {", ".join(PRODUCT)} FROM products
            WHERE deleted IS NULL AND id < {OWN_FROM} AND sku >= ? AND (? IS NULL OR sku < ?) ORDER BY sku"""
        for row in self._db.execute(sql, [first, below, below]):
            values = dict(zip(PRODUCT, row, strict=True))
            yield values | {"attributes": json.loads(values["attributes"])}

    def marks(self) -> Iterator[tuple[int, str, int]]:
        """(id, SKU, revision it came with) of the references in use, by id: what changes when one of them does."""
        sql = f"SELECT id, sku, added_revision FROM refs WHERE removed IS NULL AND id < {OWN_FROM} ORDER BY id"
        yield from self._db.execute(sql)

    def references(self, first: int, below: int) -> list[dict[str, Any]]:
        """The references in use with ids in a range, each with its pictures, vectors and features as bytes."""
        rows = self._db.execute(_REFERENCES, [first, below]).fetchall()
        return [dict(zip(REFERENCE + BYTES, row, strict=True)) for row in rows]


@contextmanager
def at_one_moment(catalogue: Catalogue) -> Iterator[Moment]:
    """Read a catalogue as one state; while the block runs its write-ahead log grows with what others change."""
    with catalogue.file.reading() as db:
        yield Moment(db)
