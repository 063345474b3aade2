"""What all requests share: the open store, the threads that own its networks, and who may ask how often."""

from __future__ import annotations

import io
import logging
import threading
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from contextvars import Context
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from retail_seg.api.limits import Capacity
from retail_seg.api.metrics import Metrics
from retail_seg.errors import PhotoError
from retail_seg.matcher import Matcher
from retail_seg.people.roles import context_of_acting, require
from retail_seg.people.tokens import Uses
from retail_seg.photos.load import load_photo
from retail_seg.products.import_jobs import ImportJobs
from retail_seg.store.enrolment import REFERENCE_SIDE
from retail_seg.store.scanning import WAIT
from retail_seg.system.batching import Batcher, Busy
from retail_seg.system.rates import Rates

if TYPE_CHECKING:
    from starlette.types import Scope

    from retail_seg.report import Identification
    from retail_seg.store.scanning import Scanned

#: Requests that the networks answer: where these wait in number, no more are read.
ASKING = ("/v1/scan", "/v1/match")
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Asked:
    """What is asked alike of several photos: `scan` or `match`, and its options."""

    what: str
    top: int = 5
    side: int | None = None
    only: tuple[str, ...] = ()


WARM = Asked("warm")


@dataclass(frozen=True, eq=False)
class Photo:
    """The bytes of a photo's file, what answers and errors call it, and the number of the request that brought it."""

    data: bytes
    name: str
    request_id: str = ""


class NamedFile(io.BytesIO):
    """A photo's bytes as a file with a name."""

    def __init__(self, photo: Photo) -> None:
        super().__init__(photo.data)
        self.name = photo.name


class StageClock:
    """Hears of the stages of a batch, each in its thread, and tells how long they took; `seconds` sums them up."""

    def __init__(self, told: Callable[[str, float], None]) -> None:
        self._told, self._own, self._lock = told, threading.local(), threading.Lock()
        self.seconds: dict[str, float] = {}

    def __call__(self, stage: str) -> None:
        now = time.perf_counter()
        before, since = getattr(self._own, "at", (WAIT, now))
        if before != WAIT:
            self._told(before, now - since)
            with self._lock:
                self.seconds[before] = round(self.seconds.get(before, 0.0) + now - since, 4)
        self._own.at = stage, now


