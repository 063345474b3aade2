"""Small tools that the labels are drawn with: colours, smooth noise, text as masks, blending."""

from __future__ import annotations

import colorsys
from functools import lru_cache

import cv2
import numpy as np

Colour = tuple[int, int, int]
Rectangle = tuple[int, int, int, int]

WHITE: Colour = (250, 250, 247)
BLACK: Colour = (24, 22, 26)

#: Faces for print: Pillow's built-in face (regular, and thickened to bold) and those that OpenCV carries.
FACES = ("plain", "bold", "black", "medium", "italic", "light italic")
_HERSHEY = {
    "black": cv2.FONT_HERSHEY_TRIPLEX,
    "medium": cv2.FONT_HERSHEY_SIMPLEX,
    "italic": cv2.FONT_HERSHEY_SCRIPT_COMPLEX,
    "light italic": cv2.FONT_HERSHEY_SCRIPT_SIMPLEX,
}


def hsv(hue: float, saturation: float, value: float) -> Colour:
    """A colour (RGB 0–255) from hue (turns, any real number), saturation and value (0–1)."""
    r, g, b = colorsys.hsv_to_rgb(hue % 1.0, min(max(saturation, 0.0), 1.0), min(max(value, 0.0), 1.0))
    return int(r * 255), int(g * 255), int(b * 255)


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """The colour `share` of the way from `first` to `second`."""
    r, g, b = (round(a + (c - a) * share) for a, c in zip(first, second, strict=True))
    return r, g, b


def brightness(colour: Colour) -> float:
    """Perceived brightness 0–255 (Rec. 601 luma)."""
    return 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]


def readable_on(ground: Colour, *candidates: Colour) -> Colour:
    """The candidate that stands out most from `ground`; white and black are tried as well, at a small handicap."""

    def contrast(colour: Colour) -> float:
        handicap = 0 if colour in candidates else 40
        return abs(brightness(colour) - brightness(ground)) - handicap

    return max((*candidates, WHITE, BLACK), key=contrast)


def smooth_noise(rng: np.random.Generator, height: int, width: int, cells_y: int, cells_x: int) -> np.ndarray:
    """Smooth float32 noise (height, width), about zero with unit spread on a grid of `cells_y` × `cells_x`.

    Its draws do not depend on the size in pixels, so that a picture looks the same at every resolution.
    """
    grid = rng.standard_normal((cells_y + 1, cells_x + 1)).astype(np.float32)
    return cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)


def paint(canvas: np.ndarray, mask: np.ndarray, colour: Colour, x: int, y: int) -> None:
    """Lay `colour` on the RGB uint8 canvas through a uint8 mask (h, w) whose corner lies at (x, y); clipped."""
    height, width = canvas.shape[:2]
    x0, y0 = max(x, 0), max(y, 0)
    x1, y1 = min(x + mask.shape[1], width), min(y + mask.shape[0], height)
    if x0 >= x1 or y0 >= y1:
        return
    part = canvas[y0:y1, x0:x1]
    alpha = mask[y0 - y : y1 - y, x0 - x : x1 - x, None].astype(np.float32) / 255
    part[:] = (part + (np.array(colour, np.float32) - part) * alpha).astype(np.uint8)


def stamp(canvas: np.ndarray, sprite: np.ndarray, x: int, y: int) -> None:
    """Lay an RGBA uint8 sprite on the RGB uint8 canvas with its corner at (x, y); clipped."""
    height, width = canvas.shape[:2]
    x0, y0 = max(x, 0), max(y, 0)
    x1, y1 = min(x + sprite.shape[1], width), min(y + sprite.shape[0], height)
    if x0 >= x1 or y0 >= y1:
        return
    part = canvas[y0:y1, x0:x1]
    cut = sprite[y0 - y : y1 - y, x0 - x : x1 - x].astype(np.float32)
    part[:] = (part + (cut[:, :, :3] - part) * (cut[:, :, 3:] / 255)).astype(np.uint8)


