"""Kept scans as people look at them: photos scanned and kept at once, read with their corrections, drawn, exported."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from catalogue import scan_history, scans
from catalogue.errors import UnknownReference, UnknownScan
from catalogue.records import clean_text
from catalogue.scan_history import ScanChange
from catalogue.scans import Scan, ScanInstance
from retail_seg.errors import PhotoError
from retail_seg.people.roles import require
from retail_seg.photos import quality
from retail_seg.photos.load import encode_picture, load_photo, shrink
from retail_seg.photos.quality import Advice
from retail_seg.report import Identification, Match, Report, ReportLine, write_counts_csv
from retail_seg.scans import keeping
from retail_seg.store.among import choice_in_words, kept_choice
from retail_seg.store.enrolment import decode_kept
from retail_seg.store.scanning import placed
from retail_seg.system.progress import OnProgress

if TYPE_CHECKING:
    from retail_seg.matcher import Matcher

#: Largest photo file that the app takes, in MB, and how many at once.
MAX_PHOTO_MB = 50
MAX_PHOTOS = 20
#: Scans kept before answers said how certain they are: from this probability on a product is called sure.
OLD_SURE = 0.9
SURE_, LIKELY, UNKNOWN = "sure", "likely", "unknown"
CERTAINTIES = (SURE_, LIKELY, UNKNOWN)
_CERTAINTY_AT, _ODD_AT = 3, 4  # in what is kept of a line, see `keeping`
#: Longer side, in pixels, of a photo as it is shown and zoomed into.
SHOWN_SIDE = 2560

#: From where on (0 to 1) a person sees a photo in each stage of a scan, and in which words.
SHOWN_STAGES = {
    "decode": (0.15, "reading the photo"),
    "segment": (0.2, "finding the products"),
    "cut": (0.5, "cutting the products out"),
    "embed": (0.6, "recognising the products"),
    "rank": (0.7, "recognising the products"),
    "report": (0.85, "counting"),
}


@dataclass(frozen=True)
class Held:
    """A photo that was not matched, for something is wrong with it; it can be scanned all the same.

    `preview` is a small JPEG of it, for browsers that cannot show the file itself (HEIC).
    """

    name: str
    data: bytes
    advice: tuple[Advice, ...]
    preview: bytes


@dataclass(frozen=True)
class ScanBatch:
    """What became of uploaded photos: the scans' numbers, photos held back, and a sentence for each that failed."""

    done: tuple[int, ...] = ()
    held: tuple[Held, ...] = ()
    failed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Review:
    """A kept scan as it stands after corrections.

    certainty  "sure", "likely" or "unknown" by instance number; what a person said is sure
    decided    (name, time, decision) of what a person said, by instance number
    advice     what was wrong with the photo, as sentences
    only       what could be there, in words; empty where that was not said
    """

    scan: Scan
    report: Report
    certainty: dict[int, str]
    decided: dict[int, tuple[str, str, str]]
    advice: tuple[str, ...]
    changes: tuple[ScanChange, ...]
    only: str = ""

    def line(self, number: int) -> ReportLine | None:
        """The instance with this number, None where there is none (any more)."""
        return next((line for line in self.report.instances if line.id == number), None)

    @property
    def totals(self) -> dict[str, int]:
        """How many instances are sure, likely and unknown."""
        return {kind: list(self.certainty.values()).count(kind) for kind in CERTAINTIES}


@dataclass(frozen=True)
class Listed:
    """A scan in a list: its row, a small JPEG (None where it has none), and how many instances are how certain."""

    scan: Scan
    thumbnail: bytes | None
    totals: dict[str, int]


# -- scanning


