"""Photos ► measured instances: a model's or annotated ones, with the scale given or read from a marker."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from retail_seg.photos.load import load_photo
from retail_seg.report import safe_cell
from retail_seg.segmentation.annotations import AnnotatedPhoto, read_annotations
from retail_seg.segmentation.instances.instances import Instances
from retail_seg.segmentation.instances.markers import find_scale
from retail_seg.segmentation.instances.measurements import measure, without
from retail_seg.segmentation.instances.merged import merged_flags


@dataclass
class PhotoMeasurer:
    """Measures photos; `problems` are what annotations were lost on the way."""

    photos: list[Path]
    instances_of: Callable[[Path, np.ndarray], Instances]
    mm_per_px: float | None = None
    marker_mm: float | None = None
    problems: list[str] = field(default_factory=list)

    @classmethod
    def over(
        cls,
        photos: Sequence[Path],
        annotations: Path | None,
        model: Path | None,
        mm_per_px: float | None = None,
        marker_mm: float | None = None,
    ) -> PhotoMeasurer:
        """Over the annotated ones of `photos`, or over all, segmented by the model in `model` (None: the shipped)."""
        if annotations is not None:
            loaded, stream = read_annotations(photos, annotations)
            by_path = {photo.path: photo for photo in stream}
            problems = loaded.problems + [f"{path}: has no annotation in {annotations}" for path in loaded.unannotated]
            return cls(list(by_path), _annotated_instances(by_path), mm_per_px, marker_mm, problems)
        from retail_seg.store.networks import load_segmenter

        segmenter = load_segmenter(model)
        return cls(list(photos), lambda _, photo: segmenter.segment(photo), mm_per_px, marker_mm)

    def measure(self, path: Path) -> dict[str, Any]:
        """One photo's instances, its scale and its size distribution, ready for JSON.

        Raises PhotoError where the photo cannot be read, or has no marker although one should lie in it.
        """
        photo = load_photo(path)
        instances = self.instances_of(path, photo)
        scale, origin, notes = self.mm_per_px, "given", []
        if self.marker_mm is not None:
            marker = find_scale(photo, self.marker_mm, str(path))
            scale, origin = marker.mm_per_px, "marker"
            instances = without(instances, marker.covers(instances))
            if marker.tilted:
                tilt = f"the marker's sides differ by {marker.spread:.0%}"
                notes.append(f"{path}: {tilt}, so sizes are off by as much; hold the camera straight above")
        sizes = measure(instances)
        rows = sizes.rows(scale)
        for row, merged in zip(rows, merged_flags(instances), strict=True):
            row["merged"] = bool(merged)
        return {
            "image": str(path),
            "width": photo.shape[1],
            "height": photo.shape[0],
            "mm_per_px": None if scale is None else round(scale, 6),
            "scale_from": None if scale is None else origin,
            "instances": rows,
            "distribution": sizes.distribution(scale),
            "notes": notes,
        }


def write_rows_csv(measured: Iterable[Mapping[str, Any]], file: TextIO) -> None:
    """A row an instance, the photo's name first."""
    rows = [{"image": safe_cell(photo["image"]), **row} for photo in measured for row in photo["instances"]]
    table = csv.DictWriter(file, list(rows[0]) if rows else ["image", "id"], lineterminator="\n")
    table.writeheader()
    table.writerows(rows)


def _annotated_instances(by_path: Mapping[Path, AnnotatedPhoto]) -> Callable[[Path, np.ndarray], Instances]:
    return lambda path, _: Instances.from_labels(by_path[path].labels)
