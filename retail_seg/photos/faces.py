"""Faces in a photo, found by YuNet and made unrecognisable.

The model does not ship with the program: it is a file of its own (face_detection_yunet_2023mar.onnx, 230 kB, MIT, of
OpenCV's model zoo; W. Wu, H. Peng, S. Yu, YuNet: A Tiny Millisecond-level Face Detector, 2023).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from retail_seg.errors import ModelError

#: Longer sides, in pixels, at which is looked: YuNet sees faces of 10 to 300 pixels, so the second finds large ones.
SIDES = (1600, 480)
#: What is a face from this score on; a box too many blurs a pack, one too few shows a person.
SCORE = 0.6
#: A face is covered with so much around it, as a share of its box, and by so many squares a side.
AROUND, SQUARES = 0.25, 6

FaceBox = tuple[int, int, int, int]


def check_model(path: Path) -> None:
    """Raises ModelError for a file that is no face detector."""
    find_faces(np.zeros((96, 96, 3), np.uint8), path)


def find_faces(photo: np.ndarray, model: Path) -> list[FaceBox]:
    """Boxes (x, y, width, height) of the faces in a photo (H, W, 3) RGB uint8; raises ModelError without a model."""
    if not model.is_file():
        raise ModelError(
            f"{model}: no such face model, so faces cannot be blurred and no photo is kept; put it back, or switch the "
            "blurring off with `retail-seg privacy --no-face-model`"
        )
    found: list[FaceBox] = []
    for side in SIDES:
        scale = min(side / max(photo.shape[:2]), 1.0)
        size = max(round(photo.shape[1] * scale), 1), max(round(photo.shape[0] * scale), 1)
        small = cv2.cvtColor(cv2.resize(photo, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2BGR)
        for x, y, w, h in _detected(small, model):
            found.append((round(x / scale), round(y / scale), round(w / scale), round(h / scale)))
    return found


def _detected(picture: np.ndarray, model: Path) -> np.ndarray:
    """x, y, width, height (n, 4) of faces in a BGR picture."""
    size = picture.shape[1], picture.shape[0]
    try:
        detector: Any = cv2.FaceDetectorYN.create(str(model), "", size, SCORE)
        _, found = detector.detect(picture)
    except cv2.error as error:
        raise ModelError(
            f"{model}: is no face model that OpenCV can use ({error.err}); give YuNet's ONNX file"
        ) from None
    return np.empty((0, 4)) if found is None else np.asarray(found)[:, :4]


def blurred(photo: np.ndarray, faces: list[FaceBox]) -> np.ndarray:
    """A copy of a photo (H, W, 3) uint8 with each face as a few squares of one colour, which nothing brings back."""
    covered = photo.copy()
    for x, y, w, h in faces:
        left, top = max(round(x - AROUND * w), 0), max(round(y - AROUND * h), 0)
        right, bottom = round(x + (1 + AROUND) * w), round(y + (1 + AROUND) * h)
        part = covered[top : max(bottom, 0), left : max(right, 0)]
        if part.size:
            squares = cv2.resize(part, (SQUARES, SQUARES), interpolation=cv2.INTER_AREA)
            part[:] = cv2.resize(squares, part.shape[1::-1], interpolation=cv2.INTER_NEAREST)
    return covered
