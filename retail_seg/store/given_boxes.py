"""Boxes of products that another detector found, in the segmenter's place: CSV with columns image,x,y,w,h."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, cast

import numpy as np

from catalogue.errors import ImportFileError
from catalogue.tables import BadLine, read_table
from retail_seg.errors import AnnotationError, PhotoError
from retail_seg.segmentation.boxes import Box, is_ignored
from retail_seg.segmentation.instances.instances import Instances, masks_within

if TYPE_CHECKING:
    from retail_seg.segmentation.segmenter import Segmenter

SIDES = ("x", "y", "w", "h")


@dataclass(frozen=True)
class GivenBoxes:
    """Boxes by photo, in pixels of the upright photo; `problems` are sentences on lines that are no box.

    A photo is known by the name of its file, in whatever folder it lies.
    """

    file: str
    boxes: Mapping[str, tuple[Box, ...]]
    fingerprint: str
    problems: tuple[str, ...] = ()
    name: str = field(default="boxes", init=False)

    @classmethod
    def read(cls, path: Path) -> GivenBoxes:
        """Read a file; a line with an image alone says that nothing was found in it. Raises AnnotationError."""
        try:
            table = read_table(lambda: path.open("rb"), path.name, lambda first: [])
            digest = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
        except OSError as error:
            raise AnnotationError(f"{path}: cannot be read ({error.strerror}); give a CSV of boxes") from None
        except ImportFileError as error:
            raise AnnotationError(str(error)) from None
        names = {column.strip().lower(): column for column in table.columns}
        missing = [column for column in ("image", *SIDES) if column not in names]
        if missing:
            raise AnnotationError(f"{path.name}: has no column {' and '.join(missing)}; name them image,x,y,w,h")
        found: dict[str, list[Box]] = {}
        problems = []
        for row in table.rows:
            reason = (
                row.reason
                if isinstance(row, BadLine)
                else _add(found, {k: row[1].get(v) or "" for k, v in names.items()})
            )
            if reason:
                problems.append(f"{path.name}, line {row.line if isinstance(row, BadLine) else row[0]}: {reason}")
        return cls(path.name, {name: tuple(some) for name, some in found.items()}, digest, tuple(problems))

    def as_segmenter(self) -> Segmenter:
        """These boxes for `Matcher.open`, whose scans take their instances from here; nothing else asks them."""
        return cast("Segmenter", self)

    def instances(self, photo: str, picture: np.ndarray, size: tuple[int, int]) -> Instances:
        """The instances of a photo (h, w, 3) uint8, decoded from one of `size` (width, height); each fills its box.

        Where boxes overlap, the smaller one lies before the larger. Raises PhotoError where no line is of this photo.
        """
        given = self._of(photo)
        height, width = picture.shape[:2]
        scale = np.array([width / size[0], height / size[1]] * 2)
        corners = np.array([(x, y, x + w, y + h) for x, y, w, h in given], float).reshape(-1, 4) * scale
        corners = np.round(np.clip(corners, 0, [width, height, width, height])).astype(int)
        sides = corners[:, 2:] - corners[:, :2]
        corners = corners[(sides >= 2).all(1)]
        order = np.argsort(-np.prod(corners[:, 2:] - corners[:, :2], axis=1), kind="stable")
        labels = np.zeros((height, width), np.int32)
        for number in order.tolist():
            x0, y0, x1, y1 = corners[number]
            labels[y0:y1, x0:x1] = number + 1
        areas = np.bincount(labels.ravel(), minlength=len(corners) + 1)[1:].astype(np.int64)
        return _without_hidden(labels, corners, areas)

    def _of(self, photo: str) -> tuple[Box, ...]:
        name = PurePath(photo.replace("\\", "/")).name
        found = self.boxes.get(name, self.boxes.get(PurePath(name).stem))
        if found is None:
            raise PhotoError(f"{photo}: {self.file} has no box of it; name the photo {name} in the column image")
        return found


def _add(found: dict[str, list[Box]], row: dict[str, str]) -> str:
    """Add a row's box to its photo's; why not, where it is none."""
    image = PurePath(row["image"].strip().replace("\\", "/")).name
    if not image:
        return "image is empty; name the photo"
    boxes = found.setdefault(image, [])
    texts = [row[side].strip() for side in SIDES]
    if not any(texts) or is_ignored(row.get("label", "")):
        return ""
    try:
        x, y, w, h = (float(text) for text in texts)
    except ValueError:
        return f"{','.join(texts)} is no box; give x,y,w,h in pixels"
    if not all(math.isfinite(value) for value in (x, y, w, h)) or w <= 0 or h <= 0:
        return f"{','.join(texts)} is no box; width and height have to be above 0"
    boxes.append((x, y, w, h))
    return ""


def _without_hidden(labels: np.ndarray, corners: np.ndarray, areas: np.ndarray) -> Instances:
    """Instances of painted boxes; what others cover completely, as a box given twice, is none."""
    boxes = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], 1).astype(np.int32)
    shown, masks = np.flatnonzero(areas > 0), masks_within(labels, boxes)
    height, width = labels.shape
    sure = np.ones(len(shown), np.float32)
    return Instances((height, width), boxes[shown], areas[shown], sure, [masks[i] for i in shown])
