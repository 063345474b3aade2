"""The catalogue: products, reference pictures and their vectors; one transaction a change, every change kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any
from uuid import uuid4

from catalogue import database, listing, reindexing, rows
from catalogue.errors import CatalogueError, UnknownProduct, UnknownReference
from catalogue.listing import Filter
from catalogue.records import Changes, NewReference, Product, Reference
from catalogue.sqlite import Database

#: Settings that only the catalogue itself writes.
RESERVED = ("embedder", "dim", "revision", "identity")
#: SQLite takes at most so many parameters in one statement, on its oldest builds.
CHUNK = 500
BYTES_PER_VALUE = 4

_REFERENCE = f"""SELECT r.id, r.sku, r.content_hash, v.views, v.embedder, r.source, r.width, r.height, r.created,
    coalesce(r.removed, '') FROM refs r JOIN ref_vectors v ON v.reference_id = r.id
    AND v.embedder = {rows.CURRENT}"""


class Catalogue:
    """An open catalogue file; usable from several threads, beside other processes that use the same file."""

    def __init__(self, file: database.DatabaseFile) -> None:
        self.file = file

    @classmethod
    def create(cls, path: str | Path, *, embedder: str, dim: int) -> Catalogue:
        """A new catalogue pinned to an embedder's fingerprint and its dimension; refused where one exists."""
        settings = {"embedder": embedder, "dim": str(dim), "revision": "0", "identity": uuid4().hex}
        database.create(Path(path), settings)
        return cls.open(path)

    @classmethod
    def open(cls, path: str | Path) -> Catalogue:
        """Open an existing catalogue; one of an older version is brought forward, one of a newer version refused."""
        return cls(database.open_file(Path(path)))

    def close(self) -> None:
        """Close every thread's connection."""
        self.file.close()

    def __enter__(self) -> Catalogue:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    @property
    def path(self) -> Path:
        """The file."""
        return self.file.path

    @property
    def db(self) -> Database:
        """The calling thread's connection, for reading."""
        return self.file.db

    def change(self) -> AbstractContextManager[Database]:
        """A write transaction; what is changed within it, in this thread, is written with it or not at all."""
        return self.file.change()

    @contextmanager
    def logged(self, action: str, *, by: str = "") -> Iterator[None]:
        """Keep in the log what is done to the store outside this file, while no other such change runs.

        What raises inside leaves no line; the log cannot undo it.
        """
        with self.change() as db:
            rows.write_log(db, by, action, "", None, None)
            yield

    # -- settings

    @property
    def embedder(self) -> str:
        """Fingerprint of the embedder that the vectors in use belong to."""
        return self._setting("embedder")

    @property
    def dim(self) -> int:
        """Number of values of one vector."""
        return int(self._setting("dim"))

    @property
    def revision(self) -> int:
        """Grows with each change that an index must learn of."""
        return int(self._setting("revision"))

    @property
    def identity(self) -> str:
        """Differs between any two stores, also between a store and what was restored from its backup."""
        return self._setting("identity")

    def _setting(self, key: str) -> str:
        value = self.get_setting(key)
        assert value is not None, key
        return value

    def get_setting(self, key: str) -> str | None:
        """The text stored under a key, None where there is none."""
        row = self.db.execute("SELECT value FROM settings WHERE key = ?", [key]).fetchone()
        return None if row is None else str(row[0])

    def set_setting(self, key: str, value: str) -> None:
        """Store a text under a key of the caller's choice."""
        self.set_settings({key: value})

    def set_settings(self, settings: Mapping[str, str]) -> None:
        """Store several texts at once: all of them or, if the process dies, none."""
        with self.change() as db:
            for key, value in settings.items():
                self._set(db, key, value)

    @staticmethod
    def _set(db: Database, key: str, value: str) -> None:
        if key in RESERVED:
            raise CatalogueError(f"setting {key} is kept by the catalogue itself; choose another key")
        db.execute("INSERT OR REPLACE INTO settings (key, value) VALUES (?, ?)", [key, value])

    # -- products

    def put_product(self, product: Product, *, by: str = "") -> bool:
        """Add a product, or replace all fields of the one with its SKU; True when something changed."""
        product = product.cleaned()
        with self.change() as db:
            return rows.put_product(db, product, [], by, "product") is not None

    def product(self, sku: str) -> Product:
        """The product with this SKU; raises UnknownProduct."""
        found = self.find_product(sku)
        if found is None:
            raise UnknownProduct(f"no product has SKU {sku}; see `retail-seg products`")
        return found

    def find_product(self, sku: str) -> Product | None:
        """The product with this SKU, None where there is none."""
        return rows.find_product(self.db, sku)

    def products(
        self, offset: int = 0, limit: int = 100, *, brand: str = "", category: str = "", removed: bool = False
    ) -> list[Product]:
        """One page of the products, by SKU; `removed` lists the removed ones instead."""
        wanted = Filter(brand=brand, category=category, removed=removed)
        return listing.find(self, wanted, offset=offset, limit=limit)

    def count_products(self, *, brand: str = "", category: str = "", removed: bool = False) -> int:
        """How many products `products` pages through."""
        return listing.count(self, Filter(brand=brand, category=category, removed=removed))

    def brands(self) -> list[str]:
        """The brands of the products, for a choice among them."""
        return self._distinct("brand")

    def categories(self) -> list[str]:
        """The categories of the products, for a choice among them."""
        return self._distinct("category")

    def _distinct(self, column: str) -> list[str]:
        sql = f"SELECT DISTINCT {column} FROM products WHERE deleted IS NULL AND {column} != '' ORDER BY {column}"
        return [row[0] for row in self.db.execute(sql).fetchall()]

    def names_of(self, skus: Iterable[str]) -> dict[str, str]:
        """Names of products, also of removed ones; SKUs that never were are left out."""
        return dict(self._rows("SELECT sku, name FROM products WHERE sku IN ({})", skus))

    def remove_product(self, sku: str, *, by: str = "") -> list[int]:
        """Take a product and its references out (they can be brought back); returns the references' ids."""
        with self.change() as db:
            before = self.product(sku)
            ids = rows.live_ids(db, sku)
            rows.mark_removed(db, ids)
            rows.delete_product(db, sku)
            rows.write_log(db, by, "remove product", sku, before, None, removed=ids)
            return ids

    # -- references

    def enrol(self, product: Product | str, references: Sequence[NewReference], *, by: str = "") -> list[int]:
        """Add or replace a product together with references, in one transaction; returns the references' ids.

        The SKU of an existing product, in a product's place, leaves its fields as they are. A content hash that the
        product already has is not stored again: its existing id is returned in its place.
        """
        return self.enrol_logged(product, references, by=by)[0]

    def enrol_logged(
        self, product: Product | str, references: Sequence[NewReference], *, by: str = ""
    ) -> tuple[list[int], int | None]:
        """As `enrol`, with the number of the change beside the ids, None where nothing changed."""
        with self.change() as db:
            product = self.product(product) if isinstance(product, str) else product.cleaned()
            self._check(references)
            ids: list[int] = []
            fresh: list[int] = []
            revision = 0
            rows.keep_product(db, product.sku)
            for reference in references:
                found = rows.same_hash(db, product.sku, reference.content_hash)
                if found is None:
                    revision = revision or rows.next_revision(db)
                    found = rows.insert_reference(db, product.sku, reference, revision)
                    fresh.append(found)
                ids.append(found)
            return ids, rows.put_product(db, product, fresh, by, "enrol")

    def _check(self, references: Sequence[NewReference]) -> None:
        embedder, dim = self.embedder, self.dim
        for reference in references:
            if reference.embedder != embedder:
                raise CatalogueError(
                    f"a vector of embedder {reference.embedder} does not fit this store ({embedder}); open it again"
                )
            if reference.views < 1 or len(reference.vectors) != reference.views * dim * BYTES_PER_VALUE:
                raise CatalogueError(
                    f"{len(reference.vectors)} bytes are not {reference.views} vectors of {dim} float32 values"
                )

    def count_references(self) -> int:
        """How many references are in use."""
        return int(self.db.execute("SELECT count(*) FROM refs WHERE removed IS NULL").fetchone()[0])

    def references(self, sku: str) -> list[Reference]:
        """The references of a product in use, oldest first."""
        found = self.db.execute(f"{_REFERENCE} WHERE r.sku = ? AND r.removed IS NULL ORDER BY r.id", [sku])
        return [Reference(*row) for row in found.fetchall()]

    def reference(self, reference_id: int) -> Reference:
        """One reference, also a removed one; raises UnknownReference."""
        row = self.db.execute(f"{_REFERENCE} WHERE r.id = ?", [int(reference_id)]).fetchone()
        if row is None:
            raise UnknownReference(f"no reference has number {reference_id}; see `retail-seg show SKU`")
        return Reference(*row)

    def reference_picture(self, reference_id: int) -> bytes:
        """JPEG bytes of a reference; raises UnknownReference."""
        return self._blob("picture", reference_id)[0]

    def reference_mask(self, reference_id: int) -> bytes | None:
        """PNG bytes of a reference's mask, None where it has none; raises UnknownReference."""
        return self._blob("mask", reference_id)[0]

    def _blob(self, column: str, reference_id: int) -> Any:
        row = self.db.execute(
            f"SELECT {column} FROM ref_pictures WHERE reference_id = ?", [int(reference_id)]
        ).fetchone()
        if row is None:
            raise UnknownReference(f"no reference has number {reference_id}; see `retail-seg show SKU`")
        return row

    def reference_features(self, ids: Iterable[int]) -> dict[int, bytes]:
        """What the embedder keeps beside the vectors, by reference id; ids without are left out."""
        sql = f"SELECT reference_id, features FROM ref_vectors WHERE embedder = {rows.CURRENT} AND features IS NOT NULL"
        return dict(self._rows(sql + " AND reference_id IN ({})", ids))

    def skus_of(self, reference_ids: Iterable[int]) -> dict[int, str]:
        """Which product each reference belongs to; ids not in use are left out."""
        return dict(self._rows("SELECT id, sku FROM refs WHERE removed IS NULL AND id IN ({})", reference_ids))

    def reference_counts(self, skus: Iterable[str]) -> dict[str, int]:
        """Number of references in use per SKU; products without any are left out."""
        sql = "SELECT sku, count(*) FROM refs WHERE removed IS NULL AND sku IN ({}) GROUP BY sku"
        return dict(self._rows(sql, skus))

    def known_hashes(self, sku: str) -> set[str]:
        """Hashes of a product's references in use, as uploaded and as stored: what need not be embedded again."""
        found = self.db.execute("SELECT content_hash, stored_hash FROM refs WHERE sku = ? AND removed IS NULL", [sku])
        return {hash_ for row in found.fetchall() for hash_ in row}

    def owners_of_hash(self, content_hash: str) -> list[str]:
        """The products that use a picture."""
        sql = "SELECT sku FROM refs WHERE (content_hash = ? OR stored_hash = ?) AND removed IS NULL ORDER BY id"
        return [row[0] for row in self.db.execute(sql, [content_hash, content_hash]).fetchall()]

    def remove_references(self, ids: Iterable[int], *, by: str = "") -> list[int]:
        """Take references out (they can be brought back); returns those that were in use.

        Raises UnknownReference for an id that never was; ids removed before are passed over.
        """
        with self.change() as db:
            owners: dict[str, list[int]] = {}
            for id_ in dict.fromkeys(int(i) for i in ids):
                row = db.execute("SELECT sku, removed FROM refs WHERE id = ?", [id_]).fetchone()
                if row is None:
                    raise UnknownReference(f"no reference has number {id_}; see `retail-seg show SKU`")
                if row[1] is None:
                    owners.setdefault(row[0], []).append(id_)
            gone = [id_ for group in owners.values() for id_ in group]
            rows.mark_removed(db, gone)
            for sku, group in owners.items():
                product = rows.find_product(db, sku)
                rows.write_log(db, by, "remove references", sku, product, product, removed=group)
            return gone

    # -- what an index needs

    def changes_since(self, revision: int, limit: int | None = None) -> Changes:
        """What happened to the references in use after a revision, read as one state.

        With a `limit` about so many references at most: the revision returned is then that of the last change that is
        in it, from which the next call goes on.
        """
        with self.file.reading() as db:
            last = self.revision
            if limit is not None:
                sql = (
                    "SELECT added_revision FROM refs WHERE added_revision > ? ORDER BY added_revision LIMIT 1 OFFSET ?"
                )
                row = db.execute(sql, [revision, limit - 1]).fetchone()
                last = row[0] if row else last
            # The plus keeps SQLite from walking all references by id instead of the few behind the revision.
            sql = """SELECT r.id, v.vectors, v.views FROM refs r JOIN ref_vectors v ON v.reference_id = r.id
                AND v.embedder = ? WHERE r.added_revision > ? AND r.added_revision <= ? AND r.removed IS NULL
                ORDER BY +r.id"""
            added = db.execute(sql, [self.embedder, revision, last]).fetchall()
            gone = """SELECT id FROM refs WHERE removed_revision > ? AND removed_revision <= ?
                AND created_revision <= ? ORDER BY +id"""
            removed = [row[0] for row in db.execute(gone, [revision, last, revision]).fetchall()]
            return Changes(last, added, removed, self.embedder)

    def iter_vectors(self, batch: int = 1024, up_to: int | None = None) -> Iterator[tuple[int, bytes, int]]:
        """(id, vectors as float32 bytes, views) of the references in use, by id, in bounded memory.

        With `up_to` (a revision read before) only what was in use then and still is: `changes_since` of the same
        revision then completes it, whatever others write in between.
        """
        limit = self.revision if up_to is None else up_to
        sql = f"""SELECT r.id, v.vectors, v.views FROM refs r JOIN ref_vectors v ON v.reference_id = r.id
            AND v.embedder = {rows.CURRENT} WHERE r.id > ? AND r.removed IS NULL AND r.added_revision <= ?
            ORDER BY r.id LIMIT ?"""
        last = 0
        while portion := self.db.execute(sql, [last, limit, batch]).fetchall():
            yield from portion
            last = portion[-1][0]

    def vectors_of(self, reference_ids: Iterable[int]) -> list[tuple[int, bytes, int]]:
        """(id, vectors as float32 bytes, views) of these references, those in use, by id."""
        sql = f"""SELECT r.id, v.vectors, v.views FROM refs r JOIN ref_vectors v ON v.reference_id = r.id
            AND v.embedder = {rows.CURRENT} WHERE r.removed IS NULL AND r.id IN ({{}})"""
        return sorted(self._rows(sql, reference_ids))

    def pending_reindex(self, embedder: str, batch: int = 64) -> Iterator[tuple[int, bytes, bytes | None]]:
        """(id, picture, mask) of the references that have no vectors of this embedder yet, removed ones among them."""
        return reindexing.pending(self.db, embedder, batch)

    def count_pending(self, embedder: str) -> int:
        """How many references `pending_reindex` would give."""
        return reindexing.count_pending(self.db, embedder)

    def set_vectors(self, vectors: Sequence[tuple[int, bytes, int, bytes | None]], embedder: str) -> None:
        """Store (id, vectors, views, features) of an embedder, beside those of the one in use."""
        with self.change() as db:
            reindexing.set_vectors(db, vectors, embedder)

    def set_embedder(self, embedder: str, dim: int, *, settings: Mapping[str, str] | None = None, by: str = "") -> None:
        """Switch to another embedder, once every reference has its vectors; the former ones are dropped.

        `settings` that hang on the embedder are stored in the same transaction.
        """
        with self.change() as db:
            reindexing.switch(db, embedder, dim)
            for key, value in (settings or {}).items():
                self._set(db, key, value)
            rows.write_log(db, by, "reindex", "", None, None)

    def _rows(self, sql: str, values: Iterable[Any]) -> list[Any]:
        """All rows of a query with one `IN ({})`, asked in portions."""
        keys = list(dict.fromkeys(values))
        found: list[Any] = []
        for start in range(0, len(keys), CHUNK):
            part = [int(k) if not isinstance(k, str) else k for k in keys[start : start + CHUNK]]
            found += self.db.execute(sql.format(",".join("?" * len(part))), part).fetchall()
        return found
