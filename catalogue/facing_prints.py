"""What was read on facings of kept scans, words and barcodes, so that each is read once."""

from __future__ import annotations

import json
from collections.abc import Sequence

from catalogue.groups import OPEN, FacingPlace
from catalogue.store import Catalogue

#: Words with how sure each is (0 to 1), and GTINs of 14 digits.
Prints = tuple[tuple[tuple[str, float], ...], tuple[str, ...]]


def keep(catalogue: Catalogue, place: FacingPlace, words: Sequence[tuple[str, float]], gtins: Sequence[str]) -> None:
    """Keep what was read on a facing, nothing among it; a facing whose scan was deleted meanwhile is passed over."""
    sql = """INSERT OR REPLACE INTO facing_prints (scan_id, number, words, gtins)
        SELECT ?1, ?2, ?3, ?4 WHERE EXISTS (SELECT 1 FROM scans WHERE id = ?1)"""
    rounded = [(text, round(score, 3)) for text, score in words]
    with catalogue.change() as db:
        db.execute(sql, [*place, json.dumps(rounded, ensure_ascii=False), json.dumps(list(gtins))])


def known(catalogue: Catalogue) -> dict[FacingPlace, Prints]:
    """What was read on the facings of groups that wait for a name."""
    sql = """SELECT f.scan_id, f.number, f.words, f.gtins FROM facing_prints f
        JOIN group_members m ON m.scan_id = f.scan_id AND m.number = f.number
        JOIN groups g ON g.id = m.group_id WHERE g.state = ?"""
    rows = catalogue.db.execute(sql, [OPEN]).fetchall()
    return {
        (scan, number): (tuple((text, score) for text, score in json.loads(words)), tuple(json.loads(gtins)))
        for scan, number, words, gtins in rows
    }


def areas(catalogue: Catalogue) -> dict[FacingPlace, int]:
    """Width times height, in pixels of the photo, of the facings of groups that wait for a name."""
    sql = """SELECT i.scan_id, i.number, i.w * i.h FROM instances i
        JOIN group_members m ON m.scan_id = i.scan_id AND m.number = i.number
        JOIN groups g ON g.id = m.group_id WHERE g.state = ?"""
    return {(scan, number): area for scan, number, area in catalogue.db.execute(sql, [OPEN]).fetchall()}
