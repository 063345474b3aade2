"""A check drawn on its photos: each place framed in the colour of its status, faults with a word."""

from __future__ import annotations

import cv2
import numpy as np

from retail_seg.photos.draw import letters
from retail_seg.shelf.results import FAULTS, CheckResult, PositionStatus

#: Colours that stay apart for colour-blind eyes (Wong, Nature Methods 2011); what is well is thin and green.
COLOURS = {
    "ok": (0, 158, 115), "low": (230, 159, 0), "empty": (213, 94, 0), "misplaced": (204, 121, 167),
    "wrong": (0, 114, 178), "unknown": (110, 110, 110), "unseen": (110, 110, 110),
}  # fmt: skip
#: Frames of price labels by their status.
LABELS = {"ok": (86, 180, 233), "no product": COLOURS["empty"], "price differs": COLOURS["low"],
          "unread": COLOURS["unknown"]}  # fmt: skip


def draw_check(picture: np.ndarray, result: CheckResult, photo: int) -> np.ndarray:
    """A copy of photo number `photo` (from 0), (H, W, 3) uint8 of any size, with its places and price labels framed."""
    size = result.photos[photo]
    scale = np.array([picture.shape[1] / size.width, picture.shape[0] / size.height] * 2)
    thick = max(round(max(picture.shape[:2]) / 400), 2)
    canvas = picture.copy()
    shown = [(one, area.box) for one in result.positions for area in one.areas if area.photo == photo]
    for one, box in sorted(shown, key=lambda pair: pair[0].status in FAULTS):
        x, y, w, h = np.round(np.array(box) * scale).astype(int).tolist()
        fault = one.status in FAULTS
        if one.status in ("empty", "misplaced", "wrong", "unknown"):
            _tint(canvas, (x, y, w, h), COLOURS[one.status])
        cv2.rectangle(canvas, (x, y), (x + w, y + h), COLOURS[one.status], 2 * thick if fault else thick)
    for label in result.labels or ():
        if label.area.photo == photo:
            x, y, w, h = np.round(np.array(label.area.box) * scale).astype(int).tolist()
            cv2.rectangle(canvas, (x, y), (x + w, y + h), LABELS[label.status], thick)
    return _words(canvas, [(one, np.array(box) * scale) for one, box in shown if one.status in FAULTS])


def _tint(canvas: np.ndarray, box: tuple[int, int, int, int], colour: tuple[int, int, int]) -> None:
    x, y, w, h = box
    part = canvas[max(y, 0) : y + h, max(x, 0) : x + w]
    part[:] = (0.7 * part + 0.3 * np.array(colour)).astype(np.uint8)


def _words(canvas: np.ndarray, shown: list[tuple[PositionStatus, np.ndarray]]) -> np.ndarray:
    """Each fault's status, with the product that is missing, in a box that fits the place."""
    from PIL import Image, ImageDraw

    image = Image.fromarray(canvas)
    pen = ImageDraw.Draw(image)
    usual = max(canvas.shape[:2]) / 62
    for one, (x, y, w, h) in shown:
        text = f"{one.status}\n{(one.name or one.sku)[:18]}"
        font = letters(max(min(usual, 1.6 * w / 8), 9))
        left, top, right, bottom = pen.multiline_textbbox((0, 0), text, font=font)
        at = x + (w - right + left) / 2, y + h / 2 - (bottom - top) / 2
        pen.rectangle(
            (at[0] - 3, at[1] - 3, at[0] + right - left + 3, at[1] + bottom - top + 6), fill=COLOURS[one.status]
        )
        pen.multiline_text((at[0] - left, at[1] - top), text, font=font, fill=(255, 255, 255), align="center")
    return np.asarray(image)
