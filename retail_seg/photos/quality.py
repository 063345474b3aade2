"""What is wrong with a photo before it is matched, and what the person should do about it: pure functions on arrays.

The limits were chosen on phone photos of groceries, 42 of things apart on a cloth and 107 of packs in the hand, on
tables and on shelves, and on the same photos made worse. Each kind's docstring says what was measured.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from retail_seg.photos.load import shrink

#: Longer side, in pixels, at which blur is measured.
BLUR_SIDE = 1024
MIN_SHARPNESS = 0.40
#: Longer side, in pixels, at which glare and tilt are measured.
LOOK_SIDE = 640
#: All three colours of a bright pixel reach the first value, of a blown-out one the second; a patch of glare is bright,
#: this share of it is blown out, and around it the light fades out (third value), where print ends at once.
BRIGHT, BLOWN_OUT, FADING = 240, 250, 170
MIN_BLOWN_OUT = 0.3
#: Patches smaller than this share of the photo are sparkle.
MIN_PATCH = 2e-4
MAX_GLARE = 0.01
#: Lines shorter than this share of the longer side say nothing about the camera.
MIN_LINE = 0.08
#: Lines must add up to so many longer sides, and this share of them agree, before the photo has a direction.
MIN_LINES, MIN_AGREEMENT = 3.0, 0.6
MAX_TILT = 7.0
#: Photos whose longer side is shorter, in pixels, show products too small.
MIN_PHOTO = 640
#: Crops whose longer side is shorter, in pixels, are recognised badly.
MIN_CROP = 48


@dataclass(frozen=True)
class Advice:
    """One thing that is wrong: its kind ("blur", "glare", "tilt", "small"), how it measures, and what to do."""

    kind: str
    value: float
    text: str


def check_photo(photo: np.ndarray) -> list[Advice]:
    """What is wrong with an upright RGB uint8 photo (H, W, 3); nothing is for most photos. About 50 ms at any size."""
    found = []
    longer = max(photo.shape[:2])
    if longer < MIN_PHOTO:
        text = f"The photo is small ({photo.shape[1]} × {photo.shape[0]} pixels): use the camera's full size."
        found.append(Advice("small", float(longer), text))
    seen = shrink(photo, BLUR_SIDE)
    sharp = sharpness(cv2.cvtColor(seen, cv2.COLOR_RGB2GRAY), BLUR_SIDE)
    if sharp < MIN_SHARPNESS:
        found.append(Advice("blur", sharp, "The photo is blurred: hold still, wipe the lens, tap to focus."))
    small = shrink(seen, LOOK_SIDE)
    share = glare(small)
    if share > MAX_GLARE:
        text = f"Glare covers {share:.0%} of the photo: step aside or shade the light."
        found.append(Advice("glare", share, text))
    angle = tilt(small)
    if abs(angle) > MAX_TILT:
        way = "right" if angle > 0 else "left"  # what looks turned clockwise was seen by a camera turned the other way
        found.append(Advice("tilt", angle, f"The photo is tilted by {abs(angle):.0f}°: turn the camera to the {way}."))
    return found


def check_crops(boxes: np.ndarray) -> list[Advice]:
    """What is wrong with the things found in a photo, by their boxes (n, 4) x, y, width, height in pixels.

    Too small: the longer side is below MIN_CROP. The nearest crop of another photo was of the same product for .93 of
    the cloth's 108 crops in full size, .84 with crops made 64 pixels long, .81 with 48, .69 with 32 and .53 with 24.
    """
    small = int((np.asarray(boxes).reshape(-1, 4)[:, 2:].max(axis=1) < MIN_CROP).sum()) if len(boxes) else 0
    if not small:
        return []
    things = "1 product is" if small == 1 else f"{small} products are"
    return [Advice("small", float(small), f"{things} too small to be told apart: go closer, or take two photos.")]


def sharpness(grey: np.ndarray, side: int) -> float:
    """The share of a picture's grey steps (H, W) uint8 that one more blur takes away, 0 to 1, the lesser of both axes.

    `side` is the longer side, in pixels, at which it is measured. What is blurred already loses little by a blur.
    At 1024 pixels the 149 photos measure 0.49 to 0.84; blurred by a Gaussian of 3 pixels 90 % of the cloth and 75 %
    of the packs stay below 0.40, of 4 pixels 95 %; shaken by 15 pixels half of the packs, one in twelve of the cloth.
    Source: F. Crete et al., The Blur Effect, SPIE 6492, 2007.
    """
    shrinking = min(1.0, side / max(grey.shape))
    small = cv2.resize(grey, None, fx=shrinking, fy=shrinking, interpolation=cv2.INTER_AREA).astype(np.float32)
    lost = []
    for axis, kernel in ((0, (1, 9)), (1, (9, 1))):
        steps = np.abs(np.diff(small, axis=axis))
        blurred = np.abs(np.diff(cv2.blur(small, kernel), axis=axis))
        lost.append(float(np.maximum(0, steps - blurred).sum() / max(float(steps.sum()), 1e-6)))
    return min(lost)


def glare(photo: np.ndarray) -> float:
    """The share (0 to 1) of a photo (H, W, 3) uint8 in blown-out patches of light.

    White print ends sharply and a white wall or table reaches the rim; a reflection fades and lies inside. Measured at
    LOOK_SIDE: none of the 42 photos on cloth is above MAX_GLARE, 3 of the 107 of packs (windows behind them); with
    three soft spots of light laid on each, 98 %.
    """
    low = photo.min(axis=2)
    _, patches, stats, _ = cv2.connectedComponentsWithStats((low >= BRIGHT).astype(np.uint8), connectivity=8)
    height, width = low.shape
    total = 0
    for i, (x, y, w, h, area) in enumerate(stats[1:], 1):
        rim = x == 0 or y == 0 or x + w == width or y + h == height
        if not rim and area >= MIN_PATCH * low.size:
            around = np.s_[max(y - 6, 0) : y + h + 6, max(x - 6, 0) : x + w + 6]
            total += int(area) if _is_light(low[around], patches[around] == i) else 0
    return total / low.size


def _is_light(low: np.ndarray, patch: np.ndarray) -> bool:
    """Whether a bright patch (h, w) bool of the darkest colour (h, w) uint8 is blown out and fades at its edge."""
    one = patch.astype(np.uint8)
    ring = (cv2.dilate(one, np.ones((9, 9), np.uint8)) > 0) & (cv2.dilate(one, np.ones((5, 5), np.uint8)) == 0)
    blown_out = float((low[patch] >= BLOWN_OUT).mean())
    return blown_out > MIN_BLOWN_OUT and bool(ring.any()) and float(np.median(low[ring])) >= FADING


def tilt(photo: np.ndarray) -> float:
    """Degrees (-45 to 45, clockwise positive) by which a photo's straight lines are turned; 0 where they say nothing.

    Shelves and packs are upright: where most of the length of all lines agrees on one direction (modulo 90°), the
    camera is turned by it. Of the packs' photos as they were taken 5 % measure more than 7° (they lie askew on
    tables), of the cloth's 2 %; turned by 8° to 25°, a third of the packs' photos are noticed: the rest has too few
    lines. Source of the lines: R. Grompone von Gioi et al., LSD, Image Processing On Line 2, 2012.
    """
    lines = cv2.createLineSegmentDetector().detect(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY))[0]
    if lines is None:
        return 0.0
    ends = lines.reshape(-1, 4) / max(photo.shape[:2])
    steps = ends[:, 2:] - ends[:, :2]
    lengths = np.hypot(*steps.T)
    steps, lengths = steps[lengths > MIN_LINE], lengths[lengths > MIN_LINE]
    if lengths.sum() < MIN_LINES:
        return 0.0
    angles = _fold(np.degrees(np.arctan2(steps[:, 1], steps[:, 0])))
    histogram, edges = np.histogram(angles, np.arange(-45, 46, 3), weights=lengths)
    around = histogram + np.roll(histogram, 1) + np.roll(histogram, -1)
    peak = int(around.argmax())
    if around[peak] < MIN_AGREEMENT * histogram.sum():
        return 0.0
    off = _fold(angles - (edges[peak] + 1.5))
    near = np.abs(off) < 4.5
    return float(_fold(edges[peak] + 1.5 + np.average(off[near], weights=lengths[near])))


def _fold(degrees: np.ndarray | float) -> np.ndarray:
    """Angles modulo 90°, between -45 and 45."""
    return np.asarray((np.asarray(degrees) + 45) % 90 - 45)
