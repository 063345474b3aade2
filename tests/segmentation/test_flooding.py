"""Markers and regions against what plain pictures of markers and one watershed over all of the foreground give."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from skimage.segmentation import watershed

from retail_seg.segmentation.instances.flooding import LEVELS, MIN_MARKER, flood


def components(mask: np.ndarray) -> np.ndarray:
    _, parts, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=4, ltype=cv2.CV_32S)
    keep = (stats[:, cv2.CC_STAT_AREA] >= MIN_MARKER) & (np.arange(len(stats)) > 0)
    return np.where(keep, np.cumsum(keep), 0)[parts]


def plainly(energy: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Markers painted as pictures, a level after the other."""
    whole, markers = components(mask), components(mask & (energy > LEVELS[0]))
    faint = ~np.isin(whole, whole[markers > 0]) & (whole > 0)
    markers[faint] = whole[faint] + markers.max()
    for level in LEVELS[1:]:
        parts = components(mask & (energy > level))
        within = {(int(m), int(p)) for m, p in zip(markers[parts > 0], parts[parts > 0], strict=True)}
        apart = [m for m in range(1, markers.max() + 1) if sum(one == m for one, _ in within) > 1]
        markers[np.isin(markers, apart)] = 0
        for part in sorted(p for m, p in within if m in apart):
            markers[parts == part] = markers.max() + 1
    markers = np.unique(markers, return_inverse=True)[1].reshape(markers.shape)
    return np.asarray(watershed(-energy, markers, mask=mask))


def made_up(seed: int, spread: float) -> tuple[np.ndarray, np.ndarray]:
    """Energy and mask of soft blobs that touch, lie within one another and reach the rim."""
    rng = np.random.default_rng(seed)
    energy, where = (cv2.GaussianBlur(rng.random((90, 120), np.float32), (0, 0), spread) for _ in range(2))
    energy = (energy - energy.min()) / np.ptp(energy)
    return energy, (energy > 0.2) & (where > np.quantile(where, 0.3))


@pytest.mark.parametrize("spread", [2.0, 4.0, 8.0])
@pytest.mark.parametrize("seed", range(4))
def test_regions_are_those_of_one_watershed_over_everything(seed: int, spread: float) -> None:
    energy, mask = made_up(seed, spread)
    regions = flood(energy, mask)
    assert regions.dtype == np.int32 and regions.max() > 3
    np.testing.assert_array_equal(regions, plainly(energy, mask))


def test_what_stands_alone_is_whole_and_what_has_two_peaks_is_two() -> None:
    energy, mask = np.zeros((30, 80), np.float32), np.zeros((30, 80), bool)
    mask[5:25, 5:25], mask[5:25, 30:70], mask[27, 2:40], mask[2, 2:5] = True, True, True, True
    energy[10:20, 10:20], energy[10:20, 33:43], energy[10:20, 57:67] = 0.6, 0.9, 0.5
    regions = flood(energy, mask)
    assert regions.max() == 4
    assert (regions[5:25, 5:25] == 1).all()  # one peak: its own edge and all
    assert regions[15, 35] == 2 and regions[15, 65] == 3
    assert (regions[27, 2:40] == 4).all()  # faint, but large enough
    assert (regions[2, 2:5] == 0).all()


def test_no_foreground_has_no_regions() -> None:
    regions = flood(np.ones((20, 20), np.float32), np.zeros((20, 20), bool))
    assert regions.dtype == np.int32 and not regions.any()
