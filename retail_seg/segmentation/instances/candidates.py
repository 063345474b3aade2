"""What a candidate for one thing looks like: every node of a merge tree ► numbers that do not hang on its size in
pixels, but on how it compares with what else is in the photo.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from retail_seg.segmentation.instances.merge_tree import MergeTree

#: What is measured of a node, in the order of the columns.
MEASURES = (
    "area",  # log of its share of the photo
    "inner",  # evidence of division that was overcome inside it, see MergeTree
    "outer",
    "outer_mean",
    "next",
    "foreground",  # mean probability inside
    "distance",  # mean and greatest value of the distance map
    "deepest",
    "spread",  # how far apart the centres lie that its pixels point to, in its radii
    "off_centre",  # from the centre that its pixels point to, to its middle, in its radii
    "rectangular",  # area against that of the rectangle (or ellipse) with its moments: 1 and .955
    "box_fill",  # area against that of its box
    "elongation",  # log
    "beside_ground",  # share of its outline that meets the ground, and that meets others
    "beside_others",
    "at_rim",  # how far it runs along the photo's rim, in roots of its area
    "largest_part",  # share of the larger of its two children, 1 for a region
    "against_typical",  # log: area against a typical instance of the first grouping
    "tall",  # log: height and width of its box against the median instance
    "wide",
    "taller_than_mates",  # log: the same against the instances beside it
    "wider_than_mates",
    "crowd",  # log of the number of instances
    "lead",  # next - inner
)
#: Instances smaller than this share of a typical one say nothing of the usual height and width.
PIECE = 0.15
#: A neighbour in a row is at most so many usual widths away.
NEAR = 1.5


@dataclass(frozen=True)
class Extents:
    """Area (n,) in pixels, and box (n, 4) x0, y0, x1, y1 with ends excluded, of regions or nodes."""

    areas: np.ndarray
    boxes: np.ndarray

    @property
    def sizes(self) -> np.ndarray:
        """Width and height (n, 2)."""
        return self.boxes[:, 2:] - self.boxes[:, :2]


def extents_of(labels: np.ndarray) -> Extents:
    """The extents of labels (h, w) int32 with ids 1..n, none left out."""
    from scipy.ndimage import find_objects

    found = [(s[1].start, s[0].start, s[1].stop, s[0].stop) for s in find_objects(labels)]
    return Extents(np.bincount(labels.ravel())[1:].astype(float), np.array(found, float).reshape(-1, 4))


def measures(
    tree: MergeTree,
    regions: np.ndarray,
    first: np.ndarray,
    foreground: np.ndarray,
    distance: np.ndarray,
    offsets: tuple[np.ndarray, np.ndarray],
) -> np.ndarray:
    """MEASURES (n, 24) float32 of the nodes of a tree over regions (h, w) int32.

    `first` (h, w) int32 is a first grouping of the same photo, by thresholds: what is usual in it. The maps (h, w)
    float32 are those of `grouping.Maps`.
    """
    of_regions = extents_of(regions)
    ends = tree.summed(of_regions.boxes * (1, 1, -1, -1), np.minimum)
    nodes = Extents(tree.summed(of_regions.areas), ends * (1, 1, -1, -1))
    inside = _inside(tree, regions, foreground, distance, offsets, nodes.areas)
    around = _around(tree, regions, nodes.areas)
    children = tree.children[tree.leaves :]
    largest = np.ones(len(nodes.areas))
    largest[tree.leaves :] = nodes.areas[children].max(1, initial=0) / nodes.areas[tree.leaves :]
    columns = [
        np.log(nodes.areas / regions.size),
        *(tree.inner, tree.outer, tree.outer_mean, tree.next),
        *inside[:6],
        nodes.areas / nodes.sizes.prod(1),
        inside[6],
        *around,
        largest,
        *_against_others(nodes, extents_of(first), regions.shape),
        tree.next - tree.inner,
    ]
    return np.stack(columns, 1).astype(np.float32)


def _inside(
    tree: MergeTree,
    regions: np.ndarray,
    foreground: np.ndarray,
    distance: np.ndarray,
    offsets: tuple[np.ndarray, np.ndarray],
    areas: np.ndarray,
) -> list[np.ndarray]:
    """Foreground, distance, deepest, spread, off_centre, rectangular and elongation, each (n,)."""
    from scipy.ndimage import maximum

    where = np.flatnonzero(regions)
    ids = regions.ravel()[where]
    y, x = (values.astype(np.float32) for values in np.divmod(where, regions.shape[1]))
    to_x, to_y = x + offsets[0].ravel()[where], y + offsets[1].ravel()[where]
    weights = [x, y, x * x, y * y, x * y, foreground.ravel()[where], distance.ravel()[where]]
    weights += [to_x, to_y, to_x * to_x + to_y * to_y]
    sums = [np.bincount(ids, weights=values, minlength=tree.leaves + 1)[1:] for values in weights]
    deepest = np.asarray(maximum(distance, regions, np.arange(1, tree.leaves + 1))).reshape(-1)
    mean = tree.summed(np.stack(sums, 1)).T / areas
    deepest = tree.summed(deepest, np.maximum)
    radius = np.sqrt(areas / np.pi)
    spread = np.sqrt(np.maximum(mean[9] - mean[7] ** 2 - mean[8] ** 2, 0)) / radius
    off = np.hypot(mean[7] - mean[0], mean[8] - mean[1]) / radius
    # 1/12: what the extent of a pixel adds to a variance
    var_x, var_y = mean[2] - mean[0] ** 2 + 1 / 12, mean[3] - mean[1] ** 2 + 1 / 12
    area = np.maximum(var_x * var_y - (mean[4] - mean[0] * mean[1]) ** 2, 1e-6)
    half = (var_x + var_y) / 2
    long = half + np.sqrt(np.maximum(half * half - area, 0))
    elongation = np.log(long / np.maximum(area / long, 1e-6)) / 2
    return [mean[5], mean[6], deepest, spread, off, areas / (12 * np.sqrt(area)), elongation]


def _around(tree: MergeTree, regions: np.ndarray, areas: np.ndarray) -> list[np.ndarray]:
    """Shares of the outline beside the ground and beside others, and the run along the photo's rim, each (n,)."""
    ground = np.zeros(tree.leaves + 1)
    for a, b in (regions[:, :-1], regions[:, 1:]), (regions[:-1], regions[1:]):
        for mine, other in (a, b), (b, a):
            ground += np.bincount(mine[(mine > 0) & (other == 0)], minlength=tree.leaves + 1)
    rim = sum(
        np.bincount(edge, minlength=tree.leaves + 1)
        for edge in (regions[0], regions[-1], regions[:, 0], regions[:, -1])
    )
    # The rim counts as ground as well: nothing is seen beyond it.
    grounds, rims = tree.summed((ground + rim)[1:]), tree.summed(np.asarray(rim, float)[1:])
    outline = grounds + tree.contact + 1e-6
    return [grounds / outline, tree.contact / outline, rims / np.sqrt(areas)]


