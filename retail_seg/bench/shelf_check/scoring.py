"""Statuses of places against the truth: precision, recall and F1 of each, and false alarms."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from retail_seg.shelf.results import FAULTS, STATUSES

PlaceKey = tuple[int, int]


@dataclass(frozen=True)
class StatusScore:
    """How well one status is told, over so many places that truly have it."""

    precision: float
    recall: float
    f1: float
    number: int


@dataclass(frozen=True)
class CheckScore:
    """Scores of many checks.

    false_alarms  share of the places that are well but are said to be faulty
    clean         share of the checks without any false alarm
    confused      (truth, told) ► number
    """

    statuses: Mapping[str, StatusScore]
    false_alarms: float
    clean: float
    places: int
    checks: int
    confused: Mapping[tuple[str, str], int]


def score(checks: Iterable[tuple[Mapping[PlaceKey, str], Mapping[PlaceKey, str]]]) -> CheckScore:
    """Score (truth, told) of checks; places that the truth leaves out count for nothing."""
    confused: Counter[tuple[str, str]] = Counter()
    alarms, number, clean = 0, 0, 0
    for truth, told in checks:
        pairs = Counter((status, told[key]) for key, status in truth.items())
        false = sum(count for (status, said), count in pairs.items() if status in ("ok", "unseen") and said in FAULTS)
        confused += pairs
        alarms += false
        number += 1
        clean += false == 0
    places = sum(confused.values())
    well = sum(count for (status, _), count in confused.items() if status in ("ok", "unseen"))
    scores: dict[str, StatusScore] = {status: _of_status(confused, status) for status in STATUSES}
    return CheckScore(scores, alarms / max(well, 1), clean / max(number, 1), places, number, dict(confused))


def _of_status(confused: Mapping[tuple[str, str], int], status: str) -> StatusScore:
    hit = confused.get((status, status), 0)
    true = sum(count for (was, _), count in confused.items() if was == status)
    told = sum(count for (_, said), count in confused.items() if said == status)
    precision, recall = hit / told if told else 1.0, hit / true if true else 1.0
    f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    return StatusScore(precision, recall, f1, true)
