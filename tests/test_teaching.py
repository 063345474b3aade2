"""The annotation set of a store: photos, edits with undo, proposals, imports, real (tiny) trainings, comparison."""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from retail_seg.accounts import NotAllowed, Person, acting_as
from retail_seg.errors import AnnotationError, ModelError, TrainingError
from retail_seg.photos import encode_picture
from retail_seg.segmentation.annotations import AnnotatedPhoto
from retail_seg.segmentation.segmenter import Segmenter, SegmenterConfig
from retail_seg.segmentation.synthesis import SceneStyle
from retail_seg.segmentation.training import Recipe, train
from retail_seg.teaching import DONE, DRAFT, NEW, Teaching, TeachingError
from retail_seg.teaching_compare import compare, curve, kept_comparison, known_suggestions, overlay, suggest
from retail_seg.teaching_editor import Editor, Hand
from retail_seg.teaching_edits import Click, box_proposal, click_proposal, outline_points, stroke_region, touched
from retail_seg.teaching_hands import Hands
from retail_seg.teaching_import import import_annotations
from retail_seg.teaching_runs import CANCELLED, FINISHED, RUNNING, Runs, choose_held, longest, why_not
from retail_seg.teaching_view import View, centre_of, ids_png, photo_jpeg, whole, window

TINY = Recipe(
    batch=2, canvas=(64, 64), evaluations=3, composed_checks=2, style=SceneStyle(things=(1, 3)),
    config=SegmenterConfig(widths=(8, 16, 16), block=2, side=64), rate_fresh=1e-2,
)  # fmt: skip


