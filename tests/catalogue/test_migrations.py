"""Older catalogues are brought forward with a copy beside them; newer ones and foreign files are refused."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from catalogue import Catalogue, CatalogueVersionError, NewReference, Product, backup, database, migrations
from catalogue.listing import search

PRODUCT = (
    "INSERT INTO products (sku, name, brand, category, gtin, attributes, created, updated, deleted)"
    " VALUES ('A', 'Crème', '', '', '04006381333931', '{}', '2025', '2025', NULL)"
)


def old_store(path: Path, version: int) -> None:
    """A catalogue as the first `version` steps left it, with a product and a reference."""
    db = database.connect(path)
    db.conn.execute("PRAGMA journal_mode = WAL")
    db.conn.execute("BEGIN")
    for step in migrations.STEPS[:version]:
        step(db)
    for key, value in {"embedder": "e", "dim": "1", "revision": "1", "identity": "x"}.items():
        db.execute("INSERT INTO settings VALUES (?, ?)", [key, value])
    db.execute(PRODUCT)
    db.execute(
        "INSERT INTO refs (sku, content_hash, source, width, height, created, created_revision, added_revision)"
        " VALUES ('A', 'upload', '', 1, 1, '2025', 1, 1)"
    )
    db.execute("INSERT INTO ref_pictures VALUES (1, NULL, ?)", [b"jpeg"])
    db.execute("INSERT INTO ref_vectors VALUES (1, 'e', 1, ?, NULL)", [b"\0\0\x80\x3f"])
    db.conn.execute("COMMIT")
    db.execute(f"PRAGMA application_id = {migrations.APPLICATION_ID}")
    db.execute(f"PRAGMA user_version = {version}")
    db.conn.close()


@pytest.mark.parametrize("version", range(1, migrations.VERSION))
def test_each_older_form_moves_forward_with_a_copy_beside_it(tmp_path: Path, version: int) -> None:
    path = tmp_path / "catalogue.db"
    old_store(path, version)
    with Catalogue.open(path) as catalogue:
        assert catalogue.db.execute("PRAGMA user_version").fetchone()[0] == migrations.VERSION
        assert [product.sku for product in search(catalogue, "creme")] == ["A"]
        same = NewReference(b"jpeg", "a28dd1e75feafda2fcd6ec97e5ce82b9", b"\0\0\x80\x3f", 1, "e")
        assert catalogue.enrol(Product("A"), [same]) == [2]
        assert "upload" in catalogue.known_hashes("A")
        assert next(catalogue.iter_vectors()) == (1, b"\0\0\x80\x3f", 1)
    copy = tmp_path / f"catalogue.db.form-{version}.backup"
    with sqlite3.connect(copy) as kept:
        assert kept.execute("PRAGMA user_version").fetchone()[0] == version
        assert kept.execute("SELECT name FROM products").fetchall() == [("Crème",)]


def test_a_backup_of_an_older_form_is_restored_and_stays_as_it_is(tmp_path: Path) -> None:
    old_store(tmp_path / "old.db", 1)
    before = (tmp_path / "old.db").read_bytes()
    with backup.restore(tmp_path / "old.db", tmp_path / "new" / "catalogue.db") as catalogue:
        assert [product.sku for product in search(catalogue, "creme")] == ["A"]
        assert catalogue.identity != "x"
    assert (tmp_path / "old.db").read_bytes() == before


def test_a_step_that_fails_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "catalogue.db"
    old_store(path, 1)

    def broken(db: object) -> None:
        raise RuntimeError("halfway")

    monkeypatch.setattr(migrations, "STEPS", (*migrations.STEPS[:2], broken, *migrations.STEPS[3:]))
    with pytest.raises(RuntimeError, match="halfway"):
        Catalogue.open(path)
    with sqlite3.connect(path) as file:
        assert file.execute("PRAGMA user_version").fetchone()[0] == 1
        assert file.execute("SELECT count(*) FROM sqlite_master WHERE name = 'products_fts'").fetchone()[0] == 0
    monkeypatch.undo()
    with Catalogue.open(path) as catalogue:
        assert [product.sku for product in search(catalogue, "creme")] == ["A"]


def test_newer_and_foreign_files_are_refused_untouched(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.db"
    Catalogue.create(path, embedder="e", dim=1).close()
    with sqlite3.connect(path) as file:
        file.execute(f"PRAGMA user_version = {migrations.VERSION + 1}")
    with pytest.raises(CatalogueVersionError, match="newer version"):
        Catalogue.open(path)
    for name, content in (("text.db", b"no database at all, but long enough to be looked at" * 99), ("empty.db", b"")):
        other = tmp_path / name
        other.write_bytes(content)
        with pytest.raises(CatalogueVersionError, match=r"is no catalogue|is empty"):
            Catalogue.open(other)
        assert other.read_bytes() == content
