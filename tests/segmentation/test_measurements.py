"""Measurements of shapes whose sizes are known, scales from drawn markers, and the merged flag."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import cv2
import numpy as np
import pytest

from retail_seg.errors import PhotoError
from retail_seg.evaluation.measuring import PhotoMeasurer, write_rows_csv
from retail_seg.segmentation.instances.instances import Instances, outlines_of
from retail_seg.segmentation.instances.markers import DICTIONARIES, find_scale
from retail_seg.segmentation.instances.measurements import measure, size_percentiles, without
from retail_seg.segmentation.instances.merged import describe_outline, looks_merged, merged_flags, prominent_peaks


def disc(labels: np.ndarray, x: float, y: float, radius: float, value: int) -> None:
    rows, columns = np.mgrid[: labels.shape[0], : labels.shape[1]]
    labels[(columns + 0.5 - x) ** 2 + (rows + 0.5 - y) ** 2 < radius**2] = value


def rotated_rectangle(
    shape: tuple[int, int], x: float, y: float, length: float, width: float, angle: float
) -> np.ndarray:
    rows, columns = np.mgrid[: shape[0], : shape[1]] + 0.5
    turn = np.radians(angle)
    along = (columns - x) * np.cos(turn) + (rows - y) * np.sin(turn)
    across = (rows - y) * np.cos(turn) - (columns - x) * np.sin(turn)
    return (abs(along) < length / 2) & (abs(across) < width / 2)


class TestShapes:
    def test_disc(self) -> None:
        labels = np.zeros((200, 200), np.int32)
        disc(labels, 100, 90, 40, 1)
        found = measure(Instances.from_labels(labels))
        assert found.areas[0] == pytest.approx(np.pi * 1600, rel=0.005)
        assert found.diameters[0] == pytest.approx(80, rel=0.005)
        assert found.perimeters[0] == pytest.approx(2 * np.pi * 40, rel=0.01)
        assert found.circularity[0] == pytest.approx(1, abs=0.02)
        assert found.ellipses[0, :4] == pytest.approx([100, 90, 80, 80], rel=0.005)
        assert found.rotated[0, 2:4] == pytest.approx([80, 80], abs=2.5)
        assert not found.cut[0]

    @pytest.mark.parametrize("angle", [0, 25, 90, 140])
    def test_rotated_rectangle(self, angle: float) -> None:
        mask = rotated_rectangle((220, 240), 120, 110, 120, 40, angle)
        found = measure(Instances.from_labels(mask.astype(np.int32)))
        assert found.rotated[0, :2] == pytest.approx([120, 110], abs=1)
        assert found.rotated[0, 2:4] == pytest.approx([120, 40], abs=2.5)
        for value in (found.rotated[0, 4], found.ellipses[0, 4]):
            assert min(abs(value - angle), 180 - abs(value - angle)) < 1.5
        axes = 4 * np.sqrt(np.array([120.0, 40.0]) ** 2 / 12)
        assert found.ellipses[0, 2:4] == pytest.approx(axes, rel=0.02)
        assert found.circularity[0] == pytest.approx(4 * np.pi * 4800 / 320**2, rel=0.03)

    def test_one_pixel_and_the_edge(self) -> None:
        labels = np.zeros((20, 30), np.int32)
        labels[5, 7], labels[10:, 20:25] = 1, 2
        found = measure(Instances.from_labels(labels))
        assert found.rotated[0, :4] == pytest.approx([7.5, 5.5, 1, 1])
        assert found.ellipses[0, :2] == pytest.approx([7.5, 5.5])
        assert found.cut.tolist() == [False, True]
        assert np.isfinite(found.circularity).all()

    def test_nothing(self) -> None:
        found = measure(Instances.from_labels(np.zeros((5, 5), np.int32)))
        assert found.rows() == [] and found.distribution()["diameter"]["by_area"]["d50"] is None

    def test_millimetres(self) -> None:
        labels = np.zeros((60, 60), np.int32)
        labels[10:30, 10:50] = 1
        row = measure(Instances.from_labels(labels)).rows(0.5)[0]
        assert (row["area_px"], row["area_mm2"]) == (800, 200.0)
        assert (row["length_mm"], row["width_mm"]) == (20.0, 10.0)
        assert "area_mm2" not in measure(Instances.from_labels(labels)).rows()[0]


class TestDistribution:
    def test_by_count_is_the_median(self) -> None:
        assert size_percentiles(np.array([5.0, 1, 3]))["d50"] == 3
        assert size_percentiles(np.array([1.0, 2, 3, 10]))["d50"] == 2.5

    def test_by_area_weighs_the_large(self) -> None:
        """Nine of size 1 and weight 1, one of size 10 and weight 91: the middle of its step is at 54.5 %."""
        sizes, weights = np.array([1.0] * 9 + [10.0]), np.array([1.0] * 9 + [91.0])
        found = size_percentiles(sizes, weights)
        assert found["d90"] == 10
        assert found["d50"] == pytest.approx(1 + 9 * (50 - 8.5) / (54.5 - 8.5), abs=1e-3)

    def test_real_pebbles(self) -> None:
        """d50 by area of outlined pebbles against the sizes that a grid laid over the photo meets (Wolman's count)."""
        folder = Path(__file__).parents[3] / "shared/data/pebbles"
        if not folder.exists():
            pytest.skip("../shared/data/pebbles is not here")
        for path in sorted((folder / "instances").glob("*.png")):
            instances = Instances.from_labels(cv2.imread(str(path), cv2.IMREAD_UNCHANGED))
            found = measure(instances)
            met = instances.labels[2::5, 2::5].ravel()
            grid = np.median(found.diameters[met[met > 0] - 1])
            assert found.distribution(0.39)["diameter"]["by_area"]["d50"] == pytest.approx(grid * 0.39, rel=0.08)


def scene_with_marker(dictionary: str, side: int = 120, angle: float = 17) -> np.ndarray:
    grey = np.full((600, 800), 170, np.uint8)
    codes = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, dictionary))
    grey[80 : 120 + side, 80 : 120 + side] = 255
    grey[100 : 100 + side, 100 : 100 + side] = cv2.aruco.generateImageMarker(codes, 7, side)
    turn = cv2.getRotationMatrix2D((300, 300), angle, 1)
    return cv2.cvtColor(cv2.warpAffine(grey, turn, (800, 600), borderValue=170), cv2.COLOR_GRAY2RGB)


