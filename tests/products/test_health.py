"""Health from real pixels and vectors, kept scans and their replay, with a small embedder."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from crash_workers import FINGERPRINTS, Patches
from PIL import Image

from catalogue import Catalogue, Product, scans
from index import neighbours
from retail_seg.matcher import Matcher
from retail_seg.photos import appearance
from retail_seg.products import health
from retail_seg.rendering.assortment import articles, references
from retail_seg.scans import keeping
from retail_seg.scans.replay import replay as match_again
from retail_seg.segmentation.instances.instances import Instances
from retail_seg.store.opening import CATALOGUE
from retail_seg.store.scanning import outline

PHOTOS = [photo for article in articles()[:5] for photo, _ in references(article)[:2]]


def jpeg(photo: np.ndarray, quality: int = 95) -> bytes:
    out = io.BytesIO()
    Image.fromarray(photo).save(out, "JPEG", quality=quality)
    return out.getvalue()


def resized(photo: np.ndarray, share: float) -> np.ndarray:
    return np.asarray(cv2.resize(photo, None, fx=share, fy=share, interpolation=cv2.INTER_AREA))


@pytest.fixture
def matcher(tmp_path: Path) -> Iterator[Matcher]:
    embedder = Patches(FINGERPRINTS[0])
    catalogue = Catalogue.create(tmp_path / CATALOGUE, embedder=embedder.fingerprint, dim=embedder.dim)
    with Matcher(tmp_path, catalogue, embedder) as made:
        yield made


@pytest.mark.parametrize("number", range(len(PHOTOS)))
def test_blur_is_seen_on_every_picture(number: int) -> None:
    photo = PHOTOS[number]
    sharp, blurred = (health.look(jpeg(p), None) for p in (photo, cv2.GaussianBlur(photo, (0, 0), 6)))
    assert sharp.sharpness > health.MIN_SHARPNESS > blurred.sharpness


@pytest.mark.parametrize("number", range(len(PHOTOS)))
def test_darkness_is_seen_on_every_picture(number: int) -> None:
    photo = PHOTOS[number]
    dark = ((photo / 255.0) ** 2.2 / 64) ** (1 / 2.2) * 255  # six stops less light
    seen = [health.look(jpeg(p), None).brightness for p in (photo, dark.astype(np.uint8))]
    assert seen[0] > health.MIN_BRIGHTNESS > seen[1]


def test_only_the_product_counts_for_brightness() -> None:
    grey = np.full((100, 100), 250, np.uint8)
    grey[20:80, 20:80] = 20
    mask = grey == 20
    assert appearance.brightness(grey) > 0.9 and appearance.brightness(grey, mask) == pytest.approx(20 / 255)


@pytest.mark.parametrize("number", range(len(PHOTOS)))
def test_a_picture_saved_anew_looks_the_same_and_others_do_not(number: int) -> None:
    photo = PHOTOS[number]
    one = health.look(jpeg(photo), None).hash
    for other in (jpeg(photo, 60), jpeg(resized(photo, 0.7))):
        assert (one ^ health.look(other, None).hash).bit_count() <= 3
        assert health.same_picture(jpeg(photo), other)
    recoloured = jpeg(np.ascontiguousarray(photo[:, :, ::-1] // 2 + 60))
    assert not health.same_picture(jpeg(photo), recoloured)
    assert not health.same_picture(jpeg(photo), jpeg(PHOTOS[number - 1]))


def test_a_product_that_runs_out_of_a_plain_picture_is_cut_off() -> None:
    photo = np.full((200, 160, 3), 240, np.uint8)
    photo[60:140, 40:120] = (30, 90, 200)
    assert appearance.cut_off(photo) == 0.0
    photo[60:200, 40:120] = (30, 90, 200)
    assert 0.4 < appearance.cut_off(photo) < 0.6
    busy = np.random.default_rng(1).integers(0, 256, (200, 160, 3), np.uint8)
    assert appearance.cut_off(cv2.GaussianBlur(busy, (0, 0), 5) * 2) == 0.0


def test_neighbours_are_those_of_all_pairs(matcher: Matcher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "BLOCK", 3)
    monkeypatch.setattr(health, "PORTION", 4)
    for number, photo in enumerate(PHOTOS):
        matcher.enrol(Product(f"P{number // 3}"), [photo])
    rows = list(matcher.catalogue.iter_vectors())
    raw = np.stack([np.frombuffer(data, np.float32)[: matcher.embedder.dim] for _, data, _ in rows])
    vectors = matcher._gallery.current().ranker.project(raw)
    ids = [row[0] for row in rows]
    owners = matcher.catalogue.skus_of(ids)
    found = health.neighbours(matcher.catalogue)
    assert [near.reference_id for near in found] == ids
    for i, near in enumerate(found):
        scores = {ids[j]: float(vectors[i] @ vectors[j]) for j in range(len(ids)) if j != i}
        siblings = [score for id_, score in scores.items() if owners[id_] == owners[ids[i]]]
        others = {id_: score for id_, score in scores.items() if owners[id_] != owners[ids[i]]}
        assert near.other_id == max(others, key=lambda id_: others[id_])
        assert near.other == pytest.approx(max(others.values()), abs=1e-5)
        assert near.sibling == (pytest.approx(max(siblings), abs=1e-5) if siblings else None)


def test_the_report_finds_what_was_put_in(matcher: Matcher) -> None:
    for number in range(4):
        matcher.enrol(Product(f"P{number}"), PHOTOS[2 * number : 2 * number + 2])
    matcher.catalogue.put_product(Product("empty"))
    matcher.enrol(Product("double"), [jpeg(PHOTOS[0], 70)])
    matcher.enrol(Product("poor"), [cv2.GaussianBlur(PHOTOS[8], (0, 0), 7), resized(PHOTOS[9], 0.1)])
    found = health.check_health(matcher.catalogue)
    assert found.without_reference == ["empty"] and found.with_one_reference == ["double"]
    assert [{p.sku, p.other_sku} for p in found.doubles] == [{"P0", "double"}]
    assert found.confusable[0].score > 0.98 and {found.confusable[0].sku, found.confusable[0].other_sku} == {
        "P0",
        "double",
    }
    assert {poor.sku for poor in found.poor_pictures} == {"poor"} and len(found.poor_pictures) == 2
    assert [gain.sku for gain in found.gain_most[:2]] == ["empty", "double"]
    headings = {heading for heading, _ in health.as_rows(found)}
    assert {"no picture", "one picture", "same picture", "easily confused", "poor picture"} <= headings
    assert health.check_health(matcher.catalogue) == found


def test_a_dark_picture_is_poor(matcher: Matcher) -> None:
    matcher.enrol(Product("P"), [PHOTOS[0], np.asarray(PHOTOS[1] // 8)])
    found = health.check_health(matcher.catalogue)
    (poor,) = found.poor_pictures
    assert poor.sku == "P" and poor.reason.startswith("is very dark (brightness 0.1")


def test_an_empty_store_is_healthy(matcher: Matcher) -> None:
    found = health.check_health(matcher.catalogue)
    assert (found.products, health.as_rows(found)) == (0, [])


class Segmenting:
    """Stands for the segmenter's name in a report's versions."""

    name, fingerprint = "labels", "0"


def test_a_kept_scan_is_replayed_against_todays_catalogue(tmp_path: Path, matcher: Matcher) -> None:
    size = 120
    tiles = [np.asarray(cv2.resize(photo, (size, size))) for photo in PHOTOS[::2][:3]]
    photo, labels = np.full((160, 480, 3), 255, np.uint8), np.zeros((160, 480), np.int32)
    for i, tile in enumerate(tiles):
        area = np.s_[20 : 20 + size, 20 + 150 * i : 20 + 150 * i + size]
        photo[area], labels[area] = tile, i + 1
    for i, tile in enumerate(tiles):
        matcher.enrol(Product(f"T{i}"), [tile])
    matcher._segmenter = Segmenting()  # type: ignore[assignment]
    instances = Instances.from_labels(labels)
    (found,) = matcher._answer([outline(photo, instances, "shelf.jpg")], 5)
    report, number = found.report, keeping.keep(matcher, found, data=b"the file", by="ann")
    kept = scans.instances(matcher.catalogue, number)
    assert [(i.number, i.box, i.sku) for i in kept] == [(n.id, n.box, n.sku or "") for n in report.instances]
    assert scans.load(matcher.catalogue, number).model == "labels:0"
    same = match_again(matcher, number)
    assert (same.counts, same.instances, same.image) == ([], [], "shelf.jpg")
    shown = {line.matches[0].sku: line.id for line in report.instances}
    scans.decide(matcher.catalogue, number, [shown["T1"]], "T1", "confirmed", by="ann")
    matcher.remove("T1")
    changed = match_again(matcher, number)
    assert ("T1", 1, 0) in changed.counts and changed.revision_now > changed.revision_then
    assert (shown["T1"], "T1") in [(n, then) for n, then, _ in changed.instances]
