"""A drawn shelf with price labels on its rail, whose truth is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from retail_seg.photos.draw import letters

#: Pixels: of the photo, of a facing, of a label; y of the board that things stand on, and of the labels' upper edge.
WIDTH, HEIGHT, FACING, LABEL = 1200, 600, (110, 240), (130, 62)
BASE, RAIL = 380, 402


@dataclass(frozen=True)
class Tag:
    """A price label: x of its left edge, what is printed on it, and its price; whole and hundredths."""

    x: int
    text: str
    whole: str
    end: str = "90"


def shelf(facings: Sequence[int], tags: Sequence[Tag], colour: tuple[int, int, int] = (150, 40, 40)) -> np.ndarray:
    """An RGB uint8 photo: plain facings with their left edges at these x, a steel rail below them, labels on it."""
    image = Image.new("RGB", (WIDTH, HEIGHT), (58, 60, 66))
    pen = ImageDraw.Draw(image)
    pen.rectangle((0, BASE, WIDTH, BASE + 110), fill=(128, 130, 134))
    for x in facings:
        pen.rectangle((x, BASE - FACING[1], x + FACING[0], BASE), fill=colour)
    for tag in tags:
        _draw(pen, tag)
    noise = np.random.default_rng(0).normal(0, 2, (HEIGHT, WIDTH, 3))
    return np.clip(np.asarray(image, float) + noise, 0, 255).astype(np.uint8)


def _draw(pen: ImageDraw.ImageDraw, tag: Tag) -> None:
    ink, (w, h) = (25, 25, 25), LABEL
    pen.rectangle((tag.x, RAIL, tag.x + w, RAIL + h), fill=(226, 226, 220))
    pen.text((tag.x + 6, RAIL + 4), tag.text, font=letters(14), fill=ink)
    large, small = letters(34), letters(18)
    start = tag.x + w - 14 - pen.textlength(tag.whole, font=large) - pen.textlength(tag.end, font=small)
    pen.text((start, RAIL + 22), tag.whole, font=large, fill=ink)
    pen.text((start + 3 + pen.textlength(tag.whole, font=large), RAIL + 24), tag.end, font=small, fill=ink)


def box_of(x: int) -> tuple[int, int, int, int]:
    """x, y, w, h of the facing with its left edge at this x."""
    return x, BASE - FACING[1], FACING[0], FACING[1]
