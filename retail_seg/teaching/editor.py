"""The tools of the annotation page, each a change of one photo's ids that is kept at once, and the hands that draw.

Every tool works on instance `number` and returns the photo and the number that was worked on; None makes a new one. A
`Hand` says what a mark on the picture is for; `Hands` remembers it, whatever the page is when the mark arrives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

from retail_seg.people.roles import require
from retail_seg.segmentation.boxes import Box
from retail_seg.system.user_errors import USER_ERRORS
from retail_seg.teaching import edits
from retail_seg.teaching.annotation_set import TaughtPhoto, Teaching, TeachingError
from retail_seg.teaching.box_tools import BoxTools, Point
from retail_seg.teaching.edits import Click
from retail_seg.teaching.view import EditorView

if TYPE_CHECKING:
    from retail_seg.segmentation.formats.base import Region
    from retail_seg.segmentation.segmenter import Segmenter

#: A touch within this share of the photo's longer side from a point of the outline takes the point away.
NEAR = 0.015

#: The tool that moves the window instead of changing anything.
MOVE = "move"
#: Tool of the page ► the kind of mark it takes from the picture.
MARKS = {
    "boxes": "boxes", "box": "box", "click": "point", "brush": "stroke", "outline": "point", "pick": "point",
    MOVE: "point",
}  # fmt: skip
#: Hands that marks on their way may still refer to.
KEPT = 50

Edited = tuple[TaughtPhoto, int]


@dataclass(frozen=True)
class Hand:
    """What a mark on the picture is for: a tool of MARKS in a person's hand, over a window of a photo.

    `number` is the instance that is worked on (None: a new one), `brush` the width of a stroke as a share of the
    window's, `erase` takes away what else is added, `by_model` lets a box take the model's outline. With `ignore` a
    box is a region to be ignored; with `proposals` a tap takes over what the model sees.
    """

    photo: str
    tool: str
    view: EditorView
    number: int | None = None
    erase: bool = False
    brush: float = 0.03
    by_model: bool = False
    ignore: bool = False
    proposals: bool = False


class MarkLike(Protocol):
    """A mark as the page got it: a number that grows, the number of its hand, and points as shares of the window.

    An "undo" or "redo" is of the hand's photo. Other kinds count only with the tool "boxes": a "box", a "point" where
    nothing was drawn, or a "reshape".
    """

    @property
    def number(self) -> int: ...
    @property
    def kind(self) -> str: ...
    @property
    def context(self) -> int: ...
    @property
    def points(self) -> Sequence[Sequence[float]]: ...


@dataclass(frozen=True)
class Taken:
    """What became of a mark: the thing to work on next, where the window is to move, or why nothing came of it."""

    photo: str
    number: int | None = None
    centre: tuple[float, float] | None = None
    problem: str = ""


class Editor:
    """The tools over an annotation set; `segmenter` gives the model whose outlines can be taken over."""

    def __init__(self, teaching: Teaching, segmenter: Callable[[], Segmenter]) -> None:
        self.teaching = teaching
        self.boxes = BoxTools(teaching, segmenter)
        self.model_labels = self.boxes.model_labels

    def apply(self, hand: Hand, points: Sequence[Sequence[float]], kind: str = "") -> int | None:
        """Do what a mark (points as shares of the window) asks for; returns the instance to work on next.

        A box is always about a new instance, so that a thing a box is the way to go through a photo.
        """
        require("staff")
        at = hand.view.to_photo(points)
        x, y = (float(v) for v in at[0])
        corner = (float(at[-1][0]), float(at[-1][1]))
        if hand.tool == "boxes":
            return self._boxes(hand, kind, (x, y, *corner))
        if hand.tool == "box":
            return self.box(hand.photo, (x, y, *corner), None, by_model=hand.by_model)[1]
        if hand.tool == "click":
            return self.click(hand.photo, Click(x, y, not hand.erase), hand.number)[1]
        if hand.tool == "brush":
            width = hand.brush * hand.view.width
            return self.stroke(hand.photo, at, width, hand.number, erase=hand.erase)[1] or None
        if hand.tool == "outline":
            self.touch_outline(hand.photo, (x, y))
            return hand.number
        if hand.tool == "pick":
            return self._tap(hand, (x, y))
        raise TeachingError(f"{hand.tool}: is no tool; one of {', '.join(MARKS)}")

    def _boxes(self, hand: Hand, kind: str, corners: Box) -> int | None:
        """A mark of the tool "boxes"; a box that was just drawn is not worked on, so that the next drag is another."""
        if kind == "point":
            if hand.ignore:
                self.boxes.heed(hand.photo, corners[:2])
                return None
            return self._tap(hand, corners[:2])
        if kind == "reshape" and hand.number:
            self.boxes.reshape(hand.photo, hand.number, corners)
            return hand.number
        if hand.ignore:
            self.boxes.ignore(hand.photo, corners)
        else:
            self.boxes.add(hand.photo, corners)
        return None

    def _tap(self, hand: Hand, at: Point) -> int | None:
        if hand.proposals:
            return self.boxes.tap(hand.photo, at, as_box=hand.tool == "boxes")
        return self.pick(hand.photo, at)

    def pick(self, id_: str, at: Point) -> int | None:
        """The instance at a point, None where there is none."""
        labels = self.teaching.labels(self.teaching.photo(id_))
        number = int(labels[min(int(at[1]), labels.shape[0] - 1), min(int(at[0]), labels.shape[1] - 1)])
        return number if number > 0 else None

    def stroke(self, id_: str, points: np.ndarray, width: float, number: int | None, *, erase: bool = False) -> Edited:
        """A stroke of a round brush (`width` pixels) along `points` (k, 2): added to an instance, or taken from it."""
        require("staff")
        photo = self.teaching.photo(id_)
        region = edits.stroke_region(points, width, (photo.height, photo.width))
        if erase:
            return self.teaching.edit(id_, lambda ids: edits.erased(ids, region, number)), number or 0
        return self._put(id_, number, lambda ids, n: edits.added(ids, region, n, over=True))

    def box(self, id_: str, box: Box, number: int | None, *, by_model: bool = False) -> Edited:
        """A box (x0, y0, x1, y1) gives a proposal: by its colours (GrabCut), or the model's outline where one fits."""
        require("staff")
        photo = self.teaching.photo(id_)
        picture = self.teaching.picture(photo)

        def proposal(others: np.ndarray) -> Region:
            if by_model and (found := edits.model_in_box(self.model_labels(photo), others, box)) is not None:
                return found
            return edits.box_proposal(picture, others, box)

        return self._put(id_, number, lambda ids, n: edits.replaced(ids, proposal(_others(ids, n)), n))

    def click(self, id_: str, click: Click, number: int | None) -> Edited:
        """One click more for the proposal of the instance that clicks made, else the first for a new one.

        A first click on what the model sees is the model's outline. TeachingError for a first click beside the thing,
        which says nothing yet.
        """
        require("staff")
        photo = self.teaching.photo(id_)
        number = number if number and photo.clicked == number else None
        kept = photo.clicks if number else ()
        clicks = (*(Click(*values) for values in kept), click)
        if not any(c.on for c in clicks):
            raise TeachingError("Click on the thing first, then beside it what does not belong to it")
        return self._put(
            id_, number,
            lambda ids, n: edits.replaced(ids, self._under(photo, _others(ids, n), clicks), n),
            lambda n: {"clicks": tuple((c.x, c.y, c.on) for c in clicks), "clicked": n},
        )  # fmt: skip

    def _under(self, photo: TaughtPhoto, others: np.ndarray, clicks: tuple[Click, ...]) -> Region:
        if len(clicks) == 1:
            found = edits.model_at(self.model_labels(photo), others, clicks[0].x, clicks[0].y)
            if found is not None and found.area:
                return found
        region = edits.click_proposal(self.teaching.picture(photo), others, clicks)
        if not region.area:
            raise TeachingError("Nothing stands out there; draw a box around the thing, or paint it")
        return region

    def touch_outline(self, id_: str, at: Point) -> TaughtPhoto:
        """Set a point of the outline in work, or take away the one that is touched."""
        require("staff")
        photo = self.teaching.photo(id_)
        near = NEAR * max(photo.width, photo.height)
        return self.teaching.note(id_, outline=tuple(edits.touched(photo.outline, at, near)))

    def outline_of(self, id_: str, number: int) -> TaughtPhoto:
        """Make an instance's outline the one in work, to move its points."""
        require("staff")
        photo = self.teaching.photo(id_)
        return self.teaching.note(id_, outline=tuple(edits.outline_points(self.teaching.labels(photo), number)))

    def drop_outline(self, id_: str) -> TaughtPhoto:
        """Give up the outline in work."""
        require("staff")
        return self.teaching.note(id_, outline=())

    def fill_outline(self, id_: str, number: int | None, *, way: str = "replace") -> Edited:
        """Fill the outline in work: as the whole instance ("replace"), "add" it to the instance, or "erase" it."""
        require("staff")
        photo = self.teaching.photo(id_)
        region = edits.polygon_region(photo.outline, (photo.height, photo.width))
        if way == "erase":
            return self.teaching.edit(id_, lambda ids: edits.erased(ids, region, number)), number or 0
        if way == "add":
            return self._put(id_, number, lambda ids, n: edits.added(ids, region, n, over=True))
        return self._put(id_, number, lambda ids, n: edits.added(edits.without(ids, n), region, n, over=True))

    def take_over(self, id_: str) -> Edited:
        """Take over what the model sees where nothing is drawn yet; returns the photo and how many instances came."""
        require("staff")
        photo = self.teaching.photo(id_)
        found = self.model_labels(photo)
        after = self.teaching.edit(id_, lambda ids: edits.taken_over(ids, found))
        return after, after.instances - photo.instances

    def delete(self, id_: str, number: int) -> TaughtPhoto:
        """Take an instance away."""
        require("staff")
        return self.boxes.delete(id_, number)

    def _put(
        self,
        id_: str,
        number: int | None,
        change: Callable[[np.ndarray, int], np.ndarray],
        keep: Callable[[int], dict[str, object]] = lambda number: {},
    ) -> Edited:
        """Edit with the number of the instance, a new one where none is given; both are settled under the lock."""
        settled: list[int] = []
        kept: dict[str, object] = {}

        def work(ids: np.ndarray) -> np.ndarray:
            settled.append(number or edits.next_number(ids))
            kept.update(keep(settled[0]))
            return change(ids, settled[0])

        return self.teaching.edit(id_, work, keep=kept), settled[0]


