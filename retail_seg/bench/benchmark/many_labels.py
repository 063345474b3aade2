"""Naming among millions of labels: a store's own kind of index, filled with references made of real ones by jitter.

What a catalogue would add, a query of SQLite for the names of those that come into a race, is not in it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from index.opening import open_embedder
from index.ranking import Ranker
from index.rerank import LocalEvidence, local_features
from index.vectors import VectorIndex
from index.views import upright
from retail_seg.bench.benchmark.synthetic import made_photo, real_references, real_vectors
from retail_seg.bench.scale.built import Built
from retail_seg.bench.scale.indexes import SQ8, Made
from retail_seg.segmentation.instances.instances import Instances

#: Crops that are named, and different pictures whose local features references have.
_CROPS, _KNOWN = 10, 5


def approximate(work: Path, vectors: Path | None, labels: int) -> Callable[[], Any]:
    """What is timed: open the file of an index of `labels` references, and rank ten crops by it with a second look.

    The index and the exact rows that it is made of are built in `work` where they are not there; `benchmark scale`
    finds them, and it theirs.
    """
    embedder = open_embedder("retail-vgg")
    made = Made(real_vectors(vectors, embedder), labels)
    path = _file(Built(work, made))
    photo = made_photo(_CROPS, 2.0)
    truth = Instances.from_labels(photo.labels)
    views = [upright(*truth.crop(photo.photo, i)) for i in range(_CROPS)]
    known = _known()
    queries = made.queries()[:_CROPS]
    ranker = Ranker.unfitted(made.dim, embedder.name)

    def features(ids: Any) -> dict[int, bytes]:
        return {int(i): known[int(i) % len(known)] for i in ids}

    def answer() -> None:
        index, _ = VectorIndex.load(path)
        look = LocalEvidence(lambda i: local_features(*views[i]), features)
        ranker.rank(queries, index, lambda ids: np.asarray(ids, np.int64), top=5, look=look)

    return answer


@cache
def _known() -> list[bytes]:
    """Local features of a few packs."""
    embedder = open_embedder("retail-vgg")
    return [one.features or b"" for number in range(_KNOWN) for one in real_references(embedder, number, 1)]


def _file(built: Built) -> Path:
    """A store's file of the index: the same structure with ids behind it."""
    path = built.path(SQ8).with_suffix(".index")
    if not path.exists():
        index = VectorIndex(built.made.dim, "ivf-sq8")
        base = replace(index._state.base, rows=built.open(SQ8), ids=np.arange(built.made.count))
        index._state = replace(index._state, base=base, live=built.made.count)
        index.save(path, 0)
    return path