class Service:
    """One store, open for as long as the server lives."""

    def __init__(self, store: Path, capacity: Capacity | None = None) -> None:
        self.capacity = capacity or Capacity()
        self.store = store
        self.uses = Uses(store)
        self.rates = Rates(self.capacity.rate)
        self.metrics = Metrics(self)
        self.closing = False
        self._held = 0
        self._matcher = Matcher.open(store)
        self._reopening = threading.Lock()
        self.answers: Batcher[Photo, Any] = Batcher(
            "answers",
            self._answer,
            most=self._together,
            longest=self.capacity.longest,
            kind=lambda asked: getattr(asked, "what", asked),
            room=self.capacity.waiting,
            moment=self.capacity.moment,
        )
        self.changes: Batcher[tuple[Context, Callable[[Matcher], Any]], Any] = Batcher(
            "changes",
            self._change,
            most=lambda key: 1,
            room=self.capacity.writing,
            longest=self.capacity.longest,
            moment=0.0,
        )
        self.imports = ImportJobs(store, lambda: self.matcher)
        self._warm = self.answers.ask(WARM, Photo(b"", ""))

    @property
    def ready(self) -> bool:
        """Whether the networks are loaded and new requests are taken."""
        return self._warm.done() and not self.closing

    @property
    def matcher(self) -> Matcher:
        """The open store; opened again where it was reindexed with another embedder meanwhile."""
        if self._matcher.outdated:
            with self._reopening:
                if self._matcher.outdated:
                    self._matcher = Matcher.open(self.store)  # the former is not closed: others are at work with it
        return self._matcher

    def admit(self, scope: Scope) -> None:
        """Raise Busy before a body is read that could not be answered."""
        if scope["method"] != "POST":
            return
        if scope["path"] in ASKING:
            self.answers.check()
        elif scope["path"].endswith("/references"):
            self.changes.check()

    @contextmanager
    def holding(self, scope: Scope, size: int) -> Iterator[None]:
        """A body of so many bytes is held in memory in the block; raises Busy where too much is. Files go to disk."""
        size = 0 if scope["path"] == "/v1/imports" else size
        if size and self._held + size > max(self.capacity.bodies, size):
            raise Busy(2)
        self._held += size
        try:
            yield
        finally:
            self._held -= size

    def scan(self, photo: Photo, asked: Asked) -> Future[Scanned]:
        """The scan to come; only staff may. Raises Busy."""
        require("staff")
        return self.answers.ask(asked, photo)

    def match(self, photo: Photo, asked: Asked) -> Future[Identification]:
        """What a picture shows, to come; only staff may. Raises Busy."""
        require("staff")
        return self.answers.ask(asked, photo)

    def change(self, work: Callable[[Matcher], Any]) -> Future[Any]:
        """What `work` returns, to come: a change that embeds pictures, done by who is acting now. Raises Busy."""
        return self.changes.ask("change", (context_of_acting(), work))

    def _together(self, asked: Hashable) -> int:
        """How many photos of a kind are answered together: whole ones take memory, crops gain by it."""
        return self.capacity.batch if getattr(asked, "what", "") == "scan" else 8 * self.capacity.batch

    def _answer(self, asked: Hashable, photos: Sequence[Photo]) -> Iterator[Any]:
        assert isinstance(asked, Asked)
        clock = StageClock(self.metrics.stage)
        try:
            yield from self._found(asked, photos, clock)
        finally:
            numbers = [photo.request_id for photo in photos]
            told = {"what": asked.what, "request_ids": numbers, "stages": clock.seconds}
            _LOG.info("%s of %d photos", asked.what, len(photos), extra=told)

    def _found(self, asked: Asked, photos: Sequence[Photo], clock: StageClock) -> Iterator[Any]:
        matcher = self.matcher
        if asked == WARM:
            yield _warm_up(matcher)
            return
        among = matcher.only(asked.only, files=False)
        if asked.what == "match":
            clock("match")
            yield from _named(matcher, photos, asked.top, among)
            clock(WAIT)
            return
        files = [NamedFile(photo) for photo in photos]
        found = matcher.scan_each(files, top=asked.top, side=asked.side, among=among, on_stage=clock)
        for photo, one in zip(photos, found, strict=True):
            yield one if isinstance(one, PhotoError) else replace(one, report=replace(one.report, image=photo.name))

    def _change(self, key: Hashable, asked: Sequence[tuple[Context, Callable[[Matcher], Any]]]) -> Iterator[Any]:
        for context, work in asked:
            yield context.run(work, self.matcher)

    def close(self) -> None:
        """Finish what was taken, then close the store."""
        self.closing = True
        self.imports.leave()
        for lane in (self.changes, self.answers):
            lane.leave(self.capacity.patience)
        self.uses.write()
        self._matcher.close()


def _warm_up(matcher: Matcher) -> list[Identification]:
    """Load the networks with a picture that shows nothing, so that the first who asks does not wait for them."""
    nothing = np.full((256, 256, 3), 127, np.uint8)
    matcher.scan(nothing)
    return matcher.match([nothing])


def _named(matcher: Matcher, photos: Sequence[Photo], top: int, among: Any) -> Iterator[Identification | PhotoError]:
    """What each picture shows, in their order; one that cannot be read stops no other."""
    crops: list[Any] = []
    for photo in photos:
        try:
            crops.append(load_photo(NamedFile(photo), name=photo.name, max_side=REFERENCE_SIDE))
        except PhotoError as error:
            crops.append(error)
    named = iter(matcher.match([crop for crop in crops if not isinstance(crop, PhotoError)], top=top, among=among))
    for crop in crops:
        yield crop if isinstance(crop, PhotoError) else next(named)
