"""Predicted maps ► instances: markers in the middle of things, watershed between them, then merging by evidence.

Distance and boundary are used as in Naylor et al. (2018) and Chen et al., DCAN (2016); the markers are deliberately
too many, and neighbours are joined again where the network sees no boundary between them; parts that do not touch are
joined where they point to the same centre (Cheng et al., Panoptic-DeepLab, 2020). A model that has learned what a whole
thing looks like chooses among all the ways to join the markers' regions instead (`wholeness`).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from itertools import pairwise

import cv2
import numpy as np

from retail_seg.segmentation.instances.candidates import measures
from retail_seg.segmentation.instances.flooding import flood
from retail_seg.segmentation.instances.merge_tree import MergeTree, grow
from retail_seg.segmentation.instances.wholeness import Wholeness

#: So many instances make a crowd, in which what is far smaller than the others is a piece of something.
CROWD = 12


@dataclass(frozen=True)
class Thresholds:
    """What turns maps into instances; tuned on held-back photos and kept in the model folder.

    foreground  probability above which a pixel belongs to a thing
    merge       mean boundary probability between two neighbours below which they are one thing
    join        distance of the predicted centres (in radii of the smaller part) below which parts that do not touch
                are one thing
    min_area    smallest instance, as a share of the photo
    min_confidence  instances less sure than this are dropped; where wholeness is learned, what an instance must be
                worth to be one
    sliver      in a crowd, instances smaller than this share of a typical one are dropped; 0: never
    small       median diameter of a photo's instances, as a share of the working side, below which a photo that has
                more pixels is looked at closer (see `zoom`); 0: never
    """

    foreground: float = 0.5
    merge: float = 0.6
    join: float = 0.25
    min_area: float = 4e-4
    min_confidence: float = 0.5
    sliver: float = 0.25
    small: float = 0.075

    def at(self, scale: float) -> Thresholds:
        """The thresholds at `scale` times the usual side: what is large enough in pixels stays large enough."""
        return replace(self, min_area=self.min_area / scale**2) if scale > 1 else self

    def to_json(self) -> dict[str, float]:
        return {key: round(float(value), 6) for key, value in asdict(self).items()}


@dataclass(frozen=True)
class Maps:
    """What the network says about one photo at working size; all (h, w) float32.

    foreground and boundary are probabilities, distance is 0 at the edge and 1 in the middle of an instance,
    offset_x and offset_y point to the own centre, in pixels.
    """

    foreground: np.ndarray
    distance: np.ndarray
    boundary: np.ndarray
    offset_x: np.ndarray
    offset_y: np.ndarray


@dataclass(frozen=True)
class Candidates:
    """All that the regions (h, w) int32 of one photo may be parts of, and the first grouping (h, w) int32 of them.

    `scores` (n,) says for every node of the tree how well it covers one whole thing, 0 to 1.
    """

    regions: np.ndarray
    first: np.ndarray
    tree: MergeTree
    scores: np.ndarray

    def choose(self, least: float) -> tuple[np.ndarray, np.ndarray]:
        """Labels (h, w) int32 1..n and confidence (n,) float32 of the nodes whose scores above `least` add up best."""
        nodes = self.tree.best_cut(self.scores - least)
        return self.tree.owners(nodes)[self.regions], self.scores[nodes].astype(np.float32)


def group(maps: Maps, thresholds: Thresholds, wholeness: Wholeness | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Labels (h, w) int32 with ids 1..n and the confidence (n,) float32 of each instance.

    With `wholeness` confidence is how well an instance covers one whole thing. Without, it is the mean foreground
    probability inside, times how clearly the instance is told from the neighbour that it is most easily confused with
    (1 for one that stands alone).
    """
    regions = split(maps, thresholds.foreground)
    if wholeness is None or not regions.any():
        return select(regions, maps, thresholds)
    return candidates(regions, maps, thresholds, wholeness).choose(thresholds.min_confidence)


def candidates(regions: np.ndarray, maps: Maps, thresholds: Thresholds, wholeness: Wholeness) -> Candidates:
    """The candidates of regions (h, w) int32, at least one."""
    tree, first, looks = measured(regions, maps, thresholds)
    return Candidates(regions, first, tree, wholeness(looks))


