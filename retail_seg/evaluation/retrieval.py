"""Labelled crops ► how well a store of the gallery names the queries, by the very path that a store takes.

The gallery's pictures become references with all their views and local features, a `Ranker` is fitted to them, and
each query is ranked: projection, exact search, second look, calibration. Beside it stands the plain answer: cosine of
the vectors as they come from the network. What is asked of it is what a shop needs: how much is answered *sure*, how
much of that is right, with every product in the catalogue and with strangers among them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from index.calibration import ONE_REFERENCE, Policy, expected_calibration_error
from index.views import reference_views
from retail_seg.errors import LabelledCropsError, PhotoError
from retail_seg.evaluation.trial_store import EmbeddedCrops, TrialStore, embed_crops
from retail_seg.store.asked import VIEWS
from retail_seg.store.crop_lists import LabelledCrop

if TYPE_CHECKING:
    from catalogue.health import Tracked
    from index import Embedder, Ranking

#: References per product that are tried, the first ones of the gallery.
REFERENCE_COUNTS = (1, 2, 4, 8)
#: Ranks beyond this one count as not found in the mean average precision.
DEPTH = 100
#: Products are left out in this many parts, one part at a time.
PARTS = 3


@dataclass(frozen=True)
class Accuracy:
    """Scores with at most `references` references per product, every query's product being in the gallery.

    sure, sure_right  shares of all queries that are called sure, and are and are right
    precision         share right of the sure ones, None where there are none
    within_reach      share that could be answered, right, at the stated precision by the best threshold on them
    """

    references: int
    plain_top1: float
    top1: float
    top5: float
    map: float
    ece: float
    sure: float
    sure_right: float
    precision: float | None
    likely: float
    within_reach: float

    def line(self) -> str:
        """A line of the table."""
        values = f"{self.plain_top1:11.3f}  {self.top1:5.3f}  {self.top5:5.3f}  {self.map:5.3f}  {self.ece:5.3f}"
        precision = "    -" if self.precision is None else f"{self.precision:5.3f}"
        called = f"{self.sure:5.3f}  {self.sure_right:14.3f}  {precision:>9}  {self.within_reach:12.3f}"
        return f"{self.references:10}  {values}  {called}  {self.likely:6.3f}"


@dataclass(frozen=True)
class Strangers:
    """Products left out of the gallery, a third at a time, and asked all the same.

    share             of the queries that are taken to be strangers, as the policy expects
    precision         share right of the sure answers then, None where there are none
    called_sure       share of the strangers that are called sure, `called_likely` of those that are called likely
    sure_right        share of the others that are called sure and are right
    """

    share: float
    precision: float | None
    called_sure: float
    called_likely: float
    sure_right: float
    queries_left_out: int


@dataclass(frozen=True)
class Answers:
    """Probabilities (n,) of first answers, whether they are right, and how much each counts."""

    probability: np.ndarray
    right: np.ndarray
    weight: np.ndarray

    def coverage(self) -> tuple[np.ndarray, np.ndarray]:
        """Shares answered (n,), the surest first, and the shares of them that are right."""
        order = np.argsort(-self.probability, kind="stable")
        weight = self.weight[order]
        answered = np.cumsum(weight)
        return answered / max(answered[-1], 1e-12), np.cumsum(weight * self.right[order]) / answered


@dataclass(frozen=True)
class RetrievalResult:
    """Everything that is reported of one embedder; `probability` and `right` (n,) are those of the fullest gallery.

    `apart` holds products that the embedder learned from and others, each under what it is; `mixed` the answers where
    some queries are strangers.
    """

    embedder: str
    fingerprint: str
    projection: str
    products: int
    references: int
    queries: int
    policy: Policy
    threshold: float
    rows: tuple[Accuracy, ...]
    apart: Mapping[str, Accuracy]
    strangers: Strangers | None
    probability: np.ndarray
    right: np.ndarray
    mixed: Answers | None

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers for a JSON line."""
        names = ("embedder", "fingerprint", "projection", "products", "references", "queries", "threshold")
        return {
            **_rounded({name: getattr(self, name) for name in names}),
            "stated": asdict(self.policy),
            "by_references": [_rounded(asdict(row)) for row in self.rows],
            "apart": {name: _rounded(asdict(row)) for name, row in self.apart.items()},
            "left_out": _rounded(asdict(self.strangers)) if self.strangers else None,
        }

    def table(self) -> str:
        """The same for people."""
        lines = [
            f"{self.embedder}: {self.products} products, {self.references} references, {self.queries} queries;"
            f" projection {self.projection}",
            f"sure: stated precision {self.policy.precision:.0%}, from probability {self.threshold:.2f} on",
            "references  plain top-1  top-1  top-5    mAP    ECE   sure  sure and right"
            "  precision  within reach  likely",
        ]
        lines += [row.line() for row in self.rows]
        lines += [f"{row.line()}  {name}" for name, row in self.apart.items()]
        if self.strangers:
            one = self.strangers
            precision = "nothing is sure" if one.precision is None else f"precision of sure {one.precision:.1%}"
            lines.append(
                f"a third of the products left out at a time, {one.share:.0%} of the crops theirs: {precision}; "
                f"{one.called_sure:.1%} of the strangers called sure, {one.called_likely:.1%} likely; "
                f"{one.sure_right:.1%} of the others sure and right"
            )
        if self.references == self.products:
            lines.append(ONE_REFERENCE)
        return "\n".join(lines)