@lru_cache(maxsize=512)
def text_mask(text: str, face: str) -> np.ndarray:
    """The text as a tight uint8 mask (h, w), capitals about 60 px high; `face` is one of FACES."""
    if face in ("plain", "bold"):
        mask = _pillow_text(text, 2 if face == "bold" else 0)
    else:
        (width, height), base = cv2.getTextSize(text, _HERSHEY[face], 2.6, 4)
        canvas = np.zeros((height + base + 60, width + 60, 3), np.uint8)
        cv2.putText(canvas, text, (30, height + 30), _HERSHEY[face], 2.6, (255, 255, 255), 4, cv2.LINE_AA)
        mask = canvas[:, :, 0]
    rows, columns = np.flatnonzero(mask.max(1)), np.flatnonzero(mask.max(0))
    if not len(rows):
        return np.zeros((8, 8), np.uint8)
    return np.ascontiguousarray(mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])


def _pillow_text(text: str, stroke: int) -> np.ndarray:
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(size=72)
    left, top, right, bottom = font.getbbox(text, stroke_width=stroke)
    image = Image.new("L", (int(right - left) + 8, int(bottom - top) + 8))
    ImageDraw.Draw(image).text((4 - left, 4 - top), text, font=font, fill=255, stroke_width=stroke)
    return np.asarray(image)


def fit_text(
    mask: np.ndarray, width: int, height: int, *, stretch: float = 1.0, slant: float = 0.0, arch: float = 0.0
) -> np.ndarray:
    """Scale a text mask into at most width × height pixels; `stretch` widens, `slant` leans, `arch` bends it up.

    `stretch` is a ratio, `slant` a shear (0.2 leans like an italic), `arch` the rise as a share of the text's height.
    """
    rows, columns = mask.shape
    full_columns = columns * stretch + abs(slant) * rows
    full_rows = rows * (1 + abs(arch))
    scale = min(width / full_columns, height / full_rows)
    out_w, out_h = max(int(full_columns * scale), 2), max(int(full_rows * scale), 2)
    if not slant and not arch:
        return cv2.resize(mask, (out_w, out_h), interpolation=cv2.INTER_AREA)
    x, y = np.meshgrid(np.arange(out_w, dtype=np.float32), np.arange(out_h, dtype=np.float32))
    across = x / out_w * 2 - 1
    rise = abs(arch) * rows * (across**2 if arch > 0 else 1 - across**2)
    v = y / scale - rise
    u = (x / scale - (slant * (rows - v) if slant > 0 else slant * -v)) / stretch
    if scale < 0.6:
        mask = cv2.GaussianBlur(mask, (0, 0), 0.45 / scale)
    return cv2.remap(mask, u.astype(np.float32), v.astype(np.float32), cv2.INTER_LINEAR)


def write(
    canvas: np.ndarray,
    text: str,
    box: Rectangle,
    colour: Colour,
    *,
    face: str = "bold",
    stretch: float = 1.0,
    slant: float = 0.0,
    arch: float = 0.0,
    outline: Colour | None = None,
    align: float = 0.5,
) -> None:
    """Print a line of text as large as fits into box (x0, y0, x1, y1), pixels; `align` 0 is left, 1 is right."""
    x0, y0, x1, y1 = box
    if x1 - x0 < 3 or y1 - y0 < 3:
        return
    mask = fit_text(text_mask(text, face), x1 - x0, y1 - y0, stretch=stretch, slant=slant, arch=arch)
    x = x0 + int((x1 - x0 - mask.shape[1]) * align)
    y = y0 + (y1 - y0 - mask.shape[0]) // 2
    if outline is not None:
        edge = max(mask.shape[0] // 14, 1)
        padded = cv2.copyMakeBorder(mask, edge, edge, edge, edge, cv2.BORDER_CONSTANT, value=0)
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * edge + 1, 2 * edge + 1))
        paint(canvas, cv2.dilate(padded, kernel), outline, x - edge, y - edge)
    paint(canvas, mask, colour, x, y)


def polygon(canvas: np.ndarray, points: np.ndarray, colour: tuple[int, ...]) -> None:
    """Fill a polygon given as (n, 2) float pixels, with smooth edges."""
    cv2.fillPoly(canvas, [np.round(points * 8).astype(np.int32)], colour, cv2.LINE_AA, shift=3)
