"""A change of the embedder, resumable: new vectors gather beside those in use until none is missing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from catalogue.errors import CatalogueError, UnknownReference
from catalogue.rows import next_revision
from catalogue.sqlite import Database

# Removed references are embedded too: they can be brought back after the switch.
_MISSING = "NOT EXISTS (SELECT 1 FROM ref_vectors v WHERE v.reference_id = r.id AND v.embedder = ?)"


def pending(db: Database, embedder: str, batch: int) -> Iterator[tuple[int, bytes, bytes | None]]:
    """(id, picture, mask) of the references without vectors of this embedder, by id, in bounded memory."""
    sql = f"""SELECT r.id, p.picture, p.mask FROM refs r JOIN ref_pictures p ON p.reference_id = r.id
        WHERE r.id > ? AND {_MISSING} ORDER BY r.id LIMIT ?"""
    last = 0
    while rows := db.execute(sql, [last, embedder, batch]).fetchall():
        yield from rows
        last = rows[-1][0]


def count_pending(db: Database, embedder: str) -> int:
    """How many references have no vectors of this embedder."""
    return int(db.execute(f"SELECT count(*) FROM refs r WHERE {_MISSING}", [embedder]).fetchone()[0])


def set_vectors(db: Database, rows: Sequence[tuple[int, bytes, int, bytes | None]], embedder: str) -> None:
    """Store (id, vectors, views, features); where the embedder is the one in use, indexes learn of it."""
    in_use = embedder == db.execute("SELECT value FROM settings WHERE key = 'embedder'").fetchone()[0]
    revision = next_revision(db) if in_use and rows else 0
    for id_, vectors, views, features in rows:
        if db.execute("SELECT 1 FROM refs WHERE id = ?", [int(id_)]).fetchone() is None:
            raise UnknownReference(f"no reference has number {id_}; run the reindex again")
        db.execute("DELETE FROM ref_vectors WHERE reference_id = ? AND embedder = ?", [int(id_), embedder])
        db.execute(
            "INSERT INTO ref_vectors (reference_id, embedder, views, vectors, features) VALUES (?,?,?,?,?)",
            [int(id_), embedder, views, vectors, features],
        )
        if in_use:
            sql = "UPDATE refs SET added_revision = ?, removed_revision = ? WHERE id = ?"
            db.execute(sql, [revision, revision, id_])


def switch(db: Database, embedder: str, dim: int) -> None:
    """Make an embedder the one in use; raises CatalogueError while references lack its vectors."""
    if missing := count_pending(db, embedder):
        raise CatalogueError(f"{missing} references have no vectors of {embedder} yet; run the reindex again")
    sql = "SELECT reference_id FROM ref_vectors WHERE embedder = ? AND length(vectors) != views * ? * 4 LIMIT 1"
    if (wrong := db.execute(sql, [embedder, dim]).fetchone()) is not None:
        raise CatalogueError(f"the vectors of reference {wrong[0]} have not {dim} values; run the reindex again")
    db.execute("UPDATE settings SET value = ? WHERE key = 'embedder'", [embedder])
    db.execute("UPDATE settings SET value = ? WHERE key = 'dim'", [str(dim)])
    db.execute("DELETE FROM ref_vectors WHERE embedder != ?", [embedder])
    next_revision(db)
