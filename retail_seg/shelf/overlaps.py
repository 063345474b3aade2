"""Photos of one fixture that overlap, laid on each other by local features: which facing of one is which of another.

Keypoints are SIFT's (Lowe 2004, as RootSIFT), and a match is the nearest neighbour both ways: the usual ratio test
would throw out the facings that repeat, which is most of a shelf. One homography (RANSAC) has to hold for all; where it
explains nearly as much when it is shifted by a facing, repetition decides nothing and the photos are not laid on each
other. Then facings are tied row by row, from left to right, each to one at most.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import cv2
import numpy as np

from retail_seg.shelf.seeing import FacingRow, Sight

if TYPE_CHECKING:
    from retail_seg.store.scanning import Scanned

#: Longer side, in pixels, at which keypoints are sought, and how many of them are kept.
SIDE, KEYPOINTS = 1200, 2500
#: Pixels at that side within which a match follows the homography; matches that do so at least, and as a share of all.
NEAR, LEAST, SHARE = 6.0, 30, 0.06
#: The homography explains so many times as many matches as any that is shifted by one facing.
CLEARER = 1.5
#: A keypoint is nearly as much like another as like its nearest where its likeness (0 to 1) is so much less.
NEARLY = 0.03
#: Facings are one whose boxes share so much of what they cover together once they are laid on each other.
SAME = 0.4
#: and so many features follow from the one to the other.
OWN = 2
#: A row of one photo is a row of the other where so much of their heights is shared.
LEVEL = 0.5


@dataclass(frozen=True, eq=False)
class Overlap:
    """Photo number `first` laid on number `second`: the homography (3, 3) between their own pixels, and the places of
    the features that follow it in both, (n, 2) each.
    """

    first: int
    second: int
    matrix: np.ndarray
    here: np.ndarray
    there: np.ndarray

    def on_second(self, points: np.ndarray) -> np.ndarray:
        """Points (n, 2) of the first photo in the second one, float64."""
        return _moved(self.matrix, points)


@dataclass(frozen=True, eq=False)
class _Keypoints:
    """Places (n, 2) at SIDE, descriptors float32 (n, 128), and pixels of the photo's own by pixel of these."""

    places: np.ndarray
    descriptors: np.ndarray
    scale: float
    facing: float


def overlaps_of(scanned: Sequence[Scanned], sights: Sequence[Sight]) -> tuple[Overlap, ...]:
    """The pairs of photos that can be laid on each other, a second of one core for two; their order changes nothing."""
    if len(scanned) < 2:
        return ()
    found = [_keypoints(one, sight) for one, sight in zip(scanned, sights, strict=True)]
    order = [(one.seen.picture.shape, int(one.seen.picture[::7, ::7].sum(dtype=np.int64))) for one in scanned]
    overlaps = []
    for a, b in combinations(range(len(scanned)), 2):
        first, second = (a, b) if order[a] <= order[b] else (b, a)
        laid = _laid(found[first], found[second])
        if laid is not None:
            overlaps.append(Overlap(first, second, *laid))
    return tuple(overlaps)


def _keypoints(scanned: Scanned, sight: Sight) -> _Keypoints:
    picture, (width, _) = scanned.seen.picture, scanned.seen.size
    scale = min(SIDE / max(picture.shape[:2]), 1.0)
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    if scale < 1:
        grey = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    points, raw = cv2.SIFT_create(nfeatures=KEYPOINTS).detectAndCompute(grey, None)  # type: ignore[attr-defined]
    own = width / grey.shape[1]
    widths = [float(value) for row in sight.rows for value in row.widths]
    facing = float(np.median(widths)) / own if widths else 0.0
    if raw is None:
        return _Keypoints(np.zeros((0, 2)), np.zeros((0, 128), np.float32), own, facing)
    root = np.sqrt(raw / np.maximum(raw.sum(1, keepdims=True), 1e-9)).astype(np.float32)
    return _Keypoints(np.array([point.pt for point in points], float), root, own, facing)


def _laid(first: _Keypoints, second: _Keypoints) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """The homography between two photos' own pixels, and the places that follow it; None where none is clear."""
    if not len(first.places) or not len(second.places):
        return None
    alike = first.descriptors @ second.descriptors.T
    mine, its = _mutual(alike)
    if len(mine) < LEAST:
        return None
    here, there = first.places[mine], second.places[its]
    matrix, _ = cv2.findHomography(here, there, cv2.RANSAC, NEAR, maxIters=3000)
    if matrix is None or not _sane(matrix, here):
        return None
    follows = np.linalg.norm(_moved(matrix, here) - there, axis=1) < NEAR
    if follows.sum() < max(LEAST, SHARE * len(mine)) or _repeated(matrix, first, second, alike):
        return None
    own = np.diag([second.scale, second.scale, 1]) @ matrix @ np.diag([1 / first.scale, 1 / first.scale, 1])
    return own, here[follows] * first.scale, there[follows] * second.scale


