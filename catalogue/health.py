"""What weakens a catalogue: products with too few pictures, look-alikes, doubles, and pictures that mislead.

Pixels and vectors are the join's: it hands in a function that looks at a picture, and numbers that say how similar
references are. Everything here is counting and sorting.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from heapq import nsmallest
from statistics import median
from typing import Any

from catalogue.database import now
from catalogue.store import Catalogue

#: Look hashes of the same picture, saved or scaled differently, differ in at most so many of their 64 bits.
NEAR_BITS = 3
#: In a large group of equal bits (plain pictures) each is compared with so many that follow it by the whole hash.
WINDOW = 100
#: At most so many candidates for doubles, the most alike first, are compared pixel by pixel.
CANDIDATES = 3000
#: References whose similarities lie closer together than this are not told apart as odd ones.
MIN_GAP = 0.05
_SIGN = 1 << 63
#: What a finding is accepted under: its kind and what it is about.
Key = tuple[str, str, str]
#: Wraps what is worked through, with its number, to show progress; it may raise to end the work.
Progress = Callable[[Iterable[Any], int], Iterable[Any]]


@dataclass(frozen=True)
class Look:
    """What a reference's pixels say: a 64-bit hash of its looks, its sharpness, how much of it is cut off (0-1), and
    how bright its bright parts are (0-1).
    """

    hash: int
    sharpness: float
    cut_off: float
    brightness: float = 1.0


@dataclass(frozen=True)
class Neighbour:
    """How similar a reference is to the nearest of its product's others (None: it is the only one), and which
    reference of another product is most similar to it (None: none near).
    """

    reference_id: int
    sibling: float | None
    other_id: int | None
    other: float


@dataclass(frozen=True)
class Limits:
    """From where on something is reported; sharpness and brightness have the units of the function that measured."""

    sharpness: float
    brightness: float = 0.0
    side: int = 96
    cut_off: float = 0.25
    pairs: int = 20
    gain: int = 10


@dataclass(frozen=True)
class Pair:
    """Two references of different products, and how similar they are (bits that differ for doubles, else cosine)."""

    sku: str
    reference_id: int
    other_sku: str
    other_id: int
    score: float


@dataclass(frozen=True)
class Poor:
    """A reference that is better replaced, and why; `other_id` is another product's that it is too near to."""

    sku: str
    reference_id: int
    reason: str
    other_id: int | None = None


@dataclass(frozen=True)
class Gain:
    """A product that one more picture would help most, and why; `gain` only orders them."""

    sku: str
    references: int
    gain: float
    reason: str


@dataclass(frozen=True)
class Health:
    """The report; lists are ordered by urgency."""

    products: int
    references: int
    without_reference: list[str]
    with_one_reference: list[str]
    doubles: list[Pair]
    confusable: list[Pair]
    unlike_siblings: list[Poor]
    poor_pictures: list[Poor]
    gain_most: list[Gain]

    @property
    def mostly_one_reference(self) -> bool:
        """Whether more than half of the products that have pictures have a single one."""
        return 2 * len(self.with_one_reference) > self.products - len(self.without_reference)


def measure(catalogue: Catalogue, look: Callable[[bytes, bytes | None], Look], batch: int = 100) -> Iterator[int]:
    """Look at every reference that has not been looked at yet and keep the result; yields each reference's id."""
    sql = """SELECT r.id, p.picture, p.mask FROM refs r JOIN ref_pictures p ON p.reference_id = r.id
        WHERE r.removed IS NULL AND NOT EXISTS (SELECT 1 FROM ref_checks c WHERE c.reference_id = r.id)
        ORDER BY r.id LIMIT ?"""
    while rows := catalogue.db.execute(sql, [batch]).fetchall():
        found = [(id_, look(picture, mask)) for id_, picture, mask in rows]
        with catalogue.change() as db:
            for id_, seen in found:
                db.execute(
                    "INSERT OR REPLACE INTO ref_checks (reference_id, looks, sharpness, cut_off, brightness)"
                    " VALUES (?,?,?,?,?)",
                    [id_, seen.hash - _SIGN, seen.sharpness, seen.cut_off, seen.brightness],
                )
        yield from (id_ for id_, _ in found)


def unmeasured(catalogue: Catalogue) -> int:
    """How many references `measure` would look at."""
    sql = """SELECT count(*) FROM refs r WHERE r.removed IS NULL
        AND NOT EXISTS (SELECT 1 FROM ref_checks c WHERE c.reference_id = r.id)"""
    return int(catalogue.db.execute(sql).fetchone()[0])


