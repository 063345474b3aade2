"""Many photos: whatever goes wrong with one is a sentence in its place, and the others are scanned."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import pytest

from index.errors import EmbedderError
from index.views import Crop
from retail_seg.errors import PhotoError, StoreError
from retail_seg.report import Identification
from retail_seg.segmentation.instances.instances import Instances
from retail_seg.store import scanning

NOTHING = Identification("unknown", None, "", 0.0, 0.0, ())
ODD = 77


class Breaks:
    """Written by hand: one instance in the middle of every photo; a photo of ODD pixels raises."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error

    def segment(self, photo: np.ndarray, side: int | None = None) -> Instances:
        if self.error is not None and (photo == ODD).all():
            raise self.error
        labels = np.zeros(photo.shape[:2], np.int32)
        labels[10:20, 15:30] = 1
        return Instances.from_labels(labels)


def grey(value: int) -> np.ndarray:
    return np.full((40, 60, 3), value, np.uint8)


#: Identifications of crops, in their order.
Match = Callable[[Sequence[Crop]], list[Identification]]


def scan(
    segmenter: Breaks, match: Match, photos: Iterable[np.ndarray] = (grey(1), grey(ODD), grey(3))
) -> list[scanning.Scanned | PhotoError]:
    def answer(seen: Sequence[scanning.Seen]) -> list[scanning.Scanned]:
        found = iter(match([view for one in seen for view in one.views]))
        none = np.zeros((0, 4), np.float32)
        return [
            scanning.Scanned(one, none, scanning.report_of(one, [next(found) for _ in one.views], {})) for one in seen
        ]

    return list(scanning.scan_each(photos, lambda photo: scanning.take_apart(segmenter, photo), answer, 2))  # type: ignore[arg-type]


def raising(error: BaseException) -> Match:
    """A match that raises for a batch with crops of ODD pixels."""

    def match(views):  # type: ignore[no-untyped-def]
        if any((crop == ODD).all() for crop, _ in views):
            raise error
        return [NOTHING] * len(views)

    return match


@pytest.mark.parametrize("error", [ValueError("axes"), KeyError("x"), ZeroDivisionError(), OSError("disk")])
@pytest.mark.parametrize("where", ["segmenter", "match"])
def test_an_error_of_the_program_ends_one_photo_and_is_logged(
    error: Exception, where: str, caplog: pytest.LogCaptureFixture
) -> None:
    inside = where == "segmenter"
    with caplog.at_level(logging.ERROR):
        found = scan(Breaks(error if inside else None), _match(error, inside))
    assert [isinstance(one, PhotoError) for one in found] == [False, True, False]
    assert f"because of an error of the program ({type(error).__name__})" in str(found[1])
    (record,) = [record for record in caplog.records if record.name == scanning.__name__]
    assert record.levelno == logging.ERROR and record.exc_info and record.exc_info[1] is error


def _match(error: Exception, inside: bool) -> Match:
    return (lambda views: [NOTHING] * len(views)) if inside else raising(error)


@pytest.mark.parametrize("error", [StoreError("the store is gone; look for it"), EmbedderError("crop 0 is odd")])
def test_what_a_person_can_mend_keeps_its_words_and_is_not_logged(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    for found in (scan(Breaks(error), _match(error, True)), scan(Breaks(), raising(error))):
        assert [isinstance(one, PhotoError) for one in found] == [False, True, False]
        assert str(error) in str(found[1])
    assert not caplog.records


def test_a_photo_that_does_not_fit_in_memory_says_so() -> None:
    assert str(scan(Breaks(MemoryError()), _match(ValueError(), True))[1]).endswith("in memory; save it smaller")


@pytest.mark.parametrize("end", [KeyboardInterrupt, SystemExit])
def test_who_ends_the_program_ends_the_folder(end: type[BaseException]) -> None:
    with pytest.raises(end):
        scan(Breaks(), raising(end()))
    with pytest.raises(end):
        scan(Breaks(end()), _match(ValueError(), True))


def test_a_list_of_photos_that_breaks_off_is_not_a_photo() -> None:
    def photos():  # type: ignore[no-untyped-def]
        yield grey(1)
        raise RuntimeError("the list broke off")

    with pytest.raises(RuntimeError, match="broke off"):
        scan(Breaks(), _match(ValueError(), True), photos())
