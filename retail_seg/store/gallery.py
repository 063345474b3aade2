"""The FAISS index of a store, kept level with its catalogue; SQLite is the truth, this is a cache of it."""

from __future__ import annotations

import hashlib
import logging
import threading
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from catalogue import Catalogue
from catalogue.following import FOLLOWING
from catalogue.records import Changes
from index.asking import Checked, Views
from index.embedder import too_small
from index.errors import IndexingError, IndexUnreachableError, VectorIndexError
from index.milvus import MilvusIndex
from index.ranking import Ranker, Ranking
from index.rerank import LocalEvidence, local_features
from index.vectors import VectorIndex
from index.views import Crop
from retail_seg.errors import StoreError
from retail_seg.store.index_server import empty_index, refuse_too_many, server_of
from retail_seg.store.owners import Owners
from retail_seg.store.policy import policy_of

log = logging.getLogger(__name__)

#: The snapshot is written again when catching up with the catalogue would take more rows than this, and a tenth of all.
SNAPSHOT_ROWS = 2000
#: The ranker is learned from at most about so many references; whole products are drawn.
SAMPLE = 20_000
#: It is learned anew when the number of references has changed by more than this share.
REFIT_SHARE = 0.2
#: References that are read from the catalogue at once.
PORTION = 4096
RANKER, RANKER_ID, LEARNED_FROM = "ranker", "ranker_id", "ranker_references"
#: When the first of the checked answers was given that it was measured on.
CHECKED_SINCE = "ranker_checked_since"

#: Reference ids int64 (n,) ► views of a sample of them.
Photographed = Callable[[np.ndarray], Views]


@dataclass(frozen=True)
class State:
    """An index, the catalogue revision that it is level with, and the ranker that projected its vectors."""

    index: VectorIndex | MilvusIndex
    revision: int
    ranker: Ranker
    ranker_id: str | None


@dataclass(frozen=True)
class Ranked:
    """A ranking with the SKU of each of its candidates, and whether facings beside it say another product."""

    ranking: Ranking
    skus: tuple[str, ...]
    odd: bool = False


@dataclass(frozen=True)
class TaughtFacings:
    """Facings that people have checked: raw vectors float32 (m, dim), local features (m), and SKUs (m), "" for a thing
    that is not in the catalogue; `since` is when the first of them was checked.
    """

    vectors: np.ndarray
    features: Sequence[bytes]
    skus: Sequence[str]
    since: str = ""


Taught = Callable[[], TaughtFacings | None]


