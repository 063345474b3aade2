"""Facings vote: near-identical crops beside each other in one photo are one product seen several times.

How alike two crops are says how likely they show one product, and so how much one's answer says of the other. A
neighbour that agrees lifts an answer. A vote does not overturn one: look-alikes side by side are often two flavours,
and where a vote would have changed the first answer, the crop's own was right twice as often. Such a crop keeps its
answer and is marked as an odd one out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: Cosine of raw vectors at which two crops beside each other are one product as likely as not, how fast that changes
#: with it, and what it never exceeds.
EVEN, WIDTH, MOST = 0.86, 0.04, 0.97
#: The share of a neighbour's evidence that is new: light, lens and references are common to both.
NEW = 0.8
#: How far apart, in widths (heights) of the smaller one, boxes beside (above) each other may be, and how much of its
#: height (width) they share.
GAP, SHARED = 0.5, 0.6
#: Sides of two facings of one product differ by less than this factor.
SIZE = 1.4


@dataclass(frozen=True)
class Pooled:
    """What crops of one photo are after their vote.

    probabilities  float (n, k + 1): of each owner of `owners` and, last, of none of them; rows sum to one
    owners         int64 (k,)
    odd            bool (n,): its neighbours say another product than the crop itself does
    """

    probabilities: np.ndarray
    owners: np.ndarray
    odd: np.ndarray


def links(vectors: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """How probably two crops of a photo are facings of one product, float (n, n), 0 where they are not neighbours.

    `vectors` (n, d) are raw unit vectors, `boxes` (n, 4) x, y, width, height in pixels.
    """
    alike = 1 / (1 + np.exp(-(vectors @ vectors.T - EVEN) / WIDTH))
    found = np.minimum(alike, MOST) * beside(boxes)
    np.fill_diagonal(found, 0.0)
    return found


def beside(boxes: np.ndarray) -> np.ndarray:
    """Whether boxes (n, 4) x, y, width, height of one size stand beside or above each other, bool (n, n)."""
    boxes = np.asarray(boxes, float).reshape(-1, 4)
    low, size = boxes[:, :2], np.maximum(boxes[:, 2:], 1e-9)
    high = low + size
    lesser = np.minimum(size[:, None], size[None])
    overlap = np.minimum(high[:, None], high[None]) - np.maximum(low[:, None], low[None])
    level, close = overlap >= SHARED * lesser, overlap >= -GAP * lesser
    alike = (np.maximum(size[:, None], size[None]) <= SIZE * lesser).all(axis=2)
    return alike & ((level[..., 1] & close[..., 0]) | (level[..., 0] & close[..., 1]))


def pooled(owners: np.ndarray, probabilities: np.ndarray, linked: np.ndarray) -> Pooled:
    """The vote of crops whose candidates are `owners` int64 (n, k), -1 for no more, with their `probabilities`
    (n, k + 1), the last that of none of them; `linked` (n, n) as `links` gives it.

    A neighbour that is probably the same product speaks with its own answer, one that is probably not says nothing.
    Every crop hears its neighbours' own answers once, so no evidence goes round in a circle. What a crop does not name
    among its candidates it deems as unlikely as the least of them.
    """
    named, own = _spread(owners, probabilities)
    nothing = 1 / own.shape[1]
    logs = np.log(own)
    for crop, neighbour in zip(*np.nonzero(linked > 0), strict=True):
        same = linked[crop, neighbour]
        logs[crop] += NEW * np.log(same * own[neighbour] + (1 - same) * nothing)
    vote = np.exp(logs - logs.max(axis=1, keepdims=True)) if len(logs) else logs
    vote /= vote.sum(axis=1, keepdims=True)
    odd = own.argmax(axis=1) != vote.argmax(axis=1)
    return Pooled(np.where(odd[:, None], own, vote), named, odd)


def _spread(owners: np.ndarray, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All owners (m,) that any crop names, and what each crop gives each of them (n, m + 1), none of them last."""
    named = np.unique(owners[owners >= 0])
    there = owners >= 0
    least = np.where(there, probabilities[:, :-1], np.inf).min(axis=1, initial=1.0)
    least = np.minimum(np.maximum(least, 1e-6), 1e-3)
    table = np.repeat(least[:, None], len(named) + 1, axis=1)
    row, column = np.nonzero(there)
    table[row, np.searchsorted(named, owners[row, column])] = np.maximum(probabilities[row, column], 1e-6)
    table[:, -1] = np.maximum(probabilities[:, -1], 1e-6)
    return named, table / table.sum(axis=1, keepdims=True)
