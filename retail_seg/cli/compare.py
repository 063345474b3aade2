"""The command `compare`: methods side by side on a newcomer's own photos, in pictures and in scores."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from retail_seg.cli.common import say, write_json_line
from retail_seg.cli.evaluate import report_selection
from retail_seg.cli.training import training_set

if TYPE_CHECKING:
    from retail_seg.bench.comparison.job import Comparison, ComparisonJob, Result
    from retail_seg.runs.record import Record
    from retail_seg.segmentation.annotations import AnnotatedPhoto

PATH = click.Path(path_type=Path)
#: Folder names that say nothing about what is in them; the folder above gives a test set its name.
PLAIN = ("images", "photos", "pictures")


@click.command()
@click.argument("photos_dir", required=False, type=PATH)
@click.option("--annotations", type=PATH, help="Folder of masks or file of outlines, any known format.")
@click.option("--manifest", type=PATH, help="File of `retail-seg manifest`, in the place of the two.")
@click.option("--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="Folder for the report.")
@click.option("--methods", help="Names, separated by commas.  [default: all]")
@click.option("--minutes", default=5.0, show_default=True, type=click.FloatRange(0.05, 1440), help="Each may learn.")
@click.option("--photos-list", type=PATH, help="Learn only from the photos this file names; the others are the test.")
@click.option("--test", "tests", multiple=True, type=PATH, help="Folder of photos to test on.  [repeatable]")
@click.option("--test-annotations", multiple=True, type=PATH, help="Their annotations, one for each --test.")
@click.option("--test-photos", type=click.IntRange(1), help="At most so many photos of each test set.")
@click.option("--seed", default=0, show_default=True, help="The same seed gives the same split and the same training.")
@click.option("--steps", type=click.IntRange(1), help="A fixed number of training steps instead of the time.")
def compare(
    photos_dir: Path | None,
    annotations: Path | None,
    manifest: Path | None,
    out: Path,
    methods: str | None,
    minutes: float,
    photos_list: Path | None,
    tests: tuple[Path, ...],
    test_annotations: tuple[Path, ...],
    test_photos: int | None,
    seed: int,
    steps: int | None,
) -> int:
    """Compare segmentation methods, classical and learned, on the annotated photos of the folder PHOTOS_DIR.

    Each is trained or tuned on the same photos, and tested on others: two fifths that are held out, or those that
    --photos-list does not name, or those of --test, or those for tests of --manifest. OUT/report.html shows scores,
    costs and overlays of all, OUT/manifest.json names the photos by their content.
    The minutes are of each method's own work: on a busy machine they take longer, and mean the same.
    Interrupted, the same call goes on where it was. The last line on stdout is JSON.

    \b
    Classical: mean, otsu, multi-otsu, local, histogram, k-means, sobel-h, sobel-v,
      sobel, laplace, canny, watershed, grabcut, forest
    Learned: retail-seg-shipped, retail-seg, retail-seg-scratch, unet, smp-unet,
      fcn, segnet, deeplabv3, mask-rcnn, ensemble
    """
    from retail_seg.bench.comparison.manifests import change_note, previous_job
    from retail_seg.bench.comparison.runner import chosen_methods, job_of

    names = chosen_methods([name.strip() for name in (methods or "").split(",") if name.strip()])
    if len(tests) != len(test_annotations):
        raise click.UsageError(f"{len(tests)} --test and {len(test_annotations)} --test-annotations: give one for each")
    pairs = list(zip(tests, test_annotations, strict=True))
    found = _own_photos(photos_dir, annotations, photos_list, manifest, bool(pairs), seed)
    for pair in pairs:
        found.add_test(*pair)
    before = previous_job(out)
    job = job_of(
        out, found.learned, found.tests, minutes=minutes, seed=seed, steps=steps, most=test_photos,
        sources=found.sources,
    )  # fmt: skip
    if note := change_note(before, job):
        say(note)
    tested = ", ".join(f"{len(one.photos)} of {one.name}" for one in job.tests)
    say(f"{len(names)} methods; {len(job.train.photos)} photos to learn from; tested on {tested}")
    say(_planned(job, names))
    comparison = _run(job, names)
    write_json_line(sys.stdout, comparison.to_json())
    return int(bool(found.problems or comparison.left_out))


@dataclass
class _Data:
    """Photos to learn from and sets to test on, what annotates each set, and how many problems were said."""

    learned: list[AnnotatedPhoto]
    tests: list[tuple[str, list[AnnotatedPhoto]]]
    sources: dict[str, Path]
    problems: int = 0

    def add_test(self, photos: Path, annotations: Path) -> None:
        """A further set of photos to test on."""
        from retail_seg.segmentation.training.selection import select_annotated

        selection = select_annotated(photos, annotations)
        report_selection(selection.problems, selection.notes)
        self.problems += len(selection.problems)
        name = _set_name(photos, [name for name, _ in self.tests])
        if selection.annotated:
            self.tests.append((name, selection.annotated))
            self.sources[name] = annotations


def _own_photos(
    folder: Path | None, annotations: Path | None, names: Path | None, manifest: Path | None, tested: bool, seed: int
) -> _Data:
    """The photos that the command was given, in one of its two ways; unless others are `tested`, some are held out."""
    from retail_seg.bench.comparison.runner import HELD_OUT, TRAINED, held_out

    data = training_set(folder, annotations, names, manifest)
    learned, tests, problems = data.annotated, data.tested, data.problems
    if names is not None:
        everything = training_set(folder, annotations, None, None)
        wanted = {one.path for one in learned}
        tests = [one for one in everything.annotated if one.path not in wanted]
        problems = [*problems, *(one for one in everything.problems if one not in problems)]
    elif not tests and not tested:
        tests = held_out(data.annotated, data.manifest.annotations, seed)
        learned = [one for one in data.annotated if one not in tests]
    report_selection(problems, data.notes)
    source = data.manifest.annotations
    return _Data(learned, [(HELD_OUT, tests)] if tests else [], {TRAINED: source, HELD_OUT: source}, len(problems))


def _set_name(photos: Path, taken: Sequence[str]) -> str:
    path = photos.resolve()
    name = path.parent.name if path.name.lower() in PLAIN and path.parent.name else path.name
    return name if name not in taken else f"{name} {len(taken) + 1}"


def _run(job: ComparisonJob, names: Sequence[str]) -> Comparison:
    """Run the methods under a bar, write the report after each, and say what came of them."""
    from tqdm import tqdm

    from retail_seg.bench.comparison.job import Comparison, ranked
    from retail_seg.bench.comparison.manifests import whole_manifest, write_manifests
    from retail_seg.bench.comparison.report import NUMBERS, write_report
    from retail_seg.bench.comparison.runner import run_all
    from retail_seg.runs.record import recorded
    from retail_seg.runs.training import data_tags
    from retail_seg.system.interrupts import sigterm_interrupts

    machine, tags = machine_text(), data_tags(whole_manifest(job))
    with ExitStack() as stack:
        stack.enter_context(sigterm_interrupts())
        manifests = write_manifests(job)
        run = stack.enter_context(recorded("compare", job.folder.name, _parameters(job, names), say=say, tags=tags))
        bar = stack.enter_context(tqdm(total=len(names), unit=" method", disable=None, leave=False))
        for manifest in manifests:
            run.artifact(manifest)
        done: list[Result] = []
        lost: dict[str, str] = {}

        def show(name: str, share: float, what: str) -> None:
            bar.set_postfix_str(f"{name}: {what} {share:.0%}")

        def finished(result: Result, before: bool) -> None:
            done.append(result)
            bar.update()
            bar.clear()
            say(_line(result) + (" (finished before)" if before else ""))
            if not before:
                write_report(Comparison(job, ranked(done), lost), machine)
            _keep(run, job, result)

        def failed(name: str, sentence: str) -> None:
            lost[name] = sentence
            bar.update()
            bar.clear()
            say(f"Error: {name}: {sentence}")

        comparison = run_all(job, names, show, finished, failed)
        page = write_report(comparison, machine_text())
        run.artifact(page)
        run.artifact(page.with_name(NUMBERS))
    say(f"The report is {page}")
    return comparison


def _parameters(job: ComparisonJob, names: Sequence[str]) -> dict[str, Any]:
    tests = {f"test {one.name}": len(one.photos) for one in job.tests}
    return {"methods": ", ".join(names), "photos": len(job.train.photos), **tests, "minutes": job.minutes,
            "seed": job.seed, "steps": job.steps, "comparison": job.key}  # fmt: skip


def _keep(run: Record, job: ComparisonJob, result: Result) -> None:
    """A method's result on record, with its pictures and its model."""
    from retail_seg.bench.comparison.job import MODEL, read_curve

    folder = job.method_folder(result.method)
    with run.child("method", result.method, result.settings) as child:
        for tested, scores in result.scores.items():
            child.scores(scores, tested)
        child.scores({
            "quality": result.quality, "seconds a photo": result.seconds, "work seconds a photo": result.work_seconds,
            "training seconds": result.train_seconds, "memory MiB": result.segment_mb,
        })  # fmt: skip
        child.curve(read_curve(folder))
        for picture in sorted(folder.glob("instances-*.png")):
            child.artifact(picture, "samples")
        if (folder / MODEL).is_dir():
            child.model(folder / MODEL)


