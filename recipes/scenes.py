"""Ready pictures with labels, as training samples: random parts of them at random scales, under other light.

A folder holds NAME.jpg beside NAME.png: 16-bit instance ids, 0 for background, 65535 for what nobody has judged.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from retail_seg.errors import AnnotationError, PhotoError
from retail_seg.photos.load import load_photo
from retail_seg.segmentation.boxes import IGNORE
from retail_seg.segmentation.formats.instance_png import open_mask
from retail_seg.segmentation.segmenter import resized, working_size
from retail_seg.segmentation.training.augment import photometric, shade, similarity
from retail_seg.segmentation.training.fitting import Sample
from retail_seg.segmentation.training.targets import shrink_labels

#: The id that stands for IGNORE in a 16-bit PNG.
IGNORED_ID = 65535
#: What is smaller than this (pixels of the sample) is too little to learn from.
LEAST = 40
#: Range of scales against a picture at working size, log-uniform.
SCALES = (0.5, 2.0)

#: A generator of random numbers ► a sample of the canvas' size.
Sampler = Callable[[np.random.Generator], Sample]


@dataclass(frozen=True)
class Scenes:
    """Pictures with labels on disk; samples are drawn by calling it. `canvas` (w, h), `side` the working size."""

    pictures: tuple[Path, ...]
    canvas: tuple[int, int]
    side: int

    def __call__(self, rng: np.random.Generator) -> Sample:
        picture, labels = read_scene(self.pictures[rng.integers(len(self.pictures))])
        view, ids = self._part(picture, labels, rng)
        view = photometric(shade(view, rng) if rng.random() < 0.4 else view, rng)
        return compressed(view, rng) if rng.random() < 0.4 else view, renumbered(ids)

    def _part(self, picture: np.ndarray, labels: np.ndarray, rng: np.random.Generator) -> Sample:
        """A random part; what lies beyond the picture's rim mirrors it and is ignored."""
        usual = self.side / max(labels.shape)
        scale = usual * float(np.exp(rng.uniform(*np.log(SCALES))))
        if scale < 0.7:  # half size first: linear sampling would skip pixels
            picture = cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        matrix = similarity(rng, labels.shape[::-1], self.canvas, scale, rng.normal(0, 0.06))
        to_picture = matrix.copy()
        to_picture[:, :2] *= labels.shape[1] / picture.shape[1]
        view = cv2.warpAffine(
            picture, to_picture, self.canvas, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
        )
        ids = cv2.warpAffine(
            labels.astype(np.float32), matrix, self.canvas,
            flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT, borderValue=float(IGNORE),
        )  # fmt: skip
        return view, ids.astype(np.int32)

    def at_working_size(self) -> list[Sample]:
        """Every picture, its longer side the working size."""
        return [_small(*read_scene(path), self.side) for path in self.pictures]


def _small(picture: np.ndarray, labels: np.ndarray, side: int) -> Sample:
    height, width = working_size(*labels.shape, side)
    return resized(picture, width, height), shrink_labels(labels, width, height)


def read_scene(path: Path) -> Sample:
    """Picture RGB uint8 (h, w, 3) and labels int32 (h, w) of NAME.jpg; SystemExit where they cannot be had."""
    try:
        picture, ids = load_photo(path), np.asarray(open_mask(path.with_suffix(".png")))
    except (PhotoError, AnnotationError) as error:
        raise SystemExit(
            f"{path}: it or its labels ({path.with_suffix('.png').name}) cannot be read ({error})"
        ) from None
    if ids.shape != picture.shape[:2]:
        raise SystemExit(f"{path}: is {picture.shape[:2]} pixels, its labels are {ids.shape}; give labels of its size")
    labels = ids.astype(np.int32)
    labels[labels == IGNORED_ID] = IGNORE
    return picture, labels


def renumbered(labels: np.ndarray) -> np.ndarray:
    """Labels with ids 1..n; what is smaller than LEAST is ignored."""
    areas = np.bincount(labels.ravel() + 1)
    table = np.zeros(len(areas), np.int32)
    kept = areas >= LEAST
    kept[:2] = False
    table[kept] = np.arange(1, kept.sum() + 1)
    table[(areas > 0) & ~kept] = IGNORE
    table[0], table[1:2] = IGNORE, 0
    return table[labels + 1]


def compressed(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The picture after JPEG of a random quality."""
    _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(30, 95))])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)


def mixed(samplers: list[tuple[float, Sampler]]) -> Sampler:
    """One sampler that draws from several, each with its share of 1."""
    shares = np.array([share for share, _ in samplers])

    def draw(rng: np.random.Generator) -> Sample:
        return samplers[int(rng.choice(len(samplers), p=shares / shares.sum()))][1](rng)

    return draw


def folder_of(given: str) -> tuple[Path, float]:
    """Folder and share of samples of DIR:SHARE."""
    folder, _, share = given.rpartition(":")
    try:
        value = float(share)
    except ValueError:
        value = -1.0
    if not folder or not 0 < value <= 1:
        raise SystemExit(f"{given}: give DIR:SHARE, a folder and its share of the samples, above 0 and up to 1")
    return Path(folder), value


def split_scenes(folder: Path, canvas: tuple[int, int], side: int, every: int, most: int) -> tuple[Scenes, Scenes]:
    """A folder's pictures to train on, and every `every`th (at most `most`) kept back."""
    pictures = sorted(path for path in folder.glob("*.jpg") if path.with_suffix(".png").is_file())
    kept = pictures[every // 2 :: every][:most]
    trained = tuple(path for path in pictures if path not in set(kept))
    if not trained:
        raise SystemExit(f"{folder}: holds no NAME.jpg with a NAME.png of instance ids beside it")
    return Scenes(trained, canvas, side), Scenes(tuple(kept), canvas, side)
