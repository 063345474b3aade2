"""Local features: the same label under turn, scale and light agrees; another label does not."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from index import rerank
from index.candidates import Nearest
from index.errors import IndexingError
from index.rerank import (
    LocalEvidence,
    LocalFeatures,
    agreeing_features,
    agreement,
    asked,
    decode_features,
    local_features,
    second_looks,
)


def label(seed: int, size: int = 220) -> np.ndarray:
    """A printed pack: boxes, circles and words in the seed's places and colours, RGB uint8."""
    rng = np.random.default_rng(seed)
    picture = np.full((size, size, 3), rng.integers(120, 255, 3), np.uint8)
    for _ in range(14):
        x, y = rng.integers(0, size, 2).tolist()
        colour = tuple(rng.integers(0, 255, 3).tolist())
        cv2.circle(picture, (x, y), int(rng.integers(4, 18)), colour, -1, cv2.LINE_AA)
        word = "".join(rng.choice(list("ABCDEFGHKLMNPRSTUVWXYZ"), 5))
        cv2.putText(picture, word, (x - 40, y), cv2.FONT_HERSHEY_SIMPLEX, 0.7, colour[::-1], 2, cv2.LINE_AA)
    return picture


def retaken(picture: np.ndarray, angle: float, scale: float) -> np.ndarray:
    size = picture.shape[0]
    turn = cv2.getRotationMatrix2D((size / 2, size / 2), angle, scale)
    turned = cv2.warpAffine(picture, turn, (size, size), borderValue=(90, 90, 90))
    return np.clip(turned * 0.8 + 15, 0, 255).astype(np.uint8)


def agree(one: np.ndarray, other: np.ndarray) -> int:
    return agreeing_features(decode_features(local_features(one)), decode_features(local_features(other)))


@pytest.mark.parametrize(("angle", "scale"), [(0, 1.0), (90, 1.0), (180, 0.9), (33, 0.75)])
def test_the_same_label_agrees_however_it_lies(angle: float, scale: float) -> None:
    assert agree(retaken(label(1), angle, scale), label(1)) >= 15


def test_the_same_label_agrees_far_more_than_others_in_the_same_typeface() -> None:
    same = agree(retaken(label(1), 20, 0.9), label(1))
    assert same > 3 * max(agree(label(1), label(other)) for other in range(2, 8))


def test_a_sister_in_other_colours_agrees_less() -> None:
    seen = retaken(label(1), 10, 0.9)
    assert agree(seen, label(1)) > 1.5 * agree(seen, np.ascontiguousarray(label(1)[:, :, ::-1]))


def test_a_light_s_cast_takes_little_away() -> None:
    warm = (label(1) * (1.0, 0.94, 0.86)).astype(np.uint8)
    assert agree(warm, label(1)) > 0.7 * agree(label(1), label(1))


def test_features_of_older_stores_agree_whatever_their_colour() -> None:
    now = decode_features(local_features(label(1)))
    packed = np.frombuffer(local_features(label(1)), np.uint8).reshape(-1, 70).copy()
    old = np.stack([now.places.real, now.places.imag], axis=1) * 64
    packed[:, :4] = old.astype("<u2").view(np.uint8).reshape(-1, 4)
    before = decode_features(packed.tobytes())
    assert np.isnan(before.colours).all() and not np.isnan(now.colours).any()
    np.testing.assert_allclose(before.places, now.places, atol=0.02)
    assert agreeing_features(now, before) == len(now.places)


def test_a_crop_without_features_agrees_with_nothing() -> None:
    grey = np.full((60, 40, 3), 128, np.uint8)
    assert local_features(grey) == b""
    assert agree(grey, label(1)) == agree(label(1), grey) == 0


def test_features_lie_within_the_mask_and_are_compact() -> None:
    picture = label(3)
    mask = np.zeros(picture.shape[:2], bool)
    mask[:, :110] = True
    found = decode_features(local_features(picture, mask))
    assert len(found.places) > 20
    assert found.places.real.max() <= 96 + 1
    assert len(local_features(picture)) <= 250 * 70
    np.testing.assert_allclose(np.linalg.norm(found.descriptors, axis=1), 1, atol=1e-5)


