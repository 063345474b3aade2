"""Facings that nobody has named, of a list or of photos ► clusters of look-alikes, and what each may be."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from index.clustering import look_alikes, unwatched
from index.laid_over import small
from index.rerank import FEATURE_SIDE, decode_features, local_features
from index.sameness import Crops, OnPairs
from index.views import Crop
from retail_seg.errors import PhotoError
from retail_seg.people.roles import require
from retail_seg.photos.load import PhotoSource, shrink
from retail_seg.products import browsing
from retail_seg.store.crop_lists import LabelledCrop, load_crops
from retail_seg.store.embedding import BATCH, embed_views
from retail_seg.store.enrolment import REFERENCE_SIDE

if TYPE_CHECKING:
    from retail_seg.matcher import Matcher

#: So many of a cluster's facings, the largest, say what of the catalogue it may be.
ASKED = 3
#: Least probability of a proposal.
PROPOSED = 0.2


@dataclass(frozen=True, eq=False)
class Unnamed:
    """A crop that is to be grouped: what it is called in answers, its photo's number, its box x, y, width, height (None
    for a whole picture), and the crop with its mask, as small as it is compared.
    """

    item: Any
    photo: int
    box: tuple[int, int, int, int] | None
    view: Crop


@dataclass(frozen=True)
class Offer:
    """A product of the catalogue that a cluster may show, and how probably."""

    sku: str
    name: str
    probability: float

    def to_dict(self) -> dict[str, Any]:
        """As plain values."""
        return {"sku": self.sku, "name": self.name, "probability": round(self.probability, 4)}


@dataclass(frozen=True)
class Cluster:
    """Facings that look alike, by their rows, and what they may be (None: nothing of the catalogue)."""

    rows: tuple[int, ...]
    proposal: Offer | None

    def to_dict(self, number: int, facings: Sequence[Unnamed]) -> dict[str, Any]:
        """As plain values, with the cluster's number."""
        proposal = self.proposal.to_dict() if self.proposal else None
        items = [facings[row].item for row in self.rows]
        return {"cluster": number, "items": items, "size": len(items), "proposal": proposal}


#: Wraps things that are read, with their number, to show progress.
OnReading = Callable[[Iterable[Any], int], Iterable[Any]]


def facings_of_list(
    matcher: Matcher, rows: Sequence[LabelledCrop], on_reading: OnReading = unwatched
) -> tuple[list[Unnamed], np.ndarray, list[PhotoError]]:
    """The pictures or boxes that a list names, called by their row's number: facings, their raw vectors (n, dim), and
    the errors of the rest.
    """
    require("staff")
    photos = {path: at for at, path in enumerate(dict.fromkeys(row.path for row in rows))}
    facings: list[Unnamed] = []
    errors: list[PhotoError] = []
    parts = [np.zeros((0, matcher.embedder.dim), np.float32)]
    waiting: list[Crop] = []
    for at, crop in on_reading(load_crops(rows, REFERENCE_SIDE), len(rows)):
        if isinstance(crop, PhotoError):
            errors.append(crop)
            continue
        waiting.append((crop, None))
        facings.append(Unnamed(at, photos[rows[at].path], rows[at].box, as_compared((crop, None))))
        if len(waiting) == BATCH:
            parts.append(embed_views(matcher.embedder, waiting))
            waiting = []
    parts.append(embed_views(matcher.embedder, waiting))
    return facings, np.concatenate(parts), errors


def facings_of_photos(
    matcher: Matcher, photos: Sequence[Path], on_reading: OnReading = unwatched, side: int | None = None
) -> tuple[list[Unnamed], np.ndarray, list[PhotoError]]:
    """The instances of photos, called by image and box: facings, their raw vectors (n, dim), and the errors of photos
    that cannot be read.
    """
    require("staff")
    sources: Sequence[PhotoSource] = photos
    facings: list[Unnamed] = []
    errors: list[PhotoError] = []
    parts = [np.zeros((0, matcher.embedder.dim), np.float32)]
    for number, found in enumerate(on_reading(matcher.scan_each(sources, side=side), len(photos))):
        if isinstance(found, PhotoError):
            errors.append(found)
            continue
        parts.append(found.vectors)
        for line, view in zip(found.report.instances, found.seen.views, strict=True):
            item = {"image": found.report.image, "box": list(line.box)}
            facings.append(Unnamed(item, number, line.box, as_compared(view)))
    return facings, np.concatenate(parts), errors


def discover(
    matcher: Matcher, facings: Sequence[Unnamed], vectors: np.ndarray, on_pairs: OnPairs = unwatched
) -> list[Cluster]:
    """Clusters of facings with raw vectors (n, dim) float32, the largest first; every facing is in one.

    Purity and numbers of groups that were measured stand in `index.clustering`.
    """
    require("staff")
    groups = look_alikes(compared_as(facings, vectors), on_pairs)
    return [Cluster(tuple(rows.tolist()), proposed(matcher, _largest(facings, rows))) for rows in groups]


def compared_as(facings: Sequence[Unnamed], vectors: np.ndarray) -> Crops:
    """Facings as they are compared with each other."""
    boxes = np.array([one.box or (0, 0, 0, 0) for one in facings], float).reshape(-1, 4)
    return Crops(
        vectors,
        [decode_features(local_features(*one.view)) for one in facings],
        [small(one.view[0]) for one in facings],
        np.array([one.photo for one in facings], int),
        boxes,
    )


def as_compared(view: Crop) -> Crop:
    """A crop with its mask, no larger than its local features are sought at."""
    crop, mask = view
    less = np.ascontiguousarray(shrink(crop, FEATURE_SIDE))
    if mask is None or less.shape == crop.shape:
        return less.copy() if less.base is not None else less, mask
    rows = np.arange(less.shape[0]) * crop.shape[0] // less.shape[0]
    columns = np.arange(less.shape[1]) * crop.shape[1] // less.shape[1]
    return less, mask[np.ix_(rows, columns)]


def proposed(matcher: Matcher, views: Sequence[Crop]) -> Offer | None:
    """What the catalogue calls crops of one product, taken together; None where they are probably none of it."""
    if browsing.is_empty(matcher):
        return None
    chances: dict[tuple[str, str], float] = {}
    for found in matcher.match([crop for crop, _ in views], masks=[mask for _, mask in views]):
        for one in found.matches:
            chances[one.sku, one.name] = chances.get((one.sku, one.name), 0.0) + one.probability / len(views)
    (sku, name), most = max(chances.items(), key=lambda each: each[1], default=(("", ""), 0.0))
    return Offer(sku, name, most) if most >= PROPOSED else None


def _largest(facings: Sequence[Unnamed], rows: np.ndarray) -> list[Crop]:
    return [facings[row].view for row in sorted(rows.tolist(), key=lambda row: -facings[row].view[0].size)[:ASKED]]
