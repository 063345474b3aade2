"""What training takes of a box: all four sides, the borders to neighbours, and nothing of its free corners."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from retail_seg.segmentation.annotations import load_annotations
from retail_seg.segmentation.box_masks import without_surroundings
from retail_seg.segmentation.box_targets import outside_rounded, softened, taught
from retail_seg.segmentation.boxes import IGNORE
from retail_seg.segmentation.training.synthesis import SceneStyle, compose, source_of
from retail_seg.segmentation.training.targets import boundary_mask, shrink_labels


def painted(*boxes: tuple[int, int, int, int]) -> np.ndarray:
    labels = np.zeros((80, 120), np.int32)
    for number, (x, y, w, h) in enumerate(boxes, 1):
        labels[y : y + h, x : x + w] = number
    return labels


def test_free_corners_are_nobodys_and_the_sides_stay() -> None:
    labels = painted((10, 10, 40, 60))
    soft = softened(labels, {1: (10, 10, 40, 60)})
    corners = soft == IGNORE
    assert set(np.unique(soft)) == {IGNORE, 0, 1} and ((labels == 1) == (soft != 0)).all()
    for y, x in ((10, 10), (10, 49), (69, 10), (69, 49)):
        assert corners[y, x]
    rows, columns = np.nonzero(soft == 1)
    assert (columns.min(), columns.max(), rows.min(), rows.max()) == (10, 49, 10, 69)
    assert 0.03 < corners.sum() / 2400 < 0.06  # (4 - π) r², r = a quarter of the shorter side


def test_where_two_boxes_meet_the_boundary_is_whole() -> None:
    boxes = {1: (10, 10, 40, 60), 2: (50, 10, 40, 60)}
    labels = painted(*boxes.values())
    soft = softened(labels, boxes)
    meets = boundary_mask(labels)
    assert (soft[meets] == labels[meets]).all() and meets[10:70, 49:51].all()
    assert (soft == IGNORE)[10, 10] and (soft == IGNORE)[69, 89] and soft[10, 49] == 1 and soft[69, 50] == 2


def test_masks_are_left_alone_and_boxes_are_scaled() -> None:
    labels = painted((10, 10, 40, 60), (60, 10, 40, 60))
    soft = softened(labels, {2: (120, 20, 80, 120)}, 0.5)
    assert (soft[labels == 1] == 1).all() and soft[10, 60] == IGNORE and soft[40, 60] == 2
    assert softened(labels, {}) is labels


def test_a_round_corner_by_hand() -> None:
    outside = outside_rounded(np.array([0, 0, 8, 8]), (slice(0, 8), slice(0, 8)), 0.5)
    assert outside[0, :4].tolist() == [True, True, False, False]  # 3.5² + 2.5² > 4² > 3.5² + 1.5²
    assert np.array_equal(outside, outside[::-1]) and np.array_equal(outside, outside.T) and not outside[4].any()


def test_scenes_keep_what_is_to_be_ignored(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 255, (160, 240, 3), np.uint8)).save(tmp_path / "a.png")
    rows = "a.png,tin,20,20,60,90\na.png,tin,90,20,60,90\na.png,ignore,170,0,60,160\n"
    (tmp_path / "boxes.csv").write_text("image,label,x,y,w,h\n" + rows)
    (one,), _ = load_annotations([tmp_path / "a.png"], tmp_path / "boxes.csv")
    photo = np.asarray(Image.open(tmp_path / "a.png"))
    source = source_of(photo, one.labels, softened(one.labels, one.boxes))
    assert len(source.cutouts) == 2
    seen = [compose(source, SceneStyle(real=1.0), (96, 96), np.random.default_rng(i))[1] for i in range(8)]
    assert any((labels == IGNORE).any() for labels in seen) and all(labels.min() >= IGNORE for labels in seen)
    assert (shrink_labels(one.labels, 120, 80) == IGNORE).sum() == 30 * 80


def shelf_with_bottles() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Photo, ids of boxes and true ids: two bottles with necks before a pale wall, side by side."""
    rng = np.random.default_rng(0)
    true = np.zeros((160, 200), np.int32)
    for number, left in ((1, 40), (2, 100)):
        true[60:150, left : left + 50] = number
        true[20:60, left + 15 : left + 35] = number
    colours = np.array([(205, 200, 190), (150, 30, 40), (30, 60, 140)])
    photo = np.clip(colours[true] + rng.normal(0, 6, (160, 200, 3)), 0, 255).astype(np.uint8)
    labels = np.zeros_like(true)
    labels[20:150, 40:90], labels[20:150, 100:150] = 1, 2
    return photo, labels, true


def test_grabcut_leaves_what_is_beside_a_bottles_neck_to_nobody() -> None:
    photo, labels, true = shelf_with_bottles()
    boxes = {1: (40, 20, 50, 130), 2: (100, 20, 50, 130)}
    found = taught(photo, labels, boxes, 200)
    beside = (labels > 0) & (true == 0)
    assert (found[beside] == IGNORE).mean() > 0.95
    assert (found[true > 0] == true[true > 0]).mean() > 0.9
    for number, (x, y, w, h) in boxes.items():  # what is learned still reaches all four sides
        rows, columns = np.nonzero(found == number)
        ends = (columns.min() - x, rows.min() - y, x + w - 1 - columns.max(), y + h - 1 - rows.max())
        assert min(ends) >= 0 and max(ends) <= 1


def test_a_result_that_is_no_whole_thing_is_not_taken() -> None:
    photo, labels, _ = shelf_with_bottles()
    flat = np.full_like(photo, 128)  # nothing to tell anything by
    assert np.array_equal(without_surroundings(flat, labels, {1: (40, 20, 50, 130)}), labels)
    small = photo.copy()
    small[20:150, 40:90] = photo[0:130, 150:200]  # the wall
    small[45:125, 50:80] = (150, 30, 40)  # a thing that reaches none of its box's sides
    assert np.array_equal(without_surroundings(small, labels, {1: (40, 20, 50, 130)}), labels)


def test_the_number_of_threads_changes_nothing() -> None:
    photo, labels, _ = shelf_with_bottles()
    boxes = {1: (40, 20, 50, 130), 2: (100, 20, 50, 130)}
    assert np.array_equal(without_surroundings(photo, labels, boxes, 1), without_surroundings(photo, labels, boxes, 4))
