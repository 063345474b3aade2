"""Foreground ► regions: a marker for every peak of an energy, and watershed only where markers share a foreground part.

A connected part of the foreground that holds one marker is that marker's, whole: of packs that stand apart nearly all
are. What is above each level is numbered once; which marker falls apart into which is then a matter of numbers.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from importlib import import_module

import cv2
import numpy as np

#: Levels of the energy at which a marker may fall apart into several.
LEVELS = (0.25, 0.4, 0.55, 0.7)
#: A part of a marker smaller than this (working pixels) starts no region of its own.
MIN_MARKER = 12


def import_ahead() -> None:
    """Import the watershed in a thread of its own, beside a network that is read: a first photo would wait for it as
    long as for its whole grouping, and more."""
    threading.Thread(target=lambda: import_module("skimage.segmentation").watershed, name="import").start()


@dataclass(frozen=True)
class _Parts:
    """Connected parts of what is above one level.

    labels (h, w) int32; boxes (n, 4) x, y, width, height; ids: the labels of parts of at least MIN_MARKER pixels.
    """

    labels: np.ndarray
    boxes: np.ndarray
    ids: np.ndarray

    @classmethod
    def of(cls, mask: np.ndarray) -> _Parts:
        _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=4, ltype=cv2.CV_32S)
        return cls(labels, stats[:, :4], np.flatnonzero(stats[1:, cv2.CC_STAT_AREA] >= MIN_MARKER) + 1)

    def within(self, lower: _Parts) -> np.ndarray:
        """For each of `ids` the label of the part of a lower level in which it lies."""
        mine, theirs = self.labels.ravel(), lower.labels.ravel()
        begins = np.append(np.flatnonzero(mine[1:] != mine[:-1]) + 1, 0)  # one pixel of every run is enough
        holder = np.zeros(len(self.boxes), np.int64)
        holder[mine[begins]] = theirs[begins]
        return holder[self.ids]


@dataclass(frozen=True)
class _Markers:
    """Markers 1..m as parallel arrays (m,): the level whose part each is (0: the foreground), that part's label, and
    the label of the part of the foreground in which it lies."""

    level: np.ndarray
    part: np.ndarray
    home: np.ndarray

    def of_level(self, level: int, parts: _Parts) -> np.ndarray:
        """For the labels (n,) of a level's parts the marker 1..m that each is, 0 for none."""
        table = np.zeros(len(parts.boxes), np.int32)
        mine = np.flatnonzero(self.level == level)
        table[self.part[mine]] = mine + 1
        return table


def flood(energy: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Regions (h, w) int32 1..n of a mask (h, w) bool, one for each marker in an energy (h, w) float32.

    Watershed after Beucher and Lantuéjoul (1979), from the highest energy down.
    """
    parts = [_Parts.of(mask)]
    markers = _markers(energy, mask, parts)
    many = np.bincount(markers.home, minlength=len(parts[0].boxes))
    alone = np.flatnonzero(many[markers.home] == 1)
    owner = np.zeros(len(many), np.int32)
    owner[markers.home[alone]] = alone + 1
    regions = owner[parts[0].labels]
    tables = [markers.of_level(level, one) for level, one in enumerate(parts)]
    for home in np.flatnonzero(many > 1):
        x, y, w, h = parts[0].boxes[home]
        window = np.s_[y : y + h, x : x + w]
        inside = parts[0].labels[window] == home
        # a pixel is of one marker at most, so of all levels only one has a number for it
        levels = np.unique(markers.level[markers.home == home]).tolist()
        seeds = sum(tables[level][parts[level].labels[window]] for level in levels)
        np.copyto(regions[window], _shared_out(energy[window], seeds, inside), where=inside)
    return regions


def _shared_out(energy: np.ndarray, seeds: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """The pixels `inside` (h, w) bool shared out among seeds (h, w) int32.

    A pixel of a seed whose neighbours are all of the same seed floods nothing: the watershed does without it.
    """
    from skimage.segmentation import watershed  # see import_ahead

    inner = seeds > 0
    for one, other in ((np.s_[1:], np.s_[:-1]), (np.s_[:, 1:], np.s_[:, :-1])):
        same = seeds[one] == seeds[other]
        inner[one] &= same
        inner[other] &= same
    seeds_of_inner = seeds[inner]
    seeds = np.where(inner, 0, seeds)
    flooded = np.asarray(watershed(-energy, seeds, mask=inside & ~inner), np.int32)
    flooded[inner] = seeds_of_inner
    return flooded


def _markers(energy: np.ndarray, mask: np.ndarray, parts: list[_Parts]) -> _Markers:
    """One marker per peak: parts at rising levels, a part replaced by those within it where it falls apart.

    What never reaches the lowest level (slivers, faint things) gets a marker per part of the mask. `parts`, those of
    the mask, is continued by those of the levels that were looked at.
    """
    parts.append(_Parts.of(mask & (energy > LEVELS[0])))
    ids, homes = parts[1].ids, parts[1].within(parts[0])
    faint = np.setdiff1d(parts[0].ids, homes)
    markers = _Markers(np.repeat([1, 0], [len(ids), len(faint)]), np.append(ids, faint), np.append(homes, faint))
    holder = markers.of_level(1, parts[1])
    for level in range(2, len(LEVELS) + 1):
        parts.append(_Parts.of(mask & (energy > LEVELS[level - 1])))
        if not len(parts[level].ids):
            break
        markers, holder = _fallen_apart(markers, parts[level], holder[parts[level].within(parts[level - 1])] - 1, level)
    return markers


def _fallen_apart(markers: _Markers, parts: _Parts, within: np.ndarray, level: int) -> tuple[_Markers, np.ndarray]:
    """The markers once those that hold several parts of a level gave way to these, and for every label of a part the
    marker 1..m that then holds it; `within` (k,) is the marker, counted from 0, that holds each of `parts.ids`."""
    apart = np.bincount(within, minlength=len(markers.part)) > 1
    new = apart[within]
    grown = _Markers(
        np.append(markers.level[~apart], np.full(int(new.sum()), level)),
        np.append(markers.part[~apart], parts.ids[new]),
        np.append(markers.home[~apart], markers.home[within[new]]),
    )
    kept = np.cumsum(~apart)
    holder = np.zeros(len(parts.boxes), np.int32)
    holder[parts.ids] = np.where(new, (~apart).sum() + np.cumsum(new), kept[within])
    return grown, holder