def report(
    catalogue: Catalogue,
    neighbours: Sequence[Neighbour],
    limits: Limits,
    same: Callable[[bytes, bytes], bool],
    progress: Progress = lambda items, total: items,
) -> Health:
    """The whole report. `neighbours` has one entry per reference in use; `same` compares two pictures whose looks
    nearly agree, for a hash of shapes cannot tell two flavours by their colours. What somebody has accepted is left
    out. `progress` wraps the pairs that `same` compares.
    """
    owners = owners_of_references(catalogue)
    counts = reference_counts(catalogue)
    known = [neighbour for neighbour in neighbours if neighbour.reference_id in owners]
    fine = accepted(catalogue)
    return Health(
        products=len(counts),
        references=len(owners),
        without_reference=sorted(sku for sku, count in counts.items() if count == 0),
        with_one_reference=sorted(sku for sku, count in counts.items() if count == 1),
        doubles=[p for p in doubles(catalogue, owners, same, progress) if pair_key(p.sku, p.other_sku) not in fine],
        confusable=confusable(known, owners, limits.pairs, fine),
        unlike_siblings=[p for p in unlike_siblings(known, owners) if reference_key(p.reference_id) not in fine],
        poor_pictures=[p for p in poor_pictures(catalogue, limits) if reference_key(p.reference_id) not in fine],
        gain_most=gain_most(counts, known, owners, limits.gain),
    )


def pair_key(sku: str, other: str) -> Key:
    """Under which key it is accepted that two products look alike."""
    return "pair", min(sku, other), max(sku, other)


def reference_key(reference_id: int) -> Key:
    """Under which key a reference is accepted as it is."""
    return "reference", str(reference_id), ""


def accept(catalogue: Catalogue, key: Key, *, by: str = "") -> None:
    """Keep that a finding is fine as it is; reports leave it out from now on."""
    sql = "INSERT OR IGNORE INTO health_accepted (kind, one, two, at, by) VALUES (?,?,?,?,?)"
    with catalogue.change() as db:
        db.execute(sql, [*key, now(), by])


def accepted(catalogue: Catalogue) -> set[Key]:
    """The keys of all findings that somebody has accepted."""
    return set(catalogue.db.execute("SELECT kind, one, two FROM health_accepted").fetchall())


def forget_accepted(catalogue: Catalogue) -> int:
    """Let reports show everything again; returns how many findings had been accepted."""
    with catalogue.change() as db:
        return int(db.execute("DELETE FROM health_accepted").rowcount)


def owners_of_references(catalogue: Catalogue) -> dict[int, str]:
    """Which product each reference in use belongs to."""
    return dict(catalogue.db.execute("SELECT id, sku FROM refs WHERE removed IS NULL").fetchall())


def reference_counts(catalogue: Catalogue) -> dict[str, int]:
    """Number of references in use of every product, 0 among them."""
    sql = """SELECT p.sku, count(r.id) FROM products p LEFT JOIN refs r ON r.sku = p.sku AND r.removed IS NULL
        WHERE p.deleted IS NULL GROUP BY p.sku"""
    return dict(catalogue.db.execute(sql).fetchall())


def doubles(
    catalogue: Catalogue,
    owners: dict[int, str],
    same: Callable[[bytes, bytes], bool],
    progress: Progress = lambda items, total: items,
) -> list[Pair]:
    """Pairs of (nearly) identical pictures under different SKUs, the most alike first; one pair per two SKUs.

    Where whole shelves look alike, only the CANDIDATES most alike pairs are looked at; the next report shows the rest.
    """
    sql = "SELECT c.reference_id, c.looks FROM ref_checks c JOIN refs r ON r.id = c.reference_id"
    rows = catalogue.db.execute(f"{sql} WHERE r.removed IS NULL").fetchall()
    hashes = {id_: looks + _SIGN for id_, looks in rows if id_ in owners}
    found: dict[tuple[str, str], Pair] = {}
    near = nsmallest(CANDIDATES, near_pairs(hashes, owners))
    for distance, one, two in progress(near, len(near)):
        key = (min(owners[one], owners[two]), max(owners[one], owners[two]))
        if key in found:
            continue
        if same(catalogue.reference_picture(one), catalogue.reference_picture(two)):
            found[key] = Pair(owners[one], one, owners[two], two, float(distance))
    return list(found.values())


def near_pairs(hashes: dict[int, int], owners: dict[int, str]) -> Iterator[tuple[int, int, int]]:
    """(differing bits, id, id) of references of different products whose hashes differ in at most NEAR_BITS bits.

    Of four quarters of 16 bits at least one is equal where three bits differ, so only equal quarters are compared; a
    pair is given once, by its first equal quarter.
    """
    for shift in range(0, 64, 16):
        groups: dict[int, list[int]] = defaultdict(list)
        for id_, looks in hashes.items():
            groups[looks >> shift & 0xFFFF].append(id_)
        for group in groups.values():
            group.sort(key=hashes.__getitem__)
            for place, one in enumerate(group):
                for two in group[place + 1 : place + 1 + WINDOW]:
                    bits = hashes[one] ^ hashes[two]
                    if bits.bit_count() > NEAR_BITS or owners[one] == owners[two]:
                        continue
                    if all(bits >> before & 0xFFFF for before in range(0, shift, 16)):
                        yield bits.bit_count(), min(one, two), max(one, two)


