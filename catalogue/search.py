"""Products by what people type: a SKU, the digits under a barcode, the beginning of a name, with or without accents."""

from __future__ import annotations

from catalogue.errors import GtinError
from catalogue.gtin import normal_gtin
from catalogue.records import Product, clean_text, typed_words
from catalogue.rows import to_product
from catalogue.store import Catalogue

#: Of more hits than these only the first are ranked: what half of the products match needs another word anyway.
RANKED = 5000
_COLUMNS = "p.sku, p.name, p.brand, p.category, p.gtin, p.attributes"
# A hit in the name, SKU or GTIN says more than one in the brand, and that more than one in the category.
RANK = "bm25(products_fts, 8.0, 4.0, 8.0, 8.0, 1.0)"


def search(catalogue: Catalogue, text: str, *, limit: int = 20, offset: int = 0) -> list[Product]:
    """Products that hold every word of `text` (or a word that begins so), best first; an exact SKU or GTIN leads."""
    exact = _exact(catalogue, text)
    query = fts_query(text)
    if not query:
        return exact[offset : offset + limit]
    wanted = offset + limit + len(exact)
    sql = f"""SELECT {_COLUMNS} FROM
        (SELECT id, score FROM
            (SELECT rowid AS id, {RANK} AS score FROM products_fts WHERE products_fts MATCH ? LIMIT ?)
        ORDER BY score, id LIMIT ?) found
        JOIN products p ON p.id = found.id ORDER BY found.score, found.id"""
    rows = catalogue.db.execute(sql, [query, max(RANKED, wanted), wanted]).fetchall()
    skus = {product.sku for product in exact}
    found = exact + [product for product in map(to_product, rows) if product.sku not in skus]
    return found[offset : offset + limit]


def count(catalogue: Catalogue, text: str) -> int:
    """How many products `search` pages through."""
    query = fts_query(text)
    if not query:
        return len(_exact(catalogue, text))
    row = catalogue.db.execute("SELECT count(*) FROM products_fts WHERE products_fts MATCH ?", [query]).fetchone()
    return int(row[0])


def _exact(catalogue: Catalogue, text: str) -> list[Product]:
    word = clean_text(text)
    try:
        gtin = normal_gtin(word)
    except GtinError:
        gtin = "none"
    # The comparison with '' lets SQLite use the index, which leaves products without a GTIN out.
    sql = f"""SELECT {_COLUMNS} FROM products p WHERE (p.sku = ? OR (p.gtin = ? AND p.gtin != ''))
        AND p.deleted IS NULL ORDER BY p.sku != ?"""
    return [to_product(row) for row in catalogue.db.execute(sql, [word, gtin, word]).fetchall()]


def fts_query(text: str) -> str:
    """An FTS5 expression in which nothing that a person types is an operator."""
    terms = []
    for word in typed_words(text):
        if not any(char.isalnum() for char in word):
            continue
        variants = {word, word.lstrip("0") or word} if word.isdigit() else _spellings(word)
        quoted = ['"' + variant.replace('"', '""') + '" *' for variant in sorted(variants)]
        terms.append("(" + " OR ".join(quoted) + ")")
    return " AND ".join(terms)


def _spellings(word: str) -> set[str]:
    """SQLite folds accents but not the German sharp s, which people and labels write as ss."""
    lower = word.lower()
    return {word, lower.replace("ss", "ß"), lower.replace("ß", "ss")}
