"""What people type, as an expression of SQLite's full-text search: beginnings of words, with or without accents."""

from __future__ import annotations

from catalogue.errors import GtinError
from catalogue.gtin import normal_gtin
from catalogue.records import typed_words

# A hit in the name, SKU or GTIN says more than one in the brand, and that more than one in the category.
RANK = "bm25(products_fts, 8.0, 4.0, 8.0, 8.0, 1.0)"


def fts_query(text: str) -> str:
    """An FTS5 expression in which nothing that a person types is an operator; empty for a text without words."""
    terms = []
    for word in typed_words(text):
        if not any(char.isalnum() for char in word):
            continue
        variants = {word, word.lstrip("0") or word} if word.isdigit() else _spellings(word)
        quoted = ['"' + variant.replace('"', '""') + '" *' for variant in sorted(variants)]
        terms.append("(" + " OR ".join(quoted) + ")")
    return " AND ".join(terms)


def gtin_of(text: str) -> str:
    """The GTIN that somebody typed, as it is stored; for what is none, a text that no product has as its GTIN."""
    try:
        return normal_gtin(text)
    except GtinError:
        return "none"


def _spellings(word: str) -> set[str]:
    """SQLite folds accents but not the German sharp s, which people and labels write as ss."""
    lower = word.lower()
    return {word, lower.replace("ss", "ß"), lower.replace("ß", "ss")}
