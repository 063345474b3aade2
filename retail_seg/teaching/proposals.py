"""What the model sees on a photo, one by one, to be taken over by a tap, and what of it was taken already."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from retail_seg.segmentation.boxes import Box
from retail_seg.segmentation.formats.base import Region
from retail_seg.teaching.edits import outline_points

#: Of a proposal that is not taken, at most this share is drawn as something else; of more it would be a second one.
DRAWN = 0.5
#: An instance is a proposal that was taken over where each is so much of the other.
SAME = 0.9


@dataclass(frozen=True, eq=False)
class Proposal:
    """An instance that the model sees: its mask, and the box (x, y, width, height) around it."""

    region: Region
    box: Box

    def corners(self) -> np.ndarray:
        """The corners of the box (4, 2), in pixels of the photo."""
        x, y, w, h = self.box
        return np.array([(x, y), (x + w, y), (x + w, y + h), (x, y + h)], np.float64)

    def outline(self) -> np.ndarray:
        """The outline of the mask's largest part (k, 2), in pixels of the photo."""
        canvas = np.zeros(tuple(side + 2 for side in self.region.mask.shape), np.int32)
        canvas[1:-1, 1:-1] = self.region.mask
        return np.add(outline_points(canvas, 1), (self.region.left - 1, self.region.top - 1))


def proposals_of(found: np.ndarray) -> list[Proposal]:
    """The instances of ids (H, W) that a model gave."""
    from scipy.ndimage import find_objects

    made = []
    for number, place in enumerate(find_objects(found), 1):
        if place is None:
            continue
        rows, columns = place
        box = (columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start)
        made.append(Proposal(Region(rows.start, columns.start, found[place] == number), box))
    return made


def taken_as(proposal: Proposal, labels: np.ndarray, boxes: Mapping[int, Box]) -> int | None:
    """The instance that a proposal became, as its box or as its mask; None where there is none."""
    as_box = next((number for number, box in boxes.items() if box == proposal.box), None)
    if as_box is not None:
        return as_box
    mask = proposal.region.mask
    counts = np.bincount(np.maximum(_under(proposal, labels)[mask], 0))
    counts[0] = 0
    number = int(counts.argmax())
    if counts[number] < SAME * mask.sum() or number in boxes:
        return None
    return number if counts[number] >= SAME * np.count_nonzero(labels == number) else None


def open_proposals(proposals: Sequence[Proposal], labels: np.ndarray) -> Iterator[Proposal]:
    """The proposals that are not drawn yet, neither by a tap nor by hand."""
    for proposal in proposals:
        if (_under(proposal, labels)[proposal.region.mask] > 0).mean() <= DRAWN:
            yield proposal


def at_point(proposals: Sequence[Proposal], at: tuple[float, float], *, as_box: bool) -> Proposal | None:
    """The smallest proposal whose box, or mask, holds a point; None where none does."""
    x, y = at
    held = [p for p in proposals if 0 <= x - p.box[0] < p.box[2] and 0 <= y - p.box[1] < p.box[3]]
    if not as_box:
        held = [p for p in held if p.region.mask[int(y) - p.region.top, int(x) - p.region.left]]
    return min(held, key=lambda p: p.region.area, default=None)


def _under(proposal: Proposal, labels: np.ndarray) -> np.ndarray:
    h, w = proposal.region.mask.shape
    top, left = proposal.region.top, proposal.region.left
    return labels[top : top + h, left : left + w]
