"""A comparison as one HTML page that needs nothing beside itself, and as JSON."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from retail_seg.bench.comparison.job import Comparison, Job, Result, quality_of
from retail_seg.bench.comparison.methods import BenchMethod, all_methods
from retail_seg.bench.comparison.overlays import MISSED, RIGHT, WRONG
from retail_seg.bench.comparison.style import CSS
from retail_seg.bench.comparison.worker import picture_name
from retail_seg.photos.load import DECODERS
from retail_seg.system.files import replace_file

#: Width of a picture in the page, in pixels, and its JPEG quality; the PNGs beside the page are larger.
WIDTH, QUALITY = 340, 82
PAGE, NUMBERS = "report.html", "results.json"
#: How scores are written that are not shares of one, and what marks a time that says little.
_FORMATS = {"exact_count": ".0%", "count_error": ".1f"}
_BUSY = "*"


def write_report(comparison: Comparison, machine: str) -> Path:
    """Write OUT/report.html and OUT/results.json; `machine` is what the times hold for. Returns the page."""
    folder = comparison.job.folder
    numbers = {**comparison.to_json(), "machine": machine}
    replace_file(folder / NUMBERS, (json.dumps(numbers, indent=1, ensure_ascii=False) + "\n").encode())
    page = folder / PAGE
    replace_file(page, _page(comparison, machine).encode())
    return page


def _page(comparison: Comparison, machine: str) -> str:
    methods = all_methods()
    body = [
        _head(comparison, machine),
        _bars(comparison, methods),
        *(_table(comparison, name, methods) for name in (one.name for one in comparison.job.tests)),
        _cost(comparison, methods),
        _left_out(comparison, methods),
        _reading(),
        "<h2 id='pictures'>The pictures</h2>", _legend(), _truth(comparison.job),
        *(_method(rank, one, methods[one.method], comparison) for rank, one in enumerate(comparison.results, 1)),
    ]  # fmt: skip
    return (
        "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>Segmentation methods compared</title><style>{CSS}</style></head><body><main>\n"
        + "\n".join(part for part in body if part)
        + "\n</main></body></html>\n"
    )


def _head(comparison: Comparison, machine: str) -> str:
    job = comparison.job
    tests = ", ".join(f"{len(one.photos)} of “{escape(one.name)}”" for one in job.tests)
    length = f"{job.steps} steps" if job.steps else f"{job.minutes:g} minutes"
    count = len(comparison.results)
    best = (
        f"<p><b>{escape(all_methods()[comparison.results[0].method].title)}</b> is best here, with a quality of "
        f"{comparison.results[0].quality:.2f}.</p>"
        if comparison.results
        else "<p>No method came to an end.</p>"
    )
    return (
        f"<h1>Which method for these photos?</h1>{best}"
        f"<p>{count} {'method' if count == 1 else 'methods'}, each trained or tuned on the same "
        f"{len(job.train.photos)} annotated photos ({length} at most for each that learns) and tested on photos that "
        f"none of them saw: {tests}.</p>"
        f"<p class='soft'>Times and memory were measured on: {escape(machine)}</p>"
    )


def _bars(comparison: Comparison, methods: dict[str, BenchMethod]) -> str:
    rows, several = [], len(comparison.job.tests) > 1
    for rank, one in enumerate(comparison.results, 1):
        method = methods[one.method]
        each = " · ".join(
            f"<span>{escape(name)} {quality_of(scores):.2f}</span>" for name, scores in one.scores.items()
        )
        rows.append(
            f"<span>{rank}. <a href='#{one.method}'>{escape(method.title)}</a></span><span class='track {method.kind}'>"
            f"<b style='width:{100 * one.quality:.1f}%'></b><i>{one.quality:.3f}</i>"
            + (f"<small>{each}</small>" if several else "") + "</span>"
        )  # fmt: skip
    return (
        "<h2>Ranking</h2><p>Quality is the mean of three scores on each test set: F1 at IoU .5 (things found), F1 at "
        "IoU .75 (found with a good outline) and the share of photos with the exact count. 0 is nothing, 1 is perfect"
        f"{'; below each bar stands the quality on each test set' if several else ''}.</p>"
        "<p class='key soft'><span><i class='learned'></i>learned network</span><span><i></i>classical</span></p>"
        f"<div class='bars'>{''.join(rows)}</div>"
    )


def _table(comparison: Comparison, tested: str, methods: dict[str, BenchMethod]) -> str:
    columns = ("f1_50", "f1_75", "exact_count", "fg_iou", "count_error")
    scores = {one.method: one.scores[tested] for one in comparison.results}
    if not scores:
        return ""
    best = {c: (min if c == "count_error" else max)(s[c] for s in scores.values()) for c in columns}
    rows = []
    for name, found in sorted(scores.items(), key=lambda pair: -quality_of(pair[1])):
        cells = "".join(
            f"<td{' class=best' if found[c] == best[c] else ''}>{found[c]:{_FORMATS.get(c, '.3f')}}</td>"
            for c in columns
        )
        named = f"{_name(methods[name])}<td>{quality_of(found):.3f}</td>"
        rows.append(f"<tr class='{methods[name].kind}'>{named}{cells}</tr>")
    return (
        f"<h2>Scores on “{escape(tested)}”</h2>{_scroll(f'Scores on {escape(tested)}')}<table><thead><tr>"
        "<th class='name'>method</th><th>quality</th><th>F1<br>at .5</th><th>F1<br>at .75</th><th>photos with<br>exact "
        "count</th><th>foreground<br>IoU</th><th>things off<br>a photo</th></tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _cost(comparison: Comparison, methods: dict[str, BenchMethod]) -> str:
    rows = []
    for one in comparison.results:
        learned = f"{one.train_seconds:.0f} s" if one.train_seconds else "–"
        weights = f"{one.parameters / 1e6:.1f} M" if one.parameters else "–"
        rows.append(
            f"<tr class='{methods[one.method].kind}'>{_name(methods[one.method])}"
            f"<td>{one.work_seconds * 1000:.0f} ms</td><td>{_passed(one)}</td><td>{learned}</td>"
            f"<td>{one.segment_mb:.0f}</td><td>{one.train_mb:.0f}</td><td>{one.knobs}</td><td>{weights}</td></tr>"
        )
    return (
        f"<h2>What each one costs</h2>{_scroll('What each one costs')}<table><thead><tr><th class='name'>method</th>"
        "<th>work per<br>photo</th><th>time that<br>passed</th><th>training<br>or tuning</th>"
        "<th>memory at<br>work, MiB</th><th>memory in<br>training, MiB</th><th>knobs</th><th>weights</th></tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table></div>"
        "<p class='soft'>Knobs are the settings that a person has to choose for new photos: for a classical method its "
        "own and those of the steps before and after it, here turned automatically; for a trained one the minutes. "
        "Work is the processor's time from a photo's pixels to its instances, all cores together, the median of all "
        "photos: compare methods by it. Beside it stands the time that passed meanwhile; where the machine was busy "
        f"with something else for longer than with the method, it is marked {_BUSY} and says little about the method. "
        "Training and tuning are counted in work, too. "
        "Memory is the whole process's peak, Python and libraries included.</p>"
    )


def _left_out(comparison: Comparison, methods: dict[str, BenchMethod]) -> str:
    if not comparison.left_out:
        return ""
    rows = (f"<li><b>{escape(methods[n].title)}</b>: {escape(why)}</li>" for n, why in comparison.left_out.items())
    return f"<h2>Not compared</h2><ul>{''.join(rows)}</ul>"


def _reading() -> str:
    return (
        "<h2>How to read this</h2><ul>"
        "<li><b>Foreground IoU</b> asks only whether a pixel is a thing: shared area over joined area. A method can do "
        "well here and still count wrongly, because things that touch become one.</li>"
        "<li><b>F1 at .5</b> and <b>.75</b> ask for each thing by itself; .75 wants its outline right as well.</li>"
        "<li>Scores on a few dozen photos are rough: differences of a few hundredths say little.</li>"
        "<li>Networks that begin from random weights need more than a few minutes on a processor; their place here "
        "says what can be had in that time, not what the architecture can do at its best.</li></ul>"
    )


def _legend() -> str:
    kinds = ((RIGHT, "thing, rightly"), (WRONG, "called a thing, wrongly"), (MISSED, "a thing, missed"))
    marks = "".join(f"<span><i style='background:rgb{colour}'></i>{text}</span>" for colour, text in kinds)
    return (
        f"<p class='key soft'>Left, the mask: {marks}</p>"
        "<p class='soft'>Right, the instances: a colour and an outline for each thing that was told apart.</p>"
    )


def _truth(job: Job) -> str:
    from retail_seg.bench.comparison.overlays import instance_overlay, mask_overlay
    from retail_seg.photos.load import load_photo

    figures = []
    wanted = set(job.shown)
    for one in job.tests:
        for photo in one.read() if any(name == one.name for name, _ in wanted) else []:
            if (one.name, photo.name) in wanted:
                pixels = load_photo(photo.path)
                pictures = [mask_overlay(pixels, photo.labels, photo.labels), instance_overlay(pixels, photo.labels)]
                figures.append(_figure(pictures, f"{one.name} · {photo.name} · {len(photo.ids)} things", "the truth"))
    head = "<header><h3>The truth</h3></header>"
    return f"<section class='method'>{head}<div class='photos'>{''.join(figures)}</div></section>"


def _method(rank: int, result: Result, method: BenchMethod, comparison: Comparison) -> str:
    facts = "".join(
        f"<span>{escape(name)}: F1 at .5 <b>{s['f1_50']:.3f}</b>, at .75 <b>{s['f1_75']:.3f}</b>, exact counts "
        f"<b>{s['exact_count']:.0%}</b></span>"
        for name, s in result.scores.items()
    )
    folder, figures = comparison.job.method_folder(result.method), []
    for tested, photo in comparison.job.shown:
        paths = [folder / picture_name(kind, tested, photo) for kind in ("mask", "instances")]
        if all(path.is_file() for path in paths):
            pictures = [np.asarray(Image.open(path, formats=DECODERS)) for path in paths]
            figures.append(_figure(pictures, f"{tested} · {photo}", method.title))
    note = " ".join(filter(None, [result.note, _gain(result, comparison)]))
    settings = escape(", ".join(f"{key} {_short(value)}" for key, value in result.settings.items()))
    chosen = f"<details><summary>Settings found</summary><p><code>{settings}</code></p></details>" if settings else ""
    return (
        f"<section class='method' id='{result.method}'><header><h3>{rank}. {escape(method.title)}</h3>"
        f"<span class='soft'><code>{result.method}</code></span></header><p>{escape(method.text)} {escape(note)}</p>"
        f"<div class='facts'>{facts}</div><div class='photos'>{''.join(figures)}</div>{chosen}</section>"
    )


def _gain(result: Result, comparison: Comparison) -> str:
    """What an ensemble adds to the best of its members, in the same measure as the ranking."""
    names = result.settings.get("members", ())
    members = [one for one in comparison.results if one.method in names]
    if not members:
        return ""
    best = max(members, key=lambda one: one.quality)
    gain = result.quality - best.quality
    return f"Against the best of them alone ({best.method}) its quality changes by {gain:+.3f}."


def _figure(pictures: Sequence[np.ndarray], caption: str, by: str) -> str:
    """The mask and the instances of a photo, side by side."""
    images = "".join(
        f"<img alt='{escape(f'{kind} of {caption}: {by}', quote=True)}' loading='lazy' src='{_embedded(picture)}'>"
        for kind, picture in zip(("Mask", "Instances"), pictures, strict=True)
    )
    return f"<figure><div>{images}</div><figcaption>{escape(caption)}</figcaption></figure>"


def _embedded(picture: np.ndarray) -> str:
    image = Image.fromarray(np.asarray(picture)[:, :, :3])
    image = image.resize((WIDTH, max(1, round(image.height * WIDTH / image.width))), Image.Resampling.LANCZOS)
    data = io.BytesIO()
    image.save(data, "JPEG", quality=QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(data.getvalue()).decode()


def _scroll(label: str) -> str:
    """A table that is too wide for a phone moves by itself, with the keyboard, too."""
    return f"<div class='scroll' role='region' tabindex='0' aria-label='{escape(label, quote=True)}'>"


def _passed(result: Result) -> str:
    """The time of a photo that passed, marked where the machine did more of something else meanwhile."""
    mark = f" {_BUSY}" if result.seconds > 2 * result.work_seconds else ""
    return f"{result.seconds * 1000:.0f} ms{mark}"


def _name(method: BenchMethod) -> str:
    return f"<td class='name'><a href='#{method.name}'>{escape(method.title)}</a></td>"


def _short(value: Any) -> str:
    if isinstance(value, list):
        return " + ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
