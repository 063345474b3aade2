"""Round packs (cans, bottles, jars, cups, tubes): a profile turned about its axis, wrapped in a label and shaded.

The screen's rows are solved for the height on the axis by fixed-point iteration, so that the label bends with the
camera's pitch; the skin of the pack (colour, metal, glass, gloss) is a table over the height.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from retail_seg.rendering import labels
from retail_seg.rendering.designs import ProductDesign
from retail_seg.rendering.drawing import WHITE, Colour, mix
from retail_seg.rendering.views import View, highlight, shade

_ROWS = 256


@dataclass(frozen=True)
class Shape:
    """A pack's shape over its height (0 top to 1 bottom): radii as shares of the widest, and where its skin changes.

    `label` is the stretch that the label covers; `bands` are (start, end, colour, metal, glass, gloss), each painted
    over the ones before; `lid` is the colour of the visible top (None: open glass or a cap's own colour), `flat` how
    far the body is flattened from round (0) to an oval seen broadside (1).
    """

    profile: tuple[tuple[float, float], ...]
    label: tuple[float, float]
    bands: tuple[tuple[float, float, Colour, float, float, float], ...]
    lid: Colour
    lid_metal: float = 0.0
    flat: float = 0.0
    front_share: float = 0.38
    see_through: float = 0.0


STEEL: Colour = (190, 192, 196)
GOLD: Colour = (206, 178, 112)


def shape_of(design: ProductDesign) -> Shape:
    """The shape of a round pack, chosen by its seed."""
    rng = np.random.default_rng([design.seed, 4])
    return _SHAPES[design.kind](design, rng)


def _drink_can(design: ProductDesign, rng: np.random.Generator) -> Shape:
    neck = rng.uniform(0.76, 0.84)
    profile = ((0, neck - 0.02), (0.012, neck), (0.03, neck - 0.03), (0.09, 0.985), (0.12, 1), (0.94, 1), (0.985, 0.84),
               (1, 0.80))  # fmt: skip
    bands = ((0.0, 1.0, STEEL, 1.0, 0.0, 0.9), (0.035, 0.965, WHITE, 0.25, 0.0, 0.8))
    return Shape(profile, (0.035, 0.965), bands, STEEL, 1.0, front_share=0.38)


def _food_can(design: ProductDesign, rng: np.random.Generator) -> Shape:
    rim = rng.uniform(0.018, 0.03)
    profile = ((0, 1), (rim, 1), (rim + 0.008, 0.965), (1 - rim - 0.008, 0.965), (1 - rim, 1), (1, 1))
    metal = GOLD if rng.random() < 0.2 else STEEL
    paper = rng.uniform(0.05, 0.5)
    top = rim + rng.uniform(0.008, 0.04)
    bands = ((0.0, 1.0, metal, 1.0, 0.0, 0.8), (top, 1 - rim - 0.008, WHITE, 0.0, 0.0, paper))
    return Shape(profile, (top, 1 - rim - 0.008), bands, metal, 1.0)


def _flat_can(design: ProductDesign, rng: np.random.Generator) -> Shape:
    profile = ((0, 1), (0.07, 1), (0.09, 0.96), (0.88, 0.96), (0.95, 0.92), (1, 0.9))
    bands = ((0.0, 1.0, GOLD if rng.random() < 0.4 else STEEL, 1.0, 0.0, 0.9), (0.09, 0.9, WHITE, 0.2, 0.0, 0.7))
    lid = design.palette[0] if rng.random() < 0.4 else STEEL
    return Shape(profile, (0.09, 0.9), bands, lid, 0.6, front_share=0.36)


def _bottle(design: ProductDesign, rng: np.random.Generator) -> Shape:
    """Glass or PET: cap, neck, a long or a round shoulder, a straight or waisted body, a band of paper."""
    neck = rng.uniform(0.26, 0.42)
    cap = rng.uniform(0.05, 0.09)
    shoulder, body = rng.uniform(0.16, 0.26), rng.uniform(0.3, 0.46)
    waist = rng.choice([1.0, 1.0, 0.9, 0.84])
    profile = [(0, neck * 0.98), (cap, neck), (cap + 0.004, neck * 0.9), (shoulder, neck * rng.uniform(0.9, 1.15))]
    for t in (0.25, 0.5, 0.75):
        swell = t ** rng.uniform(0.6, 1.6)
        profile.append((shoulder + (body - shoulder) * t, neck + (1 - neck) * swell))
    profile += [(body, 1), ((body + 0.95) / 2, waist), (0.95, 1), (0.985, 0.94), (1, 0.86)]
    opaque = design.line in ("milk", "cleaning") and rng.random() < 0.7
    liquid = labels.content_colour(design)
    if opaque:
        liquid = WHITE if rng.random() < 0.5 else design.palette[0]
    elif design.line in ("beer", "oil") and rng.random() < 0.7:
        liquid = (50, 74, 24) if rng.random() < 0.5 else (82, 44, 14)
    fill = cap + rng.uniform(0.03, 0.1)
    glass = 0.0 if opaque else 1.0
    cap_colour = (design.palette[2], design.palette[4], WHITE, (30, 30, 34), GOLD)[rng.integers(5)]
    top = max(body + rng.uniform(-0.04, 0.06), 0.36)
    end = rng.uniform(max(top + 0.22, 0.68), 0.93)
    bands = [(0.0, 1.0, liquid, 0.0, glass, 1.0 if not opaque else 0.4), (0.0, cap, cap_colour, 0.0, 0.0, 0.4),
             (top, end, WHITE, 0.0, 0.0, 0.15)]  # fmt: skip
    if not opaque:
        bands.insert(1, (cap, fill, mix(liquid, WHITE, 0.7), 0.0, 1.0, 1.0))
    clear = 0.35 if design.line == "water" else 0.12 if not opaque else 0.0
    return Shape(tuple(profile), (top, end), tuple(bands), cap_colour, see_through=clear)


def _squeeze_bottle(design: ProductDesign, rng: np.random.Generator) -> Shape:
    cap, cap_width, shoulder = rng.uniform(0.1, 0.2), rng.uniform(0.3, 0.75), rng.uniform(0.02, 0.12)
    waist = rng.uniform(0.82, 1.0)
    upside_down = rng.random() < 0.25
    profile = [(0, cap_width * rng.uniform(0.75, 1.0)), (cap, cap_width), (cap + 0.005, cap_width * 0.92),
               (cap + shoulder * 0.5, cap_width + (1 - cap_width) * 0.75), (cap + shoulder, 0.97),
               (cap + shoulder + 0.06, 1), ((cap + 1) / 2 + 0.1, waist), (0.93, 0.98), (0.985, 0.94),
               (1, 0.86)]  # fmt: skip
    own = (WHITE, design.palette[0], design.palette[1], labels.content_colour(design))[rng.integers(4)]
    cap_colour = (design.palette[2], design.palette[4], WHITE, design.palette[1])[rng.integers(4)]
    top, end = cap + shoulder + rng.uniform(0.03, 0.1), rng.uniform(0.88, 0.95)
    if upside_down:
        profile = [(1 - t, r) for t, r in reversed(profile)]
        bands = ((0.0, 1.0, own, 0.0, 0.15, 0.7), (1 - cap, 1.0, cap_colour, 0.0, 0.0, 0.4))
        return Shape(tuple(profile), (1 - end, 1 - top), bands, own, flat=0.5, front_share=0.36)
    bands = ((0.0, 1.0, own, 0.0, 0.15, 0.7), (0.0, cap, cap_colour, 0.0, 0.0, 0.4))
    return Shape(tuple(profile), (top, end), bands, cap_colour, flat=0.5, front_share=0.36)


def _jar(design: ProductDesign, rng: np.random.Generator) -> Shape:
    lid, width = rng.uniform(0.11, 0.2), rng.uniform(0.84, 0.97)
    profile = ((0, width * 0.98), (0.02, width), (lid, width), (lid + 0.01, width * 0.93),
               (lid + rng.uniform(0.05, 0.12), 1), (0.94, 1), (0.985, 0.95), (1, 0.88))  # fmt: skip
    colour = (design.palette[1], design.palette[4], STEEL, GOLD, WHITE, design.palette[0])[rng.integers(6)]
    metal = 0.8 if colour in (STEEL, GOLD) else 0.15
    top, end = lid + rng.uniform(0.1, 0.2), rng.uniform(0.82, 0.95)
    bands = ((0.0, 1.0, labels.content_colour(design), 0.0, 0.8, 1.0), (0.0, lid, colour, metal, 0.0, 0.5),
             (top, end, WHITE, 0.0, 0.0, 0.12))  # fmt: skip
    return Shape(profile, (top, end), bands, colour, metal, front_share=0.36)


def _cup(design: ProductDesign, rng: np.random.Generator) -> Shape:
    foot = rng.uniform(0.66, 0.86)
    profile = ((0, 1), (0.03, 1), (0.035, 0.94), (0.5, 0.94 - (0.94 - foot) * 0.5), (0.97, foot), (1, foot * 0.96))
    body = WHITE if rng.random() < 0.7 else design.palette[0]
    bands = ((0.0, 1.0, body, 0.0, 0.05, 0.35),)
    foil = design.palette[4] if rng.random() < 0.5 else STEEL
    return Shape(profile, (0.06, rng.uniform(0.9, 0.97)), bands, foil, 0.7, front_share=0.36)


def _tube(design: ProductDesign, rng: np.random.Generator) -> Shape:
    cap, cap_width = rng.uniform(0.1, 0.18), rng.uniform(0.5, 0.85)
    profile = ((0, 1), (0.06, 1), (0.07, 0.99), (0.5, 0.97), (0.95 - cap, 0.86), (1 - cap, cap_width),
               (1, cap_width * 0.95))  # fmt: skip
    own = (WHITE, design.palette[0], STEEL)[rng.integers(3)]
    bands = ((0.0, 1.0, own, 0.5 if own == STEEL else 0.0, 0.0, 0.6), (1 - cap, 1.0, design.palette[2], 0.0, 0.0, 0.4))
    return Shape(profile, (0.07, 0.95 - cap), bands, own, flat=0.75, front_share=0.33)


_SHAPES = {
    "drink can": _drink_can, "food can": _food_can, "flat can": _flat_can, "bottle": _bottle, "jar": _jar, "cup": _cup,
    "squeeze bottle": _squeeze_bottle, "tube": _tube,
}  # fmt: skip
KINDS = tuple(_SHAPES)


@dataclass(frozen=True, eq=False)
class _Skin:
    """The shape as tables over the height, and the label that is wrapped round it."""

    radius: np.ndarray
    slope: np.ndarray
    paint: np.ndarray
    label: np.ndarray


@lru_cache(maxsize=256)
def _skin(design: ProductDesign, rows: int) -> tuple[Shape, _Skin]:
    shape = shape_of(design)
    t = np.linspace(0, 1, _ROWS, dtype=np.float32)
    at, radii = np.array(shape.profile).T
    radius = cv2.GaussianBlur(np.interp(t, at, radii).astype(np.float32)[:, None], (0, 0), 0.9)[:, 0]
    slope = np.gradient(radius, t) * (design.size[0] / 2) / design.size[1]
    table = np.zeros((_ROWS, 6), np.float32)
    for start, end, colour, metal, glass, gloss in shape.bands:
        table[(t >= start) & (t <= end)] = (*colour, metal, glass, gloss)
    height = max(int(rows * (shape.label[1] - shape.label[0])), 16)
    around = np.pi * (1 - 0.25 * shape.flat) * design.size[0] / design.size[1] * rows
    face = max(int(around * shape.front_share), 16)
    rear = max(int(around - face), 16)
    behind = labels.back(design, rear, height)
    wrap = np.hstack([behind[:, rear // 2 :], labels.front(design, face, height), behind[:, : rear // 2]])
    return shape, _Skin(radius, slope.astype(np.float32), table, wrap)


def render_solid(design: ProductDesign, height: int, rows: int, view: View) -> tuple[np.ndarray, np.ndarray]:
    """Colour float32 (H, W, 3) 0–255 and cover float32 (H, W) 0–1 of a round pack, `height` pixels tall.

    `rows` is the resolution of the label's texture in pixels for the pack's whole height.
    """
    shape, skin = _skin(design, rows)
    half, tall = design.size[0] / 2, design.size[1]
    sin, cos = _pitch(shape, view)
    top, foot = float(skin.radius[0]) * half, float(skin.radius[-1]) * half
    scale = (height - 3) / (tall * cos + (top + foot) * sin)  # pixels per millimetre
    width = int(2 * half * scale) + 4
    x = ((np.arange(width, dtype=np.float32) - (width - 1) / 2)[None, :] / scale).repeat(height, 0)
    y = ((np.arange(height, dtype=np.float32) - 1)[:, None] / scale - top * sin).repeat(width, 1)
    up, radius = _solve(x, y, skin, half, tall, sin, cos)
    from_ends = (0.5 - np.abs(up - 0.5)) * (tall * scale) + 0.5
    from_sides = (_outline(y[:, :1], skin, half, tall * cos) - np.abs(x)) * scale + 0.5
    cover = np.clip(np.minimum(from_sides, from_ends), 0, 1)
    np.clip(up, 0, 1, out=up)
    side = np.clip(x / np.maximum(radius, 1e-3), -1, 1)
    colour = _surface(side, up, shape, skin, view)
    solid = cover
    if shape.see_through:
        solid = cover * (1 - shape.see_through * _clear(side, up, shape, skin))
    if top * sin * scale > 1:
        reach = int(2 * top * sin * scale) + 3
        far = np.sqrt((x[:reach] / top) ** 2 + (y[:reach] / (top * sin)) ** 2)
        lid = np.clip((1 - far) * (top * sin * scale) + 0.5, 0, 1)
        colour[:reach] += (_lid(far, x[:reach] / half, shape, view) - colour[:reach]) * lid[:, :, None]
        solid[:reach] = np.maximum(solid[:reach], lid)
    return colour, solid


def _pitch(shape: Shape, view: View) -> tuple[float, float]:
    """Sine and cosine of the camera's pitch; an oval pack shows less of its top."""
    angle = float(np.radians(view.pitch))
    return float(np.sin(angle)) * (1 - 0.35 * shape.flat), float(np.cos(angle))


def _solve(
    x: np.ndarray, y: np.ndarray, skin: _Skin, half: float, tall: float, sin: float, cos: float
) -> tuple[np.ndarray, np.ndarray]:
    """Height on the axis (share, 0 top) and radius (mm) of the surface seen at each screen point."""
    up = y / (cos * tall)
    square = x * x
    for _ in range(3 if sin > 0.02 else 0):
        radius = skin.radius[np.clip(up * (_ROWS - 1), 0, _ROWS - 1).astype(np.int32)] * half
        up = (y - np.sqrt(np.maximum(radius * radius - square, 0)) * sin) / (cos * tall)
    place = np.clip(up * (_ROWS - 1), 0, _ROWS - 1.001)
    row = place.astype(np.int32)
    first = skin.radius[row]
    return up, (first + (skin.radius[row + 1] - first) * (place - row.astype(np.float32))) * half


def _outline(y: np.ndarray, skin: _Skin, half: float, seen: float) -> np.ndarray:
    """Half the width (mm) that the pack has on each row of the screen."""
    place = np.clip(y / seen, 0, 1) * (_ROWS - 1)
    return np.interp(place, np.arange(_ROWS), skin.radius).astype(np.float32) * half


def _clear(side: np.ndarray, up: np.ndarray, shape: Shape, skin: _Skin) -> np.ndarray:
    """Where one looks through the pack (0–1): glass off the label, least at the outline."""
    glass = skin.paint[(up * (_ROWS - 1)).astype(np.int32), 4] > 0.5
    return ((up < shape.label[0]) | (up > shape.label[1])) * glass * (1 - side**4)


def _surface(side: np.ndarray, up: np.ndarray, shape: Shape, skin: _Skin, view: View) -> np.ndarray:
    """Colour of the wall: `side` is -1 at the left outline, 1 at the right; `up` the height share."""
    row = (up * (_ROWS - 1)).astype(np.int32)
    column = ((side + 1) * ((_ROWS - 1) / 2)).astype(np.int32)
    table = skin.paint[row]
    albedo, metal, glass, gloss = table[:, :, :3], table[:, :, 3], table[:, :, 4], table[:, :, 5]
    rows, columns = skin.label.shape[:2]
    start, end = shape.label
    turn = np.arcsin(side) * ((1 - 0.35 * shape.flat) / (2 * np.pi) * columns)
    turn += (0.5 - view.yaw / 360 * (1 - 0.5 * shape.flat)) * columns
    down = (up - start) * (rows / (end - start)) - 0.5
    printed = cv2.remap(skin.label, turn, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    on_label = (up >= start) & (up <= end)
    np.copyto(albedo, printed, where=on_label[:, :, None], casting="unsafe")
    np.copyto(glass, 0, where=on_label)
    slope = skin.slope[row]
    length = 1 / np.sqrt(1 + slope * slope)
    bent = side * (1 - 0.55 * shape.flat * (1 - np.abs(side)))
    normals = (bent * length, -slope * length, np.sqrt(np.maximum(1 - bent * bent, 0)) * length)
    gathered, mirror, window = (curve[column] for curve in _reflections(view))
    lit = shade(normals, view) * (1 - 0.3 * (side * side) ** 3)
    lit += (gathered - lit) * glass
    lit += (mirror - lit) * metal
    window += 0.8 * highlight(normals, view, 38)
    return albedo * lit[:, :, None] + (gloss * window * (150 * view.gloss))[:, :, None]


def _reflections(view: View) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Curves over the width: light that glass gathers on its far side, bands that metal mirrors, windows."""
    rng = np.random.default_rng(view.folds)
    x = np.linspace(-1, 1, _ROWS, dtype=np.float32)
    gathered = 0.62 + 0.5 * np.exp(-(((x + 0.55 * (1 if view.light >= 0 else -1)) / 0.5) ** 2)) - 0.45 * x**6
    bands = 0.55 - 0.25 * x**8
    for power in (0.6, -0.35, 0.4, -0.25):
        bands += power * np.exp(-(((x - rng.uniform(-0.9, 0.9)) / rng.uniform(0.05, 0.25)) ** 2))
    mirror = 0.25 + 1.05 * np.clip(bands, 0, 1.3)
    window = 0.55 * np.exp(-(((x - 0.62 * view.light - 0.12) / 0.09) ** 2))
    window += (0.25 if abs(view.light) < 0.8 else 0.0) * np.exp(-(((x + 0.78) / 0.06) ** 2))
    return gathered, mirror, window


def _lid(far: np.ndarray, side: np.ndarray, shape: Shape, view: View) -> np.ndarray:
    """The top: a bead and a sheen on metal, plain on plastic; `far` is 1 at its rim."""
    if shape.lid_metal < 0.5:
        tone = (1.02 + 0.1 * view.height) * (1 - 0.12 * (far > 0.9))
    else:
        bead = 0.22 * np.exp(-(((far - 0.95) / 0.035) ** 2)) - 0.16 * np.exp(-(((far - 0.88) / 0.03) ** 2))
        rings = 0.05 * np.sin(far * 26) * (far < 0.8)
        tone = 0.98 + bead + rings + 0.22 * shape.lid_metal * np.cos(side * 4 + view.light * 3) * (far < 0.92)
    return np.array(shape.lid, np.float32) * tone[:, :, None].astype(np.float32)
