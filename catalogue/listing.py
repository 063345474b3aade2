"""The catalogue to leaf through: products that are searched and filtered at once, a page at a time, all in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from catalogue.errors import GtinError
from catalogue.gtin import normal_gtin
from catalogue.records import Product, clean_text, typed_words
from catalogue.rows import CURRENT, to_product
from catalogue.search import RANK, fts_query
from catalogue.store import Catalogue

#: What `Filter.pictures` may be, and the condition that it stands for.
PICTURES = {
    "": "1",
    "none": "NOT EXISTS (SELECT 1 FROM refs r WHERE r.sku = p.sku AND r.removed IS NULL)",
    "one": "(SELECT count(*) FROM refs r WHERE r.sku = p.sku AND r.removed IS NULL) = 1",
}
_COLUMNS = "p.sku, p.name, p.brand, p.category, p.gtin, p.attributes"


@dataclass(frozen=True)
class Filter:
    """Which products are wanted: all conditions at once, an empty one wants nothing.

    `text` holds beginnings of words, a SKU or a GTIN; `pictures` is a key of PICTURES; `removed` asks for the removed
    products instead of those that are there.
    """

    text: str = ""
    brand: str = ""
    category: str = ""
    pictures: str = ""
    removed: bool = False


@dataclass(frozen=True)
class Entry:
    """A product in a list, with the number of its references in use and the first of them (None: it has none)."""

    product: Product
    references: int
    cover: int | None


def find(catalogue: Catalogue, wanted: Filter, *, offset: int = 0, limit: int = 25) -> list[Entry]:
    """One page of the products that are wanted: by SKU, or with a text the best first, an exact SKU or GTIN leading."""
    source, values, ranked = _source(wanted)
    order = "p.sku"
    if ranked:
        word = clean_text(wanted.text)
        order, values = "(p.sku = ? OR (p.gtin = ? AND p.gtin != '')) DESC, f.score, p.id", [*values, word, _gtin(word)]
    sql = f"SELECT {_COLUMNS} FROM {source} ORDER BY {order} LIMIT ? OFFSET ?"
    found = [to_product(row) for row in catalogue.db.execute(sql, [*values, limit, offset]).fetchall()]
    return _entries(catalogue, found)


def count(catalogue: Catalogue, wanted: Filter) -> int:
    """How many products `find` pages through."""
    source, values, _ = _source(wanted, score="0")
    return int(catalogue.db.execute(f"SELECT count(*) FROM {source}", values).fetchone()[0])


def covers(catalogue: Catalogue, skus: Sequence[str]) -> dict[str, tuple[int, int]]:
    """(first reference in use, number of references) per SKU; products without any are left out."""
    if not skus:
        return {}
    sql = f"""SELECT sku, min(id), count(*) FROM refs WHERE removed IS NULL AND sku IN ({",".join("?" * len(skus))})
        GROUP BY sku"""
    return {sku: (cover, number) for sku, cover, number in catalogue.db.execute(sql, list(skus)).fetchall()}


def vectors(catalogue: Catalogue, sku: str) -> list[tuple[int, bytes, int]]:
    """(id, vectors as float32 bytes, views) of a product's references in use, by id."""
    sql = f"""SELECT r.id, v.vectors, v.views FROM refs r JOIN ref_vectors v ON v.reference_id = r.id
        AND v.embedder = {CURRENT} WHERE r.sku = ? AND r.removed IS NULL ORDER BY r.id"""
    return catalogue.db.execute(sql, [sku]).fetchall()


def _entries(catalogue: Catalogue, products: Sequence[Product]) -> list[Entry]:
    found = covers(catalogue, [product.sku for product in products])
    return [Entry(p, found[p.sku][1], found[p.sku][0]) if p.sku in found else Entry(p, 0, None) for p in products]


def _source(wanted: Filter, score: str = RANK) -> tuple[str, list[Any], bool]:
    """What to select from, with its conditions, their values, and whether its rows have a score."""
    conditions, values = _conditions(wanted)
    text = clean_text(wanted.text)
    query = "" if wanted.removed else fts_query(text)
    if query:
        hits = f"(SELECT rowid AS id, {score} AS score FROM products_fts WHERE products_fts MATCH ?) f"
        return f"{hits} JOIN products p ON p.id = f.id WHERE {conditions}", [query, *values], True
    for word in typed_words(text):
        # Removed products are not in the search's index; a text without a letter or digit can only be a SKU.
        conditions += " AND (p.sku || ' ' || p.name || ' ' || p.brand || ' ' || p.gtin) LIKE ? ESCAPE '\\'"
        values.append("%" + word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%")
    return f"products p WHERE {conditions}", values, False


def _conditions(wanted: Filter) -> tuple[str, list[Any]]:
    found = ["p.deleted IS NOT NULL" if wanted.removed else "p.deleted IS NULL", PICTURES[wanted.pictures]]
    values = []
    for column, value in (("brand", wanted.brand), ("category", wanted.category)):
        if value:
            found.append(f"p.{column} = ?")
            values.append(value)
    return " AND ".join(found), values


def _gtin(word: str) -> str:
    try:
        return normal_gtin(word)
    except GtinError:
        return "none"
