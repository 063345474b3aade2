"""Labelled scenes for free: cut-outs of annotated things pushed against and over each other on the real background.

Copy-paste as in Dwibedi et al., Cut, Paste and Learn (2017) and Ghiasi et al. (2021); what is new to the shop's photos
is contact: every thing slides along a random direction until it touches, or overlaps by a chosen share.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from scipy.ndimage import find_objects

from retail_seg.segmentation.instances.instances import Instances
from retail_seg.segmentation.training.augment import photometric, shade, similarity

#: Cut-outs are kept at this multiple of the working size, so that enlarged ones stay sharp.
OVERSAMPLING = 2.0


@dataclass(frozen=True)
class CutOut:
    """One thing without its background: RGBA uint8 (h, w, 4) at full, half, quarter … size."""

    levels: tuple[np.ndarray, ...]

    @classmethod
    def from_rgba(cls, rgba: np.ndarray) -> CutOut:
        levels = [rgba]
        while min(levels[-1].shape[:2]) >= 32:
            height, width = levels[-1].shape[:2]
            levels.append(cv2.resize(levels[-1], (width // 2, height // 2), interpolation=cv2.INTER_AREA))
        return cls(tuple(levels))

    @property
    def side(self) -> int:
        """The longer side at full size, in pixels."""
        return max(self.levels[0].shape[:2])


@dataclass(frozen=True)
class SceneSource:
    """What scenes are made of: cut-outs, empty backgrounds RGB, and annotated photos (picture, labels)."""

    cutouts: tuple[CutOut, ...]
    backgrounds: tuple[np.ndarray, ...]
    photos: tuple[tuple[np.ndarray, np.ndarray], ...] = ()


@dataclass(frozen=True)
class SceneStyle:
    """How scenes are composed; lengths are shares of the canvas' longer side where not said otherwise.

    real        share of samples that are an annotated photo as it is (under other light and geometry)
    touching, overlapping   shares of the composed scenes whose things touch or overlap; in the rest they lie apart
    aligned     share of composed scenes whose things lie parallel to each other, as on a shelf or poured out of a bag
    scale       range of a cut-out's size against its photo (log-uniform); `sizes` instead fixes the longer side
    """

    real: float = 0.35
    touching: float = 0.45
    overlapping: float = 0.4
    max_overlap: float = 0.16
    things: tuple[int, int] = (2, 11)
    scale: tuple[float, float] = (0.4, 1.7)
    sizes: tuple[float, float] | None = None
    aligned: float = 0.3
    on_photo: float = 0.2
    light: float = 1.0


def cut_out(photo: np.ndarray, labels: np.ndarray) -> list[CutOut]:
    """A cut-out per instance of an annotated photo RGB (H, W, 3) with labels (H, W); the edge is a little soft."""
    instances = Instances.from_labels(labels)
    found = []
    for i in range(len(instances)):
        crop, mask = instances.crop(photo, i)
        if mask.sum() < 64:
            continue
        crop = cv2.copyMakeBorder(crop, 2, 2, 2, 2, cv2.BORDER_REPLICATE)
        alpha = cv2.copyMakeBorder(mask.astype(np.uint8) * 255, 2, 2, 2, 2, cv2.BORDER_CONSTANT, value=0)
        found.append(CutOut.from_rgba(np.dstack([crop, cv2.GaussianBlur(alpha, (0, 0), 0.8)])))
    return found


def paint_out(photo: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The photo RGB with its things painted out: the light around them is spread inwards, the texture is borrowed.

    Things cast soft shadows and masks are a little tight, so a margin around each goes too.
    """
    margin = max(3, round(0.012 * max(photo.shape[:2])))
    hole = cv2.dilate((labels != 0).astype(np.uint8), np.ones((2 * margin + 1,) * 2, np.uint8)) > 0
    known = (~hole).astype(np.float32)
    fill, weight = photo.astype(np.float32) * known[:, :, None], known
    smooth = np.zeros_like(fill)
    missing = np.ones(hole.shape, bool)
    for sigma in (4, 16, 64, 256):
        near = _blur(weight, sigma)
        usable = missing & (near > 0.02)
        smooth[usable] = (_blur(fill, sigma) / np.maximum(near, 1e-6)[:, :, None])[usable]
        missing &= ~usable
    smooth[missing] = photo[~hole].mean(0) if (~hole).any() else photo.mean((0, 1))
    smooth = cv2.GaussianBlur(smooth, (0, 0), 4)
    texture = np.where(hole[:, :, None], 0, photo - smooth)
    for flipped in (texture[:, ::-1], texture[::-1], texture[::-1, ::-1]):
        texture = np.where((texture == 0) & hole[:, :, None], flipped, texture)
    soft = cv2.GaussianBlur(hole.astype(np.float32), (0, 0), 3)[:, :, None]
    return np.clip(photo * (1 - soft) + (smooth + texture) * soft, 0, 255).astype(np.uint8)


