"""The classical methods by name, with the values that tuning tries for their knobs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np

from retail_seg.segmentation.classical import edges, forest, regions, thresholds
from retail_seg.segmentation.classical.steps import Steps, remove_noise, tidy
from retail_seg.segmentation.instances.enlarging import enlarged
from retail_seg.segmentation.instances.instances import Instances
from retail_seg.segmentation.segmenter import working_size

#: Classical methods work on a photo whose longer side is this many pixels long.
SIDE = 480
#: A function photo ► mask or instances, its knobs as keyword arguments.
Find = Callable[..., np.ndarray]
#: A photo (h, w, 3) RGB uint8 of working size and its labels (h, w) int32.
LabelledPhoto = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Method:
    """A method: what it is called, how it finds, and the values of each knob that tuning tries.

    `learn` makes the function from annotated samples, for a method that has to learn first.
    """

    name: str
    title: str
    find: Find | None
    knobs: Mapping[str, Sequence[Any]]
    learn: Callable[[Sequence[LabelledPhoto]], Find] | None = None


@dataclass(frozen=True)
class TunedMethod:
    """A method with its knobs set; `segment` takes any photo apart."""

    method: Method
    find: Find
    knobs: dict[str, Any] = field(default_factory=dict)
    steps: Steps = field(default_factory=Steps)

    def labels(self, photo: np.ndarray) -> np.ndarray:
        """Instances (h, w) int32 of a photo of working size, see SIDE."""
        return tidy(self.find(remove_noise(photo, self.steps.noise), **self.knobs), self.steps)

    def segment(self, photo: np.ndarray) -> Instances:
        """Instances of an upright RGB uint8 photo (H, W, 3) in its own pixels."""
        height, width = photo.shape[:2]
        labels = self.labels(at_working_size(photo))
        inside = cv2.resize((labels > 0).astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR) > 0.5
        return enlarged(labels, inside, np.ones(int(labels.max()), np.float32))


def at_working_size(photo: np.ndarray) -> np.ndarray:
    """The photo with its longer side SIDE pixels long."""
    height, width = working_size(photo.shape[0], photo.shape[1], SIDE)
    shrinking = height < photo.shape[0]
    return cv2.resize(photo, (width, height), interpolation=cv2.INTER_AREA if shrinking else cv2.INTER_LINEAR)


_CHANNEL = {"channel": thresholds.CHANNELS}
_EDGES = {"level": (0.4, 0.7, 1.0, 1.4), "gap": (2, 4, 8, 14)}

#: Every classical method by its name, in the order of an introduction to the field.
METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method("mean", "Threshold at the mean", thresholds.mean_threshold, _CHANNEL),
        Method("otsu", "Otsu's threshold", thresholds.otsu, _CHANNEL),
        Method("multi-otsu", "Several thresholds (multi-Otsu)", thresholds.multi_otsu,
               {**_CHANNEL, "classes": (3, 4)}),
        Method("local", "Local adaptive threshold", thresholds.local_threshold,
               {**_CHANNEL, "window": (0.15, 0.4, 0.8, 1.5), "offset": (-20.0, -8.0, 0.0, 8.0)}),
        Method("histogram", "Histogram: all but the greatest peak", thresholds.histogram_peak,
               {**_CHANNEL, "smooth": (2.0, 4.0, 8.0), "floor": (0.002, 0.01, 0.05)}),
        Method("k-means", "k-means on colour", regions.kmeans, {"k": (2, 3, 4, 5, 6)}),
        Method("sobel-h", "Sobel, horizontal edges", edges.sobel_horizontal, _EDGES),
        Method("sobel-v", "Sobel, vertical edges", edges.sobel_vertical, _EDGES),
        Method("sobel", "Sobel, magnitude", edges.sobel, _EDGES),
        Method("laplace", "Laplace (of a Gaussian)", edges.laplace, {**_EDGES, "sigma": (1.5, 3.0)}),
        Method("canny", "Canny", edges.canny,
               {"sigma": (1.0, 2.0, 3.0), "high": (0.8, 0.87, 0.93), "gap": (2, 4, 8, 14)}),
        Method("watershed", "Watershed from markers", regions.watershed_from_markers,
               {**_CHANNEL, "sure": (0.3, 0.5, 0.7, 0.85), "apart": (0.02, 0.05, 0.1)}),
        Method("grabcut", "GrabCut", regions.grabcut, {"rounds": (1, 4), "margin": (0.01, 0.04)}),
        Method("forest", "Random forest on pixels", None, {"sure": (0.35, 0.5, 0.65, 0.8)}, forest.fit_forest),
    )
}  # fmt: skip
