"""What all requests share: the open store, the threads that own its networks, and who may ask how often."""

from __future__ import annotations

import io
import logging
import math
import threading
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from contextvars import Context
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from retail_seg.api.limits import Capacity
from retail_seg.api.metrics import Metrics
from retail_seg.api.tracing import here, stage_spans, tracer
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
    from retail_seg.store.scanning import OnStage, Scanned

#: Requests of which is known what they ask before they are read.
ASKING = {"/v1/scan": "scan", "/v1/checks": "check", "/v1/match": "match"}
#: Learning takes one second in so many at most.
LEARNING_SHARE = 5
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
    """The bytes of a photo's file, what answers and errors call it, and the number and span of the request that
    brought it.
    """

    data: bytes
    name: str
    request_id: str = ""
    span: Any = field(default_factory=here)


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
        self._tracer = tracer()
        self._ending = threading.Event()
        self._held = 0
        self._reopening = threading.Lock()
        self.work: Batcher[Any, Any] = Batcher(
            "work",
            self._answer,
            most=lambda asked: self.capacity.together.get(_kind_of(asked), 1),
            room=lambda kind: self.capacity.room.get(str(kind), 1),
            longest=lambda kind: self.capacity.longest.get(str(kind), 10.0),
            moment=self.capacity.moment,
            kind=_kind_of,
        )
        self._learning: Batcher[Callable[[], object], None] = Batcher(
            "learning", self._learn, room=lambda kind: 1, longest=lambda kind: math.inf
        )
        self._matcher = self._open()
        self.imports = ImportJobs(store, lambda: self.matcher)
        self._warm = self.work.ask(WARM, Photo(b"", ""))

    @property
    def closing(self) -> bool:
        """Whether it ends: what was taken is finished, and nothing new is taken."""
        return self._ending.is_set()

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
                    self._matcher = self._open()  # the former is not closed: others are at work with it
        return self._matcher

    def _open(self) -> Matcher:
        matcher = Matcher.open(self.store)
        learn = matcher.on_changed
        matcher.on_changed = lambda: self._learn_later(learn)
        matcher.on_changed()  # what a server that was killed has not learned
        return matcher

    def admit(self, scope: Scope) -> None:
        """Raise Busy before a body is read that could not be answered."""
        if scope["method"] != "POST":
            return
        asked = ASKING.get(scope["path"]) or ("change" if scope["path"].endswith("/references") else "")
        if asked:
            self.work.check(asked)

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
        return self.work.ask(asked, photo)

    def match(self, photo: Photo, asked: Asked) -> Future[Identification]:
        """What a picture shows, to come; only staff may. Raises Busy."""
        require("staff")
        return self.work.ask(asked, photo)

    def change(self, work: Callable[[Matcher], Any]) -> Future[Any]:
        """What `work` returns, to come: a change that embeds pictures, done by who is acting now. Raises Busy."""
        return self.work.ask("change", (context_of_acting(), work))

    def check(self, work: Callable[[Matcher], Any]) -> Future[Any]:
        """What `work` returns, to come: it scans photos of its own, done by who is acting now. Raises Busy."""
        return self.work.ask("check", (context_of_acting(), work))

    def _learn_later(self, learn: Callable[[], object]) -> None:
        """Let it learn beside the answers; where that waits to be done already, it is done for this change, too."""
        with suppress(Busy):
            self._learning.ask("learn", learn)

    def _learn(self, key: Hashable, asked: Sequence[Callable[[], object]]) -> Iterator[None]:
        for learn in asked:
            start = time.monotonic()
            try:
                learn()
            except Exception:  # noqa: BLE001 - the log has it in full; the server goes on with what was learned before
                _LOG.exception("nothing was learned from what changed; the next change, or the next start, tries again")
            self._ending.wait((LEARNING_SHARE - 1) * (time.monotonic() - start))
            yield None

    def _answer(self, asked: Hashable, photos: Sequence[Any]) -> Iterator[Any]:
        if not isinstance(asked, Asked):
            yield from self._change(asked, photos)
            return

        def heard(stage: str, seconds: float) -> None:
            self.metrics.stage(stage, seconds)
            stage_spans(self._tracer, stage, seconds, [(photo.span, photo.request_id) for photo in photos])

        clock = StageClock(heard)
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
            yield from _named(matcher, photos, asked.top, among, clock)
            return

        def on_stage(stage: str) -> None:
            clock(WAIT)
            self.work.between()
            clock(stage)

        files = [NamedFile(photo) for photo in photos]
        found = matcher.scan_each(files, top=asked.top, side=asked.side, among=among, on_stage=on_stage)
        for photo, one in zip(photos, found, strict=True):
            yield one if isinstance(one, PhotoError) else replace(one, report=replace(one.report, image=photo.name))

    def _change(self, key: Hashable, asked: Sequence[tuple[Context, Callable[[Matcher], Any]]]) -> Iterator[Any]:
        """Each in its turn; one that fails is an error in its place and stops no other."""
        for context, work in asked:
            try:
                yield context.run(work, self.matcher)
            except Exception as error:  # noqa: BLE001 - who asked hears it
                yield error

    def close(self) -> None:
        """Finish what was taken, then close the store."""
        self._ending.set()
        self.imports.leave()
        for lane in (self.work, self._learning):
            lane.leave(self.capacity.patience)
        self.uses.write()
        self._matcher.close()


def _kind_of(asked: Hashable) -> str:
    """What takes about as long."""
    return str(getattr(asked, "what", asked))


def _warm_up(matcher: Matcher) -> list[Identification]:
    """Load the networks with a picture that shows nothing, so that the first who asks does not wait for them."""
    nothing = np.full((256, 256, 3), 127, np.uint8)
    matcher.scan(nothing)
    return matcher.match([nothing])


def _named(
    matcher: Matcher, photos: Sequence[Photo], top: int, among: Any, on_stage: OnStage
) -> Iterator[Identification | PhotoError]:
    """What each picture shows, in their order; one that cannot be read stops no other."""
    on_stage("decode")
    crops: list[Any] = []
    for photo in photos:
        try:
            crops.append(load_photo(NamedFile(photo), name=photo.name, max_side=REFERENCE_SIDE))
        except PhotoError as error:
            crops.append(error)
    readable = [crop for crop in crops if not isinstance(crop, PhotoError)]
    named = iter(matcher.match(readable, top=top, among=among, on_stage=on_stage))
    on_stage(WAIT)
    for crop in crops:
        yield crop if isinstance(crop, PhotoError) else next(named)