class Gallery:
    """The searchable references of one store, for the threads of one process.

    Every process keeps its own index in memory and catches up with the catalogue before it searches, so what one
    process enrols is found by the next search of any other. The snapshot on disk only shortens the start.
    """

    def __init__(
        self,
        folder: Path,
        catalogue: Catalogue,
        embedder: str,
        photographed: Photographed | None = None,
        taught: Taught = lambda: None,
    ) -> None:
        self._path = folder / "index.faiss"
        self._catalogue = catalogue
        self._name = embedder
        self._photographed, self._taught = photographed, taught
        self._fingerprint = catalogue.embedder
        self._owners = Owners(catalogue.skus_of)
        self._lock, self._learning = threading.RLock(), threading.RLock()
        self._parted: tuple[object, VectorIndex | MilvusIndex] | None = None
        self._server = server_of(catalogue)
        try:
            self._state = self._opened()
        except IndexUnreachableError as error:
            self._go_on_alone(error)
        self._saved = self._state.revision

    def current(self) -> State:
        """Index and ranker, level with the catalogue at the time of the call, and consistent with each other.

        Raises StoreError where another process has meanwhile reindexed the store with another embedder.
        """
        state = self._state
        if state.revision == self._catalogue.revision and state.ranker_id == self._catalogue.get_setting(RANKER_ID):
            return state
        with self._lock:
            try:
                self._catch_up()
            except IndexUnreachableError as error:
                self._go_on_alone(error)
                self._catch_up()
            return self._state

    def _catch_up(self) -> None:
        if self._state.ranker_id != self._catalogue.get_setting(RANKER_ID):
            self._follow_ranker()
        # In portions: after a bulk import the changes alone would fill the memory.
        while self._state.revision < self._catalogue.revision:
            self._apply(self._catalogue.changes_since(self._state.revision, limit=PORTION))

    def _go_on_alone(self, error: IndexUnreachableError) -> None:
        """Answer from an index of this process, as long as it lives: SQLite has every vector."""
        if self._server is None:
            raise error
        refuse_too_many(self._catalogue, self._path, error)
        log.warning("%s Answers come from an index on this machine until the store is opened again.", error)
        self._server = None
        self._state = self._opened()

    def rank(
        self,
        vectors: np.ndarray,
        views: Sequence[Crop],
        top: int,
        among: Mapping[str, float] | None = None,
    ) -> list[Ranked | None]:
        """The products that crops with their masks resemble, by their raw vectors (n, dim) float32, best first.

        None for a crop that is too small to show anything. `among` names the SKUs that can be there, each with its
        weight (1 where all are as likely): no other takes part, and what is none of these is none of them.
        """
        rows = [at for at, (crop, _) in enumerate(views) if not too_small(crop)]
        if not rows:
            return [None] * len(views)
        state = self.current()
        look = LocalEvidence(lambda i: local_features(*views[rows[i]]), self._catalogue.reference_features)
        try:
            index, part = (state.index, {}) if among is None else self._among(state, among)
            found = state.ranker.rank(vectors[rows], index, self._owners.of, top=top, look=look, **part)
        except IndexUnreachableError as error:
            with self._lock:
                self._go_on_alone(error)
            return self.rank(vectors, views, top, among)
        ranked = dict(zip(rows, found, strict=True))
        return [self._named(ranked[at]) if at in ranked else None for at in range(len(views))]

    def _among(self, state: State, among: Mapping[str, float]) -> tuple[VectorIndex | MilvusIndex, dict[str, Any]]:
        """The index of the references that can be there, and what a ranker wants to know of them."""
        index = self._part(state, [sku for sku, value in among.items() if value > 0])
        weight = {self._owners.number(sku): value for sku, value in among.items() if value > 0}
        mean = sum(weight.values()) / max(len(weight), 1)

        def favour(owners: np.ndarray) -> np.ndarray:
            return np.log(np.array([weight[owner] / mean for owner in owners.tolist()]))

        return index, {"among": max(len(weight), 1), "favour": favour}

    def _named(self, ranking: Ranking) -> Ranked:
        return Ranked(ranking, tuple(self._owners.sku(one.owner) for one in ranking.candidates))

    def refit(self, *, force: bool = False) -> bool:
        """Learn projection and calibration anew, when the references have changed much since they were learned.

        Searches and changes of other threads go on meanwhile. A store that follows a centre answers by what the centre
        has learned.
        """
        with self._learning:
            count = self._catalogue.count_references()
            if (not force and not self._changed_much(count)) or self._catalogue.get_setting(FOLLOWING):
                return False
            taught = self._taught() if count else None
            ranker = self._learned(count, taught)
            self._keep(ranker, {LEARNED_FROM: str(count), CHECKED_SINCE: taught.since if taught else ""})
        return True

    def _changed_much(self, count: int) -> bool:
        learned = int(self._catalogue.get_setting(LEARNED_FROM) or 0)
        return abs(count - learned) > learned * REFIT_SHARE

    def restate(self) -> None:
        """Answer by the policy that the store's settings state now; nothing is learned anew."""
        with self._learning:
            self._keep(self.current().ranker.stating(policy_of(self._catalogue)), {})

    def _fitted(self, count: int, taught: TaughtFacings | None) -> Ranker:
        ids, vectors, owners = self._sample(count)
        return Ranker.fit(
            vectors,
            ids,
            owners,
            self._name,
            policy_of(self._catalogue),
            features=self._catalogue.reference_features,
            views=None if self._photographed is None else self._photographed(ids),
            checked=self._checked(taught),
            products=self._catalogue.count_products(),
        )

    def _checked(self, found: TaughtFacings | None) -> Checked | None:
        """Facings that people have checked; those of products that are gone say nothing."""
        if found is None or not len(found.skus):
            return None
        there = self._catalogue.names_of({sku for sku in found.skus if sku})
        rows = [at for at, sku in enumerate(found.skus) if not sku or sku in there]
        owners = [self._owners.number(found.skus[at]) if found.skus[at] else -1 for at in rows]
        return Checked(found.vectors[rows], [found.features[at] for at in rows], np.array(owners, np.int64))

    def learned(self) -> Ranker:
        """What would be learned from the references and checked facings of today; nothing is kept."""
        count = self._catalogue.count_references()
        return self._learned(count, self._taught() if count else None)

    def _learned(self, count: int, taught: TaughtFacings | None) -> Ranker:
        return self._fitted(count, taught) if count else self._unfitted()

    def _keep(self, ranker: Ranker, settings: dict[str, str]) -> None:
        """Answer by a ranker from now on, here and in every process; an index of its own is made before that."""
        data = ranker.to_bytes()
        digest = hashlib.sha256(data).hexdigest()[:16]
        made = self._built(ranker, digest) if ranker.fingerprint != self._state.ranker.fingerprint else None
        with self._lock:
            self._catalogue.set_settings({RANKER: data.decode(), RANKER_ID: digest} | settings)
            self._state = made or replace(self._state, ranker=ranker, ranker_id=digest)
            self.current()

    def save(self) -> None:
        """Write the snapshot, when the next start would otherwise have much to catch up with."""
        if isinstance(self._state.index, MilvusIndex):
            return  # it keeps itself
        state = self.current()
        if self._path.exists() and state.revision == self._saved:
            return
        if not self._path.exists() or self._rows_since() > max(SNAPSHOT_ROWS, len(state.index) // 10):
            self.write()

    def write(self) -> None:
        """Write the snapshot in one step; searches go on meanwhile."""
        with self._lock:
            state = self.current()
            if not isinstance(state.index, MilvusIndex):
                state.index.save(self._path, state.revision)
            self._saved = state.revision

    def _rows_since(self) -> int:
        changes = self._catalogue.changes_since(self._saved)
        return len(changes.added) + len(changes.removed)

    def _part(self, state: State, among: Sequence[str]) -> VectorIndex | MilvusIndex:
        """An index of the references of some products, remembered until the catalogue or the products change."""
        key = state.revision, state.ranker.fingerprint, frozenset(among)
        with self._lock:
            if self._parted is None or self._parted[0] != key:
                wanted = [reference.id for sku in sorted(among) for reference in self._catalogue.references(sku)]
                whole = state.index
                part = whole.part(wanted) if isinstance(whole, MilvusIndex) else self._copied(state, wanted)
                self._parted = key, part
            return self._parted[1]

    def _copied(self, state: State, wanted: Sequence[int]) -> VectorIndex:
        """Some references in an index of their own."""
        index = VectorIndex(state.ranker.dim)
        if rows := self._catalogue.vectors_of(wanted):
            ids, vectors = stack(rows, self._catalogue.dim)
            index.add(ids, state.ranker.project(vectors))
        return index

    def _apply(self, changes: Changes) -> None:
        if changes.embedder != self._fingerprint:
            raise StoreError(
                f"{self._path.parent}: was reindexed with another embedder ({changes.embedder}); open the store again"
            )
        self._owners.forget([*changes.removed, *(row[0] for row in changes.added)])
        state = self._state
        if changes.removed:
            state.index.remove(np.array(changes.removed, np.int64))
        if changes.added:
            ids, vectors = stack(changes.added, self._catalogue.dim)
            state.index.replace(ids, state.ranker.project(vectors))
        if isinstance(state.index, MilvusIndex):
            state.index.level(changes.revision)
        self._state = replace(state, revision=changes.revision)

    def _follow_ranker(self) -> None:
        """Take the ranker that the catalogue names; the index is filled anew where its projection is another."""
        ranker, ranker_id = self._read_ranker()
        if ranker.fingerprint == self._state.ranker.fingerprint:
            self._state = replace(self._state, ranker=ranker, ranker_id=ranker_id)
        else:
            self._state = self._built(ranker, ranker_id)

    def _read_ranker(self) -> tuple[Ranker, str | None]:
        ranker_id, text = self._catalogue.get_setting(RANKER_ID), self._catalogue.get_setting(RANKER)
        try:
            return (Ranker.from_bytes(text.encode()) if text else self._unfitted()), ranker_id
        except IndexingError as error:  # of another version: what is learned from references can be learned again
            log.warning("%s: answers by what is true of any store until it is reindexed. %s", self._path.parent, error)
            return self._unfitted(), ranker_id

    def _unfitted(self) -> Ranker:
        return Ranker.unfitted(self._catalogue.dim, self._name, policy_of(self._catalogue))

    def _opened(self) -> State:
        """From the snapshot; where it is missing, damaged or of other vectors, from the catalogue's own."""
        ranker, ranker_id = self._read_ranker()
        if self._server is not None:
            found = self._server.open(self._tag(ranker))
            if found is None or found[1] > self._catalogue.revision:
                return self._built(ranker, ranker_id)
            return State(*found, ranker, ranker_id)
        if not self._path.exists():
            return self._built(ranker, ranker_id)
        try:
            index, revision = VectorIndex.load(self._path)
        except VectorIndexError:  # a cache that cannot be read loses nothing: SQLite has every vector
            return self._built(ranker, ranker_id)
        if index.tag != self._tag(ranker) or revision > self._catalogue.revision:
            return self._built(ranker, ranker_id)
        return State(index, revision, ranker, ranker_id)

    def _built(self, ranker: Ranker, ranker_id: str | None) -> State:
        """All vectors of the catalogue in a new index; needs no network."""
        revision = self._catalogue.revision
        self._owners.forget()
        index = empty_index(self._catalogue, self._server, ranker.dim, self._tag(ranker))
        rows = self._catalogue.iter_vectors(up_to=revision)
        while batch := list(islice(rows, PORTION)):
            ids, vectors = stack(batch, self._catalogue.dim)
            index.add(ids, ranker.project(vectors))
        if isinstance(index, MilvusIndex):
            index.enforce(revision)
        return State(index, revision, ranker, ranker_id)

    def _sample(self, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Ids, raw vectors and owners of all references, or of whole products that hold about SAMPLE of them."""
        share = SAMPLE / max(count, 1)
        rows = self._catalogue.iter_vectors()
        parts = []
        while batch := list(islice(rows, PORTION)):
            owners = self._owners.of(np.array([row[0] for row in batch]))
            kept = [(row, o) for row, o in zip(batch, owners, strict=True) if o >= 0 and self._in_sample(o, share)]
            if kept:
                ids, vectors = stack([row for row, _ in kept], self._catalogue.dim)
                parts.append((ids, vectors, np.repeat([o for _, o in kept], [row[2] for row, _ in kept])))
        if not parts:
            return np.zeros(0, np.int64), np.zeros((0, self._catalogue.dim), np.float32), np.zeros(0, np.int64)
        ids, vectors, owner = (np.concatenate(part) for part in zip(*parts, strict=True))
        return ids, vectors, owner

    def _in_sample(self, owner: int, share: float) -> bool:
        return share >= 1 or zlib.crc32(self._owners.sku(owner).encode()) < share * 2**32

    def _tag(self, ranker: Ranker) -> str:
        return f"{self._catalogue.identity} {self._fingerprint} {ranker.fingerprint}"


def stack(rows: list[tuple[int, bytes, int]], dim: int) -> tuple[np.ndarray, np.ndarray]:
    """(reference id, float32 bytes, views) ► ids (n,) int64 and vectors (n, dim) float32, one row a view."""
    ids = np.repeat([row[0] for row in rows], [row[2] for row in rows]).astype(np.int64)
    return ids, np.frombuffer(b"".join(row[1] for row in rows), np.float32).reshape(-1, dim)