def test_bytes_of_something_else_are_refused() -> None:
    with pytest.raises(IndexingError, match="no local features"):
        decode_features(b"123")


def look_at(crop: np.ndarray, references: dict[int, np.ndarray]) -> LocalEvidence:
    stored = {identity: local_features(picture) for identity, picture in references.items()}
    return LocalEvidence(lambda _: local_features(crop), lambda ids: {i: stored[i] for i in ids if i in stored})


CANDIDATES = [
    Nearest(1, np.array([10, 11]), np.array([0.62, 0.60], np.float32)),
    Nearest(2, np.array([20, 21]), np.array([0.61, 0.55], np.float32)),
    Nearest(3, np.array([30]), np.array([0.50], np.float32)),
]


def test_agreeing_features_are_counted_and_the_reference_that_speaks_is_named() -> None:
    references = {10: label(5), 11: label(6), 20: label(7), 21: label(1)}
    crop = retaken(label(1), 90, 0.9)
    ((number, seen),) = second_looks({7: CANDIDATES}, look_at(crop, references))
    assert number == 7
    first, second, third = seen.inliers.tolist()
    assert second >= 12 > first
    assert seen.references[1] == 21
    assert (third, seen.references[2]) == (-1, 30)
    assert seen.points == len(decode_features(local_features(crop)).places)


def test_what_was_counted_is_not_compared_again() -> None:
    stored = {10: local_features(label(5)), 11: b"", 20: b"", 21: b""}
    query = decode_features(local_features(label(5)))
    counted = {10: 77}
    found = agreement(query, CANDIDATES[:1], stored, counted)
    assert found == [(77, 10)]
    assert counted == {10: 77, 11: 0}


def test_references_without_features_are_no_second_look() -> None:
    assert list(second_looks({0: CANDIDATES}, LocalEvidence(lambda _: b"", lambda _: {}))) == []


def test_many_crops_are_looked_at_as_one_is() -> None:
    references = {10: label(5), 11: label(6), 20: label(7), 21: label(1)}
    crops = [retaken(label(kind), 90, 0.9) for kind in (1, 5, 7, 6)]
    stored = {identity: local_features(picture) for identity, picture in references.items()}
    look = LocalEvidence(
        lambda at: local_features(crops[at % 4]), lambda ids: {i: stored[i] for i in ids if i in stored}
    )
    alone = [next(iter(second_looks({at: CANDIDATES}, look)))[1] for at in range(4)]
    for at, seen in second_looks(dict.fromkeys(range(150), CANDIDATES), look):
        assert seen.inliers.tolist() == alone[at % 4].inliers.tolist()
        assert (seen.references, seen.points) == (alone[at % 4].references, alone[at % 4].points)


def test_a_reference_that_several_crops_ask_for_is_decoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    references = {identity: label(identity) for identity in (10, 11, 20, 30)}
    stored = {identity: local_features(picture) for identity, picture in references.items()}
    crop = local_features(retaken(references[10], 20, 1.0))
    look = LocalEvidence(lambda _: crop, lambda ids: {i: stored[i] for i in ids if i in stored})
    decoded: list[bytes] = []

    def counted(data: bytes) -> LocalFeatures:
        decoded.append(data)
        return decode_features(data)

    monkeypatch.setattr(rerank, "decode_features", counted)
    monkeypatch.setenv("RETAIL_SEG_THREADS", "1")
    assert len(list(second_looks(dict.fromkeys(range(6), CANDIDATES), look))) == 6
    asked_for = [data for data in decoded if data != crop]
    assert len(asked_for) == len(set(asked_for)) > 1
    assert len(decoded) == len(asked_for) + 6


def test_at_most_fifteen_references_are_asked_the_nearest_ones() -> None:
    many = [
        Nearest(owner, np.arange(3) + 10 * owner, np.float32(0.9 - 0.1 * owner) - np.float32(0.01) * np.arange(3))
        for owner in range(8)
    ]
    assert asked(many) == [10 * owner + at for owner in range(5) for at in range(3)]
