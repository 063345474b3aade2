"""A store found and opened: its catalogue, the embedder that it is pinned to, vectors that are still missing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from catalogue import Catalogue, UnknownReference
from retail_seg.errors import StoreError
from retail_seg.people.roles import require
from retail_seg.store.enrolment import embed_kept
from retail_seg.store.gallery import LEARNED_FROM, RANKER, RANKER_ID
from retail_seg.store.networks import load_embedder

if TYPE_CHECKING:
    from catalogue.health import Tracked
    from index import Embedder

CATALOGUE = "catalogue.db"
#: References that a reindex embeds and commits at once.
EMBED_BATCH = 32
#: A reference without vectors: id, picture, mask.
Pending = tuple[int, bytes, bytes | None]
#: What `Catalogue.set_vectors` takes of a reference: id, vectors, number of views, local features.
Vectors = tuple[int, bytes, int, bytes]
#: Embeds batches, of so many references together, elsewhere; gives each that is done, in any order.
EmbedBatches = Callable[["Embedder", Iterator[list[Pending]], int], Iterable[list[Vectors]]]


def open_catalogue(folder: Path) -> Catalogue:
    """The catalogue of a store; raises StoreError where the folder holds none."""
    if not (folder / CATALOGUE).is_file():
        raise StoreError(f"{folder}: holds no store; make one with `retail-seg init --store {folder}`")
    return Catalogue.open(folder / CATALOGUE)


def log_of(folder: Path) -> Callable[..., AbstractContextManager[None]]:
    """The log of a store, `Catalogue.logged`, for who needs nothing else of it: opened for each block."""

    @contextmanager
    def logged(action: str, *, by: str = "") -> Iterator[None]:
        with open_catalogue(folder) as catalogue, catalogue.logged(action, by=by):
            yield

    return logged


def remember_embedder(catalogue: Catalogue, embedder: Embedder, weights: Path | None) -> None:
    """Keep by which name, and from which file where one was given, a store's embedder is opened."""
    require("manager")
    catalogue.set_settings(embedder_settings(embedder, weights))


def embedder_settings(embedder: Embedder, weights: Path | None) -> dict[str, str]:
    """What a store keeps about its embedder beside the fingerprint."""
    return {"embedder_name": embedder.name, "embedder_weights": str(weights.resolve()) if weights else ""}


def stored_embedder(catalogue: Catalogue, name: str | None = None, weights: Path | None = None) -> Embedder:
    """The embedder that a store's references are embedded with, or another where a name or weights are given."""
    return load_embedder(*embedder_source(catalogue, name, weights))


def embedder_source(catalogue: Catalogue, name: str | None, weights: Path | None) -> tuple[str, Path | None]:
    """By which name, and from which file of weights, `stored_embedder` opens an embedder."""
    if name is None and weights is None:
        kept = catalogue.get_setting("embedder_weights")
        weights = Path(kept) if kept else None
    return name or catalogue.get_setting("embedder_name") or "retail-vgg", weights


def embed_pending(
    catalogue: Catalogue, embedder: Embedder, progress: Tracked | None = None, embed: EmbedBatches | None = None
) -> int:
    """Embed every reference that has no vectors of this embedder, a batch a transaction; returns how many.

    `embed` does so elsewhere, in the place of this process; what it raises ends the work, and what was done is kept.
    """
    require("manager")
    total = catalogue.count_pending(embedder.fingerprint)
    rows: Iterator[Any] = iter(catalogue.pending_reindex(embedder.fingerprint))
    if progress is not None:
        rows = iter(progress(rows, total))
    batches = iter(lambda: list(islice(rows, EMBED_BATCH)), [])
    for done in embed(embedder, batches, total) if embed else (embed_rows(embedder, batch) for batch in batches):
        catalogue.set_vectors(done, embedder.fingerprint)
    return total


def embed_rows(embedder: Embedder, batch: Sequence[Pending]) -> list[Vectors]:
    """The vectors of a batch of references; raises PhotoError for a picture that cannot be read."""
    embedded = embed_kept(embedder, [(picture, mask) for _, picture, mask in batch])
    return [(row[0], *found) for row, found in zip(batch, embedded, strict=True)]


def move_to_embedder(
    folder: Path,
    name: str | None = None,
    weights: Path | None = None,
    progress: Tracked | None = None,
    embed: EmbedBatches | None = None,
) -> int:
    """Embed a store's references with an embedder, its own without a name, and pin the store to it; returns how many.

    What the store has learned from vectors of another embedder is forgotten. Resumable: interrupted, the store answers
    as before. `embed` as `embed_pending` takes it.
    """
    catalogue = open_catalogue(folder)
    try:
        found = stored_embedder(catalogue, name, weights)
        count = embed_pending(catalogue, found, progress, embed)
        if found.fingerprint != catalogue.embedder:
            # One transaction: killed in between, the store would not know whose vectors it holds.
            learned = dict.fromkeys((RANKER, RANKER_ID, LEARNED_FROM), "")
            named = embedder_settings(found, weights) if name or weights else {}
            catalogue.set_embedder(found.fingerprint, found.dim, settings=learned | named)
        elif name or weights:
            remember_embedder(catalogue, found, weights)
    finally:
        catalogue.close()
    return count


def own_references(catalogue: Catalogue, sku: str, references: Iterable[int]) -> list[int]:
    """The ids, all of them references of the product; raises UnknownReference for one of another."""
    own = {reference.id for reference in catalogue.references(sku)}
    wanted = [int(i) for i in references]
    for i in wanted:
        if i not in own:
            raise UnknownReference(f"product {sku} has no reference {i}; see `retail-seg show {sku}`")
    return wanted
