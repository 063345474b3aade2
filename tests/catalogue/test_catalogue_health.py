"""The health report: counting and sorting on a real catalogue, with hand-made looks and similarities."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from catalogue import Catalogue, NewReference, Product, health
from catalogue.health import Appearance, Limits, Neighbour, Poor


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[Catalogue]:
    with Catalogue.create(tmp_path / "catalogue.db", embedder="e", dim=1) as made:
        yield made


def reference(mark: str, side: int = 500) -> NewReference:
    return NewReference(mark.encode(), mark, b"\0\0\x80\x3f", 1, "e", width=side, height=side)


LIMITS = Limits(sharpness=50.0)


def test_a_report_names_what_weakens(catalogue: Catalogue) -> None:
    catalogue.put_product(Product("none"))
    (single,) = catalogue.enrol(Product("single"), [reference("s")])
    a1, a2, a3 = catalogue.enrol(Product("A"), [reference("a1"), reference("a2"), reference("tiny", 40)])
    b1, b2 = catalogue.enrol(Product("B"), [reference("a1"), reference("b2")])
    looks = {
        b"s": Appearance(2**64 - 1, 900.0, 0.0),
        b"a1": Appearance(0x1234, 900.0, 0.0),
        b"a2": Appearance(0xFF << 40, 20.0, 0.0),
        b"tiny": Appearance(1 << 63, 900.0, 0.0),
        b"b2": Appearance(0x7F << 40, 900.0, 0.5),
    }
    assert sorted(health.measure(catalogue, lambda picture, mask: looks[picture])) == [single, a1, a2, a3, b1, b2]
    assert health.unmeasured(catalogue) == 0 and list(health.measure(catalogue, lambda p, m: looks[b"s"])) == []
    neighbours = [
        Neighbour(single, None, b2, 0.3),
        Neighbour(a1, 0.9, b1, 1.0),
        Neighbour(a2, 0.9, b2, 0.5),
        Neighbour(a3, 0.88, b2, 0.4),
        Neighbour(b1, 0.9, a1, 1.0),
        Neighbour(b2, 0.9, a2, 0.5),
        Neighbour(999, 0.9, a1, 1.0),  # gone meanwhile
    ]
    found = health.report(catalogue, neighbours, LIMITS, lambda one, two: one == two)
    assert (found.products, found.references) == (4, 6)
    assert found.without_reference == ["none"] and found.with_one_reference == ["single"]
    assert not found.mostly_one_reference
    assert [(p.sku, p.other_sku, p.reference_id, p.other_id, p.score) for p in found.doubles] == [("A", "B", a1, b1, 0)]
    assert [(p.sku, p.other_sku, p.score) for p in found.confusable] == [("A", "B", 1.0), ("single", "B", 0.3)]
    assert [poor.reference_id for poor in found.unlike_siblings] == [a1, b1]
    assert "nearer to B (1.00) than to its own (0.90)" in found.unlike_siblings[0].reason
    reasons = {poor.reference_id: poor.reason for poor in found.poor_pictures}
    assert reasons.keys() == {a2, a3, b2}
    assert "blurred" in reasons[a2] and "tiny (40 × 40" in reasons[a3] and "cut off" in reasons[b2]
    assert [gain.sku for gain in found.gain_most] == ["none", "B", "single", "A"]
    assert "nearest other product is B (0.30)" in found.gain_most[2].reason


def test_what_was_accepted_is_left_out_until_it_is_forgotten(catalogue: Catalogue) -> None:
    a1, a2 = catalogue.enrol(Product("A"), [reference("a1"), reference("tiny", 40)])
    b1, b2 = catalogue.enrol(Product("B"), [reference("a1"), reference("b2")])
    looks = {b"a1": 0x1234, b"tiny": 0xFF << 40, b"b2": 0x77 << 20}
    list(health.measure(catalogue, lambda picture, mask: Appearance(looks[picture], 900.0, 0.0)))
    neighbours = [Neighbour(a1, 0.9, b1, 1.0), Neighbour(a2, 0.9, b2, 0.1), Neighbour(b1, 0.9, a1, 1.0)]

    def report() -> health.Health:
        return health.report(catalogue, neighbours, LIMITS, lambda one, two: one == two)

    before = report()
    assert before.doubles and before.confusable and before.poor_pictures
    assert [(poor.reference_id, poor.other_id) for poor in before.unlike_siblings] == [(a1, b1), (b1, a1)]
    health.accept(catalogue, health.pair_key("B", "A"), by="ann")
    health.accept(catalogue, health.pair_key("A", "B"), by="bob")
    health.accept(catalogue, health.reference_key(a2), by="ann")
    health.accept(catalogue, health.reference_key(b1), by="ann")
    after = report()
    assert (after.doubles, after.confusable, after.poor_pictures) == ([], [], [])
    assert [poor.reference_id for poor in after.unlike_siblings] == [a1]
    assert health.accepted(catalogue) == {("pair", "A", "B"), ("reference", str(a2), ""), ("reference", str(b1), "")}
    assert health.forget_accepted(catalogue) == 3 and report() == before


def test_a_dark_picture_is_named_before_it_is_called_blurred(catalogue: Catalogue) -> None:
    (dark,) = catalogue.enrol(Product("A"), [reference("d")])
    list(health.measure(catalogue, lambda picture, mask: Appearance(1, 0.0, 0.0, 0.1)))
    (poor,) = health.poor_pictures(catalogue, Limits(sharpness=50.0, brightness=0.2))
    assert poor == Poor("A", dark, "is very dark (brightness 0.10, 0.20 is the least)")


def test_removed_references_are_out_of_the_report(catalogue: Catalogue) -> None:
    catalogue.enrol(Product("A"), [reference("x")])
    (gone,) = catalogue.enrol(Product("B"), [reference("y")])
    list(health.measure(catalogue, lambda picture, mask: Appearance(5, 1.0, 1.0)))
    catalogue.remove_product("B")
    found = health.report(catalogue, [Neighbour(gone, None, 1, 0.9)], LIMITS, lambda one, two: True)
    assert (found.doubles, found.confusable, found.with_one_reference) == ([], [], ["A"])
    assert found.mostly_one_reference
    assert [poor.sku for poor in found.poor_pictures] == ["A"]


def test_near_pairs_finds_every_pair_within_three_bits() -> None:
    rng = random.Random(4)
    hashes = {number: rng.getrandbits(64) for number in range(60)}
    for number in range(60, 120):
        flips = rng.sample(range(64), rng.randrange(6))
        hashes[number] = hashes[number - 60] ^ sum(1 << bit for bit in flips)
    owners = {number: f"S{number % 7}" for number in hashes}
    expected = {
        ((hashes[one] ^ hashes[two]).bit_count(), one, two)
        for one in hashes
        for two in hashes
        if one < two and owners[one] != owners[two] and (hashes[one] ^ hashes[two]).bit_count() <= 3
    }
    found = list(health.near_pairs(hashes, owners))
    assert set(found) == expected and len(found) == len(expected) > 10


def test_a_reference_far_from_all_its_siblings_is_named() -> None:
    owners = dict.fromkeys(range(30), "A")
    similar = [Neighbour(number, 0.8 + 0.001 * number, None, 0.0) for number in range(29)]
    assert health.unlike_siblings(similar, owners) == []
    odd = Neighbour(29, 0.3, None, 0.0)
    assert health.unlike_siblings([*similar, odd], owners) == [
        Poor("A", 29, "looks unlike its siblings (0.30, most are near 0.81)")
    ]
    assert health.unlike_siblings([Neighbour(1, None, None, 0.0)], owners) == []
