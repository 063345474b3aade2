"""From one snapshot to another: the parts that differ, what is kept for the way back, and the one transaction."""

from __future__ import annotations

import json
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from catalogue import Catalogue, following
from catalogue.following import FOLLOWING, Arrivals, Incoming
from catalogue.snapshot import Moment, at_one_moment
from retail_seg.chain.chunks import Chunks, no_room
from retail_seg.chain.packing import PART, Chunk, chunk_of, pack, unpack
from retail_seg.chain.remote import Remote
from retail_seg.chain.snapshot import Part, Snapshot
from retail_seg.errors import ChainError
from retail_seg.store.enrolment import embed_kept
from retail_seg.store.following import CHAIN, Followed
from retail_seg.store.networks import load_embedder
from retail_seg.store.opening import CATALOGUE, embedder_settings, open_catalogue


class Switch:
    """The way of one store from where it stood (None: from nothing) to a snapshot: `ready`, `fetch`, `take`."""

    def __init__(self, store: Path, stood: Followed | None, remote: Callable[[], Remote]) -> None:
        self.chunks = Chunks(store / CHAIN / "chunks")
        self._store, self._stood, self._remote = store, stood, remote
        self._old = self._stood_on()
        self._known = set() if self._old is None else set(self._old.chunks())
        self._settings: dict[str, str] = {}
        self._weights: Path | None = None

    def ready(self, snapshot: Snapshot, weights: Path | None = None) -> None:
        """Make sure, before anything is fetched, that the snapshot's embedder can answer here; raises ChainError."""
        there = (self._store / CATALOGUE).exists()
        if there:
            with open_catalogue(self._store) as catalogue:
                if catalogue.embedder == snapshot.embedder[1]:
                    return
                if self._stood is None:
                    raise ChainError(
                        f"{self._store}: is a store of another embedder ({catalogue.embedder}) than the snapshot "
                        f"({snapshot.embedder[0]}:{snapshot.embedder[1]}); follow into a new folder with --store"
                    )
        self._weights = weights
        self._settings = _embedder_for(self._store, snapshot, weights) | ({} if there else {"index": snapshot.index})

    def fetch(self, snapshot: Snapshot, on_chunk: Callable[[int, int], None]) -> int:
        """Fetch what the snapshot has and the store has not, segmenter included; returns bytes. Raises ChainError."""
        wanted = [*snapshot.settings, *(part.chunk for part in self._new(snapshot.products))]
        wanted += [part.chunk for part in self._new(snapshot.references)]
        folder = model_folder(self._store, snapshot.model_name)
        if not folder.is_dir():
            wanted += [chunk for file in snapshot.files for chunk in file.chunks]
        fetched = self.chunks.fetch(wanted, self._remote, on_chunk)
        if not folder.is_dir():
            self._lay_model(snapshot, folder)
        return fetched

    def take(self, snapshot: Snapshot, stands: Followed, by: str) -> Arrivals:
        """Stand on the snapshot: all of it or nothing; then drop what neither it nor the way back needs."""
        settings = json.loads(b"".join(self.chunks.need(chunk) for chunk in snapshot.settings))
        incoming = Incoming(
            embedder=snapshot.embedder[1],
            dim=snapshot.embedder[2],
            products=self._rows(self._new(snapshot.products)),
            references=self._rows(self._new(snapshot.references)),
            gone_skus=self._gone_skus(snapshot),
            gone_ids=self._gone_ids(snapshot),
            settings={**settings, **self._settings, FOLLOWING: json.dumps(stands.to_json(), ensure_ascii=False)},
        )
        with self._opened(snapshot) as catalogue:
            if stands.previous:
                self._keep_old(catalogue, snapshot)
            taken = following.take(catalogue, incoming, f"follow snapshot {stands.number}", by=by)
        self._tidy(snapshot, stands)
        return taken

    @contextmanager
    def _opened(self, snapshot: Snapshot) -> Iterator[Catalogue]:
        """The store's catalogue, made where there is none; its own references are ready for the snapshot's embedder."""
        name, fingerprint, dim = snapshot.embedder
        if not (self._store / CATALOGUE).exists():
            try:
                Catalogue.create(self._store / CATALOGUE, embedder=fingerprint, dim=dim).close()
            except (OSError, sqlite3.DatabaseError) as error:
                raise no_room(self._store, error) from None
        with open_catalogue(self._store) as catalogue:
            if own := following.own_without(catalogue, fingerprint):
                embedder = load_embedder(name, self._weights)
                for id_ in own:  # beside the vectors in use, which answer until the snapshot is taken
                    views = [(catalogue.reference_picture(id_), catalogue.reference_mask(id_))]
                    catalogue.set_vectors([(id_, *embed_kept(embedder, views)[0])], fingerprint)
            yield catalogue

    def _stood_on(self) -> Snapshot | None:
        """The snapshot that the store stands on, None where it is not known: then all parts count as new."""
        if self._stood is None:
            return None
        data = self.chunks.get(Chunk(self._stood.snapshot, self._stood.size))
        return None if data is None else Snapshot.from_bytes(data)

    def _new(self, parts: Iterable[Part]) -> list[Part]:
        return [part for part in parts if part.chunk not in self._known]

    def _rows(self, parts: Sequence[Part]) -> Iterator[list[dict[str, Any]]]:
        for part in parts:
            yield unpack(self.chunks.need(part.chunk))

    def _gone_skus(self, snapshot: Snapshot) -> list[tuple[str, str | None]]:
        """SKUs of the parts that are no more, as ranges; all of them where the former snapshot is not known."""
        if self._old is None:
            return [("", None)]
        there = {part.chunk for part in snapshot.products}
        ranges = zip(self._old.products, _ends(self._old.products), strict=True)
        return [(part.first, end) for part, end in ranges if part.chunk not in there]

    def _gone_ids(self, snapshot: Snapshot) -> list[tuple[int, int]]:
        if self._old is None:
            return [(0, following.OWN_FROM)]
        there = {part.chunk for part in snapshot.references}
        return [(part.first, part.first + PART) for part in self._old.references if part.chunk not in there]

    def _keep_old(self, catalogue: Catalogue, snapshot: Snapshot) -> None:
        """Lay aside the parts that the new snapshot has not, made of the rows while they are still there.

        One whose rows are not as they came (a store that was tampered with) is fetched on the way back.
        """
        if self._old is None:
            return
        there = {part.chunk for part in (*snapshot.products, *snapshot.references)}
        with at_one_moment(catalogue) as moment:
            for chunk, rows in _old_rows(self._old, moment, there):
                if self.chunks.get(chunk) is None and chunk_of(data := pack(rows)) == chunk:
                    self.chunks.put(chunk, data)

    def _tidy(self, snapshot: Snapshot, stands: Followed) -> None:
        keep = {Chunk(stands.snapshot, stands.size), *snapshot.settings}
        models = {snapshot.model_name}
        if self._old is not None and stands.previous:
            keep |= {Chunk(*stands.previous[1:]), *self._old.settings, *self._known.difference(snapshot.chunks())}
            models.add(self._old.model_name)
        self.chunks.keep_only(keep)
        with suppress(OSError):
            for path in (self._store / CHAIN / "models").iterdir():
                if path.name not in models:
                    shutil.rmtree(path, ignore_errors=True)

    def _lay_model(self, snapshot: Snapshot, folder: Path) -> None:
        """The segmenter's folder, which appears whole; nothing uses it before the transaction says so."""
        made = None
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            made = Path(tempfile.mkdtemp(prefix=".model-", dir=folder.parent))
            for file in snapshot.files:
                path = made / "model" / file.name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(b"".join(self.chunks.need(chunk) for chunk in file.chunks))
            (made / "model").rename(folder)
        except OSError as error:
            raise no_room(folder.parent, error) from None
        finally:
            if made is not None:
                shutil.rmtree(made, ignore_errors=True)


