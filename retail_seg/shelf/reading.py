"""One photo read against the plan of a fixture: which row is which shelf, which facing stands in which place.

Three rounds: by products alone; then with the places that the first round's finds tell of; then, of the pairs of row
and shelf that are left, with neighbours that may have changed places.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from catalogue.plan_records import Position
from retail_seg.shelf.aligning import EXTRA, Alignment, Costs, align
from retail_seg.shelf.chances import as_own, at_home, chances_of, changes, none_of
from retail_seg.shelf.fitting import Anchors, Bands, PlaceMap, bands, fit, layout
from retail_seg.shelf.seeing import FacingRow, Sight

#: Costs of a position without facings: before anything is known of its place, inside a row and at its ends;
MISSING, AT_END = 2.2, 0.8
#: a wide gap where it should be, from so many facings on, takes so much of it off; in the midst of a run it costs.
ROOM, TOLD, INNER = 0.45, 1.6, 1.2
#: Facings that may be missing in a gap beyond what it has room for.
CROWDED = 2.0
#: What a position without facings costs where its place is seen, all of it empty; with no empty space; and where it is
#: not in the photo.
BARE, COVERED, OUTSIDE = 0.5, 5.0, 0.4
#: A facing in the midst of a run of another product that looks like a third.
CHANGE = 2.0
#: A facing may be so many widths beside its place before it costs; then by the square, up to the most.
PLAY, PULL, FARTHEST = 0.35, 1.5, 1.5
#: What a row, and a shelf's position, cost that are read as nothing at all, as a share of an extra facing.
UNREAD, UNSEEN = 0.45, 0.9
#: A run that is nearer to the photo's side than this share of a facing is cut off by it.
CUT = 0.5
#: In the first round a row is tried as so many shelves at most, afterwards as those that are so many shelves off.
ALIKE, NEAR = 4, 0.8
#: Passing over a shelf or row between two that are read.
SKIP = 0.6
#: Leaving a row and the shelf in its place both unread: the one is rarely another fixture's and the other out of sight.
PAIRED = 2.5
#: A row that is so many shelves away from where the others would have it costs as much as it weighs.
OFF_SHELF = 4.0


@dataclass(frozen=True, eq=False)
class Board:
    """One shelf of a plan: its positions from the left, their place in the plan (k, 2), and numbers of their SKUs."""

    shelf: int
    positions: tuple[Position, ...]
    edges: np.ndarray
    skus: np.ndarray


@dataclass(frozen=True, eq=False)
class RowRead:
    """A row of a photo read as a shelf, and how probable each facing is its position's own product, (k, m)."""

    row: int
    board: int
    reading: Alignment
    chances: np.ndarray


@dataclass(frozen=True, eq=False)
class SightRead:
    """A photo read against a plan: its boards, the rows that were read (by board), and where the places are."""

    sight: Sight
    boards: tuple[Board, ...]
    rows: Mapping[int, RowRead]
    fit: PlaceMap
    bands: Bands
    typical: float

    @property
    def cost(self) -> float:
        """What reading it like this costs less than reading nothing; the lower the better it fits."""
        read = (
            one.reading.cost - _nothing(self.sight.rows[one.row], self.boards[one.board]) for one in self.rows.values()
        )
        return float(sum(read))


def read_sight(
    sight: Sight,
    positions: Sequence[Position],
    skus: Sequence[str],
    strangers: Collection[str] = (),
    widths: Mapping[str, float] | None = None,
) -> SightRead:
    """Read a photo against the positions of one fixture; `skus` are its products, `strangers` have no references.

    `widths` are in pixels of products that other photos show, for a plan without lengths.
    """
    chances = tuple(chances_of(row, skus, strangers) for row in sight.rows)
    own, typical = widths_of(sight)
    boards = _boards(positions, skus, {**(widths or {}), **own}, typical)
    first = _read_from(sight, boards, chances, typical, TOLD)
    if not any(_crowded(one, boards[b], sight.rows[one.row]) for b, one in first.rows.items()):
        return first
    second = _read_from(sight, boards, chances, typical, 0.0)
    return min(first, second, key=lambda read: read.cost)


