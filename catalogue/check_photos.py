"""Which kept scans are the photos of a kept check."""

from __future__ import annotations

from collections.abc import Mapping

from catalogue.store import Catalogue


def link(catalogue: Catalogue, check: int, scans: Mapping[int, int]) -> None:
    """Keep the scan of each photo of a check, by the photo's number in its result."""
    with catalogue.change() as db:
        for photo, scan in scans.items():
            db.execute("INSERT INTO check_photos (check_id, photo, scan_id) VALUES (?,?,?)", [check, photo, scan])


def count_checks(catalogue: Catalogue) -> int:
    """How many checks are kept, see `checks.latest`."""
    (number,) = catalogue.db.execute("SELECT count(*) FROM checks WHERE gone IS NULL").fetchone()
    return int(number)


def scans_of(catalogue: Catalogue, check: int) -> dict[int, int]:
    """The scans of a check's photos that are still there, by the photo's number."""
    rows = catalogue.db.execute(
        "SELECT photo, scan_id FROM check_photos WHERE check_id = ? ORDER BY photo", [int(check)]
    )
    return dict(rows.fetchall())