def scan_photos(
    matcher: Matcher,
    photos: Sequence[tuple[str, bytes]],
    say: OnProgress,
    *,
    force: bool = False,
    only: Sequence[str] = (),
    finished: Callable[[ScanBatch], None] = lambda so_far: None,
) -> ScanBatch:
    """Scan uploaded photos (name, bytes) one after the other; each is kept in the store before the next begins.

    A photo with advice against it is held back unless `force`; one that cannot be read fails alone. `say` hears of
    every stage, and may end the work by raising; `finished` gets what is done so far after each photo. `only` says
    what can be there, see `among.among_of`; it is kept with each scan.
    """
    require("staff")
    result = ScanBatch()
    for n, (name, data) in enumerate(photos[:MAX_PHOTOS]):
        label = photo_name(name)
        stage = _stages(say, label, n, min(len(photos), MAX_PHOTOS))
        try:
            found = scan_photo(matcher, data, label, stage, force=force, only=only)
        except PhotoError as error:
            result = replace(result, failed=(*result.failed, str(error)))
        else:
            if isinstance(found, Held):
                result = replace(result, held=(*result.held, found))
            else:
                result = replace(result, done=(*result.done, found))
        finished(result)
    if len(photos) > MAX_PHOTOS:
        left = f"{len(photos) - MAX_PHOTOS} photos were left out: give at most {MAX_PHOTOS} at once"
        result = replace(result, failed=(*result.failed, left))
    return result


def scan_photo(
    matcher: Matcher, data: bytes, name: str, say: OnProgress, *, force: bool = False, only: Sequence[str] = ()
) -> int | Held:
    """Check, scan and keep one photo file; returns its scan's number, or the photo where advice held it back.

    Raises PhotoError for a file that is too large or no photo, NotAllowed for a viewer.
    """
    by = require("staff")
    if len(data) > MAX_PHOTO_MB * 2**20:
        raise PhotoError(f"{name}: is larger than {MAX_PHOTO_MB} MB; save it smaller")
    say(0.0, "reading the photo")
    photo = load_photo(data, name=name)
    say(0.1, "checking blur, glare and tilt")
    found = quality.check_photo(photo)
    if found and not force:
        return Held(name, data, tuple(found), encode_picture(shrink(photo, keeping.THUMBNAIL_SIDE)))
    among = matcher.only(only)
    scanned = matcher.look(photo, name=name, among=among, on_stage=lambda stage: say(*SHOWN_STAGES[stage]))
    say(0.9, "keeping the scan")
    sentences = [one.text for one in [*found, *quality.check_crops(scanned.seen.instances.boxes)]]
    details = {"advice": sentences, **kept_choice(only, among)}
    return keeping.keep(matcher, scanned, data=data, by=by, details=details)


def photo_name(name: str) -> str:
    """What a photo is called: the last part of the uploaded file's name, on one line, of a length that can be shown."""
    plain = clean_text(name.replace("\\", "/").rsplit("/", 1)[-1])
    return plain if len(plain) <= 80 else f"{plain[:60]}…{plain[-15:]}"


def _stages(say: OnProgress, name: str, at: int, of: int) -> OnProgress:
    """Stages of one photo as shares of all of them."""
    count = f" ({at + 1} of {of})" if of > 1 else ""
    return lambda share, text: say((at + share) / of, f"{name}{count}: {text} …")


# -- reading


def open_review(matcher: Matcher, scan_id: int) -> Review:
    """A kept scan with all that people changed in it; raises UnknownScan."""
    scan = scans.load(matcher.catalogue, scan_id)
    instances = scans.instances(matcher.catalogue, scan_id)
    skus = {i.sku for i in instances} | {match["sku"] for i in instances for match in i.matches}
    names = matcher.catalogue.names_of(skus - {""})
    said = scan.details.get("lines", {})
    # Rows and runs are worked out anew: a correction of a product, a part or a box changes those of its neighbours.
    lines = placed([_line(i, names, said.get(str(i.number))) for i in instances])
    versions = {"version": str(scan.details.get("version", "")), "segmenter": scan.model, "embedder": scan.embedder}
    report = Report(scan.image, scan.width, scan.height, lines, {**versions, "revision": scan.revision})
    return Review(
        scan,
        report,
        {i.number: certainty(i, said.get(str(i.number))) for i in instances},
        {i.number: (i.decided_by, i.decided_at, i.decision) for i in instances if i.decided_at},
        tuple(scan.details.get("advice", ())),
        tuple(scan_history.changes(matcher.catalogue, scan_id)),
        choice_in_words(scan.details),
    )


