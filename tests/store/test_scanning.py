"""Many photos: in order, a failure in its place, little in memory at once; the report in the photo's own pixels."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from index.errors import EmbedderError
from index.views import Crop
from retail_seg import Matcher
from retail_seg.cli import cli
from retail_seg.errors import PhotoError
from retail_seg.photos.load import encode_picture, load_photo
from retail_seg.report import Identification, Report, ReportLine
from retail_seg.segmentation.instances.instances import Instances
from retail_seg.store import scanning

NOTHING = Identification("unknown", None, "", 0.0, 0.0, ())


@pytest.fixture(scope="module")
def matcher(demo_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Matcher]:
    store = shutil.copytree(demo_folder / "store", tmp_path_factory.mktemp("scanning") / "store")
    with Matcher.open(store) as opened:
        yield opened


@pytest.fixture(scope="module")
def photos(demo_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The demo's photo, a part of it, one that is no photo, and the photo again."""
    folder = tmp_path_factory.mktemp("photos")
    (shown,) = (demo_folder / "out" / "photos").iterdir()
    (folder / "part.jpg").write_bytes(encode_picture(load_photo(shown)[:600, :800]))
    (folder / "bad.jpg").write_bytes(b"no photo")
    return [shown, folder / "part.jpg", folder / "bad.jpg", shown]


def test_many_photos_give_what_each_gives_alone(matcher: Matcher, photos: list[Path]) -> None:
    found = list(matcher.scan_many(photos, workers=2))
    assert isinstance(found[2], PhotoError) and "bad.jpg" in str(found[2])
    for path, report in zip(photos, found, strict=True):
        if path.name != "bad.jpg":
            alone = matcher.scan(path)
            assert isinstance(report, Report) and report.image == str(path) and report.counts == alone.counts
            assert [line.box for line in report.instances] == [line.box for line in alone.instances]
            assert [line.polygon for line in report.instances] == [line.polygon for line in alone.instances]


def test_the_command_writes_each_line_and_goes_on_after_a_failure(
    matcher: Matcher, photos: list[Path], tmp_path: Path
) -> None:
    arguments = ["scan", *map(str, photos), "--store", str(matcher.folder), "--json", str(tmp_path / "out.jsonl")]
    done = CliRunner().invoke(cli, [*arguments, "--workers", "2", "--overlay", str(tmp_path)], standalone_mode=False)
    assert done.exception is None and done.return_value == 1
    assert "bad.jpg" in done.stderr and "1 could not be scanned" in done.stderr
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 3
    assert len(list(tmp_path.glob("*.png"))) == 3