def evaluate_retrieval(
    gallery: Sequence[LabelledCrop],
    queries: Sequence[LabelledCrop],
    embedder: Embedder,
    *,
    policy: Policy | None = None,
    seen: Collection[str] = (),
    progress: Tracked | None = None,
) -> tuple[RetrievalResult, list[PhotoError]]:
    """Score an embedder on a gallery and queries; also the errors of pictures that could not be used.

    `seen` names the labels that the embedder was trained with: they and the others are scored apart, too.
    Raises LabelledCropsError where no label of the queries is in the gallery.
    """
    policy = policy or Policy()
    numbers = {label: at for at, label in enumerate(sorted({row.label for row in gallery}))}
    known = [row for row in queries if row.label in numbers]
    if not known:
        raise LabelledCropsError("No label of the queries is in the gallery: give both lists the same labels.")
    shelf, errors = embed_crops(gallery, numbers, embedder, reference_views, progress, show=VIEWS)
    asked, more = embed_crops(known, numbers, embedder, lambda crop, mask: [(crop, mask)], progress)
    if not len(shelf.labels) or not len(asked.labels):
        raise LabelledCropsError("No picture of the gallery or of the queries could be read: check the paths.")
    rows, store, rankings = _by_references(shelf, asked, embedder.name, policy)
    strangers, mixed = _strangers(shelf, asked, embedder.name, policy)
    result = RetrievalResult(
        embedder=embedder.name,
        fingerprint=embedder.fingerprint,
        projection=store.ranker.projection.kind,
        products=len(np.unique(shelf.labels)),
        references=len(shelf.labels),
        queries=len(asked.labels),
        policy=policy,
        threshold=store.ranker.calibration.threshold,
        rows=tuple(rows),
        apart=_apart(shelf, asked, store, rankings, [numbers[label] for label in seen if label in numbers]),
        strangers=strangers,
        probability=np.array([ranking.probability for ranking in rankings]),
        right=_rank_of(rankings, asked.labels) == 0,
        mixed=mixed,
    )
    return result, errors + more


def within_reach(probability: np.ndarray, right: np.ndarray, precision: float) -> float:
    """The share of all answers (n,) that is right and can be given, the surest first, at this precision."""
    order = np.argsort(-probability, kind="stable")
    hits = np.cumsum(right[order])
    enough = np.flatnonzero(hits >= precision * np.arange(1, len(order) + 1))
    return float(hits[enough[-1]] / len(order)) if len(enough) else 0.0


def _by_references(
    shelf: EmbeddedCrops, asked: EmbeddedCrops, embedder: str, policy: Policy
) -> tuple[list[Accuracy], TrialStore, list[Ranking]]:
    """A row for each number of references, and the fullest store with its answers."""
    nth = _nth(shelf.labels)
    fullest = int(nth.max()) + 1
    rows = []
    for count in [count for count in REFERENCE_COUNTS if count < fullest] + [fullest]:
        store = TrialStore(shelf.take(np.flatnonzero(nth < count)), embedder, policy)
        rankings = store.rank(asked, DEPTH)
        rows.append(_accuracy(count, store.plain(asked), rankings, asked.labels, policy))
    return rows, store, rankings


