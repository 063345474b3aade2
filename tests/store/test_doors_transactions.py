"""A change is one transaction, and is logged in it: what fails halfway leaves nothing behind."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from catalogue import Product, history, importing, scan_history, scans
from catalogue.importing import Import
from index.calibration import Policy
from retail_seg.matcher import Matcher
from retail_seg.products import uploads
from retail_seg.products.uploads import ImportRun
from retail_seg.scans import corrections
from retail_seg.store.policy import policy_of
from retail_seg.store.settings import state_policy


class Cut(Exception):
    """The power goes."""


def cut(*values: Any, **named: Any) -> Any:
    raise Cut


@pytest.fixture
def matcher(demo_folder: Path, tmp_path: Path) -> Iterator[Matcher]:
    with Matcher.open(shutil.copytree(demo_folder / "store", tmp_path / "store")) as found:
        yield found


@pytest.fixture
def scan(matcher: Matcher) -> int:
    """A kept scan of a crop that is nothing yet, on a photo that holds one thing."""
    import numpy as np

    from retail_seg.scans.keeping import keep
    from retail_seg.segmentation.instances.instances import Instances
    from retail_seg.store.scanning import Scanned, outline

    photo = np.random.default_rng(0).integers(0, 255, (160, 120, 3), np.uint8).repeat(2, 0).repeat(2, 1)
    labels = np.zeros(photo.shape[:2], np.int32)
    labels[40:280, 40:200] = 1
    instances = Instances.from_labels(labels)
    seen = outline(photo, instances, "shelf.jpg")
    vectors = np.zeros((1, matcher.embedder.dim), np.float32)
    return keep(matcher, Scanned(seen, vectors, matcher.report(photo, instances, "shelf.jpg")))


def state(matcher: Matcher, scan_id: int) -> tuple[Any, ...]:
    catalogue = matcher.catalogue
    return (
        catalogue.count_products(), catalogue.count_references(), history.log(catalogue, limit=1)[0].id,
        scan_history.changes(catalogue, scan_id), scans.instances(catalogue, scan_id),
    )  # fmt: skip


def number_of(matcher: Matcher, scan_id: int) -> int:
    return scans.instances(matcher.catalogue, scan_id)[0].number


def test_a_correction_keeps_reference_and_scan_or_neither(
    matcher: Matcher, scan: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    sku, number, before = matcher.catalogue.products(limit=1)[0].sku, number_of(matcher, scan), state(matcher, scan)
    with monkeypatch.context() as patch:
        patch.setattr(scans, "decide", cut)
        with pytest.raises(Cut):
            corrections.decide(matcher, scan, [number], sku, remember=[number])
        with pytest.raises(Cut):
            corrections.new_product(matcher, scan, [number], Product("new", "New"))
    assert state(matcher, scan) == before
    corrections.decide(matcher, scan, [number], sku, remember=[number])
    assert matcher.catalogue.count_references() == before[1] + 1


@pytest.mark.parametrize("new", [False, True])
def test_taking_a_correction_back_takes_reference_and_scan_or_neither(
    matcher: Matcher, scan: int, monkeypatch: pytest.MonkeyPatch, new: bool
) -> None:
    number, first = number_of(matcher, scan), state(matcher, scan)
    if new:
        change = corrections.new_product(matcher, scan, [number], Product("new", "New"))
    else:
        sku = matcher.catalogue.products(limit=1)[0].sku
        change = corrections.decide(matcher, scan, [number], sku, remember=[number])
    before = state(matcher, scan)
    with monkeypatch.context() as patch:
        patch.setattr(scan_history, "undo", cut)
        with pytest.raises(Cut):
            corrections.undo(matcher, change)
    assert state(matcher, scan) == before
    corrections.undo(matcher, change)
    assert state(matcher, scan)[:2] == first[:2]


def test_a_setting_that_was_not_written_is_not_logged(matcher: Matcher, monkeypatch: pytest.MonkeyPatch) -> None:
    before, last = policy_of(matcher.catalogue), history.log(matcher.catalogue, limit=1)
    with monkeypatch.context() as patch:
        patch.setattr(type(matcher.catalogue), "set_settings", cut)
        with pytest.raises(Cut):
            state_policy(matcher, Policy(precision=0.9))
    assert history.log(matcher.catalogue, limit=1) == last and policy_of(matcher.catalogue) == before


def test_a_change_within_a_change_is_part_of_it(matcher: Matcher) -> None:
    catalogue = matcher.catalogue
    with pytest.raises(Cut), catalogue.change():
        catalogue.put_product(Product("outer", "Outer"))
        raise Cut
    with catalogue.change():
        catalogue.put_product(Product("kept", "Kept"))
        with pytest.raises(Cut), catalogue.change():
            catalogue.put_product(Product("inner", "Inner"))
            raise Cut
    found = [catalogue.find_product(sku) for sku in ("outer", "inner", "kept")]
    assert [product is not None for product in found] == [False, False, True]


def test_taking_an_import_back_leaves_what_somebody_else_wrote_meanwhile(
    matcher: Matcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = Import._outcome

    def meanwhile(self: Import, *values: Any) -> importing.Outcome:
        """Somebody renames the product in the moment after the import has written it."""
        matcher.catalogue.put_product(Product("tea", "Green tea"), by="ann")
        return told(self, *values)

    upload = uploads.receive("a.csv", io.BytesIO(b"sku,name\ntea,Tea\n"))
    uploads.check(matcher, upload, lambda share, text: None)
    with monkeypatch.context() as patch:
        patch.setattr(Import, "_outcome", meanwhile)
        done = uploads.run(matcher, upload, ImportRun("a.csv", False), lambda share, text: None)
    written, by_ann = history.log(matcher.catalogue, sku="tea")[::-1]
    assert done.changes == [written.id] and by_ann.by == "ann"
    uploads.take_back(matcher, done, lambda share, text: None)
    assert matcher.catalogue.product("tea").name == "Green tea" and done.taken_back == 0
    assert done.left == [f"tea has changed since it was added; undo change {by_ann.id} first"]
