"""The tools of the annotation page: proposals by box, clicks and model, and the hands that draw."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from teaching_helpers import iou, one, scene

from retail_seg.errors import AnnotationError
from retail_seg.teaching import Teaching, TeachingError
from retail_seg.teaching.editor import Editor, Hand, Hands
from retail_seg.teaching.edits import Click, box_proposal, click_proposal, outline_points
from retail_seg.teaching.view import EditorView, whole


class TestProposals:
    def test_a_box_separates_two_things_that_touch(self, teaching: Teaching, editor: Editor) -> None:
        id_, (_, labels) = one(teaching), scene(0)
        for value in (1, 2):
            ys, xs = np.nonzero(labels == value)
            box = (xs.min() - 2.0, ys.min() - 2.0, xs.max() + 3.0, ys.max() + 3.0)
            _, number = editor.box(id_, box, None)
            assert number == value
        found = teaching.labels(teaching.photo(id_))
        assert min(iou(found == value, labels == value) for value in (1, 2)) > 0.9

    def test_a_box_never_takes_what_is_another_things(self) -> None:
        picture, labels = scene(0)
        region = box_proposal(picture, labels == 1, (20.0, 20.0, 110.0, 75.0))
        place = np.zeros(labels.shape, bool)
        h, w = region.mask.shape
        place[region.top : region.top + h, region.left : region.left + w] = region.mask
        assert not (place & (labels == 1)).any() and iou(place, labels == 2) > 0.85

    def test_where_colours_tell_nothing_the_box_is_the_proposal(self) -> None:
        flat = np.full((60, 60, 3), 128, np.uint8)
        assert box_proposal(flat, np.zeros((60, 60), bool), (10, 10, 40, 30)).area == 600
        with pytest.raises(AnnotationError, match="too small"):
            box_proposal(flat, np.zeros((60, 60), bool), (10, 10, 11, 30))

    def test_clicks_on_and_beside(self) -> None:
        picture, labels = scene(0)
        nothing = np.zeros(labels.shape, bool)
        y, x = (int(v.mean()) for v in np.nonzero(labels == 1))
        found = click_proposal(picture, nothing, [Click(x, y), Click(83, 48, on=False), Click(x, 5, on=False)])
        place = np.zeros(labels.shape, bool)
        h, w = found.mask.shape
        place[found.top : found.top + h, found.left : found.left + w] = found.mask
        assert iou(place, labels == 1) > 0.6 and not place[48, 83]
        assert click_proposal(picture, nothing, [Click(3, 3, on=False)]).area == 0

    def test_the_model_gives_a_start_and_clicks_take_its_outline(self, teaching: Teaching, editor: Editor) -> None:
        id_, (_, labels) = one(teaching), scene(0)
        photo, count = editor.take_over(id_)
        seen = editor.model_labels(photo)
        assert count == photo.instances >= 1 and iou(teaching.labels(photo) > 0, seen > 0) == 1
        assert iou(seen > 0, labels > 0) > 0.7
        assert editor.take_over(id_)[1] == 0  # nothing twice
        teaching.undo(id_)
        y, x = (int(v.mean()) for v in np.nonzero(seen == 1))
        photo, number = editor.click(id_, Click(x, y), None)
        assert iou(teaching.labels(photo) == number, seen == 1) == 1 and photo.clicked == number
        photo, same = editor.click(id_, Click(2, 2, on=False), number)
        assert same == number and len(photo.clicks) == 2
        with pytest.raises(TeachingError, match="on the thing first"):
            editor.click(id_, Click(2, 2, on=False), None)

    def test_an_outline_has_few_points(self) -> None:
        labels = scene(0)[1]
        points = outline_points(labels, 1, most=12)
        assert 5 < len(points) <= 12
        with pytest.raises(AnnotationError, match="no pixels"):
            outline_points(labels, 9)


@dataclass
class Drawn:
    number: int
    context: int
    points: list[tuple[float, float]]
    kind: str = ""


class TestHands:
    def test_a_mark_is_done_in_the_hand_that_drew_it(self, teaching: Teaching, editor: Editor) -> None:
        id_, hands = one(teaching), Hands()
        view = EditorView(64, 0, 64, 48)
        brush = hands.number_of(Hand(id_, "brush", view, None, brush=0.2))
        pick = hands.number_of(Hand(id_, "pick", view))
        assert hands.number_of(Hand(id_, "pick", view)) == pick != brush
        quick = [Drawn(7, brush, [(0.5, 0.5)]), Drawn(8, brush, [(0.7, 0.5)]), Drawn(9, pick, [(0.5, 0.5)])]
        taken = list(hands.take(editor, quick))
        assert [t.number for t in taken] == [1, 1, 1] and hands.done == 9  # two strokes, one new thing
        assert teaching.labels(teaching.photo(id_))[24, 96] == 1

    def test_a_bad_mark_is_a_sentence_and_stops_no_other(self, teaching: Teaching, editor: Editor) -> None:
        id_, hands, view = one(teaching), Hands(), whole(128, 96)
        box = hands.number_of(Hand(id_, "box", view))
        move = hands.number_of(Hand(id_, "move", view))
        marks = [
            Drawn(1, box, [(0.1, 0.1), (0.101, 0.2)]), Drawn(2, 99, [(0.1, 0.1)]), Drawn(3, move, [(0.5, 0.25)]),
            Drawn(4, box, [(0.15, 0.2), (0.52, 0.8)]),
        ]  # fmt: skip
        taken = list(hands.take(editor, marks))
        assert "too small" in taken[0].problem and taken[1].centre == (64, 24) and taken[2].number == 1
