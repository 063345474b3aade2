"""A catalogue asks itself, with its references as photos would show them, how far its answers can be trusted.

Every view of a reference is asked three times: with its own reference in place, without it among its product's others
(where there are some), and with the whole product left out, which makes it a stranger with its sisters there.
References in place are what a photo from the same series meets, references left out what one from another series meets;
which of the two a shelf's photos are is not known, so both are learned from. Facings that people have checked are asked
as they are, and count for more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from index.calibration import STRANGERS
from index.candidates import CANDIDATES, Nearest, grouped, score_table
from index.evidence import BEYOND, MISSING, Answered, Found
from index.leave_one_out import References
from index.projection import Projection
from index.rerank import Features, LocalFeatures, agreement, asked, decode_features

#: Wraps the views that are asked, with their number, to show progress; it may raise to end the work.
Watched = Callable[[Iterable[Any], int], Iterable[Any]]

_IN_PLACE = 0.65  # of the weight of views whose product is there, the share of those whose own reference is in place
_TOTAL = 500.0  # all views together count for at most so many photos
_CHECKED = 2.0  # photos' worth that a checked facing counts for; a view asked in its three ways counts for one
_NEAREST = 160  # references that are looked at for candidates
_SAME = 0.995  # cosine of raw vectors from which on a checked facing is the reference's own picture
_BLOCK = 64


@dataclass(frozen=True)
class Views:
    """Pictures to ask with: raw vectors float32 (m, dim), their local features (m), b"" for none, and, of each, the
    reference int64 (m,) that it is a view of. `studio` is the share of them whose reference is a studio picture.
    """

    vectors: np.ndarray
    features: Sequence[bytes]
    references: np.ndarray
    studio: float = 0.0


@dataclass(frozen=True)
class Checked:
    """Facings of which a person said what they are: raw vectors (m, dim), local features (m), and owners int64 (m,),
    -1 for a thing that is not in the catalogue.
    """

    vectors: np.ndarray
    features: Sequence[bytes]
    owners: np.ndarray


def ask_views(
    projection: Projection,
    references: References,
    views: Views,
    features: Features | None,
    progress: Watched = lambda items, total: items,
) -> Answered:
    """Ask `references` (with ids) with views of some of them; `features` gives references' local features."""
    asking = _Asking(projection, references, features)
    at = {int(identity): row for row, identity in enumerate(asking.ids.tolist())}
    kept = np.array([row for row, identity in enumerate(views.references.tolist()) if identity in at], int)
    own = np.array([at[int(views.references[row])] for row in kept], int)
    several = np.isin(asking.owners, asking.owners[_again(asking.owners)])
    rounds: dict[str, list[_Answer]] = {"in": [], "out": [], "stranger": []}
    blocks = range(0, len(kept), _BLOCK)
    for start in progress(blocks, len(blocks)):
        block = slice(start, start + _BLOCK)
        scores = asking.scores(views.vectors[kept[block]])
        itself = (views.vectors[kept[block]] * references.vectors[own[block]]).sum(axis=1) >= _SAME
        for row, mine, line, same in zip(kept[block].tolist(), own[block].tolist(), scores, itself, strict=True):
            crop = asking.crop(views.features[row], line)
            if not same:  # a reference as it is finds itself, which says nothing
                rounds["in"].append(crop.answer(np.array([], int), asking.owners[mine]))
            if several[mine]:
                rounds["out"].append(crop.answer(np.array([mine]), asking.owners[mine]))
            rounds["stranger"].append(crop.answer(np.flatnonzero(asking.owners == asking.owners[mine]), -1))
    in_place = (_IN_PLACE if rounds["out"] else 1.0) if rounds["in"] else 0.0
    total = min(_TOTAL, float(len(kept)))
    present = total * (1 - STRANGERS)
    return Answered.joined(
        [
            _answered(rounds["in"], present * in_place),
            _answered(rounds["out"], present * (1 - in_place)),
            _answered(rounds["stranger"], total * STRANGERS),
        ]
    )


