"""Plans, checks and tasks of shelves as rows: versions, days, what is refused, every change taken back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from catalogue import Catalogue, checks, plans, shelf_history
from catalogue.checks import NewCheck, NewFinding
from catalogue.errors import PlanConflict, UndoError, UnknownCheck, UnknownPlan
from catalogue.plan_records import Plan, Position

BAY = (Position("bay", 1, 1, "cola", 3, 2, 0.0, 300.0, 210.0), Position("bay", 1, 2, "jam"))


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[Catalogue]:
    with Catalogue.create(tmp_path / "catalogue.db", embedder="e", dim=2) as made:
        yield made


def test_a_plan_comes_back_as_it_was_kept_and_keeps_its_versions(catalogue: Catalogue) -> None:
    assert plans.save(catalogue, Plan("summer", BAY), source="summer.csv", by="mara") == 1
    assert plans.save(catalogue, Plan("summer", BAY[:1])) == 2
    assert plans.load(catalogue, "summer") == Plan("summer", BAY[:1], version=2)
    assert plans.load(catalogue, "summer", 1) == Plan("summer", BAY, version=1)
    (kept,) = plans.latest(catalogue)
    assert (kept.version, kept.positions, kept.facings, kept.fixtures) == (2, 1, 3, ("bay",))
    assert [one.by for one in plans.versions(catalogue, "summer")] == ["", "mara"]
    with pytest.raises(UnknownPlan, match="winter; there are summer"):
        plans.load(catalogue, "winter")
    with pytest.raises(UnknownPlan, match="no version 3"):
        plans.load(catalogue, "summer", 3)


def test_two_plans_of_one_fixture_at_one_time_are_refused(catalogue: Catalogue) -> None:
    plans.save(catalogue, Plan("summer", BAY), starts="2026-05-01", ends="2026-08-31")
    with pytest.raises(PlanConflict, match=r"bay .* summer and winter"):
        plans.save(catalogue, Plan("winter", BAY), starts="2026-08-31")
    assert [one.name for one in plans.latest(catalogue)] == ["summer"]
    plans.save(catalogue, Plan("winter", BAY), starts="2026-09-01")
    plans.save(catalogue, Plan("other", (Position("end cap", 1, 1, "jam"),)))
    found = [plans.in_force(catalogue, "bay", day) for day in ("2026-04-30", "2026-06-01", "2027-01-01")]
    assert [one.name if one else None for one in found] == [None, "summer", "winter"]


def test_a_plan_that_was_taken_out_comes_back_unless_another_has_its_place(catalogue: Catalogue) -> None:
    plans.save(catalogue, Plan("summer", BAY))
    number = plans.remove(catalogue, "summer", by="mara")
    assert plans.latest(catalogue) == []
    plans.save(catalogue, Plan("winter", BAY))
    with pytest.raises(PlanConflict):
        shelf_history.undo(catalogue, number)
    plans.remove(catalogue, "winter")
    assert shelf_history.undo(catalogue, number, by="stan").action == "remove plan"
    assert plans.load(catalogue, "summer").positions == BAY
    with pytest.raises(UndoError, match="taken back already, by stan"):
        shelf_history.undo(catalogue, number)
    with pytest.raises(UndoError, match="no change 99"):
        shelf_history.undo(catalogue, 99)
    actions = [(one.action, one.subject, one.undone_by) for one in shelf_history.changes(catalogue, "plan summer")]
    assert actions == [("remove plan", "plan summer", "stan"), ("plan version 1", "plan summer", "")]


def finding(kind: str = "empty", position: int = 1, cost: float = 0.0) -> NewFinding:
    place = f"bay/1/{position}/cola"
    return NewFinding(place, f"{place}/{kind}", kind, "bay", 1, position, "cola", 0.9, cost=cost, details={"text": "x"})


def new_check(*findings: NewFinding, well: tuple[str, ...] = ()) -> NewCheck:
    return NewCheck(None, "bay", "Mitte", "2026-05-02T10:00:00+00:00", {"ok": 1}, {"plan": "x"}, findings, well)


def test_findings_become_tasks_once_and_what_is_mended_ends_them(catalogue: Catalogue) -> None:
    first = checks.save(catalogue, new_check(finding(), finding(position=2, cost=5)), by="stan")
    assert len(first.opened) == 2 and not first.mended
    assert [one.finding.position for one in checks.tasks(catalogue)] == [2, 1]  # the dearest first
    again = checks.save(catalogue, new_check(finding("low"), finding(position=2)))
    assert not again.opened
    assert {one.finding.kind for one in checks.tasks(catalogue)} == {"low", "empty"}
    last = checks.save(catalogue, new_check(finding(position=2), well=("bay/1/1/cola",)))
    assert last.mended == first.opened[:1]
    done = checks.task(catalogue, last.mended[0])
    assert (done.state, done.closed_check) == ("done", last.id) and f"check {last.id}" in done.note
    shelf_history.undo(catalogue, shelf_history.changes(catalogue)[0].id)
    assert [one.state for one in checks.tasks(catalogue)] == ["open", "open"]
    assert [one.id for one in checks.latest(catalogue, "bay")] == [again.id, first.id]
    with pytest.raises(UnknownCheck):
        checks.load(catalogue, last.id)


def test_what_is_not_true_is_not_asked_again_but_another_fault_is(catalogue: Catalogue) -> None:
    (number,) = checks.save(catalogue, new_check(finding())).opened
    assert checks.set_task(catalogue, number, "taken", who="olga", by="olga").who == "olga"
    checks.set_task(catalogue, number, "not true", by="olga")
    assert not checks.save(catalogue, new_check(finding())).opened
    assert checks.save(catalogue, new_check(finding("wrong"))).opened
    with pytest.raises(UnknownCheck, match="no task 77"):
        checks.set_task(catalogue, 77, "done")


def test_a_check_is_kept_with_its_result_and_found_by_its_time(catalogue: Catalogue) -> None:
    saved = checks.save(catalogue, new_check(finding()), by="stan")
    kept, result = checks.load(catalogue, saved.id)
    assert (kept.fixture, kept.shop, kept.by, kept.summary, result) == (
        "bay",
        "Mitte",
        "stan",
        {"ok": 1},
        {"plan": "x"},
    )
    assert [one.kind for one in checks.findings(catalogue, saved.id)] == ["empty"]
    assert [one.id for one in checks.between(catalogue, "2026-05-01", "2026-05-03", "Mitte")] == [saved.id]
    assert not checks.between(catalogue, "2026-05-03", "2026-06-01")
