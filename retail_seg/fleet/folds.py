"""Folds of a cross-validation trained by workers of Ray, beside each other."""

from __future__ import annotations

import pickle
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from retail_seg import __version__
from retail_seg.errors import FleetError, TrainingError
from retail_seg.fleet.cluster import brought_up, entered, shared_out
from retail_seg.fleet.pool import GivenUp, Pool
from retail_seg.system.threads import cores

if TYPE_CHECKING:
    from retail_seg.segmentation.annotations import AnnotatedPhoto
    from retail_seg.segmentation.scores import Scores
    from retail_seg.segmentation.training.validation import Fold, TrainFolds, TrainingSettings


@dataclass(frozen=True)
class FoldOrder:
    """What each worker is made of.

    photos    every annotated photo, pickled and packed: mostly background, their ids would fill the memory
    hashes    SHA-256 of each photo's file
    settings  pickled: their module brings PyTorch, which is to know before that in how many threads it computes
    start     SHA-256 of the weights that trainings begin with, empty where they begin with none
    """

    photos: tuple[bytes, ...]
    hashes: tuple[str, ...]
    settings: bytes
    start: str
    threads: int
    version: str = __version__


class FoldWorker:
    """Trains folds one after the other, each with all threads of the worker."""

    def __init__(self, order: FoldOrder) -> None:
        self._order = order

    def start(self) -> str:
        """Unpack the photos; the node's id. Raises FleetError where program, photos or model are not the caller's."""
        order = self._order
        node = brought_up(order.threads, order.version)
        import torch

        torch.set_num_threads(order.threads)
        self._photos: list[AnnotatedPhoto] = [pickle.loads(zlib.decompress(one)) for one in order.photos]
        for one, known in zip(self._photos, order.hashes, strict=True):
            _same(one.path, known, "photo")
        self._settings: TrainingSettings = pickle.loads(order.settings)
        if order.start:
            _same(_weights(self._settings), order.start, "model to start from")
        return node

    def work(self, fold: Fold) -> Scores:
        """The scores of a fold; raises TrainingError, PhotoError."""
        from retail_seg.segmentation.training.validation import train_and_score

        kept, tested = ([self._photos[at] for at in some] for some in (fold.kept, fold.tested))
        return train_and_score(kept, tested, self._settings)


def _same(path: Path, known: str, what: str) -> None:
    if _hash(path) != known:
        raise FleetError(f"{path}: a worker finds no such {what} there, or another; let all machines see the same")


def _hash(path: Path) -> str:
    from retail_seg.segmentation.training.manifest import file_hash

    try:
        return file_hash(path)
    except OSError:
        return ""


def _weights(settings: TrainingSettings) -> Path:
    from retail_seg.segmentation.segmenter import SHIPPED, WEIGHTS

    return (settings.start or SHIPPED) / WEIGHTS


@contextmanager
def folds_on_ray(folds: int, *, address: str | None = None, workers: int | None = None) -> Iterator[TrainFolds]:
    """Trains so many folds by workers of Ray, as long as the block lasts, see `validation.cross_validate`.

    Each worker has its share of the cores. Raises FleetError where nothing listens.
    """
    from retail_seg.segmentation.training.validation import Fold

    with entered(address, workers and max(workers, cores())) as ray:
        size, threads = shared_out(ray, folds, workers)

        def trained(
            annotated: Sequence[AnnotatedPhoto], settings: TrainingSettings, wanted: Sequence[Fold]
        ) -> Iterator[tuple[Fold, Scores]]:
            order = _order(annotated, settings, threads)
            with Pool[Fold](ray, FoldWorker, order, min(size, len(wanted)), cpus=threads) as pool:
                for one in pool.run(wanted):
                    if isinstance(one, GivenUp):
                        raise TrainingError(f"fold {one.task.number + 1}: {one.reason}")
                    yield one.task, one.value

        yield trained


def _order(annotated: Sequence[AnnotatedPhoto], settings: TrainingSettings, threads: int) -> FoldOrder:
    settings = replace(settings, start=settings.start and settings.start.absolute())
    photos = [replace(one, path=one.path.absolute()) for one in annotated]
    packed = tuple(zlib.compress(pickle.dumps(one), 1) for one in photos)
    start = "" if settings.from_scratch else _hash(_weights(settings))
    return FoldOrder(packed, tuple(_hash(one.path) for one in photos), pickle.dumps(settings), start, threads)
