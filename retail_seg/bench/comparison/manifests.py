"""The data of a comparison on record: manifests of its photos, and what has changed since the last call."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

from retail_seg.bench.comparison.job import JOB, ComparisonJob, PhotoSet
from retail_seg.segmentation.training.manifest import NAMED, TEST, TRAIN, Manifest, ManifestEntry, write_manifest

#: The manifest of the photos learned from and of those held out of them; a further test set's has its name, too.
MANIFEST = "manifest.json"


def manifests_of(job: ComparisonJob) -> dict[str, Manifest]:
    """A manifest for each source of annotations by the name of its file; sets that were made have none."""
    found: dict[str, Manifest] = {}
    for number, one in enumerate((job.train, *job.tests)):
        if one.annotations is None:
            continue
        split = TRAIN if number == 0 else TEST
        same = next((name for name, known in found.items() if known.annotations == one.annotations), None)
        own = MANIFEST if number == 0 else f"manifest-{_plain(one.name)}.json"
        name = same or own
        before = found[name].entries if same else ()
        found[name] = Manifest(one.annotations, (*before, *_entries(one, split)), str(job.folder / name))
    return found


def whole_manifest(job: ComparisonJob) -> Manifest:
    """All photos of a comparison as one manifest, whatever annotates them: for its fingerprint and its counts."""
    sets = [(TRAIN, job.train), *((TEST, one) for one in job.tests)]
    entries = tuple(entry for split, one in sets for entry in _entries(one, split))
    return Manifest(job.folder, entries, ", ".join(str(job.folder / name) for name in manifests_of(job)))


def write_manifests(job: ComparisonJob) -> list[Path]:
    """Write them to the report's folder, for `compare --manifest` and `train --manifest`; returns the files."""
    paths = []
    for name, manifest in manifests_of(job).items():
        write_manifest(manifest, job.folder / name)
        paths.append(job.folder / name)
    return paths


def changed_since(before: ComparisonJob, now: ComparisonJob) -> list[str]:
    """What is not as in an earlier job of the folder, a few words for each photo; empty where all is the same."""
    old, new = _contents(before), _contents(now)
    changed = [f"{path.name} has changed" for path in new if path in old and old[path] != new[path]]
    gone = [f"{path.name} is missing" for path in old if path not in new and not path.exists()]
    other = [f"{path.name} is no longer in it" for path in old if path not in new and path.exists()]
    return [*changed, *gone, *other, *(f"{path.name} is new" for path in new if path not in old)]


def change_note(before: ComparisonJob | None, now: ComparisonJob) -> str:
    """The sentence about a folder that held another comparison; empty where it goes on, or is new."""
    if before is None or before.key == now.key:
        return ""
    data = changed_since(before, now)
    more = f" and {len(data) - NAMED} more" if len(data) > NAMED else ""
    what = f" ({', '.join(data[:NAMED])}{more})" if data else " (time, seed, steps or the way of measuring)"
    return f"Note: {now.folder}: held a comparison of something else{what}; every method is done afresh"


def previous_job(folder: Path) -> ComparisonJob | None:
    """The job that a folder was last used for; None where there is none that can be read."""
    try:
        return ComparisonJob.read(folder / JOB)
    except (OSError, ValueError, KeyError, TypeError):  # another version's: nothing to compare with
        return None


def _plain(name: str) -> str:
    return re.sub(r"[^\w.-]+", "-", name)


def _entries(one: PhotoSet, split: str) -> Sequence[ManifestEntry]:
    digits = len(hashlib.sha256().hexdigest())
    parts = zip(one.photos, one.hashes, one.instances, strict=True)
    return [ManifestEntry(photo, hashes[:digits], hashes[digits:], count, split) for photo, hashes, count in parts]


def _contents(job: ComparisonJob) -> dict[Path, tuple[str, str]]:
    """Of every photo its content and the set it is in."""
    return {
        path: (one.name, content)
        for one in (job.train, *job.tests)
        for path, content in zip(one.photos, one.hashes, strict=True)
    }
