"""What a price label says: its codes, its words and its price, each only where it can be read.

Most labels print the whole part of a price large and the hundredths small behind it, without a point: "37" and a raised
"60". A reader of text sees one number, 3760. So the sizes of its digits decide, and where they do not tell, the price
is not read.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np

from retail_seg.photos import codes, words
from retail_seg.photos.words import Word

#: Pixels of a label's height as it is read, at most so many times its own; what is around it, as a share of its height.
READ_HEIGHT, MAGNIFIED, AROUND = 160, 4.0, 0.1
#: How sure a number has to be read to be a price, and a word to be one.
SURE, SURE_WORD = 0.9, 0.8
#: and with its whole part read once more by itself.
AGREED = 0.7
#: Digits are small below this share of the first one's height, and all of one size from this share on.
SMALL, EVEN = 0.78, 0.9
#: Lines are so far apart at least, as a share of a label's height.
LINE = 0.15
#: A price takes at least this share of a label's height.
TALL = 0.18
#: x, y, w, h of what is printed, in pixels.
InkBox = tuple[int, int, int, int]
_PLAIN = re.compile(r"\d{1,5}[.,]\d{2}")
_DIGITS = re.compile(r"\d{3,6}", re.ASCII)
_WHOLE = re.compile(r"\d{1,5}(?:[.,]-|:-)")


@dataclass(frozen=True)
class LabelText:
    """What was read of a label: texts of its codes, its words in their order, and its price; None for an unread one."""

    codes: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    price: float | None = None


def available() -> bool:
    """Whether anything of a label can be read here."""
    return codes.available() or words.available()


def read_label(picture: np.ndarray, corners: np.ndarray) -> LabelText:
    """Read the label with these corners (4, 2), upper left one first and clockwise, of an RGB uint8 picture."""
    flat = _flat(picture, corners)
    found = words.words_of(flat)
    texts = tuple(one.text for one in codes.codes_of(flat))
    told = tuple(
        one.text
        for one in _in_order(found, len(flat))
        if one.score >= SURE_WORD and re.search(r"[^\W\d_]{2}", one.text)
    )
    return LabelText(texts, told, price_of(found, flat))


def _flat(picture: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """The label laid level and enlarged, with a little of what is around it."""
    wide, tall = (float(np.linalg.norm(corners[k] - corners[0])) for k in (1, 3))
    scale = float(np.clip(READ_HEIGHT / max(tall, 1.0), 1.0, MAGNIFIED))
    edge = AROUND * tall
    target = np.array([(edge, edge), (edge + wide, edge), (edge + wide, edge + tall), (edge, edge + tall)], np.float32)
    matrix = cv2.getPerspectiveTransform(np.asarray(corners, np.float32), target * np.float32(scale))
    size = round((wide + 2 * edge) * scale), round((tall + 2 * edge) * scale)
    return cv2.warpPerspective(picture, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)


def _in_order(found: Sequence[Word], height: int) -> list[Word]:
    """Words as they are read, by line from the top and from the left; those of one box stay in their order."""
    return sorted(found, key=lambda one: (round((one.box[1] + one.box[3] / 2) / (LINE * height)), one.box[0]))


def price_of(found: Sequence[Word], flat: np.ndarray) -> float | None:
    """The price among the words of a label's picture, RGB uint8: its tallest number. None where that is not certain."""
    numbers = [one for one in found if re.search(r"\d", one.text) and one.box[3] >= TALL * len(flat)]
    if not numbers:
        return None
    tallest = max(numbers, key=lambda one: one.box[3])
    if tallest.score >= SURE and _PLAIN.fullmatch(tallest.text):
        return float(tallest.text.replace(",", "."))
    if tallest.score >= SURE and _WHOLE.fullmatch(tallest.text):
        return float(re.sub(r"\D", "", tallest.text))
    parts = _parts(_figures(flat, _around(tallest, flat)))
    if parts is None:
        return None
    if tallest.score >= SURE and _DIGITS.fullmatch(tallest.text) and len(tallest.text) == len(parts[0]) + 2:
        return int(tallest.text) / 100
    whole, end = _number(flat, parts[0]), _number(flat, parts[1])
    if not end and tallest.score >= AGREED and re.fullmatch(whole + r"\d\d", tallest.text, re.ASCII):
        end = tallest.text[-2:]
    told = len(whole) == len(parts[0]) and len(end) == 2
    return float(f"{whole}.{end}") if told else None


