"""A picture in the making together with the ids of what it shows: whatever is laid on it covers both."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np

#: Label of pixels that belong to a product of which too little is seen to be told.
IGNORE = -1


@dataclass(eq=False)
class Canvas:
    """RGB float32 picture (h, w, 3), labels int32 (h, w); `areas[i]` is the full size in pixels of instance i + 1."""

    picture: np.ndarray
    labels: np.ndarray
    areas: list[int] = field(default_factory=list)

    @classmethod
    def blank(cls, height: int, width: int, colour: np.ndarray) -> Canvas:
        """An empty canvas of one colour (RGB 0–255)."""
        picture = np.empty((height, width, 3), np.float32)
        picture[:] = colour
        return cls(picture, np.zeros((height, width), np.int32))

    def put(self, sprite: np.ndarray, x: int, y: int, *, contact: float = 0.0) -> int:
        """Lay an RGBA uint8 sprite as a new instance with its corner at (x, y), clipped; its number, from 1.

        `contact` (0–1) darkens what lies around it, as two packs that stand close shade each other.
        """
        if contact > 0:
            self._shade_around(sprite[:, :, 3], x, y, contact)
        self.areas.append(int((sprite[:, :, 3] > 127).sum()))
        self.lay(sprite, x, y, len(self.areas))
        return len(self.areas)

    def lay(self, sprite: np.ndarray, x: int, y: int, number: int | None = 0) -> None:
        """Lay an RGBA uint8 sprite; its opaque pixels get the label `number` (None leaves the labels alone)."""
        window = self.window(x, y, *sprite.shape[:2])
        if window is None:
            return
        rows, columns = window
        cut = sprite[rows.start - y : rows.stop - y, columns.start - x : columns.stop - x]
        part = self.picture[rows, columns]
        part += (cut[:, :, :3] - part) * (cut[:, :, 3:] * np.float32(1 / 255))
        if number is not None:
            self.labels[rows, columns][cut[:, :, 3] > 127] = number

    def fill(self, x0: float, y0: float, x1: float, y1: float, colour: np.ndarray, number: int | None = 0) -> None:
        """Paint a rectangle; `colour` is RGB or a picture (h, w, 3) that is stretched over it."""
        left, top = round(x0), round(y0)
        window = self.window(left, top, round(y1) - top, round(x1) - left)
        if window is None:
            return
        rows, columns = window
        if colour.ndim == 3:
            whole = cv2.resize(colour, (round(x1) - left, round(y1) - top), interpolation=cv2.INTER_LINEAR)
            colour = whole[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
        self.picture[rows, columns] = colour
        if number is not None:
            self.labels[rows, columns] = number

    def dim(self, x0: float, y0: float, x1: float, y1: float, factors: np.ndarray) -> None:
        """Multiply a rectangle by factors that run from its top to its bottom (any number of them)."""
        left, top = round(x0), round(y0)
        height = round(y1) - top
        window = self.window(left, top, height, round(x1) - left)
        if window is None:
            return
        rows, columns = window
        ramp = cv2.resize(factors.astype(np.float32)[:, None], (1, height), interpolation=cv2.INTER_LINEAR)
        self.picture[rows, columns] *= ramp[rows.start - top : rows.stop - top, :, None]

    def window(self, x: int, y: int, height: int, width: int) -> tuple[slice, slice] | None:
        """The part of the canvas that a rectangle covers; None where it lies outside."""
        x0, y0 = max(x, 0), max(y, 0)
        x1, y1 = min(x + width, self.labels.shape[1]), min(y + height, self.labels.shape[0])
        return (slice(y0, y1), slice(x0, x1)) if x0 < x1 and y0 < y1 else None

    def _shade_around(self, alpha: np.ndarray, x: int, y: int, strength: float) -> None:
        reach = max(int(min(alpha.shape) * 0.09), 2)
        wide = cv2.copyMakeBorder(alpha, reach, reach, reach, reach, cv2.BORDER_CONSTANT, value=0)
        soft = cv2.blur(cv2.blur(wide, (reach, reach)), (reach, reach))
        window = self.window(x - reach, y - reach, *soft.shape)
        if window is None:
            return
        rows, columns = window
        top, left = rows.start - y + reach, columns.start - x + reach
        cut = soft[top : top + rows.stop - rows.start, left : left + columns.stop - columns.start]
        self.picture[rows, columns] *= (1 - cut.astype(np.float32) * (strength / 255))[:, :, None]


def shares_seen(canvas: Canvas) -> np.ndarray:
    """Of every instance, the share of its pixels that nothing covers (float64, at index number - 1)."""
    seen = np.bincount(np.maximum(canvas.labels, 0).ravel(), minlength=len(canvas.areas) + 1)[1:]
    return np.asarray(seen / np.maximum(canvas.areas, 1))
