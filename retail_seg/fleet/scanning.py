"""Photos scanned by workers of Ray: each holds an open store; reports go to a folder that knows what is done."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retail_seg.errors import FleetError
from retail_seg.fleet.cluster import brought_up, cores_of, entered
from retail_seg.fleet.pool import Care, GivenUp, Pool, TaskDone
from retail_seg.fleet.progress import RunProgress
from retail_seg.fleet.results import Digests, Results
from retail_seg.fleet.sources import PhotoAddress, read
from retail_seg.people.roles import require

if TYPE_CHECKING:
    from retail_seg.matcher import Matcher
    from retail_seg.store.among import Among


@dataclass(frozen=True)
class ScanOrder:
    """How photos are scanned.

    store          folder of the store, the same path on every machine
    model, boxes   a segmenter's folder, or the file of another detector's boxes, in the place of the store's
    side, among    as `Matcher.scan` takes them
    threads        in how many threads a worker computes
    """

    store: Path
    model: Path | None = None
    boxes: Path | None = None
    side: int | None = None
    among: Among | None = None
    threads: int = 1

    def open(self) -> Matcher:
        """The store, opened; raises StoreError, ModelError, AnnotationError."""
        from retail_seg.matcher import Matcher
        from retail_seg.store.given_boxes import GivenBoxes

        boxes = None if self.boxes is None else GivenBoxes.read(self.boxes).as_segmenter()
        return Matcher.open(self.store, segmenter=boxes or self.model)


@dataclass(frozen=True)
class PhotoLine:
    """What a worker says of a photo: its SHA-256, and its line unless the photo was known."""

    digest: str
    line: dict[str, Any] | None


@dataclass(frozen=True)
class Order:
    """What each worker is made of: the store as the caller opened it, and the photos that are done."""

    asked: ScanOrder
    made_by: dict[str, Any]
    done: Digests


class PhotoWorker:
    """Scans photos one at a time in a process of its own; model and index are loaded once, the index mapped."""

    def __init__(self, order: Order) -> None:
        self._order = order

    def start(self) -> str:
        """Open the store; the node's id. Raises FleetError where it is not what the caller has."""
        asked = self._order.asked
        node = brought_up(asked.threads, self._order.made_by["version"])
        self._matcher = asked.open()
        differs = {k: v for k, v in made_by(self._matcher).items() if v != self._order.made_by.get(k)}
        if differs:
            name, here = next(iter(differs.items()))
            raise FleetError(
                f"{asked.store}: a worker on another machine has another {name} there ({here}, not "
                f"{self._order.made_by.get(name)}); bring it level with `retail-seg follow`"
            )
        return node

    def work(self, photo: PhotoAddress) -> PhotoLine:
        """Scan a photo that is not known; raises PhotoError."""
        data = read(photo.address)
        digest = hashlib.sha256(data).hexdigest()
        if digest in self._order.done:
            return PhotoLine(digest, None)
        asked = self._order.asked
        report = self._matcher.scan(data, name=photo.address, side=asked.side, among=asked.among)
        return PhotoLine(digest, report.to_dict())


def made_by(matcher: Matcher) -> dict[str, Any]:
    """What has to be the same on all machines: program, segmenter, embedder and store; the revision may differ."""
    versions = {name: str(value) for name, value in matcher.versions().items()}
    return {name: versions[name] for name in ("version", "segmenter", "embedder")} | {"store": matcher.identity}


def scan_photos(
    asked: ScanOrder,
    photos: Sequence[PhotoAddress],
    out: Path,
    *,
    form: str = "parquet",
    address: str | None = None,
    workers: int | None = None,
    care: Care | None = None,
    again: bool = False,
    on_told: Callable[[RunProgress], None] = lambda told: None,
    worker: type[PhotoWorker] = PhotoWorker,
) -> RunProgress:
    """Scan photos on a cluster of Ray, or on one that starts here, into a folder; how it went.

    Photos that `out` knows are left out, so that the same call goes on where it was broken off; `again` tries those
    once more that failed. Each photo is written once, whatever dies. Raises FleetError, StoreError.
    """
    require("staff")
    with asked.open() as matcher:
        versions = made_by(matcher)
    cores = None if workers is None else workers * asked.threads
    with Results(out, form, versions["store"], again=again) as results, entered(address, cores) as ray:
        todo = [photo for photo in photos if not results.is_known(photo)]
        told = RunProgress(len(photos), len(photos) - len(todo))
        if not todo:
            return told
        size = workers or max(cores_of(ray) // asked.threads, 1)
        order = Order(asked, versions, results.done)
        with Pool[PhotoAddress](ray, worker, order, min(size, len(todo)), cpus=asked.threads, care=care) as pool:
            for now in _kept(pool.run(todo), results, told):
                told = now
                on_told(told)
    return told


def _kept(
    found: Iterator[TaskDone[PhotoAddress] | GivenUp[PhotoAddress]], results: Results, told: RunProgress
) -> Iterator[RunProgress]:
    """What comes of each photo, laid down."""
    began = time.monotonic()
    for one in found:
        if isinstance(one, GivenUp):
            results.fail(one.task, one.reason.removeprefix(f"{one.task.address}: "))
            told = replace(told, failed=told.failed + 1)
        elif one.value.line is not None and results.add(one.task, one.value.line, one.value.digest):
            told = replace(told, done=told.done + 1)
        else:
            told = replace(told, known=told.known + 1)
        told = replace(told, seconds=time.monotonic() - began)
        yield told
