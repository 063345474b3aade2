"""Pictures embedded by workers of Ray: the vectors of a reindex, the new references of an import.

The caller sends pictures as the bytes that they are kept in, so that a worker needs the program and the weights of the
embedder, and no store; the caller alone reads and writes the store.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from catalogue.errors import PictureRefused
from retail_seg import __version__
from retail_seg.errors import FleetError
from retail_seg.fleet.cluster import brought_up, cores_of, entered
from retail_seg.fleet.pool import Care, GivenUp, Pool, TaskDone
from retail_seg.fleet.progress import RunProgress
from retail_seg.people.roles import require

if TYPE_CHECKING:
    from catalogue import NewReference
    from catalogue.importing import LoadedPicture
    from index import Embedder
    from retail_seg.matcher import Matcher
    from retail_seg.store.importing import PictureWork
    from retail_seg.store.opening import Pending, Vectors

#: Seconds that a worker may be at a portion, whatever the embedder and the machine; one death, and it is taken apart.
_CARE = Care(limit=900.0, deaths=1)
#: Bytes of new pictures that a worker takes together, where that is fewer than PORTION: camera's files are large.
_BYTES = 8 * 2**20
#: So many references that could not be embedded are named.
_NAMED = 5


@dataclass(frozen=True)
class EmbeddingOrder:
    """What each worker is made of: by which name and weights its embedder is opened, which it has to be, and the work.

    `work` takes the embedder and some pictures, and gives a value for each.
    """

    name: str
    weights: Path | None
    fingerprint: str
    work: Callable[[Embedder, Sequence[Any]], Sequence[Any]]
    version: str = __version__


@dataclass(frozen=True)
class Portion:
    """Pictures that a worker takes together, from the `first` of all on; `alone` where one is tried by itself."""

    first: int
    pictures: tuple[Any, ...] = field(compare=False, repr=False)
    alone: bool = False

    def apart(self) -> Iterator[Portion]:
        """Each picture by itself."""
        return (Portion(self.first + at, (picture,), alone=True) for at, picture in enumerate(self.pictures))


class EmbeddingWorker:
    """Embeds portions of pictures in a process of its own; the embedder is loaded once."""

    def __init__(self, order: EmbeddingOrder) -> None:
        self._order = order

    def start(self) -> str:
        """Load the embedder; the node's id. Raises FleetError where program or embedder are not the caller's."""
        node = brought_up(1, self._order.version)
        from retail_seg.store.networks import load_embedder

        self._embedder = load_embedder(self._order.name, self._order.weights)
        if self._embedder.fingerprint != self._order.fingerprint:
            raise FleetError(
                f"a worker on another machine has another embedder there ({self._embedder.fingerprint}, not "
                f"{self._order.fingerprint}); install the same weights of {self._order.name} on every machine"
            )
        return node

    def work(self, portion: Portion) -> Sequence[Any]:
        """A value for each picture of the portion; raises PhotoError, EmbedderError."""
        return self._order.work(self._embedder, portion.pictures)


def settled(pool: Pool[Portion], portions: Iterable[Portion]) -> Iterator[TaskDone[Portion] | GivenUp[Portion]]:
    """What comes of portions; of one that was given up each picture is tried by itself, after all others."""
    lost: list[Portion] = []
    for one in pool.run(portions):
        if isinstance(one, GivenUp) and not one.task.alone:
            lost += one.task.apart()
        else:
            yield one
    if lost:
        yield from pool.run(lost)


def reindex_on_ray(
    store: Path,
    embedder: str | None = None,
    weights: Path | None = None,
    *,
    address: str | None = None,
    workers: int | None = None,
    on_told: Callable[[RunProgress], None] = lambda told: None,
    worker: type[EmbeddingWorker] = EmbeddingWorker,
) -> int:
    """As `Matcher.reindex_store`, the references embedded by workers of Ray; returns how many.

    Batches are those of a reindex in one process, and so are the vectors. Interrupted, the next call embeds what is
    missing. Raises FleetError where nothing listens, a worker is not what the caller is, or pictures could not be
    embedded: then all others are done.
    """
    from retail_seg.matcher import Matcher
    from retail_seg.store.opening import EMBED_BATCH, embed_rows, embedder_source, open_catalogue

    require("manager")
    with open_catalogue(store) as catalogue:
        name, file = embedder_source(catalogue, embedder, weights)

    def embed(found: Embedder, batches: Iterator[list[Pending]], total: int) -> Iterator[list[Vectors]]:
        if not total:
            return
        order = EmbeddingOrder(name, file and file.absolute(), found.fingerprint, embed_rows)
        with entered(address, workers) as ray:
            size = min(workers or cores_of(ray), -(-total // EMBED_BATCH))
            with Pool[Portion](ray, worker, order, size, care=_CARE) as pool:
                yield from _vectors(store, settled(pool, _portions(batches)), RunProgress(total), on_told)

    return Matcher.reindex_store(store, embedder, weights=weights, embed=embed)


def _portions(batches: Iterable[Sequence[Any]], first: int = 0) -> Iterator[Portion]:
    for batch in batches:
        yield Portion(first, tuple(batch))
        first += len(batch)


def _handfuls(pictures: Sequence[LoadedPicture]) -> Iterator[list[LoadedPicture]]:
    """The pictures in their order, so many together as one process decodes at once, or fewer where they are large."""
    from retail_seg.store.enrolment import PORTION

    taken: list[LoadedPicture] = []
    for picture in pictures:
        if taken and (len(taken) == PORTION or sum(len(one.data) for one in taken) + len(picture.data) > _BYTES):
            yield taken
            taken = []
        taken.append(picture)
    if taken:
        yield taken


def _vectors(
    store: Path,
    found: Iterator[TaskDone[Portion] | GivenUp[Portion]],
    told: RunProgress,
    on_told: Callable[[RunProgress], None],
) -> Iterator[list[Vectors]]:
    """The vectors of each portion; FleetError at the end where some have none."""
    began, lost = time.monotonic(), {}
    for one in found:
        if isinstance(one, GivenUp):
            lost[one.task.pictures[0][0]] = one.reason
            told = replace(told, failed=told.failed + 1)
        else:
            yield list(one.value)
            told = replace(told, done=told.done + len(one.value))
        told = replace(told, seconds=time.monotonic() - began)
        on_told(told)
    if lost:
        named = "; ".join(f"reference {number}: {reason}" for number, reason in sorted(lost.items())[:_NAMED])
        more = f"; and {len(lost) - _NAMED} more" if len(lost) > _NAMED else ""
        raise FleetError(
            f"{store}: {len(lost)} of {told.total} references could not be embedded, the others are kept and the store "
            f"answers as before ({named}{more})"
        )


@contextmanager
def embedding_on_ray(
    matcher: Matcher,
    *,
    address: str | None = None,
    workers: int | None = None,
    worker: type[EmbeddingWorker] = EmbeddingWorker,
) -> Iterator[PictureWork]:
    """Workers of Ray for the pictures of an import into an open store, as long as the block lasts.

    A picture that ends its workers is refused with that reason. Raises FleetError as `reindex_on_ray`.
    """
    from retail_seg.store.importing import PictureWork, embed_pictures
    from retail_seg.store.opening import embedder_source

    require("manager")
    name, file = embedder_source(matcher.catalogue, None, None)
    order = EmbeddingOrder(name, file and file.absolute(), matcher.embedder.fingerprint, embed_pictures)
    with entered(address, workers) as ray:
        size = workers or cores_of(ray)
        with Pool[Portion](ray, worker, order, size, care=_CARE) as pool:
            yield PictureWork(PictureEmbedder(pool), size)


class PictureEmbedder:
    """Gives the references of pictures by a pool; knows how many it has had, so that each has a number of its own."""

    def __init__(self, pool: Pool[Portion]) -> None:
        self._pool, self._had = pool, 0

    def __call__(self, pictures: Sequence[LoadedPicture]) -> list[NewReference | PictureRefused]:
        """One reference, or the reason why there is none, for each picture in its place."""
        before, self._had = self._had, self._had + len(pictures)
        found: dict[int, NewReference | PictureRefused] = {}
        for one in settled(self._pool, _portions(_handfuls(pictures), before)):
            values = [PictureRefused(one.reason)] if isinstance(one, GivenUp) else one.value
            found.update(enumerate(values, one.task.first))
        return [found[number] for number in range(before, self._had)]
