"""Numbered steps, forward only, that bring a catalogue file to the form that this version reads.

`PRAGMA user_version` holds the number of the last step, `PRAGMA application_id` says that the file is a catalogue.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from catalogue.errors import CatalogueVersionError
from catalogue.sqlite import Database

#: "RSEG" as a big-endian integer.
APPLICATION_ID = 0x52534547


def _products_and_references(db: Database) -> None:
    db.execute("CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL)")
    db.execute("""CREATE TABLE products (
        id INTEGER PRIMARY KEY AUTOINCREMENT, sku TEXT NOT NULL UNIQUE, name TEXT NOT NULL, brand TEXT NOT NULL,
        category TEXT NOT NULL, gtin TEXT NOT NULL, attributes TEXT NOT NULL,
        created TEXT NOT NULL, updated TEXT NOT NULL, deleted TEXT)""")
    db.execute("CREATE INDEX products_gtin ON products (gtin) WHERE gtin != ''")
    # The rows without bytes stay small, so that counting and paging never read a picture or a vector.
    db.execute("""CREATE TABLE refs (
        id INTEGER PRIMARY KEY AUTOINCREMENT, sku TEXT NOT NULL REFERENCES products (sku) ON UPDATE CASCADE,
        content_hash TEXT NOT NULL, source TEXT NOT NULL, width INTEGER NOT NULL, height INTEGER NOT NULL,
        created TEXT NOT NULL, removed TEXT, created_revision INTEGER NOT NULL,
        added_revision INTEGER NOT NULL, removed_revision INTEGER)""")
    db.execute("CREATE UNIQUE INDEX refs_once ON refs (sku, content_hash) WHERE removed IS NULL")
    db.execute("CREATE INDEX refs_hash ON refs (content_hash)")
    db.execute("CREATE INDEX refs_added ON refs (added_revision)")
    db.execute("CREATE INDEX refs_removed ON refs (removed_revision) WHERE removed_revision IS NOT NULL")
    db.execute("""CREATE TABLE ref_pictures (
        reference_id INTEGER PRIMARY KEY REFERENCES refs (id), mask BLOB, picture BLOB NOT NULL)""")
    # One row per embedder: a reindex writes its vectors beside those in use until it is finished.
    db.execute("""CREATE TABLE ref_vectors (
        reference_id INTEGER NOT NULL REFERENCES refs (id), embedder TEXT NOT NULL, views INTEGER NOT NULL,
        vectors BLOB NOT NULL, features BLOB)""")
    db.execute("CREATE UNIQUE INDEX ref_vectors_once ON ref_vectors (reference_id, embedder)")
    db.execute("""CREATE TABLE log (
        id INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL, by TEXT NOT NULL, action TEXT NOT NULL,
        sku TEXT NOT NULL, before TEXT, after TEXT, added TEXT NOT NULL, removed TEXT NOT NULL, undoes INTEGER)""")
    db.execute("CREATE INDEX log_sku ON log (sku)")


def _search(db: Database) -> None:
    # GTINs without their leading zeros: people type the 8, 12 or 13 digits that are printed under the barcode.
    columns = """new.id, new.name, new.brand, new.sku,
        ltrim(new.gtin, '0') || ' ' || ltrim(coalesce(json_extract(new.attributes, '$.in_store_number'), ''), '0'),
        new.category"""
    db.execute("""CREATE VIRTUAL TABLE products_fts USING fts5 (
        name, brand, sku, gtin, category, tokenize = 'unicode61 remove_diacritics 2', prefix = '1 2 3')""")
    insert = f"""INSERT INTO products_fts (rowid, name, brand, sku, gtin, category)
        SELECT {columns} WHERE new.deleted IS NULL"""
    db.execute(f"CREATE TRIGGER products_fts_insert AFTER INSERT ON products BEGIN {insert}; END")
    db.execute(f"""CREATE TRIGGER products_fts_update
        AFTER UPDATE OF sku, name, brand, category, gtin, attributes, deleted ON products
        BEGIN DELETE FROM products_fts WHERE rowid = old.id; {insert}; END""")
    db.execute("UPDATE products SET name = name")  # fills the search for the products that are there


def _scans(db: Database) -> None:
    db.execute("""CREATE TABLE scans (
        id INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL, by TEXT NOT NULL, image TEXT NOT NULL,
        width INTEGER NOT NULL, height INTEGER NOT NULL, path TEXT NOT NULL, model TEXT NOT NULL,
        embedder TEXT NOT NULL, revision INTEGER NOT NULL, details TEXT NOT NULL, photo BLOB)""")
    db.execute("""CREATE TABLE instances (
        scan_id INTEGER NOT NULL REFERENCES scans (id) ON DELETE CASCADE, number INTEGER NOT NULL,
        x INTEGER NOT NULL, y INTEGER NOT NULL, w INTEGER NOT NULL, h INTEGER NOT NULL, area INTEGER NOT NULL,
        polygon TEXT NOT NULL, sku TEXT NOT NULL, decision TEXT NOT NULL, probability REAL NOT NULL,
        matches TEXT NOT NULL, decided_by TEXT NOT NULL DEFAULT '', decided_at TEXT NOT NULL DEFAULT '',
        crop BLOB NOT NULL, mask BLOB, vector BLOB NOT NULL, PRIMARY KEY (scan_id, number))""")
    db.execute("CREATE INDEX instances_sku ON instances (sku)")


def _picture_checks(db: Database) -> None:
    # What a picture's pixels say about it, measured once: a health report of 25,000 products decodes nothing twice.
    db.execute("""CREATE TABLE ref_checks (
        reference_id INTEGER PRIMARY KEY REFERENCES refs (id), looks INTEGER NOT NULL, sharpness REAL NOT NULL,
        cut_off REAL NOT NULL)""")


def _stored_hashes(db: Database) -> None:
    # An exported picture is the stored one, whose bytes differ from the uploaded file's.
    db.execute("ALTER TABLE refs ADD COLUMN stored_hash TEXT NOT NULL DEFAULT ''")
    for (id_,) in db.execute("SELECT id FROM refs").fetchall():
        (picture,) = db.execute("SELECT picture FROM ref_pictures WHERE reference_id = ?", [id_]).fetchone()
        db.execute("UPDATE refs SET stored_hash = ? WHERE id = ?", [sha256(picture).hexdigest(), id_])
    db.execute("CREATE INDEX refs_stored_hash ON refs (stored_hash)")


def _attachments(db: Database) -> None:
    # Only filled in a backup: the files of a store that lie beside its catalogue.
    db.execute("CREATE TABLE attachments (name TEXT PRIMARY KEY, data BLOB NOT NULL)")


def _scan_corrections(db: Database) -> None:
    # What people change in a scan can be taken back: an instance that is taken out stays, with the change's number.
    db.execute("ALTER TABLE instances ADD COLUMN gone INTEGER")
    db.execute("""CREATE TABLE scan_changes (
        id INTEGER PRIMARY KEY AUTOINCREMENT, scan_id INTEGER NOT NULL REFERENCES scans (id) ON DELETE CASCADE,
        at TEXT NOT NULL, by TEXT NOT NULL, action TEXT NOT NULL, sku TEXT NOT NULL, before TEXT NOT NULL,
        added TEXT NOT NULL, removed TEXT NOT NULL, refs TEXT NOT NULL, undone_by TEXT, undone_at TEXT)""")
    db.execute("CREATE INDEX scan_changes_scan ON scan_changes (scan_id)")
    # Beside the scans, whose rows may hold whole photos: a list of scans reads only these.
    db.execute("""CREATE TABLE scan_thumbnails (
        scan_id INTEGER PRIMARY KEY REFERENCES scans (id) ON DELETE CASCADE, jpeg BLOB NOT NULL)""")


def _dark_pictures_and_accepted_findings(db: Database) -> None:
    # Every picture is looked at again by the next report: what was measured before says nothing of its brightness.
    db.execute("DELETE FROM ref_checks")
    db.execute("ALTER TABLE ref_checks ADD COLUMN brightness REAL NOT NULL DEFAULT 1")
    db.execute("""CREATE TABLE health_accepted (
        kind TEXT NOT NULL, one TEXT NOT NULL, two TEXT NOT NULL, at TEXT NOT NULL, by TEXT NOT NULL,
        PRIMARY KEY (kind, one, two))""")


def _groups_of_facings(db: Database) -> None:
    # On the way from unknown facings to products; `before` of a step is what it is taken back to.
    db.execute("""CREATE TABLE groups (
        id INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL, by TEXT NOT NULL, state TEXT NOT NULL,
        arranged INTEGER NOT NULL, sku TEXT NOT NULL)""")
    db.execute("""CREATE TABLE group_members (
        scan_id INTEGER NOT NULL REFERENCES scans (id) ON DELETE CASCADE, number INTEGER NOT NULL,
        group_id INTEGER NOT NULL REFERENCES groups (id) ON DELETE CASCADE, PRIMARY KEY (scan_id, number))""")
    db.execute("CREATE INDEX group_members_group ON group_members (group_id)")
    db.execute("""CREATE TABLE group_changes (
        id INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL, by TEXT NOT NULL, action TEXT NOT NULL,
        sku TEXT NOT NULL, before TEXT NOT NULL, made TEXT NOT NULL, scan_changes TEXT NOT NULL, refs TEXT NOT NULL,
        undone_by TEXT, undone_at TEXT)""")


def _shelf_checks(db: Database) -> None:
    # `gone` holds the number of the change that took a row out: nothing is deleted, so every change can be taken back.
    db.execute("""CREATE TABLE fixtures (
        name TEXT PRIMARY KEY, shop TEXT NOT NULL DEFAULT '', area TEXT NOT NULL DEFAULT '', at TEXT NOT NULL)""")
    db.execute("""CREATE TABLE plans (
        id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, version INTEGER NOT NULL, kind TEXT NOT NULL,
        starts TEXT NOT NULL, ends TEXT NOT NULL, source TEXT NOT NULL, at TEXT NOT NULL, by TEXT NOT NULL,
        gone INTEGER, UNIQUE (name, version))""")
    db.execute("""CREATE TABLE plan_positions (
        plan_id INTEGER NOT NULL REFERENCES plans (id), fixture TEXT NOT NULL REFERENCES fixtures (name),
        shelf INTEGER NOT NULL, position INTEGER NOT NULL, sku TEXT NOT NULL, facings INTEGER NOT NULL,
        min_facings INTEGER NOT NULL, x REAL, y REAL, width REAL, PRIMARY KEY (plan_id, fixture, shelf, position))""")
    db.execute("""CREATE TABLE checks (
        id INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL, by TEXT NOT NULL, plan_id INTEGER REFERENCES plans (id),
        fixture TEXT NOT NULL, shop TEXT NOT NULL, taken TEXT NOT NULL, summary TEXT NOT NULL, result TEXT NOT NULL,
        gone INTEGER)""")
    db.execute("CREATE INDEX checks_fixture ON checks (fixture, taken)")
    db.execute("""CREATE TABLE findings (
        id INTEGER PRIMARY KEY AUTOINCREMENT, check_id INTEGER NOT NULL REFERENCES checks (id), key TEXT NOT NULL,
        kind TEXT NOT NULL, fixture TEXT NOT NULL, shelf INTEGER NOT NULL, position INTEGER NOT NULL, sku TEXT NOT NULL,
        probability REAL NOT NULL, cause TEXT NOT NULL, action TEXT NOT NULL, cost REAL NOT NULL,
        details TEXT NOT NULL)""")
    db.execute("CREATE INDEX findings_check ON findings (check_id)")
    db.execute("CREATE INDEX findings_key ON findings (key)")
    db.execute("""CREATE TABLE tasks (
        id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL, finding_id INTEGER NOT NULL REFERENCES findings (id),
        fixture TEXT NOT NULL, state TEXT NOT NULL, who TEXT NOT NULL, note TEXT NOT NULL, opened TEXT NOT NULL,
        changed TEXT NOT NULL, closed_check INTEGER REFERENCES checks (id), gone INTEGER)""")
    db.execute("CREATE INDEX tasks_fixture ON tasks (fixture, state)")
    db.execute("""CREATE TABLE shelf_changes (
        id INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL, by TEXT NOT NULL, action TEXT NOT NULL,
        subject TEXT NOT NULL, edits TEXT NOT NULL, undone_by TEXT, undone_at TEXT)""")


def _kept_answers(db: Database) -> None:
    db.execute("""CREATE TABLE kept_answers (
        who TEXT NOT NULL, key TEXT NOT NULL, asked TEXT NOT NULL, status INTEGER NOT NULL, body TEXT NOT NULL,
        headers TEXT NOT NULL, at TEXT NOT NULL, PRIMARY KEY (who, key))""")
    db.execute("CREATE INDEX kept_answers_at ON kept_answers (at)")


def _alerts_and_photos_of_checks(db: Database) -> None:
    db.execute("""CREATE TABLE alert_targets (
        id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, settings TEXT NOT NULL,
        at TEXT NOT NULL, by TEXT NOT NULL)""")
    # Unique: whatever a target was told of a task it is not told again, also by two processes at once.
    db.execute("""CREATE TABLE alerts (
        id INTEGER PRIMARY KEY AUTOINCREMENT, target_id INTEGER NOT NULL REFERENCES alert_targets (id),
        task_id INTEGER NOT NULL REFERENCES tasks (id), finding_id INTEGER NOT NULL REFERENCES findings (id),
        key TEXT NOT NULL, state TEXT NOT NULL, attempts INTEGER NOT NULL, due TEXT NOT NULL, error TEXT NOT NULL,
        at TEXT NOT NULL, sent TEXT, UNIQUE (target_id, task_id, key))""")
    db.execute("CREATE INDEX alerts_due ON alerts (target_id, state, due)")
    # Which kept scans are the photos of a check, by the photo's number in its result.
    db.execute("""CREATE TABLE check_photos (
        check_id INTEGER NOT NULL REFERENCES checks (id), photo INTEGER NOT NULL,
        scan_id INTEGER NOT NULL REFERENCES scans (id) ON DELETE CASCADE, PRIMARY KEY (check_id, photo))""")
    db.execute("CREATE INDEX check_photos_scan ON check_photos (scan_id)")
    # Photos that are too old are looked for each time that one is kept; without it that would read every scan.
    db.execute("CREATE INDEX scans_with_photos ON scans (at) WHERE photo IS NOT NULL")


def _decided_contributions(db: Database) -> None:
    # What shops contribute lies where snapshots are published; here is only what was decided about it.
    db.execute("""CREATE TABLE decided_contributions (
        name TEXT PRIMARY KEY, at TEXT NOT NULL, by TEXT NOT NULL, sku TEXT NOT NULL, taken INTEGER NOT NULL)""")


def _prints_of_facings(db: Database) -> None:
    db.execute("""CREATE TABLE facing_prints (
        scan_id INTEGER NOT NULL REFERENCES scans (id) ON DELETE CASCADE, number INTEGER NOT NULL,
        words TEXT NOT NULL, gtins TEXT NOT NULL, PRIMARY KEY (scan_id, number))""")


#: A step never changes once it has been released; a new form is a new step at the end.
STEPS: tuple[Callable[[Database], None], ...] = (
    _products_and_references,
    _search,
    _scans,
    _picture_checks,
    _stored_hashes,
    _attachments,
    _scan_corrections,
    _dark_pictures_and_accepted_findings,
    _groups_of_facings,
    _shelf_checks,
    _kept_answers,
    _alerts_and_photos_of_checks,
    _decided_contributions,
    _prints_of_facings,
)
VERSION = len(STEPS)


def version_of(db: Database, path: Path) -> int:
    """The number of the last step that this file went through, 0 for an empty file.

    Raises CatalogueVersionError for a file that is no catalogue, or one of a newer version.
    """
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    application = int(db.execute("PRAGMA application_id").fetchone()[0])
    tables = int(db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0])
    if application != APPLICATION_ID and (tables or version):
        raise CatalogueVersionError(f"{path}: is another program's database; give the file of a store")
    if version > VERSION:
        raise CatalogueVersionError(
            f"{path}: was written by a newer version (form {version}, this one reads {VERSION}); update retail-seg"
        )
    return version


def run_steps(db: Database, version: int) -> None:
    """Apply the steps after `version`; the caller has opened the transaction that makes them one change."""
    for step in STEPS[version:]:
        step(db)
    db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    db.execute(f"PRAGMA user_version = {VERSION}")