def model_folder(store: Path, name: str) -> Path:
    """Where a snapshot's segmenter lies in a store."""
    return store / CHAIN / "models" / name


def _embedder_for(store: Path, snapshot: Snapshot, weights: Path | None) -> dict[str, str]:
    """What a store keeps about the snapshot's embedder, which must be the one installed here; raises ChainError."""
    name, fingerprint, _ = snapshot.embedder
    found = load_embedder(name, weights)
    if found.fingerprint != fingerprint:
        raise ChainError(
            f"{store}: snapshot {snapshot.number} is of embedder {name}:{fingerprint}, the program here has "
            f"{found.name}:{found.fingerprint}; update retail-seg, or give the centre's weights with --weights"
        )
    return embedder_settings(found, weights)


def _ends(parts: Sequence[Part]) -> list[str | None]:
    """Where each part of products ends: where the next begins."""
    return [part.first for part in parts[1:]] + [None] if parts else []


def _old_rows(old: Snapshot, moment: Moment, there: set[Chunk]) -> Iterator[tuple[Chunk, list[dict[str, Any]]]]:
    for part, end in zip(old.products, _ends(old.products), strict=True):
        if part.chunk not in there:
            yield part.chunk, list(moment.products(part.first, end))
    for part in old.references:
        if part.chunk not in there:
            yield part.chunk, moment.references(part.first, part.first + PART)
