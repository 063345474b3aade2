"""What models say of the photos: a trained one beside the one in use, on photos that neither was trained on, and which
photo to annotate next."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retail_seg.errors import TrainingError
from retail_seg.people.roles import require
from retail_seg.system.files import replace_file
from retail_seg.system.progress import OnProgress
from retail_seg.teaching.annotation_set import DONE, NEW, TaughtPhoto, Teaching
from retail_seg.teaching.trainings import Trainings
from retail_seg.teaching.view import overlay_jpeg

if TYPE_CHECKING:
    from retail_seg.segmentation.segmenter import Segmenter

#: Without photos held back, so many are looked at, without scores.
SAMPLES = 3
#: The scores that are compared, and what people call them.
SCORES = {
    "f1_75": "Things outlined well (F1 at IoU .75)",
    "f1_50": "Things found (F1 at IoU .5)",
    "exact_count": "Photos with the exact count",
    "fg_iou": "Overlap of the foreground (IoU)",
}
#: A difference in score smaller than this is none.
LEVEL = 0.005


@dataclass(frozen=True)
class Compared:
    """One photo in a comparison: what is on it (None where nobody said), and what each model counts."""

    photo: str
    name: str
    true: int | None
    in_use: int
    new: int


@dataclass(frozen=True)
class ModelComparison:
    """Scores by name of the model in use and of the new one; empty where no photo was held back."""

    run: str
    fingerprints: tuple[str, str]
    in_use: dict[str, float]
    new: dict[str, float]
    photos: tuple[Compared, ...]

    @property
    def advice(self) -> str:
        """One sentence: which of the two is better, by how much."""
        if not self.new:
            return "No finished photo was kept for the comparison: judge by the pictures, or finish more photos."
        gains = {key: self.new[key] - self.in_use[key] for key in ("f1_75", "exact_count")}
        shown = f"things outlined well {self.in_use['f1_75']:.2f} → {self.new['f1_75']:.2f}, photos counted exactly "
        shown += f"{self.in_use['exact_count']:.0%} → {self.new['exact_count']:.0%}"
        if all(abs(gain) < LEVEL for gain in gains.values()):
            return f"The two are level on the photos kept for the comparison: {shown}."
        if min(gains.values()) > -LEVEL:
            return f"The new model is better on the photos kept for the comparison: {shown}."
        if max(gains.values()) < LEVEL:
            return f"The model in use is better on the photos kept for the comparison: {shown}."
        return f"Each is better at one thing on the photos kept for the comparison: {shown}."


def compare(
    trainings: Trainings,
    id_: str,
    in_use: Segmenter,
    load: Callable[[Path], Segmenter],
    report: OnProgress = lambda share, text: None,
) -> ModelComparison:
    """Score the model of a run and the one in use on the photos held back, and draw both; kept in the run's folder."""
    from retail_seg.segmentation.scores import combine, score_photo

    require("staff")
    new = load(trainings.model(id_))
    photos, scored = _photos_to_compare(trainings.teaching, trainings.get(id_).held)
    folder = trainings.path(id_) / "overlays"
    shares: list[tuple[Any, Any]] = []
    lines = []
    for number, photo in enumerate(photos):
        report(number / len(photos), photo.name)
        picture, truth = trainings.teaching.picture(photo), trainings.teaching.labels(photo)
        found = [model.segment(picture) for model in (in_use, new)]
        for side, instances in zip(("in-use", "new"), found, strict=True):
            replace_file(folder / f"{photo.id}-{side}.jpg", overlay_jpeg(picture, instances.labels))
        if scored:
            shares.append(tuple(score_photo(truth, one.labels, photo.box_of) for one in found))  # type: ignore[arg-type]
        lines.append(Compared(photo.id, photo.name, photo.instances if scored else None, *map(len, found)))
    both = [combine(side).rounded() for side in zip(*shares, strict=True)] if shares else [{}, {}]
    before, after = ({key: float(values[key]) for key in SCORES if values} for values in both)
    done = ModelComparison(id_, (in_use.fingerprint, new.fingerprint), before, after, tuple(lines))
    replace_file(trainings.path(id_) / "comparison.json", json.dumps(asdict(done)).encode())
    return done