class TestMarkers:
    @pytest.mark.parametrize("dictionary", DICTIONARIES)
    def test_scale(self, dictionary: str) -> None:
        found = find_scale(scene_with_marker(dictionary), 30.0)
        assert found.mm_per_px == pytest.approx(30 / 120, rel=0.005)
        assert len(found.corners) == 1 and not found.tilted

    def test_tilted_camera(self) -> None:
        photo = scene_with_marker("DICT_6X6_250", side=240, angle=0)
        corners = np.array([[0, 0], [800, 0], [800, 600], [0, 600]], np.float32)
        moved = np.array([[100, 80], [700, 80], [800, 600], [0, 600]], np.float32)
        tilted = cv2.warpPerspective(photo, cv2.getPerspectiveTransform(corners, moved), (800, 600))
        assert find_scale(tilted, 30.0).tilted

    def test_none(self) -> None:
        with pytest.raises(PhotoError, match="shelf: no ArUco"):
            find_scale(np.full((300, 300, 3), 128, np.uint8), 30.0, "shelf")

    def test_the_marker_is_not_an_instance(self, tmp_path: Path) -> None:
        photo = scene_with_marker("DICT_5X5_100")
        path = tmp_path / "a.png"
        cv2.imwrite(str(path), photo)
        labels = np.zeros(photo.shape[:2], np.int32)
        labels[(photo == 255).all(-1) | (photo == 0).all(-1)] = 1
        disc(labels, 600, 400, 60, 2)
        measurer = PhotoMeasurer([path], lambda _, __: Instances.from_labels(labels), marker_mm=30.0)
        found = measurer.measure(path)
        assert [row["id"] for row in found["instances"]] == [1]
        assert found["scale_from"] == "marker"
        assert found["instances"][0]["diameter_mm"] == pytest.approx(30, rel=0.01)
        table = io.StringIO()
        write_rows_csv([found], table)
        (row,) = csv.DictReader(io.StringIO(table.getvalue()))
        assert row["image"] == str(path) and float(row["diameter_mm"]) == pytest.approx(30, rel=0.01)


def test_without_renumbers() -> None:
    labels = np.array([[1, 1, 0, 2, 3, 3]], np.int32)
    kept = without(Instances.from_labels(labels, np.array([0.9, 0.8, 0.7])), np.array([False, True, False]))
    assert kept.labels.tolist() == [[1, 1, 0, 0, 2, 2]]
    assert kept.confidence.tolist() == pytest.approx([0.9, 0.7])


