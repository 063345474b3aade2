"""What each photo shows of each place of a plan, and the photos' views of a place joined: each facing counted once."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from catalogue.plan_records import Position
from retail_seg.shelf.reading import Board, RowRead, SightRead, shares
from retail_seg.shelf.results import PhotoArea

#: A place of which so much is in the photo is seen as a whole.
WHOLE = 0.9
#: Facings of two photos whose places along the shelf differ by less than this many facings are one and the same.
SAME = 0.6


@dataclass(frozen=True, eq=False)
class Stand:
    """A facing that stands somewhere: ids of its instances, how probable it is to be the place's own product, what it
    may be otherwise, and where it stands in its place, in facings from the left.
    """

    ids: tuple[int, ...]
    own: float
    chances: Mapping[str, float]
    slot: float
    area: PhotoArea


@dataclass(frozen=True, eq=False)
class PlaceView:
    """A photo's view of a place: where it is, the share of it that is in the photo, the share of that before which
    nothing stands, its facings, and how sure the place itself is (0 to 1).
    """

    position: Position
    area: PhotoArea
    seen: float
    free: float
    stands: tuple[Stand, ...]
    certain: float
    span: tuple[float, float]

    @property
    def own(self) -> tuple[Stand, ...]:
        """Facings of the place's product."""
        return tuple(stand for stand in self.stands if stand.own >= 0.5)

    @property
    def others(self) -> tuple[Stand, ...]:
        """Facings of anything else."""
        return tuple(stand for stand in self.stands if stand.own < 0.5)


@dataclass(frozen=True, eq=False)
class Loose:
    """A facing that is in no place as its product: where it stands, by shelf and position of the plan (0, 0: none)."""

    stand: Stand
    shelf: int
    position: int


def views_of(read: SightRead, photo: int) -> tuple[dict[tuple[int, int], PlaceView], list[Loose]]:
    """The views of one photo by (shelf, position), and its facings that are in no place."""
    found: dict[tuple[int, int], PlaceView] = {}
    loose: list[Loose] = []
    for b, board in enumerate(read.boards):
        edges = read.fit(board.shelf, board.edges)
        one = read.rows.get(b)
        made = _read(read, photo, board, edges, one) if one is not None else _bare(read, photo, board, edges)
        found.update({(board.shelf, view.position.position): view for view in made})
        if one is not None:
            loose += _extras(read, photo, board, edges, one)
    read_rows = {one.row for one in read.rows.values()}
    for r, row in enumerate(read.sight.rows):
        if r not in read_rows:
            loose += [Loose(_stand(read, photo, r, j, 0.0, 0.0), *_nearest(read, r, j)) for j in range(len(row))]
    return found, loose


def _read(read: SightRead, photo: int, board: Board, edges: np.ndarray, one: RowRead) -> list[PlaceView]:
    row = read.sight.rows[one.row]
    spans = edges.copy()
    for i, (start, end) in enumerate(one.reading.spans):
        if end > start:
            spans[i] = min(edges[i, 0], row.boxes[start, 0]), max(edges[i, 1], row.boxes[end - 1, 2])
    seen, free = shares(row, edges, read.sight.width)
    certain = 1 / (1 + min(read.fit.miss / read.typical, 3.0))
    found = []
    for i, position in enumerate(board.positions):
        start, end = one.reading.spans[i]
        wide = max(spans[i, 1] - spans[i, 0], 1e-6)
        stands = tuple(
            _stand(
                read,
                photo,
                one.row,
                j,
                float(one.chances[i, j]),
                (row.middle[j] - spans[i, 0]) / wide * position.facings,
            )
            for j in range(start, end)
        )
        area = _area(read, photo, board.shelf, spans[i])
        found.append(PlaceView(position, area, float(seen[i]), float(free[i]), stands, certain, _of(spans[i])))
    return found


def _of(span: np.ndarray) -> tuple[float, float]:
    return float(span[0]), float(span[1])


