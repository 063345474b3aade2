"""Printed labels as RGB pictures: the front with brand, name, flavour and motif, the back with barcode and small print.

A label depends on its design only. All choices are drawn from the design's seed, in an order that neither flavour nor
resolution changes: look-alikes share their layout, and a label is the same picture at every size.
"""

from __future__ import annotations

import cv2
import numpy as np

from retail_seg.rendering.designs import ProductDesign
from retail_seg.rendering.drawing import BLACK, FACES, WHITE, Colour, Rectangle, mix, paint, readable_on, stamp, write
from retail_seg.rendering.grounds import GROUNDS
from retail_seg.rendering.motifs import heap, motif
from retail_seg.rendering.words import BADGES, FLAVOURS, LINES, SLOGANS

Slot = tuple[int, int, int, int]

# Where things stand, in percent of the front's width and height: brand, name, flavour, motif, small print.
_TALL: tuple[tuple[Slot, Slot, Slot, Slot, Slot], ...] = (
    ((8, 6, 92, 22), (12, 25, 88, 36), (0, 40, 100, 49), (12, 52, 88, 92), (8, 94, 92, 98)),
    ((6, 36, 94, 54), (12, 57, 88, 67), (12, 70, 88, 79), (15, 4, 85, 34), (10, 90, 90, 95)),
    ((8, 5, 92, 19), (10, 76, 90, 86), (6, 87, 94, 96), (4, 21, 96, 74), (50, 70, 95, 74)),
    ((6, 8, 94, 30), (6, 32, 62, 41), (6, 43, 62, 51), (30, 46, 108, 98), (6, 88, 40, 94)),
    ((14, 30, 86, 42), (14, 46, 86, 58), (20, 61, 80, 68), (-10, 72, 110, 106), (20, 20, 80, 25)),
    ((5, 3, 95, 15), (5, 16, 95, 38), (0, 86, 100, 100), (10, 40, 90, 84), (60, 79, 95, 84)),
    ((20, 12, 80, 24), (6, 62, 94, 78), (10, 80, 90, 88), (20, 28, 80, 58), (30, 92, 70, 96)),
)  # fmt: skip
_WIDE: tuple[tuple[Slot, Slot, Slot, Slot, Slot], ...] = (
    ((5, 12, 55, 52), (5, 56, 55, 74), (5, 77, 55, 93), (58, 8, 98, 92), (60, 90, 95, 97)),
    ((25, 10, 75, 48), (25, 52, 75, 70), (0, 76, 100, 94), (76, 10, 99, 70), (3, 55, 22, 64)),
    ((40, 10, 96, 50), (40, 54, 96, 76), (55, 79, 96, 92), (2, 5, 38, 95), (40, 86, 54, 93)),
    ((8, 30, 60, 72), (8, 10, 60, 27), (62, 70, 98, 90), (64, 8, 96, 66), (8, 80, 50, 90)),
)  # fmt: skip


def front(design: ProductDesign, width: int, height: int) -> np.ndarray:
    """The front of the label as RGB uint8 (height, width, 3)."""
    rng = np.random.default_rng([design.seed, 1])
    canvas = ground(design, width, height)
    slots = _WIDE if width > 1.25 * height else _TALL
    brand, name, flavour, picture, small = slots[rng.integers(len(slots))]
    motif_first = rng.random() < 0.75
    if motif_first:
        _picture(canvas, design, picture)
    _flavour(canvas, design, flavour)
    _brand(canvas, design, brand)
    _name(canvas, design, name)
    if not motif_first:
        _picture(canvas, design, picture)
    _small_print(canvas, design, small)
    _badge(canvas, design)
    return canvas


def ground(design: ProductDesign, width: int, height: int) -> np.ndarray:
    """The label's ground alone, RGB uint8 (height, width, 3): for tops, sides and what the front leaves free."""
    rng = np.random.default_rng([design.seed, 2])
    canvas = np.empty((height, width, 3), np.uint8)
    canvas[:] = design.palette[0]
    names = list(GROUNDS)
    GROUNDS[names[rng.integers(len(names))]](canvas, design, rng)
    return canvas


