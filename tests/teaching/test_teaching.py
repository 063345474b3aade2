"""The annotation set of a store: photos, edits with undo, what is seen of a photo."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from PIL import Image
from teaching_helpers import jpeg, masks_zip, one, scene

from retail_seg.errors import AnnotationError
from retail_seg.people.roles import NotAllowed, Person, acting_as
from retail_seg.teaching import DONE, DRAFT, NEW, Teaching, TeachingError
from retail_seg.teaching.editor import Editor
from retail_seg.teaching.edits import stroke_region, touched
from retail_seg.teaching.imports import import_annotations
from retail_seg.teaching.trainings import Trainings
from retail_seg.teaching.view import EditorView, centre_of, ids_png, photo_jpeg, whole, window


class TestPhotos:
    def test_names_never_become_paths_and_the_same_photo_is_kept_once(self, teaching: Teaching) -> None:
        added = teaching.add([("../../etc/passwd\n.jpg", jpeg(0)), ("b.jpg", b"no picture"), ("C:\\x\\c.jpg", jpeg(0))])
        assert len(added.ids) == 1 and added.known == 1
        assert len(added.problems) == 1 and "b.jpg" in added.problems[0]
        (photo,) = teaching.photos()
        assert photo.name == "passwd .jpg" and photo.state == NEW and (photo.width, photo.height) == (128, 96)
        assert teaching.path(photo) == teaching.photos_folder / f"{photo.id}.jpg"
        assert teaching.path(photo).read_bytes() == jpeg(0)
        for wrong in ("../about", "x" * 16, ""):
            with pytest.raises(TeachingError):
                teaching.photo(wrong)

    def test_a_turned_photo_is_kept_upright(self, teaching: Teaching) -> None:
        buffer, exif = io.BytesIO(), Image.Exif()
        exif[274] = 6
        Image.fromarray(scene(0)[0]).save(buffer, "JPEG", exif=exif)
        photo = teaching.photo(teaching.add([("turned.jpg", buffer.getvalue())]).ids[0])
        assert (photo.width, photo.height) == (96, 128)
        with Image.open(teaching.path(photo)) as kept:
            assert kept.size == (96, 128) and kept.getexif().get(274, 1) == 1
        assert teaching.labels(photo).shape == (128, 96)

    def test_a_removed_photo_leaves_nothing(self, teaching: Teaching, editor: Editor) -> None:
        id_ = one(teaching)
        editor.stroke(id_, np.array([[40.0, 40.0]]), 10, None)
        teaching.remove(id_)
        assert teaching.photos() == []
        left = [p for p in teaching.folder.rglob("*") if p.is_file() and p.parent.name != "locks"]
        assert left == []

    def test_a_viewer_changes_nothing(self, teaching: Teaching, editor: Editor) -> None:
        id_ = one(teaching)
        with acting_as(Person("Vi", "viewer")):
            for change in (
                lambda: teaching.add([("a.jpg", jpeg(1))]), lambda: teaching.remove(id_), lambda: teaching.undo(id_),
                lambda: editor.stroke(id_, np.array([[40.0, 40.0]]), 10, None), lambda: teaching.finish(id_, True),
                lambda: import_annotations(teaching, masks_zip(range(1))), lambda: Trainings(teaching).start(minutes=1),
            ):  # fmt: skip
                with pytest.raises(NotAllowed, match="staff"):
                    change()
        assert [photo.state for photo in teaching.photos()] == [NEW]


class TestEdits:
    def test_a_stroke_is_on_disk_at_once_and_belongs_to_its_thing(self, teaching: Teaching, editor: Editor) -> None:
        id_ = one(teaching)
        with acting_as(Person("Ada", "staff")):
            photo, first = editor.stroke(id_, np.array([[20.0, 48], [60.0, 48]]), 10, None)
        assert first == 1 and photo.state == DRAFT and photo.instances == 1 and photo.edited_by == "Ada"
        _, second = editor.stroke(id_, np.array([[60.0, 48], [100.0, 48]]), 10, None)
        again = Teaching(teaching.store)
        labels = again.labels(again.photo(id_))
        assert second == 2 and labels[48, 30] == 1 and labels[48, 58] == 2 and labels[10, 10] == 0
        assert json.loads((teaching.folder / "about" / f"{id_}.json").read_text())["instances"] == 2
        editor.stroke(id_, np.array([[55.0, 48], [110.0, 48]]), 20, 1, erase=True)
        labels = teaching.labels(teaching.photo(id_))
        assert labels[48, 52] == 0 and labels[48, 58] == 2  # taken from the first, not from its neighbour

    def test_undo_and_redo_survive_a_restart(self, teaching: Teaching, editor: Editor) -> None:
        id_ = one(teaching)
        seen = [teaching.labels(teaching.photo(id_)).copy()]
        for x in (20.0, 60.0, 100.0):
            editor.stroke(id_, np.array([[x, 48.0]]), 12, None)
            seen.append(teaching.labels(teaching.photo(id_)).copy())
        again = Teaching(teaching.store)
        for back in (2, 1, 0):
            again.undo(id_)
            assert np.array_equal(again.labels(again.photo(id_)), seen[back])
        photo = again.undo(id_)
        assert not again.can_undo(photo) and again.can_redo(photo) and photo.state == NEW
        again.redo(id_)
        again.redo(id_)
        assert np.array_equal(again.labels(again.photo(id_)), seen[2])
        photo, _ = Editor(again, editor.boxes._segmenter).stroke(id_, np.array([[5.0, 5.0]]), 4, None)
        assert not again.can_redo(photo)  # another edit has taken the undone one's place

    def test_an_interrupted_edit_leaves_the_set_readable(
        self, teaching: Teaching, editor: Editor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        id_ = one(teaching)
        editor.stroke(id_, np.array([[20.0, 48.0]]), 12, None)
        before = teaching.labels(teaching.photo(id_)).copy()

        def broken(*_: object) -> None:
            raise OSError("no space")

        monkeypatch.setattr("retail_seg.teaching.annotation_set.write_ids", broken)
        with pytest.raises(OSError, match="no space"):
            editor.stroke(id_, np.array([[60.0, 48.0]]), 12, None)
        monkeypatch.undo()
        again = Teaching(teaching.store)
        photo = again.photo(id_)
        assert np.array_equal(again.labels(photo), before) and photo.at == 1
        assert not (again.labels(again.undo(id_)) > 0).any()

    def test_only_finished_photos_with_things_count(self, teaching: Teaching, editor: Editor) -> None:
        id_ = one(teaching)
        with pytest.raises(TeachingError, match="nothing is outlined"):
            teaching.finish(id_, True)
        _, number = editor.stroke(id_, np.array([[20.0, 48.0]]), 12, None)
        assert teaching.finish(id_, True).state == DONE
        assert editor.delete(id_, number).state == NEW

    def test_points_make_fill_and_change_an_outline(self, teaching: Teaching, editor: Editor) -> None:
        id_ = one(teaching)
        for point in ((20.0, 20.0), (60.0, 20.0), (60.0, 60.0), (100.0, 90.0), (20.0, 60.0)):
            editor.touch_outline(id_, point)
        assert len(editor.touch_outline(id_, (100.5, 90.5)).outline) == 4  # a touched point goes
        assert len(Teaching(teaching.store).photo(id_).outline) == 4
        photo, number = editor.fill_outline(id_, None)
        assert photo.outline == () and (teaching.labels(photo) == number).sum() == 1600
        photo = editor.outline_of(id_, number)
        assert 4 <= len(photo.outline) <= 8
        editor.drop_outline(id_)
        with pytest.raises(AnnotationError, match="three"):
            editor.fill_outline(id_, number)
        for point in ((30.0, 30.0), (50.0, 30.0), (40.0, 50.0)):
            editor.touch_outline(id_, point)
        photo, _ = editor.fill_outline(id_, number, way="erase")
        assert 1300 < (teaching.labels(photo) == number).sum() < 1500

    def test_a_new_point_comes_into_the_nearest_side(self) -> None:
        square = [(0.0, 0.0), (10.0, 0.0), (10.0, 10.0), (0.0, 10.0)]
        assert touched(square, (10.0, 5.0), 1.0) == [(0, 0), (10, 0), (10, 5), (10, 10), (0, 10)]
        assert touched(square, (10.4, 0.2), 1.0) == [(0, 0), (10, 10), (0, 10)]

    def test_a_brush_is_round_and_stays_within_the_photo(self) -> None:
        dab = stroke_region(np.array([[50.0, 50.0]]), 20, (96, 128))
        assert abs(dab.area - np.pi * 100) < 45
        edge = stroke_region(np.array([[-40.0, 5.0], [300.0, 5.0]]), 6, (96, 128))
        assert edge.left == 0 and edge.mask.shape[1] == 128 and edge.mask[5 - edge.top].all()
        assert stroke_region(np.array([[500.0, 500.0]]), 6, (96, 128)).area == 0


class TestView:
    def test_windows_stay_within_the_photo_and_points_come_back(self) -> None:
        view = window(1000, 600, 4, (990, 10))
        assert view == EditorView(750, 0, 250, 150) and window(1000, 600, 1, (3, 3)) == whole(1000, 600)
        points = np.array([[0.2, 0.4], [1, 1]])
        assert np.allclose(view.of_photo(view.to_photo(points)), points)
        assert view.to_photo([(1, 1)]).tolist() == [[1000, 150]]

    def test_pictures_of_the_same_size_that_show_the_ids(self) -> None:
        picture, labels = scene(0)
        view = window(128, 96, 2, centre_of(labels, 1))
        photo = Image.open(io.BytesIO(photo_jpeg(picture, view)))
        layer = np.asarray(Image.open(io.BytesIO(ids_png(labels, view, 1))))
        assert photo.size == (layer.shape[1], layer.shape[0]) == view.size()
        assert (layer[:, :, 3] > 0).any() and (layer[:, :, 3] == 0).any()
        assert not np.array_equal(layer, np.asarray(Image.open(io.BytesIO(ids_png(labels, view, 2)))))
