"""What is kept of photos: for so many days, with faces covered, and what stays when a photo goes."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import cv2
import numpy as np
import pytest
from crash_workers import FINGERPRINTS, Patches, picture

from catalogue import Catalogue, Product, photo_age, scans
from retail_seg.errors import ModelError, StoreError
from retail_seg.matcher import Matcher
from retail_seg.people.roles import NotAllowed, Person, acting_as
from retail_seg.photos import faces
from retail_seg.photos.load import load_photo
from retail_seg.scans import corrections, privacy, review
from retail_seg.scans.keeping import keep
from retail_seg.store.given_boxes import GivenBoxes
from retail_seg.store.opening import CATALOGUE

FACE = (60, 30, 40, 40)


@pytest.fixture
def matcher(tmp_path: Path) -> Iterator[Matcher]:
    """A store whose segmenter takes the left and the right half of a photo for a product each."""
    embedder, folder = Patches(FINGERPRINTS[0]), tmp_path / "store"
    catalogue = Catalogue.create(folder / CATALOGUE, embedder=embedder.fingerprint, dim=embedder.dim)
    boxes = {"a.png": ((0, 0, 96, 96), (104, 0, 96, 96))}
    with Matcher(folder, catalogue, embedder, GivenBoxes("given", boxes, "0" * 12).as_segmenter()) as found:
        found.enrol(Product("S", "Soup"), [picture("s")])
        yield found


def photo() -> bytes:
    pixels = np.random.default_rng(3).integers(0, 256, (12, 25, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    return cv2.imencode(".png", pixels)[1].tobytes()


def kept(matcher: Matcher, data: bytes | None = None) -> int:
    data = data or photo()
    return keep(matcher, matcher.look(data, name="a.png"), data=data)


def aged(matcher: Matcher, scan: int, days: float) -> None:
    at = (datetime.now(UTC) - timedelta(days=days)).isoformat(timespec="milliseconds")
    with sqlite3.connect(matcher.folder / CATALOGUE) as db:
        db.execute("UPDATE scans SET at = ? WHERE id = ?", [at, scan])


def test_without_settings_photos_stay_as_they_are(matcher: Matcher) -> None:
    scan = kept(matcher)
    aged(matcher, scan, 4000)
    kept(matcher)
    assert scans.photo(matcher.catalogue, scan) == photo()
    assert privacy.privacy(matcher) == privacy.Privacy(None, None) and privacy.forget_old(matcher) == 0


def test_old_photos_go_and_what_people_said_stays(matcher: Matcher) -> None:
    old, young = kept(matcher), kept(matcher)
    corrections.decide(matcher, old, [1], "S", remember=[1])
    privacy.state_days(matcher, 30)
    aged(matcher, old, 31)
    aged(matcher, young, 29)
    assert privacy.count_photos(matcher) == 2
    kept(matcher)  # the next photo that is kept sends the old one away
    assert privacy.count_photos(matcher) == 2
    assert scans.photo(matcher.catalogue, old) is None and scans.thumbnails(matcher.catalogue, [old]) == {}
    assert scans.photo(matcher.catalogue, young) == photo()
    found = review.open_review(matcher, old)
    assert found.report.instances[0].sku == "S" and found.decided[1][2] != ""
    assert matcher.catalogue.count_references() == 2
    assert review.photo_of(matcher, found.scan).shape == (96, 200, 3)  # its crops, laid out
    privacy.state_days(matcher, None)
    aged(matcher, young, 4000)
    assert privacy.forget_old(matcher) == 0


def test_the_bytes_of_a_photo_are_gone_from_the_file(matcher: Matcher) -> None:
    mark = b"who was in this aisle" * 400  # larger than a page, as a photo is
    scan = kept(matcher, photo() + mark)
    aged(matcher, scan, 3)
    path = matcher.folder / CATALOGUE
    matcher.catalogue.db.conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert mark[:2000] in path.read_bytes()
    assert photo_age.forget(matcher.catalogue, datetime.now(UTC).isoformat()) == 1
    matcher.catalogue.db.conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert b"who was in this aisle" not in path.read_bytes()


def found_face(monkeypatch: pytest.MonkeyPatch, *boxes: tuple[int, int, int, int]) -> None:
    monkeypatch.setattr(faces, "find_faces", lambda photo, model: list(boxes))


def test_faces_are_covered_in_all_that_is_kept(
    matcher: Matcher, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found_face(monkeypatch, FACE)
    privacy.state_face_model(matcher, tmp_path / "yunet.onnx")
    scan = kept(matcher)
    data = scans.photo(matcher.catalogue, scan)
    assert data is not None and data != photo()
    before, after = load_photo(photo(), name="b").astype(int), load_photo(data, name="a").astype(int)
    x, y, w, h = FACE
    assert np.abs(before - after)[y : y + h, x : x + w].mean() > 25
    assert np.abs(before - after)[:, 120:].mean() < 12  # JPEG costs some everywhere
    crop, _ = review.crop_of(matcher, scan, 1)
    assert len(np.unique(crop[y : y + h, x : x + w].reshape(-1, 3), axis=0)) <= faces.SQUARES**2
    found_face(monkeypatch)
    assert scans.photo(matcher.catalogue, kept(matcher)) == photo()  # nobody in it: the file as it is


def test_a_model_that_is_gone_keeps_no_photo(matcher: Matcher, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(faces, "check_model", lambda path: None)
    privacy.state_face_model(matcher, tmp_path / "yunet.onnx")
    with pytest.raises(ModelError, match="no photo is kept"):
        kept(matcher)
    assert scans.count(matcher.catalogue) == 0
    privacy.state_face_model(matcher, None)
    assert kept(matcher) == 1


def test_who_may_and_what_cannot_be(matcher: Matcher, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="give 1 or more"):
        privacy.state_days(matcher, 0)
    (tmp_path / "x.onnx").write_text("no model")
    with pytest.raises(ModelError, match="no face model"):
        privacy.state_face_model(matcher, tmp_path / "x.onnx")
    assert privacy.privacy(matcher).face_model is None
    with acting_as(Person("stan", "staff")):
        for call in (privacy.state_days, privacy.state_face_model):
            with pytest.raises(NotAllowed):
                call(matcher, None)
