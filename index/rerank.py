"""A second look at a close race: local features of the crop against those stored with the best candidates' references.

Small pictures of SIFT keypoints (Lowe 2004) as RootSIFT (Arandjelović & Zisserman 2012), four bits a number, so that a
reference takes some 15 kB. Matches are mutual, pass Lowe's ratio test, and have to agree on one similarity (turn,
scale, shift): every match proposes its own, from the two keypoints' frames (Philbin et al. 2007), and the proposal
that most others follow counts them. No chance is involved, and a can that lies down is no other case.

Sisters share their letters and differ in colour, which SIFT does not see: each keypoint carries the hue of its place,
and a match of other colours counts for less.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import cv2
import numpy as np

from index.candidates import Nearest
from index.errors import IndexingError
from index.evidence import CHANCE
from index.shared_work import for_each

#: Longer side, in pixels, at which keypoints are sought.
FEATURE_SIDE = 192
_KEYPOINTS = 250
_POINT = np.dtype([("x", "<u2"), ("y", "<u2"), ("scale", "u1"), ("angle", "u1"), ("descriptor", "u1", 64)])
_LEVELS = 30.0  # 4-bit level per unit of RootSIFT: what exceeds 0.5 is rare
# x holds a mark, 11 bits of place and 4 of a*, y 11 bits of place and 5 of b*; without the mark (features of older
# stores) both are places in 64ths of a pixel, and no colour is known
_COLOURED, _EIGHTHS = 0x8000, 0x7FF
_CHROMA = 64.0  # a* and b* are kept between plus and minus this
_GREEN_RED, _BLUE_YELLOW = 2 * _CHROMA / 15, 2 * _CHROMA / 31  # a* and b* a level
_PATCH = 4  # pixels of the side of a patch whose mean colour is taken

_RATIO = 0.9  # Lowe's ratio; mild, because mutual matches and geometry follow
_NEAR = 0.05 * FEATURE_SIDE  # pixels between where a keypoint is and where the similarity puts it
_TURN = 0.6  # radians, and powers of e, by which keypoints' own frames may differ from the similarity
_CAST = 8.0  # of a* and b*: what all matches have in common up to here is the light's
_ALIKE = 12.0  # of a* and b*: a match that is off by so much counts for .6

_LEAST_MATCHES = 3
_PAIRS = 15  # compared at most
_AT_ONCE = 64  # crops whose references' features are in memory together
_DECODED = 128  # references whose features stay decoded: facings beside each other share their candidates; 17 MB


#: Ids of references ► their local features, those that have some.
Features = Callable[[Sequence[int]], Mapping[int, bytes]]


@dataclass(frozen=True)
class LocalFeatures:
    """Keypoints of one picture: places complex64 (n,) in pixels, frames complex64 (n,), descriptors float32 (n, 128),
    colours float32 (n, 2).

    A frame is scale times e^(i angle), a colour CIELAB's a* and b*, NaN where it is not known.
    """

    places: np.ndarray
    frames: np.ndarray
    descriptors: np.ndarray
    colours: np.ndarray


@dataclass(frozen=True)
class LocalEvidence:
    """Where local features come from: `query(i)` of the i-th crop, `references(ids)` of stored references.

    Both give what `local_features` returned; a reference without any is left out of the mapping.
    """

    query: Callable[[int], bytes]
    references: Features


#: What `local_features` packed ► the keypoints; `decode_features`, or one that remembers.
Decode = Callable[[bytes], LocalFeatures]


def local_features(crop: np.ndarray, mask: np.ndarray | None = None) -> bytes:
    """The strongest 250 keypoints of an RGB uint8 crop (h, w, 3), within the mask bool (h, w) where one is given."""
    height, width = crop.shape[:2]
    factor = FEATURE_SIDE / max(height, width)
    size = (max(8, round(width * factor)), max(8, round(height * factor)))
    small = cv2.resize(crop, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC)
    allowed = None
    if mask is not None and not mask.all():
        allowed = cv2.resize(mask.astype(np.uint8) * 255, size, interpolation=cv2.INTER_NEAREST)
    keypoints, descriptors = _sift().detectAndCompute(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), allowed)
    if descriptors is None or len(keypoints) == 0:
        return b""
    strongest = np.argsort([-point.response for point in keypoints], kind="stable")[:_KEYPOINTS]
    chosen = [keypoints[i] for i in strongest]
    packed = np.zeros(len(chosen), _POINT)
    places = np.array([point.pt for point in chosen]).clip(0, FEATURE_SIDE)
    across, down = (places * 8).round().astype(np.uint16).T
    green_red, blue_yellow = _colour_levels(small, places)
    packed["x"], packed["y"] = _COLOURED | green_red << 11 | across, blue_yellow << 11 | down
    packed["scale"] = (np.log2([point.size for point in chosen]) * 24).round().clip(0, 255)
    packed["angle"] = np.round(np.array([point.angle for point in chosen]) * (256 / 360)).astype(int) % 256
    raw = descriptors[strongest]
    root = np.sqrt(raw / np.maximum(raw.sum(axis=1, keepdims=True), 1e-9))
    levels = np.round(root * _LEVELS).clip(0, 15).astype(np.uint8)
    packed["descriptor"] = levels[:, ::2] << 4 | levels[:, 1::2]
    return packed.tobytes()


def decode_features(data: bytes) -> LocalFeatures:
    """What `local_features` packed; raises IndexingError for bytes that it did not."""
    if len(data) % _POINT.itemsize:
        raise IndexingError(f"{len(data)} bytes are no local features: run reindex to compute them again.")
    packed = np.frombuffer(data, _POINT)
    descriptors = np.empty((len(packed), 128), np.float32)
    descriptors[:, ::2], descriptors[:, 1::2] = packed["descriptor"] >> 4, packed["descriptor"] & 15
    squares = np.einsum("nd,nd->n", descriptors, descriptors)  # whole numbers, so exact in any order
    descriptors /= np.maximum(np.sqrt(squares), 1e-9)[:, None]
    places, colours = _places_and_colours(packed["x"], packed["y"])
    frames = np.exp2(packed["scale"] / 24) * np.exp(packed["angle"] * (2j * np.pi / 256))
    return LocalFeatures(places, frames.astype(np.complex64), descriptors, colours)


def _colour_levels(picture: np.ndarray, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Levels uint16 (n,) of a* (4 bits) and b* (5 bits) around places (n, 2) of a picture RGB uint8."""
    size = max(picture.shape[1] // _PATCH, 1), max(picture.shape[0] // _PATCH, 1)
    lab = cv2.cvtColor(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2LAB)
    lab = cv2.GaussianBlur(lab, (0, 0), 1.0)
    x, y = (places / _PATCH).astype(int).T
    chroma = lab[y.clip(0, size[1] - 1), x.clip(0, size[0] - 1), 1:].astype(np.float32) - 128 + _CHROMA
    green_red, blue_yellow = (chroma / (_GREEN_RED, _BLUE_YELLOW)).round().clip(0, (15, 31)).astype(np.uint16).T
    return green_red, blue_yellow


def _places_and_colours(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places complex64 (n,) and colours float32 (n, 2) of packed numbers (n,)."""
    coloured = (x & _COLOURED) > 0
    if coloured.all():
        levels = np.stack([x >> 11 & 15, y >> 11], axis=1) * np.array([_GREEN_RED, _BLUE_YELLOW], np.float32)
        return ((x & _EIGHTHS) / np.float32(8) + 1j * ((y & _EIGHTHS) / np.float32(8))).astype(
            np.complex64
        ), levels - np.float32(_CHROMA)
    places = np.where(coloured, (x & _EIGHTHS) + 1j * (y & _EIGHTHS), (x + 1j * y) / 8) / 8
    chroma = np.stack([(x >> 11 & 15) * _GREEN_RED, (y >> 11) * _BLUE_YELLOW], axis=1) - _CHROMA
    return places.astype(np.complex64), np.where(coloured[:, None], chroma, np.nan).astype(np.float32)


def agreeing_features(query: LocalFeatures, reference: LocalFeatures) -> int:
    """How many features match and follow one similarity from the query to the reference; those of another colour than
    the reference's count for less.
    """
    mine, theirs = _agreeing(query, reference)
    return round(float(_alike(query.colours[mine] - reference.colours[theirs]).sum()))


def agreeing_places(query: LocalFeatures, reference: LocalFeatures) -> tuple[np.ndarray, np.ndarray]:
    """Where the features that match and follow one similarity lie, complex64 (n,) in either picture's pixels."""
    mine, theirs = _agreeing(query, reference)
    return query.places[mine], reference.places[theirs]


def _agreeing(query: LocalFeatures, reference: LocalFeatures) -> tuple[np.ndarray, np.ndarray]:
    """Positions of the features of either that match and follow one similarity."""
    mine, theirs = _matches(query.descriptors, reference.descriptors)
    if len(mine) < _LEAST_MATCHES:
        return mine[:0], theirs[:0]
    places, targets = query.places[mine], reference.places[theirs]
    turns = reference.frames[theirs] / query.frames[mine]
    shifts = targets - turns * places
    off = np.abs(turns[:, None] * places + shifts[:, None] - targets)
    frame = np.log(turns)  # scale in its real part, turn in its imaginary
    larger, turned = np.abs(frame.real[:, None] - frame.real), np.abs(frame.imag[:, None] - frame.imag)
    follows = (off < _NEAR) & (larger < _TURN) & (np.minimum(turned, 2 * np.pi - turned) < _TURN)
    best = follows[follows.sum(axis=1).argmax()]
    return mine[best], theirs[best]


def _alike(off: np.ndarray) -> np.ndarray:
    """How much matches (n,) count whose colours differ by `off` (n, 2); what is not known speaks against none."""
    unknown = np.isnan(off[:, 0])
    ordered = np.sort(off[~unknown] if unknown.any() else off, axis=0)
    if len(ordered) == 0:
        return np.ones(len(off))
    middle = (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2  # ten times as fast as np.median
    far = off - np.minimum(np.maximum(middle, -_CAST), _CAST)
    far[unknown] = 0
    return np.exp((far * far).sum(axis=1) / (-2 * _ALIKE**2))


@dataclass(frozen=True)
class Second:
    """What a second look at k candidates found.

    inliers     int (k,): features that agree with a candidate, -1 where none of its references was compared
    references  the reference of each that speaks for it
    points      features that the crop has
    """

    inliers: np.ndarray
    references: list[int]
    points: int


def second_looks(races: Mapping[int, Sequence[Nearest]], look: LocalEvidence) -> Iterator[tuple[int, Second]]:
    """Compare crops, by number, with their candidates, best first; those of which nothing can be compared are left out.

    A crop costs at most 15 comparisons of a third of a millisecond, and its own features; the cores share the crops.
    References' features are read for `_AT_ONCE` crops at a time.
    """
    numbers = list(races)
    decode = lru_cache(_DECODED)(decode_features)
    for start in range(0, len(numbers), _AT_ONCE):
        wanted = {at: asked(races[at]) for at in numbers[start : start + _AT_ONCE]}
        read = look.references(sorted({identity for ids in wanted.values() for identity in ids}))
        stored = {at: {one: read[one] for one in ids if one in read} for at, ids in wanted.items()}
        some = [at for at in stored if stored[at]]
        compared = for_each(partial(_second, look, races, stored, decode), some)
        yield from zip(some, compared, strict=True)


def _second(
    look: LocalEvidence,
    races: Mapping[int, Sequence[Nearest]],
    stored: Mapping[int, Mapping[int, bytes]],
    decode: Decode,
    at: int,
) -> Second:
    query = decode_features(look.query(at))
    counts = agreement(query, races[at], stored[at], decode=decode)
    return Second(np.array([count for count, _ in counts]), [one for _, one in counts], len(query.places))


def agreement(
    query: LocalFeatures,
    candidates: Sequence[Nearest],
    stored: Mapping[int, bytes],
    counted: dict[int, int] | None = None,
    *,
    decode: Decode = decode_features,
) -> list[tuple[int, int]]:
    """Of each candidate the most features that agree with one of its references among `stored`, and which one.

    `counted` remembers the counts of this crop by reference, for a crop that is asked several times.
    """
    counted = {} if counted is None else counted
    found = []
    for one in candidates:
        for identity in one.references.tolist():
            if identity in stored and identity not in counted:
                counted[identity] = agreeing_features(query, decode(stored[identity]))
        there = [identity for identity in one.references.tolist() if identity in stored]
        winner = max(there, key=lambda identity: counted[identity], default=int(one.references[0]))
        most = counted[winner] if there else -1
        found.append((most, winner if most > CHANCE else int(one.references[0])))
    return found


def asked(candidates: Sequence[Nearest]) -> list[int]:
    """The references to compare with: the nearest 15, at most three of one candidate."""
    ids = np.concatenate([one.references for one in candidates])
    scores = np.concatenate([one.scores for one in candidates])
    return ids[np.argsort(-scores, kind="stable")[:_PAIRS]].tolist()


def _matches(query: np.ndarray, reference: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positions of mutual nearest descriptors that pass the ratio test."""
    if len(query) < 2 or len(reference) < 2:
        return np.empty(0, int), np.empty(0, int)
    cosine = query @ reference.T
    nearest = cosine.argmax(axis=1)
    rows = np.arange(len(query))
    best = cosine[rows, nearest]
    mutual = cosine.argmax(axis=0)[nearest] == rows
    cosine[rows, nearest] = -1
    second = cosine.max(axis=1)
    # on unit vectors the squared distance is 2 - 2 cosine
    mine = np.flatnonzero(mutual & (1 - best < _RATIO**2 * (1 - second)))
    return mine, nearest[mine]


_thread = threading.local()


def _sift() -> Any:
    """One detector a thread: OpenCV's objects are not to be shared between threads."""
    if not hasattr(_thread, "sift"):
        _thread.sift = cv2.SIFT_create(contrastThreshold=0.02, edgeThreshold=12)  # type: ignore[attr-defined]
    return _thread.sift