def _mutual(alike: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs that are each other's nearest, by likeness (n, m)."""
    there, back = alike.argmax(1), alike.argmax(0)
    kept = np.flatnonzero(back[there] == np.arange(len(alike)))
    return kept, there[kept]


def _repeated(matrix: np.ndarray, first: _Keypoints, second: _Keypoints, alike: np.ndarray) -> bool:
    """Whether photos lie on each other nearly as well when one is shifted by a facing or two."""
    close = alike >= alike.max(1, keepdims=True) - NEARLY
    if second.facing <= 2 * NEAR:
        return True

    def agreeing(dx: float) -> int:
        at = _moved(_shift(dx) @ matrix, first.places)
        i, j = np.nonzero(close)
        return len(np.unique(i[np.linalg.norm(at[i] - second.places[j], axis=1) < NEAR]))

    return agreeing(0.0) < CLEARER * max(agreeing(dx * second.facing) for dx in (-2, -1, 1, 2))


def _shift(dx: float) -> np.ndarray:
    return np.array([[1, 0, dx], [0, 1, 0], [0, 0, 1]], float)


def _moved(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    whole = np.concatenate([points, np.ones((len(points), 1))], 1) @ matrix.T
    return np.asarray(whole[:, :2] / np.where(np.abs(whole[:, 2:]) < 1e-9, 1e-9, whole[:, 2:]))


def _sane(matrix: np.ndarray, points: np.ndarray) -> bool:
    """Whether a homography keeps what is up above and what is left on the left, and sizes within three times."""
    middle = np.median(points, axis=0)
    corners = _moved(matrix, middle + np.array([(0, 0), (100, 0), (0, 100)], float))
    right, down = corners[1] - corners[0], corners[2] - corners[0]
    upright = right[0] > 2 * abs(right[1]) and down[1] > 2 * abs(down[0])
    return bool(upright and 33 < right[0] < 300 and 33 < down[1] < 300)


def same_facings(sights: Sequence[Sight], overlaps: Sequence[Overlap]) -> frozenset[frozenset[int]]:
    """Pairs of ids, of what stands on the board, that two photos show of one facing."""
    found: set[frozenset[int]] = set()
    for overlap in overlaps:
        first, second = sights[overlap.first], sights[overlap.second]
        for row in first.rows:
            laid = _laid_boxes(overlap, row)
            for other in second.rows:
                if _shared(laid[:, 1], laid[:, 3], other.boxes[:, 1], other.boxes[:, 3]) >= LEVEL:
                    found |= {
                        frozenset((row.ids[i][0], other.ids[j][0]))
                        for i, j in _in_order(laid, other.boxes)
                        if _agreeing(overlap, row.boxes[i], other.boxes[j]) >= OWN
                    }
    return frozenset(found)


def _agreeing(overlap: Overlap, box: np.ndarray, other: np.ndarray) -> int:
    """Features that lie in a facing of either photo: what stands before or behind the fixture has others."""
    return int((_inside(overlap.here, box) & _inside(overlap.there, other)).sum())


def _inside(points: np.ndarray, box: np.ndarray) -> np.ndarray:
    return np.asarray(((points >= box[:2]) & (points <= box[2:])).all(1))


def _laid_boxes(overlap: Overlap, row: FacingRow) -> np.ndarray:
    """Boxes (m, 4) of a row's facings in the second photo."""
    x0, y0, x1, y1 = row.boxes.T
    corners = np.stack([overlap.on_second(np.stack(pair, 1)) for pair in ((x0, y0), (x1, y0), (x1, y1), (x0, y1))], 1)
    return np.concatenate([corners.min(1), corners.max(1)], 1)


def _shared(top: np.ndarray, low: np.ndarray, top2: np.ndarray, low2: np.ndarray) -> float:
    """How much of their usual heights two rows share."""
    a, b, c, d = (float(np.median(values)) for values in (top, low, top2, low2))
    return max(min(b, d) - max(a, c), 0.0) / max(min(b - a, d - c), 1e-6)


def _in_order(laid: np.ndarray, boxes: np.ndarray) -> Iterator[tuple[int, int]]:
    """Pairs of facings that lie on each other, from the left, each in one pair at most."""
    wide = np.minimum(laid[:, None, 2], boxes[None, :, 2]) - np.maximum(laid[:, None, 0], boxes[None, :, 0])
    both = (laid[:, 2] - laid[:, 0])[:, None] + (boxes[:, 2] - boxes[:, 0])[None] - np.maximum(wide, 0)
    share = np.maximum(wide, 0) / np.maximum(both, 1e-6)
    after = -1
    for i in range(len(laid)):
        j = int(share[i].argmax())
        if share[i, j] >= SAME and j > after and int(share[:, j].argmax()) == i:
            after = j
            yield i, j