def back(design: ProductDesign, width: int, height: int) -> np.ndarray:
    """The back or side of the label, RGB uint8 (height, width, 3): ground, table, small print and barcode."""
    rng = np.random.default_rng([design.seed, 3])
    canvas = ground(design, width, height)
    if rng.random() < 0.5:
        canvas[:] = canvas.reshape(-1, 3).mean(0).astype(np.uint8)
    ink = readable_on(_mean(canvas), BLACK, WHITE)
    write(canvas, design.brand, _box(canvas, (10, 4, 90, 14)), ink)
    _table(canvas, _box(canvas, (12, 18, 88, 48)), ink, rng)
    _lines(canvas, _box(canvas, (12, 52, 88, 74)), ink, rng)
    barcode(canvas, _box(canvas, (20, 79, 80, 95)), rng)
    return canvas


def barcode(canvas: np.ndarray, box: Rectangle, rng: np.random.Generator) -> None:
    """A barcode-like field of bars on white inside box (x0, y0, x1, y1), pixels."""
    x0, y0, x1, y1 = box
    if x1 - x0 < 8 or y1 - y0 < 4:
        return
    bars = np.repeat(rng.integers(0, 2, 59, dtype=np.uint8), 1)
    stripe = cv2.resize(bars[None, :] * 225 + 20, (max(x1 - x0 - 4, 4), 1), interpolation=cv2.INTER_AREA)
    canvas[y0:y1, x0:x1] = WHITE
    canvas[y0 + 1 : y1 - max((y1 - y0) // 5, 1), x0 + 2 : x0 + 2 + stripe.shape[1]] = stripe[0][None, :, None]


def _box(canvas: np.ndarray, slot: Slot) -> Rectangle:
    height, width = canvas.shape[:2]
    return slot[0] * width // 100, slot[1] * height // 100, slot[2] * width // 100, slot[3] * height // 100


def _mean(part: np.ndarray) -> Colour:
    if not part.size:
        return WHITE
    r, g, b = part.reshape(-1, 3).mean(0)
    return int(r), int(g), int(b)


def _under(canvas: np.ndarray, box: Rectangle) -> Colour:
    x0, y0, x1, y1 = box
    return _mean(canvas[max(y0, 0) : max(y1, 1), max(x0, 0) : max(x1, 1)])


def _lettering(design: ProductDesign, part: int) -> tuple[np.random.Generator, str, float, float]:
    """The part's own generator, and its face, stretch and slant."""
    rng = np.random.default_rng([design.seed, part])
    face = FACES[rng.integers(len(FACES))]
    slant = float(rng.choice([0.0, 0.0, 0.0, 0.18, 0.28]))
    return rng, face, float(rng.uniform(0.7, 1.25)), slant


def _cased(text: str, rng: np.random.Generator) -> str:
    return (text.upper(), text, text.lower())[rng.choice(3, p=[0.5, 0.42, 0.08])]


def _brand(canvas: np.ndarray, design: ProductDesign, slot: Slot) -> None:
    """The brand on its badge (plate, oval, ribbon, round, or straight on the ground)."""
    rng, face, stretch, slant = _lettering(design, 11)
    face = "bold" if face == "plain" else face
    text = _cased(design.brand, rng)
    box = _box(canvas, slot)
    x0, y0, x1, y1 = box
    plate = rng.choice(["none", "plate", "oval", "ribbon", "edge", "none"])
    colour = design.palette[int(rng.choice([1, 2, 2]))]
    arch = float(rng.choice([0.0, 0.0, 0.25, -0.25, 0.4]))
    if plate == "none":
        ink = readable_on(_under(canvas, box), design.palette[3], design.palette[2])
        outline = readable_on(ink, design.palette[1]) if rng.random() < 0.5 else None
        write(canvas, text, box, ink, face=face, stretch=stretch, slant=slant, arch=arch, outline=outline)
        return
    _plate(canvas, box, str(plate), colour, design.palette[2] if rng.random() < 0.5 else WHITE)
    ink = readable_on(colour, WHITE, design.palette[0])
    inset_x, inset_y = int((x1 - x0) * (0.14 if plate == "oval" else 0.08)), int((y1 - y0) * 0.18)
    inner = (x0 + inset_x, y0 + inset_y, x1 - inset_x, y1 - inset_y)
    write(canvas, text, inner, ink, face=face, stretch=stretch, slant=slant)


def _plate(canvas: np.ndarray, box: Rectangle, plate: str, colour: Colour, rim: Colour) -> None:
    x0, y0, x1, y1 = box
    edge = max((y1 - y0) // 12, 1)
    if plate == "oval":
        centre, axes = ((x0 + x1) // 2, (y0 + y1) // 2), (max((x1 - x0) // 2, 2), max((y1 - y0) // 2, 2))
        cv2.ellipse(canvas, centre, axes, 0, 0, 360, colour, -1, cv2.LINE_AA)
        cv2.ellipse(canvas, centre, axes, 0, 0, 360, rim, edge, cv2.LINE_AA)
    elif plate == "ribbon":
        ends = np.array([(0, y0), (canvas.shape[1], y0 - edge * 2), (canvas.shape[1], y1 - edge), (0, y1)], np.int32)
        cv2.fillPoly(canvas, [ends], colour, cv2.LINE_AA)
        cv2.polylines(canvas, [ends], True, rim, edge, cv2.LINE_AA)
    else:
        cv2.rectangle(canvas, (x0, y0), (x1, y1), colour, -1)
        if plate == "edge":
            cv2.rectangle(canvas, (x0 + edge, y0 + edge), (x1 - edge, y1 - edge), rim, edge)


def _name(canvas: np.ndarray, design: ProductDesign, slot: Slot) -> None:
    rng, face, stretch, slant = _lettering(design, 12)
    box = _box(canvas, slot)
    ink = readable_on(_under(canvas, box), design.palette[3], design.palette[1])
    outline = None
    if canvas[box[1] : box[3], max(box[0], 0) : box[2]].std() > 55:
        outline = readable_on(ink, design.palette[0])
    text = _cased(design.name, rng)
    align = float(rng.choice([0.5, 0.1]))
    write(canvas, text, box, ink, face=face, stretch=stretch, slant=slant, outline=outline, align=align)


def _flavour(canvas: np.ndarray, design: ProductDesign, slot: Slot) -> None:
    """The flavour's word on its coloured band, tag, bar or straight on the ground."""
    rng, face, stretch, slant = _lettering(design, 13)
    box = x0, y0, x1, y1 = _box(canvas, slot)
    colour = design.palette[4]
    style = rng.choice(["band", "tag", "text", "frame"])
    text = _cased(design.flavour, rng)
    if style == "band":
        cv2.rectangle(canvas, (x0, y0), (x1, y1), colour, -1)
    elif style == "tag":
        radius = max((y1 - y0) // 2, 1)
        cv2.rectangle(canvas, (x0 + radius, y0), (x1 - radius, y1), colour, -1)
        for x in (x0 + radius, x1 - radius):
            cv2.circle(canvas, (x, (y0 + y1) // 2), radius, colour, -1, cv2.LINE_AA)
    elif style == "frame":
        cv2.rectangle(canvas, (x0, y0), (x1, y1), WHITE, -1)
        cv2.rectangle(canvas, (x0, y0), (x1, y1), colour, max((y1 - y0) // 9, 1))
    under = _under(canvas, box)
    ink = colour if style in ("text", "frame") and _apart(colour, under) else readable_on(under, BLACK, WHITE)
    inset = (y1 - y0) // 5
    inner = (x0 + inset + (x1 - x0) // 14, y0 + inset, x1 - inset - (x1 - x0) // 14, y1 - inset)
    write(canvas, text, inner, ink, face=face, stretch=stretch, slant=slant)


def _apart(first: Colour, second: Colour) -> bool:
    return sum(abs(a - b) for a, b in zip(first, second, strict=True)) > 190


def _picture(canvas: np.ndarray, design: ProductDesign, slot: Slot) -> None:
    """The flavour's motif: one large, a handful, or a heap; sometimes in a round window or on a plate of light."""
    rng = np.random.default_rng([design.seed, 14])
    x0, y0, x1, y1 = _box(canvas, slot)
    count = int(rng.choice([1, 1, 3, 5, 9, 16, 30]))
    frame = rng.choice(["none", "none", "none", "round", "glow", "field"])
    window = design.palette[int(rng.choice([1, 2]))] if rng.random() < 0.5 else WHITE
    centre, radius = ((x0 + x1) // 2, (y0 + y1) // 2), max(min(x1 - x0, y1 - y0) // 2, 2)
    if frame == "round":
        cv2.circle(canvas, centre, radius, window, -1, cv2.LINE_AA)
    elif frame == "glow":
        rows, columns = np.mgrid[0 : canvas.shape[0], 0 : canvas.shape[1]].astype(np.float32)
        far = ((columns - centre[0]) ** 2 + (rows - centre[1]) ** 2) / radius**2
        paint(canvas, (200 * np.exp(-1.5 * far)).astype(np.uint8), WHITE, 0, 0)
    elif frame == "field":
        cv2.rectangle(canvas, (x0, y0), (x1, y1), window, -1)
    name = FLAVOURS[design.flavour][1]
    colour = design.palette[4]
    sprite, corners = heap(name, colour, y1 - y0, x1 - x0, count, np.random.default_rng([design.seed, 15]))
    turns = rng.uniform(-40, 40, len(corners)) if count > 1 else rng.uniform(-12, 12, 1)
    centre_of = (sprite.shape[1] / 2, sprite.shape[0] / 2)
    for (x, y), turn in zip(corners, turns, strict=True):
        turned = cv2.warpAffine(sprite, cv2.getRotationMatrix2D(centre_of, float(turn), 1.0), sprite.shape[1::-1])
        stamp(canvas, turned, x0 + x, y0 + y)


def _small_print(canvas: np.ndarray, design: ProductDesign, slot: Slot) -> None:
    rng = np.random.default_rng([design.seed, 16])
    box = _box(canvas, slot)
    ink = readable_on(_under(canvas, box), BLACK, WHITE)
    write(canvas, f"{rng.choice(SLOGANS)}  {design.weight}", box, ink, face="plain", align=rng.random())


def _badge(canvas: np.ndarray, design: ProductDesign) -> None:
    """Half of all packs shout something from a corner."""
    rng = np.random.default_rng([design.seed, 17])
    text, shout = str(rng.choice(BADGES)), rng.random() < 0.45
    side = int(min(canvas.shape[:2]) * rng.uniform(0.2, 0.3))
    x = int((canvas.shape[1] - side) * rng.choice([0.04, 0.96]))
    y = int((canvas.shape[0] - side) * rng.uniform(0.05, 0.9))
    colour = mix(design.palette[2], (240, 40, 30), 0.5 if rng.random() < 0.4 else 0.0)
    if not shout:
        return
    stamp(canvas, motif("star", colour, side, rng), x, y)
    inner = (x + side // 5, y + side // 3, x + side - side // 5, y + side - side // 3)
    write(canvas, text, inner, readable_on(mix(colour, WHITE, 0.3), WHITE, BLACK))


def _table(canvas: np.ndarray, box: Rectangle, ink: Colour, rng: np.random.Generator) -> None:
    x0, y0, x1, y1 = box
    rows = int(rng.integers(5, 9))
    cv2.rectangle(canvas, (x0, y0), (x1, y1), ink, 1)
    for y in np.linspace(y0, y1, rows + 1)[1:-1].astype(int):
        cv2.line(canvas, (x0, y), (x1, y), ink, 1)
    step = max((y1 - y0) // rows, 2)
    for y in range(y0 + step // 2, y1, step):
        reach = x0 + int((x1 - x0) * rng.uniform(0.2, 0.5))
        cv2.line(canvas, (x0 + 3, y), (reach, y), ink, max(step // 4, 1), cv2.LINE_AA)
        cv2.line(canvas, (x1 - int((x1 - x0) * 0.2), y), (x1 - 3, y), ink, max(step // 4, 1), cv2.LINE_AA)


def _lines(canvas: np.ndarray, box: Rectangle, ink: Colour, rng: np.random.Generator) -> None:
    x0, y0, x1, y1 = box
    step = max((y1 - y0) // 9, 3)
    tone = mix(_under(canvas, box), ink, 0.6)
    for y in range(y0, y1, step):
        x = x0
        while x < x1:
            word = int((x1 - x0) * rng.uniform(0.05, 0.18))
            cv2.line(canvas, (x, y), (min(x + word, x1), y), tone, max(step // 3, 1), cv2.LINE_AA)
            x += word + max((x1 - x0) // 24, 2)


def content_colour(design: ProductDesign) -> Colour:
    """The colour of what shows through glass or plastic: the line's own, tinted by the flavour."""
    own = LINES[design.line].content
    if own is None:
        return design.palette[0]
    return mix(own, design.palette[4], 0.12 if design.line in ("water", "milk", "soda", "beer") else 0.4)