def scan_number(text: str) -> int | None:
    """The number of a scan as an address names it, None for what is none."""
    return int(text) if text.isdecimal() and len(text) < 16 else None


def open_reviews(matcher: Matcher, scan_ids: Sequence[int]) -> list[Review]:
    """The scans among these numbers that are there, in their order; raises UnknownScan where none is."""
    found: list[Review] = []
    for scan_id in scan_ids:
        try:
            found.append(open_review(matcher, scan_id))
        except UnknownScan:
            if scan_id == scan_ids[-1] and not found:
                raise
    return found


def certainty(instance: ScanInstance, details: list[Any] | None = None) -> str:
    """Whether an instance's product is sure, likely or unknown: as the store answered, unless a person said what it is.

    `details` are those that were kept with its line; scans of earlier versions have no certainty among them.
    """
    return _called(instance.sku, instance.probability, bool(instance.decided_at), details)


def _called(sku: str, probability: float, decided: bool, details: list[Any] | None) -> str:
    if decided:
        return SURE_ if sku else UNKNOWN
    if details and len(details) > _CERTAINTY_AT:
        return str(details[_CERTAINTY_AT])
    if not sku:
        return UNKNOWN
    return SURE_ if probability >= OLD_SURE else LIKELY


def list_scans(
    matcher: Matcher, text: str = "", *, offset: int = 0, limit: int = 20, before: int | None = None
) -> list[Listed]:
    """A page of the kept scans that hold every word of `text`, newest first; all older than `before` where given."""
    page = scans.latest(matcher.catalogue, text, offset=offset, limit=limit, before=before)
    ids = [scan.id for scan in page]
    small, answers = scans.thumbnails(matcher.catalogue, ids), scans.answers(matcher.catalogue, ids)
    return [Listed(scan, small.get(scan.id), _totals(scan, answers[scan.id])) for scan in page]


def _totals(scan: Scan, answers: Sequence[tuple[int, str, float, bool]]) -> dict[str, int]:
    said = scan.details.get("lines", {})
    called = [_called(sku, chance, decided, said.get(str(number))) for number, sku, chance, decided in answers]
    return {kind: called.count(kind) for kind in CERTAINTIES}


def count_scans(matcher: Matcher, text: str = "") -> int:
    """How many kept scans `list_scans` pages through."""
    return scans.count(matcher.catalogue, text)


def delete_scan(matcher: Matcher, scan_id: int) -> None:
    """Delete a scan with its photo for good; raises UnknownScan, NotAllowed."""
    scans.remove(matcher.catalogue, scan_id, by=require("staff"))


def _line(instance: ScanInstance, names: dict[str, str], details: list[Any] | None) -> ReportLine:
    matches = tuple(
        Match(
            m["sku"], names.get(m["sku"], m.get("name", "")), m["score"], m["reference_id"], m.get("probability", 0.0)
        )
        for m in instance.matches
    )
    lead = matches[0].score - matches[1].score if len(matches) > 1 else 0.0
    confidence, merged, margin = details[:_CERTAINTY_AT] if details else (1.0, False, lead)
    identity = Identification(
        "known" if instance.sku else "unknown",
        instance.sku or None,
        names.get(instance.sku, "") or instance.sku,
        instance.probability,
        margin,
        matches,
        certainty=certainty(instance, details),  # type: ignore[arg-type]
        none_of_them=max(0.0, 1.0 - sum(match.probability for match in matches)),
        checked=bool(instance.decided_at),
        odd=bool(details and len(details) > _ODD_AT and details[_ODD_AT] and not instance.decided_at),
    )
    polygon = tuple((int(x), int(y)) for x, y in instance.polygon)
    return ReportLine(instance.number, instance.box, instance.area, polygon, confidence, merged, identity)


