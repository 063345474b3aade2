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
#: What is summed over the pixels of a region, in the order of the columns: place, its squares and product,
#: probability of foreground, distance, the centre that a pixel points to, and the square of how far off that is.
MOMENTS = ("x", "y", "xx", "yy", "xy", "foreground", "distance", "to_x", "to_y", "to_square")
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

    def grouped(self, labels: np.ndarray) -> Extents:
        """The extents of the labels 1..m that regions (n + 1,) int32 have, 0 for those that have none."""
        lowest = np.full((int(labels.max()) + 1, 4), np.inf)
        np.minimum.at(lowest, labels[1:], self.boxes * (1, 1, -1, -1))
        areas = np.bincount(labels[1:], weights=self.areas, minlength=len(lowest))
        return Extents(areas[1:], lowest[1:] * (1, 1, -1, -1))


def extents_of(regions: np.ndarray, areas: np.ndarray) -> Extents:
    """The extents of regions (h, w) int32 with ids 1..n, none left out, whose areas (n,) are known."""
    from scipy.ndimage import find_objects

    found = [(s[1].start, s[0].start, s[1].stop, s[0].stop) for s in find_objects(regions)]
    return Extents(areas.astype(float), np.array(found, float).reshape(-1, 4))


@dataclass(frozen=True)
class Edges:
    """Where neighbouring pixels of regions differ: both ids (e,), and both places (e,) in the flattened picture; beside
    each other first, then below each other."""

    first: np.ndarray
    second: np.ndarray
    at: np.ndarray
    beside: np.ndarray


def edges_of(regions: np.ndarray) -> Edges:
    """The edges of regions (h, w) int32."""
    width = regions.shape[1]
    flat, places = regions.ravel(), []
    for step, differ in ((1, regions[:, 1:] != regions[:, :-1]), (width, regions[1:] != regions[:-1])):
        row, column = np.divmod(np.flatnonzero(differ), differ.shape[1])
        at = row * width + column
        places.append((at, at + step))
    at, beside = (np.concatenate(both) for both in zip(*places, strict=True))
    return Edges(flat[at], flat[beside], at, beside)


@dataclass(frozen=True)
class Inside:
    """Sums over the pixels of regions 1..n.

    areas (n,) in pixels; sums (n, 10) of MOMENTS; deepest (n,) the greatest value of the distance map. weights (n,) and
    centres (n, 2) are sums of weights and of the weighted centres x, y that pixels point to, the middle counting most.
    """

    areas: np.ndarray
    sums: np.ndarray
    deepest: np.ndarray
    weights: np.ndarray
    centres: np.ndarray

    @property
    def foreground(self) -> np.ndarray:
        return self.sums[:, 5]


def inside_of(
    regions: np.ndarray, foreground: np.ndarray, distance: np.ndarray, offset_x: np.ndarray, offset_y: np.ndarray
) -> Inside:
    """The sums of regions (h, w) int32; maps (h, w) float32 as in `grouping.Maps`."""
    runs, where = _Runs.of(regions)
    count = int(runs.ids.max(initial=0)) + 1
    fore, depth, to_x, to_y = (values.ravel()[where] for values in (foreground, distance, offset_x, offset_y))
    y = np.repeat(runs.rows, runs.lengths)
    to_x += (where - y * regions.shape[1]).astype(np.float32)
    to_y += y.astype(np.float32)
    weight = depth + np.float32(0.01)

    def summed(*of_runs: np.ndarray) -> np.ndarray:
        return np.stack([np.bincount(runs.ids, weights=one, minlength=count)[1:] for one in of_runs], 1)

    of_pixels = (fore, depth, to_x, to_y, to_x * to_x + to_y * to_y)
    sums = summed(*runs.moments(), *(runs.sums(values) for values in of_pixels))
    deepest = np.zeros(count, np.float32)
    np.maximum.at(deepest, runs.ids, np.maximum.reduceat(depth, runs.begins) if len(where) else depth)
    return Inside(
        np.bincount(runs.ids, weights=runs.lengths, minlength=count)[1:].astype(np.int64),
        sums,
        deepest[1:],
        summed(runs.sums(weight))[:, 0],
        summed(runs.sums(to_x * weight), runs.sums(to_y * weight)),
    )


