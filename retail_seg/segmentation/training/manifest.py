"""A training set on record: which photos with which annotations, by their content, and what each is for.

A manifest is a JSON file. Paths in it are relative to its own folder, so a folder of photos, annotations and manifest
can be moved as a whole; in a model folder, which is copied alone, they are absolute. A photo counts as the same by the
SHA-256 of its file, an annotation by the SHA-256 of its ids, so the same outlines in another format are the same.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from retail_seg.errors import ManifestError
from retail_seg.segmentation.annotations import AnnotatedPhoto, read_annotations
from retail_seg.segmentation.boxes import Box
from retail_seg.system.files import replace_file

#: Version of the file's layout.
FORMAT = 1
#: What a photo is for: trained on; scored on and trained on at last; scored on and never trained on.
TRAIN, HELD_BACK, TEST = SPLITS = ("train", "held-back", "test")
#: From this many photos on, every fifth is held back to score and to tune on.
HOLD_BACK_FROM = 5
#: A message names so many files, and counts the others.
NAMED = 5


@dataclass(frozen=True)
class ManifestEntry:
    """One photo: its path, the SHA-256 of its file and of its annotation's ids, and one of SPLITS."""

    photo: Path
    sha256: str
    annotation_sha256: str
    instances: int
    split: str = TRAIN


@dataclass(frozen=True)
class Manifest:
    """Photos in their order, and the file or folder that annotates them; `name` is what messages call it."""

    annotations: Path
    entries: tuple[ManifestEntry, ...]
    name: str = "manifest"

    @property
    def fingerprint(self) -> str:
        """Twelve hexadecimal digits that change with any photo, annotation or split; names and order do not matter."""
        parts = sorted((e.sha256, e.annotation_sha256, e.split) for e in self.entries)
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]

    def photos(self, *splits: str) -> list[Path]:
        """Paths of the photos of these splits, of all without any."""
        return [e.photo for e in self.entries if not splits or e.split in splits]

    def counts(self) -> dict[str, int]:
        """Number of photos in each of SPLITS."""
        return {split: len(self.photos(split)) for split in SPLITS}

    def with_held_back(self, names: Collection[str]) -> Manifest:
        """The same set after a training that held back the photos of these names (stems)."""
        entries = tuple(
            e if e.split == TEST else replace(e, split=HELD_BACK if e.photo.stem in names else TRAIN)
            for e in self.entries
        )
        return replace(self, entries=entries)


