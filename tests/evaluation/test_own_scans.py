"""What people checked in kept scans scores the store's own answers, and says how many strangers a shop has."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from catalogue import Product, scans
from index.calibration import Policy
from retail_seg import Matcher
from retail_seg.cli.evaluate import evaluate
from retail_seg.errors import LabelledCropsError
from retail_seg.evaluation.own_scans import evaluate_own_scans
from retail_seg.rendering.assortment import articles, references
from retail_seg.scans.keeping import keep
from retail_seg.segmentation.instances.instances import Instances
from retail_seg.store import policy
from retail_seg.store.embedding import embed_views
from retail_seg.store.enrolment import Upload
from retail_seg.store.policy import measured_strangers, policy_of
from retail_seg.store.scanning import Scanned, outline
from retail_seg.store.settings import overview, state_policy

SOLD, UNSOLD = articles()[:4], articles()[8]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four products, and a kept scan of four of their facings and one of something else, not checked yet."""
    folder = tmp_path_factory.mktemp("own") / "store"
    with Matcher.create(folder) as matcher:
        matcher.enrol_all(
            (Product(one.sku, one.sku), [Upload(picture, f"{n}", mask) for n, (picture, mask) in enumerate(shown[:2])])
            for one in SOLD
            for shown in [references(one)]
        )
        pictures = [references(one)[3][0] for one in (*SOLD, UNSOLD)]
        photo, ids = np.full((360, 5 * 360, 3), 255, np.uint8), np.zeros((360, 5 * 360), np.int32)
        for at, picture in enumerate(pictures):
            height, width = (min(360, side) for side in picture.shape[:2])
            photo[:height, 360 * at : 360 * at + width] = picture[:height, :width]
            ids[4 : height - 4, 360 * at + 4 : 360 * at + width - 4] = at + 1
        instances = Instances.from_labels(ids)
        seen = outline(photo, instances, "shelf")
        report = matcher.report(photo, instances, "shelf")
        keep(matcher, Scanned(seen, embed_views(matcher.embedder, seen.views), report))
    return folder


def test_own_scans_are_scored_once_people_have_checked_them(store: Path, tmp_path: Path) -> None:
    with Matcher.open(store) as matcher:
        with pytest.raises(LabelledCropsError, match="nobody has checked"):
            evaluate_own_scans(matcher)
        for number, article in enumerate(SOLD, start=1):
            scans.decide(matcher.catalogue, 1, [number], article.sku, "confirmed", by="stan")
        scans.decide(matcher.catalogue, 1, [5], "", "no product", by="stan")
        before = matcher._gallery.current().ranker_id
        found = evaluate_own_scans(matcher)
        assert matcher._gallery.current().ranker_id == before  # it only looks
    assert found.unlisted.sum() == 1 and not found.right[found.unlisted].any()
    values = found.to_dict()
    assert (values["checked"], values["unlisted"], values["top1"]) == (5, 1, found.right[~found.unlisted].mean())
    assert values["sure_right"] <= values["sure"] and 0 <= values["precision_from"] <= values["precision_to"] <= 1
    called = CliRunner().invoke(evaluate, ["retrieval", "--store", str(store), "--plot", str(tmp_path)])
    assert called.exit_code == 0, called.output
    assert json.loads(called.stdout.splitlines()[-1]) == [values]
    assert "5 checked facings of kept scans, 1 of them no product" in called.stderr
    assert (tmp_path / "risk-coverage-store.png").stat().st_size > 1000


def test_lists_or_a_store_are_to_be_given(store: Path) -> None:
    for arguments in ([], ["gallery.csv"], ["gallery.csv", "queries.csv", "--store", str(store)]):
        called = CliRunner().invoke(evaluate, ["retrieval", *arguments])
        assert called.exit_code == 2 and "--store" in called.output


def test_checked_scans_say_how_many_strangers_a_shop_has(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Matcher.open(store) as matcher:
        assert scans.count_checked(matcher.catalogue) == (5, 1)
        assert measured_strangers(matcher.catalogue) is None and policy_of(matcher.catalogue) == Policy()
        monkeypatch.setattr(policy, "CHECKED_ENOUGH", 5)
        assert policy_of(matcher.catalogue).strangers == pytest.approx((1 + 2) / 25)
        expected = dict(overview(matcher).facts["Matching"])["Strangers expected"]
        assert expected == "12.0%, as measured on checked scans"
        state_policy(matcher, Policy(strangers=0.3))  # what a manager states goes before what is measured
        assert policy_of(matcher.catalogue).strangers == 0.3
        assert dict(overview(matcher).facts["Matching"])["Strangers expected"] == "30.0%, as stated"
