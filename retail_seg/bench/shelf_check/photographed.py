"""Made fixtures as a camera sees them: boxes in pixels, tilted, cut off or in two photos, and what each may be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from retail_seg.bench.shelf_check.stocked import STRANGER, MadeFacing, MadeProduct, Stocked
from retail_seg.report import Identification, Match, Report, ReportLine
from retail_seg.store.scanning import placed

#: How the photos are taken.
VIEWS = ("straight", "tilted", "cut off", "two photos")
#: How much more a tilted photo is than one that is taken with care (1: 8° to the side, 6° up or down, 2.5° rolled).
TILTED = 1.6
#: Shares of a place in the photo between which nobody can say whether it is seen.
DOUBTFUL = (0.15, 0.95)


@dataclass(frozen=True, eq=False)
class Shot:
    """A camera's map from mm to pixels, a homography (3, 3), and the photo's width and height in pixels."""

    matrix: np.ndarray
    width: int
    height: int

    def at(self, points: np.ndarray) -> np.ndarray:
        """Pixels (n, 2) of points (n, 2) in mm."""
        whole = np.concatenate([points, np.ones((len(points), 1))], 1) @ self.matrix.T
        return np.asarray(whole[:, :2] / whole[:, 2:])

    def box(self, left: float, top: float, right: float, bottom: float) -> tuple[float, float, float, float]:
        """The box in pixels, left, top, right, bottom, around a rectangle in mm."""
        corners = self.at(np.array([[left, top], [right, top], [right, bottom], [left, bottom]]))
        return (*corners.min(0).tolist(), *corners.max(0).tolist())

    def share(self, left: float, top: float, right: float, bottom: float) -> float:
        """The share of a rectangle's box that is in the photo."""
        x0, y0, x1, y1 = self.box(left, top, right, bottom)
        wide, tall = min(x1, self.width) - max(x0, 0), min(y1, self.height) - max(y0, 0)
        return max(wide, 0) * max(tall, 0) / max((x1 - x0) * (y1 - y0), 1e-9)


def shots(stocked: Stocked, view: str, rng: np.random.Generator) -> tuple[Shot, ...]:
    """The photos of a fixture, taken in one of VIEWS; two photos overlap by a fifth to a half."""
    wide, tall = stocked.size
    if view == "two photos":
        share = float(rng.uniform(0.58, 0.72))
        return tuple(_shot((start, 0.0, start + share * wide, tall), rng, 0.5) for start in (0.0, (1 - share) * wide))
    if view == "cut off":
        left, right = sorted(rng.choice([0.0, 0.25, 0.35], 2, replace=False))
        frame = (left * wide, 0.0, (1 - right + left) * wide, tall)
        return (_shot(frame, rng, 0.5),)
    return (_shot((0.0, 0.0, wide, tall), rng, TILTED if view == "tilted" else 0.3),)


def _shot(frame: tuple[float, float, float, float], rng: np.random.Generator, strength: float) -> Shot:
    """A photo of a part (left, top, right, bottom) of a fixture, from the side by `strength`."""
    left, top, right, bottom = frame
    yaw, pitch, roll = (float(np.clip(rng.normal(0, spread * strength), -25, 25)) for spread in (8, 6, 2.5))
    distance = 1.1 * max(right - left, bottom - top)
    a, b, c = np.radians([yaw, pitch, roll])
    turn = (
        np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
        @ np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
        @ np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    )
    middle = np.array([(left + right) / 2, (top + bottom) / 2, 0.0])
    plane = np.stack([turn[:, 0], turn[:, 1], -turn @ middle + [0, 0, distance]], 1)
    corners = np.array([[left, top, 1], [right, top, 1], [right, bottom, 1], [left, bottom, 1]]) @ plane.T
    seen = corners[:, :2] / corners[:, 2:]
    margin = float(rng.uniform(0.0, 0.03)) * np.ptp(seen[:, 0])
    low, high = seen.min(0) - margin, seen.max(0) + margin
    scale = 1800 / float((high - low).max())
    lens = np.array([[scale, 0, -scale * low[0]], [0, scale, -scale * low[1]], [0, 0, 1]])
    size = np.round((high - low) * scale).astype(int)
    return Shot(lens @ plane, int(size[0]), int(size[1]))


def report_of(
    stocked: Stocked, shot: Shot, name: str, shop: Sequence[MadeProduct], rng: np.random.Generator, noise: float = 1.0
) -> Report:
    """The report that a scan of the photo gives, its instances true, their probabilities those of a fair embedder."""
    lines: list[ReportLine] = []
    for front in stocked.fronts:
        if shot.share(front.left, front.top, front.right, front.bottom) < 0.4:
            continue
        x0, y0, x1, y1 = shot.box(front.left, front.top, front.right, front.bottom)
        jitter = rng.normal(0, 0.01 * noise, 4) * [x1 - x0, y1 - y0, x1 - x0, y1 - y0]
        x0, y0, x1, y1 = np.array([x0, y0, x1, y1]) + jitter
        x0, y0, x1, y1 = max(x0, 0), max(y0, 0), min(x1, shot.width), min(y1, shot.height)
        box = round(x0), round(y0), max(round(x1 - x0), 1), max(round(y1 - y0), 1)
        lines.append(ReportLine(len(lines) + 1, box, box[2] * box[3], (), 1.0, False, named(front, shop, rng, noise)))
    return Report(name, shot.width, shot.height, placed(lines))


def named(front: MadeFacing, shop: Sequence[MadeProduct], rng: np.random.Generator, noise: float) -> Identification:
    """What a facing is taken for: mostly itself, at times one of its family, at times nothing."""
    chances: dict[str, float] = {}
    rest = 1.0
    if front.sku != STRANGER:
        family = next(one.family for one in shop if one.sku == front.sku)
        sisters = [one.sku for one in shop if one.family == family and one.sku != front.sku]
        weights = {front.sku: float(rng.gamma(6.0)), **{sku: float(rng.gamma(0.25)) * noise for sku in sisters}}
        none = float(rng.gamma(0.35)) * noise
        if rng.random() < 0.03 * noise:  # seen badly
            weights[front.sku] *= 0.08
            none += 1.0
        total = sum(weights.values()) + none
        chances = {sku: weight / total for sku, weight in weights.items()}
        rest = none / total
    else:
        others = [str(sku) for sku in rng.choice([one.sku for one in shop], 3, replace=False)]
        shares = rng.dirichlet([0.3, 0.3, 0.3]) * float(rng.beta(1.2, 6.0))
        chances = dict(zip(others, shares.tolist(), strict=True))
        rest = 1 - sum(chances.values())
    order = sorted(chances, key=lambda sku: -chances[sku])
    matches = tuple(Match(sku, sku, chances[sku], 0, chances[sku]) for sku in order if chances[sku] > 0.001)
    best = matches[0].probability if matches else 0.0
    sure = best >= 0.9
    certainty = "sure" if sure else "likely" if best >= 0.5 else "unknown"
    sku = matches[0].sku if sure else None
    return Identification("known" if sure else "unknown", sku, sku or "", best, 0.0, matches, "", certainty, rest)  # type: ignore[arg-type]


def seen_share(stocked: Stocked, shot: Shot, key: tuple[int, int]) -> float:
    """The share of a place that is in a photo."""
    left, right = stocked.edges[key]
    base = stocked.bases[key[0]]
    return shot.share(left, base - 150, right, base)