def _bare(read: SightRead, photo: int, board: Board, edges: np.ndarray) -> list[PlaceView]:
    """Views of a shelf in whose place there is no row: it is empty, or not in the photo."""
    found = []
    unread = set(range(len(read.sight.rows))) - {one.row for one in read.rows.values()}
    for i, position in enumerate(board.positions):
        x = float(edges[i].mean())
        top, bottom = read.bands.at(board.shelf, x)
        height = max(bottom - top, 1.0)
        tall = (min(bottom, read.sight.height) - max(top, 0.0)) / height
        wide = (min(edges[i, 1], read.sight.width) - max(edges[i, 0], 0.0)) / max(edges[i, 1] - edges[i, 0], 1e-6)
        seen = float(np.clip(tall, 0, 1) * np.clip(wide, 0, 1))
        free = 1.0 - _covered(read, (edges[i, 0], top, edges[i, 1], bottom))
        area = _area(read, photo, board.shelf, edges[i])
        found.append(
            PlaceView(
                position, area, seen if seen >= 0.6 else 0.0, free,
                tuple(_within(read, photo, sorted(unread), (edges[i, 0], top, edges[i, 1], bottom))),
                0.8 if read.bands.sure else 0.4, _of(edges[i]),
            )
        )  # fmt: skip
    return found


def _within(
    read: SightRead, photo: int, rows: Sequence[int], area: tuple[float, float, float, float]
) -> Iterator[Stand]:
    """Facings of rows that are no shelf of the plan, whose middles are in an area."""
    x0, top, x1, bottom = area
    for r in rows:
        row = read.sight.rows[r]
        middle = (row.boxes[:, 1] + row.boxes[:, 3]) / 2
        for j in np.flatnonzero((row.middle > x0) & (row.middle < x1) & (middle > top) & (middle < bottom)).tolist():
            yield _stand(read, photo, r, j, 0.0, 0.0)


def _covered(read: SightRead, area: tuple[float, float, float, float]) -> float:
    """The share of an area before which anything stands, whatever its row."""
    x0, y0, x1, y1 = area
    total = 0.0
    for row in read.sight.rows:
        wide = np.minimum(row.boxes[:, 2], x1) - np.maximum(row.boxes[:, 0], x0)
        tall = np.minimum(row.boxes[:, 3], y1) - np.maximum(row.boxes[:, 1], y0)
        total += float((np.clip(wide, 0, None) * np.clip(tall, 0, None)).sum())
    return min(total / max((x1 - x0) * (y1 - y0), 1e-6), 1.0)


def _extras(read: SightRead, photo: int, board: Board, edges: np.ndarray, one: RowRead) -> list[Loose]:
    """Facings of a row that no position took, or that are not the product of the one that took them."""
    row = read.sight.rows[one.row]
    taken = {j: i for i, (start, end) in enumerate(one.reading.spans) for j in range(start, end)}
    found = []
    for j in range(len(row)):
        i = taken.get(j)
        if i is not None and one.chances[i, j] >= 0.5:
            continue
        beside = np.maximum(edges[:, 0] - row.middle[j], row.middle[j] - edges[:, 1])
        at = int(beside.argmin()) if i is None else i
        found.append(Loose(_stand(read, photo, one.row, j, 0.0, 0.0), board.shelf, board.positions[at].position))
    return found


def _nearest(read: SightRead, r: int, j: int) -> tuple[int, int]:
    """The place that is nearest to a facing of a row that was not read."""
    row = read.sight.rows[r]
    x = float(row.middle[j])
    off = [abs(read.bands.at(board.shelf, x)[1] - row.boxes[j, 3]) for board in read.boards]
    board = read.boards[int(np.argmin(off))]
    edges = read.fit(board.shelf, board.edges)
    at = int(np.maximum(edges[:, 0] - x, x - edges[:, 1]).argmin())
    return board.shelf, board.positions[at].position


def _stand(read: SightRead, photo: int, r: int, j: int, own: float, slot: float) -> Stand:
    row = read.sight.rows[r]
    x0, y0, x1, y1 = (round(float(v)) for v in row.boxes[j])
    return Stand(row.ids[j], own, row.chances[j], float(slot), PhotoArea(photo, (x0, y0, x1 - x0, y1 - y0)))


