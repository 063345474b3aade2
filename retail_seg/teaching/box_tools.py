"""The tools of the annotation page for boxes and proposals: a drag is a box, a tap takes over what the model sees."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from retail_seg.people.roles import require
from retail_seg.segmentation.boxes import Box
from retail_seg.teaching import edits
from retail_seg.teaching.annotation_set import TaughtPhoto, Teaching, TeachingError
from retail_seg.teaching.box_edits import drawn_box, heeding, ignoring, moved_box, with_boxes, without_instance
from retail_seg.teaching.files import Cache
from retail_seg.teaching.proposals import Proposal, at_point, open_proposals, proposals_of, taken_as

if TYPE_CHECKING:
    from retail_seg.segmentation.segmenter import Segmenter

Corners = tuple[float, float, float, float]
Point = tuple[float, float]
#: What ids and boxes become.
BoxChange = Callable[[np.ndarray, dict[int, Box]], tuple[np.ndarray, dict[int, Box]]]


class BoxTools:
    """Boxes and proposals over an annotation set; each is one edit, on disk at once and undone like any other."""

    def __init__(self, teaching: Teaching, segmenter: Callable[[], Segmenter]) -> None:
        self.teaching, self._segmenter = teaching, segmenter
        self._seen: Cache[np.ndarray] = Cache(4)
        self._proposed: Cache[list[Proposal]] = Cache(4)

    def model_labels(self, photo: TaughtPhoto) -> np.ndarray:
        """What the model sees on a photo, ids (H, W) int32; computed once for a photo and a model."""
        model = self._segmenter()
        return self._seen.get((photo.id, model.fingerprint), lambda: model.segment(self.teaching.picture(photo)).labels)

    def add(self, id_: str, corners: Corners) -> tuple[TaughtPhoto, int]:
        """A new instance that is the box between two corners (x0, y0, x1, y1); returns the photo and its number."""
        require("staff")
        photo = self.teaching.photo(id_)
        box = drawn_box(corners, (photo.height, photo.width)).box
        assert box is not None
        made = self._added(id_, lambda ids, boxes: [box])
        return made[0], made[1][0]

    def reshape(self, id_: str, number: int, corners: Corners) -> TaughtPhoto:
        """Put a box somewhere else, in another size; TeachingError where the instance is no box."""
        require("staff")
        photo = self.teaching.photo(id_)
        box = drawn_box(corners, (photo.height, photo.width)).box
        assert box is not None

        def change(ids: np.ndarray, boxes: dict[int, Box]) -> tuple[np.ndarray, dict[int, Box]]:
            if number not in boxes:
                raise TeachingError(f"Number {number} is no box any more; draw a new one")
            return moved_box(ids, boxes, number, box), {**boxes, number: box}

        return self._edit(id_, change)

    def ignore(self, id_: str, corners: Corners) -> TaughtPhoto:
        """Whatever is in a box and no instance counts for nothing: neither product nor background."""
        require("staff")
        photo = self.teaching.photo(id_)
        region = drawn_box(corners, (photo.height, photo.width))
        return self._edit(id_, lambda ids, boxes: (ignoring(ids, region), boxes))

    def heed(self, id_: str, at: Point) -> TaughtPhoto:
        """The region to be ignored at a point is background again; nothing happens where there is none."""
        require("staff")
        return self._edit(id_, lambda ids, boxes: (heeding(ids, at), boxes))

    def delete(self, id_: str, number: int) -> TaughtPhoto:
        """Take an instance away; boxes that it lay on have their pixels again."""
        require("staff")

        def change(ids: np.ndarray, boxes: dict[int, Box]) -> tuple[np.ndarray, dict[int, Box]]:
            return without_instance(ids, boxes, number), {n: box for n, box in boxes.items() if n != number}

        return self._edit(id_, change)

    # -- proposals -------------------------------------------------------------------------------------------

    def proposals(self, photo: TaughtPhoto) -> list[Proposal]:
        """What the model sees on a photo, drawn already or not."""
        key = (photo.id, self._segmenter().fingerprint)
        return self._proposed.get(key, lambda: proposals_of(self.model_labels(photo)))

    def open(self, photo: TaughtPhoto) -> list[Proposal]:
        """What the model sees on a photo and nobody has drawn yet."""
        return list(open_proposals(self.proposals(photo), self.teaching.labels(photo)))

    def tap(self, id_: str, at: Point, *, as_box: bool) -> int | None:
        """Take over the proposal at a point, or give back the instance that was one; else the instance there.

        `as_box` takes it as the box around it, otherwise it comes as a mask. Returns the instance to work on next.
        """
        require("staff")
        photo = self.teaching.photo(id_)
        labels = self.teaching.labels(photo)
        number = int(labels[min(int(at[1]), photo.height - 1), min(int(at[0]), photo.width - 1)])
        if number > 0:
            if any(taken_as(proposal, labels, photo.box_of) == number for proposal in self.proposals(photo)):
                self.delete(id_, number)
                return None
            return number
        proposal = at_point(self.open(photo), at, as_box=as_box)
        if proposal is not None:
            self._take(id_, proposal, as_box=as_box)
        return None

    def take_all(self, id_: str) -> tuple[TaughtPhoto, int]:
        """Take over every open proposal as its box, in one edit; returns the photo and how many came."""
        require("staff")
        known = self.proposals(self.teaching.photo(id_))
        photo, numbers = self._added(id_, lambda ids, boxes: [p.box for p in open_proposals(known, ids)])
        return photo, len(numbers)

    def _take(self, id_: str, proposal: Proposal, *, as_box: bool) -> None:
        if as_box:
            self._added(id_, lambda ids, boxes: [proposal.box])
        else:
            self.teaching.edit(
                id_, lambda ids: edits.added(ids, proposal.region, edits.next_number(ids), over=False)
            )  # fmt: skip

    def _added(
        self, id_: str, wanted: Callable[[np.ndarray, dict[int, Box]], Sequence[Box]]
    ) -> tuple[TaughtPhoto, list[int]]:
        """New instances that are boxes; their numbers are settled under the lock."""
        numbers: list[int] = []

        def change(ids: np.ndarray, boxes: dict[int, Box]) -> tuple[np.ndarray, dict[int, Box]]:
            first = edits.next_number(ids)
            fresh = dict(enumerate(wanted(ids, boxes), first))
            numbers.extend(fresh)
            after = with_boxes(ids, boxes | fresh, tuple(fresh))
            edits.next_number(after)  # raises where 16 bits hold no more
            return after, boxes | fresh

        return self._edit(id_, change), numbers

    def _edit(self, id_: str, change: BoxChange) -> TaughtPhoto:
        """An edit of ids and boxes, both as they are under the lock."""
        after: dict[int, Box] = {}

        def work(ids: np.ndarray) -> np.ndarray:
            labels, boxes = change(ids, self.teaching.photo(id_).box_of)
            after.update(boxes)
            return labels

        return self.teaching.edit(id_, work, boxes=lambda: after)
