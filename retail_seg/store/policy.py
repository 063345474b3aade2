"""What is sure, likely and unknown in a store: what its manager has stated, and what its checked scans say."""

from __future__ import annotations

from catalogue import Catalogue, scans
from index.calibration import Policy

#: Settings of a store, what its manager states: see `Policy`.
PRECISION, LIKELY_FROM, STRANGERS, RATE = "sure_precision", "likely_from", "expected_strangers", "false_accept_rate"

#: Checked facings from which on the share of strangers is theirs, and how many the usual share counts for beside them.
CHECKED_ENOUGH, STRANGERS_BEFORE = 100, 20


def policy_of(catalogue: Catalogue) -> Policy:
    """What the manager of a store has stated, what its checked scans say, and what goes without saying."""
    stated = {"precision": PRECISION, "likely": LIKELY_FROM, "strangers": STRANGERS, "ceiling": RATE}
    found = {name: catalogue.get_setting(key) for name, key in stated.items()}
    given = {name: float(value) for name, value in found.items() if value}
    if "strangers" not in given and (share := measured_strangers(catalogue)) is not None:
        given["strangers"] = share
    return Policy(**given)


def measured_strangers(catalogue: Catalogue) -> float | None:
    """The share of checked facings that show no product of the catalogue; None while too few have been checked.

    What goes without saying counts for STRANGERS_BEFORE facings, so that no share is 0 or 1.
    """
    checked, unlisted = scans.count_checked(catalogue)
    if checked < CHECKED_ENOUGH:
        return None
    return round((unlisted + STRANGERS_BEFORE * Policy().strangers) / (checked + STRANGERS_BEFORE), 4)