def measured(regions: np.ndarray, maps: Maps, thresholds: Thresholds) -> tuple[MergeTree, np.ndarray, np.ndarray]:
    """The tree of regions, their first grouping (h, w) int32, and what its nodes look like, see `candidates.MEASURES`.

    What the first grouping joins across a gap is a candidate as well.
    """
    pairs, evidence, lengths = _neighbours(regions, maps)
    first = _join_by_rules(regions, pairs, evidence, maps, thresholds)
    gaps = _across_gaps(regions, first, pairs)
    tree = grow(
        int(regions.max()),
        np.concatenate([pairs, gaps]),
        np.concatenate([evidence, np.full(len(gaps), thresholds.merge)]),
        np.concatenate([lengths, np.ones(len(gaps))]),
    )
    offsets = (maps.offset_x, maps.offset_y)
    return tree, first, measures(tree, regions, first, maps.foreground, maps.distance, offsets)


def split(maps: Maps, foreground: float) -> np.ndarray:
    """Regions (h, w) int32 1..n of the foreground, one per marker: rather too many than too few."""
    energy = cv2.GaussianBlur(maps.distance * (1 - maps.boundary), (0, 0), 1.0)
    return flood(energy, maps.foreground > foreground)


def select(regions: np.ndarray, maps: Maps, thresholds: Thresholds) -> tuple[np.ndarray, np.ndarray]:
    """Regions ► labels and confidence: neighbours without evidence of separation become one, the unlikely go."""
    pairs, evidence, _ = _neighbours(regions, maps)
    joined = _join_by_rules(regions, pairs, evidence, maps, thresholds)
    confidence = _confidence(joined, maps)
    keep = confidence >= thresholds.min_confidence
    renumber = np.concatenate([[0], np.where(keep, np.cumsum(keep), 0)]).astype(np.int32)
    return renumber[joined], confidence[keep].astype(np.float32)


def _join_by_rules(
    regions: np.ndarray, pairs: np.ndarray, evidence: np.ndarray, maps: Maps, thresholds: Thresholds
) -> np.ndarray:
    """Labels (h, w) int32 1..n: what thresholds make of regions, before the unlikely go."""
    joined = _merge(regions, pairs, evidence, thresholds.merge)
    joined = _join_parts(_drop_small(joined, 0.25 * thresholds.min_area), maps, thresholds.join)
    return _drop_slivers(_drop_small(joined, thresholds.min_area), thresholds.sliver)


