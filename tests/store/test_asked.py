"""Views that a store asks itself with are remembered; answers among some products; facings that people have checked."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from catalogue import Product, scans
from index.asking import Views
from retail_seg import Matcher
from retail_seg.rendering.assortment import articles, references
from retail_seg.scans.keeping import keep
from retail_seg.segmentation.instances.instances import Instances
from retail_seg.store.asked import FILE, MOST_EACH, VIEWS, checked_facings, drawn, photographed
from retail_seg.store.embedding import embed_views
from retail_seg.store.enrolment import Upload
from retail_seg.store.scanning import Scanned, outline
from retail_seg.store.settings import overview

ARTICLES = articles()[:4]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("asked") / "store"
    with Matcher.create(folder) as matcher:
        matcher.enrol_all(
            (Product(one.sku, one.sku), [Upload(picture, f"{n}", mask) for n, (picture, mask) in enumerate(shown[:2])])
            for one in ARTICLES
            for shown in [references(one)]
        )
    return folder


@pytest.fixture
def store(tmp_path: Path, original: Path) -> Path:
    return shutil.copytree(original, tmp_path / "store")


def ids_of(matcher: Matcher) -> np.ndarray:
    return np.array([one.id for article in ARTICLES for one in matcher.catalogue.references(article.sku)])


def asked(matcher: Matcher, folder: Path) -> Views:
    return photographed(matcher.catalogue, matcher.embedder, folder, ids_of(matcher))


def test_many_references_are_drawn_once_and_few_several_times() -> None:
    assert len(drawn(np.arange(5))) == 5 * MOST_EACH
    many = drawn(np.arange(4 * VIEWS))
    assert len(many) == len({reference for reference, _ in many}) == VIEWS
    more = drawn(np.arange(4 * VIEWS + VIEWS // 10))  # a small change of the catalogue changes few views
    assert len(set(many) & set(more)) > 0.9 * VIEWS


def test_views_are_remembered_and_a_damaged_file_is_made_anew(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Matcher.open(store) as matcher:
        assert (store / FILE).exists()
        first = asked(matcher, store)
        assert len(first.references) == 8 * MOST_EACH and set(first.references) == set(ids_of(matcher))
        with monkeypatch.context() as patched:
            patched.setattr(matcher.embedder, "embed", lambda *_: pytest.fail("embedded again"))
            np.testing.assert_array_equal(asked(matcher, store).vectors, first.vectors)
        (store / FILE).write_bytes(b"no views")
        again = asked(matcher, store)
        assert set(again.references) == set(first.references)


def test_only_what_can_be_there(store: Path) -> None:
    picture, mask = references(ARTICLES[0])[0]
    with Matcher.open(store) as matcher:
        (anything,) = matcher.match([picture], masks=[mask])
        assert anything.matches[0].sku == ARTICLES[0].sku and anything.certainty == "sure"
        assert sum(match.probability for match in anything.matches) + anything.none_of_them == pytest.approx(1)
        others = {ARTICLES[1].sku: 1.0, ARTICLES[2].sku: 1.0, ARTICLES[0].sku: 0.0}
        (none,) = matcher.match([picture], masks=[mask], among=others)
        assert {match.sku for match in none.matches} == {ARTICLES[1].sku, ARTICLES[2].sku}
        assert none.none_of_them > anything.none_of_them and none.probability < anything.probability
        (nothing,) = matcher.match([picture], masks=[mask], among={})
        assert (nothing.matches, nothing.certainty, nothing.none_of_them) == ((), "unknown", 1.0)


def test_what_people_said_of_facings_is_learned_from(store: Path) -> None:
    picture, _ = references(ARTICLES[0])[0]
    ids = np.zeros(picture.shape[:2], np.int32)
    ids[4:-4, 4:-4] = 1
    with Matcher.open(store) as matcher:
        assert checked_facings(matcher.catalogue, matcher.embedder) is None
        instances = Instances.from_labels(ids)
        report = matcher.report(picture, instances, "shelf")
        seen = outline(picture, instances, "shelf")
        vectors = embed_views(matcher.embedder, seen.views)
        scan = keep(matcher, Scanned(seen, vectors, report))
        scans.decide(matcher.catalogue, scan, [1], ARTICLES[0].sku, "confirmed", by="stan")
        found = checked_facings(matcher.catalogue, matcher.embedder)
        assert found is not None and list(found.skus) == [ARTICLES[0].sku]
        np.testing.assert_allclose(found.vectors, vectors, atol=1e-6)
        matcher.reindex()
        calibration = matcher._gallery.current().ranker.calibration
        assert calibration.trials["checked"] == 1 and len(calibration.checked) == 1
        told = dict(overview(matcher).facts["Matching"])
        today = scans.load(matcher.catalogue, scan).at[:10]
        assert found.since.startswith(today)
        measured = [value for name, value in told.items() if name.startswith("Measured precision")]
        assert len(measured) == 1 and ("1 checked answers, since " + today in measured[0] or "none yet" in measured[0])