def _read_from(
    sight: Sight, boards: tuple[Board, ...], chances: Sequence[np.ndarray], typical: float, by_gap: float
) -> SightRead:
    """The three rounds, the first one with wide gaps taking `by_gap` off the cost of an empty position."""
    pairs = {pair: _pair(*pair, sight, boards, chances, by_gap=by_gap) for pair in _alike(boards, chances)}
    found = _assigned(sight, boards, pairs, {})
    for _ in range(2):
        where = _fitted(sight, boards, found, typical)
        shifts = _shifts(sight, boards, where[1])
        near = sorted(pair for pair, shift in shifts.items() if shift <= NEAR)
        pairs = {pair: _pair(*pair, sight, boards, chances, where, typical) for pair in near}
        before, found = found, _assigned(sight, boards, pairs, shifts if where[1].sure else {})
        if _same(before, found):
            break
    found = {b: _pair(one.row, b, sight, boards, chances, where, typical, swaps=True) for b, one in found.items()}
    place, lines = _fitted(sight, boards, found, typical)
    return SightRead(sight, boards, found, place, lines, typical)


def _crowded(one: RowRead, board: Board, row: FacingRow) -> bool:
    """Whether more positions were read as empty between two facings than the gap there has room for: where sections of
    a shelf repeat, a row of one may have been read as half of each.
    """
    before, missing = _gaps_before(row), 0
    for position, (start, end) in zip(board.positions, one.reading.spans, strict=True):
        if end > start:
            if start > 0 and missing > before[start] + CROWDED:
                return True
            missing = 0
        else:
            missing += position.facings
    return False


def _same(before: Mapping[int, RowRead], after: Mapping[int, RowRead]) -> bool:
    """Whether two rounds read the same, so that a third would."""
    return {b: (one.row, one.reading.spans) for b, one in before.items()} == {
        b: (one.row, one.reading.spans) for b, one in after.items()
    }


def _alike(boards: Sequence[Board], chances: Sequence[np.ndarray]) -> list[tuple[int, int]]:
    """The pairs of row and board that have most products in common: of each row the best, and what comes near it."""
    found = []
    for r, raw in enumerate(chances):
        shared = np.array([raw[board.skus].max(0).sum() for board in boards])
        best = [b for b in np.argsort(-shared, kind="stable")[:ALIKE].tolist() if shared[b] >= 0.4 * shared.max()]
        own = {r, r + len(boards) - len(chances)} & set(range(len(boards)))  # counted from the top, or the bottom
        found += [(r, b) for b in sorted({*best, *own})]
    return found


def widths_of(sight: Sight) -> tuple[dict[str, float], float]:
    """Median width in pixels of each product that is likely seen, and of all facings."""
    found: dict[str, list[float]] = {}
    every: list[float] = []
    for row in sight.rows:
        for width, chances in zip(row.widths.tolist(), row.chances, strict=True):
            every.append(width)
            sku = max(chances, key=lambda one: chances[one], default="")
            if sku and chances[sku] >= 0.5:
                found.setdefault(sku, []).append(width)
    return {sku: float(np.median(some)) for sku, some in found.items()}, float(np.median(every)) if every else 1.0


def _boards(
    positions: Sequence[Position], skus: Sequence[str], widths: Mapping[str, float], typical: float
) -> tuple[Board, ...]:
    number = {sku: i for i, sku in enumerate(skus)}
    shelves = sorted({one.shelf for one in positions})
    rows = [tuple(sorted((p for p in positions if p.shelf == shelf), key=lambda p: p.position)) for shelf in shelves]
    return tuple(
        Board(shelf, row, layout(row, widths, typical), np.array([number[one.sku] for one in row]))
        for shelf, row in zip(shelves, rows, strict=True)
    )


