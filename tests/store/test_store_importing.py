"""Bulk import with real pictures and a real (small) embedder: exact round trips, refusals, crops and masks."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from crash_workers import FINGERPRINTS, Patches, picture
from PIL import Image

from catalogue import Catalogue, NewReference, Product, exporting
from catalogue.errors import PictureRefused
from catalogue.importing import LoadedPicture, read_file
from retail_seg.matcher import Matcher
from retail_seg.store import importing
from retail_seg.store.enrolment import Upload
from retail_seg.store.opening import CATALOGUE


def new_matcher(folder: Path) -> Matcher:
    embedder = Patches(FINGERPRINTS[0])
    catalogue = Catalogue.create(folder / CATALOGUE, embedder=embedder.fingerprint, dim=embedder.dim)
    return Matcher(folder, catalogue, embedder)


def colours(seed: int, height: int, width: int) -> np.ndarray:
    small = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), np.uint8)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


def encoded(photo: np.ndarray, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    Image.fromarray(photo).save(out, kind, **options)
    return out.getvalue()


def loaded(data: bytes, **more: object) -> LoadedPicture:
    return LoadedPicture(data, "pics/x.jpg", "hash", 7, **more)  # type: ignore[arg-type]


def test_an_export_imports_to_the_same_references_and_answers(tmp_path: Path) -> None:
    goods = tmp_path / "goods"
    for number, (size, kind) in enumerate([((90, 60), "JPEG"), ((1500, 1100), "JPEG"), ((80, 120), "PNG")]):
        (goods / f"P{number}").mkdir(parents=True)
        for n in range(2):
            data = encoded(colours(10 * number + n, *size), kind)
            (goods / f"P{number}" / f"{n}.{kind.lower()}").write_bytes(data)
    mask = np.zeros((120, 100), bool)
    mask[20:90, 15:80] = True
    with new_matcher(tmp_path / "one") as one, new_matcher(tmp_path / "two") as two:
        assert [o.pictures for o in importing.apply(one.catalogue, read_file(goods), one.embedder)] == [2, 2, 2]
        one.enrol(Product("masked"), [Upload(colours(99, 120, 100), "cut out", mask)])
        list(exporting.export(one.catalogue, tmp_path / "out"))
        assert {o.status for o in importing.apply(two.catalogue, read_file(tmp_path / "out"), two.embedder)} == {
            "added"
        }
        assert two.catalogue.products() == one.catalogue.products()
        assert list(two.catalogue.iter_vectors()) == list(one.catalogue.iter_vectors())
        for matcher in (one, two):
            matcher.reindex()
        queries = [colours(seed, 100, 70) for seed in (0, 1, 10, 20, 21, 99, 50)]
        for mine, theirs in zip(one.match(queries), two.match(queries), strict=True):
            # Which references stand as photos is drawn by their ids, so what is learned differs by a little.
            assert [match.sku for match in mine.matches] == [match.sku for match in theirs.matches]
            assert [match.score for match in mine.matches] == pytest.approx([match.score for match in theirs.matches])
        again = list(importing.apply(one.catalogue, read_file(tmp_path / "out"), one.embedder))
        assert {o.status for o in again} == {"unchanged"}


@pytest.mark.parametrize(
    ("data", "more", "reason"),
    [
        (b"", {}, "is empty"),
        (b"no picture", {}, "not a picture"),
        (encoded(colours(1, 60, 60), "JPEG")[:500], {}, "damaged|cut off"),
        (encoded(colours(1, 4, 60), "PNG"), {}, "too small"),
        (encoded(colours(1, 60, 60), "PNG"), {"crop": (0.5, 0.5, 0.51, 0.51)}, "too small|empty"),
        (encoded(colours(1, 60, 60), "PNG"), {"mask": b"no picture"}, "mask"),
        (encoded(colours(1, 60, 60), "PNG"), {"mask": encoded(np.full((9, 9), 255, np.uint8), "PNG")}, "mask"),
        (encoded(colours(1, 60, 60), "PNG"), {"mask": encoded(np.zeros((60, 60), np.uint8), "PNG")}, "mask"),
    ],
)
def test_a_dry_run_refuses_what_the_real_run_refuses(data: bytes, more: dict[str, object], reason: str) -> None:
    with pytest.raises(PictureRefused, match=reason) as refused:
        importing.check_picture(loaded(data, **more))
    assert "pics/x.jpg" not in str(refused.value), "the import's report names the picture itself"
    good = loaded(picture("good"))
    importing.check_picture(good)
    first, second, third = importing.embed_pictures(Patches(FINGERPRINTS[0]), [good, loaded(data, **more), good])
    assert isinstance(first, NewReference) and isinstance(third, NewReference)
    assert isinstance(second, PictureRefused) and str(second) == str(refused.value)


def test_a_bounding_box_cuts_the_picture_out(tmp_path: Path) -> None:
    photo = np.concatenate([colours(1, 80, 60), colours(2, 80, 60)], axis=1)
    embedder = Patches(FINGERPRINTS[0])
    right, alone = importing.embed_pictures(
        embedder,
        [
            loaded(encoded(photo, "PNG"), crop=(0.5, 0.0, 1.0, 1.0)),
            loaded(encoded(np.ascontiguousarray(photo[:, 60:]), "PNG")),
        ],
    )
    assert isinstance(right, NewReference) and isinstance(alone, NewReference)
    assert (right.width, right.height, right.content_hash) == (60, 80, "hash")
    assert right.vectors == alone.vectors


def test_an_exported_picture_is_kept_byte_for_byte() -> None:
    data = encoded(colours(3, 70, 50), "JPEG", quality=60)
    kept, fresh = importing.embed_pictures(Patches(FINGERPRINTS[0]), [loaded(data, kept=True), loaded(data)])
    assert isinstance(kept, NewReference) and isinstance(fresh, NewReference)
    assert kept.picture == data != fresh.picture
    large = encoded(colours(3, 70, 1200), "JPEG")
    (shrunk,) = importing.embed_pictures(Patches(FINGERPRINTS[0]), [loaded(large, kept=True)])
    assert isinstance(shrunk, NewReference) and shrunk.width == 1024
