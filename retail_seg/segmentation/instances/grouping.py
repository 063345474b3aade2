"""Predicted maps ► instances: markers in the middle of things, watershed between them, then merging by evidence.

Distance and boundary are used as in Naylor et al. (2018) and Chen et al., DCAN (2016); the markers are deliberately
too many, and neighbours are joined again where the network sees no boundary between them; parts that do not touch are
joined where they point to the same centre (Cheng et al., Panoptic-DeepLab, 2020). A model that has learned what a whole
thing looks like chooses among all the ways to join the markers' regions instead (`wholeness`).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

import cv2
import numpy as np

from retail_seg.segmentation.instances.candidates import Edges, Inside, edges_of, inside_of, measures
from retail_seg.segmentation.instances.flooding import flood
from retail_seg.segmentation.instances.joining import Regions
from retail_seg.segmentation.instances.merge_tree import MergeTree, grow
from retail_seg.segmentation.instances.wholeness import Wholeness


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
    """All that the regions (h, w) int32 of one photo may be parts of.

    `scores` (n,) says for every node of the tree how well it covers one whole thing, 0 to 1.
    """

    regions: np.ndarray
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
    tree, looks = measured(regions, maps, thresholds)
    return Candidates(regions, tree, wholeness(looks))


def measured(regions: np.ndarray, maps: Maps, thresholds: Thresholds) -> tuple[MergeTree, np.ndarray]:
    """The tree of regions (h, w) int32, and what its nodes look like, see `candidates.MEASURES`.

    What a first grouping by thresholds joins across a gap is a candidate as well.
    """
    edges, pixels = edges_of(regions), inside_of(regions, maps.foreground, maps.distance, maps.offset_x, maps.offset_y)
    known = _known(regions.size, pixels, edges, maps.boundary)
    first = _first(known, thresholds)
    gaps = known.across_gaps(first)
    tree = grow(
        int(regions.max()),
        np.concatenate([known.pairs, gaps]),
        np.concatenate([known.evidence, np.full(len(gaps), thresholds.merge)]),
        np.concatenate([known.lengths, np.ones(len(gaps))]),
    )
    return tree, measures(tree, regions, first, pixels, edges)


def split(maps: Maps, foreground: float) -> np.ndarray:
    """Regions (h, w) int32 1..n of the foreground, one per marker: rather too many than too few."""
    energy = cv2.GaussianBlur(maps.distance * (1 - maps.boundary), (0, 0), 1.0)
    return flood(energy, maps.foreground > foreground)


def select(regions: np.ndarray, maps: Maps, thresholds: Thresholds) -> tuple[np.ndarray, np.ndarray]:
    """Regions ► labels and confidence: neighbours without evidence of separation become one, the unlikely go."""
    pixels = inside_of(regions, maps.foreground, maps.distance, maps.offset_x, maps.offset_y)
    known = _known(regions.size, pixels, edges_of(regions), maps.boundary)
    joined = _first(known, thresholds)
    confidence = _confidence(known.grouped(joined), np.bincount(joined[1:], weights=pixels.foreground)[1:])
    keep = confidence >= thresholds.min_confidence
    renumber = np.concatenate([[0], np.where(keep, np.cumsum(keep), 0)]).astype(np.int32)
    return renumber[joined][regions], confidence[keep].astype(np.float32)


def _first(known: Regions, thresholds: Thresholds) -> np.ndarray:
    """The label of each region (n + 1,) int32 by thresholds, before the unlikely go."""
    return known.joined(thresholds.merge, thresholds.join, thresholds.min_area, thresholds.sliver)


def _known(size: int, pixels: Inside, edges: Edges, boundary: np.ndarray) -> Regions:
    """What the rules ask of regions in a picture of `size` pixels."""
    pairs, strength, lengths = _neighbours(edges, boundary, len(pixels.areas) + 1)
    return Regions(size, pixels.areas, pixels.weights, pixels.centres, pairs, strength, lengths)


def _neighbours(edges: Edges, boundary: np.ndarray, many: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Touching pairs (k, 2) of region ids below `many`, the sum (k,) of boundary probabilities along the line where
    they meet, and how long (k,) that is."""
    strong = cv2.dilate(boundary, np.ones((3, 3), np.uint8)).ravel()
    meet = (edges.first > 0) & (edges.second > 0)
    a, b, at, beside = edges.first[meet], edges.second[meet], edges.at[meet], edges.beside[meet]
    key = np.minimum(a, b).astype(np.int64) * many + np.maximum(a, b)
    keys, which = np.unique(key, return_inverse=True)
    lengths = np.bincount(which, minlength=len(keys)).astype(float)
    total = np.bincount(which, weights=np.maximum(strong[at], strong[beside]), minlength=len(keys))
    return np.stack([keys // many, keys % many], 1), total, lengths


def _confidence(grouped: Regions, foreground: np.ndarray) -> np.ndarray:
    """How sure each instance (n,) is; `foreground` (n,) is the sum of its pixels' probabilities."""
    clear = np.ones(len(grouped.areas))
    for ends in grouped.pairs.T:
        np.minimum.at(clear, ends - 1, grouped.evidence)
    return np.asarray(foreground / np.maximum(grouped.areas, 1) * np.clip(0.5 + clear, 0, 1))
