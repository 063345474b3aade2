"""How a product is looked at: turn, camera, light and the flaws of a photo."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class View:
    """One look at a product. Angles are degrees, lengths pixels of the finished render.

    `yaw` turns it about its own axis, `pitch` lifts the camera above it, `roll` leans the picture, `keystone` narrows
    the top (share of the width). `light` is where the light comes from (-1 left to 1 right), `height` how high it
    stands (0–1), `contrast` how much darker the shaded side is (0–1), `gloss` scales reflections, `warmth` shifts
    from blue (-1) to yellow (1), `exposure` multiplies brightness. `blur` is a sigma, `noise` a spread in 8-bit
    steps. `folds` picks the wrinkles of soft packs.
    """

    yaw: float = 0.0
    pitch: float = 8.0
    roll: float = 0.0
    keystone: float = 0.0
    light: float = -0.4
    height: float = 0.5
    contrast: float = 0.5
    gloss: float = 1.0
    warmth: float = 0.0
    exposure: float = 1.0
    blur: float = 0.0
    noise: float = 0.0
    folds: int = 0


def random_view(rng: np.random.Generator, strength: float = 1.0) -> View:
    """A view as phones take them in shops and kitchens; `strength` 0 is the plain front, 1 the full range."""
    s = strength
    return View(
        yaw=float(rng.normal(0, 14 * s)),
        pitch=float(np.clip(rng.normal(9, 7 * s), 0, 35)),
        roll=float(rng.normal(0, 4 * s)),
        keystone=float(rng.normal(0, 0.04 * s)),
        light=float(rng.uniform(-1, 1) * s if s else -0.4),
        height=float(rng.uniform(0.2, 0.9)),
        contrast=float(np.clip(0.5 + rng.normal(0, 0.18 * s), 0.1, 0.9)),
        gloss=float(np.clip(rng.normal(1.0, 0.45 * s), 0, 2.2)),
        warmth=float(rng.normal(0, 0.3 * s)),
        exposure=float(np.exp(rng.normal(0, 0.2 * s))),
        blur=float(max(rng.normal(0.1, 0.5 * s), 0)),
        noise=float(abs(rng.normal(0, 4 * s))),
        folds=int(rng.integers(2**31)),
    )


def light_direction(view: View) -> np.ndarray:
    """Unit vector (x right, y down, z towards the camera) to the light, float32."""
    direction = np.array([view.light * 0.9, -0.15 - 0.75 * view.height, 0.75], np.float32)
    return direction / np.linalg.norm(direction)


def shade(normals: tuple[np.ndarray, np.ndarray, np.ndarray], view: View) -> np.ndarray:
    """Brightness factor (float32, about 0.3–1.2) of a surface with the given unit normals under the view's light."""
    x, y, z = light_direction(view).tolist()
    facing = np.clip(normals[0] * x + normals[1] * y + normals[2] * z, 0, 1)
    front = max(z, 0.3)
    return (1 - view.contrast) + view.contrast * 1.08 * facing / (0.35 + 0.65 * front)


def highlight(normals: tuple[np.ndarray, np.ndarray, np.ndarray], view: View, sharpness: float) -> np.ndarray:
    """Blinn's highlight of the view's light on the surface, float32 0–1 (Blinn, SIGGRAPH 1977)."""
    half = light_direction(view) + np.array([0, 0, 1], np.float32)
    x, y, z = (half / np.linalg.norm(half)).tolist()
    facing = np.clip(normals[0] * x + normals[1] * y + normals[2] * z, 0, 1)
    return facing**sharpness
