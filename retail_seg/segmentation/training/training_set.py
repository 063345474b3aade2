"""The photos of a training: from a folder and its annotations, or from a manifest that says what each is for."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from retail_seg.errors import ManifestError
from retail_seg.segmentation.annotations import AnnotatedPhoto
from retail_seg.segmentation.training.manifest import (
    HELD_BACK,
    TEST,
    Manifest,
    manifest_of,
    open_manifest,
    read_manifest,
)
from retail_seg.segmentation.training.selection import select_annotated


@dataclass(frozen=True)
class TrainingSet:
    """`annotated` photos to train on, `tested` ones that no training sees, and the manifest of both.

    `hold_back` is what `training.train` takes: True where the training may draw the photos itself. `problems` say what
    was lost of the photos meant, `notes` what else was seen.
    """

    manifest: Manifest
    annotated: list[AnnotatedPhoto]
    tested: list[AnnotatedPhoto] = field(default_factory=list)
    hold_back: bool | frozenset[Path] = True
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def set_of_photos(folder: Path, annotations: Path, names: Path | None = None) -> TrainingSet:
    """All annotated photos of a folder, or those that a list names; see `selection.select_annotated` for its errors."""
    selection = select_annotated(folder, annotations, names)
    manifest = manifest_of(selection.annotated, annotations, name=f"{folder} with {annotations}")
    return TrainingSet(manifest, selection.annotated, problems=selection.problems, notes=selection.notes)


def set_of_manifest(path: Path) -> TrainingSet:
    """The photos of a manifest, unchanged since it was made; ManifestError names what is missing or has changed."""
    manifest = read_manifest(path)
    everything = open_manifest(manifest)
    tests, held = set(manifest.photos(TEST)), frozenset(manifest.photos(HELD_BACK))
    annotated = [one for one in everything if one.path not in tests]
    if not annotated:
        raise ManifestError(f'{path}: has no photo to train on; give some the split "train"')
    return TrainingSet(manifest, annotated, [one for one in everything if one.path in tests], held)