class Square:
    """Written by hand: one instance in the middle of every photo, found when `free` is set."""

    def __init__(self) -> None:
        self.free = threading.Event()
        self.free.set()
        self.sides: list[int | None] = []

    def segment(self, photo: np.ndarray, side: int | None = None) -> Instances:
        assert self.free.wait(30)
        self.sides.append(side)
        labels = np.zeros(photo.shape[:2], np.int32)
        height, width = labels.shape
        labels[height // 4 : height // 2, width // 4 : width // 2] = 1
        return Instances.from_labels(labels)


Match = Callable[[Sequence[Crop]], list[Identification]]


def scan(
    photos: Iterable[np.ndarray],
    match: Match = lambda views: [NOTHING] * len(views),
    square: Square | None = None,
    side: int | None = None,
) -> Generator[scanning.Scanned | PhotoError]:
    segmenter = square or Square()

    def answer(seen: Sequence[scanning.Seen]) -> list[scanning.Scanned]:
        found = iter(match([view for one in seen for view in one.views]))
        none = np.zeros((0, 4), np.float32)
        return [
            scanning.Scanned(one, none, scanning.report_of(one, [next(found) for _ in one.views], {})) for one in seen
        ]

    return scanning.scan_each(photos, lambda photo: scanning.take_apart(segmenter, photo, side=side), answer, 2)  # type: ignore[arg-type,return-value]


def grey(value: int) -> np.ndarray:
    return np.full((40, 60, 3), value, np.uint8)


def test_only_a_few_photos_wait_however_many_there_are() -> None:
    taken = []

    def endless() -> Iterator[np.ndarray]:
        while True:
            taken.append(len(taken))
            yield grey(len(taken) % 200)

    found = scan(endless())
    for _ in range(5):
        next(found)
    assert len(taken) <= 5 + 2 * (2 + scanning.AHEAD)
    found.close()
    assert len([thread for thread in threading.enumerate() if thread.name.startswith("scan")]) == 0


def test_crops_that_cannot_be_matched_fail_their_own_photo_alone() -> None:
    def match(views):  # type: ignore[no-untyped-def]
        if any((crop == 77).all() for crop, _ in views):
            raise EmbedderError("crop 0 is odd")
        return [NOTHING] * len(views)

    found = list(scan([grey(1), grey(77), grey(3)], match))
    assert [isinstance(one, PhotoError) for one in found] == [False, True, False]
    assert "odd" in str(found[1])


def test_a_side_is_handed_to_the_segmenter() -> None:
    square = Square()
    for side in (None, 900):
        assert len(list(scan([grey(1), grey(2)], square=square, side=side))) == 2
    assert square.sides == [None, None, 900, 900]


def test_no_photos_give_no_reports(matcher: Matcher) -> None:
    assert list(matcher.scan_many([])) == []


def test_a_very_large_jpeg_is_reported_in_its_own_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encode_picture(np.full((400, 600, 3), 90, np.uint8))
    whole = scanning.take_apart(Square(), data, "photo")  # type: ignore[arg-type]
    monkeypatch.setattr(scanning, "ENOUGH", 300)
    half = scanning.take_apart(Square(), data, "photo")  # type: ignore[arg-type]
    assert half.picture.shape == (200, 300, 3) and half.size == whole.size == (600, 400)
    one, other = (scanning.report_of(seen, [NOTHING], {}) for seen in (whole, half))
    assert (other.width, other.height) == (600, 400)
    assert other.instances[0].box == one.instances[0].box == (150, 100, 150, 100)
    assert other.instances[0].area == one.instances[0].area
    assert np.abs(np.array(other.instances[0].polygon) - np.array(one.instances[0].polygon)).max() <= 2


def test_a_line_says_where_on_the_shelf_it_stands() -> None:
    """Two rows of boxes, colas and others; of the upper row the second is stacked on the first."""
    boxes = [(0, 300, 90, 90), (0, 210, 90, 90), (100, 300, 90, 90), (200, 300, 90, 90), (0, 600, 90, 90)]
    boxes += [(100, 600, 90, 90), (200, 600, 90, 90)]
    skus = ["cola", "cola", "cola", None, None, None, "jam"]
    lines = [
        ReportLine(i, box, 8100, (), 1.0, False, Identification("known" if sku else "unknown", sku, "", 1.0, 0.0, ()))
        for i, (box, sku) in enumerate(zip(boxes, skus, strict=True), 1)
    ]
    found = scanning.placed(lines)
    where = [(line.row, line.position, line.run, line.facing) for line in found]
    assert where == [
        (1, 1, 1, 1), (1, 1, 1, 1), (1, 2, 1, 2), (1, 3, 2, 1),
        (2, 1, 1, 1), (2, 2, 2, 1), (2, 3, 3, 1),
    ]  # fmt: skip
    assert found[3].to_dict()["row"] == 1 and found[3].to_dict()["position"] == 3
    assert scanning.placed([]) == ()


def test_a_report_has_the_rows_of_its_photo(matcher: Matcher, photos: list[Path]) -> None:
    report = matcher.scan(photos[0])
    rows: dict[int, list[int]] = {}
    for line in report.instances:
        rows.setdefault(line.row, []).append(line.position)
        assert line.run >= 1 and line.facing >= 1
    assert sorted(rows) == list(range(1, len(rows) + 1))
    assert all(set(places) == set(range(1, max(places) + 1)) for places in rows.values())