def confusable(
    neighbours: Iterable[Neighbour], owners: dict[int, str], limit: int, fine: Container[Key] = ()
) -> list[Pair]:
    """The pairs of products whose references are most similar, each pair once with its most similar references."""
    best: dict[tuple[str, str], Pair] = {}
    for near in neighbours:
        if near.other_id is None or near.other_id not in owners:
            continue
        sku, other = owners[near.reference_id], owners[near.other_id]
        key = (min(sku, other), max(sku, other))
        if pair_key(*key) in fine:
            continue
        if key not in best or near.other > best[key].score:
            best[key] = Pair(sku, near.reference_id, other, near.other_id, near.other)
    return sorted(best.values(), key=lambda pair: -pair.score)[:limit]


def unlike_siblings(neighbours: Sequence[Neighbour], owners: dict[int, str]) -> list[Poor]:
    """References that are nearer to another product than to their own, or far from every sibling.

    Far is three (scaled) median deviations below the median: few bad references do not move that line.
    """
    siblings = [near.sibling for near in neighbours if near.sibling is not None]
    if not siblings:
        return []
    middle = median(siblings)
    line = middle - max(MIN_GAP, 3 * 1.4826 * median(abs(value - middle) for value in siblings))
    found: list[tuple[float, Poor]] = []
    for near in neighbours:
        if near.sibling is None:
            continue
        excess = near.other - near.sibling if near.other_id in owners else 0.0
        if excess > 0 and near.other_id is not None:
            reason = f"is nearer to {owners[near.other_id]} ({near.other:.2f}) than to its own ({near.sibling:.2f})"
        elif near.sibling < line:
            reason = f"looks unlike its siblings ({near.sibling:.2f}, most are near {middle:.2f})"
        else:
            continue
        other = near.other_id if excess > 0 else None
        poor = Poor(owners[near.reference_id], near.reference_id, reason, other)
        found.append((max(excess, line - near.sibling), poor))
    return [poor for _, poor in sorted(found, key=lambda pair: -pair[0])]


def poor_pictures(catalogue: Catalogue, limits: Limits) -> list[Poor]:
    """References that are tiny, dark, cut off by the picture's edge or blurred, the worst of these reasons named."""
    sql = """SELECT r.sku, r.id, r.width, r.height, c.sharpness, c.cut_off, c.brightness FROM refs r
        JOIN ref_checks c ON c.reference_id = r.id WHERE r.removed IS NULL
        AND (min(r.width, r.height) < ? OR c.sharpness < ? OR c.cut_off > ? OR c.brightness < ?)
        ORDER BY c.sharpness, r.id"""
    found = []
    rows = catalogue.db.execute(sql, [limits.side, limits.sharpness, limits.cut_off, limits.brightness]).fetchall()
    for sku, id_, width, height, sharpness, cut_off, brightness in rows:
        if min(width, height) < limits.side:
            reason = f"is tiny ({width} × {height} pixels)"
        elif brightness < limits.brightness:
            reason = f"is very dark (brightness {brightness:.2f}, {limits.brightness:.2f} is the least)"
        elif cut_off > limits.cut_off:
            reason = f"is cut off by the picture's edge ({cut_off:.0%} of one side)"
        else:
            reason = f"is blurred (sharpness {sharpness:.2f}, {limits.sharpness:.2f} is the least)"
        found.append(Poor(sku, id_, reason))
    return found


def gain_most(
    counts: dict[str, int], neighbours: Iterable[Neighbour], owners: dict[int, str], limit: int
) -> list[Gain]:
    """The products that one more picture would help most: few pictures, and another product as near as their own.

    Without any picture a product cannot be found at all. Else the risk is how much nearer the nearest other product
    is than the product's own references (the catalogue's median stands in for a single one), and each picture that is
    there halves what another one can add.
    """
    kept = list(neighbours)
    usual = median([near.sibling for near in kept if near.sibling is not None] or [1.0])
    risk: dict[str, tuple[float, str, float]] = {}
    for near in kept:
        if near.other_id is None or near.other_id not in owners:
            continue
        sku = owners[near.reference_id]
        excess = near.other - (usual if near.sibling is None else near.sibling)
        if sku not in risk or excess > risk[sku][0]:
            risk[sku] = (excess, owners[near.other_id], near.other)
    gains = []
    for sku, count in counts.items():
        if count == 0:
            gains.append(Gain(sku, 0, 4.0, "has no picture and cannot be found"))
            continue
        excess, other, score = risk.get(sku, (-1.0, "", 0.0))
        pictures = "1 picture" if count == 1 else f"{count} pictures"
        reason = f"has {pictures}" + (f", and the nearest other product is {other} ({score:.2f})" if other else "")
        gains.append(Gain(sku, count, max(0.0, 1.0 + excess) * 2.0 ** (1 - count), reason))
    return sorted(gains, key=lambda gain: (-gain.gain, gain.sku))[:limit]
