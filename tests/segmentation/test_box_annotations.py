"""Boxes as annotations, in every format that has them, and regions that are to be ignored."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from retail_seg.errors import AnnotationError
from retail_seg.segmentation.annotations import FORMATS, AnnotatedPhoto, convert, load_annotations, recognise
from retail_seg.segmentation.boxes import IGNORE, box_iou, turned, without_ignored
from retail_seg.segmentation.formats.base import Region, paint
from retail_seg.segmentation.training.manifest import labels_hash

HEIGHT, WIDTH = 60, 80
#: x, y, w, h of two boxes of class "tin" and one to be ignored, in every format below.
TINS = [(5.0, 10.0, 20.0, 30.0), (30.5, 12.0, 10.0, 20.0)]
UNKNOWN = (50.0, 0.0, 20.0, 30.0)


def save_photo(path: Path, orientation: int | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    if orientation:
        exif[274] = orientation
    Image.new("RGB", (WIDTH, HEIGHT), (90, 120, 60)).save(path, exif=exif)
    return path


def write_coco(folder: Path) -> Path:
    rows = [(box, {"iscrowd": 0}) for box in TINS] + [(UNKNOWN, {"ignore": 1})]
    listed = [{"id": i, "image_id": 1, "category_id": 3, "bbox": box, **more} for i, (box, more) in enumerate(rows)]
    data = {"images": [{"id": 1, "file_name": "a.png"}], "categories": [{"id": 3, "name": "tin"}]}
    (folder / "coco.json").write_text(json.dumps(data | {"annotations": listed}))
    return folder / "coco.json"


def write_yolo(folder: Path) -> Path:
    lines = []
    for number, (x, y, w, h) in [(0, TINS[0]), (0, TINS[1]), (1, UNKNOWN)]:
        lines.append(f"{number} {(x + w / 2) / WIDTH} {(y + h / 2) / HEIGHT} {w / WIDTH} {h / HEIGHT}\n")
    (folder / "a.txt").write_text("".join(lines))
    (folder / "classes.txt").write_text("tin\nignore\n")
    return folder


def write_vocxml(folder: Path) -> Path:
    objects = ""
    for (x, y, w, h), difficult in [(TINS[0], 0), (TINS[1], 0), (UNKNOWN, 1)]:
        corners = f"<xmin>{x}</xmin><ymin>{y}</ymin><xmax>{x + w}</xmax><ymax>{y + h}</ymax>"
        name = f"<name>tin</name><difficult>{difficult}</difficult>"
        objects += f"<object>{name}<bndbox>{corners}</bndbox></object>"
    (folder / "Annotations").mkdir()
    (folder / "Annotations" / "a.xml").write_text(f"<annotation><filename>a.png</filename>{objects}</annotation>")
    return folder


def write_labelme(folder: Path) -> Path:
    shapes = []
    for label, (x, y, w, h) in [("tin", TINS[0]), ("tin", TINS[1]), ("Ignore", UNKNOWN)]:
        shapes.append({"label": label, "shape_type": "rectangle", "points": [[x + w, y], [x, y + h]]})
    (folder / "a.json").write_text(json.dumps({"shapes": shapes, "imagePath": "a.png"}))
    return folder


def write_supervisely(folder: Path) -> Path:
    objects = []
    for label, (x, y, w, h) in [("tin", TINS[0]), ("tin", TINS[1]), ("ignore", UNKNOWN)]:
        points = {"exterior": [[x, y], [x + w, y + h]], "interior": []}
        objects.append({"geometryType": "rectangle", "classTitle": label, "points": points})
    (folder / "ds0" / "ann").mkdir(parents=True)
    data = {"size": {"height": HEIGHT, "width": WIDTH}, "objects": objects}
    (folder / "ds0" / "ann" / "a.png.json").write_text(json.dumps(data))
    return folder


def write_csv(folder: Path) -> Path:
    rows = [("tin", TINS[0]), ("tin", TINS[1]), ("ignore", UNKNOWN)]
    text = "".join(f"photos/a.png,{label},{x},{y},{w},{h}\n" for label, (x, y, w, h) in rows)
    (folder / "any.csv").write_text("image,label,x,y,w,h\n" + text)
    return folder / "any.csv"


WRITERS = {
    "coco": write_coco, "yolo": write_yolo, "vocxml": write_vocxml, "labelme": write_labelme,
    "supervisely": write_supervisely, "csv": write_csv,
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(WRITERS))
def test_boxes_and_ignored_regions_are_read(tmp_path: Path, name: str) -> None:
    photo = save_photo(tmp_path / "photos" / "a.png")
    path = WRITERS[name](tmp_path)
    assert recognise(path) == name
    (found,), problems = load_annotations([photo], path)
    assert problems == []
    assert found.classes == {1: "tin", 2: "tin"} and found.ids == [1, 2]
    assert np.allclose([found.boxes[1], found.boxes[2]], TINS)
    assert ((found.labels == 1).sum(), (found.labels == 2).sum()) == (600, 200)
    assert (found.labels[:30, 50:70] == IGNORE).all() and (found.labels == IGNORE).sum() == 600


def mixed_source(folder: Path) -> tuple[Path, Path]:
    """LabelMe: a disc outlined, two boxes that overlap, and a region to be ignored."""
    photo = save_photo(folder / "photos" / "a.png")
    shapes = [
        {"label": "disc", "shape_type": "circle", "points": [[60, 45], [70, 45]]},
        {"label": "tin", "shape_type": "rectangle", "points": [[5.25, 10], [25, 40]]},
        {"label": "tin", "shape_type": "rectangle", "points": [[21, 10], [41, 40]]},
        {"label": "ignore", "shape_type": "polygon", "points": [[50, 0], [70, 0], [70, 20], [50, 20]]},
    ]
    (folder / "labelme").mkdir()
    (folder / "labelme" / "a.json").write_text(json.dumps({"shapes": shapes, "imagePath": "a.png"}))
    return photo, folder / "labelme"


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_boxes_masks_and_ignored_regions_through_every_format(tmp_path: Path, name: str) -> None:
    photo, source = mixed_source(tmp_path)
    (before,), _ = load_annotations([photo], source)
    loaded = convert([photo], source, name, tmp_path / "out")
    assert recognise(tmp_path / "out") == name
    (after,), problems = load_annotations([photo], tmp_path / "out")
    assert (problems, loaded.problems, len(after.ids)) == ([], [], 3)
    assert np.array_equal(after.labels == IGNORE, before.labels == IGNORE)
    if name in ("coco", "groundtruth", "labelme", "png", "yolo", "supervisely"):
        assert len(after.boxes) == 2 and loaded.notes == []
        assert np.array_equal(after.labels > 0, before.labels > 0)
    elif name in ("csv", "vocxml"):
        assert len(after.boxes) == 3
        assert "1 instances were written as the boxes around them" in loaded.notes[0]
    else:
        assert after.boxes == {} and np.array_equal(after.labels > 0, before.labels > 0)
    for box in after.boxes.values():
        assert min(np.abs(np.subtract(box, known)).max() for known in (*before.boxes.values(), (50, 35, 20, 20))) < 0.02


def region(x: int, y: int, w: int, h: int, *, box: bool = True) -> Region:
    return Region(y, x, np.ones((h, w), bool), (x, y, w, h) if box else None)


class TestOverlaps:
    def test_neighbours_meet_along_the_middle_whatever_their_order(self) -> None:
        left, right = region(0, 0, 20, 30), region(16, 2, 20, 26)
        for pair in ([(1, left), (2, right)], [(2, right), (1, left)]):
            labels, hidden = paint(pair, 40, 40)
            assert hidden == []
            assert (labels[2:28, 16:18] == 1).all() and (labels[2:28, 18:36] == 2).all()
            assert (labels[:2, :20] == 1).all()  # above the other one the box keeps its width

    def test_one_above_the_other(self) -> None:
        labels, _ = paint([(1, region(0, 0, 20, 20)), (2, region(0, 16, 22, 20))], 40, 40)
        assert (labels[:18, :20] == 1).all() and (labels[18:36, :22] == 2).all()

    def test_a_box_that_lies_before_another_keeps_all_of_itself(self) -> None:
        labels, _ = paint([(1, region(10, 10, 6, 6)), (2, region(0, 0, 30, 30))], 40, 40)
        assert (labels == 1).sum() == 36

    def test_a_mask_keeps_what_a_box_beside_it_covers(self) -> None:
        mask = region(0, 0, 20, 30, box=False)
        labels, _ = paint([(1, mask), (2, region(16, 0, 10, 30))], 40, 40)
        assert (labels == 1).sum() == 600 and (labels == 2).sum() == 6 * 30
        labels, _ = paint([(1, mask), (2, region(4, 4, 10, 10))], 40, 40)
        assert (labels == 2).sum() == 100

    def test_no_pixel_of_many_boxes_is_lost(self) -> None:
        rng = np.random.default_rng(0)
        for _ in range(20):
            boxes = [(n, region(*rng.integers(0, 40, 2), *rng.integers(5, 20, 2))) for n in range(1, 15)]
            covered = np.zeros((60, 60), bool)
            for _, r in boxes:
                covered[r.top : r.top + r.mask.shape[0], r.left : r.left + r.mask.shape[1]] = True
            assert np.array_equal(paint(boxes, 60, 60)[0] > 0, covered)


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_boxes_are_turned_with_their_photo(tmp_path: Path, orientation: int) -> None:
    photo = save_photo(tmp_path / "photos" / "a.jpg", orientation)
    listed = [{"id": 1, "image_id": 1, "bbox": [4, 10, 20, 30]}]
    images = [{"id": 1, "file_name": "a.jpg", "width": WIDTH, "height": HEIGHT}]
    (tmp_path / "coco.json").write_text(json.dumps({"images": images, "annotations": listed}))
    (found,), (note,) = load_annotations([photo], tmp_path / "coco.json")
    assert "was turned upright" in note
    rows, columns = np.nonzero(found.labels)
    around = (columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1)
    assert found.boxes == {1: around} == {1: turned((4, 10, 20, 30), orientation, HEIGHT, WIDTH)}


class TestFaults:
    def test_boxes_that_are_none(self, tmp_path: Path) -> None:
        photo = save_photo(tmp_path / "a.png")
        rows = ["a.png,tin,1,1,10,10", "a.png,tin,x,1,10,10", "a.png,tin,1,1,0,10", "a.png,tin,90,1,10,10"]
        (tmp_path / "boxes.csv").write_text("image,label,x,y,w,h\n" + "\n".join([*rows, ",tin,1,1,2,2"]))
        (found,), problems = load_annotations([photo], tmp_path / "boxes.csv")
        text = "\n".join(problems)
        assert found.ids == [1]
        for part in (
            "line 3 has a box that is not four numbers",
            "line 4 has a box of 0 × 10 pixels",
            "line 5 lies outside",
            "line 6: names no photo",
        ):
            assert part in text

    def test_a_box_that_reaches_outside_is_clipped(self, tmp_path: Path) -> None:
        photo = save_photo(tmp_path / "a.png")
        (tmp_path / "boxes.csv").write_text("image,label,x,y,w,h\na.png,tin,-4,50,20,20\n")
        (found,), (note,) = load_annotations([photo], tmp_path / "boxes.csv")
        assert found.boxes == {1: (0, 50, 16, 10)} and "was clipped" in note

    def test_entities_are_not_expanded(self, tmp_path: Path) -> None:
        bomb = '<!DOCTYPE a [<!ENTITY b "x"><!ENTITY c "&b;&b;&b;">]><annotation><object><name>&c;</name></object>'
        (tmp_path / "a.xml").write_text(bomb + "</annotation>")
        with pytest.raises(AnnotationError, match="is no annotation format"):
            recognise(tmp_path)

    def test_nothing_but_ignored(self, tmp_path: Path) -> None:
        photo = save_photo(tmp_path / "a.png")
        (tmp_path / "boxes.csv").write_text("image,label,x,y,w,h\na.png,ignore,1,1,10,10\n")
        found, (problem,) = load_annotations([photo], tmp_path / "boxes.csv")
        assert found == [] and "no pixel belongs to an instance" in problem

    def test_a_folder_of_masks_with_boxes_in_its_table_stays_masks(self, tmp_path: Path) -> None:
        Image.fromarray(np.eye(20, dtype=np.uint8)).save(tmp_path / "a.png")
        (tmp_path / "labels.csv").write_text("image,instance,label,x,y,w,h\na.jpg,1,tin,0,0,20,20\n")
        assert recognise(tmp_path) == "png" and recognise(tmp_path / "labels.csv") == "csv"

    def test_a_box_that_is_none_in_a_table_of_masks_stays_a_mask(self, tmp_path: Path) -> None:
        photo = save_photo(tmp_path / "photos" / "a.png")
        labels = np.zeros((HEIGHT, WIDTH), np.uint8)
        labels[:10, :10], labels[20:, 20:] = 1, 2
        (tmp_path / "masks").mkdir()
        Image.fromarray(labels).save(tmp_path / "masks" / "a.png")
        rows = "a.png,1,tin,0,0,10,10\na.png,2,tin,1,,x,4\na.png,7,tin,1,1,4,4\n"
        (tmp_path / "masks" / "labels.csv").write_text(f"image,instance,label,x,y,w,h\n{rows}")
        (found,), (note,) = load_annotations([photo], tmp_path / "masks")
        assert found.boxes == {1: (0, 0, 10, 10)} and found.ids == [1, 2]
        assert "instance 2 has a box that is not four numbers" in note and "taken as a mask" in note


def test_iou_of_boxes() -> None:
    found = box_iou(np.array([[0, 0, 10, 10.0]]), np.array([[0, 0, 10, 10], [5, 0, 10, 10], [20, 0, 1, 1.0]]))
    assert np.allclose(found, [[1, 1 / 3, 0]])


def test_what_is_found_mostly_where_nobody_knows_is_not_counted() -> None:
    true, found = np.zeros((10, 20), int), np.zeros((10, 20), int)
    true[:, :5], true[:, 10:] = 1, IGNORE
    found[:, :5], found[:, 6:10], found[:, 10:11], found[:, 14:] = 1, 2, 2, 3
    kept_true, kept = without_ignored(true, found)
    assert set(np.unique(kept_true)) == {0, 1}
    assert set(np.unique(kept)) == {0, 1, 2} and (kept[:, 10:] == 0).all()


def test_a_mask_that_becomes_a_box_is_another_annotation(tmp_path: Path) -> None:
    photo, source = mixed_source(tmp_path)
    (one,), _ = load_annotations([photo], source)
    assert labels_hash(one.labels, one.boxes) != labels_hash(one.labels) == labels_hash(one.labels, {})
    assert isinstance(one, AnnotatedPhoto)