def _area(read: SightRead, photo: int, shelf: int, edges: np.ndarray) -> PhotoArea:
    """The part of the photo in which a place is, cut at the photo's sides."""
    x0, x1 = (float(np.clip(v, 0, read.sight.width)) for v in edges)
    top, bottom = (float(np.clip(v, 0, read.sight.height)) for v in read.bands.at(shelf, (x0 + x1) / 2))
    return PhotoArea(photo, (round(x0), round(top), round(x1 - x0), round(bottom - top)))


@dataclass(frozen=True, eq=False)
class Joined:
    """All photos' views of one place as one: `seen` of all together, `same` ids that show a facing again ► its id."""

    view: PlaceView
    views: tuple[PlaceView, ...]
    areas: tuple[PhotoArea, ...]
    seen: float
    same: Mapping[int, int]


def joined(views: Sequence[PlaceView], tied: Collection[frozenset[int]] = ()) -> Joined:
    """Join the views of one place; the one that sees the most of it leads, whatever their order.

    `tied` are pairs of ids that are known to show one facing; of others it is their place along the shelf that tells.
    """
    ranked = sorted(views, key=_rank)
    lead = ranked[0]
    stands, same = list(lead.stands), {}
    for view in ranked[1:]:
        pairs = [
            (k, p)
            for k, stand in enumerate(view.stands)
            for p, one in enumerate(stands)
            if frozenset((one.ids[0], stand.ids[0])) in tied
        ]
        twins, fresh = _in_order(stands, view, pairs) if pairs else _by_slot(stands, view, lead.seen >= WHOLE)
        same.update({id_: twin.ids[0] for stand, twin in twins for id_ in stand.ids})
        stands = sorted([*stands, *fresh], key=lambda one: one.slot)
    seen = _union([view for view in ranked if view.seen > 0])
    areas = tuple(view.area for view in sorted(views, key=lambda one: one.area.photo) if view.seen >= 0.3)
    whole = replace(lead, seen=seen, stands=tuple(sorted(stands, key=lambda one: one.slot)))
    return Joined(whole, tuple(views), areas, seen, same)


def _by_slot(stands: Sequence[Stand], view: PlaceView, whole: bool) -> tuple[list[tuple[Stand, Stand]], list[Stand]]:
    """Which of a view's facings are known ones, by where they stand in the place, and which are new; where the known
    ones are of a photo that shows the `whole` place, none is.
    """
    twins, fresh = [], []
    for stand in view.stands:
        twin = min(stands, key=lambda one: abs(one.slot - stand.slot), default=None)
        if twin is not None and (abs(twin.slot - stand.slot) < SAME or whole):
            twins.append((stand, twin))
        elif not whole:
            fresh.append(stand)
    return twins, fresh


def _in_order(
    stands: Sequence[Stand], view: PlaceView, pairs: Sequence[tuple[int, int]]
) -> tuple[list[tuple[Stand, Stand]], list[Stand]]:
    """The same by pairs of a view's and a known facing that are one: all others stand beside them in the same order."""
    twins, fresh = [], []
    for k, stand in enumerate(view.stands):
        near, known = min(pairs, key=lambda pair: (abs(pair[0] - k), pair))
        at = known + k - near
        if 0 <= at < len(stands):
            twins.append((stand, stands[at]))
        else:
            end, beyond = (stands[0], at) if at < 0 else (stands[-1], at - len(stands) + 1)
            fresh.append(replace(stand, slot=end.slot + beyond))
    return twins, fresh


def _rank(view: PlaceView) -> tuple[Any, ...]:
    """The more of a place a view sees, and the more of its product, the sooner it comes."""
    much = view.seen < WHOLE, -len(view.own), -round(view.seen, 3), -sum(one.own for one in view.stands)
    return *much, -len(view.stands), view.free, -view.certain, view.area.box


def _union(views: Sequence[PlaceView]) -> float:
    """The share of a place that is in any photo. A photo that cuts it shows its left part or its right one."""
    if not views:
        return 0.0
    best = max(view.seen for view in views)
    cut_left = max((view.seen for view in views if view.span[0] < 0), default=0.0)
    cut_right = max((view.seen for view in views if view.span[0] >= 0), default=0.0)
    return min(max(best, cut_left + cut_right if best < WHOLE else best), 1.0)
