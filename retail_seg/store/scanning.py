"""Photos taken apart and reported, one or many: decoding, segmenting and outlining beside the matching of others."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from index.runtime import cores
from index.views import Crop, upright
from retail_seg.errors import PhotoError
from retail_seg.photos.load import PhotoSource, load_enough
from retail_seg.report import Identification, Report, ReportLine
from retail_seg.segmentation.instances.instances import largest, outlines_of, simplified
from retail_seg.segmentation.instances.merged import merged_flags
from retail_seg.segmentation.instances.rows import shelf_places
from retail_seg.store.given_boxes import GivenBoxes
from retail_seg.system.user_errors import USER_ERRORS

if TYPE_CHECKING:
    from retail_seg.segmentation.instances.instances import Instances
    from retail_seg.segmentation.segmenter import Segmenter

#: Longer side, in pixels, at which the smallest instance that a segmenter reports has all the pixels that an embedder
#: looks at (192 of a side, within 0.16 % of a photo): a JPEG of twice this side or more is decoded at a smaller scale.
ENOUGH = 4000
#: Crops that are embedded at once, when so many are ready.
BATCH = 64
_LOG = logging.getLogger(__name__)
#: Photos that are taken apart ahead of the matching, beside those in the workers' hands.
AHEAD = 1


@dataclass(frozen=True, eq=False)
class Seen:
    """A photo taken apart.

    name      what the report calls it
    size      its own width and height in pixels
    picture   (h, w, 3) uint8, as it was decoded: smaller than `size` for a very large JPEG
    instances in the picture's pixels
    views     crop and mask of each instance, as they are embedded
    outlines  (k, 2) int32 x, y of each instance, in the photo's own pixels
    merged    (n,) bool: may be several products in one
    """

    name: str
    size: tuple[int, int]
    picture: np.ndarray
    instances: Instances
    views: tuple[Crop, ...]
    outlines: tuple[np.ndarray, ...]
    merged: np.ndarray


@dataclass(frozen=True, eq=False)
class Scanned:
    """A photo taken apart, the raw vectors (n, dim) float32 of its instances, and its report."""

    seen: Seen
    vectors: np.ndarray
    report: Report


#: The stages of a scan, in their order.
STAGES = ("decode", "segment", "cut", "embed", "rank", "report")
#: What a photo does between the stages when several are scanned: nothing.
WAIT = "wait"
#: Hears which of STAGES begins; what it raises ends the scan.
OnStage = Callable[[str], None]


def unheard(stage: str) -> None:
    """The OnStage of who does not listen."""


def take_apart(
    segmenter: Segmenter | GivenBoxes,
    photo: PhotoSource,
    name: str | None = None,
    side: int | None = None,
    on_stage: OnStage = unheard,
) -> Seen:
    """Decode a photo and find its instances, at a working `side` if given; PhotoError for one that cannot be read.

    Given boxes say where things are, not which of their pixels: they are embedded as they are, without a mask.
    """
    on_stage("decode")
    picture, size = load_enough(photo, ENOUGH, name=name)
    on_stage("segment")
    label = name or _name(photo)
    if isinstance(segmenter, GivenBoxes):
        instances = segmenter.instances(label, picture, size)
    else:
        instances = segmenter.segment(picture, side)
    on_stage("cut")
    return outline(picture, instances, label, size, masked=not isinstance(segmenter, GivenBoxes))


def _name(photo: PhotoSource) -> str:
    return str(photo) if isinstance(photo, (str, Path)) else "photo"


def outline(
    picture: np.ndarray, instances: Instances, name: str, size: tuple[int, int] | None = None, masked: bool = True
) -> Seen:
    """A photo (h, w, 3) uint8 whose instances are known, with what a report says of them beside their products."""
    size = size or (picture.shape[1], picture.shape[0])
    scale, corners = np.array(size) / picture.shape[1::-1], instances.boxes[:, :2].astype(np.int32)
    outlines = [outlines_of(mask) for mask in instances.masks]
    drawn = [simplified(largest(one)) + corner for one, corner in zip(outlines, corners, strict=True)]
    polygons = tuple(np.round(polygon * scale).astype(np.int32) for polygon in drawn)
    crops = [instances.crop(picture, i) for i in range(len(instances))]
    views = tuple(
        upright(crop, mask, one) if masked else (crop, None) for (crop, mask), one in zip(crops, outlines, strict=True)
    )
    return Seen(name, size, picture, instances, views, polygons, merged_flags(instances, outlines))


def report_of(seen: Seen, found: Sequence[Identification], versions: dict[str, str | int]) -> Report:
    """The report of a photo whose views were identified."""
    lines = placed([_line(seen, i, one) for i, one in enumerate(found)])
    return Report(seen.name, *seen.size, lines, versions)


def placed(lines: Sequence[ReportLine]) -> tuple[ReportLine, ...]:
    """The lines of one photo with the shelf row, position and facing run that their boxes and products tell."""
    places = shelf_places(np.array([line.box for line in lines]), [line.sku for line in lines])
    where = np.stack([places.row, places.position, places.run, places.facing], 1).tolist()
    return tuple(
        replace(line, row=row, position=position, run=run, facing=facing)
        for line, (row, position, run, facing) in zip(lines, where, strict=True)
    )


def scan_each(
    photos: Iterable[PhotoSource],
    take: Callable[[PhotoSource], Seen],
    answer: Callable[[Sequence[Seen]], list[Scanned]],
    workers: int | None = None,
    on_stage: OnStage = unheard,
) -> Iterator[Scanned | PhotoError]:
    """Scan photos, in order: `workers` threads `take` them apart while the caller's thread answers those before.

    A photo that fails, by whatever Exception, is a PhotoError in its place. At most `workers` + AHEAD photos wait at a
    time, however many there are, and crops of photos that are ready together are matched together. `on_stage` hears of
    WAIT in the thread in which a photo was taken apart, and in the caller's when one was answered.
    """
    workers = workers or cores()

    def work(photo: PhotoSource) -> Seen | PhotoError:
        try:
            return take(photo)
        except Exception as error:  # noqa: BLE001 - what goes wrong with one photo must not end a folder of them
            return _failure(_name(photo), error)
        finally:
            on_stage(WAIT)

    pool = ThreadPoolExecutor(workers, thread_name_prefix="scan")
    try:
        for batch in _batches(pool, work, iter(photos), workers + AHEAD):
            for found in _answered(batch, answer):
                on_stage(WAIT)
                yield found
    finally:
        pool.shutdown(cancel_futures=True)


def _batches(
    pool: ThreadPoolExecutor,
    work: Callable[[PhotoSource], Seen | PhotoError],
    photos: Iterator[PhotoSource],
    waiting_at_most: int,
) -> Iterator[list[Seen | PhotoError]]:
    """What the workers finish, in order; several photos at once where they are ready and have few crops."""
    waiting: deque[Future[Seen | PhotoError]] = deque()

    def top_up() -> None:
        while len(waiting) < waiting_at_most and (photo := next(photos, None)) is not None:
            waiting.append(pool.submit(work, photo))

    top_up()
    while waiting:
        batch = [waiting.popleft().result()]
        while waiting and waiting[0].done() and _crops(batch) < BATCH:
            batch.append(waiting.popleft().result())
        top_up()
        yield batch


def _crops(batch: Sequence[Seen | PhotoError]) -> int:
    return sum(len(one.views) for one in batch if isinstance(one, Seen))


def _answered(
    batch: Sequence[Seen | PhotoError], answer: Callable[[Sequence[Seen]], list[Scanned]]
) -> Iterator[Scanned | PhotoError]:
    """A batch answered together; where its crops cannot be matched together, each photo is answered alone."""
    seen = [one for one in batch if isinstance(one, Seen)]
    try:
        found = iter(answer(seen) if seen else [])
    except Exception as error:  # noqa: BLE001 - as above
        if len(batch) == 1:
            yield _failure(seen[0].name, error)
            return
        for one in batch:
            yield from _answered([one], answer)
        return
    for one in batch:
        yield one if isinstance(one, PhotoError) else next(found)


def _failure(name: str, error: Exception) -> PhotoError:
    """The sentence on a photo that failed; what nobody foresaw stands in the log in full."""
    if isinstance(error, PhotoError):
        return error
    if isinstance(error, MemoryError):
        return PhotoError(f"{name}: does not fit in memory; save it smaller")
    if isinstance(error, USER_ERRORS):
        return PhotoError(f"{name}: {error}")
    _LOG.error("%s could not be scanned", name, exc_info=error)
    kind = type(error).__name__
    return PhotoError(f"{name}: was not scanned because of an error of the program ({kind}); see the log")


def _line(seen: Seen, i: int, found: Identification) -> ReportLine:
    across, down = seen.size[0] / seen.picture.shape[1], seen.size[1] / seen.picture.shape[0]
    x, y, w, h = (int(v) for v in seen.instances.boxes[i])
    left, top, right, bottom = round(x * across), round(y * down), round((x + w) * across), round((y + h) * down)
    return ReportLine(
        id=i + 1,
        box=(left, top, right - left, bottom - top),
        area=round(int(seen.instances.areas[i]) * across * down),
        polygon=tuple((px, py) for px, py in seen.outlines[i].tolist()),
        confidence=float(seen.instances.confidence[i]),
        merged=bool(seen.merged[i]),
        identification=found,
    )
