"""The scale of a photo from ArUco or AprilTag markers of known size that lie in it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from retail_seg.errors import PhotoError
from retail_seg.segmentation.instances.instances import Instances

#: Dictionaries that are tried, in this order; the first that finds a marker is taken. Of two with the same grid the
#: larger holds the smaller one's codes, so a marker of DICT_4X4_50 is found. 4X4 comes last, since printed labels
#: happen to look like its few bits now and then.
DICTIONARIES = ("DICT_5X5_100", "DICT_6X6_250", "DICT_7X7_100", "DICT_APRILTAG_36h11", "DICT_4X4_100")
#: A marker with shorter sides, in pixels, is a chance find or too coarse for a scale.
MIN_SIDE = 25.0
#: Sides of one marker, or markers of one photo, that differ by more than this part say that the camera is tilted.
TILT = 0.05


@dataclass(frozen=True)
class MarkerScale:
    """Scale of a photo.

    mm_per_px  from the mean side of all markers
    corners    (m, 4, 2) float32 x, y of each marker's corners
    spread     the longest side over the shortest, minus 1: how far a length can be off where the camera is tilted
    """

    mm_per_px: float
    corners: np.ndarray
    spread: float

    @property
    def tilted(self) -> bool:
        """Whether sizes differ noticeably over the photo."""
        return self.spread > TILT

    def covers(self, instances: Instances) -> np.ndarray:
        """Whether each instance is (mostly) a marker, (n,) bool: its centre of mass lies on one, and half its area."""
        area = np.zeros(instances.labels.shape, np.uint8)
        grown = self.corners + 0.2 * (self.corners - self.corners.mean(1, keepdims=True))
        for marker in grown:  # the white margin of a printed marker belongs to it
            cv2.fillConvexPoly(area, np.round(marker).astype(np.int32), 1)
        inside = np.bincount(instances.labels.ravel(), weights=area.ravel(), minlength=len(instances) + 1)[1:]
        return inside > 0.5 * instances.areas


def find_scale(photo: np.ndarray, side_mm: float, name: str = "photo") -> MarkerScale:
    """The scale of a photo (H, W, 3) RGB uint8 in which lie square markers with black sides of `side_mm`.

    Corners are refined to parts of a pixel. Raises PhotoError, which calls the photo `name`, where there is none.
    """
    grey = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)
    parameters = cv2.aruco.DetectorParameters()
    parameters.cornerRefinementMethod = cv2.aruco.CORNER_REFINE_SUBPIX
    parameters.errorCorrectionRate = 0.0  # corrected codes are found in printed labels, too, and give a false scale
    for dictionary in DICTIONARIES:
        codes = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, dictionary))
        found, _, _ = cv2.aruco.ArucoDetector(codes, parameters).detectMarkers(grey)
        corners = np.asarray(found, np.float32).reshape(-1, 4, 2)
        sides = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2)
        large = sides.mean(1) >= MIN_SIDE
        corners, sides = corners[large], sides[large]
        if len(corners):
            return MarkerScale(side_mm / float(sides.mean()), corners, float(sides.max() / sides.min() - 1))
    advice = f"lay one flat in the photo, {MIN_SIDE:.0f} pixels wide at least, or give the mm per pixel"
    raise PhotoError(f"{name}: no ArUco (4x4 to 7x7) or AprilTag (36h11) marker found; {advice}")