def _apart(
    shelf: EmbeddedCrops, asked: EmbeddedCrops, store: TrialStore, rankings: Sequence[Ranking], seen: Sequence[int]
) -> dict[str, Accuracy]:
    """Queries of products seen and unseen in the whole store, and unseen ones in a store of their own kind alone."""
    mine, theirs = np.isin(asked.labels, seen), ~np.isin(shelf.labels, seen)
    if mine.all() or not mine.any():
        return {}
    count, policy = int(_nth(shelf.labels).max()) + 1, store.ranker.calibration.policy

    def within(at: np.ndarray) -> Accuracy:
        part = asked.take(at)
        return _accuracy(count, store.plain(part), [rankings[i] for i in at], part.labels, policy)

    others = asked.take(np.flatnonzero(~mine))
    alone = TrialStore(shelf.take(np.flatnonzero(theirs)), store.ranker.embedder, policy)
    return {
        "products seen in training": within(np.flatnonzero(mine)),
        "products never seen": within(np.flatnonzero(~mine)),
        "never seen, in a store without the others": _accuracy(
            count, alone.plain(others), alone.rank(others, DEPTH), others.labels, policy
        ),
    }


def _nth(labels: np.ndarray) -> np.ndarray:
    """Of each row, how many rows of its label stand before it."""
    order = np.argsort(labels, kind="stable")
    starts = np.r_[0, np.flatnonzero(np.diff(labels[order])) + 1]
    sizes = np.diff(np.r_[starts, len(labels)])
    nth = np.empty(len(labels), np.int64)
    nth[order] = np.arange(len(labels)) - np.repeat(starts, sizes)
    return nth


def _rank_of(rankings: Sequence[Ranking], labels: np.ndarray) -> np.ndarray:
    """The place of the right product in each ranking, from 0; DEPTH where it is not in it."""
    places = []
    for ranking, label in zip(rankings, labels.tolist(), strict=True):
        owners = [candidate.owner for candidate in ranking.candidates]
        places.append(owners.index(label) if label in owners else DEPTH)
    return np.array(places)


def _called(rankings: Sequence[Ranking], what: str) -> np.ndarray:
    return np.array([ranking.certainty == what for ranking in rankings])


def _accuracy(count: int, plain: float, rankings: Sequence[Ranking], labels: np.ndarray, policy: Policy) -> Accuracy:
    rank = _rank_of(rankings, labels)
    sure, right = _called(rankings, "sure"), rank == 0
    probability = np.array([ranking.probability for ranking in rankings])
    return Accuracy(
        references=count,
        plain_top1=plain,
        top1=float(right.mean()),
        top5=float((rank < 5).mean()),
        map=float(np.where(rank < DEPTH, 1 / (rank + 1), 0).mean()),
        ece=expected_calibration_error(probability, right),
        sure=float(sure.mean()),
        sure_right=float((sure & right).mean()),
        precision=float(right[sure].mean()) if sure.any() else None,
        likely=float(_called(rankings, "likely").mean()),
        within_reach=within_reach(probability, right, policy.precision),
    )


def _strangers(
    shelf: EmbeddedCrops, asked: EmbeddedCrops, embedder: str, policy: Policy
) -> tuple[Strangers | None, Answers | None]:
    """Leave a part of the products out at a time; None where there are too few to leave any."""
    products = np.unique(shelf.labels)
    if len(products) < 2 * PARTS:
        return None, None
    parts = []
    for part in range(PARTS):
        out = products[part::PARTS]
        store = TrialStore(shelf.take(np.flatnonzero(~np.isin(shelf.labels, out))), embedder, policy)
        rankings = store.rank(asked, 1)
        first = np.array([ranking.candidates[0].owner for ranking in rankings])
        probability = np.array([ranking.probability for ranking in rankings])
        called = _called(rankings, "sure"), _called(rankings, "likely")
        parts.append((probability, first == asked.labels, np.isin(asked.labels, out), *called))
    probability, right, missing, sure, likely = (np.concatenate(column) for column in zip(*parts, strict=True))
    share = policy.strangers
    weight = np.where(missing, share / max(missing.sum(), 1), (1 - share) / max((~missing).sum(), 1))
    answered = float(weight[sure].sum())
    return Strangers(
        share=share,
        precision=float((weight * right)[sure].sum()) / answered if answered else None,
        called_sure=float(sure[missing].mean()),
        called_likely=float(likely[missing].mean()),
        sure_right=float((sure & right)[~missing].mean()),
        queries_left_out=int(missing.sum()),
    ), Answers(probability, right, weight)


def _rounded(values: dict[str, Any]) -> dict[str, Any]:
    return {name: round(value, 4) if isinstance(value, float) else value for name, value in values.items()}
