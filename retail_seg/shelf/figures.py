"""Figures over time, of checks that are kept: availability, compliance, time to mend, share of shelf.

Each figure is of a group (all fixtures, one shop, one fixture) and a week (ISO 8601, by the day in UTC on which the
photos were taken), or of the whole time. Availability and compliance are shares of the places that photos showed, over
all checks of the group; the share of shelf is that of the last check of each fixture, so that who is checked often
counts no more than others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from catalogue import plans
from catalogue.checks import KeptCheck, Task
from catalogue.errors import UnknownPlan
from retail_seg.errors import PlanError
from retail_seg.shelf import keeping

if TYPE_CHECKING:
    from catalogue import Catalogue
    from retail_seg.matcher import Matcher

#: A group is all fixtures, one shop, or one fixture.
GROUPS = ("all", "shop", "fixture")
NOT_NAMED, NO_BRAND, NO_CATEGORY = "(not recognised)", "(no brand)", "(no category)"


@dataclass(frozen=True)
class Scope:
    """Of what and when a figure is: `name` is empty for all fixtures, `week` ("2026-W48") for the whole time."""

    group: str
    name: str
    week: str


@dataclass(frozen=True)
class ShelfFigure:
    """Numbers of a group; shares are None where no place was seen, hours where nothing was mended.

    places        that photos showed, over all `checks`
    availability  share of them at which their product stood, in enough facings or not
    compliance    share of them that were as planned
    mended        tasks that were done in that time, after so many `hours` on average, from the check that found them
    """

    of: Scope
    checks: int
    places: int
    availability: float | None
    compliance: float | None
    mended: int
    hours: float | None


@dataclass(frozen=True)
class ShelfShare:
    """The share of shelf of one `value` of a `kind` ("brand", "category") in a group.

    centimetres  of those facings whose width their plan states; None where it states none, `share_of_length` too
    """

    of: Scope
    kind: str
    value: str
    facings: int
    share: float
    centimetres: float | None
    share_of_length: float | None


@dataclass(frozen=True)
class Figures:
    """All figures from one day to another (ISO, both included), of one shop where it is named."""

    first: str
    last: str
    shop: str
    figures: tuple[ShelfFigure, ...]
    shares: tuple[ShelfShare, ...]
    notes: tuple[str, ...] = ()

    def find(self, group: str, name: str = "", week: str | None = None) -> tuple[ShelfFigure, ...]:
        """The figures of one group: of each week in order, or of one, or ("") of the whole time."""
        wanted = [one for one in self.figures if (one.of.group, one.of.name) == (group, name)]
        return tuple(one for one in wanted if one.of.week == week or (week is None and one.of.week))

    def names(self, group: str) -> tuple[str, ...]:
        """The names of all shops, or of all fixtures, that have figures."""
        return tuple(sorted({one.of.name for one in self.figures if one.of.group == group}))

    def shares_of(self, kind: str, group: str = "all", name: str = "", week: str = "") -> tuple[ShelfShare, ...]:
        """The shares of shelf in one group, the largest first."""
        return tuple(one for one in self.shares if one.kind == kind and one.of == Scope(group, name, week))

    def to_dict(self) -> dict[str, Any]:
        """As the JSON object that `retail-seg report` writes."""
        return {
            "from": self.first,
            "until": self.last,
            "shop": self.shop or None,
            "figures": [_flat(one) for one in self.figures],
            "shares": [_flat(one) for one in self.shares],
            "notes": list(self.notes),
        }


def _flat(one: ShelfFigure | ShelfShare) -> dict[str, Any]:
    values = asdict(one)
    return {**values.pop("of"), **values}


def figures(matcher: Matcher, first: str, last: str, shop: str = "") -> Figures:
    """The figures of all checks whose photos were taken from one day to another (YYYY-MM-DD, both included).

    Raises PlanError for days that are none, or a last day before the first.
    """
    if _day(last) < _day(first):
        raise PlanError(f"the last day, {last}, is before the first, {first}; exchange them")
    found = keeping.checks_between(matcher, first, f"{last}T24", shop)
    checks = [one for one in found if _week(one.taken)]
    notes = [f"{len(found) - len(checks)} checks have no time that can be read; they are left out"]
    shops = {one.name: one.shop for one in plans.fixtures(matcher.catalogue)} | {
        one.fixture: one.shop for one in checks
    }
    done = keeping.list_tasks(matcher, states=("done",))
    tasks = [
        one
        for one in done
        if first <= one.changed[:10] <= last and (not shop or shops.get(one.finding.fixture) == shop)
    ]
    groups = _groups(checks, tasks, shops)
    numbers = tuple(_figure(of, *members) for of, members in groups.items())
    return Figures(
        first,
        last,
        shop,
        numbers,
        tuple(_shares(matcher.catalogue, groups)),
        tuple(notes if len(found) > len(checks) else ()),
    )


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise PlanError(f"{text!r} is no day; write it as 2026-03-31") from None


def _week(taken: str) -> str:
    """The week of a time, empty for what is none."""
    try:
        year, week, _ = date.fromisoformat(taken[:10]).isocalendar()
    except ValueError:
        return ""
    return f"{year}-W{week:02}"


Members = tuple[list[KeptCheck], list[Task]]


def _groups(checks: Iterable[KeptCheck], tasks: Iterable[Task], shops: Mapping[str, str]) -> dict[Scope, Members]:
    """What belongs to each group, in the order of GROUPS, names and weeks."""
    found: dict[Scope, Members] = {}
    for check in checks:
        for of in _of(check.fixture, check.shop, _week(check.taken)):
            found.setdefault(of, ([], []))[0].append(check)
    for task in tasks:
        for of in _of(task.finding.fixture, shops.get(task.finding.fixture, ""), _week(task.changed)):
            found.setdefault(of, ([], []))[1].append(task)
    return dict(sorted(found.items(), key=lambda pair: (GROUPS.index(pair[0].group), pair[0].name, pair[0].week)))


def _of(fixture: str, shop: str, week: str) -> Iterator[Scope]:
    for when in ("", week):
        yield Scope("all", "", when)
        if shop:
            yield Scope("shop", shop, when)
        yield Scope("fixture", fixture, when)


def _figure(of: Scope, checks: Sequence[KeptCheck], tasks: Sequence[Task]) -> ShelfFigure:
    total: Counter[str] = Counter()
    for check in checks:
        total.update({name: check.summary.get(name, 0) for name in ("positions", "unseen", "ok", "low")})
    places = total["positions"] - total["unseen"]
    hours = [_hours(task) for task in tasks]
    return ShelfFigure(
        of, len(checks), places, _ratio(total["ok"] + total["low"], places), _ratio(total["ok"], places), len(tasks),
        round(sum(hours) / len(hours), 2) if hours else None,
    )  # fmt: skip


def _ratio(part: float, whole: float) -> float | None:
    return round(part / whole, 4) if whole else None


def _hours(task: Task) -> float:
    taken = datetime.fromisoformat(task.changed) - datetime.fromisoformat(task.opened)
    return taken.total_seconds() / 3600


# -- share of shelf


@dataclass(frozen=True)
class _Shelf:
    """One check: facings by SKU ("" for what was not recognised), and the mm of a facing where they are known."""

    facings: Mapping[str, int]
    widths: Mapping[str, float]


def _shares(catalogue: Catalogue, groups: Mapping[Scope, Members]) -> Iterator[ShelfShare]:
    shelves: dict[int, _Shelf] = {}
    known: dict[str, tuple[str, str]] = {"": (NOT_NAMED, NOT_NAMED)}
    for of, (checks, _) in groups.items():
        latest = list({check.fixture: check for check in checks}.values())
        for check in latest:
            if check.id not in shelves:
                shelves[check.id] = _shelf(catalogue, check)
        last = [shelves[check.id] for check in latest]
        known |= {sku: _told(catalogue, sku) for shelf in last for sku in shelf.facings if sku not in known}
        for n, kind in enumerate(("brand", "category")):
            yield from _shares_of(of, kind, last, {sku: told[n] for sku, told in known.items()})


def _shelf(catalogue: Catalogue, check: KeptCheck) -> _Shelf:
    from catalogue import checks

    _, result = checks.load(catalogue, check.id)
    seen = [one for one in result.get("instances", ()) if not one.get("same_as")]
    return _Shelf(Counter(one.get("sku") or "" for one in seen), _widths(catalogue, check))


def _widths(catalogue: Catalogue, check: KeptCheck) -> dict[str, float]:
    """Millimetres of a facing of each SKU; only a planogram's lengths are in mm, a scan's are pixels."""
    try:
        plan = plans.load(catalogue, check.plan, check.version)
    except UnknownPlan:
        return {}
    if plan.kind != "planogram":
        return {}
    return {one.sku: one.width / one.facings for one in plan.positions if one.width and one.facings}


def _told(catalogue: Catalogue, sku: str) -> tuple[str, str]:
    product = catalogue.find_product(sku)
    return (product.brand or NO_BRAND, product.category or NO_CATEGORY) if product else (NO_BRAND, NO_CATEGORY)


def _shares_of(of: Scope, kind: str, shelves: Sequence[_Shelf], value: Mapping[str, str]) -> Iterator[ShelfShare]:
    facings: Counter[str] = Counter()
    lengths: dict[str, float] = {}
    for shelf in shelves:
        for sku, number in shelf.facings.items():
            facings[value[sku]] += number
            if sku in shelf.widths:
                lengths[value[sku]] = lengths.get(value[sku], 0.0) + number * shelf.widths[sku] / 10
    whole, length = sum(facings.values()), sum(lengths.values())
    for name, number in facings.most_common():
        cm = lengths.get(name)
        yield ShelfShare(
            of, kind, name, number, round(number / whole, 4), None if cm is None else round(cm, 1),
            None if cm is None else _ratio(cm, length),
        )  # fmt: skip