def _against_others(nodes: Extents, first: Extents, photo: tuple[int, ...]) -> list[np.ndarray]:
    """against_typical, tall, wide, taller_than_mates, wider_than_mates and crowd, each (n,)."""
    count = len(first.areas)
    typical = float(np.median(first.areas[first.areas >= np.median(first.areas)])) if count else 0.05 * np.prod(photo)
    whole = first.areas > PIECE * typical
    usual = Extents(first.areas[whole], first.boxes[whole])
    usual_size = np.median(usual.sizes, axis=0) if whole.any() else np.array(photo[1::-1]) / 3
    wide, tall = np.log(nodes.sizes / usual_size).T
    wider, taller = _against_mates(nodes, usual, float(usual_size[0]))
    crowd = np.full(len(nodes.areas), np.log1p(count))
    return [np.log(nodes.areas / typical), tall, wide, taller, wider, crowd]


def _against_mates(nodes: Extents, usual: Extents, width: float) -> tuple[np.ndarray, np.ndarray]:
    """Logs (n,) of width and height against the median of what stands beside each node; 0 where nothing does."""
    result = np.zeros((len(nodes.areas), 2))
    if not len(usual.areas):
        return result[:, 0], result[:, 1]
    low = np.maximum(nodes.boxes[:, None, :2], usual.boxes[None, :, :2])
    overlap = np.minimum(nodes.boxes[:, None, 2:], usual.boxes[None, :, 2:]) - low
    heights = np.minimum(nodes.sizes[:, None, 1], usual.sizes[None, :, 1])
    common = np.clip(overlap, 0, None).prod(2)
    same = common > 0.3 * np.minimum(nodes.sizes.prod(1)[:, None], usual.sizes.prod(1)[None])
    mates = (overlap[:, :, 1] > 0.5 * heights) & (overlap[:, :, 0] > -NEAR * width) & ~same
    for node in np.flatnonzero(mates.any(1)):
        result[node] = np.log(nodes.sizes[node] / np.median(usual.sizes[mates[node]], axis=0))
    return result[:, 0], result[:, 1]
