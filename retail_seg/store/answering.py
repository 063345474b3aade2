"""Crops with their masks ► what they are; photos taken apart ► their reports."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from catalogue import Catalogue
from index import Embedder
from index.views import Crop
from retail_seg.report import Identification
from retail_seg.store.among import Among
from retail_seg.store.deciding import decide
from retail_seg.store.embedding import embed_views
from retail_seg.store.gallery import Gallery, Ranked
from retail_seg.store.scanning import OnStage, Scanned, Seen, report_of, unheard
from retail_seg.store.voting import VOTERS, shorten, vote


@dataclass(frozen=True)
class Answering:
    """What an open store answers with."""

    embedder: Embedder
    gallery: Gallery
    catalogue: Catalogue

    def name(
        self, views: Sequence[Crop], top: int, among: Among | None = None, on_stage: OnStage = unheard
    ) -> list[Identification]:
        """What crops are, each by itself."""
        ranked, _ = self._ranked(views, top, among, on_stage)
        return decide(ranked, views, self.catalogue.names_of)

    def answer(
        self,
        seen: Sequence[Seen],
        versions: Callable[[], dict[str, str | int]],
        top: int,
        among: Among | None = None,
        on_stage: OnStage = unheard,
    ) -> list[Scanned]:
        """The reports of photos; their crops are embedded and ranked together, and those of each photo vote."""
        views = [view for one in seen for view in one.views]
        ranked, vectors = self._ranked(views, max(top, VOTERS), among, on_stage)
        ends = np.cumsum([len(one.views) for one in seen], dtype=int).tolist()
        parts = [(one, slice(end - len(one.views), end)) for one, end in zip(seen, ends, strict=True)]
        certainty = self.gallery.current().ranker.calibration.certainty
        told = [one for photo, at in parts for one in vote(ranked[at], vectors[at], photo.instances.boxes, certainty)]
        found = decide([shorten(one, top) for one in told], views, self.catalogue.names_of)
        on_stage("report")
        made = versions()
        return [Scanned(photo, vectors[at], report_of(photo, found[at], made)) for photo, at in parts]

    def _ranked(
        self, views: Sequence[Crop], top: int, among: Among | None, on_stage: OnStage
    ) -> tuple[list[Ranked | None], np.ndarray]:
        """Rankings of crops, and their raw vectors (n, dim) float32."""
        on_stage("embed")
        vectors = embed_views(self.embedder, views)
        on_stage("rank")
        return self.gallery.rank(vectors, views, top, among), vectors
