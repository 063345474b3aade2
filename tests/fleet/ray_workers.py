"""Workers for the tests, some of whose tasks end the process that works on them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from retail_seg.errors import PhotoError, StoreError
from retail_seg.fleet.embedding import EmbeddingWorker, Portion
from retail_seg.fleet.scanning import PhotoLine, PhotoWorker
from retail_seg.fleet.sources import PhotoAddress

#: The status with which a task ends its process.
STATUS = 9


class Words:
    """Does what a word says; `plan` is a folder in which each task leaves a mark of each time that it was begun."""

    def __init__(self, plan: Any) -> None:
        self._plan = plan

    def start(self) -> str:
        import ray

        if self._plan == "no store":
            raise StoreError("s: holds no store")
        if self._plan == "no program":
            raise ImportError("No module named 'retail_seg'")
        node: str = ray.get_runtime_context().get_node_id()
        return node

    def work(self, word: str) -> str:
        marks = Path(self._plan) / word
        with marks.open("a") as file:
            file.write(".")
        if word == "die" or (word == "die once" and marks.read_text() == "."):
            os._exit(STATUS)
        if word == "sleep":
            time.sleep(600)
        if word == "bad":
            raise PhotoError("bad: is no photo")
        if word == "wrong":
            raise ZeroDivisionError("by nothing")
        return word.upper()


class DeadlyPhotos(PhotoWorker):
    """Scans, but `killer.jpg` ends the process."""

    def work(self, photo: PhotoAddress) -> PhotoLine:
        if photo.address.endswith("killer.jpg"):
            os._exit(STATUS)
        return super().work(photo)


def deadly(kills: Callable[[Any], bool]) -> type[EmbeddingWorker]:
    """Workers that embed, but a picture that `kills` ends the process."""

    class DeadlyPictures(EmbeddingWorker):
        def work(self, portion: Portion) -> Sequence[Any]:
            if any(kills(picture) for picture in portion.pictures):
                os._exit(STATUS)
            return super().work(portion)

    return DeadlyPictures


def of_another(**what: str) -> type[EmbeddingWorker]:
    """Workers for whom the caller has another program or embedder."""

    class Stranger(EmbeddingWorker):
        def start(self) -> str:
            self._order = replace(self._order, **what)
            return super().start()

    return Stranger