def _around(word: Word, flat: np.ndarray) -> InkBox:
    """Where a number and a small one behind it are: x, y, w, h."""
    x, y, w, h = word.box
    left, top = max(x - h // 6, 0), max(y - h // 4, 0)
    return left, top, min(x + w + h, flat.shape[1]) - left, min(y + h + h // 6, flat.shape[0]) - top


def _figures(flat: np.ndarray, area: InkBox) -> list[InkBox]:
    """Boxes in the picture of what is dark in an area of it, is not cut by the area's sides and may be a figure."""
    x0, y0, w0, h0 = area
    grey = cv2.cvtColor(flat, cv2.COLOR_RGB2GRAY)
    reach = max(len(flat) // 3, 3)  # wider than a stroke, so that the frame and shadows are left out
    print_ = cv2.morphologyEx(grey, cv2.MORPH_BLACKHAT, np.ones((reach // 2, reach // 2), np.uint8))
    part = print_[y0 : y0 + h0, x0 : x0 + w0]
    if min(part.shape) < 8:
        return []
    _, dark = cv2.threshold(part, 0, 1, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    _, _, stats, _ = cv2.connectedComponentsWithStats(dark, connectivity=4)
    inside = [
        (x + x0, y + y0, w, h)
        for x, y, w, h, _ in stats[1:].tolist()
        if x > 0 and y > 0 and x + w < w0 and y + h < h0 and 0.08 * len(flat) <= h <= 0.6 * len(flat) and w <= 2.4 * h
    ]
    return sorted(inside)


def _parts(figures: Sequence[InkBox]) -> tuple[list[InkBox], list[InkBox]] | None:
    """The tall figures of a price and the two small ones behind them; None where it is not built like that."""
    if len(figures) < 2:
        return None
    most = max(h for *_, h in figures)
    tall = [one for one in figures if one[3] >= EVEN * most]
    high = min(y for _, y, *_ in tall) + 0.1 * most
    figures = [one for one in figures if one[1] + one[3] > high]  # what stands above is the product's name
    low = max(y + h for _, y, _, h in tall)
    behind = [one for one in figures if one[0] > tall[-1][0] and one[1] + one[3] <= low and one[3] < EVEN * most]
    between = [one for one in figures if tall[0][0] < one[0] < tall[-1][0] and one not in tall]
    if not 1 <= len(behind) <= 2 or between or max(one[3] for one in behind) > SMALL * most:
        return None
    close = all(two[0] - one[0] - one[2] < 0.5 * most for one, two in pairwise([*tall, *behind]))
    return (tall, behind) if close and _level(tall) and _level(behind) else None


def _level(figures: Sequence[InkBox]) -> bool:
    """Whether figures stand in a line and are of one height."""
    most = max(h for *_, h in figures)
    steps = [abs(one[1] - two[1]) for one, two in pairwise(figures)]
    return min(h for *_, h in figures) >= EVEN * most and max(steps, default=0) <= 0.3 * most


def _number(flat: np.ndarray, figures: Sequence[InkBox]) -> str:
    """The digits that figures are, read by themselves; empty where that is not certain."""
    x0, y0 = min(x for x, *_ in figures), min(y for _, y, *_ in figures)
    x1, y1 = max(x + w for x, _, w, _ in figures), max(y + h for _, y, _, h in figures)
    edge = y1 - y0
    part = flat[max(y0 - 2, 0) : y1 + 2, max(x0 - 2, 0) : x1 + 2]
    ground = np.percentile(part.reshape(-1, 3), 75, axis=0).tolist()
    framed = cv2.copyMakeBorder(part, edge, edge, edge, edge, cv2.BORDER_CONSTANT, value=ground)
    read = words.words_of(framed, lines=1)
    sure = len(read) == 1 and read[0].score >= SURE and re.fullmatch(r"\d+", read[0].text, re.ASCII)
    return read[0].text if sure else ""