class Hands:
    """The hands of one person, by number: a mark is done in the hand that drew it, even if the page has moved on.

    Two strokes for a new thing, drawn one soon after the other, belong to the same thing.
    """

    def __init__(self) -> None:
        self.done = 0
        self._hands: dict[int, Hand] = {}
        self._made: dict[int, int] = {}
        self._last = 0

    def number_of(self, hand: Hand) -> int:
        """The number of a hand, a new one where it is another than before."""
        if self._hands.get(self._last) != hand:
            self._last += 1
            self._hands[self._last] = hand
            self._hands.pop(self._last - KEPT, None)
            self._made.pop(self._last - KEPT, None)
        return self._last

    def take(self, editor: Editor, marks: Iterable[MarkLike]) -> Iterator[Taken]:
        """Do what the marks ask for, in their order; one that fails stops no other."""
        for mark in marks:
            self.done = max(self.done, mark.number)
            hand = self._hands.get(mark.context)
            if hand is None:
                continue
            try:
                yield self._do(editor, hand, mark)
            except USER_ERRORS as error:
                yield Taken(hand.photo, hand.number, problem=str(error))

    def _do(self, editor: Editor, hand: Hand, mark: MarkLike) -> Taken:
        if mark.kind in ("undo", "redo"):
            (editor.teaching.undo if mark.kind == "undo" else editor.teaching.redo)(hand.photo)
            return Taken(hand.photo, hand.number)
        if hand.tool == MOVE:
            x, y = hand.view.to_photo(mark.points)[0]
            return Taken(hand.photo, hand.number, (float(x), float(y)))
        if hand.number is None and hand.tool in ("brush", "click"):
            hand = replace(hand, number=self._made.get(mark.context))
        number = editor.apply(hand, mark.points, mark.kind)
        if number:
            self._made[mark.context] = number
        return Taken(hand.photo, number)


def _others(ids: np.ndarray, number: int) -> np.ndarray:
    """Where other instances than `number` are, (H, W) bool."""
    return np.asarray((ids > 0) & (ids != number))
