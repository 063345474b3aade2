"""Checks that were made are kept, findings become tasks, and a photo that shows a place mended ends its task."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from catalogue import checks, plans
from catalogue.checks import KeptCheck, KeptFinding, SavedCheck, Task
from retail_seg.errors import PlanError
from retail_seg.people.roles import require, sign
from retail_seg.shelf.results import LABEL_FAULTS, CheckResult, Finding, PositionStatus

if TYPE_CHECKING:
    from retail_seg.matcher import Matcher


def keep_check(matcher: Matcher, result: CheckResult, *, shop: str = "", taken: str = "", by: str = "") -> SavedCheck:
    """Keep a check; returns its number and those of the tasks that it opened and ended.

    `shop` is the fixture's own without it, `taken` (ISO) the time now. Only staff may.
    """
    by = sign("staff", by)
    fixture = ", ".join(result.fixtures)
    known = {one.name: one.shop for one in plans.fixtures(matcher.catalogue)}
    plan = plans.kept(matcher.catalogue, result.plan, result.version).id if result.version else None
    new = checks.NewCheck(
        plan, fixture, shop or known.get(fixture, ""), taken or datetime.now(UTC).isoformat(timespec="seconds"),
        result.summary, result.to_dict(), [_new(one) for one in result.findings],
        [place_of(one) for one in result.positions if one.status == "ok"] + _well_labelled(result),
    )  # fmt: skip
    return checks.save(matcher.catalogue, new, by=by)


def place_of(one: PositionStatus | Finding) -> str:
    """What names a product's place, or its label there, in every check."""
    place = f"{one.fixture}/{one.shelf}/{one.position}/{one.sku}"
    return f"{place}/label" if isinstance(one, Finding) and one.kind in LABEL_FAULTS else place


def _well_labelled(result: CheckResult) -> list[str]:
    """The labels that are as they should be, as `place_of` names them; one that could not be read shows nothing mended
    but that it is there.
    """
    faults = {place_of(one) for one in result.findings}
    fixture = ", ".join(result.fixtures)
    well = {
        f"{fixture}/{one.shelf}/{one.position}/{one.sku}/label"
        for one in result.labels or ()
        if one.status == "ok" and one.position
    }
    return sorted(well - faults)


def _new(one: Finding) -> checks.NewFinding:
    return checks.NewFinding(
        place_of(one), one.key, one.kind, one.fixture, one.shelf, one.position, one.sku, one.probability, one.cause,
        one.action, one.cost, one.to_dict(),
    )  # fmt: skip


def list_checks(matcher: Matcher, fixture: str = "", *, offset: int = 0, limit: int = 50) -> list[KeptCheck]:
    """One page of the kept checks, newest first; of one fixture where it is named."""
    return checks.latest(matcher.catalogue, fixture, offset=offset, limit=limit)


def checks_between(matcher: Matcher, first: str, last: str, shop: str = "") -> list[KeptCheck]:
    """The checks whose photos were taken from one time to another (ISO), oldest first."""
    return checks.between(matcher.catalogue, first, last, shop)


def load_check(matcher: Matcher, number: int) -> tuple[KeptCheck, dict[str, Any]]:
    """A kept check, and the JSON object that it wrote; raises UnknownCheck."""
    return checks.load(matcher.catalogue, number)


def findings_of(matcher: Matcher, number: int) -> list[KeptFinding]:
    """The findings of a kept check, in their order."""
    return checks.findings(matcher.catalogue, number)


def list_tasks(matcher: Matcher, fixture: str = "", states: Sequence[str] = ("open", "taken")) -> list[Task]:
    """Tasks in some states, the dearest first; of one fixture where it is named."""
    return checks.tasks(matcher.catalogue, fixture=fixture, states=states)


def load_task(matcher: Matcher, number: int) -> Task:
    """One task; raises UnknownCheck."""
    return checks.task(matcher.catalogue, number)


def set_task(matcher: Matcher, number: int, state: str, *, who: str = "", note: str = "", by: str = "") -> Task:
    """Bring a task into a state, see `catalogue.checks.STATES`; who takes one is the person at work without `who`.

    Raises UnknownCheck, and PlanError for a state that there is not. Only staff may.
    """
    name = require("staff")
    if state not in checks.STATES:
        raise PlanError(f"{state!r} is no state of a task; give one of {', '.join(checks.STATES)}")
    taken = who or (name if state == "taken" else checks.task(matcher.catalogue, number).who)
    return checks.set_task(matcher.catalogue, number, state, who=taken, note=note, by=sign("staff", by))
