"""The bench of the shelf check: what is made has the truth that it says, and scores are what they are called."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner

from retail_seg.bench.shelf_check.aligned import checked, made_checks, told
from retail_seg.bench.shelf_check.scoring import score
from retail_seg.bench.shelf_check.stocked import MISHAPS, STRANGER, made_fixture, made_shop
from retail_seg.cli import cli


@pytest.mark.parametrize("mishap", MISHAPS)
def test_what_stands_in_a_made_fixture_is_what_its_truth_says(mishap: str) -> None:
    rng = np.random.default_rng([3, MISHAPS.index(mishap)])
    made = made_fixture(made_shop(rng), mishap, rng, lengths=True)
    stands: dict[tuple[int, int], list[str]] = {one.key[1:]: [] for one in made.plan.positions}
    for front in made.fronts:
        stands[front.shelf, front.position].append(front.sku)
    for one in made.plan.positions:
        there, status = stands[one.key[1:]], made.truth[one.key[1:]]
        own = there.count(one.sku)
        expected = {"ok": own >= one.min_facings, "low": 0 < own < one.min_facings, "empty": not there}
        elsewhere = any(one.sku in others for key, others in stands.items() if key != one.key[1:])
        expected["misplaced"] = not own and elsewhere
        expected["wrong"] = bool(there) and not own and STRANGER not in there
        expected["unknown"] = bool(there) and set(there) == {STRANGER}
        assert expected[status], (one, status, there)
    assert mishap == "none" or set(made.truth.values()) != {"ok"}


def test_scores_of_statuses_and_false_alarms() -> None:
    truth = {(1, 1): "ok", (1, 2): "ok", (1, 3): "empty", (1, 4): "wrong", (2, 1): "unseen"}
    said = {(1, 1): "ok", (1, 2): "low", (1, 3): "empty", (1, 4): "empty", (2, 1): "unseen", (9, 9): "wrong"}
    found = score([(truth, said), (truth, truth)])
    empty = found.statuses["empty"]
    assert (empty.precision, empty.recall, empty.number) == (2 / 3, 1.0, 2)
    assert found.statuses["wrong"].recall == 0.5 and found.statuses["ok"].recall == 0.75
    assert (found.false_alarms, found.clean, found.places) == (1 / 6, 0.5, 10)


def test_checks_of_made_fixtures_reach_what_is_aimed_at() -> None:
    found = score((made.truth, told(checked(made)[0])) for made in made_checks(96, seed=11))
    assert found.statuses["empty"].f1 >= 0.9
    assert min(found.statuses[status].f1 for status in ("misplaced", "wrong")) >= 0.85
    assert found.false_alarms <= 1 / 200


def test_the_command_shows_a_table_and_ends_with_one_json_line() -> None:
    result = CliRunner().invoke(cli, ["benchmark", "check", "--checks", "16"], standalone_mode=False)
    assert result.exception is None, result.exception
    assert "false alarms" in result.stderr and "16 checks on true instances" in result.stderr
    line = json.loads(result.stdout.splitlines()[-1])
    assert line["check"]["checks"] == 16 and set(line["check"]["statuses"]) >= {"ok", "empty", "unseen"}