@dataclass(frozen=True)
class _Runs:
    """The pixels of regions as r runs along rows, so that sums are taken over a run first.

    begins (r,) is where each begins among the pixels of regions; ids, rows, columns and lengths (r,) int64.
    """

    begins: np.ndarray
    ids: np.ndarray
    rows: np.ndarray
    columns: np.ndarray
    lengths: np.ndarray

    @classmethod
    def of(cls, regions: np.ndarray) -> tuple[_Runs, np.ndarray]:
        """The runs of regions (h, w) int32, and the places (p,) of their pixels in the flattened picture."""
        where = np.flatnonzero(regions)
        new = np.ones(regions.shape, bool)
        np.not_equal(regions[:, 1:], regions[:, :-1], out=new[:, 1:])
        begins = np.flatnonzero(new.ravel()[where])
        rows, columns = np.divmod(where[begins], regions.shape[1])
        ids = regions.ravel()[where[begins]].astype(np.int64)
        return cls(begins, ids, rows, columns, np.diff(begins, append=len(where))), where

    def sums(self, values: np.ndarray) -> np.ndarray:
        """The sum (r,) float64 over each run of values (p,)."""
        return np.add.reduceat(values, self.begins, dtype=np.float64) if len(values) else np.zeros(0)

    def moments(self) -> tuple[np.ndarray, ...]:
        """Sums (r,) of x, y, x², y² and xy over the pixels of each run."""
        first, n, y = self.columns, self.lengths, self.rows
        steps = n * (n - 1) // 2
        x = n * first + steps
        squares = n * first * first + 2 * first * steps + steps * (2 * n - 1) // 3
        return x, n * y, squares, n * y * y, y * x


def measures(tree: MergeTree, regions: np.ndarray, first: np.ndarray, pixels: Inside, edges: Edges) -> np.ndarray:
    """MEASURES (n, 24) float32 of the nodes of a tree over regions (h, w) int32.

    `first` (leaves + 1,) int32 is a first grouping of the regions, by thresholds: what is usual in the photo.
    """
    of_regions = extents_of(regions, pixels.areas)
    ends = tree.summed(of_regions.boxes * (1, 1, -1, -1), np.minimum)
    nodes = Extents(tree.summed(of_regions.areas), ends * (1, 1, -1, -1))
    inside = _inside(tree, pixels, nodes.areas)
    around = _around(tree, regions, edges, nodes.areas)
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
        *_against_others(nodes, of_regions.grouped(first), regions.shape),
        tree.next - tree.inner,
    ]
    return np.stack(columns, 1).astype(np.float32)


def _inside(tree: MergeTree, pixels: Inside, areas: np.ndarray) -> list[np.ndarray]:
    """Foreground, distance, deepest, spread, off_centre, rectangular and elongation, each (n,)."""
    mean = tree.summed(pixels.sums).T / areas
    deepest = tree.summed(pixels.deepest, np.maximum)
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


def _around(tree: MergeTree, regions: np.ndarray, edges: Edges, areas: np.ndarray) -> list[np.ndarray]:
    """Shares of the outline beside the ground and beside others, and the run along the photo's rim, each (n,)."""
    # an edge to the ground has one id, the other is 0
    open_edges = np.where(np.minimum(edges.first, edges.second) == 0, edges.first + edges.second, 0)
    ground = np.bincount(open_edges, minlength=tree.leaves + 1)
    rim = sum(
        np.bincount(edge, minlength=tree.leaves + 1)
        for edge in (regions[0], regions[-1], regions[:, 0], regions[:, -1])
    )
    # The rim counts as ground as well: nothing is seen beyond it.
    grounds, rims = tree.summed((ground + rim)[1:].astype(float)), tree.summed(np.asarray(rim, float)[1:])
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
    some = np.flatnonzero(mates.any(1))
    result[some] = np.log(nodes.sizes[some] / _medians(mates[some], usual.sizes))
    return result[:, 0], result[:, 1]


def _medians(chosen: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The medians (n, k) of those values (m, k) that are `chosen` (n, m) bool, one at least in each row."""
    half = chosen.sum(1)
    found = np.empty((len(chosen), values.shape[1]))
    for column, of_column in enumerate(values.T):
        order = np.argsort(of_column, kind="stable")
        upto = np.cumsum(chosen[:, order], axis=1)
        low, high = ((upto > at[:, None]).argmax(1) for at in ((half - 1) // 2, half // 2))
        found[:, column] = (of_column[order[low]] + of_column[order[high]]) / 2
    return found