def scene(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A photo (96, 128, 3) of two bright discs that touch, on a dark ground, and its ids."""
    rng = np.random.default_rng(seed)
    picture = np.full((96, 128, 3), 40, np.uint8) + rng.integers(0, 10, (96, 128, 3), np.uint8)
    labels = np.zeros((96, 128), np.int32)
    for value, x, colour in ((1, 44, (230, 200, 60)), (2, 83, (60, 220, 120))):
        centre = (x, 48 + int(rng.integers(-5, 6)))
        cv2.circle(picture, centre, 20, colour, -1)
        cv2.circle(labels, centre, 20, value, -1)
    return picture, labels


def jpeg(seed: int) -> bytes:
    return encode_picture(scene(seed)[0])


def masks_zip(seeds: range, *, photos: bool = True) -> bytes:
    """A zip of instance-id PNGs, with their photos or without."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for seed in seeds:
            if photos:
                file.writestr(f"photos/p{seed}.jpg", jpeg(seed))
            done, data = cv2.imencode(".png", scene(seed)[1].astype(np.uint16))
            assert done
            file.writestr(f"masks/p{seed}.png", data.tobytes())
    return buffer.getvalue()


def iou(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / max((a | b).sum(), 1))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model that knows discs on a dark ground."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("model")
    annotated = []
    for seed in range(4):
        picture, labels = scene(100 + seed)
        path = folder / f"t{seed}.png"
        cv2.imwrite(str(path), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
        annotated.append(AnnotatedPhoto(path.stem, path, labels))
    train(annotated, folder / "model", steps=60, from_scratch=True, recipe=TINY)
    return folder / "model"


@pytest.fixture
def teaching(tmp_path: Path) -> Teaching:
    return Teaching(tmp_path / "store")


@pytest.fixture
def editor(teaching: Teaching, model: Path) -> Editor:
    loaded = Segmenter.load(model)
    return Editor(teaching, lambda: loaded)


def one(teaching: Teaching) -> str:
    return teaching.add([("shelf.jpg", jpeg(0))]).ids[0]


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
                lambda: editor.stroke(id_, np.array([[40.0, 40.0]]), 10, None), lambda: Runs(teaching).start(minutes=1),
                lambda: import_annotations(teaching, masks_zip(range(1))), lambda: teaching.finish(id_, True),
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
        photo, _ = Editor(again, editor._segmenter).stroke(id_, np.array([[5.0, 5.0]]), 4, None)
        assert not again.can_redo(photo)  # another edit has taken the undone one's place

    def test_an_interrupted_edit_leaves_the_set_readable(
        self, teaching: Teaching, editor: Editor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        id_ = one(teaching)
        editor.stroke(id_, np.array([[20.0, 48.0]]), 12, None)
        before = teaching.labels(teaching.photo(id_)).copy()

        def broken(*_: object) -> None:
            raise OSError("no space")

        monkeypatch.setattr("retail_seg.teaching.write_ids", broken)
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
        editor.clear(id_)
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


class TestHands:
    def test_a_mark_is_done_in_the_hand_that_drew_it(self, teaching: Teaching, editor: Editor) -> None:
        id_, hands = one(teaching), Hands()
        view = View(64, 0, 64, 48)
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


class TestView:
    def test_windows_stay_within_the_photo_and_points_come_back(self) -> None:
        view = window(1000, 600, 4, (990, 10))
        assert view == View(750, 0, 250, 150) and window(1000, 600, 1, (3, 3)) == whole(1000, 600)
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


class TestImport:
    def test_a_zip_of_photos_and_masks(self, teaching: Teaching) -> None:
        reports: list[float] = []
        found = import_annotations(teaching, masks_zip(range(3)), lambda share, text: reports.append(share))
        assert found.format == "instance-id PNG" and len(found.photos) == 3 and found.instances == 6
        assert found.problems == () and len(reports) == 3
        for photo, seed in zip(sorted(teaching.photos(), key=lambda p: p.name), range(3), strict=True):
            assert photo.state == DONE and np.array_equal(teaching.labels(photo), scene(seed)[1])

    def test_annotations_of_photos_that_are_here_already_can_be_undone(
        self, teaching: Teaching, editor: Editor
    ) -> None:
        id_ = teaching.add([("p0.jpg", jpeg(0))]).ids[0]
        editor.stroke(id_, np.array([[5.0, 5.0]]), 6, None)
        before = teaching.labels(teaching.photo(id_)).copy()
        found = import_annotations(teaching, masks_zip(range(2), photos=False))
        assert found.photos == (id_,) and len(found.problems) == 1 and "p1" in found.problems[0]
        assert np.array_equal(teaching.labels(teaching.photo(id_)), scene(0)[1])
        teaching.undo(id_)
        assert np.array_equal(teaching.labels(teaching.photo(id_)), before)

    @pytest.mark.parametrize("format_", ["coco", "labelme", "yolo", "voc", "groundtruth", "png"])
    def test_every_format(self, teaching: Teaching, tmp_path: Path, format_: str) -> None:
        from retail_seg.segmentation.annotations import convert

        for folder in ("photos", "masks"):
            (tmp_path / folder).mkdir()
        for seed in range(2):
            (tmp_path / "photos" / f"p{seed}.jpg").write_bytes(jpeg(seed))
            cv2.imwrite(str(tmp_path / "masks" / f"p{seed}.png"), scene(seed)[1].astype(np.uint16))
        convert(sorted((tmp_path / "photos").iterdir()), tmp_path / "masks", format_, tmp_path / "out")
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as file:
            for path in (*(tmp_path / "photos").iterdir(), *(p for p in (tmp_path / "out").rglob("*") if p.is_file())):
                file.write(path, path.relative_to(tmp_path))
        found = import_annotations(teaching, buffer.getvalue())
        assert len(found.photos) == 2 and found.instances == 4, found
        for photo, seed in zip(sorted(teaching.photos(), key=lambda p: p.name), range(2), strict=True):
            assert iou(teaching.labels(photo) > 0, scene(seed)[1] > 0) > 0.99

    def test_what_cannot_be_imported_is_said(self, teaching: Teaching) -> None:
        with pytest.raises(AnnotationError, match="no zip"):
            import_annotations(teaching, b"nothing")
        for members in ({"a.txt": b"hello"}, {"../../evil.png": b"x"}):
            buffer = io.BytesIO()
            with zipfile.ZipFile(buffer, "w") as file:
                for name, data in members.items():
                    file.writestr(name, data)
            with pytest.raises(AnnotationError):
                import_annotations(teaching, buffer.getvalue())
        assert teaching.photos() == []


def waited(runs: Runs, id_: str, until: Callable[[], bool], seconds: float = 300) -> None:
    """Wait for a run of its own process."""
    end = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < end, (runs.path(id_) / "log.txt").read_text()
        time.sleep(0.2)


@pytest.fixture
def annotated(teaching: Teaching) -> Teaching:
    """Five finished photos, of which one is held back."""
    import_annotations(teaching, masks_zip(range(5)))
    return teaching


@pytest.fixture
def runs(annotated: Teaching) -> Iterator[Runs]:
    """The trainings of the five photos; none outlives the test."""
    runs = Runs(annotated)
    yield runs
    if run := runs.running():
        runs.cancel(run.id)
        waited(runs, run.id, lambda: runs.running() is None)


class TestRuns:
    def test_a_training_of_its_own_process_is_found_again_and_compared(self, runs: Runs, model: Path) -> None:
        with acting_as(Person("Ada", "staff")):
            run = runs.start(minutes=5, steps=2, start=model)
        assert run.by == "Ada" and len(run.photos) == 4 and len(run.held) == 1 and run.pid
        again = Runs(Teaching(runs.teaching.store))  # as after a restart of the app
        found = again.running()
        assert found is not None and found.id == run.id and again.progress(run.id).state == RUNNING
        with pytest.raises(TrainingError, match="under way"):
            again.start(minutes=5, steps=2)
        with pytest.raises(TrainingError, match="cancel it first"):
            again.remove(run.id)
        with pytest.raises(ModelError, match="made no model"):
            again.model(run.id)
        waited(again, run.id, lambda: again.running() is None)
        done = again.progress(run.id)
        assert done.state == FINISHED and done.error == "" and done.part == "training"
        assert done.result is not None and done.result["steps"] == 2 and len(done.result["photos"]) == 4
        losses, scores = curve(done.lines, "training")
        assert losses.shape[1] == 2 and len(losses) >= 1 and scores.shape[1] == 2
        self.compared(again, run.id, run.held[0], model)
        again.remove(run.id)
        assert again.all() == [] and again.held_back(again.teaching.photos()) == run.held  # still never trained on

    def compared(self, runs: Runs, id_: str, held: str, model: Path) -> None:
        in_use = Segmenter.load(model)
        found = compare(runs, id_, in_use, Segmenter.load)
        assert [line.photo for line in found.photos] == [held] and found.photos[0].true == 2
        assert 0 <= found.new["f1_75"] <= 1 and found.in_use["fg_iou"] > 0.5 and "photos kept" in found.advice
        assert kept_comparison(runs, id_, in_use.fingerprint) == found
        assert kept_comparison(runs, id_, "another") is None
        for side in ("in-use", "new"):
            with Image.open(overlay(runs, id_, held, side)) as picture:
                assert picture.size == (256, 192)
        with pytest.raises(TrainingError):
            overlay(runs, id_, "../../run", "new")

    def test_cancelled_it_leaves_a_checkpoint_and_is_resumed(self, runs: Runs, model: Path) -> None:
        run = runs.start(minutes=5, steps=100_000, start=model)
        waited(runs, run.id, lambda: len(runs.progress(run.id).lines) >= 2)
        runs.cancel(run.id)
        waited(runs, run.id, lambda: runs.running() is None)
        stopped = runs.progress(run.id)
        assert stopped.state == CANCELLED and "resumed" in stopped.error
        assert (runs.path(run.id) / "model" / "training" / "checkpoint.pt").is_file()
        steps = stopped.lines[-1]["step"]
        runs.resume(run.id)
        waited(runs, run.id, lambda: len(runs.progress(run.id).lines) > len(stopped.lines))
        assert runs.progress(run.id).state == RUNNING
        assert runs.progress(run.id).lines[len(stopped.lines)]["step"] >= steps  # not from the beginning

    def test_a_training_that_breaks_off_says_why(self, runs: Runs, model: Path, tmp_path: Path) -> None:
        run = runs.start(minutes=5, steps=2, start=tmp_path / "nowhere")
        waited(runs, run.id, lambda: runs.running() is None)
        found = runs.progress(run.id)
        assert found.state == "failed" and "holds no config.json" in found.error

    def test_too_few_photos(self, teaching: Teaching) -> None:
        import_annotations(teaching, masks_zip(range(2)))
        with pytest.raises(TrainingError, match="needs 3 finished photos to train on, there are 2"):
            Runs(teaching).start(minutes=1)
        assert Runs(teaching).all() == [] and Runs(teaching).running() is None
        assert why_not(3, False) == "" and "Cross-validation needs 4" in why_not(3, True)
        assert longest(8, 4, False) == 8 and longest(8, 4, True) == 8 + 4 * 8.5
        with pytest.raises(TrainingError):
            Runs(teaching).get("../../about")

    def test_photos_once_held_back_stay_held_back(self) -> None:
        ids = [f"{i:x}" for i in range(12)]
        assert choose_held(ids[:3], [], []) == ()
        assert choose_held(ids[:4], [], []) == ("0",)
        assert choose_held(ids[:10], ["7"], []) == ("7", "0")
        assert choose_held(ids[:10], ["7"], ids[:9]) == ("7", "9")  # one that was never trained on
        assert len(choose_held(ids, ids, [])) == 9  # three are left to train on


class TestSuggest:
    def test_the_least_sure_first_and_kept_for_the_model(self, annotated: Teaching, model: Path) -> None:
        loaded = Segmenter.load(model)
        assert suggest(annotated, loaded) == []
        noise = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8).repeat(4, 0).repeat(4, 1)
        ids = annotated.add([("plain.jpg", jpeg(50)), ("noise.jpg", encode_picture(noise))]).ids
        found = suggest(annotated, loaded)
        assert [one.photo.id for one in found] == [ids[1], ids[0]]
        assert found[0].uncertainty > found[1].uncertainty
        assert known_suggestions(annotated, loaded.fingerprint) == found
        assert known_suggestions(annotated, "another") == []
