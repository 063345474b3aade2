"""Alignment alone, on true instances: made fixtures, seen by a fair embedder, held against their plans."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from retail_seg.bench.shelf_check.photographed import DOUBTFUL, VIEWS, Shot, report_of, seen_share, shots
from retail_seg.bench.shelf_check.stocked import MISHAPS, Stocked, made_fixture, made_shop
from retail_seg.shelf.deciding import decide
from retail_seg.shelf.results import CheckResult
from retail_seg.shelf.seeing import Sight, sights_of


@dataclass(frozen=True, eq=False)
class MadeCheck:
    """A check to be made: its circumstances, what is seen, the plan, and the truth by (shelf, position)."""

    mishap: str
    view: str
    stocked: Stocked
    sights: tuple[Sight, ...]
    truth: dict[tuple[int, int], str]


def made_checks(number: int, seed: int = 0, noise: float = 1.0) -> Iterator[MadeCheck]:
    """Checks with all mishaps and views in turns."""
    for n in range(number):
        rng = np.random.default_rng([seed, n])
        shop = made_shop(rng)
        mishap, view = MISHAPS[n % len(MISHAPS)], VIEWS[n // len(MISHAPS) % len(VIEWS)]
        stocked = made_fixture(shop, mishap, rng, lengths=bool(rng.random() < 0.5))
        taken = shots(stocked, view, rng)
        reports = [report_of(stocked, shot, f"photo-{k}.jpg", shop, rng, noise) for k, shot in enumerate(taken)]
        yield MadeCheck(mishap, view, stocked, sights_of(reports), truth_of(stocked, taken))


def truth_of(stocked: Stocked, taken: tuple[Shot, ...]) -> dict[tuple[int, int], str]:
    """The status of each place as the photos can show it; places that they cut are left out."""
    found: dict[tuple[int, int], str] = {}
    for key, status in stocked.truth.items():
        seen = max(seen_share(stocked, shot, key) for shot in taken)
        if seen >= DOUBTFUL[1]:
            found[key] = status
        elif seen <= DOUBTFUL[0]:
            found[key] = "unseen"
    if any(status == "unseen" for status in found.values()):  # what stands out of sight is missing, not misplaced
        return {key: status for key, status in found.items() if status != "misplaced"}
    return found


def told(result: CheckResult) -> dict[tuple[int, int], str]:
    """What a check says, by (shelf, position)."""
    return {(one.shelf, one.position): one.status for one in result.positions}


def checked(made: MadeCheck) -> tuple[CheckResult, float]:
    """The result of a made check, and the seconds that it took."""
    begun = time.process_time()
    result = decide(made.sights, made.stocked.plan)
    return result, time.process_time() - begun
