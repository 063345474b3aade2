"""Backups of a store in use, restored into an empty one; damaged, foreign and newer files are refused."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import numpy as np
import pytest
from teaching_helpers import jpeg, scene

from catalogue import Catalogue, CatalogueVersionError, NewReference, Product, backup
from catalogue.errors import BackupError, CatalogueError
from retail_seg.people.roles import acting_as, local_person
from retail_seg.store.backup import back_up, bring_back
from retail_seg.teaching import Teaching


def reference(mark: str) -> NewReference:
    return NewReference(mark.encode() * 500, mark, b"\0\0\x80\x3f", 1, "e")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "store" / "catalogue.db"
    with Catalogue.create(path, embedder="e", dim=1) as made:
        for number in range(50):
            made.enrol(Product(f"P{number}", f"Product {number}"), [reference(f"r{number}")])
        made.remove_product("P7")
    return path


def test_a_restored_store_holds_the_same_and_is_its_own(path: Path, tmp_path: Path) -> None:
    with Catalogue.open(path) as original:
        backup.backup(original, tmp_path / "b.db")
        with backup.restore(tmp_path / "b.db", tmp_path / "new" / "catalogue.db") as restored:
            assert restored.products(limit=100) == original.products(limit=100)
            assert list(restored.iter_vectors()) == list(original.iter_vectors())
            assert restored.reference_picture(3) == original.reference_picture(3)
            assert restored.identity != original.identity
            assert restored.enrol(Product("new"), [reference("new")]) == [51], "numbers go on, none is given again"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["b.db", "new", "store"]


def test_files_beside_the_catalogue_travel_with_it(path: Path, tmp_path: Path) -> None:
    files = [("empty/", b""), ("segmenter/config.json", b"{}"), ("segmenter/weights", b"w" * 999_999)]
    with Catalogue.open(path) as original:
        saved = backup.backup(original, tmp_path / "b.db", iter(files))
        assert list(backup.take_attachments(original)) == []
        bad = backup.backup(original, tmp_path / "bad.db", [("../outside", b"x")])
    with backup.restore(saved, tmp_path / "new.db") as restored:
        assert list(backup.take_attachments(restored)) == files
        assert list(backup.take_attachments(restored)) == []
        free = restored.db.execute("PRAGMA freelist_count").fetchone()[0]
        assert free == 0, "the room that they took is given back"
        assert restored.count_products() == 49
    with (
        backup.restore(bad, tmp_path / "other.db") as restored,
        pytest.raises(BackupError, match="outside of the store"),
    ):
        list(backup.take_attachments(restored))


def test_what_people_annotated_and_trained_travels_with_the_store(path: Path, tmp_path: Path) -> None:
    store, back = path.parent, tmp_path / "back"
    with acting_as(local_person()):
        teaching = Teaching(store)
        (id_,) = teaching.add([("shelf.jpg", jpeg(1))]).ids
        teaching.edit(id_, lambda ids: scene(1)[1])
        teaching.finish(id_, True)
    model = store / "teaching" / "runs" / "20260101-000000" / "model" / "weights.safetensors"
    model.parent.mkdir(parents=True)
    model.write_bytes(b"w" * 5000)
    (store / "segmenter.previous").mkdir()  # empty: the shipped model was in use before
    for name in ("users.json", "teaching/about/.half.json.x", "teaching/locks/training"):
        (store / name).write_text("stays here")
    with Catalogue.open(path) as catalogue:
        back_up(catalogue, tmp_path / "saved")
    bring_back(tmp_path / "saved", back)
    (kept,) = Teaching(back).photos()
    assert kept == teaching.photos()[0] and kept.name == "shelf.jpg"
    assert np.array_equal(Teaching(back).labels(kept), scene(1)[1])
    assert (back / model.relative_to(store)).read_bytes() == model.read_bytes()
    assert sorted(entry.name for entry in back.iterdir()) == ["catalogue.db", "segmenter.previous", "teaching"]
    assert not (back / "teaching" / "locks").exists() and not list(back.rglob(".*"))
    with acting_as(local_person()):
        while Teaching(back).can_undo(kept):
            kept = Teaching(back).undo(id_)
    assert not Teaching(back).labels(kept).any(), "edits can still be undone"


def test_a_backup_while_others_write_is_one_state(path: Path, tmp_path: Path) -> None:
    stop = threading.Event()

    def write() -> None:
        with Catalogue.open(path) as writer:
            number = 0
            while not stop.is_set():
                writer.enrol(Product(f"W{number}"), [reference(f"w{number}a"), reference(f"w{number}b")])
                number += 1

    thread = threading.Thread(target=write)
    thread.start()
    try:
        with Catalogue.open(path) as catalogue:
            copies = []
            for number in range(5):
                while catalogue.count_products() < 49 + 5 * number:
                    assert thread.is_alive()
                copies.append(backup.backup(catalogue, tmp_path / f"b{number}.db"))
    finally:
        stop.set()
        thread.join()
    for copy in copies:
        with Catalogue.open(copy) as kept:
            assert backup.integrity(kept.db) == []
            assert kept.count_references() == 49 + 2 * (kept.count_products() - 49)


def test_where_a_backup_cannot_go(path: Path, tmp_path: Path) -> None:
    with Catalogue.open(path) as catalogue:
        (tmp_path / "there").write_text("mine")
        with pytest.raises(BackupError, match="exists already"):
            backup.backup(catalogue, tmp_path / "there")
        with pytest.raises(BackupError, match="no such folder"):
            backup.backup(catalogue, tmp_path / "none" / "b.db")
    assert (tmp_path / "there").read_text() == "mine"


def test_what_cannot_be_restored_leaves_nothing(path: Path, tmp_path: Path) -> None:
    target = tmp_path / "new" / "catalogue.db"
    with Catalogue.open(path) as catalogue:
        good = backup.backup(catalogue, tmp_path / "b.db")
    with pytest.raises(BackupError, match="holds a store already"):
        backup.restore(good, path)
    with pytest.raises(BackupError, match="no such backup"):
        backup.restore(tmp_path / "none.db", target)
    text = tmp_path / "text.db"
    text.write_text("hello, I am no database " * 100)
    with pytest.raises(CatalogueVersionError, match="is no catalogue"):
        backup.restore(text, target)
    foreign = tmp_path / "foreign.db"
    with sqlite3.connect(foreign) as other:
        other.execute("CREATE TABLE t (x)")
    with pytest.raises(CatalogueVersionError, match="another program"):
        backup.restore(foreign, target)
    cut = tmp_path / "cut.db"
    cut.write_bytes(good.read_bytes()[: good.stat().st_size // 2])
    with pytest.raises(CatalogueError, match="damaged"):
        backup.restore(cut, target)
    scratched = bytearray(good.read_bytes())
    scratched[4096 * 3 : 4096 * 9] = b"\xff" * 4096 * 6
    (tmp_path / "scratched.db").write_bytes(scratched)
    with pytest.raises(CatalogueError, match="damaged"):
        backup.restore(tmp_path / "scratched.db", target)
    with sqlite3.connect(good) as newer:
        newer.execute("PRAGMA user_version = 999")
    with pytest.raises(CatalogueVersionError, match="newer version"):
        backup.restore(good, target)
    assert list(target.parent.iterdir()) == []
