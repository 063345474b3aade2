"""Real processes that change or read a store until they are killed or told to stop; the crash tests start them.

Run as a program it imports everything once and forks a worker for each line `STORE LOG OPERATION SEED` on stdin, so
that a worker starts in milliseconds; it answers each line with the worker's process id.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import zlib
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from catalogue import Catalogue, Product, history, importing
from index import Embedder
from index.ranking import Ranker
from index.vectors import VectorIndex
from retail_seg.matcher import Matcher
from retail_seg.photos.load import load_photo
from retail_seg.store import enrolment
from retail_seg.store import importing as bulk
from retail_seg.store.gallery import LEARNED_FROM, RANKER, RANKER_ID
from retail_seg.store.opening import CATALOGUE, embed_pending

FINGERPRINTS = ("patches-4", "patches-6")
LOADED = (Ranker, VectorIndex)  # imported before the fork, so that no worker spends its life on it


class Patches(Embedder):
    """A cheap embedder of its own right: the colours of as many patches a side as its fingerprint says."""

    name = "patches"

    def __init__(self, fingerprint: str) -> None:
        self.fingerprint = fingerprint
        self.side = int(fingerprint[-1])
        self.dim = 3 * self.side**2

    def _embed_batch(self, crops: list[np.ndarray], masks: list[np.ndarray | None]) -> np.ndarray:
        small = [cv2.resize(crop, (self.side, self.side), interpolation=cv2.INTER_AREA).ravel() for crop in crops]
        return np.array(small, np.float32) / 255 - 0.5


def picture(key: str) -> bytes:
    """A picture of 4 × 4 colours that follow from the key, as PNG bytes."""
    colours = np.random.default_rng(zlib.crc32(key.encode())).integers(0, 256, (4, 4, 3), np.uint8)
    large = cv2.resize(colours, (48, 48), interpolation=cv2.INTER_NEAREST)
    return cv2.imencode(".png", large)[1].tobytes()


def hash_of(key: str) -> str:
    """The content hash under which `picture(key)` is kept."""
    return sha256(picture(key)).hexdigest()


def open_matcher(store: Path) -> Matcher:
    """The store, with the embedder that it is pinned to at the moment."""
    catalogue = Catalogue.open(store / CATALOGUE)
    return Matcher(store, catalogue, Patches(catalogue.embedder))


def states(catalogue: Catalogue) -> dict[str, list[str]]:
    """Content hashes of the references in use, by product."""
    return {
        product.sku: sorted(reference.content_hash for reference in catalogue.references(product.sku))
        for product in catalogue.products(limit=10_000)
    }


class Worker:
    """Does one kind of operation over and over; says before each what it will lead to, and afterwards that it did."""

    def __init__(self, store: Path, log: Path, seed: int) -> None:
        self.store = store
        self.log = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self.random = random.Random(seed)
        self.prefix = f"{seed}"
        self.count = 0

    def say(self, word: str, states: dict[str, Any]) -> None:
        """One line that outlives the process; `states` maps SKUs to the content hashes that they have afterwards."""
        os.write(self.log, (json.dumps([word, states]) + "\n").encode())

    def new_sku(self) -> str:
        self.count += 1
        return f"{self.prefix}-{self.count}"

    def enrol(self, matcher: Matcher) -> None:
        sku = self.new_sku()
        keys = [f"{sku} {n}" for n in range(self.random.randrange(1, 4))]
        after = {sku: sorted(hash_of(key) for key in keys)}
        self.say("begin", after)
        matcher.enrol(Product(sku), [picture(key) for key in keys])
        self.say("done", after)

    def remove(self, matcher: Matcher) -> None:
        before = states(matcher.catalogue)
        if len(before) < 3:
            return self.enrol(matcher)
        sku = self.random.choice(sorted(before))
        references = matcher.catalogue.references(sku)
        if self.random.random() < 0.5 or not references:
            self.say("begin", {sku: None})
            matcher.remove(sku)
            self.say("done", {sku: None})
        else:
            gone = self.random.choice(references)
            after = {sku: sorted(set(before[sku]) - {gone.content_hash})}
            self.say("begin", after)
            matcher.remove(sku, [gone.id])
            self.say("done", after)
        if self.random.random() < 0.5:
            self.say("begin", {sku: before[sku]})
            history.undo(matcher.catalogue, history.log(matcher.catalogue, limit=1)[0].id)
            matcher.refresh()
            self.say("done", {sku: before[sku]})
        return None

    def bring_in(self, matcher: Matcher) -> None:
        folder = self.store.parent / f"import-{self.prefix}-{self.count}"
        after = {}
        for _ in range(6):
            sku = self.new_sku()
            (folder / sku).mkdir(parents=True)
            for n in range(2):
                (folder / sku / f"{n}.png").write_bytes(picture(f"{sku} {n}"))
            after[sku] = sorted(hash_of(f"{sku} {n}") for n in range(2))
        self.say("begin", after)
        importing.BATCH_PICTURES = 4
        for outcome in bulk.apply(matcher.catalogue, importing.read_file(folder), matcher.embedder):
            self.say("done", {outcome.sku: after[outcome.sku]})
        matcher.refresh()

    def save(self, matcher: Matcher) -> None:
        self.enrol(matcher)
        matcher.reindex()

    def reindex(self, matcher: Matcher) -> None:
        self.say("begin", {})
        catalogue = matcher.catalogue
        other = Patches(next(f for f in FINGERPRINTS if f != catalogue.embedder))
        embed_pending(catalogue, other)
        catalogue.set_embedder(
            other.fingerprint, other.dim, settings=dict.fromkeys((RANKER, RANKER_ID, LEARNED_FROM), "")
        )
        self.say("done", {})
        with open_matcher(self.store) as again:
            again.reindex()

    def read(self, matcher: Matcher) -> None:
        """What a writer has acknowledged in `writer-*.log` is found by the next search of this process."""
        log = self.random.choice(sorted(self.store.parent.glob("writer-*.log")))
        done = [json.loads(line) for line in log.read_text().splitlines(keepends=True) if line.endswith("\n")]
        acknowledged = [sku for word, after in done if word == "done" for sku in after]
        if acknowledged:
            sku = acknowledged[-1]
            best = matcher.match([load_photo(picture(f"{sku} 0"))])[0].matches[0]
            self.say("found" if best.sku == sku and best.score > 0.99 else "missed", {sku: [best.sku]})

    def run(self, operation: str) -> None:
        """Until the end, which is a signal."""
        work: Callable[[Matcher], None] = getattr(self, operation)
        while True:
            with open_matcher(self.store) as matcher:
                for _ in range(50 if operation == "read" else 5):
                    work(matcher)
                    if operation == "reindex":
                        break


def main() -> None:
    """Fork a worker for each line on stdin."""
    # Looking for local features takes longer than all the rest; pictures without texture have none either.
    enrolment.local_features = lambda crop, mask=None: b""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the system itself clears ended workers away
    for line in sys.stdin:
        store, log, operation, seed = line.split()
        pid = os.fork()
        if pid == 0:
            os.setpgrp()
            Worker(Path(store), Path(log), int(seed)).run(operation)
            os._exit(0)
        print(pid, flush=True)


if __name__ == "__main__":
    main()