def _planned(job: ComparisonJob, names: Sequence[str]) -> str:
    """How long learning and tuning can take."""
    from retail_seg.bench.comparison.methods import CLASSICAL, TUNING_SHARE, all_methods

    if job.steps is not None:
        return f"Training: {job.steps} steps each"
    classical = sum(all_methods()[name].kind == CLASSICAL for name in names)
    minutes = job.minutes * (TUNING_SHARE * classical + len(names) - classical)
    return f"Learning and tuning: {minutes:.0f} minutes of work at most; testing comes on top"


def _line(result: Result) -> str:
    scores = "; ".join(
        f"{name}: foreground {s['fg_iou']:.3f}, F1 {s['f1_50']:.3f} and {s['f1_75']:.3f}, exact {s['exact_count']:.0%}"
        for name, s in result.scores.items()
    )
    work = f"{result.work_seconds * 1000:.0f} ms of work a photo"
    return f"{result.method:18} quality {result.quality:.3f}  {scores}  ({work})"


def machine_text() -> str:
    """What times hold for: processor, cores, threads, system."""
    import os
    import platform

    from retail_seg.bench.benchmark.measure import processor
    from retail_seg.system.settings import settings
    from retail_seg.system.threads import cores

    threads = settings().threads
    load = f", load {os.getloadavg()[0]:.1f} at the end" if hasattr(os, "getloadavg") else ""
    limit = f", {threads} {'thread' if threads == 1 else 'threads'} a method" if threads else ""
    return f"{processor()[0]}, {cores()} cores{limit}{load}, Python {platform.python_version()}"