def _pair(
    r: int,
    b: int,
    sight: Sight,
    boards: Sequence[Board],
    chances: Sequence[np.ndarray],
    where: tuple[PlaceMap, Bands] | None = None,
    typical: float = 1.0,
    swaps: bool = False,
    by_gap: float = TOLD,
) -> RowRead:
    """A row read as a shelf; with the places known, facings cost that stand beside theirs."""
    row, board = sight.rows[r], boards[b]
    raw = chances[r][board.skus]
    facings = np.array([one.facings for one in board.positions])
    before = _gaps_before(row)
    away = np.zeros_like(raw)
    empty = np.tile(MISSING - by_gap * np.clip((before - ROOM) / (1 - ROOM), 0, 1), (len(facings), 1))
    empty[:, [0, -1]] = AT_END
    if where is not None:
        edges = where[0](board.shelf, board.edges)
        play = PLAY + (min(where[0].miss / typical, 1.5) if where[0].knows(board.shelf) else 1.5)
        beside = np.maximum(edges[:, :1] - row.middle, row.middle - edges[:, 1:]) / typical
        away = np.minimum(PULL * np.maximum(beside - play, 0) ** 2, FARTHEST)
        empty = _emptiness(row, edges, sight.width, before, facings)
    gap = INNER * np.clip(before[:-1] - ROOM, 0, 3)
    none = none_of(row)
    alike = 1 / np.sqrt(facings)[:, None]  # what is wrong with one facing of a product mostly is with all of them
    own, other = -np.log(as_own(raw, row, none)), -np.log(1 - raw)
    reading = align(Costs(alike * own, alike * other, alike * away, gap, CHANGE * changes(row), empty, facings), swaps)
    told = np.array(reading.own)[:, None]
    return RowRead(r, b, reading, np.where(told, at_home(raw, none), np.minimum(raw, 0.49)))


def _gaps_before(row: FacingRow) -> np.ndarray:
    """Space before each facing but the first and behind all, in widths of the facings beside it, (m + 1,)."""
    found = np.zeros(len(row) + 1)
    if len(row) > 1:
        narrow = np.minimum(row.widths[1:], row.widths[:-1])
        reach = np.maximum.accumulate(row.boxes[:, 2])[:-1]
        found[1:-1] = np.maximum(row.boxes[1:, 0] - reach, 0) / np.maximum(narrow, 1)
    return found


def _emptiness(row: FacingRow, edges: np.ndarray, width: int, before: np.ndarray, facings: np.ndarray) -> np.ndarray:
    """What it costs (k, m + 1) that nothing stands between the edges (k, 2), behind so many facings."""
    seen, free = shares(row, edges, width)
    room = 0.8 * np.clip(before[None] / facings[:, None], 0, 1)
    free = np.maximum(free[:, None], room)
    return np.asarray(seen[:, None] * (BARE + (COVERED - BARE) * (1 - free)) + (1 - seen[:, None]) * OUTSIDE)


