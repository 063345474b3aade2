"""The one listing of products: searched and filtered at once, a page at a time, all in SQL.

A text holds a SKU, the digits under a barcode, or the beginnings of words, with or without accents.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from catalogue.records import Product, clean_text, typed_words
from catalogue.rows import COLUMNS, CURRENT, PRODUCT, to_product
from catalogue.search import RANK, fts_query, gtin_of

if TYPE_CHECKING:
    from catalogue.store import Catalogue

#: Of more hits than these `search` ranks only the first: what half of the products match needs another word anyway.
RANKED = 5000
#: What `Filter.pictures` may be, and the condition that it stands for.
PICTURES = {
    "": "",
    "none": "NOT EXISTS (SELECT 1 FROM refs r WHERE r.sku = p.sku AND r.removed IS NULL)",
    "one": "(SELECT count(*) FROM refs r WHERE r.sku = p.sku AND r.removed IS NULL) = 1",
}


@dataclass(frozen=True)
class Filter:
    """Which products are wanted: all conditions at once, an empty one wants nothing.

    `text` holds beginnings of words, a SKU or a GTIN; `pictures` is a key of PICTURES; `removed` asks for the removed
    products instead of those that are there; `after` for those whose SKU comes behind this one, in SQLite's order.
    """

    text: str = ""
    brand: str = ""
    category: str = ""
    pictures: str = ""
    removed: bool = False
    after: str = ""

    @property
    def query(self) -> str:
        """What the full-text search is asked for; empty where it cannot answer, as it knows no removed products."""
        return "" if self.removed else fts_query(self.text)


@dataclass(frozen=True)
class Entry:
    """A product in a list, with the number of its references in use and the first of them (None: it has none)."""

    product: Product
    references: int
    cover: int | None


def find(
    catalogue: Catalogue, wanted: Filter, *, offset: int = 0, limit: int = 25, ranked: int | None = None
) -> list[Product]:
    """One page of the products that are wanted: by SKU, or with a text the best first, an exact SKU or GTIN leading.

    With `ranked`, of more hits of the text only so many are ranked, or as many as the page needs.
    """
    if not wanted.query:
        where, values = _where(wanted)
        page = catalogue.db.execute(
            f"{PRODUCT} WHERE {where} ORDER BY p.sku LIMIT ? OFFSET ?", [*values, limit, offset]
        )
        return [to_product(row) for row in page.fetchall()]
    exact = _exact(catalogue, wanted)
    leading = [product for _, product in exact[offset : offset + limit]]
    skipped = max(offset - len(exact), 0)
    most = None if ranked is None else max(ranked, skipped + limit)
    hits, values = _hits(wanted, [id_ for id_, _ in exact], most)
    # The columns are read last, of one page's rows alone.
    sql = f"""SELECT {COLUMNS} FROM (SELECT h.id, h.score FROM {hits} ORDER BY h.score, h.id LIMIT ? OFFSET ?) found
        JOIN products p ON p.id = found.id ORDER BY found.score, found.id"""
    rows = catalogue.db.execute(sql, [*values, limit - len(leading), skipped]).fetchall()
    return leading + [to_product(row) for row in rows]


def count(catalogue: Catalogue, wanted: Filter) -> int:
    """How many products `find` pages through."""
    if not wanted.query:
        where, values = _where(wanted)
        return int(catalogue.db.execute(f"SELECT count(*) FROM products p WHERE {where}", values).fetchone()[0])
    exact = [id_ for id_, _ in _exact(catalogue, wanted)]
    hits, values = _hits(wanted, exact, None, score="0")
    return len(exact) + int(catalogue.db.execute(f"SELECT count(*) FROM {hits}", values).fetchone()[0])


def entries(catalogue: Catalogue, wanted: Filter, *, offset: int = 0, limit: int = 25) -> list[Entry]:
    """As `find`, with the number of each product's references and the first of them."""
    products = find(catalogue, wanted, offset=offset, limit=limit)
    found = covers(catalogue, [product.sku for product in products])
    return [Entry(p, found[p.sku][1], found[p.sku][0]) if p.sku in found else Entry(p, 0, None) for p in products]


