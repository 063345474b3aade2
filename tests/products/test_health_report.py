"""The health report as the app keeps it: remembered, shown as far as it still holds, and accepted findings."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from crash_workers import FINGERPRINTS, Patches
from PIL import Image

from catalogue import Catalogue, Product, health
from retail_seg.matcher import Matcher
from retail_seg.people.roles import NotAllowed, Person, acting_as
from retail_seg.products import editing, health_report
from retail_seg.rendering.assortment import articles, references
from retail_seg.store.opening import CATALOGUE
from retail_seg.system.jobs import JobCancelled

PHOTOS = [photo for article in articles()[:3] for photo, _ in references(article)[:2]]


def silent(share: float, text: str) -> None:
    assert 0 <= share <= 1 and text


@pytest.fixture
def matcher(tmp_path: Path) -> Iterator[Matcher]:
    embedder = Patches(FINGERPRINTS[0])
    catalogue = Catalogue.create(tmp_path / CATALOGUE, embedder=embedder.fingerprint, dim=embedder.dim)
    with Matcher(tmp_path, catalogue, embedder) as made:
        for number in range(3):
            made.enrol(Product(f"P{number}"), PHOTOS[2 * number : 2 * number + 2])
        made.enrol(Product("double"), [jpeg(PHOTOS[0])])
        made.enrol(Product("dark"), [np.asarray(PHOTOS[3] // 12)])
        catalogue.put_product(Product("empty"))
        yield made


def jpeg(photo: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(photo).save(out, "JPEG", quality=70)
    return out.getvalue()


def test_a_report_is_remembered_as_it_was_made(matcher: Matcher) -> None:
    assert health_report.last(matcher) is None and health_report.stamp(matcher)[0] == 0
    shares: list[float] = []
    with acting_as(Person("sam", "staff")):
        made = health_report.check(matcher, lambda share, text: shares.append(share))
    assert shares == sorted(shares) and shares[0] == 0.0 and 0.5 <= shares[-1] < 1
    assert health_report.last(matcher) == made and made.by == "sam"
    assert health_report.changes_since(matcher, made) == 0
    assert {made.health.doubles[0].sku, made.health.doubles[0].other_sku} == {"P0", "double"}
    assert [poor.sku for poor in made.health.poor_pictures] == ["dark"]
    assert health_report.holding(matcher, made.health) == made.health


def test_a_cancelled_check_leaves_the_former_report(matcher: Matcher) -> None:
    made = health_report.check(matcher, silent)

    def stop(share: float, text: str) -> None:
        if share >= 0.5:
            raise JobCancelled("stop")

    with pytest.raises(JobCancelled):
        health_report.check(matcher, stop)
    assert health_report.last(matcher) == made


def test_what_went_or_was_accepted_is_no_longer_shown(matcher: Matcher) -> None:
    made, before = health_report.check(matcher, silent), health_report.stamp(matcher)
    (pair,), (dark,) = made.health.doubles, made.health.poor_pictures
    health_report.accept_pair(matcher, pair)
    health_report.accept_reference(matcher, dark.reference_id)
    assert health_report.stamp(matcher) != before
    now = health_report.holding(matcher, made.health)
    assert now.doubles == [] and now.poor_pictures == []
    assert not any({p.sku, p.other_sku} == {"P0", "double"} for p in now.confusable)
    assert health_report.count_accepted(matcher) == 2
    health_report.forget_accepted(matcher)
    assert health_report.count_accepted(matcher) == 0
    assert health_report.as_of_now(matcher, made) == made
    editing.merge(matcher, "P0", "double")
    matcher.enrol(Product("empty"), [PHOTOS[5] // 2])
    now = health_report.holding(matcher, made.health)
    assert now.doubles == [] and now.without_reference == [] and "double" not in now.with_one_reference
    assert "empty" in now.with_one_reference and "empty" not in {gain.sku for gain in now.gain_most}
    assert not any("double" in (p.sku, p.other_sku) for p in now.confusable)


def test_a_misleading_picture_names_the_other_only_while_it_is_there(matcher: Matcher) -> None:
    own, other = matcher.catalogue.references("P0")[0].id, matcher.catalogue.references("P1")[0].id
    found = health_report.check(matcher, silent).health
    poor = health.Poor("P0", own, "is nearer to P1", other)
    found = replace(found, unlike_siblings=[poor])
    assert health_report.holding(matcher, found).unlike_siblings == [poor]
    matcher.remove("P1")
    assert health_report.holding(matcher, found).unlike_siblings == [replace(poor, other_id=None)]


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"health": {}}'])
def test_a_report_that_cannot_be_read_is_none(matcher: Matcher, content: bytes) -> None:
    (matcher.folder / health_report.FILE).write_bytes(content)
    assert health_report.last(matcher) is None


def test_another_stores_report_is_none(matcher: Matcher) -> None:
    health_report.check(matcher, silent)
    path = matcher.folder / health_report.FILE
    path.write_text(path.read_text().replace(matcher.catalogue.identity, "other"))
    assert health_report.last(matcher) is None


def test_roles(matcher: Matcher) -> None:
    pair = health_report.check(matcher, silent).health.doubles[0]
    with acting_as(Person("eve", "staff")):
        for act in (
            lambda: health_report.accept_pair(matcher, pair),
            lambda: health_report.accept_reference(matcher, 1),
            lambda: health_report.forget_accepted(matcher),
        ):
            with pytest.raises(NotAllowed):
                act()
    with acting_as(Person("vic", "viewer")), pytest.raises(NotAllowed):
        health_report.check(matcher, silent)
