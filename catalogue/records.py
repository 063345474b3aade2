"""The values that flow into and out of the catalogue; no SQL here."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field

from catalogue.errors import CatalogueError
from catalogue.gtin import split_gtin

#: The fields of a product that are plain text, in the order in which people read them.
TEXT_FIELDS = ("name", "brand", "category", "gtin")
MAX_SKU = 200
#: Of a search so many different words and characters are looked at: SQLite takes no longer expressions and patterns.
WORDS, LETTERS = 64, 2000
#: The attribute that holds numbers of restricted circulation.
IN_STORE = "in_store_number"
#: Marks an attribute that is named like a column of the catalogue's own.
ATTRIBUTE = "attribute:"
OWN_COLUMNS = ("sku", *TEXT_FIELDS, "image", "images", "mask", "content_hash")


@dataclass(frozen=True)
class Product:
    """One article of the shop: its own number (SKU) and what is known about it."""

    sku: str
    name: str = ""
    brand: str = ""
    category: str = ""
    gtin: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)

    def cleaned(self) -> Product:
        """The same product with trimmed, composed (NFC) text and its GTIN as 14 digits.

        A number that only counts inside a shop moves to the attribute `in_store_number`. Raises CatalogueError for a
        SKU that cannot be one, GtinError for a number that is none.
        """
        sku = clean_text(self.sku)
        if not sku:
            raise CatalogueError("a product has no SKU; give it a number of its own")
        if len(sku) > MAX_SKU:
            raise CatalogueError(f"SKU {sku[:40]}… has {len(sku)} characters; use at most {MAX_SKU}")
        texts = {name: clean_text(getattr(self, name)) for name in TEXT_FIELDS}
        attributes = {clean_text(key): clean_text(value) for key, value in self.attributes.items()}
        texts["gtin"], in_store = split_gtin(texts["gtin"])
        if in_store:
            attributes[IN_STORE] = in_store
        return Product(sku, **texts, attributes={k: v for k, v in sorted(attributes.items()) if k and v})

    def differences(self, other: Product) -> list[tuple[str, str, str]]:
        """(field, value here, value in `other`) of each field that differs; attributes count as fields."""
        mine, theirs = self.fields(), other.fields()
        names = [*mine, *(name for name in theirs if name not in mine)]
        return [(n, mine.get(n, ""), theirs.get(n, "")) for n in names if mine.get(n, "") != theirs.get(n, "")]

    def fields(self) -> dict[str, str]:
        """All fields but the SKU by name; an attribute that is named like a field is `attribute:name`."""
        texts = {name: str(getattr(self, name)) for name in TEXT_FIELDS}
        return texts | {attribute_name(key): value for key, value in sorted(self.attributes.items())}

    def with_fields(self, fields: Mapping[str, str]) -> Product:
        """The product with other values for some of its `fields`; an empty value takes an attribute away."""
        merged = self.fields() | dict(fields)
        texts = {name: merged.pop(name) for name in TEXT_FIELDS}
        return Product(self.sku, **texts, attributes={k.removeprefix(ATTRIBUTE): v for k, v in merged.items() if v})

    def as_json(self) -> str:
        """One stable JSON line of all fields: equal products have equal lines."""
        fields = {"sku": self.sku, **{name: getattr(self, name) for name in TEXT_FIELDS}}
        return json.dumps({**fields, "attributes": dict(self.attributes)}, ensure_ascii=False, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Product:
        """What `as_json` wrote."""
        return cls(**json.loads(text))


@dataclass(frozen=True)
class NewReference:
    """A reference picture about to be enrolled.

    `picture` holds JPEG bytes, `mask` PNG bytes, `vectors` `views` rows of float32, `features` whatever the embedder
    keeps beside its vectors; `content_hash` is the sha256 of the uploaded file (and of the crop taken from it).
    `gtins` are those that barcodes in the picture hold, 14 digits each; they are compared, not kept.
    """

    picture: bytes
    content_hash: str
    vectors: bytes
    views: int
    embedder: str
    mask: bytes | None = None
    features: bytes | None = None
    source: str = ""
    width: int = 0
    height: int = 0
    gtins: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reference:
    """A stored reference picture without its bytes; `removed` is the time at which it was taken out, or empty."""

    id: int
    sku: str
    content_hash: str
    views: int
    embedder: str
    source: str
    width: int
    height: int
    created: str
    removed: str = ""


@dataclass(frozen=True)
class Changes:
    """What an index of an earlier revision must do to catch up: first remove the ids in `removed`, then add `added`.

    `added` holds (reference id, vectors as float32 bytes, number of views); an id may stand in both lists. `embedder`
    is the fingerprint that all vectors belong to: where it differs from the index's, the index is to be built anew.
    """

    revision: int
    added: list[tuple[int, bytes, int]]
    removed: list[int]
    embedder: str = ""


def attribute_name(key: str) -> str:
    """How an attribute is called among a product's fields and in the columns of a file."""
    return ATTRIBUTE + key if column_key(key) in OWN_COLUMNS or key.startswith(ATTRIBUTE) else key


def column_key(column: str) -> str:
    """A column's name as it is compared: case, blanks and hyphens make no difference."""
    return column.strip().lower().replace(" ", "_").replace("-", "_")


def clean_text(text: str) -> str:
    """Composed (NFC) text on one line without control characters and outer blanks."""
    composed = unicodedata.normalize("NFC", str(text))
    spaced = "".join(" " if unicodedata.category(c) in ("Cc", "Zl", "Zp") else c for c in composed)
    return " ".join(spaced.split())


def typed_words(text: str) -> list[str]:
    """The different words of what people type in a search, at most WORDS of its first LETTERS characters."""
    different = {word.casefold(): word for word in reversed(clean_text(text[:LETTERS]).split())}
    return list(different.values())[::-1][:WORDS]