def search(catalogue: Catalogue, text: str, *, limit: int = 20, offset: int = 0) -> list[Product]:
    """The products for what somebody types, the best first; none for a text without a letter or digit but an SKU."""
    wanted = Filter(text)
    if wanted.query:
        return find(catalogue, wanted, offset=offset, limit=limit, ranked=RANKED)
    return [product for _, product in _exact(catalogue, wanted)][offset : offset + limit]


def count_search(catalogue: Catalogue, text: str) -> int:
    """How many products `search` pages through."""
    wanted = Filter(text)
    return count(catalogue, wanted) if wanted.query else len(_exact(catalogue, wanted))


def skus_with_gtin(catalogue: Catalogue, gtin: str) -> list[str]:
    """SKUs of the products that have this GTIN (14 digits)."""
    sql = "SELECT sku FROM products WHERE gtin = ? AND gtin != '' AND deleted IS NULL ORDER BY id"  # '' is not indexed
    return [row[0] for row in catalogue.db.execute(sql, [gtin]).fetchall()]


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


def _exact(catalogue: Catalogue, wanted: Filter) -> list[tuple[int, Product]]:
    """(row id, product) whose SKU or GTIN is the text as it stands, the SKU first."""
    word = clean_text(wanted.text)
    where, values = _conditions(wanted)
    # The comparison with '' lets SQLite use the index, which leaves products without a GTIN out.
    sql = f"""SELECT p.id, {COLUMNS} FROM products p WHERE (p.sku = ? OR (p.gtin = ? AND p.gtin != '')) AND {where}
        ORDER BY p.sku != ?, p.id"""
    found = catalogue.db.execute(sql, [word, gtin_of(word), *values, word]).fetchall()
    return [(row[0], to_product(row[1:])) for row in found]


def _hits(wanted: Filter, leading: Sequence[int], most: int | None, score: str = RANK) -> tuple[str, list[Any]]:
    """What the full-text search finds but for the rows that lead, as a table h of ids and scores, with its values."""
    but = f" AND rowid NOT IN ({','.join('?' * len(leading))})" if leading else ""
    end = "" if most is None else f" LIMIT {most}"  # without a limit, conditions are asked before scores are computed
    hits = f"(SELECT rowid AS id, {score} AS score FROM products_fts WHERE products_fts MATCH ?{but}{end}) h"
    values = [wanted.query, *leading]
    if not (wanted.brand or wanted.category or wanted.pictures or wanted.after):
        return hits, values  # products that were removed are not in the search's index
    where, more = _conditions(wanted)
    return f"{hits} JOIN products p ON p.id = h.id WHERE {where}", [*values, *more]


def _where(wanted: Filter) -> tuple[str, list[Any]]:
    """All conditions as SQL, for a text that the full-text search does not answer; with their values."""
    where, values = _conditions(wanted)
    for word in typed_words(wanted.text):
        # Removed products are not in the search's index; a text without a letter or digit can only be a SKU.
        where += " AND (p.sku || ' ' || p.name || ' ' || p.brand || ' ' || p.gtin) LIKE ? ESCAPE '\\'"
        values.append("%" + word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%")
    return where, values


def _conditions(wanted: Filter) -> tuple[str, list[Any]]:
    """All conditions but the text's."""
    found = ["p.deleted IS NOT NULL" if wanted.removed else "p.deleted IS NULL"]
    found += [condition] if (condition := PICTURES[wanted.pictures]) else []
    values = []
    asked = (("brand =", wanted.brand), ("category =", wanted.category), ("sku >", wanted.after))
    for comparison, value in asked:
        if value:
            found.append(f"p.{comparison} ?")
            values.append(value)
    return " AND ".join(found), values
