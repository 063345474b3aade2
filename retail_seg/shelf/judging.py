"""Views of places ► what is with each place, and what stands where it should not."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from retail_seg.shelf.chances import best_other
from retail_seg.shelf.results import CheckedInstance, PositionStatus, Spot, Status
from retail_seg.shelf.views import WHOLE, Joined, Loose, Stand

#: A place of which less than this share is in any photo is unseen, where none of its product is found.
LEAST_SEEN = 0.5
#: Odds by which a product that is missing from its place is more probable than others to stand elsewhere.
ASTRAY = 3.0
#: and in the place of what stands in its own.
SWAPPED = 12.0
#: From this chance on a facing is taken for a product that is missing from its place.
SURELY = 0.7
#: A facing of which a photo's side cuts off less than this share is seen.
CUT = 0.5


@dataclass(frozen=True)
class Judged:
    """A place's status with the facings that stand in it."""

    status: PositionStatus
    joined: Joined


def judge(
    places: Sequence[Joined], loose: Sequence[Loose], planned: Sequence[str], strangers: Sequence[str]
) -> list[Judged]:
    """What is with each place, in their order; a facing that stands astray accounts for one place."""
    found = [Judged(_status(one, planned, strangers), one) for one in places]
    free = list(loose)
    homes: dict[str, set[tuple[int, int]]] = {}
    for place in places:
        position = place.view.position
        homes.setdefault(position.sku, set()).add((position.shelf, position.position))
    for n, one in enumerate(found):
        if one.status.status in ("empty", "wrong", "unknown") and one.status.sku not in strangers:
            astray = _astray(one.status, free, homes.get(one.status.product, set()))
            if astray and (astray[0].shelf, astray[0].position) == (one.status.shelf, one.status.position):
                found[n] = replace(one, status=_at_home(one.status, astray))
            elif astray:
                free = [other for other in free if other not in astray]
                found[n] = replace(one, status=_misplaced(one.status, astray))
    return found


def _status(one: Joined, planned: Sequence[str], strangers: Sequence[str]) -> PositionStatus:
    view, position = one.view, one.view.position
    need = position.min_facings
    if one.seen < WHOLE:
        need = max(min(need, int(position.facings * one.seen + CUT)), 1)
    own = view.own
    base = PositionStatus(
        position.fixture, position.shelf, position.position, position.sku, "ok", 1.0, len(own),
        tuple(id_ for stand in view.stands for id_ in stand.ids), position.facings, position.min_facings,
        areas=one.areas,
    )  # fmt: skip
    if own and one.seen < LEAST_SEEN and len(own) < position.min_facings:
        return replace(base, status="unseen", probability=1 - one.seen)
    if own:
        spread = counts_of([stand.own for stand in view.stands])
        if position.sku in strangers:
            return replace(base, status="unknown", probability=0.5, found=0)
        if len(own) >= need:
            return replace(base, probability=sum(spread[need:]))
        return replace(base, status="low", probability=sum(spread[1:need]))
    if one.seen < LEAST_SEEN:
        return replace(base, status="unseen", probability=1 - one.seen)
    if not view.stands and one.seen < WHOLE and one.seen * position.facings < 1:
        return replace(base, status="unseen", probability=1 - one.seen)  # what the photo's side cuts may not be found
    if not view.stands:
        return replace(base, status="empty", probability=_empty_chance(one))
    return _foreign(base, view.stands, planned)


def _foreign(base: PositionStatus, stands: Sequence[Stand], planned: Sequence[str]) -> PositionStatus:
    """The status of a place in which nothing of its own stands: wrong, or unknown where nobody knows what it is."""
    product, chance = best_other([stand.chances for stand in stands], base.sku, planned)
    away = 1.0
    for stand in stands:
        away *= 1 - stand.own
    if product:
        return replace(base, status="wrong", product=product, probability=chance * away)
    return replace(base, status="unknown", probability=chance * away)