def kept_comparison(trainings: Trainings, id_: str, in_use: str) -> ModelComparison | None:
    """The comparison of a run that was made against the model with fingerprint `in_use`, None where there is none."""
    path = trainings.path(id_) / "comparison.json"
    if not path.is_file():
        return None
    values = json.loads(path.read_text(encoding="utf-8"))
    if values["fingerprints"][0] != in_use:
        return None
    photos = tuple(Compared(**line) for line in values["photos"])
    return ModelComparison(**values | {"photos": photos, "fingerprints": tuple(values["fingerprints"])})


def overlay(trainings: Trainings, id_: str, photo: str, side: str) -> Path:
    """The picture of one photo in a comparison, of the "in-use" or of the "new" model."""
    kept = _any_comparison(trainings, id_)
    known = {line.photo for line in kept.photos} if kept else set()
    if photo not in known or side not in ("in-use", "new"):
        raise TrainingError("This picture is not part of the comparison; compare the models again")
    return trainings.path(id_) / "overlays" / f"{photo}-{side}.jpg"


def _any_comparison(trainings: Trainings, id_: str) -> ModelComparison | None:
    path = trainings.path(id_) / "comparison.json"
    if not path.is_file():
        return None
    return kept_comparison(trainings, id_, json.loads(path.read_text(encoding="utf-8"))["fingerprints"][0])


def _photos_to_compare(teaching: Teaching, held: Sequence[str]) -> tuple[list[TaughtPhoto], bool]:
    """The photos held back, to be scored; without any, a few others only to look at, unseen ones first."""
    everything = teaching.photos()
    kept = [photo for photo in everything if photo.id in held and photo.state == DONE]
    if kept:
        return kept, True
    return sorted(everything, key=lambda photo: photo.state == DONE)[:SAMPLES], False


# -- which photo next ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Suggestion:
    """A photo that waits for annotation, and how unsure the model is of it (0 sure to about 2)."""

    photo: TaughtPhoto
    uncertainty: float


def suggest(teaching: Teaching, model: Segmenter, report: OnProgress = lambda s, t: None) -> list[Suggestion]:
    """The photos that nobody has annotated, the most useful first; what a model says of a photo is kept.

    Raises NotAllowed for a viewer.
    """
    require("staff")
    from retail_seg.segmentation.training.selection import rank_by_uncertainty

    waiting = [photo for photo in teaching.photos() if photo.state == NEW]
    known = _kept_uncertainty(teaching, model.fingerprint)
    missing = {teaching.path(photo): photo for photo in waiting if photo.id not in known}

    def told() -> Iterator[Path]:
        for number, (path, photo) in enumerate(missing.items()):
            report(number / len(missing), photo.name)
            yield path

    ranked, _ = rank_by_uncertainty(told(), model.uncertainty)
    known |= {missing[path].id: round(float(value), 4) for path, value in ranked}
    if ranked:
        text = json.dumps({"model": model.fingerprint, "uncertainty": known})
        replace_file(teaching.folder / "uncertainty.json", text.encode())
    return known_suggestions(teaching, model.fingerprint)


def known_suggestions(teaching: Teaching, fingerprint: str) -> list[Suggestion]:
    """What `suggest` found with this model, less the photos annotated since then."""
    known = _kept_uncertainty(teaching, fingerprint)
    found = [Suggestion(p, known[p.id]) for p in teaching.photos() if p.state == NEW and p.id in known]
    return sorted(found, key=lambda one: -one.uncertainty)


def _kept_uncertainty(teaching: Teaching, fingerprint: str) -> dict[str, float]:
    path = teaching.folder / "uncertainty.json"
    if not path.is_file():
        return {}
    values = json.loads(path.read_text(encoding="utf-8"))
    return dict(values["uncertainty"]) if values["model"] == fingerprint else {}
