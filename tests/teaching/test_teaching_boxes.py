"""Boxes in the annotation set: exact as drawn, shared where they overlap, undone, imported, trained on; proposals."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from teaching_helpers import iou, jpeg, masks_zip, one

from retail_seg.errors import AnnotationError
from retail_seg.people.roles import NotAllowed, Person, acting_as
from retail_seg.segmentation.annotations import load_annotations
from retail_seg.segmentation.boxes import IGNORE
from retail_seg.segmentation.formats.base import Region, paint
from retail_seg.teaching import Teaching, TeachingError
from retail_seg.teaching.editor import Editor, Hand, Hands
from retail_seg.teaching.imports import import_annotations
from retail_seg.teaching.trainings import Training, Trainings
from retail_seg.teaching.view import whole


def drawn(teaching: Teaching, id_: str) -> np.ndarray:
    return teaching.labels(teaching.photo(id_))


def boxes(teaching: Teaching, id_: str) -> dict[int, tuple[float, float, float, float]]:
    return teaching.photo(id_).box_of


class TestOneBox:
    def test_it_is_kept_exactly_and_its_pixels_are_those_with_their_centre_in_it(
        self, teaching: Teaching, editor: Editor
    ) -> None:
        id_ = one(teaching)
        photo, number = editor.boxes.add(id_, (50.6, 40.25, 20.0, 10.75))  # from the lower right corner
        assert photo.box_of == {number: (20.0, 10.75, 50.6 - 20, 29.5)} and photo.instances == 1
        rows, columns = np.nonzero(drawn(teaching, id_) == number)
        assert (rows.min(), rows.max(), columns.min(), columns.max()) == (11, 39, 20, 50)
        assert len(rows) == 29 * 31

    def test_it_ends_at_the_photos_edge_and_is_not_too_small(self, teaching: Teaching, editor: Editor) -> None:
        id_ = one(teaching)
        photo, _ = editor.boxes.add(id_, (-9, 80, 30, 99))
        assert photo.box_of == {1: (0, 80, 30, 16)}
        for corners in ((10, 10, 12, 40), (200, 10, 240, 40), (126.4, 10, 140, 40)):
            with pytest.raises(AnnotationError, match="box"):
                editor.boxes.add(id_, corners)
        assert teaching.photo(id_).instances == 1

    def test_it_moves_and_what_it_lay_on_is_there_again(self, teaching: Teaching, editor: Editor) -> None:
        id_ = one(teaching)
        editor.boxes.add(id_, (10, 10, 50, 50))
        before = drawn(teaching, id_).copy()
        _, second = editor.boxes.add(id_, (40, 10, 80, 50))
        photo = editor.boxes.reshape(id_, second, (90, 10, 110, 30))
        assert photo.box_of[second] == (90, 10, 20, 20)
        assert np.array_equal(drawn(teaching, id_) == 1, before == 1)
        assert (drawn(teaching, id_) == second).sum() == 400
        teaching.undo(id_)
        assert boxes(teaching, id_)[second] == (40, 10, 40, 40)
        with pytest.raises(TeachingError, match="no box"):
            editor.boxes.reshape(id_, 7, (90, 10, 110, 30))

    def test_a_stroke_or_an_eraser_makes_it_a_mask_and_undo_a_box_again(
        self, teaching: Teaching, editor: Editor
    ) -> None:
        id_ = one(teaching)
        editor.boxes.add(id_, (10, 10, 40, 40))
        editor.boxes.add(id_, (60, 10, 90, 40))
        editor.boxes.add(id_, (60, 50, 90, 80))
        editor.stroke(id_, np.array([[45.0, 20.0]]), 8, 1)
        editor.stroke(id_, np.array([[75.0, 20.0]]), 8, 2, erase=True)
        editor.stroke(id_, np.array([[75.0, 65.0]]), 8, None)  # lies on the third, which stays what it is
        assert set(boxes(teaching, id_)) == {3}
        for _ in range(3):
            teaching.undo(id_)
        assert set(boxes(teaching, id_)) == {1, 2, 3}
        teaching.redo(id_)
        assert set(boxes(teaching, id_)) == {2, 3}

    def test_a_viewer_draws_none(self, teaching: Teaching, editor: Editor) -> None:
        id_ = one(teaching)
        with acting_as(Person("Vera", "viewer")), pytest.raises(NotAllowed):
            editor.boxes.add(id_, (10, 10, 40, 40))


class TestOverlaps:
    def test_many_boxes_share_as_a_file_of_them_is_painted(self, teaching: Teaching, editor: Editor) -> None:
        """One by one they come to the same ids as all at once, whatever their order; three deep may differ."""
        id_, rng, given = one(teaching), np.random.default_rng(3), []
        for row in range(2):
            for column in range(4):
                x, y = 4 + 28 * column + rng.integers(0, 5), 4 + 42 * row
                given.append((int(x), y, int(26 + rng.integers(0, 4)), 38))
        given.append((10, 8, 9, 9))  # lies before the first
        for place in rng.permutation(len(given)):
            x, y, w, h = given[place]
            editor.boxes.add(id_, (x, y, x + w, y + h))
        kept = boxes(teaching, id_)
        assert sorted(kept.values()) == sorted(given)
        regions = [
            (n, Region(int(y), int(x), np.ones((int(h), int(w)), bool), (x, y, w, h)))
            for n, (x, y, w, h) in kept.items()
        ]
        assert np.array_equal(drawn(teaching, id_), paint(regions, 96, 128)[0])
        teaching.undo(id_)
        assert len(boxes(teaching, id_)) == len(given) - 1

    def test_a_deleted_one_leaves_no_hole_in_the_others(self, teaching: Teaching, editor: Editor) -> None:
        id_ = one(teaching)
        editor.boxes.add(id_, (10, 10, 60, 60))
        alone = drawn(teaching, id_).copy()
        _, front = editor.boxes.add(id_, (20, 20, 30, 30))
        _, painted = editor.stroke(id_, np.array([[50.0, 50.0]]), 9, None)
        assert (drawn(teaching, id_) == 1).sum() < (alone == 1).sum()
        editor.delete(id_, front)
        editor.delete(id_, painted)
        assert np.array_equal(drawn(teaching, id_), alone) and set(boxes(teaching, id_)) == {1}

    def test_a_mask_keeps_what_it_has_unless_the_box_lies_on_it(self, teaching: Teaching, editor: Editor) -> None:
        id_ = one(teaching)
        editor.stroke(id_, np.array([[40.0, 40.0]]), 40, None)
        mask = drawn(teaching, id_) == 1
        editor.boxes.add(id_, (50, 20, 120, 60))
        assert np.array_equal(drawn(teaching, id_) == 1, mask)
        _, front = editor.boxes.add(id_, (35, 35, 45, 45))
        assert (drawn(teaching, id_) == front).sum() == 100

    def test_the_same_box_again_takes_the_place_of_the_first(self, teaching: Teaching, editor: Editor) -> None:
        id_ = one(teaching)
        for _ in range(2):
            photo, _ = editor.boxes.add(id_, (10, 10, 40, 40))
        assert photo.instances == len(photo.boxes) == 1


def test_regions_to_be_ignored_lie_below_all_and_can_be_taken_back(teaching: Teaching, editor: Editor) -> None:
    id_ = one(teaching)
    editor.boxes.add(id_, (10, 10, 40, 40))
    photo = editor.boxes.ignore(id_, (30, 30, 60, 60))
    labels = drawn(teaching, id_)
    assert (labels == IGNORE).sum() == 30 * 30 - 10 * 10 and (labels == 1).sum() == 900 and photo.instances == 1
    again = Teaching(teaching.store)
    assert np.array_equal(again.labels(again.photo(id_)), labels) and boxes(again, id_) == {1: (10, 10, 30, 30)}
    editor.boxes.heed(id_, (55, 55))
    assert not (drawn(teaching, id_) == IGNORE).any()
    teaching.undo(id_)
    assert (drawn(teaching, id_) == IGNORE).any()


@dataclass
class Drawn:
    number: int
    context: int
    points: list[tuple[float, float]]
    kind: str = "box"


class TestMarks:
    def test_several_drags_before_an_answer_are_all_kept_each_an_edit(self, teaching: Teaching, editor: Editor) -> None:
        id_, hands = one(teaching), Hands()
        context = hands.number_of(Hand(id_, "boxes", whole(128, 96)))
        marks = [
            Drawn(n, context, [(0.02 + 0.19 * n, 0.1), (0.2 + 0.19 * n, 0.5)]) for n in range(5)
        ]  # fmt: skip
        taken = list(hands.take(editor, marks))
        assert [t.number for t in taken] == [None] * 5 and not any(t.problem for t in taken)
        assert len(boxes(teaching, id_)) == 5
        keys = [Drawn(9 + n, context, [(0.0, 0.0)], kind) for n, kind in enumerate(("undo", "undo", "redo"))]
        list(hands.take(editor, keys))
        assert len(boxes(teaching, id_)) == 4
        list(hands.take(editor, [Drawn(20, context, [(0.0, 0.0)], "redo")]))
        for left in range(4, -1, -1):
            assert teaching.undo(id_).instances == left

    def test_taps_select_handles_reshape_and_the_toggle_ignores(self, teaching: Teaching, editor: Editor) -> None:
        id_, hands, view = one(teaching), Hands(), whole(128, 96)
        editor.boxes.add(id_, (12.8, 9.6, 64, 48))
        tap = Drawn(1, hands.number_of(Hand(id_, "boxes", view)), [(0.2, 0.2)], "point")
        (taken,) = hands.take(editor, [tap])
        assert taken.number == 1
        pull = Drawn(2, hands.number_of(Hand(id_, "boxes", view, 1)), [(0.1, 0.1), (0.75, 0.25)], "reshape")
        (taken,) = hands.take(editor, [pull])
        assert taken.number == 1 and np.allclose(boxes(teaching, id_)[1], (12.8, 9.6, 83.2, 14.4))
        ignore = hands.number_of(Hand(id_, "boxes", view, ignore=True))
        list(hands.take(editor, [Drawn(3, ignore, [(0.0, 0.5), (1.0, 1.0)])]))
        assert (drawn(teaching, id_) == IGNORE).sum() == 48 * 128
        list(hands.take(editor, [Drawn(4, ignore, [(0.5, 0.8)], "point")]))
        assert not (drawn(teaching, id_) == IGNORE).any()


class TestProposals:
    def centre(self, editor: Editor, teaching: Teaching, id_: str, number: int = 1) -> tuple[float, float]:
        y, x = (float(np.median(v)) for v in np.nonzero(editor.model_labels(teaching.photo(id_)) == number))
        return x, y

    @pytest.mark.parametrize("as_box", [True, False])
    def test_a_tap_takes_one_and_the_next_gives_it_back(self, teaching: Teaching, editor: Editor, as_box: bool) -> None:
        id_ = one(teaching)
        seen = editor.model_labels(teaching.photo(id_))
        at = self.centre(editor, teaching, id_)
        count = len(editor.boxes.open(teaching.photo(id_)))
        editor.boxes.tap(id_, at, as_box=as_box)
        photo = teaching.photo(id_)
        assert photo.instances == 1 and len(editor.boxes.open(photo)) < count
        if as_box:
            rows, columns = np.nonzero(seen == seen[int(at[1]), int(at[0])])
            x, y = columns.min(), rows.min()
            assert photo.box_of == {1: (x, y, columns.max() + 1 - x, rows.max() + 1 - y)}
        else:
            assert photo.boxes == () and iou(drawn(teaching, id_) == 1, seen == seen[int(at[1]), int(at[0])]) == 1
        editor.boxes.tap(id_, at, as_box=as_box)
        assert teaching.photo(id_).instances == 0 and len(editor.boxes.open(teaching.photo(id_))) == count

    def test_what_was_drawn_by_hand_is_picked_not_deleted(self, teaching: Teaching, editor: Editor) -> None:
        id_ = one(teaching)
        at = self.centre(editor, teaching, id_)
        _, number = editor.boxes.add(id_, (at[0] - 6, at[1] - 6, at[0] + 6, at[1] + 6))
        assert editor.boxes.tap(id_, at, as_box=True) == number
        assert editor.boxes.tap(id_, (1, 1), as_box=True) is None and teaching.photo(id_).instances == 1

    def test_all_come_at_once_but_none_twice(self, teaching: Teaching, editor: Editor) -> None:
        id_ = one(teaching)
        editor.stroke(id_, np.array([[3.0, 3.0]]), 5, None)
        known = len(editor.boxes.proposals(teaching.photo(id_)))
        photo, count = editor.boxes.take_all(id_)
        assert count == known == len(photo.boxes) and photo.instances == known + 1
        assert editor.boxes.take_all(id_)[1] == 0
        assert teaching.undo(id_).instances == 1


def boxes_zip(seed: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr(f"photos/p{seed}.jpg", jpeg(seed))
        rows = "p0.jpg,ignore,0,0,20,20\np0.jpg,tin,24.5,25,40,45\np0.jpg,tin,63,26.25,40,44\n"
        file.writestr("boxes.csv", "image,label,x,y,w,h\n" + rows)
    return buffer.getvalue()


class TestInAndOut:
    def test_imported_boxes_stay_boxes(self, teaching: Teaching) -> None:
        done = import_annotations(teaching, boxes_zip(0))
        assert done.instances == 2 and done.problems == ()
        (id_,) = done.photos
        assert boxes(teaching, id_) == {1: (24.5, 25, 40, 45), 2: (63, 26.25, 40, 44)}
        assert (drawn(teaching, id_) == IGNORE).sum() == 400
        import_annotations(teaching, masks_zip(range(1)))
        assert boxes(teaching, id_) == {}
        teaching.undo(id_)
        assert len(boxes(teaching, id_)) == 2

    def test_a_training_reads_them_as_boxes(
        self, teaching: Teaching, editor: Editor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ids = list(teaching.add([(f"p{seed}.jpg", jpeg(seed)) for seed in range(3)]).ids)
        for id_ in ids:
            editor.boxes.add(id_, (24.5, 25, 64.25, 70))
            editor.stroke(id_, np.array([[100.0, 48.0]]), 20, None)
            editor.boxes.ignore(id_, (0, 0, 20, 20))
            teaching.finish(id_, True)
        trainings = Trainings(teaching)
        monkeypatch.setattr(Trainings, "_process", lambda self, run, lock: FakeProcess())
        run: Training = trainings.start(minutes=1)
        photos = [teaching.path(teaching.photo(id_)) for id_ in run.photos]
        annotated, problems = load_annotations(photos, trainings.path(run.id) / "labels")
        assert problems == [] and len(annotated) == 3
        for photo in annotated:
            assert photo.boxes == {1: (24.5, 25, 39.75, 45)} and photo.ids == [1, 2]
            assert (photo.labels == IGNORE).sum() == 400


@dataclass
class FakeProcess:
    pid: int = field(default=0)


def test_a_set_from_before_there_were_boxes_is_read(teaching: Teaching, editor: Editor) -> None:
    import json

    id_ = one(teaching)
    editor.stroke(id_, np.array([[40.0, 40.0]]), 20, None)
    about = teaching.folder / "about" / f"{id_}.json"
    values = json.loads(about.read_text())
    del values["boxes"]
    about.write_text(json.dumps(values))
    patch: Path = teaching.folder / "edits" / id_ / "1.npz"
    with np.load(patch) as kept:
        old = {name: kept[name] for name in ("place", "before", "after")}
    np.savez_compressed(patch, **old)
    editor.boxes.add(id_, (60, 60, 90, 90))
    teaching.undo(id_)
    assert teaching.undo(id_).instances == 0