def shares(row: FacingRow, edges: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Which share of each place (k, 2) is in the photo, and which share of that has no facing before it, (k,) each."""
    left, right = np.clip(edges[:, 0], 0, width), np.clip(edges[:, 1], 0, width)
    whole = np.maximum(edges[:, 1] - edges[:, 0], 1e-6)
    inside = np.maximum(right - left, 0)
    covered = np.zeros(len(edges))
    end = -np.inf
    for x0, x1 in sorted(zip(row.boxes[:, 0].tolist(), row.boxes[:, 2].tolist(), strict=True)):
        covered += np.clip(np.minimum(right, x1) - np.maximum(left, max(x0, end)), 0, None)
        end = max(end, x1)
    return inside / whole, 1 - np.minimum(covered / np.maximum(inside, 1e-6), 1)


def _nothing(row: FacingRow, board: Board) -> float:
    """What it costs to read neither the row nor the shelf."""
    return UNREAD * EXTRA * len(row) + UNSEEN * len(board.positions)


def _assigned(
    sight: Sight,
    boards: Sequence[Board],
    pairs: Mapping[tuple[int, int], RowRead],
    shifts: Mapping[tuple[int, int], float],
) -> dict[int, RowRead]:
    """The row of each shelf, in the order of both, so that all is read at the least cost (by board)."""
    n, k = len(sight.rows), len(boards)
    gain = np.full((n, k), -np.inf)
    for (r, b), one in pairs.items():
        saved = _nothing(sight.rows[r], boards[b]) - one.reading.cost
        gain[r, b] = saved - OFF_SHELF * shifts.get((r, b), 0.0) ** 2
    # best[r, b]: of readings that end with row r as shelf b.
    best = gain - PAIRED * np.minimum(np.arange(n)[:, None], np.arange(k))
    before: dict[tuple[int, int], tuple[int, int]] = {}
    for r, b in np.ndindex(n, k):
        for r2, b2 in np.ndindex(r, b):
            rows, shelves = r - r2 - 1, b - b2 - 1
            value = best[r2, b2] + gain[r, b] - SKIP * (rows + shelves) - PAIRED * min(rows, shelves)
            if value > best[r, b]:
                best[r, b], before[r, b] = value, (r2, b2)
    ends = best - PAIRED * np.minimum(n - 1 - np.arange(n)[:, None], k - 1 - np.arange(k))
    if not best.size or ends.max() <= -PAIRED * min(n, k):
        return {}
    at: tuple[int, int] | None = divmod(int(ends.argmax()), k)
    found = {}
    while at is not None:
        found[at[1]] = pairs[at]
        at = before.get(at)
    return found


def _fitted(
    sight: Sight, boards: Sequence[Board], found: Mapping[int, RowRead], typical: float
) -> tuple[PlaceMap, Bands]:
    shelves = [board.shelf for board in boards]
    extent = max(float(board.edges[-1, 1] - board.edges[0, 0]) for board in boards)
    anchors = _anchors(sight, boards, found, typical)
    heights = {board.shelf: y for board in boards if (y := _height(board)) is not None}
    steady = len(heights) == len(boards) and (np.diff([heights[s] for s in shelves]) > 0).all()
    rows = {boards[b].shelf: sight.rows[one.row] for b, one in found.items()}
    flush = not any(one.x is not None or one.width for board in boards for one in board.positions)
    return fit(anchors, shelves, sight, extent, typical, flush), bands(rows, shelves, sight, heights if steady else {})


def _height(board: Board) -> float | None:
    values = [one.y for one in board.positions if one.y is not None]
    return float(np.median(values)) if values else None


def _anchors(sight: Sight, boards: Sequence[Board], found: Mapping[int, RowRead], typical: float) -> Anchors:
    """Edges of positions whose facings are all there, middles of others."""
    rows: list[tuple[float, float, float, float]] = []
    for b, one in found.items():
        board, boxes, before = boards[b], sight.rows[one.row].boxes, _gaps_before(sight.rows[one.row])
        for i, (start, end) in enumerate(one.reading.spans):
            own = float(one.chances[i, start:end].mean()) if end > start else 0.0
            if own < 0.5:
                continue
            left, right = board.edges[i]
            if end - start == board.positions[i].facings:
                rows += [(board.shelf, left, boxes[start, 0], own), (board.shelf, right, boxes[end - 1, 2], own)]
                continue
            # Where the photo's side cuts a run, its other end is where it should be, without a gap behind it.
            cut_left = boxes[start, 0] < CUT * typical and before[end] < ROOM
            cut_right = boxes[end - 1, 2] > sight.width - CUT * typical and before[start] < ROOM
            if cut_left and not cut_right:
                rows.append((board.shelf, right, boxes[end - 1, 2], 0.5 * own))
            elif cut_right and not cut_left:
                rows.append((board.shelf, left, boxes[start, 0], 0.5 * own))
            elif not cut_left:
                middle = (boxes[start, 0] + boxes[end - 1, 2]) / 2
                rows.append((board.shelf, (left + right) / 2, middle, 0.3 * own))
    table = np.array(rows, float).reshape(-1, 4)
    return Anchors(table[:, 0].astype(int), table[:, 1], table[:, 2], table[:, 3])


def _shifts(sight: Sight, boards: Sequence[Board], lines: Bands) -> dict[tuple[int, int], float]:
    """How many shelves each row lies away from where each shelf should be."""
    middle = sight.width / 2
    bottoms = np.array([lines.at(board.shelf, middle)[1] for board in boards])
    pitch = float(np.median(np.diff(bottoms))) if len(bottoms) > 1 else float(sight.height)
    found = {}
    for r, row in enumerate(sight.rows):
        for b, board in enumerate(boards):
            should = np.array([lines.at(board.shelf, x)[1] for x in row.middle])
            found[r, b] = abs(float(np.median(row.boxes[:, 3] - should))) / max(pitch, 1.0)
    return found
