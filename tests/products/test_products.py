"""What people do with products: pictures in, look-alikes out, roles, and taking it all back."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from crash_workers import FINGERPRINTS, Patches, picture
from PIL import Image

from catalogue import Catalogue, Product, UnknownProduct, UnknownReference
from retail_seg.matcher import Matcher
from retail_seg.people.roles import NotAllowed, Person, acting_as
from retail_seg.products import browsing, editing
from retail_seg.store.opening import CATALOGUE
from retail_seg.system.jobs import JobCancelled


@pytest.fixture
def matcher(tmp_path: Path) -> Iterator[Matcher]:
    embedder = Patches(FINGERPRINTS[0])
    catalogue = Catalogue.create(tmp_path / CATALOGUE, embedder=embedder.fingerprint, dim=embedder.dim)
    with Matcher(tmp_path, catalogue, embedder) as made:
        for key in "abc":
            made.enrol(Product(key.upper(), f"Product {key}"), [picture(key)])
        yield made


def test_pictures_are_added_in_one_change_and_bad_ones_are_told_apart(matcher: Matcher) -> None:
    told: list[tuple[float, str]] = []
    uploads = [
        ("../../new.png", picture("new")),
        ("bad.jpg", b"no picture"),
        ("known.png", picture("a")),
        ("twice.png", picture("new")),
    ]
    found = editing.add_pictures(matcher, "A", uploads, lambda share, text: told.append((share, text)))
    assert [one.reference_id is not None for one in found] == [True, False, False, False]
    assert "not a picture" in found[1].reason and "bad.jpg" not in found[1].reason
    assert "already" in found[2].reason and "same file" in found[3].reason
    assert [share for share, _ in told] == sorted(share for share, _ in told) and told[-1][0] < 1
    change = browsing.last_changes(matcher, "A", limit=1)[0]
    assert change.added == [found[0].reference_id] and editing.undoable(change)
    assert matcher.catalogue.product("A").name == "Product a"
    editing.undo(matcher, [change.id])
    assert len(matcher.catalogue.references("A")) == 1
    assert not editing.undoable(browsing.last_changes(matcher, "A", limit=2)[1])


def test_a_cancelled_addition_has_written_nothing(matcher: Matcher) -> None:
    def cancel(share: float, text: str) -> None:
        if share >= 0.4:
            raise JobCancelled("cancelled")

    with pytest.raises(JobCancelled):
        editing.add_pictures(matcher, "A", [("x.png", picture("x"))], cancel)
    assert len(matcher.catalogue.references("A")) == 1


def test_too_many_pictures_and_unknown_products_are_refused(matcher: Matcher) -> None:
    with pytest.raises(editing.TooManyPictures, match="add at most 100"):
        editing.add_pictures(matcher, "A", [("x.png", b"")] * 101)
    with pytest.raises(UnknownProduct):
        editing.add_pictures(matcher, "nobody", [])


def test_rivals_are_the_nearest_other_products(matcher: Matcher) -> None:
    matcher.enrol(Product("D", "Twin of a"), [jpeg(picture("a"))])
    found = editing.rivals(matcher, "A", limit=2)
    assert (found[0].sku, found[0].name) == ("D", "Twin of a") and found[0].score > 0.95
    own, other = matcher.catalogue.references("A")[0].id, matcher.catalogue.references("D")[0].id
    assert (found[0].reference_id, found[0].other_id) == (own, other)
    assert len(found) == 2 and found[1].score < found[0].score
    assert len(editing.rivals(matcher, "A", limit=9)) == 3
    matcher.catalogue.put_product(Product("E"))
    assert editing.rivals(matcher, "E") == []
    for sku in "BCD":
        matcher.remove(sku)
    assert editing.rivals(matcher, "A") == []


def jpeg(data: bytes) -> bytes:
    out = io.BytesIO()
    Image.open(io.BytesIO(data)).convert("RGB").save(out, "JPEG", quality=80)
    return out.getvalue()


def test_merged_products_are_found_as_one(matcher: Matcher) -> None:
    from retail_seg.photos.load import load_photo

    changes = editing.merge(matcher, "A", "B")
    assert matcher.match([load_photo(picture("b"))])[0].matches[0].sku == "A"
    editing.undo(matcher, changes)
    assert matcher.match([load_photo(picture("b"))])[0].matches[0].sku == "B"
    (id_,) = [reference.id for reference in matcher.catalogue.references("B")]
    editing.move(matcher, [id_], "C")
    assert matcher.match([load_photo(picture("b"))])[0].matches[0].sku == "C"


def test_a_thumbnail_is_small_and_upright(matcher: Matcher) -> None:
    id_ = matcher.catalogue.references("A")[0].id
    data, shape = browsing.thumbnail(matcher, id_, side=16)
    with Image.open(io.BytesIO(data)) as small:
        assert small.size == (16, 16) and small.format == "JPEG" and shape == 1.0
    with pytest.raises(UnknownReference):
        browsing.thumbnail(matcher, 999)


@pytest.mark.parametrize("role", ["viewer", "staff"])
def test_only_managers_change_products(matcher: Matcher, role: str) -> None:
    seen = matcher.catalogue.product("A")
    acts: list[Callable[[], object]] = [
        lambda: editing.add_product(matcher, Product("N")),
        lambda: editing.change_product(matcher, seen, Product("A", "other")),
        lambda: editing.add_pictures(matcher, "A", [("x.png", picture("x"))]),
        lambda: editing.merge(matcher, "A", "B"),
        lambda: editing.move(matcher, [1], "B"),
        lambda: editing.undo(matcher, [1]),
    ]
    before = [change.id for change in browsing.last_changes(matcher)]
    with acting_as(Person("eve", role)):
        for act in acts:
            with pytest.raises(NotAllowed, match="manager"):
                act()
    assert [change.id for change in browsing.last_changes(matcher)] == before
    with acting_as(Person("max", "manager")):
        editing.add_product(matcher, Product("N"))
    assert browsing.last_changes(matcher)[0].by == "max"