def held_back(n: int, seed: int) -> list[int]:
    """Indices of the photos to hold back: a fifth, at most four, none where there are fewer than HOLD_BACK_FROM."""
    if n < HOLD_BACK_FROM:
        return []
    order = np.random.default_rng((seed, 2)).permutation(n)
    return sorted(int(i) for i in order[: min(n // 5, 4)])


def manifest_of(annotated: Sequence[AnnotatedPhoto], annotations: Path, *, name: str = "manifest") -> Manifest:
    """The manifest of annotated photos, all of them to be trained on."""
    return Manifest(annotations.absolute(), tuple(_entry(one) for one in annotated), name)


def split(manifest: Manifest, *, test_share: float = 0.0, seed: int = 0) -> Manifest:
    """Draw what each photo is for: `test_share` (0..1) of them for tests, and of the others what is held back.

    The same photos and seed give the same split. Raises ManifestError for a share that leaves nothing to train on.
    """
    total = len(manifest.entries)
    tests = round(test_share * total)
    if not 0 <= test_share < 1 or (test_share and not 0 < tests < total):
        raise ManifestError(f"a test share of {test_share:g} of {total} photos leaves none to test or to train on")
    order = [int(i) for i in np.random.default_rng((seed, 5)).permutation(total)]
    kinds = dict.fromkeys(order[:tests], TEST)
    rest = sorted(order[tests:])
    kinds |= {rest[i]: HELD_BACK for i in held_back(len(rest), seed)}
    entries = tuple(replace(e, split=kinds.get(i, TRAIN)) for i, e in enumerate(manifest.entries))
    return replace(manifest, entries=entries)


def write_manifest(manifest: Manifest, path: Path, *, relative: bool = True) -> None:
    """Write the file, whole or not at all; raises ManifestError where it cannot be written."""
    base = path.absolute().parent if relative else None
    values = {
        "format": FORMAT, "fingerprint": manifest.fingerprint, "annotations": _path(manifest.annotations, base),
        "photos": [{**asdict(e), "photo": _path(e.photo, base)} for e in manifest.entries],
    }  # fmt: skip
    try:
        replace_file(path, (json.dumps(values, indent=1, ensure_ascii=False) + "\n").encode())
    except OSError as error:
        raise ManifestError(f"{path}: cannot be written ({error.strerror or error}); choose another place") from None


def read_manifest(path: Path) -> Manifest:
    """The manifest in a file; raises ManifestError where it is missing, damaged or of another version."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(values, dict) or values.get("format") != FORMAT:
            raise ManifestError(f"{path}: is no manifest of format {FORMAT}; make one with `retail-seg manifest`")
        base = path.absolute().parent
        entries = tuple(_read_entry(value, base) for value in values["photos"])
        return Manifest(_absolute(values["annotations"], base), entries, str(path))
    except OSError as error:
        raise ManifestError(f"{path}: cannot be read ({error.strerror or error}); give a manifest's file") from None
    except (ValueError, KeyError, TypeError) as error:
        raise ManifestError(f"{path}: is damaged ({error}); make it again with `retail-seg manifest`") from None


def open_manifest(manifest: Manifest) -> list[AnnotatedPhoto]:
    """The annotated photos of a manifest in its order, each as it was when the manifest was made.

    Raises ManifestError with one sentence that names the photos and annotations that are missing or have changed.
    """
    lost = {e.photo: fault for e in manifest.entries if (fault := _photo_fault(e))}
    if not manifest.annotations.exists():
        raise ManifestError(_sentence(manifest, [f"{manifest.annotations} is missing", *_faults(lost)]))
    _, stream = read_annotations([e.photo for e in manifest.entries if e.photo not in lost], manifest.annotations)
    found = {one.path: one for one in stream}
    for entry in manifest.entries:
        if entry.photo not in lost and (fault := _annotation_fault(entry, found.get(entry.photo))):
            lost[entry.photo] = fault
    if lost:
        raise ManifestError(_sentence(manifest, _faults(lost)))
    return [found[e.photo] for e in manifest.entries]


def file_hash(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def labels_hash(labels: np.ndarray, boxes: Mapping[int, Box] | None = None) -> str:
    """SHA-256 of instance ids (H, W), whatever their type, and of the boxes that some of them are."""
    values = np.ascontiguousarray(labels, "<i4")
    given = str([(n, [round(v, 1) for v in box]) for n, box in sorted(boxes.items())]) if boxes else ""
    return hashlib.sha256(str(values.shape).encode() + values.tobytes() + given.encode()).hexdigest()


def _entry(one: AnnotatedPhoto) -> ManifestEntry:
    return ManifestEntry(one.path.absolute(), file_hash(one.path), labels_hash(one.labels, one.boxes), len(one.ids))


def _read_entry(value: Mapping[str, Any], base: Path) -> ManifestEntry:
    entry = ManifestEntry(
        _absolute(value["photo"], base), str(value["sha256"]), str(value["annotation_sha256"]),
        int(value["instances"]), value["split"],
    )  # fmt: skip
    if entry.split not in SPLITS:
        raise ValueError(f"split {entry.split!r} of {entry.photo.name} is none of {', '.join(SPLITS)}")
    return entry


def _photo_fault(entry: ManifestEntry) -> str:
    try:
        return "" if file_hash(entry.photo) == entry.sha256 else "has changed"
    except FileNotFoundError:
        return "is missing"
    except OSError as error:
        return f"cannot be read ({error.strerror or error})"


def _annotation_fault(entry: ManifestEntry, found: AnnotatedPhoto | None) -> str:
    if found is None:
        return "is no longer annotated"
    return "" if labels_hash(found.labels, found.boxes) == entry.annotation_sha256 else "has another annotation"


def _faults(lost: Mapping[Path, str]) -> Iterable[str]:
    return (f"{path} {fault}" for path, fault in lost.items())


def _sentence(manifest: Manifest, faults: Sequence[str] | Iterable[str]) -> str:
    known = list(faults)
    more = f" and {len(known) - NAMED} more" if len(known) > NAMED else ""
    return (
        f"{manifest.name}: does not fit what is there: {', '.join(known[:NAMED])}{more}; bring them back, or make the "
        "manifest again with `retail-seg manifest`"
    )


def _path(path: Path, base: Path | None) -> str:
    try:
        return path.as_posix() if base is None else Path(os.path.relpath(path, base)).as_posix()
    except ValueError:  # another drive
        return path.as_posix()


def _absolute(text: str, base: Path) -> Path:
    return Path(os.path.normpath(base / text))
