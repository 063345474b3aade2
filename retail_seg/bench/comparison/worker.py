"""One method in a process of its own: learn or tune, take the test photos apart, score, keep pictures.

`python -m retail_seg.bench.comparison.worker JOB METHOD` writes JSON lines of its progress to stdout and the result to
the method's folder. Its memory is its own, and what goes wrong in it ends nothing else.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from retail_seg.bench.comparison.job import Job, PhotoSet, Result
from retail_seg.bench.comparison.memory import peak_mb, reset_peak
from retail_seg.bench.comparison.methods import Ready, all_methods, working_seconds
from retail_seg.errors import RetailSegError
from retail_seg.photos.load import load_photo
from retail_seg.segmentation.annotations import AnnotatedPhoto
from retail_seg.segmentation.instances.instances import Instances
from retail_seg.segmentation.scores import PhotoScore, combine, score_photo
from retail_seg.system.interrupts import sigterm_interrupts
from retail_seg.system.processes import tell
from retail_seg.system.progress import OnProgress
from retail_seg.system.settings import settings
from retail_seg.system.threads import let_waiting_threads_sleep

#: Exit code of a method that said in one sentence what it wants.
SAID = 3


def run_method(job: Job, name: str, on_progress: OnProgress) -> Result:
    """Do one method of a job; its result and pictures are in its folder afterwards.

    Raises RetailSegError where the method cannot be done here (MissingExtraError: its package is not installed).
    """
    method = all_methods()[name]
    folder = job.method_folder(name)
    folder.mkdir(parents=True, exist_ok=True)
    key = method.key(job)  # as the models are now that it begins with
    begun = working_seconds()
    ready = method.prepare(job, folder, on_progress)
    train_seconds, train_mb = max(working_seconds() - begun, ready.seconds), peak_mb()
    reset_peak()
    scores: dict[str, dict[str, float]] = {}
    seconds: list[tuple[float, float]] = []
    for number, one in enumerate(job.tests):
        scored, times = _test(ready, one, folder, job, _part(on_progress, number, len(job.tests)))
        scores[one.name], seconds = dict(combine(scored).rounded()), seconds + times
    passed, worked = np.median(np.array(seconds), axis=0)
    result = Result(
        name, key, ready.knobs, ready.settings, round(train_seconds, 1) if ready.settings else 0.0,
        round(float(passed), 4), round(float(worked), 4), round(train_mb), round(peak_mb()), scores,
        None if ready.validation is None else round(ready.validation, 4), ready.note, ready.parameters,
    )  # fmt: skip
    result.write(folder)
    return result


def _part(on_progress: OnProgress, number: int, of: int) -> Callable[[float], None]:
    return lambda share: on_progress((number + share) / of, "testing")


def _test(
    ready: Ready, tested: PhotoSet, folder: Path, job: Job, report: Callable[[float], None]
) -> tuple[list[PhotoScore], list[tuple[float, float]]]:
    """Scores of each photo of a set at its own size, and seconds: that passed, and of the processor's work."""
    scored, seconds = [], []
    for number, one in enumerate(tested.read(), 1):
        photo = load_photo(one.path)
        begun, worked = time.perf_counter(), time.process_time()
        found = ready.segment(photo)
        seconds.append((time.perf_counter() - begun, time.process_time() - worked))
        scored.append(score_photo(one.labels, found.labels))
        if (tested.name, one.name) in job.shown:
            keep_pictures(folder, tested.name, one, photo, found)
        report(number / len(tested.photos))
    return scored, seconds


def keep_pictures(folder: Path, tested: str, one: AnnotatedPhoto, photo: np.ndarray, found: Instances) -> None:
    """Write the mask and the instance overlay of a photo to a method's folder, as PNG."""
    from PIL import Image

    from retail_seg.bench.comparison.overlays import instance_overlay, mask_overlay

    for kind, picture in (
        ("mask", mask_overlay(photo, one.labels, found.labels)), ("instances", instance_overlay(photo, found.labels)),
    ):  # fmt: skip
        Image.fromarray(picture).save(folder / picture_name(kind, tested, one.name))


def picture_name(kind: str, tested: str, photo: str) -> str:
    """The file name of an overlay (kind: mask or instances) of a photo of a test set."""
    return re.sub(r"[^\w.-]+", "-", f"{kind}-{tested}-{photo}.png")


class _Lines:
    """Progress as JSON lines on stdout, a few a second at most."""

    def __init__(self) -> None:
        self.last = 0.0

    def __call__(self, share: float, text: str) -> None:
        if time.monotonic() - self.last > 0.3:
            self.last = time.monotonic()
            tell(share, text)


def main(arguments: list[str]) -> int:
    """Run one method; what a person can mend becomes a line of JSON and exit code SAID."""
    import cv2

    let_waiting_threads_sleep()
    if threads := settings().threads:  # PyTorch heeds it by itself, OpenCV does not
        cv2.setNumThreads(threads)
    try:
        with sigterm_interrupts():
            run_method(Job.read(Path(arguments[0])), arguments[1], _Lines())
    except RetailSegError as error:
        print(json.dumps({"error": str(error)}), flush=True)
        return SAID
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
