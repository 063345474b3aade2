"""An annotation set to test with: photos of two discs that touch, zips of their masks, and a model that knows them."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import cv2
import numpy as np
from discs import train_alike

from retail_seg.photos.load import encode_picture
from retail_seg.segmentation.annotations import AnnotatedPhoto
from retail_seg.teaching import Teaching


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


def one(teaching: Teaching) -> str:
    return teaching.add([("shelf.jpg", jpeg(0))]).ids[0]


def tiny_model(folder: Path) -> Path:
    """A tiny model in `folder` that knows discs on a dark ground."""
    annotated = []
    for seed in range(4):
        picture, labels = scene(100 + seed)
        path = folder / f"t{seed}.png"
        cv2.imwrite(str(path), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
        annotated.append(AnnotatedPhoto(path.stem, path, labels))
    return train_alike(annotated, folder / "model")