def _across_gaps(regions: np.ndarray, first: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Pairs (k, 2) of ids of regions that do not touch, one from each part of what was joined across a gap."""
    label = np.zeros(int(regions.max()) + 1, np.int64)
    label[regions] = first
    parent = np.arange(len(label))
    for a, b in pairs:
        if label[a] == label[b] and parent[a] != parent[b]:
            parent[parent == parent[b]] = parent[a]
    parts: dict[int, list[int]] = {}
    for part in np.unique(parent[label > 0]):
        parts.setdefault(int(label[part]), []).append(int(part))
    return np.array([pair for one in parts.values() for pair in pairwise(one)], np.int64).reshape(-1, 2)


def _neighbours(regions: np.ndarray, maps: Maps) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Touching pairs (k, 2) of region ids, the evidence (k,) in 0..1 that they are two things, and their contact (k,).

    The evidence is the mean boundary probability along the line where they meet. What else was tried on pairs of
    known scenes (distance of the predicted centres, depth of the saddle between the peaks, sizes) added nothing to it.
    """
    first, second, strength = [], [], []
    boundary = cv2.dilate(maps.boundary, np.ones((3, 3), np.uint8))
    for a, b, p, q in (
        (regions[:, :-1], regions[:, 1:], boundary[:, :-1], boundary[:, 1:]),
        (regions[:-1], regions[1:], boundary[:-1], boundary[1:]),
    ):
        meet = (a != b) & (a > 0) & (b > 0)
        first.append(np.minimum(a[meet], b[meet]))
        second.append(np.maximum(a[meet], b[meet]))
        strength.append(np.maximum(p[meet], q[meet]))
    many = int(regions.max()) + 1
    key = np.concatenate(first).astype(np.int64) * many + np.concatenate(second)
    keys, which = np.unique(key, return_inverse=True)
    pairs = np.stack([keys // many, keys % many], 1)
    lengths = np.bincount(which, minlength=len(keys)).astype(float)
    total = np.bincount(which, weights=np.concatenate(strength), minlength=len(keys))
    return pairs, total / np.maximum(lengths, 1), lengths


def _centre_distance(labels: np.ndarray, maps: Maps, pairs: np.ndarray) -> np.ndarray:
    """Distance (k,) between the centres that two regions point to, in radii of the smaller one."""
    centres, areas = _centres(labels, maps)
    a, b = pairs[:, 0] - 1, pairs[:, 1] - 1
    radius = np.sqrt(np.minimum(areas[a], areas[b]) / np.pi)
    return np.hypot(*(centres[a] - centres[b]).T) / np.maximum(radius, 1)


def _centres(labels: np.ndarray, maps: Maps) -> tuple[np.ndarray, np.ndarray]:
    """Predicted centre (n, 2) x, y of each region 1..n, the middle of a region counting most, and the areas (n,)."""
    n = int(labels.max())
    inside = labels > 0
    ids, weight = labels[inside], maps.distance[inside] + 0.01
    rows, columns = np.nonzero(inside)
    total = np.maximum(np.bincount(ids, weights=weight, minlength=n + 1), 1e-9)
    x = np.bincount(ids, weights=(columns + maps.offset_x[inside]) * weight, minlength=n + 1) / total
    y = np.bincount(ids, weights=(rows + maps.offset_y[inside]) * weight, minlength=n + 1) / total
    return np.stack([x, y], 1)[1:], np.bincount(ids, minlength=n + 1)[1:]


def _merge(labels: np.ndarray, pairs: np.ndarray, evidence: np.ndarray, limit: float) -> np.ndarray:
    """Labels with every pair whose evidence of separation is below `limit` made one, renumbered 1..n."""
    parent = np.arange(int(labels.max()) + 1)
    for (a, b), value in zip(pairs, evidence, strict=True):
        if value < limit:
            parent[parent == parent[b]] = parent[a]
    return np.unique(parent, return_inverse=True)[1].astype(np.int32)[labels]


def _join_parts(labels: np.ndarray, maps: Maps, limit: float) -> np.ndarray:
    """Make one of parts that do not touch (something lies across a thing) and point to the same centre."""
    if int(labels.max()) < 2 or limit <= 0:
        return labels
    from scipy.spatial import cKDTree

    centres, areas = _centres(labels, maps)
    reach = limit * float(np.sqrt(areas.max() / np.pi))
    close = np.sort(cKDTree(centres).query_pairs(reach, output_type="ndarray").reshape(-1, 2), axis=1) + 1
    touching, _, _ = _neighbours(labels, maps)
    known = {(int(a), int(b)) for a, b in touching}
    pairs = np.array([pair for pair in close if (int(pair[0]), int(pair[1])) not in known]).reshape(-1, 2)
    if not len(pairs):
        return labels
    return _merge(labels, pairs, _centre_distance(labels, maps, pairs), limit)


def _drop_small(labels: np.ndarray, min_area: float) -> np.ndarray:
    areas = np.bincount(labels.ravel())
    keep = areas >= min_area * labels.size
    keep[0] = False
    return np.where(keep, np.cumsum(keep), 0).astype(np.int32)[labels]


def _drop_slivers(labels: np.ndarray, share: float) -> np.ndarray:
    """Without what is smaller than `share` of a typical instance, the median of the larger half; only in a crowd.

    On a full shelf these are prints that came off a pack, gaps and things behind others; two or three things on a table
    may well differ so much.
    """
    areas = np.bincount(labels.ravel())[1:]
    if len(areas) < CROWD:
        return labels
    typical = float(np.median(areas[areas >= np.median(areas)]))
    return _drop_small(labels, share * typical / labels.size)


def _confidence(labels: np.ndarray, maps: Maps) -> np.ndarray:
    n = int(labels.max())
    counts = np.maximum(np.bincount(labels.ravel(), minlength=n + 1)[1:], 1)
    sure = np.bincount(labels.ravel(), weights=maps.foreground.ravel(), minlength=n + 1)[1:] / counts
    clear = np.ones(n)
    pairs, evidence, _ = _neighbours(labels, maps)
    for (a, b), value in zip(pairs, evidence, strict=True):
        clear[a - 1], clear[b - 1] = min(clear[a - 1], value), min(clear[b - 1], value)
    return np.asarray(sure * np.clip(0.5 + clear, 0, 1))