def _blur(values: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian blur, done at a size where the kernel is small."""
    height, width = values.shape[:2]
    k = max(1, int(sigma // 4))
    small = cv2.resize(values, (max(1, width // k), max(1, height // k)), interpolation=cv2.INTER_AREA)
    return cv2.resize(cv2.GaussianBlur(small, (0, 0), sigma / k), (width, height), interpolation=cv2.INTER_LINEAR)


def compose(
    source: SceneSource, style: SceneStyle, canvas: tuple[int, int], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """One training sample of size `canvas` (w, h): RGB uint8 (h, w, 3) and labels (h, w) int32."""
    if source.photos and rng.random() < style.real:
        picture, labels = _real(source, canvas, rng, wild=True)
    else:
        picture, labels = _composed(source, style, canvas, rng)
    if rng.random() < 0.5:
        picture = shade(picture, rng)
    return photometric(picture, rng, style.light), labels


def _real(
    source: SceneSource, canvas: tuple[int, int], rng: np.random.Generator, wild: bool
) -> tuple[np.ndarray, np.ndarray]:
    """A random view of an annotated photo; what lies outside the photo mirrors it, labels too."""
    picture, labels = source.photos[rng.integers(len(source.photos))]
    scale = float(np.exp(rng.uniform(np.log(0.7), np.log(1.5)))) if wild else 1.0
    angle = rng.integers(4) * np.pi / 2 + (rng.normal(0, 0.15) if wild else 0.0)
    height, width = labels.shape
    if scale < OVERSAMPLING * 0.75:  # half size first: linear sampling would skip pixels
        picture = cv2.resize(picture, None, fx=1 / OVERSAMPLING, fy=1 / OVERSAMPLING, interpolation=cv2.INTER_AREA)
    k = picture.shape[1] / width
    matrix = similarity(rng, (width, height), canvas, scale / OVERSAMPLING, angle)
    to_picture = matrix.copy()
    to_picture[:, :2] /= k
    border = cv2.BORDER_REFLECT_101
    view = cv2.warpAffine(picture, to_picture, canvas, flags=cv2.INTER_LINEAR, borderMode=border)
    ids = cv2.warpAffine(labels.astype(np.float32), matrix, canvas, flags=cv2.INTER_NEAREST, borderMode=border)
    return view, _separate(ids.astype(np.int32))


def _separate(labels: np.ndarray) -> np.ndarray:
    """Gives mirrored copies of an instance at the border ids of their own."""
    out = np.minimum(labels, 0)  # what is ignored stays so
    total = 0
    for value in np.flatnonzero(np.bincount(np.maximum(labels, 0).ravel())):
        if value:
            n, parts = cv2.connectedComponents((labels == value).astype(np.uint8), ltype=cv2.CV_32S)
            big = np.bincount(parts.ravel(), minlength=n) >= 20
            big[0] = False
            if big.sum() < 2:
                parts = (parts > 0).astype(np.int32)
            out[parts > 0] = parts[parts > 0] + total
            total += n
    return out


def _composed(
    source: SceneSource, style: SceneStyle, canvas: tuple[int, int], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    if source.photos and rng.random() < style.on_photo:
        picture, labels = _real(source, canvas, rng, wild=False)
    else:
        picture, labels = _background(source, canvas, rng), np.zeros(canvas[::-1], np.int32)
    draw = rng.random()
    mode = "touch" if draw < style.touching else "overlap" if draw < style.touching + style.overlapping else "apart"
    scene = _Scene(picture, labels, style, rng)
    shared = float(np.exp(rng.normal(0, 0.25)))
    scene.angle = rng.uniform(0, 2 * np.pi) if rng.random() < style.aligned else None
    pool = source.cutouts
    if rng.random() < 0.3:  # several of one kind side by side are what merges most easily
        pool = tuple(pool[i] for i in rng.integers(len(pool), size=rng.integers(1, 3)))
    for _ in range(int(rng.integers(*style.things, endpoint=True))):
        scene.add(pool[rng.integers(len(pool))], mode, shared)
    return scene.picture, scene.labels


def _background(source: SceneSource, canvas: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    picture = source.backgrounds[rng.integers(len(source.backgrounds))]
    height, width = picture.shape[:2]
    cover = max(canvas[0] / width, canvas[1] / height)
    scale = float(rng.uniform(1.0, 1.6)) * min(cover, 1.0) if cover > 0.3 else float(rng.uniform(0.4, 1.0))
    matrix = similarity(rng, (width, height), canvas, scale, rng.integers(4) * np.pi / 2 + rng.normal(0, 0.1))
    return cv2.warpAffine(picture, matrix, canvas, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)


@dataclass(frozen=True)
class _Patch:
    """A cut-out as it will be pasted: RGB (h, w, 3) float32, alpha (h, w) float32, mask (h, w) bool."""

    rgb: np.ndarray
    alpha: np.ndarray
    mask: np.ndarray


class _Thing:
    """Something that lies on the canvas: its id, area in pixels, centre (x, y) and width and height of its window."""

    def __init__(self, value: int, window: tuple[slice, slice], labels: np.ndarray) -> None:
        self.value = value
        moments = cv2.moments((labels[window] == value).astype(np.uint8), binaryImage=True)
        self.area = max(int(moments["m00"]), 1)
        corner = np.array([window[1].start, window[0].start], np.float64)
        self.centre = corner + np.array([moments["m10"], moments["m01"]]) / self.area
        self.extent = np.array([window[1].stop - window[1].start, window[0].stop - window[0].start], np.float64)


class _Scene:
    """A canvas on which things are laid one after the other."""

    def __init__(self, picture: np.ndarray, labels: np.ndarray, style: SceneStyle, rng: np.random.Generator) -> None:
        self.picture, self.labels, self.style, self.rng = picture, labels, style, rng
        self.angle: float | None = None  # at which all things lie, where they lie parallel
        self.taken = (labels > 0).astype(np.uint8)
        self.lying = [_Thing(value, place, labels) for value, place in enumerate(find_objects(labels), 1) if place]

    def add(self, cutout: CutOut, mode: str, shared_scale: float, tries: int = 4) -> bool:
        """Lays a cut-out touching, overlapping or apart from what lies there; False where no place was found."""
        patch = self._patch(cutout, shared_scale)
        if patch is None:
            return False
        for _ in range(tries):
            place = self._place(patch, mode)
            if place is not None:
                self._paste(patch, *place, below=mode == "overlap" and self.rng.random() < 0.5)
                return True
        return False

    def _patch(self, cutout: CutOut, shared_scale: float) -> _Patch | None:
        rng, side = self.rng, max(self.labels.shape)
        if self.style.sizes:
            low, high = np.log(self.style.sizes)
            scale = float(np.exp(rng.uniform(low, high))) * side / cutout.side
        else:
            low, high = np.log(self.style.scale)
            scale = float(np.exp(rng.uniform(low, high))) / OVERSAMPLING
        scale = min(scale * shared_scale, 0.9 * side / cutout.side)
        level = min(max(int(np.log2(1 / scale)), 0), len(cutout.levels) - 1)
        rgba = cutout.levels[level]
        angle = rng.uniform(0, 2 * np.pi) if self.angle is None else self._along(rgba.shape[:2])
        warped = _turn(rgba, scale * cutout.side / max(rgba.shape[:2]), angle, rng)
        alpha = warped[:, :, 3].astype(np.float32) / 255
        mask = alpha > 0.5
        if mask.sum() < 40:
            return None
        rgb = photometric(cv2.cvtColor(warped, cv2.COLOR_RGBA2RGB), rng, 0.5 * self.style.light)
        return _Patch(rgb.astype(np.float32), alpha, mask)

    def _along(self, shape: tuple[int, ...]) -> float:
        """An angle that brings the longer side of a cut-out to about the scene's angle, either end first."""
        assert self.angle is not None
        lying = np.pi / 2 if shape[1] > shape[0] else 0.0
        return float(self.angle + lying + np.pi * self.rng.integers(2) + self.rng.normal(0, 0.12))

    def _place(self, patch: _Patch, mode: str) -> tuple[int, int] | None:
        """Top left corner (x, y) of the patch: slid towards a thing until it meets what lies on the canvas."""
        rng, (height, width) = self.rng, self.labels.shape
        h, w = patch.mask.shape
        if not self.lying:
            return self._free_spot(patch)
        target = self.lying[rng.integers(len(self.lying))]
        goal = target.centre + rng.uniform(-0.15, 0.15, 2) * target.extent
        direction = rng.uniform(0, 2 * np.pi)
        step = np.array([np.cos(direction), np.sin(direction)])
        allowed = 0.0
        if mode == "overlap":
            allowed = rng.uniform(0.01, self.style.max_overlap) * min(target.area, int(patch.mask.sum()))
        reach = self._slide(patch, goal, step, allowed)
        if reach is None:
            return None
        if mode == "apart":
            reach += float(rng.uniform(6, 60))
        elif mode == "touch" and rng.random() < 0.2:
            reach += float(rng.uniform(1, 4))
        x, y = np.round(goal + step * reach - np.array([w, h]) / 2).astype(int)
        inside = (max(0, min(x + w, width) - max(x, 0)) * max(0, min(y + h, height) - max(y, 0))) / (w * h)
        if inside < (0.97 if rng.random() < 0.8 else 0.5):
            return None
        if mode == "apart" and self._overlap(patch, x, y) > 0:
            return None
        return int(x), int(y)

    def _free_spot(self, patch: _Patch) -> tuple[int, int]:
        (height, width), (h, w) = self.labels.shape, patch.mask.shape
        x = self.rng.uniform(0, max(width - w, 1)) if w < width else (width - w) / 2
        y = self.rng.uniform(0, max(height - h, 1)) if h < height else (height - h) / 2
        return int(x), int(y)

    def _slide(self, patch: _Patch, goal: np.ndarray, step: np.ndarray, allowed: float) -> float | None:
        """Distance of the patch's centre from `goal` at which it first overlaps by no more than `allowed` pixels."""
        h, w = patch.mask.shape
        half = np.array([w, h]) / 2

        def overlap(reach: float) -> int:
            x, y = np.round(goal + step * reach - half).astype(int)
            return self._overlap(patch, x, y)

        reach = 0.5 * float(np.hypot(*self.labels.shape))
        coarse = 12.0
        while reach > 0 and overlap(reach) <= allowed:
            reach -= coarse
        if reach <= 0:
            return None
        for _ in range(int(coarse)):
            reach += 1.0
            if overlap(reach) <= allowed:
                break
        return reach

    def _overlap(self, patch: _Patch, x: int, y: int) -> int:
        window, part = self._windows(patch, x, y)
        taken, mine = self.taken[window], patch.mask[part]
        return cv2.countNonZero(cv2.bitwise_and(taken, mine.view(np.uint8))) if mine.size else 0

    def _windows(self, patch: _Patch, x: int, y: int) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
        """Slices of the canvas and of the patch where the two lie over each other."""
        (height, width), (h, w) = self.labels.shape, patch.mask.shape
        top, left = min(max(y, 0), height), min(max(x, 0), width)
        bottom, right = max(min(y + h, height), top), max(min(x + w, width), left)
        window = (slice(top, bottom), slice(left, right))
        return window, (slice(top - y, bottom - y), slice(left - x, right - x))

    def _paste(self, patch: _Patch, x: int, y: int, below: bool) -> None:
        if self.rng.random() < 0.5:
            self._shadow(patch, x, y)
        window, part = self._windows(patch, x, y)
        alpha, mask = patch.alpha[part], patch.mask[part]
        labels, picture = self.labels[window], self.picture[window]
        if below:
            free = labels == 0
            alpha = alpha * cv2.GaussianBlur(free.astype(np.float32), (0, 0), 0.7) if alpha.size else alpha
            alpha, mask = np.where(free, alpha, np.minimum(alpha, 0.5)), mask & free
        blend = alpha[:, :, None]
        self.picture[window] = (picture * (1 - blend) + patch.rgb[part] * blend + 0.5).astype(np.uint8)
        value = max((thing.value for thing in self.lying), default=0) + 1
        labels[mask] = value
        self.taken[window][mask] = 1
        if mask.any():
            self.lying.append(_Thing(value, window, self.labels))

    def _shadow(self, patch: _Patch, x: int, y: int) -> None:
        """Darkens what lies under the patch's blurred outline, shifted a little."""
        rng, pad = self.rng, 16
        dark = cv2.copyMakeBorder(patch.alpha, pad, pad, pad, pad, cv2.BORDER_CONSTANT, value=0)
        dark = cv2.GaussianBlur(dark, (0, 0), float(rng.uniform(2, 8))) * float(rng.uniform(0.1, 0.7))
        dx, dy = rng.integers(-8, 9, 2)
        cast = _Patch(patch.rgb, dark, dark > 1)
        window, part = self._windows(cast, x - pad + dx, y - pad + dy)
        shaded = self.picture[window] * (1 - dark[part][:, :, None])
        self.picture[window] = shaded.astype(np.uint8)


def _turn(rgba: np.ndarray, scale: float, angle: float, rng: np.random.Generator) -> np.ndarray:
    """RGBA scaled, turned by `angle`, flipped and slightly stretched, in the smallest frame that holds it."""
    h, w = rgba.shape[:2]
    stretch = float(np.exp(rng.normal(0, 0.07)))
    flip = -1.0 if rng.random() < 0.5 else 1.0
    cos, sin = np.cos(angle) * scale, np.sin(angle) * scale
    linear = np.array([[cos * flip * stretch, -sin / stretch], [sin * flip * stretch, cos / stretch]])
    corners = linear @ np.array([[0, w, 0, w], [0, 0, h, h]])
    low, high = corners.min(1), corners.max(1)
    size = np.maximum(np.ceil(high - low).astype(int), 2)
    matrix = np.concatenate([linear, -low[:, None]], 1).astype(np.float32)
    return cv2.warpAffine(rgba, matrix, (int(size[0]), int(size[1])), flags=cv2.INTER_LINEAR)


def source_of(photo: np.ndarray, labels: np.ndarray) -> SceneSource:
    """Cut-outs, the empty background and the photo itself, of one annotated photo at OVERSAMPLING × working size."""
    k = 1 / OVERSAMPLING
    small = cv2.resize(photo, None, fx=k, fy=k, interpolation=cv2.INTER_AREA)
    where = cv2.resize((labels != 0).astype(np.uint8), small.shape[1::-1], interpolation=cv2.INTER_NEAREST)
    return SceneSource(tuple(cut_out(photo, labels)), (paint_out(small, where),), ((photo, labels),))


def joined(sources: Sequence[SceneSource]) -> SceneSource:
    """One source of all that several hold."""
    return SceneSource(
        tuple(c for s in sources for c in s.cutouts),
        tuple(b for s in sources for b in s.backgrounds),
        tuple(p for s in sources for p in s.photos),
    )
