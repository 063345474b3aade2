"""What is compared on which photos, and what came of each method: values that live as JSON in the report's folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from retail_seg.errors import AnnotationError, RetailSegError
from retail_seg.segmentation.annotations import AnnotatedPhoto
from retail_seg.segmentation.formats.instance_png import read_ids, write_ids
from retail_seg.segmentation.training.manifest import file_hash, labels_hash
from retail_seg.system.files import replace_file

if TYPE_CHECKING:
    from retail_seg.segmentation.training.train import TrainingStep

#: Version of the layout of a result and of the way in which methods are measured; an older result is done again.
FORMAT = 2
JOB, RESULT, MODEL, LOG, CURVE = "job.json", "result.json", "model", "log.txt", "curve.jsonl"


@dataclass(frozen=True)
class PhotoSet:
    """Photos of one purpose with their instance ids as PNGs in the report's folder; `hashes` tell their content.

    `annotations` is the file or folder that the ids were read from, None where they were made.
    """

    name: str
    photos: tuple[Path, ...]
    ids: tuple[Path, ...]
    hashes: tuple[str, ...]
    instances: tuple[int, ...]
    annotations: Path | None = None

    def read(self) -> list[AnnotatedPhoto]:
        """The annotated photos; AnnotationError where one of them is no longer what the comparison began with."""
        found = []
        for photo, ids, known in zip(self.photos, self.ids, self.hashes, strict=True):
            try:
                labels = read_ids(ids)
            except AnnotationError as error:
                raise AnnotationError(f"{ids}: {error}; run the comparison with a new --out") from None
            if (fault := _fault(photo, labels, known)) is not None:
                raise AnnotationError(f"{photo}: {fault} since the comparison began; call it again")
            found.append(AnnotatedPhoto(photo.stem, photo, labels))
        return found

    @classmethod
    def kept(
        cls, name: str, annotated: Sequence[AnnotatedPhoto], folder: Path, annotations: Path | None = None
    ) -> PhotoSet:
        """The set of these photos; their instance ids are written to `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        paths = [folder / f"{one.path.name}.png" for one in annotated]
        for one, path in zip(annotated, paths, strict=True):
            write_ids(path, one.labels)
        hashes = tuple(file_hash(one.path) + labels_hash(one.labels) for one in annotated)
        return cls(
            name, tuple(one.path.absolute() for one in annotated), tuple(p.absolute() for p in paths), hashes,
            tuple(len(one.ids) for one in annotated), annotations.absolute() if annotations else None,
        )  # fmt: skip


@dataclass(frozen=True)
class ComparisonJob:
    """One comparison: photos to train and tune on, sets to test on, the minutes each method may learn.

    `shown` names the photos (set, stem) of which every method's pictures are kept.
    """

    folder: Path
    train: PhotoSet
    tests: tuple[PhotoSet, ...]
    minutes: float
    seed: int = 0
    steps: int | None = None
    shown: tuple[tuple[str, str], ...] = ()

    @property
    def key(self) -> str:
        """Changes with anything that makes every older result another comparison's; see `key_with` for models."""
        sets = [sorted(self.train.hashes), *([one.name, sorted(one.hashes)] for one in self.tests)]
        return _digest([FORMAT, sets, self.minutes, self.seed, self.steps, self.shown])

    def key_with(self, models: Sequence[str]) -> str:
        """The key of a method that begins with models of these fingerprints: it is done again when they change."""
        return _digest([self.key, *models]) if models else self.key

    def method_folder(self, method: str) -> Path:
        """Where a method's result, model and pictures lie."""
        return self.folder / "methods" / method

    def write(self) -> Path:
        """Write the job for the workers; returns the file."""
        path = self.folder / JOB
        replace_file(path, (json.dumps(asdict(self), indent=1, default=str) + "\n").encode())
        return path

    @classmethod
    def read(cls, path: Path) -> ComparisonJob:
        """The job that `write` wrote."""
        values = json.loads(path.read_text(encoding="utf-8"))
        sets = [_photo_set(one) for one in (values["train"], *values["tests"])]
        shown = tuple((one[0], one[1]) for one in values["shown"])
        return cls(Path(values["folder"]), sets[0], tuple(sets[1:]), values["minutes"], values["seed"],
                   values["steps"], shown)  # fmt: skip


@dataclass(frozen=True)
class Result:
    """What came of one method.

    key              of the job and of the models that the method began with: another key, another result
    knobs            settings that a person has to choose for new photos
    settings         what tuning or training chose
    train_seconds    work until it was ready (see methods.working_seconds); 0 where nothing is learned or tuned
    seconds          median time from a photo's pixels to its instances
    work_seconds     the processor's time for that, of all cores together
    train_mb, segment_mb  peak memory of the process while it learned and while it worked, libraries included
    scores           of every test set, see segmentation.scores.Scores
    validation       quality on photos and scenes it was tuned on or that were held back while it learned
    """

    method: str
    key: str
    knobs: int
    settings: dict[str, Any]
    train_seconds: float
    seconds: float
    work_seconds: float
    train_mb: float
    segment_mb: float
    scores: dict[str, dict[str, float]]
    validation: float | None = None
    note: str = ""
    parameters: int = 0

    @property
    def quality(self) -> float:
        """What methods are ranked by: the mean over test sets of `quality_of`."""
        return float(np.mean([quality_of(scores) for scores in self.scores.values()]))

    def mean(self, score: str) -> float:
        """A score's mean over the test sets."""
        return float(np.mean([scores[score] for scores in self.scores.values()]))

    def write(self, folder: Path) -> None:
        """Keep it in the method's folder."""
        replace_file(folder / RESULT, (json.dumps(asdict(self), indent=1) + "\n").encode())


def _digest(parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]


def quality_of(scores: Mapping[str, float]) -> float:
    """Mean of F1 at IoU .5, F1 at IoU .75 and the share of photos with the exact count: 1 is perfect."""
    return (scores["f1_50"] + scores["f1_75"] + scores["exact_count"]) / 3


def read_result(folder: Path, key: str) -> Result | None:
    """A finished method's result in its folder; None where there is none, or one of another comparison."""
    try:
        result = Result(**json.loads((folder / RESULT).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):  # nothing usable is there: the method is done again
        return None
    return result if result.key == key else None


def keep_progress(folder: Path, progress: TrainingStep, *, begin: bool) -> None:
    """Add a step of a training to the curve in the method's folder; `begin` with the first of this process."""
    if progress.phase not in ("train", "check"):
        return
    name, value = ("loss", progress.loss) if progress.phase == "train" else ("validation score", progress.score)
    again = begin and progress.step <= 1  # a training that is gone on with goes on with its curve
    with (folder / CURVE).open("w" if again else "a", encoding="utf-8") as file:
        file.write(json.dumps([name, value, progress.step]) + "\n")


def read_curve(folder: Path) -> list[tuple[str, float, int]]:
    """The points (name, value, step) of a method's training; none where it has none."""
    path = folder / CURVE
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return [(name, value, step) for name, value, step in map(json.loads, lines) if value is not None]


@dataclass(frozen=True)
class Comparison:
    """All results, the best first, and one sentence for each method that could not be done."""

    job: ComparisonJob
    results: tuple[Result, ...]
    left_out: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """What `retail-seg compare` prints: the ranking with every score."""
        return {
            "trained_on": len(self.job.train.photos),
            "tests": {one.name: len(one.photos) for one in self.job.tests},
            "minutes": self.job.minutes, "seed": self.job.seed,
            "ranking": [{"rank": rank, **_row(one)} for rank, one in enumerate(self.results, 1)],
            "left_out": dict(self.left_out),
        }  # fmt: skip


def ranked(results: Sequence[Result]) -> tuple[Result, ...]:
    """Results, the best first; between equals the one whose outlines fit better, then the faster."""
    return tuple(sorted(results, key=lambda one: (-round(one.quality, 4), -one.mean("fg_iou"), one.work_seconds)))


def _row(result: Result) -> dict[str, Any]:
    values = {key: value for key, value in asdict(result).items() if key not in ("key", "note")}
    return {**values, "quality": round(result.quality, 4)}


def _photo_set(values: Mapping[str, Any]) -> PhotoSet:
    photos, ids = (tuple(Path(p) for p in values[key]) for key in ("photos", "ids"))
    annotations = Path(values["annotations"]) if values.get("annotations") else None
    counts = tuple(values.get("instances", ()))
    return PhotoSet(values["name"], photos, ids, tuple(values["hashes"]), counts, annotations)


def _fault(photo: Path, labels: np.ndarray, known: str) -> str | None:
    try:
        return None if file_hash(photo) + labels_hash(labels) == known else "has changed"
    except OSError as error:
        return f"cannot be read any more ({error.strerror or error})"


class ComparisonError(RetailSegError):
    """Photos, tests or methods that make no comparison."""