def ask_checked(
    projection: Projection,
    references: References,
    checked: Checked,
    features: Features | None,
    missing: Callable[[int], np.ndarray] | None = None,
) -> Answered:
    """Ask with facings that people have checked; a reference that is the facing's own picture takes no part.

    Facings of products that none of `references` shows say nothing, for those may be a sample. `missing` gives owners
    int64 (m,) that are left out, a facing's own among them: each facing is then asked once more as a stranger, and
    those answers count together for STRANGERS of all.
    """
    asking = _Asking(projection, references, features)
    there = np.flatnonzero((checked.owners < 0) | np.isin(checked.owners, references.owners))
    checked = Checked(checked.vectors[there], [checked.features[at] for at in there.tolist()], checked.owners[there])
    rows, strange = [], []
    for start in range(0, len(checked.owners), _BLOCK):
        block = slice(start, start + _BLOCK)
        scores, raw = asking.scores(checked.vectors[block]), checked.vectors[block] @ references.vectors.T
        for row, (line, same) in enumerate(zip(scores, raw, strict=True), start):
            crop, owner = asking.crop(checked.features[row], line), int(checked.owners[row])
            rows.append(crop.answer(np.flatnonzero(same >= _SAME), owner))
            if missing is not None and owner >= 0:
                strange.append(crop.answer(np.flatnonzero(np.isin(asking.owners, missing(owner))), -1))
    total = _CHECKED * len(rows)
    if not strange:
        return _answered(rows, total)
    return Answered.joined([_answered(rows, total * (1 - STRANGERS)), _answered(strange, total * STRANGERS)])


class _Asking:
    """References as searches compare them; remembers what was decoded."""

    def __init__(self, projection: Projection, references: References, features: Features | None) -> None:
        count = len(references.owners)
        self.ids = np.arange(count) if references.ids is None else references.ids
        self.owners = references.owners
        self._projection, self._features = projection, features
        self._vectors = projection.apply(references.vectors)

    def scores(self, vectors: np.ndarray) -> np.ndarray:
        return self._projection.apply(np.asarray(vectors, np.float32)) @ self._vectors.T

    def crop(self, features: bytes, scores: np.ndarray) -> _Crop:
        return _Crop(self, scores, decode_features(features) if features and self._features else None)

    def stored(self, ids: list[int]) -> dict[int, bytes]:
        return dict(self._features(ids)) if self._features is not None else {}


@dataclass(frozen=True)
class _Answer:
    """Candidates, how many features agree with each, how many there are, and the right one's place, see `Answered`."""

    candidates: list[Nearest]
    inliers: np.ndarray
    points: int
    right: int


class _Crop:
    """One crop, asked several times: its features are compared with those of a reference once."""

    def __init__(self, asking: _Asking, scores: np.ndarray, features: LocalFeatures | None) -> None:
        self._asking, self._scores, self._features = asking, scores, features
        self._counted: dict[int, int] = {}
        self._stored: dict[int, bytes] = {}
        self._order: np.ndarray = np.empty(0, int)

    def answer(self, out: np.ndarray, owner: int) -> _Answer:
        """The answer without the references at `out`, to a crop of the product `owner`."""
        row = self._nearest(out)
        inliers = np.full(len(row), -1)
        if self._features is not None and len(row) > 1:
            wanted = asked(row)
            self._stored |= self._asking.stored([i for i in wanted if i not in self._stored])
            stored = {i: self._stored[i] for i in wanted if i in self._stored}
            inliers = np.array([count for count, _ in agreement(self._features, row, stored, self._counted)])
        nowhere = MISSING if owner < 0 else BEYOND
        right = next((at for at, one in enumerate(row) if one.owner == owner), nowhere)
        return _Answer(row, inliers, 0 if self._features is None else len(self._features.places), right)

    def _nearest(self, out: np.ndarray) -> list[Nearest]:
        asking = self._asking
        wanted = min(_NEAREST + len(out), len(self._scores))
        if len(self._order) < wanted:
            near = np.argpartition(-self._scores, wanted - 1)[:wanted]
            self._order = near[np.argsort(-self._scores[near], kind="stable")]
        order = self._order[~np.isin(self._order, out)] if len(out) else self._order
        return grouped(self._scores[order], asking.ids[order], asking.owners[order], CANDIDATES)


def _again(owners: np.ndarray) -> np.ndarray:
    """Rows whose owner stood before."""
    again = np.ones(len(owners), bool)
    again[np.unique(owners, return_index=True)[1]] = False
    return np.flatnonzero(again)


def _answered(answers: list[_Answer], weight: float) -> Answered:
    """Answers as arrays; those without any candidate say nothing. `weight` is that of all together."""
    answers = [one for one in answers if one.candidates]
    inliers = np.full((len(answers), CANDIDATES), -1)
    for at, one in enumerate(answers):
        inliers[at, : len(one.inliers)] = one.inliers
    points = np.array([one.points for one in answers], int)
    found = Found(score_table([one.candidates for one in answers]), inliers, points)
    right = np.array([one.right for one in answers], int)
    return Answered(found, right, np.full(len(answers), weight / max(len(answers), 1)))
