from __future__ import annotations

import cv2
import numpy as np

from retail_seg.segmentation.instances.enlarging import enlarged
from retail_seg.segmentation.instances.grouping import Maps, Thresholds, group
from retail_seg.segmentation.scores import score
from retail_seg.segmentation.training.targets import boundary_mask, shrink_labels, target_maps


def ideal(labels: np.ndarray) -> Maps:
    """The maps of a network that knows the truth."""
    return Maps(*target_maps(labels))


def discs(*circles: tuple[int, int, int], size: int = 128) -> np.ndarray:
    labels = np.zeros((size, size), np.int32)
    for value, (x, y, radius) in enumerate(circles, 1):
        cv2.circle(labels, (x, y), radius, value, -1)
    return labels


def test_touching_discs_come_apart_where_they_touch() -> None:
    labels = discs((40, 64, 22), (84, 64, 22), (62, 100, 18))
    found, confidence = group(ideal(labels), Thresholds())
    scored = score([(labels, found)])
    assert scored.exact_count == 1 and scored.f1_90 == 1
    assert confidence.shape == (3,) and (confidence > 0.9).all()


def test_long_hollow_and_necked_things_stay_whole() -> None:
    labels = np.zeros((160, 160), np.int32)
    cv2.line(labels, (10, 12), (150, 20), 1, 7)  # a long thin thing
    cv2.circle(labels, (45, 90), 34, 2, -1)  # a body with a hole, as of a handle
    cv2.circle(labels, (60, 80), 10, 0, -1)
    cv2.rectangle(labels, (100, 90), (140, 150), 3, -1)  # a bottle: body, thin neck, cap
    cv2.rectangle(labels, (117, 50), (123, 90), 3, -1)
    cv2.rectangle(labels, (106, 40), (134, 55), 3, -1)
    found, _ = group(ideal(labels), Thresholds())
    scored = score([(labels, found)])
    assert scored.exact_count == 1 and scored.f1_75 == 1


def test_parts_of_one_thing_under_another_are_joined() -> None:
    labels = np.zeros((128, 128), np.int32)
    cv2.rectangle(labels, (10, 55), (118, 72), 1, -1)
    cv2.rectangle(labels, (55, 10), (72, 118), 2, -1)
    found, _ = group(ideal(labels), Thresholds())
    assert found.max() == 2
    assert found[60, 20] == found[60, 110] != found[20, 60]


def test_specks_and_faint_things_are_dropped() -> None:
    labels = discs((64, 64, 20), (10, 10, 1))
    maps = ideal(labels)
    found, _ = group(maps, Thresholds(min_area=1e-3))
    assert found.max() == 1
    faint = Maps(maps.foreground * 0.55, *list(vars(maps).values())[1:])
    assert group(faint, Thresholds(min_confidence=0.6))[0].max() == 0
    assert group(faint, Thresholds(min_confidence=0.4))[0].max() == 1


def test_an_empty_photo_has_no_instances() -> None:
    found, confidence = group(ideal(np.zeros((64, 64), np.int32)), Thresholds())
    assert found.max() == 0 and len(confidence) == 0


def test_noise_everywhere_ends_and_stays_small() -> None:
    rng = np.random.default_rng(0)
    noise = [rng.random((256, 256), np.float32) for _ in range(5)]
    found, confidence = group(Maps(*noise), Thresholds())
    assert found.max() == len(confidence)


def test_boundary_is_between_neighbours_only() -> None:
    labels = np.zeros((40, 40), np.int32)
    labels[10:30, 5:20], labels[10:30, 20:35] = 1, 2
    rows, columns = np.nonzero(boundary_mask(labels))
    assert set(columns) == {17, 18, 19, 20, 21, 22} and rows.min() == 10 and rows.max() == 29


def test_target_distance_is_one_in_the_middle_of_every_instance_and_offsets_meet_there() -> None:
    labels = discs((40, 40, 25), (90, 90, 10))
    maps = target_maps(labels)
    for value, (x, y) in ((1, (40, 40)), (2, (90, 90))):
        inside = labels == value
        assert maps[1][inside].max() == 1 and maps[1][y, x] > 0.9
        rows, columns = np.nonzero(inside)
        assert np.allclose(columns + maps[3][inside], x, atol=0.5) and np.allclose(rows + maps[4][inside], y, atol=0.5)


def test_labels_survive_a_smaller_size_and_back() -> None:
    labels = discs((90, 120, 60), (200, 120, 50), (150, 210, 33), size=256)
    small = shrink_labels(labels, 128, 128)
    inside = cv2.resize((small > 0).astype(np.float32), (256, 256)) > 0.5
    scored = score([(labels, enlarged(small, inside, np.ones(3, np.float32)).labels)])
    assert scored.fg_iou > 0.98 and scored.f1_90 == 1


def test_slivers_go_from_a_crowd_and_stay_beside_a_few_things() -> None:
    crowd = [(20 + 40 * (i % 4), 20 + 40 * (i // 4), 16) for i in range(12)]
    slivers = [(40, 40, 6), (80, 80, 6)]
    labels = discs(*crowd, *slivers, size=176)
    found, confidence = group(ideal(labels), Thresholds())
    assert found.max() == len(confidence) == 12 and not found[labels > 12].any()
    assert group(ideal(labels), Thresholds(sliver=0.0))[0].max() == 14
    few = discs(*crowd[:3], *slivers, size=176)
    assert group(ideal(few), Thresholds())[0].max() == 5