def _empty_chance(one: Joined) -> float:
    """How sure it is that a place without facings is empty: by how much of it is seen, and how free that is."""
    return min(0.99, one.seen * (0.5 + 0.5 * one.view.free) * (0.6 + 0.4 * one.view.certain))


def _astray(status: PositionStatus, loose: Sequence[Loose], swapped: Collection[tuple[int, int]]) -> list[Loose]:
    """Facings elsewhere that are most probably of a place's product; all that stand in one other place.

    `swapped` are the places of what stands in its own: there it is expected.
    """
    told = [(one, _of_product(one.stand, status.sku, (one.shelf, one.position) in swapped)) for one in loose]
    sure = [(one, chance) for one, chance in told if chance >= SURELY]
    if not sure:
        return []
    best = min(sure, key=lambda pair: (-round(pair[1], 6), abs(pair[0].shelf - status.shelf), pair[0].shelf,
                                       pair[0].position))[0]  # fmt: skip
    return [one for one, _ in sure if (one.shelf, one.position) == (best.shelf, best.position)]


def _of_product(stand: Stand, sku: str, expected: bool = False) -> float:
    """How probable a facing is a product that is missing from its place, where by these odds no other is more so."""
    chance, odds = stand.chances.get(sku, 0.0), SWAPPED if expected else ASTRAY
    if chance <= 0 or (odds * chance < max(stand.chances.values()) and not expected):
        return 0.0
    return odds * chance / (odds * chance + 1 - chance)


def _at_home(status: PositionStatus, astray: Sequence[Loose]) -> PositionStatus:
    """Its own product stands there after all, in a row that was read as none."""
    ids = tuple(sorted(id_ for one in astray for id_ in one.stand.ids))
    chance = max(_of_product(one.stand, status.sku) for one in astray)
    well: Status = "ok" if len(astray) >= status.min_facings else "low"
    return replace(status, status=well, probability=chance, found=len(astray), instances=ids, product="")


def _misplaced(status: PositionStatus, astray: Sequence[Loose]) -> PositionStatus:
    chance = max(_of_product(one.stand, status.sku) for one in astray)
    gone = status.probability if status.status == "empty" else max(status.probability, 0.5)
    return replace(
        status,
        status="misplaced",
        probability=chance * gone,
        stands_at=Spot(astray[0].shelf, astray[0].position),
        instances=tuple(sorted(id_ for one in astray for id_ in one.stand.ids)),
    )


def counts_of(chances: Sequence[float]) -> list[float]:
    """How probable each number of events, from 0 on, is among independent ones (Poisson-binomial distribution)."""
    spread = [1.0]
    for chance in chances:
        spread = [a * (1 - chance) + b * chance for a, b in zip([*spread, 0.0], [0.0, *spread], strict=True)]
    return spread


def instances_of(judged: Sequence[Judged], loose: Sequence[Loose]) -> tuple[CheckedInstance, ...]:
    """Everything that the photos show, by number, with the place that it counts for."""
    found: dict[int, CheckedInstance] = {}
    for one in loose:
        _add(found, one.stand, "", one.shelf, 0, {})
    for place in judged:
        position = place.joined.view.position
        for stand in (stand for view in place.joined.views for stand in view.stands):
            own = position.sku if stand.own >= 0.5 else ""
            _add(found, stand, own, position.shelf, position.position, place.joined.same)
    return tuple(found[id_] for id_ in sorted(found))


def _add(
    found: dict[int, CheckedInstance], stand: Stand, own: str, shelf: int, position: int, same: Mapping[int, int]
) -> None:
    best = max(sorted(stand.chances), key=lambda sku: stand.chances[sku], default="")
    likely = best if best and stand.chances[best] >= 0.5 else ""
    chance = stand.own if own else stand.chances.get(likely, 0.0)
    for id_ in stand.ids:
        found[id_] = CheckedInstance(id_, stand.area, own or likely, chance, shelf, position, same.get(id_, 0))
