"""From marks on the picture to edits: what each mark is for, whatever the page has become until the mark arrives."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from retail_seg.teaching_editor import Editor, Hand
from retail_seg.user_errors import USER_ERRORS

#: The tool that moves the window instead of changing anything.
MOVE = "move"
#: Hands that marks on their way may still refer to.
KEPT = 50


class MarkLike(Protocol):
    """A mark as the page got it: a number that grows, the number of its hand, and points as shares of the window."""

    @property
    def number(self) -> int: ...
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
        if hand.tool == MOVE:
            x, y = hand.view.to_photo(mark.points)[0]
            return Taken(hand.photo, hand.number, (float(x), float(y)))
        if hand.number is None and hand.tool in ("brush", "click"):
            hand = replace(hand, number=self._made.get(mark.context))
        number = editor.apply(hand, mark.points)
        if number:
            self._made[mark.context] = number
        return Taken(hand.photo, number)
