"""The camera of a composed shelf: where it stands, how its lens bends, and what light and sensor do to the photo.

A shelf is drawn on its front plane (x right, y down, in mm); what lies deeper is projected on that plane through the
camera's eye, so that one remap of the finished drawing gives the photo.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True)
class Camera:
    """Angles in degrees: `yaw` to the side, `pitch` looking down, `roll`; `focal` is a share of the photo's longer
    side; `bend` the barrel distortion (0 none, 0.15 a wide-angle phone lens); `width_mm` what the photo shows across.
    """

    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    focal: float = 0.9
    bend: float = 0.0
    width_mm: float = 1200.0


@dataclass(frozen=True)
class Light:
    """What light and sensor do: `exposure` multiplies, `cast` does so per channel, `uneven` is the spread of brightness
    over the photo, `corners` how much darker they are, `glare` the strength of a reflex, `blur` a sigma in pixels,
    `shake` a length in pixels, `noise` a spread in 8-bit steps, `contrast` about mid-grey, `colour` the
    saturation (1 as drawn), `quality` of a JPEG.
    """

    exposure: float = 1.0
    cast: tuple[float, float, float] = (1.0, 1.0, 1.0)
    uneven: float = 0.0
    corners: float = 0.0
    glare: float = 0.0
    blur: float = 0.0
    shake: float = 0.0
    noise: float = 0.0
    contrast: float = 1.0
    colour: float = 1.0
    quality: int = 95


@dataclass(frozen=True)
class LensProjection:
    """From millimetres on and behind the shelf's front plane to pixels of the canvas.

    `scale` is pixels per mm on the plane, `eye` the camera in mm (x, y, distance), `origin` the canvas pixel of (0, 0).
    """

    scale: float
    eye: tuple[float, float, float]
    origin: tuple[float, float]

    def shrink(self, depth: float) -> float:
        """How much smaller a thing is seen `depth` mm behind the plane (negative: before it)."""
        return self.eye[2] / max(self.eye[2] + depth, 1.0)

    def at(self, x: float, y: float, depth: float = 0.0) -> tuple[float, float]:
        """Canvas pixel of a point (mm)."""
        shrink = self.shrink(depth)
        flat_x, flat_y = self.eye[0] + (x - self.eye[0]) * shrink, self.eye[1] + (y - self.eye[1]) * shrink
        return self.origin[0] + flat_x * self.scale, self.origin[1] + flat_y * self.scale

    def inverse(self, column: float, row: float) -> tuple[float, float]:
        """Point of the plane (mm) of a canvas pixel."""
        return (column - self.origin[0]) / self.scale, (row - self.origin[1]) / self.scale


def aim(camera: Camera, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, LensProjection, tuple[int, int]]:
    """Maps for cv2.remap (float32, of the photo's size), the projection they belong to, and the canvas's size.

    The plane is seen through a pinhole camera (x right, y down, z away) that turns about the photo's middle; barrel
    distortion is Brown's first radial term (Brown, "Decentering distortion of lenses", 1966).
    """
    height, width = size
    focal = camera.focal * max(size)
    rotation = _rotation(camera)
    flat = np.column_stack([rotation[:, 0], rotation[:, 1], (0, 0, focal)])
    back = np.linalg.inv(np.diag([focal, focal, 1.0]) @ flat).astype(np.float32)
    v, u = np.mgrid[0:height, 0:width].astype(np.float32)
    u, v = u - (width - 1) / 2, v - (height - 1) / 2
    bent = 1 + (u * u + v * v) * float(4 * camera.bend / (width * width + height * height))
    u, v = u * bent, v * bent
    depth = back[2, 0] * u + back[2, 1] * v + back[2, 2]
    x = (back[0, 0] * u + back[0, 1] * v + back[0, 2]) / depth
    y = (back[1, 0] * u + back[1, 1] * v + back[1, 2]) / depth
    reach = 1.1 * np.array([width, height])  # what a steep look would see beyond this is not drawn
    low = np.maximum([x.min(), y.min()], -reach)
    high = np.minimum([x.max(), y.max()], reach)
    scale = width / camera.width_mm
    eye = (-rotation.T @ np.array([0, 0, focal]) / scale).tolist()
    projection = LensProjection(scale, (eye[0], eye[1], -eye[2]), (float(2 - low[0]), float(2 - low[1])))
    canvas = int(high[1] - low[1]) + 5, int(high[0] - low[0]) + 5
    return x - np.float32(low[0] - 2), y - np.float32(low[1] - 2), projection, canvas


def _rotation(camera: Camera) -> np.ndarray:
    yaw, pitch, roll = np.radians([camera.yaw, -camera.pitch, camera.roll])
    turn = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    lift = np.array([[1, 0, 0], [0, np.cos(pitch), np.sin(pitch)], [0, -np.sin(pitch), np.cos(pitch)]])
    lean = np.array([[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]])
    return np.asarray(lean @ lift @ turn)


def photograph(picture: np.ndarray, maps: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """RGB float32 of the canvas as the lens sees it; beyond the canvas its edge goes on."""
    return cv2.remap(picture, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def photograph_labels(labels: np.ndarray, maps: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """int32 labels as the lens sees them; beyond the canvas there is nothing."""
    assert labels.max() < 32767, "more instances than a 16-bit remap can carry"
    return cv2.remap(labels.astype(np.int16), *maps, cv2.INTER_NEAREST, borderValue=0).astype(np.int32)


def develop(picture: np.ndarray, light: Light, rng: np.random.Generator) -> np.ndarray:
    """RGB float32 (h, w, 3) ► uint8 as a phone stores it: exposed to a middle grey of 112, then as `light` says."""
    height, width = picture.shape[:2]
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    grid = np.exp(rng.normal(0, 1, (4, 4)) * light.uneven).astype(np.float32)
    gain = cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC) * light.exposure
    gain *= 1 - light.corners * (x * x + y * y) / 2
    gain *= float(np.clip(112 / max(float(picture[::8, ::8].mean()), 1), 0.5, 2.2))
    picture = np.asarray(cv2.transform(picture, _mixing(light)), np.float32)
    picture *= (gain * np.float32(light.contrast))[:, :, None]
    picture += np.float32(118 * (1 - light.contrast))
    if light.glare > 0:
        picture += _reflex(x, y, rng)[:, :, None] * np.float32(light.glare)
    if light.shake > 1.5:
        picture = np.asarray(cv2.filter2D(picture, -1, _streak(light.shake, float(rng.uniform(0, np.pi)))), np.float32)
    if light.blur > 0.25:
        picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), light.blur), np.float32)
    if light.noise > 0.3:
        picture += _grain(picture.shape[:2], light.noise, rng)
    over = np.maximum(picture - 215, 0)  # what exceeds 215 nears 255 slowly
    picture -= over * over / (over + 60)
    return np.clip(picture, 0, 255, out=picture).astype(np.uint8)


def _mixing(light: Light) -> np.ndarray:
    """Saturation and cast as one matrix over the channels."""
    grey = np.tile(np.array([0.299, 0.587, 0.114]), (3, 1))
    mixed = grey * (1 - light.colour) + np.eye(3) * light.colour
    return np.asarray(np.array(light.cast)[:, None] * mixed, np.float32)


def jpeg(picture: np.ndarray, quality: int) -> np.ndarray:
    """RGB uint8 with the traces of a JPEG of this quality (1–100)."""
    _, packed = cv2.imencode(".jpg", picture[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    unpacked = cv2.imdecode(packed, cv2.IMREAD_COLOR)
    assert unpacked is not None, "what was packed a line above can be unpacked"
    return np.ascontiguousarray(unpacked[:, :, ::-1])


def _reflex(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A soft bright patch, long and leaning: a lamp in glass or film."""
    lean, wide, long = rng.uniform(-0.9, 0.9), rng.uniform(0.07, 0.35), rng.uniform(0.3, 1.5)
    x0, y0 = rng.uniform(-0.9, 0.9, 2)
    across, along = (x - x0) - lean * (y - y0), (y - y0) + lean * (x - x0)
    return np.asarray(np.exp(-((across / wide) ** 2) - (along / long) ** 2), np.float32)


def _streak(length: float, angle: float) -> np.ndarray:
    side = int(length) // 2 * 2 + 3
    kernel = np.zeros((side, side), np.float32)
    middle, reach = side / 2 - 0.5, length / 2
    ends = [(middle + reach * d * np.cos(angle), middle + reach * d * np.sin(angle)) for d in (-1, 1)]
    cv2.line(kernel, *[(round(x), round(y)) for x, y in ends], 1.0, 1)  # type: ignore[call-overload]
    return kernel / kernel.sum()


def _grain(size: tuple[int, int], spread: float, rng: np.random.Generator) -> np.ndarray:
    """Noise (h, w, 3): of one tile that repeats at random offsets, which is ten times faster than fresh noise."""
    tile = rng.standard_normal((257, 263, 3), np.float32) * np.float32(spread)
    down, across = -(-size[0] // tile.shape[0]), -(-size[1] // tile.shape[1])
    return np.tile(tile, (down, across, 1))[: size[0], : size[1]]
