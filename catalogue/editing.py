"""Changes by people who look at what they change: new products, fields, doubles, pictures under the wrong product.

References change hands with their vectors: nothing is embedded anew.
"""

from __future__ import annotations

from collections.abc import Sequence

from catalogue import rows
from catalogue.errors import EditConflict, UnknownProduct, UnknownReference
from catalogue.records import Product
from catalogue.sqlite import Database
from catalogue.store import Catalogue

_COPY = (
    "INSERT INTO ref_pictures (reference_id, mask, picture) SELECT ?, mask, picture FROM ref_pictures"
    " WHERE reference_id = ?",
    "INSERT INTO ref_vectors (reference_id, embedder, views, vectors, features) SELECT ?, embedder, views, vectors,"
    " features FROM ref_vectors WHERE reference_id = ?",
    "INSERT INTO ref_checks (reference_id, looks, sharpness, cut_off, brightness) SELECT ?, looks, sharpness, cut_off,"
    " brightness FROM ref_checks WHERE reference_id = ?",
)


def add(catalogue: Catalogue, product: Product, *, by: str = "") -> Product:
    """Add a product without pictures; returns it as it is kept. Raises EditConflict where its SKU is taken."""
    product = product.cleaned()
    with catalogue.change() as db:
        check_free(catalogue, product.sku)
        rows.put_product(db, product, [], by, "product")
    return product


def check_free(catalogue: Catalogue, sku: str) -> None:
    """Raise EditConflict where a product has this SKU."""
    if rows.find_product(catalogue.db, sku) is not None:
        raise EditConflict(f"SKU {sku} is another product's already; open that one or choose another SKU")


def revise(catalogue: Catalogue, seen: Product, wanted: Product, *, by: str = "") -> bool:
    """Write a product's fields if it still is as somebody saw it; True when something changed.

    Raises EditConflict where another person has changed it meanwhile.
    """
    wanted = wanted.cleaned()
    with catalogue.change() as db:
        if rows.find_product(db, seen.sku) != seen:
            row = db.execute("SELECT by FROM log WHERE sku = ? ORDER BY id DESC LIMIT 1", [seen.sku]).fetchone()
            who = f" by {row[0]}" if row and row[0] else ""
            raise EditConflict(
                f"{seen.sku} has been changed{who} since you opened it; look at it again, then change it"
            )
        return rows.put_product(db, wanted, [], by, "product") is not None


def merge(catalogue: Catalogue, keep: str, drop: str, *, by: str = "") -> list[int]:
    """Give a product all pictures of another, which is removed; returns the two changes, in the order to undo them.

    What `keep` does not state yet (brand, GTIN, attributes …) it takes from `drop`. Raises UnknownProduct
    and EditConflict.
    """
    if keep == drop:
        raise EditConflict(f"{keep} cannot be merged with itself; give two products")
    with catalogue.change() as db:
        into, gone = _product(db, keep), _product(db, drop)
        ids = rows.live_ids(db, drop)
        rows.mark_removed(db, ids)
        rows.delete_product(db, drop)
        removal = rows.write_log(db, by, "remove product", drop, gone, None, removed=ids)
        mine = into.fields()
        merged = into.with_fields({name: value for name, value in gone.fields().items() if not mine.get(name)})
        rows.write_product(db, merged)
        added = _copies(db, ids, keep)
        return [rows.write_log(db, by, "merge", keep, into, merged, added=added), removal]


def move(catalogue: Catalogue, reference_ids: Sequence[int], to: str, *, by: str = "") -> list[int]:
    """Put references under another product; returns the changes, in the order to undo them.

    Raises UnknownProduct, and UnknownReference for one that is not in use.
    """
    with catalogue.change() as db:
        target = _product(db, to)
        owners: dict[str, list[int]] = {}
        for id_ in reference_ids:
            row = db.execute("SELECT sku FROM refs WHERE id = ? AND removed IS NULL", [int(id_)]).fetchone()
            if row is None:
                raise UnknownReference(f"no reference in use has number {id_}; look at the product again")
            owners.setdefault(row[0], []).append(int(id_))
        owners.pop(to, None)
        changes = []
        for sku, ids in owners.items():
            rows.mark_removed(db, ids)
            product = rows.find_product(db, sku)
            changes.append(rows.write_log(db, by, "remove references", sku, product, product, removed=ids))
        moving = [id_ for ids in owners.values() for id_ in ids]
        if moving:
            added = _copies(db, moving, to)
            changes.append(rows.write_log(db, by, "enrol", to, target, target, added=added))
        return changes[::-1]


def _product(db: Database, sku: str) -> Product:
    found = rows.find_product(db, sku)
    if found is None:
        raise UnknownProduct(f"no product has SKU {sku}; see `retail-seg products`")
    return found


def _copies(db: Database, ids: Sequence[int], sku: str) -> list[int]:
    """References of a product that show what others show; those that it has already are not made again."""
    made: list[int] = []
    revision = rows.next_revision(db) if ids else 0
    sql = f"""INSERT INTO refs (sku, content_hash, stored_hash, source, width, height, created, created_revision,
        added_revision) SELECT ?, content_hash, stored_hash, source, width, height, created, {revision}, {revision}
        FROM refs WHERE id = ?"""
    for id_ in ids:
        (content_hash,) = db.execute("SELECT content_hash FROM refs WHERE id = ?", [id_]).fetchone()
        if rows.same_hash(db, sku, content_hash) is not None:
            continue
        new = db.execute(sql, [sku, id_]).lastrowid
        assert new is not None
        for statement in _COPY:
            db.execute(statement, [new, id_])
        made.append(int(new))
    return made