# -- pictures


def photo_of(matcher: Matcher, scan: Scan) -> np.ndarray:
    """The photo of a scan (H, W, 3) uint8, its longer side at most SHOWN_SIDE pixels.

    Where only its crops were kept (a scan of the command line whose file has moved), they are laid out on grey.
    """
    return _photo(matcher, matcher.catalogue.identity, scan.id)


def photo_file(matcher: Matcher, scan: Scan) -> bytes | None:
    """The file of a scan's photo as it was given; None where it is kept neither in the store nor where it was."""
    data = scans.photo(matcher.catalogue, scan.id)
    if data is None and scan.path and Path(scan.path).is_file():
        return Path(scan.path).read_bytes()
    return data


@lru_cache(maxsize=8)
def _photo(matcher: Matcher, identity: str, scan_id: int) -> np.ndarray:
    scan = scans.load(matcher.catalogue, scan_id)
    data = scans.photo(matcher.catalogue, scan_id)
    path = Path(scan.path) if data is None and scan.path else None
    if data is not None or (path is not None and path.is_file()):
        photo = load_photo(data if data is not None else str(path), name=scan.image, max_side=SHOWN_SIDE)
        if abs(photo.shape[0] * scan.width - photo.shape[1] * scan.height) <= 2 * max(scan.width, scan.height):
            return photo
    canvas = np.full((scan.height, scan.width, 3), 96, np.uint8)
    for instance, (_, kept, mask, _) in zip(
        scans.instances(matcher.catalogue, scan_id), scans.crops(matcher.catalogue, scan_id), strict=True
    ):
        crop, inside = decode_kept(kept, mask)
        x, y = instance.box[:2]
        part = canvas[y : y + crop.shape[0], x : x + crop.shape[1]]
        part[inside] = crop[inside]
    return shrink(canvas, SHOWN_SIDE)


def crop_of(matcher: Matcher, scan_id: int, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Crop (h, w, 3) uint8 of an instance as it was matched, and its mask (h, w) bool; raises UnknownScan."""
    crop, mask = decode_kept(*scans.crop(matcher.catalogue, scan_id, number))
    return crop, np.ones(crop.shape[:2], bool) if mask is None else mask


def reference_picture(matcher: Matcher, reference_id: int, side: int = 320) -> np.ndarray | None:
    """A reference (h, w, 3) uint8 at list size; None for one that never was."""
    try:
        return load_photo(matcher.catalogue.reference_picture(reference_id), name="reference", max_side=side)
    except UnknownReference:
        return None


# -- exports


def counts_csv(reviews: Sequence[Review]) -> str:
    """A row per photo and SKU, as they stand after corrections; no cell starts a formula."""
    table = io.StringIO()
    write_counts_csv([review.report for review in reviews], table)
    return table.getvalue()


def as_json(review: Review) -> dict[str, Any]:
    """The report as `retail-seg scan` writes it, with the scan's number and who decided what."""
    values = review.report.to_dict()
    for line in values["instances"]:
        by, at, decision = review.decided.get(line["id"], ("", "", ""))
        line["certainty"] = review.certainty[line["id"]]
        line |= {"decided": decision, "decided_by": by, "decided_at": at} if at else {}
    return {"scan": review.scan.id, "at": review.scan.at, "by": review.scan.by, **values, "advice": list(review.advice)}


def json_lines(reviews: Sequence[Review]) -> str:
    """One JSON object a scan."""
    return "".join(json.dumps(as_json(review), ensure_ascii=False) + "\n" for review in reviews)


def overlay_jpeg(matcher: Matcher, review: Review) -> bytes:
    """The photo with outlines, numbers and names, as JPEG."""
    from retail_seg.scans.view import draw_view

    return encode_picture(draw_view(photo_of(matcher, review.scan), review.report, review.certainty), quality=90)