class TestMerged:
    def flags(self, labels: np.ndarray) -> list[bool]:
        return merged_flags(Instances.from_labels(labels)).tolist()

    def test_two_discs_in_one(self) -> None:
        labels = np.zeros((300, 400), np.int32)
        disc(labels, 100, 100, 50, 1)
        disc(labels, 195, 100, 50, 1)
        disc(labels, 300, 220, 50, 2)
        assert self.flags(labels) == [True, False]

    def test_the_quick_look_at_the_corners_hides_none(self) -> None:
        rng, labels = np.random.default_rng(3), np.zeros((900, 1200), np.int32)
        for number in range(48):
            x, y = 75 + 150 * (number % 8), 75 + 150 * (number // 8)
            for _ in range(int(rng.integers(1, 4))):
                dx, dy = rng.integers(-30, 31, 2)
                disc(labels, x + dx, y + dy, int(rng.integers(18, 34)), number + 1)
        found = Instances.from_labels(labels)
        relative = found.areas / np.median(found.areas)
        described = [describe_outline(mask) for mask in found.masks]
        plain = [d is not None and looks_merged(d, float(r)) for d, r in zip(described, relative, strict=True)]
        assert 4 < sum(plain) < 44
        assert self.flags(labels) == plain
        assert merged_flags(found, [outlines_of(mask) for mask in found.masks]).tolist() == plain

    def test_rows_of_cans(self) -> None:
        labels = np.zeros((300, 600), np.int32)
        for i in range(4):
            disc(labels, 80 + 96 * i, 100, 50, 1)
        assert self.flags(labels) == [True]

    def test_long_hollow_bent_and_tiny_ones_are_single(self) -> None:
        labels = np.zeros((500, 700), np.int32)
        labels[rotated_rectangle(labels.shape, 200, 60, 300, 40, 5)] = 1
        labels[200:400, 60:200] = 2
        labels[240:300, 150:180] = 0  # the hole of a handle
        disc(labels, 400, 300, 90, 3)
        disc(labels, 400, 260, 70, 0)  # a banana
        labels[450:455, 600:604] = 4
        disc(labels, 600, 100, 50, 5)
        assert self.flags(labels) == [False] * 5

    def test_a_small_piece_among_large_things_is_none(self) -> None:
        labels = np.zeros((300, 500), np.int32)
        disc(labels, 40, 40, 16, 1)
        disc(labels, 69, 40, 16, 1)
        assert self.flags(labels) == [True]
        for i in range(3):
            disc(labels, 100 + 140 * i, 200, 50, 2 + i)
        assert self.flags(labels) == [False] * 4

    def test_bottle_with_a_neck_is_single(self) -> None:
        labels = np.zeros((400, 300), np.int32)
        labels[150:380, 80:200] = 1
        labels[100:150, 115:165] = 1
        labels[70:100, 105:175] = 1
        assert self.flags(labels) == [False]

    def test_real_groceries(self) -> None:
        """No single one of the cloth photos is flagged; most pairs of touching neighbours fused into one are."""
        folder = Path(__file__).parents[3] / "shared/data"
        if not folder.exists():
            pytest.skip("../shared/data is not here")
        for path in sorted((folder / "cloth/instances").glob("*.png"))[::6]:
            assert not any(self.flags(cv2.imread(str(path), cv2.IMREAD_UNCHANGED).astype(np.int32)))
        found = []
        for path in sorted((folder / "cloth-touching/instances").glob("*.png"))[:5]:
            labels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED).astype(np.int32)
            for one, other in touching_pairs(labels):
                fused = np.where(labels == other, one, labels)
                fused[cv2.morphologyEx((fused == one).astype(np.uint8), cv2.MORPH_CLOSE, np.ones((5, 5))) > 0] = one
                found.append(self.flags(fused)[list(np.unique(fused)[1:]).index(one)])
        assert len(found) > 15 and np.mean(found) > 0.75


def touching_pairs(labels: np.ndarray) -> set[tuple[int, int]]:
    """Pairs of ids with at least 8 pixels of common border, 3 pixels apart at most."""
    pairs: set[tuple[int, int]] = set()
    for one, other in ((labels[:, :-3], labels[:, 3:]), (labels[:-3], labels[3:])):
        meet = (one != other) & (one > 0) & (other > 0)
        found, counts = np.unique(np.sort(np.stack([one[meet], other[meet]]), axis=0), axis=1, return_counts=True)
        pairs |= {(int(a), int(b)) for (a, b), n in zip(found.T, counts, strict=True) if n >= 8}
    return pairs


def test_peaks_that_stand_out_are_those_of_scipy() -> None:
    from scipy.signal import find_peaks

    rng = np.random.default_rng(5)
    for length in range(1, 160):
        for values in (np.abs(np.cumsum(rng.normal(size=length))), rng.integers(0, 5, length).astype(float)):
            expected, _ = find_peaks(np.append(values, 0.0), prominence=0.8)
            np.testing.assert_array_equal(prominent_peaks(np.append(values, 0.0), 0.8), expected)
