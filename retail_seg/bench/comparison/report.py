"""A comparison as one HTML page that needs nothing beside itself, and as JSON."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from retail_seg.bench.comparison.job import Comparison, Job, Result, quality_of
from retail_seg.bench.comparison.methods import all_methods
from retail_seg.bench.comparison.overlays import MISSED, RIGHT, WRONG
from retail_seg.bench.comparison.worker import picture_name
from retail_seg.photos.load import DECODERS
from retail_seg.system.files import replace_file

#: Width of a picture in the page, in pixels, and its JPEG quality; the PNGs beside the page are larger.
WIDTH, QUALITY = 340, 82
PAGE, NUMBERS = "report.html", "results.json"
#: The columns of a table of scores, and how they are written.
_COLUMNS = {"f1_50": ".3f", "f1_75": ".3f", "exact_count": ".0%", "fg_iou": ".3f", "count_error": ".1f"}


@dataclass(frozen=True)
class Figure:
    """The mask and the instances of a photo, side by side: (kind, picture as a data URL), and whose work they are."""

    caption: str
    by: str
    pictures: tuple[tuple[str, str], ...]


def write_report(comparison: Comparison, machine: str) -> Path:
    """Write OUT/report.html and OUT/results.json; `machine` is what the times hold for. Returns the page."""
    folder = comparison.job.folder
    numbers = {**comparison.to_json(), "machine": machine}
    replace_file(folder / NUMBERS, (json.dumps(numbers, indent=1, ensure_ascii=False) + "\n").encode())
    page = folder / PAGE
    replace_file(page, _page(comparison, machine).encode())
    return page


def _page(comparison: Comparison, machine: str) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    # Every value is escaped, whatever it is called: names of sets and photos are other people's.
    page = Environment(
        loader=PackageLoader("retail_seg.bench.comparison", ""), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    page.filters |= {"num": format, "short": _short}
    job, results = comparison.job, comparison.results
    return page.get_template("report.html.jinja").render(
        job=job,
        results=results,
        left_out=comparison.left_out,
        machine=machine,
        methods=all_methods(),
        quality_of=quality_of,
        length=f"{job.steps} steps" if job.steps else f"{job.minutes:g} minutes",
        several=len(job.tests) > 1,
        columns=_COLUMNS,
        tables=[_table(results, one.name) for one in job.tests] if results else [],
        legend=((RIGHT, "thing, rightly"), (WRONG, "called a thing, wrongly"), (MISSED, "a thing, missed")),
        truth=list(_truth(job)),
        notes={one.method: " ".join(filter(None, [one.note, _gain(one, comparison)])) for one in results},
        pictures={one.method: list(_pictures(job, one)) for one in results},
    )


def _table(results: Sequence[Result], tested: str) -> dict[str, Any]:
    """The scores of all methods on one test set, the best quality first, and the best value of each column."""
    scores = {one.method: one.scores[tested] for one in results}
    best = {c: (min if c == "count_error" else max)(s[c] for s in scores.values()) for c in _COLUMNS}
    return {"name": tested, "best": best, "rows": sorted(scores.items(), key=lambda pair: -quality_of(pair[1]))}


def _truth(job: Job) -> Iterator[Figure]:
    from retail_seg.bench.comparison.overlays import instance_overlay, mask_overlay
    from retail_seg.photos.load import load_photo

    wanted = set(job.shown)
    for one in job.tests:
        for photo in one.read() if any(name == one.name for name, _ in wanted) else []:
            if (one.name, photo.name) in wanted:
                pixels = load_photo(photo.path)
                pictures = [mask_overlay(pixels, photo.labels, photo.labels), instance_overlay(pixels, photo.labels)]
                yield _figure(pictures, f"{one.name} · {photo.name} · {len(photo.ids)} things", "the truth")


def _pictures(job: Job, result: Result) -> Iterator[Figure]:
    """What a method made of the photos that are shown."""
    folder, title = job.method_folder(result.method), all_methods()[result.method].title
    for tested, photo in job.shown:
        paths = [folder / picture_name(kind, tested, photo) for kind in ("mask", "instances")]
        if all(path.is_file() for path in paths):
            pictures = [np.asarray(Image.open(path, formats=DECODERS)) for path in paths]
            yield _figure(pictures, f"{tested} · {photo}", title)


def _gain(result: Result, comparison: Comparison) -> str:
    """What an ensemble adds to the best of its members, in the same measure as the ranking."""
    names = result.settings.get("members", ())
    members = [one for one in comparison.results if one.method in names]
    if not members:
        return ""
    best = max(members, key=lambda one: one.quality)
    gain = result.quality - best.quality
    return f"Against the best of them alone ({best.method}) its quality changes by {gain:+.3f}."


def _figure(pictures: Sequence[np.ndarray], caption: str, by: str) -> Figure:
    return Figure(caption, by, tuple(zip(("Mask", "Instances"), map(_embedded, pictures), strict=True)))


def _embedded(picture: np.ndarray) -> str:
    image = Image.fromarray(np.asarray(picture)[:, :, :3])
    image = image.resize((WIDTH, max(1, round(image.height * WIDTH / image.width))), Image.Resampling.LANCZOS)
    data = io.BytesIO()
    image.save(data, "JPEG", quality=QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(data.getvalue()).decode()


def _short(value: Any) -> str:
    if isinstance(value, list):
        return " + ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
